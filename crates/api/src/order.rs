//! Orders of persons that depart from the ordinary course: redeploy, rollback, hold, quarantine, break glass.

use crate::{
    DeploymentRef, DeploymentVersion, EnvironmentRef, Json, ReleaseTarget, VersionRef, null,
};
use serde::{Deserialize, Serialize};

/// The body of `POST …/release-targets/redeploy` and `…/release-hold`.
///
/// The targets are named one by one, or are those of a deployment in an environment, on the named resources or on
/// all. What is named one by one is done whole or not at all; of an environment, what cannot be moved stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderTargets {
    /// Keys of release targets: `resourceId-environmentId-deploymentId`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// A deployment's slug, id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// An environment's name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Identifiers or ids of resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    #[serde(default, deserialize_with = "null::as_default")]
    pub reason: String,
    /// Says what it would do and does nothing.
    #[serde(default, deserialize_with = "null::as_default")]
    pub dry_run: bool,
}

/// The body of `POST …/release-targets/rollback`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    #[serde(default, deserialize_with = "null::as_default")]
    pub reason: String,
    #[serde(default, deserialize_with = "null::as_default")]
    pub dry_run: bool,
    /// To what; the last good release before what each target has, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<RollbackTo>,
}

/// Which earlier release to go back to. It must have succeeded on the very target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RollbackTo {
    /// The release's number on the target.
    Number(u64),
    /// A version's tag, a release's id, or `#3` for its number; a tag goes before a number.
    Named(String),
}

/// The body of `POST …/release-targets/break-glass`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlass {
    /// A version's id, or its tag.
    pub version: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    #[serde(default, deserialize_with = "null::as_default")]
    pub reason: String,
    #[serde(default, deserialize_with = "null::as_default")]
    pub dry_run: bool,
}

/// What an order did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderReport {
    /// Nothing was done.
    pub dry_run: bool,
    /// Targets that are moved, or would be.
    pub targets: Vec<OrderedTarget>,
    /// Targets that stay as they are, and why.
    pub left: Vec<LeftTarget>,
}

/// A target that is moved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderedTarget {
    pub release_target: ReleaseTarget,
    /// The resource's name.
    pub resource: String,
    pub environment: EnvironmentRef,
    /// What it has: its latest release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ReleaseRef>,
    /// What it is brought to; for a rollback the release it goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ReleaseRef>,
}

/// A target that stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftTarget {
    pub release_target: ReleaseTarget,
    /// The resource's name.
    pub resource: String,
    pub environment: EnvironmentRef,
    /// An error code.
    pub code: String,
    pub message: String,
}

/// A release, named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseRef {
    /// Absent where the release is still to be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    pub version: VersionRef,
}

/// A version with which nothing new starts in an environment, as `GET …/quarantine` lists them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantine {
    pub deployment: DeploymentRef,
    pub environment: EnvironmentRef,
    pub version: VersionRef,
    pub since: String,
    pub reason: String,
    /// How many targets there have the version all the same.
    pub targets: usize,
}

/// The body of `POST …/quarantine/clear`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClearQuarantine {
    /// A deployment's slug, id or name.
    pub deployment: String,
    /// An environment's name or id.
    pub environment: String,
    /// A version's tag or id.
    pub version: String,
    pub reason: String,
}

/// The body of `POST …/promotions/{id}/cancel`, `reopen`, `pause` and `resume`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromotionAct {
    #[serde(default, deserialize_with = "null::as_default")]
    pub reason: String,
}

/// A release of a target, with how it came about and how it ended, as the lists of releases have it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseRecord {
    pub id: String,
    /// 1, 2, 3… per target.
    pub number: u64,
    pub release_target: ReleaseTarget,
    /// The resource's name.
    pub resource: String,
    pub environment: EnvironmentRef,
    pub version: VersionRef,
    /// `pending`, `running`, `succeeded`, `failed`, `rolledBack` or `cancelled`.
    pub status: String,
    /// `forward`, `redeploy`, `rollback` or `breakGlass`.
    pub kind: String,
    /// The release that this one undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<ReleaseRef>,
    /// What gave rise to it, where that was not the ordinary course: `person`, `jobFailed`, `verificationFailed`,
    /// `versionRejected`, `failureBudget` or `configurationChanged`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Why it was ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_reason: Option<String>,
    /// Who had it made, in words: a user's name or `stagegate`.
    pub by: String,
    /// Whether the target has it now.
    pub current: bool,
    pub promotion_id: String,
    /// What its variables came out as when it was created.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<crate::ResolvedVariable>,
    /// Its latest job.
    pub job_id: String,
    pub created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Why it ended as it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The query of `GET …/deployments/{id}/releases`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleasesQuery {
    /// An environment's name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// A resource's identifier or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
}

/// A release beside the one before it on the target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseDiff {
    pub release: ReleaseRecord,
    /// Absent for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ReleaseRecord>,
    /// What differs, in order of the paths.
    pub changes: Vec<ConfigChange>,
}

/// One value that differs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigChange {
    /// `version.tag`, `version.config.image`, `jobConfig.replicas`…
    pub path: String,
    /// Absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Json>,
}

/// A version after a change of it, as `PATCH …/deploymentversions/{id}` answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangedVersion {
    #[serde(flatten)]
    pub version: DeploymentVersion,
    /// How many targets go back to an earlier release because the version was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_targets: Option<usize>,
}
