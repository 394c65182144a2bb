//! Why a version is, or is not, in an environment.

use crate::{DeploymentRef, EnvironmentRef, Gate, VersionRef};
use serde::{Deserialize, Serialize};

/// The answer to "why is this not in production, and when will it be?".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    pub deployment: DeploymentRef,
    pub environment: EnvironmentRef,
    pub version: VersionRef,
    /// The promotion's id, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<String>,
    /// The promotion's status, or the reason there is none.
    pub status: String,
    /// One sentence.
    pub summary: String,
    pub gates: Vec<Gate>,
    pub targets: Vec<WhyTarget>,
    /// When everything passes, where only time is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest: Option<String>,
}

/// How one target stands towards the version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyTarget {
    /// The resource's name.
    pub resource: String,
    /// The tag it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The tag it was last given, whatever became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<String>,
    /// `pending`, `running`, `verifying`, `retrying`, `succeeded`, `failed`, `held`, `newer` or `blocked`.
    pub state: String,
    /// What its latest release was, where not in the ordinary course: `redeploy`, `rollback` or `breakGlass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Rules that are asked for each target, as they stand for this one while it may still get the version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// What its latest release was told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<crate::ResolvedVariable>,
}

/// The query of `GET …/why`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyQuery {
    /// A deployment's slug or id.
    pub deployment: String,
    /// An environment's name or id.
    pub environment: String,
    /// A version's tag or id; the newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}
