//! What time does to a job that has not ended: nobody claims it, it runs too long, its runner does not come back, or
//! nobody confirms that it has stopped.

use super::Turn;
use crate::limits::told;
use crate::state::Job;
use stagegate_model::{CancelCause, Fact, JobStatus, OnLostLease, Timestamp, VerificationTrigger};
use std::collections::BTreeMap;

/// How often a job is taken from a lost runner and given to the next: what costs every runner its life is not handed
/// on for ever.
const REQUEUES_MAX: u32 = 5;

impl Turn<'_> {
    /// Decides of a job whose time has come.
    pub(super) fn settle_time(&mut self, job: &Job, now: Timestamp) {
        if job.wake_at.is_none_or(|at| at > now) {
            return;
        }
        self.budget = self.budget.saturating_sub(1);
        let limits = &job.limits;
        let grace = told(limits.grace_seconds);
        let runner = job.runner.as_ref();
        if let Some(cancel) = &job.cancel {
            let who =
                runner.map_or_else(|| "its agent".to_owned(), |it| format!("the runner `{it}`"));
            let unknown = format!(
                "{who} did not confirm within {grace} that it has stopped; what became of it is unknown"
            );
            let (status, message) = match cancel.cause {
                CancelCause::Person | CancelCause::Rollback => {
                    let reason = match cancel.reason.as_str() {
                        "" => String::new(),
                        reason => format!(" ({reason})"),
                    };
                    (
                        JobStatus::Cancelled,
                        format!("it was cancelled{reason}; {unknown}"),
                    )
                }
                CancelCause::Timeout => {
                    let limit = told(limits.run_timeout_seconds);
                    (
                        JobStatus::Failure,
                        format!("it ran longer than its limit of {limit}; {unknown}"),
                    )
                }
            };
            self.end_job(job, status, message, now);
        } else if let Some(lost) = &job.lost {
            let requeue = limits.on_lost_lease == OnLostLease::Requeue;
            if requeue && job.requeues < REQUEUES_MAX {
                self.push(Fact::JobRequeued {
                    id: job.id,
                    epoch: job.epoch + 1,
                });
                return;
            }
            let name = runner.map_or("?", String::as_str);
            let mut message = format!(
                "the runner `{name}` was not heard of since {} and did not come back within {grace}; what became of the job is unknown",
                lost.since
            );
            if requeue {
                let lost = format!("; {} runners before it were lost too", job.requeues);
                message.push_str(&lost);
            }
            self.end_job(job, JobStatus::Failure, message, now);
        } else if job.running_since.is_some() {
            self.push(Fact::JobCancelRequested {
                id: job.id,
                cause: CancelCause::Timeout,
                reason: format!(
                    "it ran longer than its limit of {}",
                    told(limits.run_timeout_seconds)
                ),
                by: None,
            });
        } else {
            let limit = told(limits.start_deadline_seconds);
            let message = match job.status {
                JobStatus::Queued => format!("it did not start within {limit}"),
                _ => format!("no runner claimed it within {limit}"),
            };
            self.end_job(job, JobStatus::Failure, message, now);
        }
    }

    /// Has a job of a target that goes back stopped; one that no runner has ends at once.
    pub(super) fn stop_undone(&mut self, job: &Job, reason: &str, now: Timestamp) {
        if job.cancel.is_some() {
            return;
        }
        if job.status == JobStatus::Pending {
            let message = format!("it was rolled back before any runner had it: {reason}");
            self.end_job(job, JobStatus::Cancelled, message, now);
            return;
        }
        self.push(Fact::JobCancelRequested {
            id: job.id,
            cause: CancelCause::Rollback,
            reason: reason.to_owned(),
            by: None,
        });
    }

    fn end_job(&mut self, job: &Job, status: JobStatus, message: String, now: Timestamp) {
        self.push(Fact::JobChanged {
            id: job.id,
            status,
            message,
            external_id: None,
            output_tail: None,
            exit: None,
            links: BTreeMap::new(),
        });
        // What cannot be measured of a failure is not: it has failed anyhow.
        self.start_verification(job.id, VerificationTrigger::JobFailure, now);
    }
}
