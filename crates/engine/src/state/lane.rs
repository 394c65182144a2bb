//! Lanes: a deployment in an environment, with its targets and how each version stands there.

use serde::{Deserialize, Serialize};
use stagegate_model::{
    Block, DeploymentId, EnvironmentId, GateRecord, JobId, JobStatus, PromotionId, ReleaseId,
    ResourceId, RuleId, TargetKey, Timestamp, VersionId, VersionOrder,
};
use std::collections::{BTreeMap, BTreeSet};

/// A deployment in an environment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct LaneKey {
    pub deployment: DeploymentId,
    pub environment: EnvironmentId,
}

impl LaneKey {
    #[must_use]
    pub fn target(self, resource: ResourceId) -> TargetKey {
        TargetKey {
            resource,
            environment: self.environment,
            deployment: self.deployment,
        }
    }
}

impl From<TargetKey> for LaneKey {
    fn from(key: TargetKey) -> Self {
        Self {
            deployment: key.deployment,
            environment: key.environment,
        }
    }
}

/// The targets of a deployment in an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    pub targets: BTreeMap<ResourceId, Target>,
    /// How many targets have this version as their latest release's; kept by the fold.
    pub by_latest: BTreeMap<Option<VersionOrder>, u32>,
    /// Open promotions of this lane.
    pub open: BTreeSet<PromotionId>,
    /// Ended promotions still in memory, oldest first.
    pub ended: Vec<PromotionId>,
    /// When time alone may change a decision here; set by settling, not by facts.
    pub next_at: Option<Timestamp>,
}

impl Lane {
    /// How many targets could still be moved forward to a version of that order.
    #[must_use]
    pub fn behind(&self, order: VersionOrder) -> u32 {
        self.by_latest
            .range(..Some(order))
            .map(|(_, count)| count)
            .sum()
    }
}

/// One release target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub joined_at: Timestamp,
    /// The number of the latest release, 0 before the first.
    pub number: u64,
    pub latest: Option<ReleaseId>,
    pub latest_order: Option<VersionOrder>,
    /// The last release that succeeded.
    pub current: Option<ReleaseId>,
    /// The version whose job was the last to succeed here, whatever its verification said.
    pub deployed: Option<VersionId>,
    /// The job that keeps the target busy, until it and its verifications ended.
    pub active: Option<JobId>,
    /// Why what should start here cannot.
    pub block: Option<Block>,
    /// Its selectors no longer match; it leaves when it is free.
    pub leaving: bool,
}

/// How a version stands in an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// The latest attempt.
    pub promotion: Option<PromotionId>,
    pub attempts: u32,
    /// Rules that stay passed, with the time at which each was satisfied.
    pub latched: BTreeMap<RuleId, Timestamp>,
    /// The gates as last recorded.
    pub gates: BTreeMap<RuleId, GateRecord>,
    /// What became of this version on the targets, by resource; also of targets that have left.
    pub results: BTreeMap<ResourceId, Success>,
    /// Verifications here that failed for good.
    pub failed_verifications: u32,
}

/// How the latest job of a version ended on a target, and how long the version has been there since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Success {
    pub status: JobStatus,
    pub completed_at: Timestamp,
    pub verified: Verified,
    /// When another version's job succeeded on the target.
    pub replaced_at: Option<Timestamp>,
}

/// What verification said of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verified {
    /// None was configured.
    NotAsked,
    /// Running, or waiting for a person.
    Pending,
    Passed(Timestamp),
    Failed,
}
