//! Why a job was started, from the log.

use crate::{DeploymentRef, EnvironmentRef, Json, VersionRef};
use serde::{Deserialize, Serialize};

/// Why a job was started: what is on record of that moment, whatever has changed since.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobWhy {
    pub job: String,
    pub deployment: DeploymentRef,
    pub environment: EnvironmentRef,
    pub version: VersionRef,
    /// The resource's name.
    pub resource: String,
    pub promotion: String,
    pub release: String,
    /// The release's number on its target.
    pub number: u64,
    /// `forward`, `retry`, `redeploy`, `rollback` or `breakGlass`.
    pub kind: String,
    /// Which try of its release it is, from 1.
    pub attempt: u32,
    /// How the job stands now.
    pub status: String,
    /// Who or what started it, in one sentence.
    pub summary: String,
    /// The entry that created it.
    pub started: PastEntry,
    /// The entry before, where the one that created it only went on with what that had left over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_in_motion: Option<PastEntry>,
    /// The order it carried out, of one that was not begun in the ordinary course.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<PastOrder>,
    /// The try before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_before: Option<PastTry>,
    /// Whether the gates were asked: a rollback and breaking the glass go past them.
    pub gates_asked: bool,
    /// The gates of the version in the environment, as they were on record.
    pub gates: Vec<PastGate>,
    /// The votes on the version there, as they were on record, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<PastVote>,
    /// Where the target stood in the gradual rollouts that had begun.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollouts: Vec<PastTurn>,
    /// False where entries before were too many, or too new for this server, so that something may be missing.
    pub complete: bool,
}

/// An entry of the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastEntry {
    pub seq: u64,
    pub at: String,
    /// A user's name, or `stagegate`.
    pub actor: String,
    /// `command`, `timer` or `continued`.
    pub cause: String,
    /// The command's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// What a target was ordered to be brought to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastOrder {
    pub seq: u64,
    pub at: String,
    /// `person`, `jobFailed`, `verificationFailed`, `versionRejected`, `failureBudget` or `configurationChanged`.
    pub cause: String,
    pub reason: String,
    /// The person who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// An earlier try of the same release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastTry {
    pub job: String,
    /// Absent where the job is not known any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A gate as it was on record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastGate {
    pub rule_id: String,
    pub policy_id: String,
    /// The policy's name then.
    pub policy_name: String,
    pub kind: String,
    /// `allow`, `wait` or `deny`.
    pub state: String,
    pub code: String,
    pub message: String,
    /// Whom it waited for, of an approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub who: Vec<String>,
    /// Since when it stood so, for that reason.
    pub since: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub satisfied_at: Option<String>,
    /// When time alone would have opened it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The entry that has it so.
    pub seq: u64,
    /// It had passed for good before, or did with this start.
    pub latched: bool,
    /// It opened in the very entry that created the job.
    pub opened_last: bool,
    /// The rule as it was written then, with persons by name; absent where that is not on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Json>,
}

/// A vote as it was on record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastVote {
    pub user_id: String,
    pub user_name: String,
    /// `approved`, `rejected` or `withdrawn`.
    pub vote: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    pub at: String,
    pub seq: u64,
}

/// Where a target stood in a gradual rollout, all from 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastTurn {
    pub rule_id: String,
    pub wave: usize,
    pub waves: usize,
    pub position: usize,
    /// How many targets the wave has.
    pub size: usize,
    pub started_at: String,
}
