//! Saying how a job stands, until the server has taken note.

use crate::back_off::BackOff;
use crate::runner::Runner;
use crate::{OnEvent, RunnerEvent};
use stagegate_api::JobReport;
use stagegate_api::client::ClientError;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Whether the server answers, as the last call found.
pub(crate) struct Link {
    lost: AtomicBool,
    back: Notify,
    on_event: OnEvent,
}

impl Link {
    pub(crate) fn new(on_event: OnEvent) -> Self {
        Self {
            lost: AtomicBool::new(false),
            back: Notify::new(),
            on_event,
        }
    }

    /// A call was answered. Whoever waits for the server goes on at once.
    pub(crate) fn answered(&self) {
        if self.lost.swap(false, Ordering::SeqCst) {
            (self.on_event)(&RunnerEvent::ServerBack);
            self.back.notify_waiters();
        }
    }

    /// A call failed in a way that may pass.
    pub(crate) fn failed(&self, error: &ClientError) {
        let unreachable = matches!(error, ClientError::Unreachable { .. });
        // Said once per outage, not once per attempt of each job.
        if unreachable && !self.lost.swap(true, Ordering::SeqCst) {
            (self.on_event)(&RunnerEvent::ServerLost {
                reason: error.to_string(),
            });
        }
    }

    /// Waits as long as `back_off` says, or until another call was answered after an outage.
    pub(crate) async fn pause(&self, back_off: &mut BackOff) {
        let wait = back_off.wait();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.back.notified() => {}
        }
    }
}

/// Whether a report should be repeated: the server did not hear it, or someone has to mend the key first.
fn deserves_patience(error: &ClientError) -> bool {
    error.is_temporary() || matches!(error.code(), "unauthorized" | "forbidden")
}

impl Runner {
    /// Reports until the server has taken note, however long that takes.
    ///
    /// The error is the server's word that it does not want the report.
    pub(crate) async fn deliver(
        &self,
        job_id: &str,
        report: &JobReport,
    ) -> Result<(), ClientError> {
        let mut back_off = BackOff::new();
        loop {
            match self.workspace.report_job(job_id, report).await {
                Ok(_) => {
                    self.link.answered();
                    return Ok(());
                }
                Err(error) if deserves_patience(&error) => {
                    self.link.failed(&error);
                    self.link.pause(&mut back_off).await;
                }
                Err(error) => {
                    self.link.answered();
                    return Err(error);
                }
            }
        }
    }

    /// Reports an end that is in the journal, and removes it from there.
    pub(crate) async fn deliver_end(&self, job_id: &str, report: &JobReport) {
        let event = match self.deliver(job_id, report).await {
            Ok(()) => RunnerEvent::Reported {
                job: job_id.to_owned(),
                status: report.status.clone(),
            },
            Err(error) => RunnerEvent::ReportRefused {
                job: job_id.to_owned(),
                reason: error.to_string(),
            },
        };
        if let Err(error) = self.journal.remove(job_id) {
            self.records_failed(job_id, &error);
        }
        self.tell(&event);
    }
}
