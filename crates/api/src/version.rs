//! Versions: builds of a deployment, as CI announces them.

use crate::{JobLimitsSpec, Json, JsonMap, Metadata};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A build of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentVersion {
    pub id: String,
    pub deployment_id: String,
    pub tag: String,
    pub name: String,
    pub config: Json,
    pub job_agent_config: Json,
    /// `unspecified`, `building`, `ready`, `failed`, `rejected` or `paused`.
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    pub created_at: String,
    /// Ours: limits of its jobs, fixed at creation; only `startDeadlineSeconds` and `runTimeoutSeconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_limits: Option<JobLimitsSpec>,
}

/// A version and what it needs on the same resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentVersionWithDependencies {
    #[serde(flatten)]
    pub version: DeploymentVersion,
    /// By the id of the deployment that is needed.
    #[serde(default)]
    pub dependencies: BTreeMap<String, VersionDependency>,
}

/// Which versions of another deployment satisfy a dependency; also the body of
/// `PUT …/deployment-versions/{id}/dependencies/{deploymentId}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionDependency {
    /// CEL over `version` and `deployment`, of what is needed.
    pub version_selector: String,
}

/// What a version needs of one deployment, as `GET …/deployment-versions/{id}/dependencies` lists it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentVersionDependency {
    pub deployment_version_id: String,
    pub dependency_deployment_id: String,
    pub version_selector: String,
}

/// The body of `POST …/deployments/{deploymentId}/versions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateVersion {
    pub tag: String,
    /// The tag when empty.
    #[serde(default, deserialize_with = "crate::null::as_default")]
    pub name: String,
    #[serde(default, deserialize_with = "crate::null::as_default")]
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<JsonMap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_agent_config: Option<JsonMap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// RFC 3339; now when absent; never in the future.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<BTreeMap<String, VersionDependency>>,
    /// Ours: limits of its jobs, fixed at creation; only `startDeadlineSeconds` and `runTimeoutSeconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_limits: Option<JobLimitsSpec>,
}

/// The body of `PATCH …/deploymentversions/{id}`; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateVersion {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<JsonMap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_agent_config: Option<JsonMap>,
    /// Laid over what is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}
