//! Job agents: what carries out jobs.

use crate::{Json, JsonMap, Metadata};
use serde::{Deserialize, Serialize};

/// What carries out jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobAgent {
    pub id: String,
    pub name: String,
    /// Which integration: `exec`, …
    #[serde(rename = "type")]
    pub kind: String,
    pub config: Json,
    pub metadata: Metadata,
}

/// The body of `PUT …/job-agents/{jobAgentId}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertJobAgent {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, deserialize_with = "crate::null::as_default")]
    pub config: JsonMap,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}
