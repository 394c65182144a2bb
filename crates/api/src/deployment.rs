//! Deployments: things that are deployed.

use crate::{JobLimitsSpec, Json, JsonMap, Metadata, System};
use serde::{Deserialize, Serialize};

/// A thing that is deployed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    pub id: String,
    pub name: String,
    pub slug: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// CEL over `resource` and `deployment`; absent selects nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_selector: Option<String>,
    /// CEL over `jobAgent`; exactly one agent must match when a job is created.
    pub job_agent_selector: String,
    /// Laid over the agent's own config.
    pub job_agent_config: Json,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Ours: limits of its jobs; only `startDeadlineSeconds` and `runTimeoutSeconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_limits: Option<JobLimitsSpec>,
    /// Ours: its targets get their version again, through every gate, when what their configuration is made of
    /// changes. False when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeploy_on_variable_change: Option<bool>,
}

/// A deployment and the systems it belongs to, as lists carry it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentAndSystems {
    pub deployment: Deployment,
    pub systems: Vec<System>,
}

/// One deployment with all that belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentWithVariablesAndSystems {
    pub deployment: Deployment,
    pub systems: Vec<System>,
    #[serde(default)]
    pub variables: Vec<DeploymentVariableWithValues>,
}

/// A variable that a release resolves for its target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentVariable {
    pub id: String,
    pub deployment_id: String,
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Ours: where nothing else sets it.
    #[serde(default, rename = "default", skip_serializing_if = "Option::is_none")]
    pub default_value: Option<Json>,
}

/// One of a variable's values; the matching one of the highest priority counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentVariableValue {
    pub id: String,
    pub deployment_variable_id: String,
    pub priority: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_selector: Option<String>,
    pub value: Json,
}

/// A variable and its values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentVariableWithValues {
    pub variable: DeploymentVariable,
    pub values: Vec<DeploymentVariableValue>,
}

/// The body of `POST …/deployments` and `PUT …/deployments/{deploymentId}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertDeployment {
    pub name: String,
    pub slug: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_selector: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_agent_selector: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_agent_config: Option<JsonMap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Ours: limits of its jobs; only `startDeadlineSeconds` and `runTimeoutSeconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_limits: Option<JobLimitsSpec>,
    /// Ours: its targets get their version again, through every gate, when what their configuration is made of
    /// changes. False when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeploy_on_variable_change: Option<bool>,
}
