//! Jobs: attempts to bring a target to a release. What agents speak.

use crate::{
    Deployment, DeploymentVersion, Environment, JobAgent, JobLimits, Json, Metadata, Release,
    Resource,
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
    /// Ours: grows with each claim, and when the claim is taken away; what an older claim says is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Ours: how long it may wait, run and be silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<JobLimits>,
    /// Ours: since when nothing is heard of its runner; its outcome is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<String>,
    /// Ours: that it was asked to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<JobCancel>,
    /// Ours: how its process ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<JobExit>,
    /// Ours: where to read more, by label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
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
    /// Ours: by the mark that stands in the configuration, the name of the secret that belongs there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
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
    /// Ours: the epoch of the claim; a report of an older claim is refused with `lease_lost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Ours: how the process ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<JobExit>,
    /// Ours: where to read more, by label; at most 20 `http` or `https` addresses of 2 KiB each.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "crate::null::as_default"
    )]
    pub links: BTreeMap<String, String>,
}

/// That a job was asked to stop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobCancel {
    /// `person` or `timeout`.
    pub cause: String,
    #[serde(default)]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<String>,
    /// The id of the person who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
}

/// How a job's process ended; one of the two is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobExit {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Such as `SIGKILL` or `9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

/// The body of `POST …/jobs/{jobId}/cancel`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelJob {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The body of `POST …/jobs/{jobId}/heartbeat`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobHeartbeat {
    /// The runner that holds the claim.
    pub runner: String,
    /// The claim's epoch, as the answer to the claim said.
    pub epoch: u64,
    /// The most seconds the server holds the request open, at most half the lease, when there is nothing to
    /// tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
}

/// The answer to a heartbeat: the lease runs anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobHeartbeatAnswer {
    pub status: String,
    /// How long the lease lasts from now.
    pub lease_seconds: u64,
    /// Set when the job is to be stopped.
    #[serde(default)]
    pub cancel: Option<JobCancel>,
}

/// The body of `POST …/jobs/{jobId}/output`: a piece of live output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppendOutput {
    pub runner: String,
    pub epoch: u64,
    /// Where `text` begins in the job's whole output, in bytes.
    pub offset: u64,
    pub text: String,
}

/// The answer to a piece of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputEnd {
    /// Up to where the server has the output, in bytes; 0 after a restart. Send on from here.
    pub end: u64,
}

/// The query of `GET …/jobs/{jobId}/output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobOutputQuery {
    /// Whether the answer is a stream of events that goes on until the job's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<bool>,
    /// Leaves out what comes before this byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
}

/// The output of a job as far as it is kept: the last 64 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobOutput {
    /// Where `text` begins in what the server knows of the output, in bytes.
    pub start: u64,
    pub end: u64,
    pub text: String,
    /// Whether the job has ended.
    pub ended: bool,
}

/// A piece of output as the event `output` brings it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputPiece {
    /// Where `text` begins, in bytes; more than the end of the piece before when something is missing between.
    pub offset: u64,
    pub text: String,
}

/// The last event, `end`, of a followed output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputEnded {
    /// The status with which the job ended.
    pub status: String,
    #[serde(default)]
    pub message: String,
}
