//! Jobs: attempts to bring a target to a release. What agents speak.

use crate::{
    Deployment, DeploymentVersion, Environment, JobAgent, Json, Metadata, Release, Resource,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One attempt to bring a target to a release, done by a job agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub id: String,
    pub release_id: String,
    pub job_agent_id: String,
    pub job_agent_config: Json,
    /// What the agent calls its run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// `pending`, `queued`, `inProgress`, `actionRequired`, `successful`, `failure`, `cancelled`, `skipped`,
    /// `invalidJobAgent`, `invalidIntegration` or `externalRunNotFound`.
    pub status: String,
    #[serde(default)]
    pub metadata: Metadata,
    pub created_at: String,
    pub updated_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatch_context: Option<DispatchContext>,
    /// Ours: what the agent last said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Ours: the runner that holds the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// Ours: which attempt at its release, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Ours: why it was created, where not in the ordinary course: `retry`, `redeploy`, `rollback` or `breakGlass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Ours: the promotion it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion_id: Option<String>,
    /// Ours: the last lines of its output, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tail: Option<String>,
}

impl Job {
    /// Whether nothing can follow its status.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        !matches!(
            self.status.as_str(),
            "pending" | "queued" | "inProgress" | "actionRequired"
        )
    }
}

/// Everything an agent needs to carry out a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DispatchContext {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<DeploymentVersion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    pub job_agent: JobAgent,
    /// The agent's, the deployment's and the version's configuration, merged and rendered.
    pub job_agent_config: Json,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variables: Option<BTreeMap<String, Json>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Json>,
    /// Ours: the promotion the job belongs to; the correlation id of everything about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion_id: Option<String>,
    /// Ours: W3C trace context that continues the promotion's trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Ours: which attempt at its release, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Ours: grows with each claim of the job; what an older claim says is late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
}

/// A job with what it is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobWithRelease {
    pub job: Job,
    pub release: Release,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
}

/// The query of `GET …/job-agents/{jobAgentId}/jobs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentJobsQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_dispatch_context: Option<bool>,
    /// Ours: the most seconds the server holds the request open when no job matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
    /// Ours: who asks. With any status but `pending`, only jobs this runner claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
}

/// The optional body of `POST …/jobs/{jobId}/claim`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimJob {
    /// Who claims. The same runner asking again gets the same claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
}

/// The body of `PUT …/jobs/{jobId}/status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobReport {
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The runner that holds the claim; a report by another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// The last lines of output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tail: Option<String>,
}
