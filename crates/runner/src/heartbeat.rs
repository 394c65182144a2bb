//! Heartbeats: saying that a job is being done, and hearing when it is no longer to be.

use crate::RunnerEvent;
use crate::back_off::BackOff;
use crate::hold::{Gone, Hold};
use crate::live::Live;
use crate::runner::Runner;
use stagegate_api::client::ClientError;
use stagegate_api::{JobCancel, JobHeartbeat};
use std::time::Duration;
use tokio::time::Instant;

/// The least time between two heartbeats, should the server not hold them.
const PERIOD_MIN: Duration = Duration::from_millis(500);

/// How long an answer may take beyond the time the server was asked to wait.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Whether the server says for certain that the job is not this runner's (any more), and what that means.
pub(crate) fn verdict(error: &ClientError) -> Option<Gone> {
    match error.code() {
        "lease_lost" | "job_claimed" | "job_not_found" => Some(Gone::Lost),
        "job_ended" => Some(Gone::Ended),
        _ => None,
    }
}

impl Runner {
    /// Renews the lease for as long as the job is ours, and has the job stopped when the server wants that.
    pub(crate) async fn keep(&self, hold: &Hold, live: &Live) {
        let mut back_off = BackOff::new();
        // The first one, also after an outage, is answered at once: a held one renews nothing until its answer is here.
        let mut held = false;
        while hold.gone().is_none() {
            let begun = Instant::now();
            match self.beat(hold, held).await {
                Ok(()) => {
                    back_off.reset();
                    // Once the job is being stopped there is nothing to wait for.
                    let pause = if hold.is_cancel_asked() {
                        Duration::from_secs(hold.wait_seconds())
                    } else if held {
                        PERIOD_MIN
                    } else {
                        // The next one follows at once: while it is held, a server that goes away is noticed.
                        Duration::ZERO
                    };
                    held = !hold.is_cancel_asked();
                    tokio::time::sleep_until(begun + pause).await;
                }
                Err(error) => {
                    held = false;
                    // The server may have been started anew, and then it knows nothing of the output.
                    live.doubt();
                    if hold.gone().is_none() {
                        if let Some(error) = &error {
                            self.link.failed(error);
                        }
                        self.link.pause(&mut back_off).await;
                    }
                }
            }
        }
    }

    /// Waits until the server has said that the job is ours, or that it is not.
    pub(crate) async fn confirm(&self, hold: &Hold) {
        let mut back_off = BackOff::new();
        while hold.gone().is_none() && self.beat(hold, false).await.is_err() {
            self.link.pause(&mut back_off).await;
        }
    }

    /// One heartbeat; the server may hold it. The error is `None` when there was no answer in time.
    async fn beat(&self, hold: &Hold, held: bool) -> Result<(), Option<ClientError>> {
        let Some(epoch) = hold.epoch else {
            // Nothing that such a server could be told.
            tokio::time::sleep(Duration::from_secs(hold.wait_seconds())).await;
            return Ok(());
        };
        let begun = Instant::now();
        let wait = held.then(|| hold.wait_seconds());
        let body = JobHeartbeat {
            runner: self.name.clone(),
            epoch,
            wait,
        };
        let patience = Duration::from_secs(wait.unwrap_or(0)) + ANSWER_MAX;
        let call = self.workspace.heartbeat_job(&hold.job_id, &body);
        let answer = match tokio::time::timeout(patience, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                if let Some(gone) = verdict(&error) {
                    self.link.answered();
                    self.stopping(hold, &error.to_string());
                    hold.lose(gone);
                }
                return Err(Some(error));
            }
            Err(_) => return Err(None),
        };
        self.link.answered();
        hold.set_lease(answer.lease_seconds);
        hold.renewed(begun);
        if hold.may_be_requeued() {
            // Should this runner be killed, the next one knows since when it may have lost the job.
            let _ = self.journal.touch(&hold.job_id);
        }
        if let Some(cancel) = &answer.cancel
            && hold.ask_cancel()
        {
            self.stopping(hold, &cancel_reason(cancel));
        }
        Ok(())
    }

    /// Has the job stopped in time when nothing is heard of the server for so long that others may have it.
    pub(crate) async fn watch_silence(&self, hold: &Hold) {
        while let Some(at) = hold.stop_at() {
            if at <= Instant::now() {
                self.stopping(
                    hold,
                    "nothing was heard of the server for so long that another runner may have the job",
                );
                hold.lose(Gone::Silence);
                return;
            }
            tokio::time::sleep_until(at).await;
        }
    }

    /// Waits until the server no longer thinks that this runner is at it. The job was stopped for want of contact, and
    /// without heartbeats it will be given to someone; to this runner as well.
    pub(crate) async fn wait_until_lost(&self, hold: &Hold) {
        let mut back_off = BackOff::new();
        loop {
            match self.workspace.job(&hold.job_id).await {
                Ok(job) => {
                    self.link.answered();
                    let ours = job.runner.as_ref() == Some(&self.name)
                        && (job.epoch.is_none() || job.epoch == hold.epoch);
                    if job.has_ended() || !ours {
                        return;
                    }
                }
                Err(error) if verdict(&error).is_some() => return,
                Err(error) => self.link.failed(&error),
            }
            self.link.pause(&mut back_off).await;
        }
    }

    fn stopping(&self, hold: &Hold, why: &str) {
        self.tell(&RunnerEvent::Cancelling {
            job: hold.job_id.clone(),
            why: why.to_owned(),
        });
    }
}

fn cancel_reason(cancel: &JobCancel) -> String {
    let what = if cancel.cause == "timeout" {
        "it ran longer than it may"
    } else {
        "it was cancelled"
    };
    if cancel.reason.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {}", cancel.reason)
    }
}
