//! Snapshots: a workspace's folded state at one durable entry. They only save time.

use crate::Hash;
use sha2::{Digest as _, Sha256};
use stagegate_model::WorkspaceId;

/// The folded state of a workspace at one entry.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose state.
    pub workspace: WorkspaceId,
    /// The last entry it contains; must be durable.
    pub seq: u64,
    /// That entry's hash. A snapshot whose entry is not in the log is passed over, so that a log restored
    /// from a backup never meets a snapshot of another history.
    pub entry_hash: Hash,
    /// The version of the body's layout; another one's snapshots are passed over.
    pub schema_version: u32,
    /// The state, in whatever form its reader understands.
    pub body: Vec<u8>,
}

impl Snapshot {
    /// SHA-256 over everything in the snapshot; kept beside it to recognise damage.
    pub(crate) fn checksum(&self) -> Hash {
        let mut hash = Sha256::new();
        hash.update(self.workspace.0.as_bytes());
        hash.update(self.seq.to_be_bytes());
        hash.update(self.entry_hash);
        hash.update(self.schema_version.to_be_bytes());
        hash.update(&self.body);
        hash.finalize().into()
    }
}

impl std::fmt::Debug for Snapshot {
    /// Leaves the body out: it can be hundreds of megabytes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("workspace", &self.workspace)
            .field("seq", &self.seq)
            .field("schema_version", &self.schema_version)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
