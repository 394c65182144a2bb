//! The log's rows and what rides along when one is appended.

use crate::{ArchiveRecord, SideWrite};
use sha2::{Digest as _, Sha256};
use stagegate_model::{EntryId, Timestamp, WorkspaceId};
use std::borrow::Cow;
use uuid::Uuid;

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// What the first row of a log names as its predecessor's hash.
pub const GENESIS_HASH: Hash = [0; 32];

/// The largest body of one entry or archive record, in bytes. Entries are meant to be about 1 MiB at
/// most; this is the backstop that keeps a page of rows within memory.
pub const ENTRY_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One entry of a workspace's log as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose log.
    pub workspace: WorkspaceId,
    /// Position in the log; the first is 1 and there are no gaps.
    pub seq: u64,
    /// The entry's id. Not covered by `hash` unless the body repeats it; see [`crate::verify_chain`].
    pub id: EntryId,
    /// The entry's time. Not covered by `hash` unless the body repeats it.
    pub time: Timestamp,
    /// Canonical JSON of the entry, without the hashes.
    pub body: Vec<u8>,
    /// `hash` of the row before, or [`GENESIS_HASH`].
    pub prev_hash: Hash,
    /// [`entry_hash`] of `prev_hash` and `body`.
    pub hash: Hash,
}

impl Row {
    /// The row that follows `head` (`None`: the first of its log), with its hash computed.
    #[must_use]
    pub fn following(
        head: Option<&Head>,
        workspace: WorkspaceId,
        id: EntryId,
        time: Timestamp,
        body: Vec<u8>,
    ) -> Self {
        let prev_hash = head.map_or(GENESIS_HASH, |head| head.hash);
        Self {
            workspace,
            seq: head.map_or(0, |head| head.seq).saturating_add(1),
            id,
            time,
            hash: entry_hash(&prev_hash, &body),
            body,
            prev_hash,
        }
    }

    /// This row as the head of its log.
    #[must_use]
    pub fn head(&self) -> Head {
        Head {
            seq: self.seq,
            id: self.id,
            hash: self.hash,
            time: self.time,
        }
    }
}

/// The last entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its position.
    pub seq: u64,
    /// Its id.
    pub id: EntryId,
    /// Its hash.
    pub hash: Hash,
    /// Its time.
    pub time: Timestamp,
}

/// The hash of an entry: SHA-256 of the previous entry's hash followed by this one's body.
#[must_use]
pub fn entry_hash(prev_hash: &Hash, body: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(prev_hash);
    hash.update(body);
    hash.finalize().into()
}

/// Something an entry touches, for audit queries: a promotion, version, environment, policy or actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityRef {
    /// `promotion`, `version`, `environment`, `policy`, `actor`…
    pub kind: Cow<'static, str>,
    /// Its id.
    pub id: Uuid,
}

impl EntityRef {
    /// A reference to the `kind` with this id.
    #[must_use]
    pub fn new(kind: impl Into<Cow<'static, str>>, id: impl Into<Uuid>) -> Self {
        Self {
            kind: kind.into(),
            id: id.into(),
        }
    }
}

/// One entry to append, with everything that must become durable together with it.
#[derive(Clone, Debug)]
pub struct Append {
    /// The entry; must follow the head of its log.
    pub row: Row,
    /// The epoch of the lease under which it was decided. Not looked at in a workspace that never had
    /// a lease.
    pub epoch: u64,
    /// What the entry touches; repetitions are harmless.
    pub touches: Vec<EntityRef>,
    /// What leaves memory for the archive with this entry.
    pub archive: Vec<ArchiveRecord>,
    /// Changes to side tables that belong to this entry.
    pub side: Vec<SideWrite>,
}

impl Append {
    /// Appends `row` under `epoch`, with nothing riding along.
    #[must_use]
    pub fn new(row: Row, epoch: u64) -> Self {
        Self {
            row,
            epoch,
            touches: Vec::new(),
            archive: Vec::new(),
            side: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_covers_predecessor_and_body() {
        // SHA-256 of 32 zero bytes followed by `{}`, computed with another implementation.
        let hash = entry_hash(&GENESIS_HASH, b"{}");
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "fb1634c4e6cd4b1f1afe3ce2d6ef080f7ac5d1f357d723ad4dfca782733b62db"
        );
        assert_ne!(hash, entry_hash(&[1; 32], b"{}"));
        assert_ne!(hash, entry_hash(&GENESIS_HASH, b"{ }"));
    }
}
