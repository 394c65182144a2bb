//! Telling people what happened.
//!
//! One task follows a workspace's durable log by a cursor ([`follow`]) and notes for each notifier what it is to
//! be told; a task of its own for each notifier delivers ([`work`]), so that a slow one holds up no other. The
//! cursor moves in the transaction that notes what was found, and a delivery is forgotten only once it has
//! arrived or was given up: after a crash a message may be told twice, never not at all.

mod compose;
mod events;
mod follow;
mod names;
mod pace;
mod sight;
mod words;
mod work;

pub use pace::Pace;

use crate::reads::For;
use crate::residence::Ending;
use crate::workspace::Workspace;
use crate::{Controller, ReadError};
use sight::Trouble;
use stagegate_integrations::notify::DeliveryError;
use stagegate_model::{NotifierId, WorkspaceId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

/// Messages that wait for one notifier, at most; further ones are given up, with a record.
pub const DELIVERIES_PENDING_MAX: u64 = 10_000;
/// How long to wait when storage fails.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// The longest sleep, should a wake-up be lost.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// A notifier's task.
struct Worker {
    wake: Arc<Notify>,
    task: AbortHandle,
}

/// Tells of the workspace's log until it leaves memory or the process stops; what is being delivered then is still
/// recorded.
pub(crate) async fn run(controller: Controller, workspace: Arc<Workspace>, mut ending: Ending) {
    let mut durable = workspace.durable.subscribe();
    let mut cursor = follow::Cursor::default();
    let mut workers: BTreeMap<NotifierId, Worker> = BTreeMap::new();
    let mut tasks: JoinSet<()> = JoinSet::new();
    loop {
        let head = durable.borrow_and_update().seq;
        // After the look at the head: an entry made since it came back into memory is told by those who came with it.
        if ending.is_now() {
            break;
        }
        let (following, at) = (Arc::clone(&workspace), cursor.clone());
        let (base_url, now) = (controller.base_url(), controller.now());
        let store = Arc::clone(controller.store());
        let followed = blocking(&controller, move || {
            let sight = sight::Sight::new(&following, &*store, base_url);
            follow::follow(&sight, at, head, now)
        });
        let mut pause = SLEEP_MAX;
        let mut is_idle = false;
        match followed.await {
            Ok(followed) => {
                cursor = followed.cursor;
                is_idle = cursor.is_idle() && followed.notifiers.is_empty();
                workers.retain(|_, worker| !worker.task.is_finished());
                for id in followed.notifiers {
                    let worker = workers.entry(id).or_insert_with(|| {
                        let wake = Arc::new(Notify::new());
                        let (controller, workspace) = (controller.clone(), Arc::clone(&workspace));
                        let working =
                            work::run(controller, workspace, id, Arc::clone(&wake), ending.clone());
                        let task = tasks.spawn(working);
                        Worker { wake, task }
                    });
                    if followed.found.contains(&id) {
                        worker.wake.notify_one();
                    }
                }
                let told = match followed.all_told {
                    false => 0,
                    // It is not woken by further entries, and there is nobody to be told of them.
                    true if is_idle => u64::MAX,
                    true => head,
                };
                workspace.residence.set_told(told);
                if followed.more {
                    pause = Duration::ZERO;
                }
            }
            Err(_) => pause = TRY_AGAIN,
        }
        tokio::select! {
            () = ending.wait() => break,
            // While there never was anybody to be told, not every entry need be looked at.
            _ = durable.changed(), if !is_idle => {}
            () = workspace.to_tell.notified() => {}
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Work that blocks, away from the threads that serve requests. A panic inside is trouble like any other.
async fn blocking<T: Send + 'static>(
    controller: &Controller,
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    match controller.in_turn(For::Task, work).await {
        Ok(done) => done,
        Err(_) => Err(Trouble),
    }
}

impl Controller {
    /// Sends a test message to a notifier, at once and once; `None` when there is no such notifier.
    ///
    /// # Errors
    /// When the workspace cannot be read.
    pub async fn test_notifier(
        &self,
        workspace: WorkspaceId,
        id: NotifierId,
    ) -> Result<Option<Result<(), DeliveryError>>, ReadError> {
        let found = self
            .read(workspace, move |engine| {
                let state = engine.state();
                let slug = state.workspace().map(|info| info.slug.clone());
                let notifier = state.notifiers().get(&id).cloned();
                notifier.map(|notifier| (notifier, slug.unwrap_or_default()))
            })
            .await?;
        let Some((notifier, slug)) = found else {
            return Ok(None);
        };
        let (now, base_url) = (self.now(), self.base_url());
        let message = compose::test_message(workspace, &slug, &notifier, now, base_url.as_deref());
        let delivered = self
            .deliverer()
            .deliver(&notifier.kind, &notifier.config, message, now.0 / 1000)
            .await;
        Ok(Some(delivered))
    }
}
