//! `exec`: runs things on the runner's machine.
//!
//! Either a command to its end:
//!
//! ```json
//! {"command": ["make", "deploy"], "workingDirectory": "/srv/app", "env": {"REGION": "eu"}, "timeoutSeconds": 600}
//! ```
//!
//! which is successful when it exits with 0; what it leaves running in its process group ends with it. Or a service that is kept running:
//!
//! ```json
//! {"service": {"command": ["./server", "--port", "8080"], "name": "web@host-1", "readyPort": 8080}}
//! ```
//!
//! which replaces what ran under that name and is successful once it was seen alive and, if so configured, answering.
//! A service that dies later is restarted, after 0.5 s, 1 s, 2 s … 30 s.
//!
//! **Nothing runs twice and nothing is lost**, even if the runner is killed at any moment: see
//! `journal.rs` for what is written down when, and `process.rs` for how a process is kept from running unrecorded.
//!
//! Works on Linux, where `/proc` tells processes apart.

mod command;
mod config;
mod journal;
mod outcome;
mod output;
mod process;
mod secrets;
mod service;
mod supervise;

pub use config::ExecConfig;
pub use outcome::{Outcome, OutcomeCode, OutcomeStatus};
pub use output::{ExecEvent, TAIL_SIZE_BYTES_MAX};

use crate::notify::Secrets;
use crate::redact::{REDACTED, Redactor};
use config::{Launch, Plan};
use journal::{Journal, Phase, StopReason};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{fmt, io};
use supervise::Slot;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How long a command may take to end after SIGTERM.
const COMMAND_STOP_GRACE: Duration = Duration::from_secs(5);
/// How often old jobs are looked for.
const PRUNE_PERIOD: Duration = Duration::from_secs(3600);

/// One job, as it was claimed.
#[derive(Clone)]
pub struct JobSpec {
    /// The job's id; what was done for it is never done again under the same lease.
    pub id: String,
    /// Which attempt at its release it is, from 1.
    pub attempt: u32,
    /// The lease under which it was claimed. A job that was handed out again has a later one: what an earlier
    /// one left is ended first, and the job is done anew.
    pub epoch: u64,
    /// The rendered configuration, see [`ExecConfig`].
    pub config: Value,
    /// By the mark that stands in the configuration, the name of the secret that belongs there.
    pub secrets: BTreeMap<String, String>,
    /// The promotion it belongs to.
    pub promotion_id: String,
    /// The version's tag.
    pub version: String,
    /// The deployment's slug.
    pub deployment: String,
    /// The environment's name.
    pub environment: String,
    /// The resource's identifier.
    pub resource: String,
    /// W3C trace context to hand on; none when empty.
    pub traceparent: String,
}

impl fmt::Debug for JobSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobSpec")
            .field("id", &self.id)
            .field("attempt", &self.attempt)
            .field("epoch", &self.epoch)
            .field("config", &REDACTED)
            .field("promotion_id", &self.promotion_id)
            .field("version", &self.version)
            .field("deployment", &self.deployment)
            .field("environment", &self.environment)
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

impl JobSpec {
    /// What a process is told about its job.
    fn facts(&self, binary: &std::path::Path) -> BTreeMap<String, String> {
        let mut facts: BTreeMap<String, String> = [
            ("STAGEGATE_JOB_ID", self.id.clone()),
            ("STAGEGATE_PROMOTION_ID", self.promotion_id.clone()),
            ("STAGEGATE_VERSION", self.version.clone()),
            ("STAGEGATE_DEPLOYMENT", self.deployment.clone()),
            ("STAGEGATE_ENVIRONMENT", self.environment.clone()),
            ("STAGEGATE_RESOURCE", self.resource.clone()),
            ("STAGEGATE_ATTEMPT", self.attempt.to_string()),
            ("STAGEGATE_BIN", binary.to_string_lossy().into_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        if !self.traceparent.is_empty() {
            facts.insert("TRACEPARENT".to_owned(), self.traceparent.clone());
        }
        facts.retain(|_, value| !value.contains('\0'));
        facts
    }
}

/// What [`ExecAgent::recover`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Services that still run and are supervised again.
    pub services_adopted: Vec<String>,
    /// Services that had ended and are being started again.
    pub services_restarting: Vec<String>,
    /// Jobs that were started and have no outcome yet: [`ExecAgent::run`] goes on with them.
    pub unfinished_jobs: Vec<String>,
    /// Records of services that cannot be read, in words. What they named may still run.
    pub damaged: Vec<String>,
}

/// How a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Its process; the last one when it is not alive.
    pub pid: i32,
    /// Whether that process runs.
    pub alive: bool,
    /// The version's tag.
    pub version: String,
    /// The promotion that put it there.
    pub promotion_id: String,
    /// How often it was restarted since it was deployed.
    pub restarts: u32,
}

/// Runs jobs on this machine. One per state directory.
///
/// Dropping it stops supervision, not the processes: the next agent on the same directory adopts them.
pub struct ExecAgent {
    inner: Arc<Inner>,
    /// Held for as long as the agent lives.
    _lock: File,
}

struct Inner {
    journal: Journal,
    binary: PathBuf,
    client: reqwest::Client,
    slots: Mutex<BTreeMap<String, Arc<Slot>>>,
    /// One lock per job that is being run, so that it is not run twice at once.
    running: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    /// Enforce the deadlines of recovered commands until `run` takes over.
    watchers: Mutex<HashMap<String, JoinHandle<()>>>,
    /// When old jobs were last looked for.
    pruned: Mutex<Option<Instant>>,
}

impl fmt::Debug for ExecAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecAgent")
            .field("journal", &self.inner.journal)
            .finish_non_exhaustive()
    }
}

impl Drop for ExecAgent {
    fn drop(&mut self) {
        for slot in locked(&self.inner.slots).values() {
            slot.abandon();
        }
        for watcher in locked(&self.inner.watchers).values() {
            watcher.abort();
        }
    }
}

impl ExecAgent {
    /// Opens (or makes) the state directory. Call [`Self::recover`] before the first job.
    ///
    /// # Errors
    /// When another agent works there, the directory cannot be used, or this is no Linux.
    pub fn new(state_dir: PathBuf) -> io::Result<Self> {
        process::boot_id().map_err(|error| {
            io::Error::new(
                io::ErrorKind::Unsupported,
                format!("the `exec` agent needs Linux's `/proc`: {error}"),
            )
        })?;
        let journal = Journal::open(state_dir)?;
        let lock = journal.lock()?;
        let client = crate::http::client().map_err(io::Error::other)?;
        Ok(Self {
            inner: Arc::new(Inner {
                journal,
                binary: std::env::current_exe()?,
                client,
                slots: Mutex::default(),
                running: Mutex::default(),
                watchers: Mutex::default(),
                pruned: Mutex::default(),
            }),
            _lock: lock,
        })
    }

    /// Takes up what an earlier agent left: supervises live services, restarts ended ones, keeps the
    /// deadlines of running commands, forgets what finished more than a week ago.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub async fn recover(&self) -> io::Result<Recovered> {
        let mut recovered = Recovered::default();
        let (services, damaged) = self.inner.journal.services()?;
        recovered.damaged = damaged;
        self.inner.prune()?;
        for record in services {
            let name = record.name.clone();
            let (alive, ready) = (record.process.is_alive(), record.ready);
            supervise::adopt(&self.inner, record).await;
            if alive {
                recovered.services_adopted.push(name);
            } else if ready {
                recovered.services_restarting.push(name);
            }
        }
        for record in self.inner.journal.unfinished_jobs()? {
            recovered.unfinished_jobs.push(record.job_id.clone());
            if let Phase::Started { .. } = record.phase {
                let id = record.job_id.clone();
                let watch = command::keep_deadline(Arc::clone(&self.inner), record);
                if let Some(earlier) = locked(&self.inner.watchers).insert(id, tokio::spawn(watch))
                {
                    earlier.abort();
                }
            }
        }
        Ok(recovered)
    }

    /// Whether [`Self::run`] would go on with the job, or repeat its outcome, rather than start something.
    /// So does a record that cannot be read.
    #[must_use]
    pub fn has_begun(&self, job_id: &str, epoch: u64) -> bool {
        match self.inner.journal.job(job_id) {
            Ok(record) => record.is_some_and(|record| record.epoch >= epoch),
            Err(_) => true,
        }
    }

    /// Carries out a job, or goes on with it, or repeats its outcome when it has one.
    ///
    /// `cancel` turning true ends the job; a dropped sender does not. Dropping the future leaves
    /// the process alone: calling `run` again goes on.
    pub async fn run(
        &self,
        job: JobSpec,
        events: mpsc::Sender<ExecEvent>,
        cancel: watch::Receiver<bool>,
    ) -> Outcome {
        let lock = self.job_lock(&job.id);
        let _running = lock.lock().await;
        self.end_watcher(&job.id).await;
        match self.run_locked(&job, events, cancel).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::failed(
                OutcomeCode::RunnerStorage,
                format!("the runner cannot keep its records: {error}"),
            ),
        }
    }

    async fn run_locked(
        &self,
        job: &JobSpec,
        events: mpsc::Sender<ExecEvent>,
        mut cancel: watch::Receiver<bool>,
    ) -> io::Result<Outcome> {
        let inner = &self.inner;
        let phase = match inner.journal.job(&job.id) {
            Ok(Some(record)) if record.epoch > job.epoch => {
                return Ok(Outcome::failed(
                    OutcomeCode::Cancelled,
                    "the job was claimed again since; this claim of it has ended",
                ));
            }
            Ok(Some(record)) if record.epoch < job.epoch => {
                end_earlier(&job.id, &record.phase).await;
                None
            }
            Ok(record) => record.map(|record| record.phase),
            // Its state is lost, so that it may have run: never start it a second time.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Ok(unknown(&format!(
                    "the runner's record was damaged: {error}"
                )));
            }
            Err(error) => return Err(error),
        };
        if let Some(Phase::Finished { outcome }) = phase {
            return Ok(outcome);
        }
        let mut known = Vec::new();
        let from = Secrets::from_environment();
        let plan = secrets::fill(job.config.clone(), &job.secrets, &from, &mut known)
            .and_then(crate::config::read::<ExecConfig>)
            .and_then(|config| config.rendered_plan())
            .map(|plan| plan.keeping(&known));
        let outcome = match plan {
            Err(error) => Outcome::failed(
                OutcomeCode::InvalidConfig,
                format!("the job's configuration is not usable: {error}"),
            ),
            Ok(_) if phase.is_none() && *cancel.borrow() => {
                Outcome::failed(OutcomeCode::Cancelled, "cancelled before it was started")
            }
            Ok(Plan::Command { launch, .. } | Plan::Service { launch, .. })
                if phase.is_none() && missing_directory(&launch).is_some() =>
            {
                Outcome::failed(
                    OutcomeCode::InvalidConfig,
                    missing_directory(&launch).unwrap_or_default(),
                )
            }
            Ok(Plan::Command { launch, timeout }) => {
                let run = command::CommandRun {
                    inner,
                    job,
                    launch: &launch,
                    timeout,
                };
                run.go(phase, events, &mut cancel).await?
            }
            Ok(plan @ Plan::Service { .. }) => {
                service::run(inner, job, &plan, events, &mut cancel).await?
            }
        };
        let mut redactor = Redactor::default();
        known.iter().for_each(|secret| redactor.add(secret));
        let outcome = Outcome {
            message: redactor.text(&outcome.message),
            ..outcome
        };
        let finished = Phase::Finished {
            outcome: outcome.clone(),
        };
        // What happened, happened: a full disk does not turn it into a failure.
        let _ = inner.put_phase(job, finished);
        if locked(&inner.pruned).is_none_or(|at| at.elapsed() >= PRUNE_PERIOD) {
            // Housekeeping; the next time will do as well.
            let _ = inner.prune();
        }
        Ok(outcome)
    }

    /// The services this agent knows, by name.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceStatus> {
        let slots: Vec<Arc<Slot>> = locked(&self.inner.slots).values().cloned().collect();
        slots.iter().filter_map(|slot| slot.status()).collect()
    }

    /// Stops one service and forgets it. Unknown names are no error.
    ///
    /// # Errors
    /// When its process does not end, or the state directory cannot be written.
    pub async fn stop_service(&self, name: &str) -> io::Result<()> {
        supervise::stop(&self.inner, name).await
    }

    /// Stops every service, recovered or not, all at once.
    ///
    /// # Errors
    /// The first failure; the others are stopped all the same.
    pub async fn stop_all_services(&self) -> io::Result<()> {
        let mut names: Vec<String> = locked(&self.inner.slots).keys().cloned().collect();
        let (recorded, _) = self.inner.journal.services()?;
        names.extend(recorded.into_iter().map(|record| record.name));
        names.sort();
        names.dedup();
        let mut stops = tokio::task::JoinSet::new();
        for name in names {
            let inner = Arc::clone(&self.inner);
            stops.spawn(async move { supervise::stop(&inner, &name).await });
        }
        let mut result = Ok(());
        while let Some(stopped) = stops.join_next().await {
            result = result.and(stopped.unwrap_or_else(|error| Err(io::Error::other(error))));
        }
        result
    }

    fn job_lock(&self, job_id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut running = locked(&self.inner.running);
        if let Some(lock) = running.get(job_id).and_then(Weak::upgrade) {
            return lock;
        }
        running.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        running.insert(job_id.to_owned(), Arc::downgrade(&lock));
        lock
    }

    async fn end_watcher(&self, job_id: &str) {
        let watcher = locked(&self.inner.watchers).remove(job_id);
        if let Some(watcher) = watcher {
            watcher.abort();
            // Aborted or done: either way it no longer acts.
            let _ = watcher.await;
        }
    }
}

impl Inner {
    fn prune(&self) -> io::Result<()> {
        *locked(&self.pruned) = Some(Instant::now());
        let (services, damaged) = self.journal.services()?;
        // A damaged record may name a log that is still written to.
        if damaged.is_empty() {
            self.journal.prune(&services)?;
        }
        Ok(())
    }

    fn put_phase(&self, job: &JobSpec, phase: Phase) -> io::Result<()> {
        self.journal.put_job(&journal::JobRecord {
            job_id: job.id.clone(),
            attempt: job.attempt,
            epoch: job.epoch,
            phase,
        })
    }
}

/// Ends the command that an earlier lease of the job left. Services need no more than to be replaced.
async fn end_earlier(job_id: &str, phase: &Phase) {
    if let Phase::Started { process, .. } | Phase::Stopping { process, .. } = phase {
        process.end_group(job_id, COMMAND_STOP_GRACE).await;
    }
}

fn missing_directory(launch: &Launch) -> Option<String> {
    let directory = launch.working_directory.as_ref()?;
    (!directory.is_dir()).then(|| {
        format!(
            "working directory `{}` does not exist on the runner's machine",
            directory.display()
        )
    })
}

fn unknown(why: &str) -> Outcome {
    Outcome::failed(
        OutcomeCode::OutcomeUnknown,
        format!("outcome unknown: {why}"),
    )
}

/// A lock whose holder panicked protects plain data that is whole at every step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Resolves once the job is cancelled, and never when nobody can cancel it any more.
async fn cancelled(cancel: &mut watch::Receiver<bool>) {
    if cancel.wait_for(|cancelled| *cancelled).await.is_err() {
        std::future::pending::<()>().await;
    }
}
