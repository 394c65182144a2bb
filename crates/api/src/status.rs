//! The workspace at a glance: what runs where, and what is on its way.

use crate::TargetCounts;
use serde::{Deserialize, Serialize};

/// The workspace at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub deployments: Vec<DeploymentStatus>,
    /// The last log entry this shows.
    pub seq: u64,
}

/// One deployment's environments and versions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentStatus {
    pub deployment: crate::DeploymentRef,
    pub environments: Vec<EnvironmentStatus>,
    /// Newest first.
    pub versions: Vec<VersionStatusRow>,
}

/// What runs in one environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentStatus {
    pub id: String,
    pub name: String,
    /// How many targets the deployment has there.
    pub targets: usize,
    pub current: Vec<TagCount>,
    /// Targets that were rolled back and take nothing by themselves until something newer comes.
    #[serde(default, skip_serializing_if = "crate::promotion::is_zero")]
    pub held: usize,
    /// Targets whose latest release went past the gates.
    #[serde(default, skip_serializing_if = "crate::promotion::is_zero")]
    pub break_glass: usize,
}

/// How many targets run a version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TagCount {
    pub tag: String,
    pub count: usize,
}

/// A version and where it stands in each environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionStatusRow {
    pub id: String,
    pub tag: String,
    pub status: String,
    pub created_at: String,
    /// In the order of the deployment's environments.
    pub cells: Vec<StatusCell>,
}

/// One version in one environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusCell {
    pub environment_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion_id: Option<String>,
    /// The promotion's status; empty when there is none.
    pub status: String,
    pub reason: String,
    pub targets: TargetCounts,
    /// What else is to be known: `breakGlass`, `quarantined`, `paused`, `retrying`, `rollback`, `redeploy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<String>,
}
