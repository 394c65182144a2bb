//! What a runner needs to know.

use crate::RunnerEvent;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Called with everything worth a line of log. Must not block.
pub type OnEvent = Arc<dyn Fn(&RunnerEvent) + Send + Sync>;

/// How many jobs run at once when nobody says otherwise.
const CONCURRENCY_DEFAULT: usize = 4;

/// How long a poll waits for a job; below what proxies commonly cut off.
const POLL_WAIT_SECONDS_DEFAULT: u64 = 25;

/// What a runner needs to know.
#[derive(Clone)]
pub struct RunnerOptions {
    /// The server's URL.
    pub server: String,
    /// A key with the role `agent`. Never logged.
    pub key: String,
    /// The workspace's id.
    pub workspace: String,
    /// Names of the agents it works for, of type `exec`.
    pub agents: Vec<String>,
    /// What it is called; otherwise what it was called before, or a new name made from the host's.
    pub name: Option<String>,
    /// Where it keeps its records; its own, and the same at every start.
    pub data_dir: PathBuf,
    /// Whether what it started ends with it: services are stopped and jobs cancelled. Otherwise services go
    /// on, and the next start takes over the jobs.
    pub stop_services_on_exit: bool,
    /// The most jobs at once.
    pub concurrency: usize,
    /// The most seconds the server is asked to hold a poll.
    pub poll_wait_seconds: u64,
    pub on_event: OnEvent,
}

impl RunnerOptions {
    /// Options with the defaults: four jobs at once, services outlive the runner, events go nowhere.
    pub fn new(
        server: impl Into<String>,
        key: impl Into<String>,
        workspace: impl Into<String>,
        agent: impl Into<String>,
        data_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            server: server.into(),
            key: key.into(),
            workspace: workspace.into(),
            agents: vec![agent.into()],
            name: None,
            data_dir: data_dir.into(),
            stop_services_on_exit: false,
            concurrency: CONCURRENCY_DEFAULT,
            poll_wait_seconds: POLL_WAIT_SECONDS_DEFAULT,
            on_event: Arc::new(|_| {}),
        }
    }

    /// With a function that is told what happens.
    #[must_use]
    pub fn on_event(mut self, tell: impl Fn(&RunnerEvent) + Send + Sync + 'static) -> Self {
        self.on_event = Arc::new(tell);
        self
    }
}

impl fmt::Debug for RunnerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerOptions")
            .field("server", &self.server)
            .field("workspace", &self.workspace)
            .field("agents", &self.agents)
            .field("name", &self.name)
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}
