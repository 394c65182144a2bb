//! Documents: what `apply` takes and answers.

use crate::Json;
use serde::{Deserialize, Serialize};

/// The body of `POST …/apply`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Apply {
    pub files: Vec<ApplyFile>,
}

/// A file of one or more YAML documents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyFile {
    /// As the person knows it; appears in errors.
    pub name: String,
    pub text: String,
}

/// What applying did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyReport {
    pub documents: Vec<AppliedDocument>,
    /// The log entry that recorded it; the last one when nothing changed or on a dry run.
    pub seq: u64,
}

/// One document and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedDocument {
    /// `Environment`, `Policy`, …
    pub kind: String,
    pub name: String,
    pub file: String,
    /// Where the document starts, from 1.
    pub line: usize,
    /// `created`, `changed` or `unchanged`.
    pub action: String,
    #[serde(default)]
    pub fields: Vec<FieldChange>,
}

/// One field that differs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// Such as `rules[0].anyApproval.minApprovals`.
    pub path: String,
    #[serde(default)]
    pub from: Json,
    #[serde(default)]
    pub to: Json,
}
