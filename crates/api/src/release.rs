//! Releases: what a target was given.

use crate::{DeploymentVersion, Json, ReleaseTarget};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An immutable snapshot of a version and its variables for one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Ours: 1, 2, 3… per target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Ours: `pending`, `running`, `succeeded`, `failed`, `rolledBack` or `cancelled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Ours: `redeploy`, `rollback` or `breakGlass`; absent in the ordinary course.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Ours: the id of the release that this one undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<String>,
    pub version: DeploymentVersion,
    pub release_target: ReleaseTarget,
    pub variables: BTreeMap<String, Json>,
    /// Those of which only the name of a secret is known.
    pub encrypted_variables: Vec<String>,
    /// Ours: what each came out as, and where from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved_variables: Vec<crate::ResolvedVariable>,
    pub created_at: String,
}
