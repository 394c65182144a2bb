//! What runs and ends: promotions, releases, jobs, verifications.

use serde::{Deserialize, Serialize};
use stagegate_model::{
    CancelCause, DeploymentId, EnvironmentId, JobAgentId, JobExit, JobId, JobLimits, JobStatus,
    Json, MeasurementStatus, OrderCause, PackedJson, PlannedMetric, PromotionId, PromotionStatus,
    ReleaseId, ReleaseStatus, StartKind, TargetKey, Timestamp, UserId, Variables, VerificationId,
    VerificationStatus, VerificationTrigger, VersionId,
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// One version moving into one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    pub id: PromotionId,
    pub version: VersionId,
    pub deployment: DeploymentId,
    pub environment: EnvironmentId,
    pub attempt: u32,
    pub previous: Option<PromotionId>,
    pub status: PromotionStatus,
    pub opened_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub reason: String,
    pub superseded_by: Option<VersionId>,
    /// Why it was opened.
    pub kind: StartKind,
    /// Whether a person put its version on a target past the gates.
    #[serde(default)]
    pub break_glass: bool,
    /// Jobs under way.
    pub running: u32,
    /// Jobs that succeeded and whose verification has not ended.
    pub verifying: u32,
    /// Releases whose job failed and that are tried again.
    pub retrying: u32,
    /// Releases of it that were rolled back.
    pub rolled_back: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub cancelled: u32,
}

impl Promotion {
    /// Whether a job was ever created for it.
    #[must_use]
    pub fn started(&self) -> bool {
        self.is_under_way() || self.succeeded + self.failed + self.cancelled > 0
    }

    /// Whether something of it has begun and not ended.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.running + self.verifying + self.retrying > 0
    }
}

/// A version on one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    pub id: ReleaseId,
    pub target: TargetKey,
    pub number: u64,
    pub version: VersionId,
    pub promotion: PromotionId,
    /// Its latest job; there are several when it was tried again.
    pub job: JobId,
    pub kind: StartKind,
    /// The release that this one undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<ReleaseId>,
    /// What its variables came out as when it was created.
    #[serde(default, skip_serializing_if = "Variables::is_empty")]
    pub variables: Variables,
    /// The order that it carries out, if it was not begun in the ordinary course.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<Box<Ordered>>,
    pub status: ReleaseStatus,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub reason: String,
}

/// What gave rise to a release outside the ordinary course.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ordered {
    pub cause: OrderCause,
    pub reason: String,
    /// The person who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
}

/// One attempt to bring a target to a release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub id: JobId,
    pub release: ReleaseId,
    pub promotion: PromotionId,
    pub target: TargetKey,
    pub version: VersionId,
    pub agent: JobAgentId,
    pub attempt: u32,
    /// Why it was created.
    #[serde(default)]
    pub kind: StartKind,
    pub status: JobStatus,
    #[serde(default)]
    pub limits: JobLimits,
    /// Which runner holds it.
    pub runner: Option<String>,
    /// Grows with every claim, and when a claim is taken away.
    pub epoch: u64,
    /// Whether the runner has to be heard of from time to time.
    #[serde(default)]
    pub lease: bool,
    /// Set while the runner is not heard of.
    #[serde(default)]
    pub lost: Option<Box<Lost>>,
    /// How often it was taken from a lost runner.
    #[serde(default)]
    pub requeues: u32,
    /// Set from when it was asked to stop.
    #[serde(default)]
    pub cancel: Option<Box<Cancel>>,
    /// What its agent is told, rendered.
    pub config: PackedJson,
    pub message: String,
    pub external_id: Option<String>,
    pub output_tail: Option<String>,
    #[serde(default)]
    pub exit: Option<Box<JobExit>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[expect(
        clippy::box_collection,
        reason = "most jobs have none, and an empty map takes three words"
    )]
    pub(crate) links: Option<Box<BTreeMap<String, String>>>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When it first started, by whichever runner.
    pub started_at: Option<Timestamp>,
    /// Since when it waits for a runner.
    #[serde(default)]
    pub waiting_since: Timestamp,
    /// Since when it runs with the runner that has it.
    #[serde(default)]
    pub running_since: Option<Timestamp>,
    /// When time alone ends it or has it asked to stop; in [`State::wakes`](super::State) too.
    #[serde(default)]
    pub wake_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    /// Its verifications; a re-run stands behind the one it runs again.
    pub verifications: Vec<VerificationId>,
}

impl Job {
    /// Where more is to be seen of it, by name.
    #[must_use]
    pub fn links(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.links.as_deref().unwrap_or(&NONE)
    }
}

/// That a job's runner is not heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lost {
    /// When it was given up.
    pub at: Timestamp,
    /// When it was last heard of, as far as is known.
    pub since: Timestamp,
}

/// That a job was asked to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancel {
    pub cause: CancelCause,
    pub reason: String,
    pub at: Timestamp,
    pub by: Option<UserId>,
}

/// A run of measurements for a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    pub id: VerificationId,
    pub job: JobId,
    pub trigger: VerificationTrigger,
    pub metrics: Vec<MetricRun>,
    pub status: VerificationStatus,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub reason: String,
    pub decided_by: Option<UserId>,
    pub rerun_of: Option<VerificationId>,
}

/// A metric with what was measured so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricRun {
    #[serde(flatten)]
    pub planned: PlannedMetric,
    /// How many measurements were taken.
    pub taken: u32,
    pub passed: u32,
    pub failed: u32,
    pub inconclusive: u32,
    pub errors: u32,
    pub consecutive_passes: u32,
    pub consecutive_errors: u32,
    pub last: Option<MeasurementStatus>,
    pub last_at: Option<Timestamp>,
    /// The latest [`MetricRun::KEPT`] measurements; all are in the log.
    pub measurements: Vec<Measurement>,
}

impl MetricRun {
    /// How many measurements a metric keeps in memory.
    pub const KEPT: usize = 20;

    #[must_use]
    pub fn new(planned: PlannedMetric) -> Self {
        Self {
            planned,
            taken: 0,
            passed: 0,
            failed: 0,
            inconclusive: 0,
            errors: 0,
            consecutive_passes: 0,
            consecutive_errors: 0,
            last: None,
            last_at: None,
            measurements: Vec::new(),
        }
    }
}

/// One measurement, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    pub ordinal: u32,
    pub status: MeasurementStatus,
    pub message: String,
    pub data: Json,
    pub measured_at: Timestamp,
}

/// Something that ended and left memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Archived {
    /// `promotion`, `release`, `job` or `verification`; [`Archived::UNDONE`] for what became of a release since.
    pub kind: &'static str,
    pub id: Uuid,
    /// The release target, where it has one.
    pub target: Option<TargetKey>,
    /// The release's number on its target.
    pub number: Option<u64>,
    /// A job's promotion; a verification's job; a promotion's environment.
    pub parent: Option<Uuid>,
    /// The thing itself, as JSON text.
    pub body: String,
}

impl Archived {
    /// The record beside a release's own, by the release's id, once it was rolled back after it had left memory.
    pub const UNDONE: &'static str = "undone";
}

/// What has left memory and is not written yet. Only who writes it makes text of it: a log that is folded anew does not.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    Promotion(Box<Promotion>),
    Release(Box<Release>),
    Job(Box<Job>),
    Verification(Box<Verification>),
    /// It had left memory before.
    Undone(ReleaseId),
}

impl Ended {
    pub fn archived(&self) -> Archived {
        match self {
            Self::Promotion(it) => Archived {
                kind: "promotion",
                id: it.id.0,
                target: None,
                number: None,
                parent: Some(it.environment.0),
                body: json(it),
            },
            Self::Release(it) => Archived {
                kind: "release",
                id: it.id.0,
                target: Some(it.target),
                number: Some(it.number),
                parent: Some(it.promotion.0),
                body: json(it),
            },
            Self::Job(it) => Archived {
                kind: "job",
                id: it.id.0,
                target: Some(it.target),
                number: None,
                parent: Some(it.promotion.0),
                body: json(it),
            },
            Self::Verification(it) => Archived {
                kind: "verification",
                id: it.id.0,
                target: None,
                number: None,
                parent: Some(it.job.0),
                body: json(it),
            },
            Self::Undone(id) => Archived {
                kind: Archived::UNDONE,
                id: id.0,
                target: None,
                number: None,
                parent: None,
                body: json(&BTreeMap::from([("status", ReleaseStatus::RolledBack)])),
            },
        }
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Many wait at the same time; what few of them have is kept apart.
    #[test]
    fn a_job_that_waits_takes_little() {
        assert!(size_of::<Job>() <= 448, "{}", size_of::<Job>());
        assert!(size_of::<Release>() <= 224, "{}", size_of::<Release>());
    }
}
