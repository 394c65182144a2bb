//! Jobs, as people see them and as agents do them.

use super::{ClientError, List, Workspace};
use crate::{
    Accepted, AgentJobsQuery, AppendOutput, CancelJob, ClaimJob, Job, JobHeartbeat,
    JobHeartbeatAnswer, JobOutput, JobReport, JobWithRelease, OutputEnd, Page,
};
use std::time::Duration;

/// What an answer to a long poll may take beyond the time it was asked to wait.
const POLL_GRACE: Duration = Duration::from_secs(15);

type Answer<T> = Result<T, ClientError>;

/// Jobs. Every method fails as [`ClientError`] says.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
impl Workspace {
    #[must_use]
    pub fn jobs(&self) -> List<JobWithRelease> {
        self.list(["jobs"])
    }

    pub async fn job(&self, id: &str) -> Answer<Job> {
        self.client.send(self.to_get(["jobs", id])).await
    }

    pub async fn job_with_release(&self, id: &str) -> Answer<JobWithRelease> {
        let request = self.to_get(["jobs", id, "with-release"]);
        self.client.send(request).await
    }

    /// One page of an agent's jobs, as the query says; waits for one when it says so.
    pub async fn agent_jobs(&self, agent: &str, query: &AgentJobsQuery) -> Answer<Page<Job>> {
        let wait = Duration::from_secs(query.wait.unwrap_or(0));
        let request = self
            .to_get(["job-agents", agent, "jobs"])
            .params(query)
            .timeout(Some(wait + POLL_GRACE));
        self.client.send(request).await
    }

    /// All of an agent's jobs that fit the query, page by page; its limit, offset and wait do not matter.
    #[must_use]
    pub fn all_agent_jobs(&self, agent: &str, query: &AgentJobsQuery) -> List<Job> {
        let query = AgentJobsQuery {
            wait: None,
            ..query.clone()
        };
        let request = self.to_get(["job-agents", agent, "jobs"]).params(&query);
        List::new(self.client.clone(), request)
    }

    /// Takes a pending job; the answer holds its dispatch context.
    pub async fn claim_job(&self, agent: &str, job: &str, body: &ClaimJob) -> Answer<Job> {
        let request = self.to_post(["job-agents", agent, "jobs", job, "claim"]);
        self.client.send(request.json(body)?).await
    }

    /// Says how a job stands. Saying the same again, or too late, is accepted and changes nothing.
    pub async fn report_job(&self, job: &str, body: &JobReport) -> Answer<Accepted> {
        let request = self.to_put(["jobs", job, "status"]);
        self.client.send(request.json(body)?).await
    }

    /// Says that the runner is at it and hears whether the job is to be stopped; waits for that as long as the body
    /// says. Fails with `lease_lost` when the runner no longer holds the job, with `job_ended` when it has ended.
    pub async fn heartbeat_job(
        &self,
        job: &str,
        body: &JobHeartbeat,
    ) -> Answer<JobHeartbeatAnswer> {
        let wait = Duration::from_secs(body.wait.unwrap_or(0));
        let request = self
            .to_post(["jobs", job, "heartbeat"])
            .timeout(Some(wait + POLL_GRACE));
        self.client.send(request.json(body)?).await
    }

    /// Sends a piece of live output; the answer says from where to send on. Also renews the lease.
    pub async fn append_job_output(&self, job: &str, body: &AppendOutput) -> Answer<OutputEnd> {
        let request = self.to_post(["jobs", job, "output"]);
        self.client.send(request.json(body)?).await
    }

    /// What is kept of a job's output, from the byte `from` on. To see it grow: [`Workspace::follow_job_output`].
    pub async fn job_output(&self, job: &str, from: u64) -> Answer<JobOutput> {
        let request = self.to_get(["jobs", job, "output"]).param("from", from);
        self.client.send(request).await
    }

    /// Asks for a job to be stopped. One that no runner has is cancelled at once.
    pub async fn cancel_job(&self, job: &str, body: &CancelJob) -> Answer<Accepted> {
        let request = self.to_post(["jobs", job, "cancel"]);
        self.client.send(request.json(body)?).await
    }
}
