//! Running a command to its end.

use super::config::Launch;
use super::journal::{JobRecord, now};
use super::outcome::signal_of;
use super::output::{Follower, base_path};
use super::process::{Held, Identity, OUTPUT_FILE, gate_command};
use super::{
    COMMAND_STOP_GRACE, ExecEvent, Inner, JobSpec, Outcome, OutcomeCode, Phase, StopReason,
    cancelled, unknown,
};
use stagegate_model::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

const OUTPUT_PERIOD: Duration = Duration::from_millis(100);

/// One command's run.
pub(super) struct CommandRun<'a> {
    pub inner: &'a Arc<Inner>,
    pub job: &'a JobSpec,
    pub launch: &'a Launch,
    pub timeout: Duration,
}

/// What the files say about a command whose process is gone.
enum Ended {
    Exited(i32),
    /// The gate never opened.
    NeverRan,
    Unknown,
}

impl CommandRun<'_> {
    /// Starts the command or goes on from `phase`.
    pub(super) async fn go(
        &self,
        phase: Option<Phase>,
        events: mpsc::Sender<ExecEvent>,
        cancel: &mut watch::Receiver<bool>,
    ) -> io::Result<Outcome> {
        let directory = self.inner.journal.create_job_dir(&self.job.id)?;
        match phase {
            None => self.start(&directory, events, cancel).await,
            Some(Phase::Started {
                process, deadline, ..
            }) => {
                let follower = self.follower(&directory, events.clone());
                let held = Held::Adopted(process.clone());
                match self
                    .attend(&directory, &process, held, deadline, follower, cancel)
                    .await?
                {
                    Some(outcome) => Ok(outcome),
                    // The earlier runner ended between writing it down and letting it go.
                    None if *cancel.borrow() => Ok(self.stopped(StopReason::Cancelled)),
                    None => self.start(&directory, events, cancel).await,
                }
            }
            Some(Phase::Stopping { process, why }) => {
                process.end_group(&self.job.id, COMMAND_STOP_GRACE).await;
                let follower = self.follower(&directory, events);
                let stopped = self.stopped(why).with_exit(exit_code(&directory));
                Ok(stopped.with_tail(follower.finish().await))
            }
            Some(Phase::Replacing { .. } | Phase::Finished { .. }) => Ok(unknown(
                "the job was started as a service and is now configured as a command",
            )),
        }
    }

    async fn start(
        &self,
        directory: &Path,
        events: mpsc::Sender<ExecEvent>,
        cancel: &mut watch::Receiver<bool>,
    ) -> io::Result<Outcome> {
        let log = directory.join(OUTPUT_FILE);
        let traces = [
            directory.join("launched"),
            directory.join("exit"),
            base_path(&log),
            log,
        ];
        for file in traces {
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let facts = self.job.facts(&self.inner.binary);
        let gated = match gate_command(self.launch, &facts, directory) {
            Ok(gated) => gated,
            Err(error) => return Ok(self.not_started(&error.to_string())),
        };
        let process = gated.identity.clone();
        let started_at = now();
        let timeout_ms = i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX);
        let deadline = started_at.plus_millis(timeout_ms);
        self.inner.put_phase(
            self.job,
            Phase::Started {
                process: process.clone(),
                started_at,
                deadline,
            },
        )?;
        let held = match gated.open().await {
            Ok(held) => held,
            Err(error) => return Ok(self.not_started(&error.to_string())),
        };
        let follower = self.follower(directory, events);
        let ended = self
            .attend(directory, &process, held, deadline, follower, cancel)
            .await?;
        Ok(ended.unwrap_or_else(|| self.not_started("its process ended before it began")))
    }

    /// Stays with the process until it is gone, by itself or by us. `None`: it never ran.
    async fn attend(
        &self,
        directory: &Path,
        process: &Identity,
        mut held: Held,
        deadline: Timestamp,
        mut follower: Follower,
        cancel: &mut watch::Receiver<bool>,
    ) -> io::Result<Option<Outcome>> {
        let deadline = instant(deadline);
        let stop = loop {
            tokio::select! {
                _ = held.gone() => break None,
                () = cancelled(cancel) => break Some(StopReason::Cancelled),
                () = sleep_until(deadline) => break Some(StopReason::Timeout),
                () = tokio::time::sleep(OUTPUT_PERIOD) => follower.pump(),
            }
        };
        // A command that had ended by itself keeps its own outcome.
        if let Some(why) = stop
            && exit_code(directory).is_none()
        {
            self.inner.put_phase(
                self.job,
                Phase::Stopping {
                    process: process.clone(),
                    why,
                },
            )?;
            process.end_group(&self.job.id, COMMAND_STOP_GRACE).await;
            let tail = follower.finish().await;
            let stopped = self.stopped(why).with_exit(exit_code(directory));
            return Ok(Some(stopped.with_tail(tail)));
        }
        process.end_group(&self.job.id, Duration::ZERO).await;
        let tail = follower.finish().await;
        Ok(match ended(directory, process) {
            Ended::Exited(code) => Some(self.exited(code, tail)),
            Ended::NeverRan => None,
            Ended::Unknown => Some(
                unknown(
                    "the command was started, and its process is gone without leaving an exit code \
                     (killed from outside, out of memory, or the machine was restarted)",
                )
                .with_tail(tail),
            ),
        })
    }

    fn follower(&self, directory: &Path, events: mpsc::Sender<ExecEvent>) -> Follower {
        Follower::open(directory.join(OUTPUT_FILE), self.launch.redactor(), events)
    }

    fn exited(&self, code: i32, tail: String) -> Outcome {
        let program = self.launch.program();
        if code == 0 {
            return Outcome::successful(format!("`{program}` ended well"), Some(0), tail);
        }
        let meaning = match code {
            126 => " (not executable)".to_owned(),
            127 => " (command not found)".to_owned(),
            _ => match signal_of(code) {
                Some(signal) => format!(" (signal {signal})"),
                None => String::new(),
            },
        };
        Outcome::failed(
            OutcomeCode::ExitNonzero,
            format!("`{program}` ended with exit code {code}{meaning}"),
        )
        .with_exit(Some(code))
        .with_tail(tail)
    }

    fn stopped(&self, why: StopReason) -> Outcome {
        let program = self.launch.program();
        match why {
            StopReason::Cancelled => Outcome::failed(
                OutcomeCode::Cancelled,
                format!("`{program}` was stopped because the job was cancelled"),
            ),
            StopReason::Timeout => Outcome::failed(
                OutcomeCode::Timeout,
                format!(
                    "`{program}` was stopped after {} s (`timeoutSeconds`)",
                    self.timeout.as_secs()
                ),
            ),
        }
    }

    fn not_started(&self, why: &str) -> Outcome {
        Outcome::failed(
            OutcomeCode::StartFailed,
            format!("`{}` could not be started: {why}", self.launch.program()),
        )
    }
}

/// Ends a recovered command at its deadline. Only that: its outcome is for `run` to find.
pub(super) async fn keep_deadline(inner: Arc<Inner>, record: JobRecord) {
    let Phase::Started {
        process, deadline, ..
    } = &record.phase
    else {
        return;
    };
    let mut held = Held::Adopted(process.clone());
    tokio::select! {
        _ = held.gone() => {}
        () = sleep_until(instant(*deadline)) => {
            let process = process.clone();
            let job_id = record.job_id.clone();
            let stopping = JobRecord {
                phase: Phase::Stopping { process: process.clone(), why: StopReason::Timeout },
                ..record
            };
            // Without the record the command's end would read as unknown; it must end all the same.
            let _ = inner.journal.put_job(&stopping);
            process.end_group(&job_id, COMMAND_STOP_GRACE).await;
        }
    }
}

/// When a moment of the wall clock will be, by the clock that only goes forward.
fn instant(moment: Timestamp) -> Instant {
    let left = u64::try_from(moment.millis_since(now())).unwrap_or_default();
    Instant::now() + Duration::from_millis(left)
}

fn ended(directory: &Path, process: &Identity) -> Ended {
    match exit_code(directory) {
        Some(code) => Ended::Exited(code),
        // The mark is not synced, so that its absence proves nothing after the machine went down.
        None if process.is_this_boot() && !directory.join("launched").exists() => Ended::NeverRan,
        None => Ended::Unknown,
    }
}

fn exit_code(directory: &Path) -> Option<i32> {
    fs::read_to_string(directory.join("exit"))
        .ok()?
        .strip_suffix('\n')?
        .parse()
        .ok()
}
