//! A log entry: one transaction, the cause and all that was decided because of it.

use crate::{EntryId, Fact, KeyId, Timestamp, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};

/// The meaning of rules under which this binary decides. Raised only by a fact, never by an upgrade alone.
pub const SEMANTICS_VERSION: u32 = 1;

/// One entry of a workspace's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub workspace: WorkspaceId,
    /// From 1, without gaps.
    pub seq: u64,
    pub id: EntryId,
    /// Never earlier than the previous entry's.
    pub time: Timestamp,
    pub actor: Actor,
    pub cause: Cause,
    /// [`SEMANTICS_VERSION`] of the binary that decided.
    pub semantics: u32,
    pub facts: Vec<Fact>,
}

impl Entry {
    /// The bytes that are stored and hashed: JSON with fields in order of declaration and sorted maps.
    ///
    /// # Panics
    /// Never: every part of an entry has string keys.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are no entry this binary knows.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Actor {
    /// A person, through one of their keys.
    #[serde(rename_all = "camelCase")]
    User { user: UserId, key: KeyId },
    /// Stagegate itself: timers, measurements, start-up.
    System,
}

impl Actor {
    /// The person, if it is one.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::User { user, .. } => Some(*user),
            Self::System => None,
        }
    }
}

/// Why the entry was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Cause {
    /// A command; its name.
    Command { name: String },
    /// Time passed.
    Timer,
    /// What an earlier entry left to decide.
    Continued { of: EntryId },
}
