//! Workspaces that nobody needs leave memory.
//!
//! What stays is in [`Workspace`]: its head, its keys, and when it is next due. What is noted beside the snapshots lets
//! the next process start without reading its log.

use crate::workspace::{Resting, Workspace};
use crate::{Options, Shared, load, lock, residence, step};
use stagegate_model::Timestamp;
use stagegate_store::Rest;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, TryLockError};
use std::time::Duration;

/// How often it is looked who can leave, at least.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(30);
/// The same while there are too many.
const LOOK_EVERY_WHILE_CROWDED: Duration = Duration::from_secs(1);
/// The same, at most.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(20);
/// One that is due sooner stays.
const SOON: Duration = Duration::from_secs(60);
/// Those noted in one transaction.
const NOTED_AT_A_TIME: usize = 256;
/// The task of a workspace that waits for its log to go on, to tell of it; more who wait are listeners.
const OWN_LISTENERS: usize = 1;

/// Has workspaces leave until the process stops.
pub(crate) fn run(shared: &Arc<Shared>, asked: &Receiver<()>) {
    let rest_after = shared.options.rest_after;
    let every = rest_after.map_or(LOOK_EVERY_MAX, |after| {
        (after / 4).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX)
    });
    loop {
        let is_crowded =
            shared.loads.in_memory.load(Ordering::Relaxed) > shared.options.in_memory_max;
        let every = match is_crowded {
            true => every.min(LOOK_EVERY_WHILE_CROWDED),
            false => every,
        };
        if let Err(RecvTimeoutError::Disconnected) = asked.recv_timeout(every) {
            return;
        }
        if *shared.stopping.borrow() {
            return;
        }
        if let Some(rest_after) = rest_after {
            sweep(shared, rest_after);
        }
        shared.loads.swept.send_modify(|times| *times += 1);
    }
}

/// Has all leave that were not needed for so long; of too many, also those that were not needed for the longest.
fn sweep(shared: &Shared, rest_after: Duration) {
    let now = shared.clock.now();
    let in_memory = shared.loads.in_memory.load(Ordering::Relaxed);
    let mut excess = in_memory.saturating_sub(shared.options.in_memory_max.saturating_sub(1));
    let mut live: Vec<(u64, Arc<Workspace>)> = shared
        .all()
        .into_iter()
        .filter(|it| it.residence.is_live() && !it.residence.is_pinned())
        .map(|it| (it.residence.used_at(), it))
        .collect();
    live.sort_by_key(|(used_at, _)| *used_at);
    let clock = residence::millis();
    let mut rests = Vec::new();
    for (used_at, workspace) in live {
        let unused = Duration::from_millis(clock.saturating_sub(used_at));
        if unused < rest_after && excess == 0 {
            break;
        }
        if let Some(rest) = leave(shared, &workspace, now) {
            rests.push(rest);
            excess = excess.saturating_sub(1);
        }
        if rests.len() >= NOTED_AT_A_TIME {
            note(shared, &std::mem::take(&mut rests));
        }
    }
    note(shared, &rests);
}

/// What cannot be noted is found out again by the next process.
fn note(shared: &Shared, rests: &[Rest]) {
    if !rests.is_empty() {
        let _ = shared.store.put_rests(rests);
    }
}

/// Takes a workspace out of memory if nothing is to be done there and nobody needs it.
fn leave(shared: &Shared, workspace: &Arc<Workspace>, now: Timestamp) -> Option<Rest> {
    // Who brings it into memory just now needs it.
    let _moving = workspace.residence.moving.try_lock().ok()?;
    let rest = at_rest(workspace, now)?;
    let soon = SOON.min(shared.options.rest_after.unwrap_or(SOON));
    let soon = now.plus_millis(i64::try_from(soon.as_millis()).unwrap_or(i64::MAX));
    if rest.due_at.is_some_and(|at| at < soon) || has_listeners(workspace) {
        return None;
    }
    let resting = Resting {
        hash: rest.entry_hash,
        due_at: rest.due_at,
    };
    let shard = workspace.take(resting)?;
    // A command may have come and gone since it was looked at.
    let is_same = workspace.is_durable(shard.seen()) && shard.at_rest(now).as_ref() == Some(&rest);
    if !(is_same && is_short(shared, workspace, &shard)) || workspace.residence.is_pinned() {
        workspace.put(shard);
        // Whatever the deciding thread has missed meanwhile.
        shared.look_at(workspace);
        return None;
    }
    shared.loads.left();
    workspace.residence.set_told(0);
    // They find nothing to do, and the state at rest.
    drop(workspace.residence.end_tasks());
    Some(rest)
}

/// What is to be remembered of a workspace, if all is durable and everybody was told.
fn at_rest(workspace: &Workspace, now: Timestamp) -> Option<Rest> {
    let (rest, seen) = workspace.with(|live| Some((live.at_rest(now)?, live.seen())))??;
    let is_told = workspace.residence.told() >= rest.seq;
    (is_told && workspace.is_durable(seen)).then_some(rest)
}

fn has_listeners(workspace: &Workspace) -> bool {
    workspace.durable.receiver_count() > OWN_LISTENERS || workspace.job_listeners() > 0
}

/// Whether reading it back is a short way; makes a snapshot if it were not, unless it had to wait for another: whoever
/// needs the workspace meanwhile would wait as well.
fn is_short(shared: &Shared, workspace: &Workspace, shard: &step::Shard) -> bool {
    let entries = lock(&workspace.snapshots).entries();
    if entries < step::ENTRIES_PER_LAST_SNAPSHOT {
        return true;
    }
    if matches!(
        shared.snapshotting.try_lock(),
        Err(TryLockError::WouldBlock)
    ) {
        return false;
    }
    let Some(head) = shard.head() else {
        return false;
    };
    let state = shard.engine().state();
    let Ok(bytes) = load::save(&*shared.store, workspace.id, state, head.hash) else {
        return false;
    };
    let seq = head.seq;
    lock(&workspace.snapshots).ended(Some(crate::snapshot::Taken { seq, bytes }));
    true
}

/// Notes those at rest when the process stops; nothing is decided or written any more.
pub(crate) fn note_all(shared: &Shared) {
    let now = shared.clock.now();
    let live = shared.all();
    let rests: Vec<Rest> = live.iter().filter_map(|it| at_rest(it, now)).collect();
    for rests in rests.chunks(NOTED_AT_A_TIME) {
        note(shared, rests);
    }
}

impl Options {
    /// How many workspaces stay in memory, unless more are needed at the same time.
    pub const IN_MEMORY_MAX: usize = 1_000;
    /// After how long without use a workspace leaves memory.
    pub const REST_AFTER: Duration = Duration::from_secs(15 * 60);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Controller, SystemClock};
    use stagegate_model::{Actor, Command, Role, UserId, WorkspaceId};
    use stagegate_store::{SqliteStore, Store};
    use uuid::Uuid;

    #[tokio::test]
    async fn who_goes_to_rest_does_not_wait_for_a_snapshot_that_is_being_made() {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
        let stays = Options {
            rest_after: None,
            ..Options::default()
        };
        let controller = Controller::start_with(store, Arc::new(SystemClock), stays).unwrap();
        let id = WorkspaceId(Uuid::now_v7());
        controller.create_workspace(id, "w", "w").await.unwrap();
        for _ in 0..step::ENTRIES_PER_LAST_SNAPSHOT {
            let (user, role) = (UserId(Uuid::now_v7()), Role::Viewer);
            let command = Command::CreateUser { id: user, role };
            let submitted = controller.submit(id, Actor::System, command, Vec::new());
            submitted.await.unwrap();
        }
        let shared = &controller.shared;
        let workspace = shared.find(id).unwrap();
        let short = || workspace.with(|live| is_short(shared, &workspace, live));
        let making = lock(&shared.snapshotting);
        assert_eq!(short(), Some(false));
        assert!(lock(&workspace.snapshots).entries() > 0, "none was made");
        drop(making);
        assert_eq!(short(), Some(true));
        assert_eq!(lock(&workspace.snapshots).entries(), 0);
        controller.shutdown().await;
    }
}
