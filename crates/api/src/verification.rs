//! Verifications: measurements judged against conditions.

use crate::Json;
use serde::{Deserialize, Serialize};

/// Measurements taken for a job, and their verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    pub id: String,
    pub job_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion_id: Option<String>,
    /// `passed`, `running`, `inconclusive`, `error`, `failed` or `cancelled`.
    pub status: String,
    /// `jobCreated`, `jobStarted`, `jobSuccess` or `jobFailure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_on: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub metrics: Vec<VerificationMetric>,
    pub created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    /// The person who decided, where measurements could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// The verification this one runs again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<String>,
}

/// One metric: how it is measured and judged, and what was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationMetric {
    pub name: String,
    /// `{type: http, url: …}`, with everything resolved and secrets left out.
    pub provider: Json,
    pub interval_seconds: u32,
    pub count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_condition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_condition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_threshold: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_threshold: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_delay_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inconclusive_threshold: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_error_threshold: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Ours: the metric's own verdict, in the words of a verification's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    pub measurements: Vec<Measurement>,
}

/// One measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// `passed`, `failed`, `inconclusive` or `error`.
    pub status: String,
    pub measured_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
}

/// The body of `POST …/verifications/{id}/decide`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecideVerification {
    pub pass: bool,
    pub reason: String,
}

/// The body of `POST …/verifications/{id}/rerun`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RerunVerification {
    pub reason: String,
}
