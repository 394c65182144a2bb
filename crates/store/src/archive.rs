//! What has ended and left memory: finished jobs, old releases, ended promotions, verifications.

use uuid::Uuid;

/// One record of the archive, keyed by (workspace, kind, id).
///
/// Archiving the same key again replaces the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveRecord {
    /// `job`, `release`, `promotion`, `verification`…
    pub kind: String,
    /// Its id.
    pub id: Uuid,
    /// The release target it belongs to, if any.
    pub target: Option<String>,
    /// Its number on that target (a release's number), by which the target's records are listed.
    pub number: Option<u64>,
    /// What it belongs to (a job's release or promotion), if anything.
    pub parent: Option<Uuid>,
    /// The entry that archived it.
    pub seq: u64,
    /// Its canonical JSON.
    pub body: Vec<u8>,
}

/// Where a listing of the archive goes on: the last record seen.
///
/// `rank` is what the list is ordered by (the number on the target, or the seq that archived it); the id
/// decides among equals, because one entry may archive thousands of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last record's rank.
    pub rank: u64,
    /// The last record's id.
    pub id: Uuid,
}

impl ArchiveRecord {
    /// The cursor behind this record in a listing of its target; no number counts as 0.
    #[must_use]
    pub fn cursor_of_target(&self) -> Cursor {
        Cursor {
            rank: self.number.unwrap_or(0),
            id: self.id,
        }
    }

    /// The cursor behind this record in a listing of the most recent.
    #[must_use]
    pub fn cursor_of_recent(&self) -> Cursor {
        Cursor {
            rank: self.seq,
            id: self.id,
        }
    }
}
