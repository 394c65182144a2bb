//! One job: from the claim to its end.

use crate::RunnerEvent;
use crate::execution::{described, report, spec, started};
use crate::heartbeat::verdict;
use crate::hold::{Gone, Hold};
use crate::journal::Entry;
use crate::live::Live;
use crate::runner::{InHand, Runner};
use stagegate_api::client::ClientError;
use stagegate_api::{ClaimJob, Job, JobReport};
use stagegate_integrations::agents::exec::{ExecEvent, Outcome, OutcomeStatus};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

/// How long a job waits for the server to take note of its start before it starts anyway.
const START_REPORT_MAX: Duration = Duration::from_secs(5);

/// How long the last output may take to reach those who watch before the end is reported.
const OUTPUT_REST_MAX: Duration = Duration::from_secs(1);

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
            given_up: false,
        };
        // INVARIANT: known here before it can be ours there.
        if let Err(error) = self.journal.put(&entry) {
            self.records_failed(job_id, &error);
            return Ok(false);
        }
        let body = ClaimJob {
            runner: Some(self.name.clone()),
        };
        let asked = Instant::now();
        let claimed = self.workspace.claim_job(agent_id, job_id, &body).await;
        let job = match claimed {
            Ok(job) => job,
            Err(error) if error.is_temporary() => return Err(error),
            Err(error) => {
                self.forget(job_id);
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
            let hold = Hold::new(&job, Some(asked));
            runner.carry_out(entry, &job, &hold, slot, false).await;
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
                let silent_for = runner.journal.silent_for(&entry.job_id);
                let heard = silent_for.and_then(|silence| Instant::now().checked_sub(silence));
                let hold = Hold::new(&job, heard);
                if entry.given_up {
                    runner.give_up(&hold).await;
                } else {
                    // It may run already, so it does not wait for a free place.
                    let slot = Arc::clone(&runner.slots).try_acquire_owned().ok();
                    runner.carry_out(entry, &job, &hold, slot, true).await;
                }
            }
            drop(in_hand);
        });
    }

    async fn carry_out(
        &self,
        mut entry: Entry,
        job: &Job,
        hold: &Hold,
        slot: Option<OwnedSemaphorePermit>,
        resumed: bool,
    ) {
        let started = started(hold, &self.name);
        let mut start_known = false;
        if !resumed {
            let begun = Instant::now();
            let told = self.workspace.report_job(&job.id, &started);
            match tokio::time::timeout(START_REPORT_MAX, told).await {
                Ok(Ok(_)) => {
                    hold.renewed(begun);
                    start_known = true;
                }
                Ok(Err(error)) if is_lost(&error) => {
                    self.forget(&job.id);
                    self.tell(&RunnerEvent::NotClaimed {
                        job: job.id.clone(),
                        reason: error.to_string(),
                    });
                    return;
                }
                // The claim stands, whether or not the start could be told.
                Ok(Err(_)) | Err(_) => {}
            }
        }
        // Nothing is started on a claim that may have been taken away meanwhile.
        if !hold.is_certain() && !self.has_begun(job, hold) {
            self.confirm(hold).await;
            if hold.gone().is_some() {
                self.forget(&job.id);
                self.tell(&RunnerEvent::Dropped {
                    job: job.id.clone(),
                });
                return;
            }
        }
        let start = (!start_known).then_some(started);
        let live = Live::default();
        let outcome = self.execute(job, hold, &live, start).await;
        drop(slot);
        match hold.gone() {
            Some(Gone::Lost) => {
                self.forget(&job.id);
                self.tell(&RunnerEvent::Dropped {
                    job: job.id.clone(),
                });
                return;
            }
            Some(Gone::Silence) if outcome.status == OutcomeStatus::Cancelled => {
                entry.given_up = true;
                if let Err(error) = self.journal.put(&entry) {
                    self.records_failed(&job.id, &error);
                }
                self.give_up(hold).await;
                return;
            }
            // It ended by itself, or the server keeps what is said too late.
            Some(Gone::Silence | Gone::Ended) | None => {}
        }
        // The report holds the output's end as well; this is for those who watch.
        let rest = self.send_output(hold, &live, true);
        let _ = tokio::time::timeout(OUTPUT_REST_MAX, rest).await;
        let end = report(outcome, hold, &self.name);
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

    fn has_begun(&self, job: &Job, hold: &Hold) -> bool {
        self.exec.has_begun(&job.id, hold.epoch.unwrap_or(0))
    }

    /// Has the agent do it, telling the start (if still unknown) and the output meanwhile, and ending it
    /// when the server no longer wants it.
    async fn execute(
        &self,
        job: &Job,
        hold: &Hold,
        live: &Live,
        start: Option<JobReport>,
    ) -> Outcome {
        let (output, mut pieces) = mpsc::channel(OUTPUT_PIECES_MAX);
        let tell_start = async {
            if let Some(start) = start
                && let Err(error) = self.deliver(&job.id, &start).await
                && let Some(gone) = verdict(&error)
            {
                self.tell(&RunnerEvent::Cancelling {
                    job: job.id.clone(),
                    why: error.to_string(),
                });
                hold.lose(gone);
            }
        };
        let tell_output = async {
            while let Some(piece) = pieces.recv().await {
                self.tell_output(&job.id, live, piece);
            }
        };
        let meanwhile = async {
            tokio::join!(
                tell_start,
                tell_output,
                self.send_output(hold, live, false),
                self.keep(hold, live),
                self.watch_silence(hold),
                self.watch_exit(hold),
            );
            std::future::pending::<Infallible>().await
        };
        let outcome = tokio::select! {
            outcome = self.exec.run(spec(job), output, hold.cancelled()) => outcome,
            never = meanwhile => match never {},
        };
        while let Ok(piece) = pieces.try_recv() {
            self.tell_output(&job.id, live, piece);
        }
        outcome
    }

    /// Ends the job with the runner, where that was asked for.
    async fn watch_exit(&self, hold: &Hold) {
        let mut end_all = self.end_all.subscribe();
        if end_all.wait_for(|end| *end).await.is_ok() {
            hold.ask_cancel();
        }
    }

    fn tell_output(&self, job_id: &str, live: &Live, piece: ExecEvent) {
        let ExecEvent::Output { offset, text } = piece;
        live.push(offset, &text);
        self.tell(&RunnerEvent::Output {
            job: job_id.to_owned(),
            text,
        });
    }

    fn forget(&self, job_id: &str) {
        if let Err(error) = self.journal.remove(job_id) {
            self.records_failed(job_id, &error);
        }
    }

    /// Leaves a job that was stopped for want of contact to whoever gets it next.
    async fn give_up(&self, hold: &Hold) {
        self.tell(&RunnerEvent::Dropped {
            job: hold.job_id.clone(),
        });
        self.wait_until_lost(hold).await;
        self.forget(&hold.job_id);
    }

    /// Reports a job that the server knows as ours and the journal does not: the records were lost, so that
    /// it may or may not have been done. It is not done again.
    pub(crate) fn report_lost_records(self: &Arc<Self>, job: &Job) {
        let Some(in_hand) = self.take_in_hand(&job.id) else {
            return;
        };
        let report = JobReport {
            status: "failure".to_owned(),
            message: Some(format!(
                "outcome unknown: the records of runner `{}` were lost, so that nobody knows whether the job was done",
                self.name
            )),
            runner: Some(self.name.clone()),
            epoch: job.epoch,
            ..JobReport::default()
        };
        let (runner, job_id) = (Arc::clone(self), job.id.clone());
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
