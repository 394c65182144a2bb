//! Snapshots while the process runs: made from the log alone, beside the threads that decide and write.

use crate::load::{self, LoadError};
use crate::workspace::Workspace;
use crate::{Shared, background, lock};
use stagegate_model::WorkspaceId;
use stagegate_store::Store;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};

/// How many workspaces may wait for a snapshot; one that finds no place asks again with its next entry.
pub(crate) const QUEUED_MAX: usize = 64;

/// Entries between two snapshots, at least: a start reads as many in a fraction of a second.
pub const ENTRIES_PER_SNAPSHOT: u64 = 10_000;

/// A snapshot that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Taken {
    /// The last entry in it.
    pub seq: u64,
    /// How large it is, in bytes.
    pub bytes: u64,
}

/// When a workspace's next snapshot is due: once as many bytes were logged as the last one has, so that making them
/// never costs more than a fixed share of what is written, however large the state is.
#[derive(Clone, Copy, Debug, Default)]
pub struct SnapshotPace {
    last: Taken,
    /// Bytes logged since.
    logged: u64,
    /// None is tried before this entry.
    not_before: u64,
    /// The last durable entry.
    head: u64,
    is_under_way: bool,
}

impl SnapshotPace {
    /// For a workspace that was read back from the snapshot of entry `snapshot` and the log up to `head`.
    #[must_use]
    pub fn at(snapshot: u64, head: u64) -> Self {
        let last = Taken {
            seq: snapshot,
            bytes: 0,
        };
        Self {
            last,
            head,
            not_before: snapshot + ENTRIES_PER_SNAPSHOT,
            ..Self::default()
        }
    }

    /// Whether it was ever said how far the log is.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.head > 0
    }

    /// Counts a durable entry; whether a snapshot is to be made now.
    pub fn written(&mut self, seq: u64, bytes: usize) -> bool {
        self.head = self.head.max(seq);
        self.logged = self
            .logged
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        !self.is_under_way && self.head >= self.not_before && self.logged >= self.last.bytes
    }

    /// One is being made.
    pub fn begun(&mut self) {
        self.is_under_way = true;
        self.logged = 0;
    }

    /// What came of it; one that could not be made is tried again as if it had been.
    pub fn ended(&mut self, taken: Option<Taken>) {
        self.is_under_way = false;
        self.not_before = self.head + ENTRIES_PER_SNAPSHOT;
        if let Some(taken) = taken {
            self.last = taken;
            self.not_before = taken.seq + ENTRIES_PER_SNAPSHOT;
        }
    }

    /// Entries since the last snapshot.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.head.saturating_sub(self.last.seq)
    }
}

/// Makes a snapshot of all that is durable: the last one and the log behind it, folded again.
///
/// # Errors
/// When they cannot be read, do not fold, or the snapshot cannot be written; that only makes the next start slower.
pub fn snapshot_from_log(
    store: &dyn Store,
    workspace: WorkspaceId,
) -> Result<Option<Taken>, LoadError> {
    let shard = load::load(store, workspace)?;
    let Some(head) = shard.head() else {
        return Ok(None);
    };
    let bytes = load::save(store, workspace, shard.engine().state(), head.hash)?;
    Ok(Some(Taken {
        seq: head.seq,
        bytes,
    }))
}

/// Counts a durable entry, and has a snapshot made when one is due.
pub(crate) fn written(
    workspace: &Arc<Workspace>,
    seq: u64,
    bytes: usize,
    queue: &SyncSender<Arc<Workspace>>,
) {
    let mut pace = lock(&workspace.snapshots);
    if !pace.written(seq, bytes) {
        return;
    }
    match queue.try_send(Arc::clone(workspace)) {
        Ok(()) => pace.begun(),
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
    }
}

/// Makes snapshots one after the other, so that no more than one state is in memory twice. They only make a later start
/// faster, so they give way to everything else; while they take longer, more of the log is to be read then.
pub(crate) fn run(shared: &Arc<Shared>, queue: &Receiver<Arc<Workspace>>) {
    background::give_way();
    while let Ok(workspace) = queue.recv() {
        if *shared.stopping.borrow() {
            return;
        }
        let taken = {
            let _making = lock(&shared.snapshotting);
            snapshot_from_log(&*shared.store, workspace.id)
        };
        lock(&workspace.snapshots).ended(taken.ok().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_as_far_apart_as_they_are_large() {
        let mut pace = SnapshotPace::default();
        let (mut logged, mut written) = (0_u64, 0_u64);
        // A state that never stops growing.
        for seq in 1..=200_000_u64 {
            logged += 100;
            if pace.written(seq, 100) {
                pace.begun();
                let bytes = 1_000_000 + seq * 20;
                written += bytes;
                pace.ended(Some(Taken { seq, bytes }));
            }
        }
        assert!(written > 0);
        assert!(
            written <= 2 * logged,
            "{written} bytes of snapshots for {logged} bytes of log"
        );
    }

    #[test]
    fn one_at_a_time_and_none_too_soon() {
        let mut pace = SnapshotPace::at(100, 150);
        assert_eq!(pace.entries(), 50);
        assert!(!pace.written(10_099, 10));
        assert!(pace.written(10_100, 10));
        pace.begun();
        assert!(!pace.written(39_000, 10), "one is under way");
        pace.ended(None);
        assert_eq!(pace.entries(), 38_900, "none was made");
        assert!(!pace.written(39_001, 10));
        assert!(pace.written(49_000, 10), "it is tried again");
    }
}
