//! The log, as events and as audit.

use crate::Json;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One log entry: the cause and all that was decided because of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub workspace: String,
    /// From 1, without gaps.
    pub seq: u64,
    pub id: String,
    pub time: String,
    /// `{kind: user, user, key}` or `{kind: system}`.
    pub actor: Json,
    /// `{kind: command, name}`, `{kind: timer}` or `{kind: continued, of}`.
    pub cause: Json,
    pub semantics: u32,
    /// Each with its `type`.
    pub facts: Vec<Json>,
    /// Of a very large entry that is not told whole: what is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// Covers this entry and, through the previous one's, all before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_hash: Option<String>,
}

/// What is left out of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// So many facts, behind those that are told.
    pub facts: usize,
    /// By the place of a fact that is told, from 0: so many members of its lists (jobs, resources).
    pub listed: BTreeMap<usize, usize>,
}

/// A page of the audit trail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// In order of their sequence numbers.
    pub entries: Vec<Entry>,
    /// How many match on all pages, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// There may be more: where it goes on, as the next `before` where the query has that alone, else as the next
    /// `after`. A page of large entries has fewer of them than were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// The query of `GET …/audit`. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditQuery {
    /// Only entries after this sequence number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Only entries before this sequence number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Very large entries whole; else they are told in short, see [`Entry::left_out`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// Whether the log is what was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditVerification {
    pub ok: bool,
    /// How many entries were checked.
    pub entries: u64,
    pub head: LogHead,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<BrokenEntry>,
}

/// The end of the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogHead {
    pub seq: u64,
    pub hash: String,
}

/// The first entry that is not what was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokenEntry {
    pub seq: u64,
    pub entry_id: String,
    pub what: String,
}
