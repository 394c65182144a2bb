//! Asking for jobs.

use crate::back_off::BackOff;
use crate::runner::{Runner, RunnerError};
use stagegate_api::AgentJobsQuery;
use stagegate_api::client::ClientError;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The least time between two polls that found nothing, should the server not hold them.
const POLL_PERIOD_MIN: Duration = Duration::from_millis(500);

/// How a claimed job stands that has not ended.
const OPEN_STATUSES: [&str; 3] = ["queued", "inProgress", "actionRequired"];

impl Runner {
    /// Asks for jobs of one agent and starts them, for ever. Returns only when the server does not want this
    /// runner.
    pub(crate) async fn serve(self: Arc<Self>, agent_id: String) -> RunnerError {
        let mut back_off = BackOff::new();
        // After every silence: a claim may have been heard whose answer was not.
        let mut caught_up = false;
        loop {
            let result = if caught_up {
                self.poll(&agent_id).await
            } else {
                self.catch_up(&agent_id).await
            };
            match result {
                Ok(progress) => {
                    self.link.answered();
                    caught_up = true;
                    if progress {
                        back_off.reset();
                    } else {
                        self.link.pause(&mut back_off).await;
                    }
                }
                Err(error) if error.is_temporary() => {
                    caught_up = false;
                    self.link.failed(&error);
                    self.link.pause(&mut back_off).await;
                }
                Err(error) => return RunnerError::Refused(error),
            }
        }
    }

    /// Waits for a free place, then for pending jobs, and starts them. `Ok(false)`: jobs were there, and none
    /// of them became ours.
    async fn poll(self: &Arc<Self>, agent_id: &str) -> Result<bool, ClientError> {
        // Not kept while asking: agents that have nothing to do must not take places from others.
        drop(self.slots.acquire().await);
        let query = AgentJobsQuery {
            status: Some("pending".to_owned()),
            wait: Some(self.poll_wait_seconds),
            runner: Some(self.name.clone()),
            limit: Some(self.slots.available_permits().max(1)),
            ..AgentJobsQuery::default()
        };
        let asked = Instant::now();
        let page = self.workspace.agent_jobs(agent_id, &query).await?;
        if page.items.is_empty() {
            tokio::time::sleep_until(asked + POLL_PERIOD_MIN).await;
            return Ok(true);
        }
        let mut started = false;
        for job in page.items {
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
                break;
            };
            started |= self.begin(agent_id, &job.id, Some(slot)).await?;
        }
        Ok(started)
    }

    /// Settles what the server thinks this runner has in hand with what the journal knows.
    async fn catch_up(self: &Arc<Self>, agent_id: &str) -> Result<bool, ClientError> {
        // The server's view first: what it shows as ours was in the journal before it became so.
        let mut theirs = Vec::new();
        for status in OPEN_STATUSES {
            let query = AgentJobsQuery {
                status: Some(status.to_owned()),
                runner: Some(self.name.clone()),
                ..AgentJobsQuery::default()
            };
            let jobs = self
                .workspace
                .all_agent_jobs(agent_id, &query)
                .all()
                .await?;
            theirs.extend(jobs.into_iter().map(|job| job.id));
        }
        for entry in self.journal_entries() {
            if entry.job.is_none() && entry.report.is_none() {
                // Claiming again is answered like the first time.
                self.begin(&entry.agent_id, &entry.job_id, None).await?;
            }
        }
        for job_id in theirs {
            if self.is_in_hand(&job_id) || !matches!(self.journal.get(&job_id), Ok(None)) {
                continue;
            }
            // Its end may have been acknowledged since the list was made.
            let job = self.workspace.job(&job_id).await?;
            if !job.has_ended() && job.runner.as_ref() == Some(&self.name) {
                self.report_lost_records(&job);
            }
        }
        Ok(true)
    }
}
