//! Lanes: a deployment in an environment, with its targets and how each version stands there.

use serde::{Deserialize, Serialize};
use stagegate_model::{
    Block, DeploymentId, EnvironmentId, GateRecord, GateState, JobId, JobStatus, Order,
    PromotionId, ReleaseId, ResourceId, RuleId, TargetKey, Timestamp, VersionId, VersionOrder,
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
    /// How many targets have this floor; kept by the fold.
    pub by_floor: BTreeMap<Option<VersionOrder>, u32>,
    /// What targets are to be brought to outside the ordinary course, until it has begun.
    pub orders: BTreeMap<ResourceId, Order>,
    /// Targets whose latest release is tried again.
    pub retries: BTreeMap<ResourceId, Retry>,
    /// Targets that were rolled back and take nothing that is not newer than what failed.
    pub held: BTreeMap<ResourceId, Held>,
    /// Targets with an active job.
    pub active: BTreeSet<ResourceId>,
    /// What is kept of targets that have left, for when they come back.
    pub left: BTreeMap<ResourceId, Left>,
    /// Open promotions of this lane.
    pub open: BTreeSet<PromotionId>,
    /// Ended promotions still in memory, oldest first.
    pub ended: Vec<PromotionId>,
    /// When time alone may change a decision here; set by settling, not by facts.
    pub next_at: Option<Timestamp>,
    /// Whether a target here waits for jobs elsewhere to end; set by settling.
    pub waits_for_others: bool,
    /// Resources of which it was asked here what other deployments have there; set by settling.
    pub asked_about: BTreeSet<ResourceId>,
}

impl Lane {
    /// How many targets could still be moved forward to a version of that order.
    #[must_use]
    pub fn behind(&self, order: VersionOrder) -> u32 {
        self.by_floor
            .range(..Some(order))
            .map(|(_, count)| count)
            .sum()
    }
}

/// What is kept of a target that has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// The number of its last release, so that they go on.
    pub number: u64,
    /// What was deployed there last, so that what replaces it is seen to.
    pub deployed: Option<VersionId>,
}

/// A release whose job failed and that is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    pub release: ReleaseId,
    pub version: VersionId,
    pub attempt: u32,
    pub at: Timestamp,
}

/// Why a target takes part in no automatic deployment until something newer comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    pub since: Timestamp,
    /// The version it was rolled back from.
    pub from: VersionId,
    pub reason: String,
}

/// A release that succeeded on a target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Good {
    pub release: ReleaseId,
    pub number: u64,
    pub version: VersionId,
}

/// One release target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub joined_at: Timestamp,
    /// The number of the latest release, 0 before the first.
    pub number: u64,
    pub latest: Option<ReleaseId>,
    pub latest_order: Option<VersionOrder>,
    /// Only what is newer starts here by itself: the newest version that was brought here, also when it was rolled
    /// back since.
    pub floor: Option<VersionOrder>,
    /// The latest [`Target::GOOD_KEPT`] releases that succeeded and were not rolled back, of different versions,
    /// oldest first.
    pub good: Vec<Good>,
    /// The last release that succeeded.
    pub current: Option<ReleaseId>,
    /// The version whose job was the last to succeed here, whatever its verification said.
    pub deployed: Option<VersionId>,
    /// What was deployed here last before it left and came back, until something else is.
    pub before: Option<VersionId>,
    /// The release whose job was the last to succeed here, whatever its verification said.
    pub brought: Option<ReleaseId>,
    /// The job that keeps the target busy, until it and its verifications ended.
    pub active: Option<JobId>,
    /// Why what should start here cannot.
    pub block: Option<Block>,
    /// Its selectors no longer match; it leaves when it is free.
    pub leaving: bool,
}

impl Target {
    /// How many good releases a target keeps for going back; older ones are in the archive.
    pub const GOOD_KEPT: usize = 5;
}

/// Since when and why something stands still.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standstill {
    pub since: Timestamp,
    pub reason: String,
}

/// A gradual rollout that has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    pub started_at: Timestamp,
    /// What the clock showed when each wave that has begun did, in milliseconds.
    pub begun: Vec<i64>,
    /// By wave, the targets in their order, as they were when it began.
    pub waves: Vec<Vec<ResourceId>>,
    /// Where each of them is: its wave and its place there.
    pub places: BTreeMap<ResourceId, (u32, u32)>,
}

/// Counts the time in which a rollout may go on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// Milliseconds counted before `running_since`.
    pub elapsed: i64,
    pub running_since: Option<Timestamp>,
    /// When the gates that let it run are known to close.
    pub until: Option<Timestamp>,
}

impl Clock {
    /// What it shows, in milliseconds.
    #[must_use]
    pub fn reading(&self, now: Timestamp) -> i64 {
        let running = self.running_since.map_or(0, |since| {
            let end = self.until.map_or(now, |until| until.min(now));
            end.millis_since(since).max(0)
        });
        self.elapsed + running
    }
}

/// How a version stands in an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// The latest attempt.
    pub promotion: Option<PromotionId>,
    pub attempts: u32,
    /// Rules that stay passed, with the time at which each was satisfied.
    pub latched: BTreeMap<RuleId, Timestamp>,
    /// Rules that were set aside when the rollout began, with since when.
    pub skipped: BTreeMap<RuleId, Timestamp>,
    /// The gates as last recorded.
    pub gates: BTreeMap<RuleId, GateRecord>,
    /// Since when each of them stands as it does, for the reason that is on record.
    pub gates_since: BTreeMap<RuleId, Timestamp>,
    /// What became of this version on the targets, by resource; also of targets that have left.
    pub results: BTreeMap<ResourceId, Success>,
    /// Targets on which the verification of its latest job failed.
    pub failed_verifications: BTreeSet<ResourceId>,
    /// Targets on which it failed, by whatever way, since the rollout began or was resumed.
    pub failures: BTreeSet<ResourceId>,
    pub quarantined: Option<Standstill>,
    /// A person ended its promotion.
    pub cancelled: Option<Standstill>,
    /// Nobody approved in time.
    pub expired: Option<Standstill>,
    /// No further target is released, until a person resumes it.
    pub paused: Option<Standstill>,
    pub rollouts: BTreeMap<RuleId, Rollout>,
    pub clock: Option<Clock>,
}

impl Track {
    /// Takes a gate on record as it stands from `now` on.
    pub(crate) fn record(&mut self, gate: &GateRecord, now: Timestamp) {
        if gate.state == GateState::Gone {
            self.gates.remove(&gate.rule);
            self.gates_since.remove(&gate.rule);
            return;
        }
        let known = self.gates.insert(gate.rule, gate.clone());
        let same = |known: &GateRecord| (known.state, &known.code) == (gate.state, &gate.code);
        // When it opens, or whom it waits for, may change while it waits for the same reason.
        if !known.is_some_and(|known| same(&known)) {
            self.gates_since.insert(gate.rule, now);
        }
    }

    /// Since when a rule stands so on record; `None` when what is on record is something else.
    #[must_use]
    pub fn since(&self, rule: RuleId, state: GateState, code: &str) -> Option<Timestamp> {
        let known = self.gates.get(&rule)?;
        let same = (known.state, known.code.as_str()) == (state, code);
        self.gates_since.get(&rule).copied().filter(|_| same)
    }
}

/// How the latest job of a version ended on a target, and how long the version has been there since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Success {
    pub status: JobStatus,
    pub completed_at: Timestamp,
    pub verified: Verified,
    /// When another version's job succeeded on the target.
    pub replaced_at: Option<Timestamp>,
    /// It was rolled back since.
    pub rolled_back: bool,
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
