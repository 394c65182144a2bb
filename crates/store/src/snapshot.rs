//! Snapshots: a workspace's folded state at one durable entry. They only save time.

use crate::Hash;
use sha2::{Digest as _, Sha256};
use stagegate_model::WorkspaceId;

/// Which state a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// Whose state.
    pub workspace: WorkspaceId,
    /// The last entry it contains; must be durable.
    pub seq: u64,
    /// That entry's hash. A snapshot whose entry is not in the log is passed over, so that a log restored
    /// from a backup never meets a snapshot of another history.
    pub entry_hash: Hash,
    /// The version of the body's layout; another one's snapshots are passed over.
    pub schema_version: u32,
}

impl SnapshotHead {
    /// SHA-256 over everything in a snapshot, to be fed its body; kept beside it to recognise damage.
    pub(crate) fn checksum(&self) -> Sha256 {
        let mut hash = Sha256::new();
        hash.update(self.workspace.0.as_bytes());
        hash.update(self.seq.to_be_bytes());
        hash.update(self.entry_hash);
        hash.update(self.schema_version.to_be_bytes());
        hash
    }
}

/// The folded state of a workspace at one entry, whole in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub head: SnapshotHead,
    /// The state, in whatever form its reader understands.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Snapshot {
    /// Leaves the body out: it can be hundreds of megabytes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("head", &self.head)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}
