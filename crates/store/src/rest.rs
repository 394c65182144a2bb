//! Workspaces at rest: what a process knows of one without folding its log.

use crate::Hash;
use sha2::{Digest as _, Sha256};
use stagegate_model::{Timestamp, WorkspaceId};

/// That nothing is to be done in a workspace before a moment, as long as its log does not go on. Like a snapshot it
/// only saves time: whoever does not find it, or doubts it, folds the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Whose.
    pub workspace: WorkspaceId,
    /// The last entry when it came to rest. What is said here holds for no other head.
    pub seq: u64,
    /// That entry's hash.
    pub entry_hash: Hash,
    /// Which program said so; another one may decide otherwise.
    pub said_by: String,
    /// When time alone may change something; `None` for never.
    pub due_at: Option<Timestamp>,
}

impl Rest {
    /// SHA-256 over everything in it; kept beside it to recognise damage.
    pub(crate) fn checksum(&self) -> Hash {
        let mut hash = Sha256::new();
        hash.update(self.workspace.0.as_bytes());
        hash.update(self.seq.to_be_bytes());
        hash.update(self.entry_hash);
        hash.update([u8::from(self.due_at.is_some())]);
        hash.update(self.due_at.unwrap_or_default().0.to_be_bytes());
        hash.update(self.said_by.as_bytes());
        hash.finalize().into()
    }
}
