//! Taking measurements: what is due follows from the state; results go back as commands.

use crate::reads::For;
use crate::residence::Ending;
use crate::workspace::Workspace;
use crate::{Controller, SubmitError};
use stagegate_engine::{Engine, State, next_due};
use stagegate_integrations::metrics::MeasureContext;
use stagegate_model::{Actor, Command, Json, PromotionId, Timestamp, VerificationId};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Measurements under way at once in a workspace.
const CONCURRENT_MAX: usize = 256;
/// The longest a measurement may take; its own timeout is usually shorter.
const MEASUREMENT_DEADLINE: Duration = Duration::from_secs(300);
/// The longest sleep when nothing is due.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Which measurement: the `ordinal`-th of a metric.
pub type MeasurementKey = (VerificationId, usize, u32);

/// One that is to be taken.
pub struct DueMeasurement {
    /// Which.
    pub key: MeasurementKey,
    /// On whose behalf.
    pub promotion: PromotionId,
    /// The provider's configuration, rendered.
    pub provider: Json,
}

/// Takes the workspace's measurements until it leaves memory or the process stops. Woken by what changes that, once
/// durable, and by time.
pub(crate) async fn run(controller: Controller, workspace: Arc<Workspace>, mut ending: Ending) {
    let mut under_way: BTreeSet<MeasurementKey> = BTreeSet::new();
    let mut tasks: JoinSet<MeasurementKey> = JoinSet::new();
    loop {
        let now = controller.now();
        let Ok((due, next)) = controller
            .read_for(For::Task, workspace.id, move |engine| open(engine, now))
            .await
        else {
            // Halted; a reload wakes it. Or on its way out of memory: then nothing is to be measured.
            tokio::select! {
                () = ending.wait() => return,
                () = workspace.to_measure.notified() => continue,
            }
        };
        let mut full = false;
        for due in due {
            if under_way.contains(&due.key) {
                continue;
            }
            if under_way.len() >= CONCURRENT_MAX {
                full = true;
                break;
            }
            under_way.insert(due.key);
            tasks.spawn(take(controller.clone(), Arc::clone(&workspace), due));
        }
        let wait = next.map_or(SLEEP_MAX, |at| {
            Duration::from_millis(u64::try_from(at.millis_since(controller.now())).unwrap_or(0))
                .min(SLEEP_MAX)
        });
        tokio::select! {
            () = ending.wait() => return,
            () = workspace.to_measure.notified() => {}
            Some(done) = tasks.join_next(), if !tasks.is_empty() => {
                match done {
                    Ok(key) => { under_way.remove(&key); }
                    // It panicked: nothing is known to be under way any more, so all that is due is due again.
                    Err(_) => { tasks.abort_all(); under_way.clear(); }
                }
            }
            () = tokio::time::sleep(wait), if !full => {}
        }
    }
}

/// What is due at `now`, and when the next thing will be.
#[must_use]
pub fn open(engine: &Engine, now: Timestamp) -> (Vec<DueMeasurement>, Option<Timestamp>) {
    let state = engine.state();
    let (mut due, mut next) = (Vec::new(), None::<Timestamp>);
    for verification in state.verifications().values() {
        for (index, run) in verification.metrics.iter().enumerate() {
            let Some(at) = next_due(verification, run) else {
                continue;
            };
            if at > now {
                next = Some(next.map_or(at, |next| next.min(at)));
            } else if let Some(job) = state.jobs().get(&verification.job) {
                due.push(DueMeasurement {
                    key: (verification.id, index, run.taken),
                    promotion: job.promotion,
                    provider: run.planned.metric.provider.clone(),
                });
            }
        }
    }
    (due, next)
}

/// Whether any measurement is still to be taken.
pub(crate) fn any(state: &State) -> bool {
    let mut verifications = state.verifications().values();
    verifications.any(|it| it.metrics.iter().any(|run| next_due(it, run).is_some()))
}

async fn take(
    controller: Controller,
    workspace: Arc<Workspace>,
    due: DueMeasurement,
) -> MeasurementKey {
    let (verification, metric, ordinal) = due.key;
    let promotion_id = due.promotion.to_string();
    let context = MeasureContext {
        traceparent: traceparent(due.promotion, due.key),
        baggage: format!("stagegate.promotion={promotion_id}"),
        promotion_id,
        deadline: MEASUREMENT_DEADLINE,
    };
    let outcome = controller.measurer().measure(&due.provider, &context).await;
    let outcome = outcome.map_err(|error| error.message);
    let mut pause = Duration::from_millis(50);
    loop {
        let outcome = outcome.clone();
        let command = Command::RecordMeasurement {
            verification,
            metric,
            ordinal,
            outcome,
        };
        match controller
            .submit(workspace.id, Actor::System, command, Vec::new())
            .await
        {
            Ok(_) | Err(SubmitError::Rejected(_) | SubmitError::NoWorkspace) => return due.key,
            // It was taken; it is recorded as soon as that is possible.
            Err(SubmitError::Overloaded | SubmitError::Unavailable { .. }) => {
                if *controller.stopping().borrow() {
                    return due.key;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(10));
            }
        }
    }
}

/// W3C trace context: the trace is the promotion, the span this measurement.
fn traceparent(promotion: PromotionId, key: MeasurementKey) -> String {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    hash.update(key.0.0.as_bytes());
    hash.update(key.1.to_be_bytes());
    hash.update(key.2.to_be_bytes());
    let span: String = hash
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("00-{}-{span}-01", promotion.0.simple())
}
