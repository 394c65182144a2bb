//! One job: from the claim to its end.

use crate::RunnerEvent;
use crate::execution::{described, report, spec};
use crate::journal::Entry;
use crate::runner::{InHand, Runner};
use stagegate_api::client::ClientError;
use stagegate_api::{ClaimJob, Job, JobReport};
use stagegate_integrations::agents::exec::{ExecEvent, Outcome};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

/// How long a job waits for the server to take note of its start before it starts anyway.
const START_REPORT_MAX: Duration = Duration::from_secs(5);

/// How many pieces of output may wait to be told.
const OUTPUT_PIECES_MAX: usize = 64;

impl Runner {
    /// Claims the job and starts it. `Ok(false)`: it is not ours.
    ///
    /// The error means that nobody knows whether it was claimed; the journal remembers to ask again.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        agent_id: &str,
        job_id: &str,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Result<bool, ClientError> {
        let Some(in_hand) = self.take_in_hand(job_id) else {
            return Ok(false);
        };
        let mut entry = Entry {
            job_id: job_id.to_owned(),
            agent_id: agent_id.to_owned(),
            job: None,
            report: None,
        };
        // INVARIANT: known here before it can be ours there.
        if let Err(error) = self.journal.put(&entry) {
            self.records_failed(job_id, &error);
            return Ok(false);
        }
        let body = ClaimJob {
            runner: Some(self.name.clone()),
        };
        let claimed = self.workspace.claim_job(agent_id, job_id, &body).await;
        let job = match claimed {
            Ok(job) => job,
            Err(error) if error.is_temporary() => return Err(error),
            Err(error) => {
                if let Err(error) = self.journal.remove(job_id) {
                    self.records_failed(job_id, &error);
                }
                self.tell(&RunnerEvent::NotClaimed {
                    job: job_id.to_owned(),
                    reason: error.to_string(),
                });
                return Ok(false);
            }
        };
        self.tell(&RunnerEvent::Claimed {
            job: job_id.to_owned(),
            what: described(&job),
        });
        entry.job = Some(job.clone());
        if let Err(error) = self.journal.put(&entry) {
            self.records_failed(job_id, &error);
        }
        let runner = Arc::clone(self);
        self.spawn(async move {
            runner.carry_out(entry, &job, slot, false).await;
            drop(in_hand);
        });
        Ok(true)
    }

    /// Goes on with what the journal knows from before.
    pub(crate) fn resume(self: &Arc<Self>, entry: Entry, in_hand: InHand) {
        let runner = Arc::clone(self);
        self.spawn(async move {
            if let Some(report) = &entry.report {
                runner.deliver_end(&entry.job_id, report).await;
            } else if let Some(job) = entry.job.clone() {
                runner.tell(&RunnerEvent::Resumed {
                    job: entry.job_id.clone(),
                });
                // It may run already, so it does not wait for a free place.
                let slot = Arc::clone(&runner.slots).try_acquire_owned().ok();
                runner.carry_out(entry, &job, slot, true).await;
            }
            drop(in_hand);
        });
    }

    async fn carry_out(
        &self,
        mut entry: Entry,
        job: &Job,
        slot: Option<OwnedSemaphorePermit>,
        resumed: bool,
    ) {
        let started = JobReport {
            status: "inProgress".to_owned(),
            runner: Some(self.name.clone()),
            ..JobReport::default()
        };
        let mut start_known = false;
        if !resumed {
            let told = self.workspace.report_job(&job.id, &started);
            match tokio::time::timeout(START_REPORT_MAX, told).await {
                Ok(Ok(_)) => start_known = true,
                Ok(Err(error)) if is_lost(&error) => {
                    self.give_up(&job.id, &error);
                    return;
                }
                // The claim stands, whether or not the start could be told.
                Ok(Err(_)) | Err(_) => {}
            }
        }
        let start = (!start_known).then_some(started);
        let outcome = self.execute(job, start).await;
        drop(slot);
        let end = report(outcome, &self.name);
        entry.report = Some(end.clone());
        if let Err(error) = self.journal.put(&entry) {
            self.records_failed(&job.id, &error);
        }
        self.tell(&RunnerEvent::Finished {
            job: job.id.clone(),
            status: end.status.clone(),
            message: end.message.clone().unwrap_or_default(),
        });
        self.deliver_end(&job.id, &end).await;
    }

    /// Has the agent do it, telling the start (if still unknown) and the output meanwhile, and ending it
    /// when the server no longer wants it.
    async fn execute(&self, job: &Job, start: Option<JobReport>) -> Outcome {
        let (output, mut pieces) = mpsc::channel(OUTPUT_PIECES_MAX);
        let (cancel, cancelled) = watch::channel(false);
        let tell_start = async {
            if let Some(start) = start
                && let Err(error) = self.deliver(&job.id, &start).await
                && is_lost(&error)
            {
                self.cancel(&job.id, &error.to_string(), &cancel);
            }
        };
        let tell_output = async {
            while let Some(piece) = pieces.recv().await {
                self.tell_output(&job.id, piece);
            }
        };
        let meanwhile = async {
            tokio::join!(
                tell_start,
                tell_output,
                self.watch_standing(&job.id, &cancel),
                self.watch_exit(&cancel),
            );
            std::future::pending::<Infallible>().await
        };
        let outcome = tokio::select! {
            outcome = self.exec.run(spec(job), output, cancelled) => outcome,
            never = meanwhile => match never {},
        };
        while let Ok(piece) = pieces.try_recv() {
            self.tell_output(&job.id, piece);
        }
        outcome
    }

    /// Looks from time to time whether the server still wants the job.
    async fn watch_standing(&self, job_id: &str, cancel: &watch::Sender<bool>) {
        loop {
            tokio::time::sleep(self.watch_interval).await;
            let Ok(job) = self.workspace.job(job_id).await else {
                continue;
            };
            let elsewhere = job.runner.as_ref().is_some_and(|name| *name != self.name);
            if job.has_ended() || elsewhere {
                let status = if elsewhere {
                    "claimed by another runner"
                } else {
                    &job.status
                };
                self.cancel(job_id, status, cancel);
                return;
            }
        }
    }

    /// Ends the job with the runner, where that was asked for.
    async fn watch_exit(&self, cancel: &watch::Sender<bool>) {
        let mut end_all = self.end_all.subscribe();
        if end_all.wait_for(|end| *end).await.is_ok() {
            cancel.send_replace(true);
        }
    }

    fn cancel(&self, job_id: &str, status: &str, cancel: &watch::Sender<bool>) {
        self.tell(&RunnerEvent::Cancelling {
            job: job_id.to_owned(),
            status: status.to_owned(),
        });
        cancel.send_replace(true);
    }

    fn tell_output(&self, job_id: &str, piece: ExecEvent) {
        let ExecEvent::Output { text, .. } = piece;
        self.tell(&RunnerEvent::Output {
            job: job_id.to_owned(),
            text,
        });
    }

    /// Forgets a job that was not started and is no longer ours.
    fn give_up(&self, job_id: &str, error: &ClientError) {
        if let Err(error) = self.journal.remove(job_id) {
            self.records_failed(job_id, &error);
        }
        self.tell(&RunnerEvent::NotClaimed {
            job: job_id.to_owned(),
            reason: error.to_string(),
        });
    }

    /// Reports a job that the server knows as ours and the journal does not: the records were lost, so that
    /// it may or may not have been done. It is not done again.
    pub(crate) fn report_lost_records(self: &Arc<Self>, job_id: &str) {
        let Some(in_hand) = self.take_in_hand(job_id) else {
            return;
        };
        let report = JobReport {
            status: "failure".to_owned(),
            message: Some(format!(
                "outcome unknown: the records of runner `{}` were lost, so that nobody knows whether the job was done",
                self.name
            )),
            runner: Some(self.name.clone()),
            ..JobReport::default()
        };
        let (runner, job_id) = (Arc::clone(self), job_id.to_owned());
        self.spawn(async move {
            runner.deliver_end(&job_id, &report).await;
            drop(in_hand);
        });
    }
}

/// Whether the server says that the job is not this runner's (any more).
fn is_lost(error: &ClientError) -> bool {
    matches!(error.status(), Some(404 | 409 | 410))
}
