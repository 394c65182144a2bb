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
    /// What it would do at once; only of a dry run that would change something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effects: Option<Effects>,
}

/// What a change of configuration would do at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Effects {
    pub targets_joining: Vec<TargetsEffect>,
    pub targets_leaving: Vec<TargetsEffect>,
    /// Gates that would open or shut for versions that wait somewhere, or are there.
    pub gates: Vec<GateEffect>,
    /// Jobs that would start at once.
    pub jobs: Vec<JobsEffect>,
    /// Targets that would be brought to another release as soon as they may be.
    pub orders: Vec<JobsEffect>,
    pub promotions_ending: Vec<PromotionEffect>,
    /// Whether more would follow than is told.
    pub more: bool,
}

/// Targets of a deployment in an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetsEffect {
    pub deployment: String,
    pub environment: String,
    pub count: usize,
    /// Identifiers of their resources; the first of them, where there are many.
    pub resources: Vec<String>,
}

/// A gate that would stand otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateEffect {
    pub deployment: String,
    pub environment: String,
    pub version: String,
    pub policy: String,
    /// The rule's kind.
    pub rule: String,
    /// `open`, `shut`, or `none` where there was no such gate.
    pub from: String,
    /// `open`, `shut`, or `none` where there would be none any more.
    pub to: String,
    /// Why it would stand so; of one that goes, why it stood as it did.
    pub message: String,
}

/// Jobs of a version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobsEffect {
    pub deployment: String,
    pub environment: String,
    pub version: String,
    /// `forward`, `retry`, `redeploy`, `rollback` or `breakGlass`.
    pub kind: String,
    pub count: usize,
    /// Identifiers of the resources; the first of them, where there are many.
    pub resources: Vec<String>,
}

/// A promotion that would end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromotionEffect {
    pub id: String,
    pub deployment: String,
    pub environment: String,
    pub version: String,
    pub status: String,
    pub reason: String,
}

impl Effects {
    /// Whether nothing would happen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
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
