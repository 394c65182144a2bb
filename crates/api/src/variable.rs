//! Variables: what deployments declare, what sets and resources set, how resources are related, and what comes of it.

use crate::{DeploymentVariableValue, Json, Metadata};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The body of `PUT …/deployment-variables/{variableId}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertDeploymentVariable {
    pub deployment_id: String,
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Ours: where nothing else sets it. Left as it is when absent; taken away by `null`.
    #[serde(
        default,
        rename = "default",
        deserialize_with = "said",
        skip_serializing_if = "Option::is_none"
    )]
    pub default_value: Option<Json>,
}

/// Tells `null` from nothing.
fn said<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

/// The body of `PUT …/deployment-variable-values/{valueId}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertDeploymentVariableValue {
    pub deployment_variable_id: String,
    pub priority: i64,
    /// CEL over `resource`, `environment` and `deployment`; every target when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_selector: Option<String>,
    pub value: Json,
}

impl From<DeploymentVariableValue> for UpsertDeploymentVariableValue {
    fn from(value: DeploymentVariableValue) -> Self {
        Self {
            deployment_variable_id: value.deployment_variable_id,
            priority: value.priority,
            resource_selector: value.resource_selector,
            value: value.value,
        }
    }
}

/// Values for many deployments; each takes what it declares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariableSet {
    pub id: String,
    pub name: String,
    pub description: String,
    /// CEL over `resource`, `environment` and `deployment`.
    pub selector: String,
    pub priority: i64,
    pub created_at: String,
    pub updated_at: String,
    pub variables: Vec<VariableSetVariable>,
}

/// One key of a set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariableSetVariable {
    pub key: String,
    pub value: Json,
}

/// The body of `POST …/variable-sets` and `PUT …/variable-sets/{variableSetId}`. What a `PUT` leaves out stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertVariableSet {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variables: Option<Vec<VariableSetVariable>>,
}

/// A variable of a resource's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceVariable {
    pub resource_id: String,
    pub key: String,
    pub value: Json,
}

/// From which resources a reference leads to which.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelationshipRule {
    pub id: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What values call the resource it leads to.
    pub reference: String,
    /// CEL over `from` and `to`.
    pub cel: String,
    pub metadata: Metadata,
    pub workspace_id: String,
}

/// The body of `POST …/relationship-rules` and `PUT …/relationship-rules/{relationshipRuleId}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertRelationshipRule {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub reference: String,
    pub cel: String,
    #[serde(default)]
    pub metadata: Metadata,
}

/// What a variable came out as on a target, or would now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedVariable {
    pub key: String,
    /// Absent for a secret, and where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Json>,
    /// The name of the secret; its value is nowhere but with whoever carries out jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// `resource`, `value <id> priority <n>`, `set <name>` or `default`; absent where there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What stood in the way of a value that would have come first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What the variables of a release target would come out as now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetVariables {
    pub release_target: crate::ReleaseTarget,
    /// The resource's identifier.
    pub resource: String,
    pub variables: Vec<ResolvedVariable>,
}

/// Values by key, as `PATCH …/resources/identifier/{identifier}/variables` takes them.
pub type ResourceVariables = BTreeMap<String, Json>;
