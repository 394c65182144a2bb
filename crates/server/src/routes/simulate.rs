//! What would have been under other policies.

use super::apply::{located, refusal};
use super::effects::Names;
use super::freezes::moment;
use crate::answer::{Answer, Failure, Json};
use crate::body::Body;
use crate::people::People;
use crate::scope::Scope;
use stagegate_api as api;
use stagegate_documents::{Action, DocumentError, Plan, WithPersons, plan_many};
use stagegate_engine::relive::{Difference, Effect, Fate, Pace, PolicyChange, Report, Simulation};
use stagegate_engine::{Context, Engine, LaneKey};
use stagegate_model::{
    Change, Command, DeploymentId, Entry, EntryId, PromotionStatus, Timestamp, WorkspaceId,
};
use stagegate_store::{Row, Store, StoreError};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// From how long ago on, when nobody says.
const SECONDS_BACK: i64 = 90 * 86_400;
/// Entries of a log that are read, at most: what is open and what was said is kept in memory meanwhile.
const ENTRIES_MAX: u64 = 5_000_000;
/// Entries read at a time.
const ENTRIES_AT_A_TIME: usize = 1_000;
/// Pages that one thread may be ahead of the next.
const PAGES_AHEAD: usize = 2;
/// Differences told, at most.
const DIFFERENCES_MAX: usize = 1_000;

/// One simulation at a time: each keeps a processor and much memory busy.
static UNDER_WAY: Mutex<()> = Mutex::new(());

/// The log is read and lived again beside the threads that decide and answer; it ends early when nobody waits for it
/// any more.
pub(super) async fn post(
    scope: Scope,
    Body(body): Body<api::Simulate>,
) -> Answer<Json<api::Simulation>> {
    let people = People::of(&scope).await?;
    let until = scope.now();
    let since = moment(body.since.as_deref(), "since")?;
    let since = since.unwrap_or_else(|| until.plus_seconds(-SECONDS_BACK));
    if since >= until {
        let message = format!("it does not lie before now, {until}");
        return Err(Failure::new("invalid_time", message).at("since"));
    }
    let (mut changes, copy) = changes_of(&scope, &people, body.files).await?;
    for (index, name) in body.without.iter().enumerate() {
        let Some(policy) = copy.state().policy_by_name(name) else {
            let message = format!("there is no policy `{name}`");
            return Err(Failure::new("policy_not_found", message).at(format!("without[{index}]")));
        };
        changes.push(PolicyChange::Delete(policy.id));
    }
    let policies = changes.iter().map(|change| match change {
        PolicyChange::Put(policy) => policy.name.clone(),
        PolicyChange::Delete(id) => {
            let known = copy.state().policies().get(id);
            known.map_or_else(|| id.to_string(), |it| it.name.clone())
        }
    });
    let policies = policies.collect();
    let workspace = scope.workspace();
    let stop = Arc::new(AtomicBool::new(false));
    let _stopped_with_the_request = StopOnDrop(Arc::clone(&stop));
    let store = Arc::clone(scope.app.controller().store());
    let run = tokio::task::spawn_blocking(move || {
        let Ok(_one) = UNDER_WAY.try_lock() else {
            let message = "another simulation is under way on this server";
            return Err(
                Failure::new("simulation_running", message).hint("try again when it has ended")
            );
        };
        live_again(&*store, workspace, since, until, changes, &stop)
    });
    let report = run.await.map_err(|_| Failure::internal())??;
    Ok(Json(told(report, policies, copy, &people)))
}

/// Stops what runs beside a request when that ends.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the documents change, which may be policies alone, and a copy of the engine.
async fn changes_of(
    scope: &Scope,
    people: &People,
    files: Vec<api::ApplyFile>,
) -> Answer<(Vec<PolicyChange>, Engine)> {
    let now = scope.now();
    let named = people.clone();
    let planned = scope.read(move |engine| {
        let texts: Vec<(&str, &str)> = files
            .iter()
            .map(|file| (file.name.as_str(), file.text.as_str()))
            .collect();
        let catalog = WithPersons {
            state: engine.state(),
            persons: named.persons(),
        };
        let plan = plan_many(&texts, &catalog, &mut Uuid::now_v7, now)?;
        Ok((plan, engine.clone()))
    });
    let (plan, copy) = planned
        .await?
        .map_err(|errors: Vec<DocumentError>| refusal(errors))?;
    let mut changes = Vec::new();
    for change in &plan.changes {
        match change {
            Change::PutPolicy(policy) => changes.push(PolicyChange::Put(policy.clone())),
            Change::DeletePolicy(id) => changes.push(PolicyChange::Delete(*id)),
            _ => return Err(others(&plan)),
        }
    }
    if plan.is_empty() {
        return Ok((changes, copy));
    }
    // Only the engine can judge selectors and rules.
    let context = Context {
        entry: EntryId(Uuid::now_v7()),
        now,
        actor: scope.caller.actor(),
    };
    let command = Command::Configure(plan.changes.clone());
    let tried = tokio::task::spawn_blocking(move || {
        let mut trial = copy.clone();
        trial.execute(command, context).map(|_| trial)
    });
    match tried.await {
        Ok(Ok(trial)) => Ok((changes, trial)),
        Ok(Err(rejection)) => Err(people.failure(located(&plan, &rejection))),
        Err(_) => Err(Failure::internal()),
    }
}

/// Names what is no policy and would be changed.
fn others(plan: &Plan) -> Failure {
    let changed = plan.documents.iter().filter(|document| {
        document.action != Action::Unchanged && document.kind.word() != "Policy"
    });
    let mut named: Vec<String> = changed
        .map(|it| format!("{} `{}` ({}:{})", it.kind.word(), it.name, it.file, it.line))
        .collect();
    let more = named.len().saturating_sub(5);
    named.truncate(5);
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "only policies can be others in a simulation; the documents would also change {}{more}",
        named.join(", ")
    );
    Failure::new("not_a_policy", message)
        .at("files")
        .hint("leave those documents out, or apply them first")
}

fn live_again(
    store: &dyn Store,
    workspace: WorkspaceId,
    since: Timestamp,
    until: Timestamp,
    changes: Vec<PolicyChange>,
    stop: &AtomicBool,
) -> Answer<Report> {
    let head = store.head(workspace)?.map_or(0, |head| head.seq);
    if head > ENTRIES_MAX {
        let message = format!("the log has {head} entries; {ENTRIES_MAX} can be simulated");
        return Err(Failure::new("too_large", message));
    }
    let log = Log {
        store,
        workspace,
        stop,
    };
    let mut simulation = Simulation::new(since, changes);
    std::thread::scope(|scope| {
        let (send, pages) = sync_channel(PAGES_AHEAD);
        let reader = scope.spawn(move || log.read(0..head, &send));
        for entry in pages.into_iter().flatten() {
            simulation.learn(&entry);
        }
        reader.join().unwrap_or_else(|_| Err(Failure::internal()))
    })?;
    let first = simulation.first().unwrap_or(head + 1);
    let (mut baseline, changed) = simulation.begin();
    // The life under other policies is lived beside the one under those that were, a little behind it.
    let changed = std::thread::scope(|scope| {
        let (send, pages) = sync_channel(PAGES_AHEAD);
        let (hand_on, lived) = sync_channel::<Vec<(Entry, Pace)>>(PAGES_AHEAD);
        let reader = scope.spawn(move || log.read(first - 1..head, &send));
        let beside = changed.map(|mut changed| {
            scope.spawn(move || {
                for (entry, pace) in lived.into_iter().flatten() {
                    changed.relive(&entry, pace);
                }
                changed
            })
        });
        for page in pages {
            let page: Vec<Entry> = page;
            let paces = page.iter().map(|entry| baseline.relive(entry));
            let paces: Vec<Pace> = paces.collect();
            if beside.is_some() && hand_on.send(page.into_iter().zip(paces).collect()).is_err() {
                break;
            }
        }
        drop(hand_on);
        let changed = beside.map(|thread| thread.join().map_err(|_| Failure::internal()));
        let changed = changed.transpose()?;
        reader
            .join()
            .unwrap_or_else(|_| Err(Failure::internal()))
            .map(|()| changed)
    })?;
    Ok(baseline.finish(changed, until))
}

/// A log to be read.
#[derive(Clone, Copy)]
struct Log<'l> {
    store: &'l dyn Store,
    workspace: WorkspaceId,
    /// Whether nobody waits for it any more.
    stop: &'l AtomicBool,
}

impl Log<'_> {
    /// Hands on the entries after the first number, up to and including the second, in pages.
    fn read(&self, seqs: Range<u64>, pages: &SyncSender<Vec<Entry>>) -> Answer<()> {
        let mut after = seqs.start;
        while after < seqs.end {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::internal());
            }
            let rows = self.store.read(self.workspace, after, ENTRIES_AT_A_TIME)?;
            let Some(last) = rows.last().map(|row| row.seq) else {
                return Ok(());
            };
            let read = |row: &Row| {
                Entry::from_bytes(&row.body).map_err(|error| StoreError::Corrupt {
                    workspace: Some(self.workspace),
                    seq: Some(row.seq),
                    entry: Some(row.id),
                    what: error.to_string(),
                })
            };
            let rows = rows.iter().filter(|row| row.seq <= seqs.end);
            let page: Result<Vec<Entry>, StoreError> = rows.map(read).collect();
            if pages.send(page?).is_err() {
                return Ok(());
            }
            after = last;
        }
        Ok(())
    }
}

fn told(report: Report, policies: Vec<String>, engine: Engine, people: &People) -> api::Simulation {
    let count = |wanted: &str| {
        let all = report.differences.iter();
        all.filter(|it| it.effect.as_str() == wanted).count()
    };
    let held = |it: &&Difference| matches!(it.effect, Effect::Stopped | Effect::Delayed(_));
    let bad = |fate: &Fate| fate.rolled_back || fate.status == PromotionStatus::Failed;
    let held_and_bad = report.differences.iter().filter(held);
    let held_and_bad = held_and_bad.filter(|it| it.recorded.as_ref().is_some_and(bad));
    let assumed = report.assumed;
    let differing = report.differences.iter().filter(|it| it.recorded.is_some());
    let left_out = report.unexplained + differing.count();
    let names = Names(engine.state());
    api::Simulation {
        since: report.since.to_string(),
        until: report.until.to_string(),
        policies,
        entries: report.entries,
        promotions: report.promotions,
        unchanged: report.promotions.saturating_sub(left_out),
        stopped: count("stopped"),
        delayed: count("delayed"),
        earlier: count("earlier"),
        let_through: count("letThrough"),
        otherwise: count("otherwise"),
        held_and_bad: held_and_bad.count(),
        differences: report
            .differences
            .iter()
            .take(DIFFERENCES_MAX)
            .map(|it| difference(it, &names, people))
            .collect(),
        differences_left_out: report.differences.len().saturating_sub(DIFFERENCES_MAX),
        assumptions: api::SimulationAssumptions {
            jobs_moved: assumed.moved,
            jobs_repeated: assumed.repeated,
            jobs_assumed: assumed.outcomes,
            measurements_assumed: assumed.measurements,
            acts_dropped: assumed.dropped,
            policy_changes_left_out: assumed.policy_changes,
            entries_unlike: report.unlike,
            unlike_from: report.unlike_from,
            promotions_unexplained: report.unexplained,
        },
    }
}

fn difference(it: &Difference, names: &Names<'_>, people: &People) -> api::SimulatedPromotion {
    let lane = LaneKey {
        deployment: it.deployment.unwrap_or(DeploymentId(Uuid::nil())),
        environment: it.promotion.environment,
    };
    let seconds = match it.effect {
        Effect::Delayed(millis) | Effect::Earlier(millis) => u64::try_from(millis / 1000).ok(),
        Effect::Stopped | Effect::LetThrough | Effect::Otherwise => None,
    };
    let held = it.relived.as_ref().and_then(|fate| fate.held_by.as_ref());
    let held = held.filter(|_| matches!(it.effect, Effect::Stopped | Effect::Delayed(_)));
    let held_by = held.map(|held| {
        let policy = names.0.policies().get(&held.policy);
        let policy = policy.map_or("", |it| it.name.as_str());
        people.tell(&format!("{policy}: {}: {}", held.kind, held.message))
    });
    let fate = |fate: &Fate, recorded: bool| api::SimulatedFate {
        id: recorded.then(|| fate.id.to_string()),
        started_at: fate.started_at.map(|at| at.to_string()),
        ended_at: fate.ended_at.map(|at| at.to_string()),
        status: fate.status.to_string(),
        rolled_back: fate.rolled_back,
    };
    api::SimulatedPromotion {
        deployment: names.deployment(lane),
        environment: names.environment(lane),
        version: names.version(it.promotion.version),
        attempt: it.promotion.attempt,
        effect: it.effect.as_str().to_owned(),
        seconds,
        held_by: held_by.unwrap_or_default(),
        recorded: it.recorded.as_ref().map(|it| fate(it, true)),
        simulated: it.relived.as_ref().map(|it| fate(it, false)),
    }
}
