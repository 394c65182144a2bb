//! The runner as a whole: start, jobs in hand, stop.

use crate::back_off::BackOff;
use crate::journal::{Entry, Journal};
use crate::report::Link;
use crate::{OnEvent, RunnerEvent, RunnerOptions, identity};
use stagegate_api::JobAgent;
use stagegate_api::client::{Client, ClientError, Workspace};
use stagegate_integrations::agents::exec::ExecAgent;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// How long ends that are known may still be reported on exit.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// How long jobs may take to end on exit, and their ends to be reported.
const END_MAX: Duration = Duration::from_secs(10);

/// The type of agents a runner works for.
const AGENT_TYPE: &str = "exec";

/// Why a runner ended without being asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// Something in the options cannot be.
    #[error("{0}")]
    Options(String),
    /// The server refuses this runner: its key, workspace or agent.
    #[error("the server refuses this runner: {0}")]
    Refused(ClientError),
    /// The workspace has no such agent.
    #[error("there is no job agent `{name}`; {}", known_agents(known))]
    NoSuchAgent {
        name: String,
        /// The agents of the right type.
        known: Vec<String>,
    },
    /// The agent is there, and not for runners.
    #[error("job agent `{name}` is of type `{kind}`; a runner works for agents of type `exec`")]
    WrongType { name: String, kind: String },
    /// The runner's own records cannot be used.
    #[error("the runner's records in `{path}` cannot be used: {error}", path = path.display())]
    Records { path: PathBuf, error: io::Error },
}

fn known_agents(known: &[String]) -> String {
    if known.is_empty() {
        return "there is none of type `exec`: create one with `stagegate apply`".to_owned();
    }
    let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    format!("of type `exec` there are {}", names.join(", "))
}

/// What every part of the runner needs.
pub(crate) struct Runner {
    pub(crate) name: String,
    pub(crate) workspace: Workspace,
    pub(crate) journal: Journal,
    pub(crate) exec: ExecAgent,
    pub(crate) link: Link,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) poll_wait_seconds: u64,
    /// Turns true when the jobs are to end with the runner.
    pub(crate) end_all: watch::Sender<bool>,
    on_event: OnEvent,
    in_hand: Arc<Mutex<HashSet<String>>>,
    tasks: Mutex<JoinSet<()>>,
}

/// That a job is being dealt with; no longer when dropped.
pub(crate) struct InHand {
    job_id: String,
    all: Arc<Mutex<HashSet<String>>>,
}

impl Drop for InHand {
    fn drop(&mut self) {
        locked(&self.all).remove(&self.job_id);
    }
}

/// Runs until `shutdown` turns true (or its sender is gone), or the server does not want this runner.
///
/// A server that cannot be reached is no error: jobs go on, and are reported when it is back. On return no
/// task of the runner is left; processes it started go on, unless the options say otherwise.
///
/// # Errors
/// When the options or the records cannot be used, or the server refuses the runner.
pub async fn run(
    options: RunnerOptions,
    mut shutdown: watch::Receiver<bool>,
) -> Result<(), RunnerError> {
    let runner = Arc::new(open(&options)?);
    let mut serving = JoinSet::new();
    let served = tokio::select! {
        result = work(&runner, &options, &mut serving) => result,
        // A sender that is gone can no longer ask for anything else.
        _ = shutdown.wait_for(|stop| *stop) => Ok(()),
    };
    // From here on no job is begun.
    serving.shutdown().await;
    runner.stop(options.stop_services_on_exit).await;
    served
}

fn open(options: &RunnerOptions) -> Result<Runner, RunnerError> {
    if options.agents.is_empty() {
        return Err(RunnerError::Options(
            "no job agent is named that the runner should work for".to_owned(),
        ));
    }
    let client = Client::new(&options.server, &options.key)
        .map_err(|error| RunnerError::Options(error.to_string()))?;
    let records = |error| RunnerError::Records {
        path: options.data_dir.clone(),
        error,
    };
    let exec_dir = options.data_dir.join("exec");
    // Its lock also keeps a second runner out of the journal.
    let exec = ExecAgent::new(exec_dir).map_err(records)?;
    let (name, journal) =
        open_records(&options.data_dir, options.name.as_deref()).map_err(records)?;
    let concurrency = options.concurrency.clamp(1, Semaphore::MAX_PERMITS);
    Ok(Runner {
        name,
        workspace: client.workspace(&options.workspace),
        journal,
        exec,
        link: Link::new(Arc::clone(&options.on_event)),
        slots: Arc::new(Semaphore::new(concurrency)),
        poll_wait_seconds: options.poll_wait_seconds,
        end_all: watch::Sender::new(false),
        on_event: Arc::clone(&options.on_event),
        in_hand: Arc::default(),
        tasks: Mutex::default(),
    })
}

fn open_records(data_dir: &Path, name: Option<&str>) -> io::Result<(String, Journal)> {
    let journal = Journal::open(data_dir)?;
    let may_rename = journal.entries()?.is_empty();
    Ok((identity::name(data_dir, name, may_rename)?, journal))
}

async fn work(
    runner: &Arc<Runner>,
    options: &RunnerOptions,
    serving: &mut JoinSet<RunnerError>,
) -> Result<(), RunnerError> {
    // Before the server is asked: what runs needs looking after whether or not there is a server.
    let recovered = runner.exec.recover().await;
    recovered.map_err(|error| RunnerError::Records {
        path: options.data_dir.clone(),
        error,
    })?;
    for entry in runner.journal_entries() {
        if entry.job.is_none() && entry.report.is_none() {
            continue;
        }
        if let Some(in_hand) = runner.take_in_hand(&entry.job_id) {
            runner.resume(entry, in_hand);
        }
    }
    let agents = runner.find_agents(&options.agents).await?;
    runner.tell(&RunnerEvent::Ready {
        runner: runner.name.clone(),
        agents: agents.iter().map(|agent| agent.name.clone()).collect(),
    });
    for agent in agents {
        serving.spawn(Arc::clone(runner).serve(agent.id));
    }
    match serving.join_next().await {
        Some(Ok(error)) => Err(error),
        Some(Err(error)) => Err(RunnerError::Options(format!("a poll broke off: {error}"))),
        None => Ok(()),
    }
}

impl Runner {
    async fn find_agents(&self, names: &[String]) -> Result<Vec<JobAgent>, RunnerError> {
        let mut back_off = BackOff::new();
        let all = loop {
            match self.workspace.job_agents().all().await {
                Ok(all) => break all,
                Err(error) if error.is_temporary() => {
                    self.link.failed(&error);
                    self.link.pause(&mut back_off).await;
                }
                Err(error) => return Err(RunnerError::Refused(error)),
            }
        };
        self.link.answered();
        let mut found: Vec<JobAgent> = Vec::new();
        for name in names {
            match all.iter().find(|agent| agent.name == *name) {
                Some(agent) if agent.kind != AGENT_TYPE => {
                    return Err(RunnerError::WrongType {
                        name: name.clone(),
                        kind: agent.kind.clone(),
                    });
                }
                Some(agent) if found.iter().all(|known| known.id != agent.id) => {
                    found.push(agent.clone());
                }
                Some(_) => {}
                None => {
                    let known = all.iter().filter(|agent| agent.kind == AGENT_TYPE);
                    return Err(RunnerError::NoSuchAgent {
                        name: name.clone(),
                        known: known.map(|agent| agent.name.clone()).collect(),
                    });
                }
            }
        }
        Ok(found)
    }

    async fn stop(&self, end_all: bool) {
        let mut tasks = std::mem::take(&mut *locked(&self.tasks));
        while tasks.try_join_next().is_some() {}
        self.tell(&RunnerEvent::Stopping {
            running: tasks.len(),
        });
        if end_all {
            self.end_all.send_replace(true);
        }
        let patience = if end_all { END_MAX } else { LEAVE_MAX };
        let ended = async { while tasks.join_next().await.is_some() {} };
        // What is not done by then is in the journal, for the next start.
        let _ = tokio::time::timeout(patience, ended).await;
        tasks.shutdown().await;
        if end_all && let Err(error) = self.exec.stop_all_services().await {
            self.tell(&RunnerEvent::ServicesFailed {
                reason: error.to_string(),
            });
        }
    }

    pub(crate) fn tell(&self, event: &RunnerEvent) {
        (self.on_event)(event);
    }

    pub(crate) fn records_failed(&self, job_id: &str, error: &io::Error) {
        self.tell(&RunnerEvent::RecordsFailed {
            job: job_id.to_owned(),
            reason: error.to_string(),
        });
    }

    /// What the journal holds; nothing, said so, when it cannot be read.
    pub(crate) fn journal_entries(&self) -> Vec<Entry> {
        self.journal.entries().unwrap_or_else(|error| {
            self.records_failed("-", &error);
            Vec::new()
        })
    }

    /// Takes the job in hand, unless it is.
    pub(crate) fn take_in_hand(&self, job_id: &str) -> Option<InHand> {
        locked(&self.in_hand)
            .insert(job_id.to_owned())
            .then(|| InHand {
                job_id: job_id.to_owned(),
                all: Arc::clone(&self.in_hand),
            })
    }

    pub(crate) fn is_in_hand(&self, job_id: &str) -> bool {
        locked(&self.in_hand).contains(job_id)
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = locked(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

/// A lock whose holder panicked protects plain data that is whole at every step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
