//! Job agents: what carries out jobs.

use crate::{Json, JsonMap, Metadata};
use serde::{Deserialize, Serialize};

/// What carries out jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobAgent {
    pub id: String,
    pub name: String,
    /// Which integration: `exec`, …
    #[serde(rename = "type")]
    pub kind: String,
    pub config: Json,
    pub metadata: Metadata,
    /// Ours: limits of the jobs it does, where neither deployment nor version says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_limits: Option<JobLimitsSpec>,
}

/// The body of `PUT …/job-agents/{jobAgentId}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertJobAgent {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, deserialize_with = "crate::null::as_default")]
    pub config: JsonMap,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_limits: Option<JobLimitsSpec>,
}

/// How long a job may wait, run and be silent, as far as it is said here; the rest comes from the next level.
/// A version's wins over its deployment's, that over its agent's, that over the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobLimitsSpec {
    /// A job that no runner has claimed after that long fails. 1 s to 30 days, by default 24 h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_deadline_seconds: Option<u64>,
    /// A job that runs longer is stopped and fails. 1 s to 30 days, by default 2 h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_timeout_seconds: Option<u64>,
    /// A runner that is silent for that long has lost its job. 5 s to 1 h, by default 30 s. Agents only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u64>,
    /// How long a lost runner may come back, and how long one may take to confirm a cancel. 0 to 24 h, by default
    /// 60 s. Agents only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u64>,
    /// What follows when it did not come back: `fail` (default) or `requeue`. Agents only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_lost_lease: Option<String>,
}

/// The limits of one job, everything resolved when it was created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobLimits {
    pub start_deadline_seconds: u64,
    pub run_timeout_seconds: u64,
    pub lease_seconds: u64,
    pub grace_seconds: u64,
    /// `requeue` or `fail`.
    pub on_lost_lease: String,
}
