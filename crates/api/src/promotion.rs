//! Promotions: one version moving into one environment.

use crate::{Gate, Job, Verification};
use serde::{Deserialize, Serialize};

/// One version moving into one environment. Its id is the correlation id of all that belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    pub id: String,
    pub version: VersionRef,
    pub deployment: DeploymentRef,
    pub environment: EnvironmentRef,
    /// From 1 for each version and environment.
    pub attempt: u32,
    /// `waiting`, `deploying`, `verifying`, `succeeded`, `failed`, `rolledBack`, `superseded`, `rejected`,
    /// `expired` or `cancelled`.
    pub status: String,
    pub opened_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Why it ended as it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The tag of the newer version that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<String>,
    pub gates: Vec<Gate>,
    pub targets: TargetCounts,
}

impl Promotion {
    /// Whether it can still change.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "waiting" | "deploying" | "verifying")
    }
}

/// A version, named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionRef {
    pub id: String,
    pub tag: String,
}

/// A deployment, named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRef {
    pub id: String,
    pub name: String,
    pub slug: String,
}

/// An environment, named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentRef {
    pub id: String,
    pub name: String,
}

/// How a promotion's targets stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetCounts {
    pub total: usize,
    pub pending: usize,
    pub running: usize,
    pub verifying: usize,
    pub succeeded: usize,
    pub failed: usize,
}

/// A promotion with its history.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromotionDetail {
    #[serde(flatten)]
    pub promotion: Promotion,
    /// Oldest first.
    pub timeline: Vec<TimelineEvent>,
    pub jobs: Vec<Job>,
    pub verifications: Vec<Verification>,
}

/// One thing that happened to a promotion.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimelineEvent {
    pub at: String,
    /// The log entry it is from.
    pub seq: u64,
    /// The fact's type: `promotionOpened`, `gateChanged`, `jobsCreated`, …
    pub kind: String,
    /// Who did it, in words: a user's name or `stagegate`.
    pub actor: String,
    pub text: String,
}

/// The query of `GET …/promotions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromotionsQuery {
    /// A deployment's slug or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// An environment's name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// A version's tag or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Only those that can still change, or only those that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
}
