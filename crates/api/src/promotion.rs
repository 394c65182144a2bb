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
    /// Why it was opened, where not in the ordinary course: `redeploy`, `rollback` or `breakGlass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A person put the version on a target past the gates.
    #[serde(default, skip_serializing_if = "is_false")]
    pub break_glass: bool,
    /// No further target starts until a person resumes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Standstill>,
    /// Nothing new starts with the version in the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<Standstill>,
    /// How far its gradual rollouts are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollouts: Vec<RolloutProgress>,
}

pub(crate) fn is_false(it: &bool) -> bool {
    !it
}

pub(crate) fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Since when and why something stands still.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standstill {
    pub since: String,
    pub reason: String,
}

/// How far a gradual rollout is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutProgress {
    pub rule_id: String,
    /// How many targets are released, of how many.
    pub released: usize,
    pub total: usize,
    /// Which wave, from 1, of how many.
    pub wave: usize,
    pub waves: usize,
    pub started_at: String,
    /// When time releases the next target; absent where something else has to happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
    /// How many targets failed since it began or was resumed.
    pub failures: usize,
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
    /// Their job failed and is tried again; counted under `pending` too.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retrying: usize,
    /// Rolled back and waiting for something newer; counted under `pending` too.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held: usize,
    /// Releases of the promotion that were rolled back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rolled_back: usize,
}

/// A promotion with its history.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromotionDetail {
    #[serde(flatten)]
    pub promotion: Promotion,
    /// Oldest first.
    pub timeline: Vec<TimelineEvent>,
    /// A page of its jobs, oldest first.
    pub jobs: Vec<Job>,
    /// Where the next page of jobs begins: to be sent as `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_job: Option<String>,
    /// Those of the jobs that are told.
    pub verifications: Vec<Verification>,
}

/// The query of `GET …/promotions/{promotionId}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromotionQuery {
    /// How many jobs are told, 1 to 1000; 50 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// A job's id: only jobs behind it are told, as [`PromotionDetail::next_job`] says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
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
