//! The shell around the engine: the only place with a clock, threads and the network.
//!
//! One thread decides ([`decide`]), one writes ([`write`]); between them entries queue, so that the commits of many
//! commands share one flush. Nothing leaves before it is durable: replies, reads and what is done to the outside
//! world wait until the entry they saw has been written. What is to be done follows from the state
//! ([`measure`]) or from the log ([`notify`]), so nothing has to be remembered across a crash. What the threads do to one workspace is in
//! [`step`], which knows none of them.

mod abridged;
mod background;
mod body;
mod brief;
mod checks;
mod clock;
mod decide;
mod keys;
mod leases;
mod load;
mod loading;
mod looking;
mod marks;
mod measure;
mod notify;
mod outbox;
mod reads;
mod residence;
mod resting;
mod schedule;
mod snapshot;
pub mod step;
mod workspace;
mod write;

pub use abridged::Abridged;
pub use brief::Brief;
pub use clock::{Clock, SystemClock};
pub use leases::Pulse;
pub use load::LoadError;
pub use looking::{Configuration, Looking};
pub use notify::{DELIVERIES_PENDING_MAX, Pace};
pub use stagegate_integrations::notify::{DeliveryError, Secrets};
pub use stagegate_store::SideWrite;
pub use step::Durable;

use decide::Message;
use loading::Loads;
use marks::Marks;
use outbox::{Closing, Outbox};
use reads::{For, Reads};
use stagegate_engine::Engine;
use stagegate_integrations::metrics::Measurer;
use stagegate_integrations::notify::Deliverer;
use stagegate_model::{Actor, Command, Fact, Rejection, Timestamp, WorkspaceId};
use stagegate_store::{Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;
use step::Shard;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::{oneshot, watch};
use workspace::Workspace;

/// How many commands may wait to be decided before callers are turned away.
const COMMANDS_QUEUED_MAX: usize = 4096;

/// How long stopping waits for messages that are on their way.
const TELLING_ENDS_WITHIN: Duration = Duration::from_secs(10);

/// The running control plane of one process. Cheap to clone.
#[derive(Clone)]
pub struct Controller {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    workspaces: RwLock<BTreeMap<WorkspaceId, Arc<Workspace>>>,
    commands: SyncSender<Message>,
    /// Who wants a workspace in memory.
    loads: Loads,
    runtime: tokio::runtime::Handle,
    /// What the deciding thread is to look at besides its commands.
    marks: Marks,
    reads: Reads,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stopping: watch::Sender<bool>,
    measurer: Measurer,
    deliverer: Deliverer,
    /// Held while a snapshot is being made, slowly: no other can be written until it is.
    snapshotting: Mutex<()>,
    options: Options,
    /// Those that have something to write when the process stops.
    tasks: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

impl Shared {
    fn find(&self, id: WorkspaceId) -> Option<Arc<Workspace>> {
        self.workspaces
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    fn all(&self) -> Vec<Arc<Workspace>> {
        let all = self
            .workspaces
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        all.values().cloned().collect()
    }

    fn all_ids(&self) -> BTreeSet<WorkspaceId> {
        let all = self
            .workspaces
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        all.keys().copied().collect()
    }
}

/// How the controller behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where people reach this server's pages, for links in messages; none without it.
    pub base_url: Option<String>,
    /// What `{{ secret.NAME }}` in notifiers stands for.
    pub secrets: Secrets,
    /// How patiently messages are delivered.
    pub pace: Pace,
    /// After how long without use a workspace leaves memory; `None` for never.
    pub rest_after: Option<Duration>,
    /// How many workspaces stay in memory: of more, those that were not used for the longest leave at once.
    pub in_memory_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            base_url: None,
            secrets: Secrets::from_environment(),
            pace: Pace::default(),
            rest_after: Some(Self::REST_AFTER),
            in_memory_max: Self::IN_MEMORY_MAX,
        }
    }
}

/// A command that was carried out and is durable.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The log's head the caller may rely on: the command's own entry, or the one that made it superfluous.
    pub seq: u64,
    pub time: Timestamp,
    /// What happened; empty when nothing changed.
    pub facts: Arc<[Fact]>,
}

/// Why a command was not carried out. Unless the outcome is said to be unknown, nothing was written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubmitError {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Too much is waiting; try again after a moment.
    #[error("too many commands are waiting; try again in a moment")]
    Overloaded,
    /// Storage failed or the process is stopping.
    #[error("{message}")]
    Unavailable { code: &'static str, message: String },
    #[error("there is no such workspace")]
    NoWorkspace,
}

/// Why something could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    #[error("there is no such workspace")]
    NoWorkspace,
    /// Too much is waiting; try again after a moment.
    #[error("too many requests are waiting; try again in a moment")]
    Overloaded,
    #[error("{message}")]
    Unavailable { code: &'static str, message: String },
}

impl Controller {
    /// Starts deciding. A few workspaces are read before this returns, so that damage is seen at once; the others that
    /// may have something to do are read after it, and those at rest when they are needed. Must be called inside a
    /// Tokio runtime.
    ///
    /// # Errors
    /// When one of the logs that are read first cannot be read or does not fold; the error names the record.
    pub fn start(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Result<Self, LoadError> {
        Self::start_with(store, clock, Options::default())
    }

    /// [`Self::start`] with options.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, LoadError> {
        let deliverer = Deliverer::new(options.secrets.clone())
            .map_err(|error| LoadError::Client(error.to_string()))?;
        let measurer = Measurer::new().map_err(|error| LoadError::Client(error.to_string()))?;
        let workspaces = load::all(&*store)?;
        let (wanted, to_be_brought) = unbounded_channel();
        let (sweep, asked_to_sweep) = sync_channel(1);
        let (commands, inbox) = sync_channel(COMMANDS_QUEUED_MAX);
        let outbox = Arc::new(Outbox::default());
        let (snapshots, snapshots_due) = sync_channel(snapshot::QUEUED_MAX);
        let shared = Arc::new(Shared {
            store,
            clock,
            workspaces: RwLock::new(workspaces),
            commands,
            loads: Loads::new(wanted, sweep),
            runtime: tokio::runtime::Handle::current(),
            marks: Marks::default(),
            reads: Reads::default(),
            threads: Mutex::new(Vec::new()),
            stopping: watch::Sender::new(false),
            measurer,
            deliverer,
            snapshotting: Mutex::default(),
            options,
            tasks: Mutex::new(Vec::new()),
        });
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(run)
                .map_err(|error| LoadError::Thread(error.to_string()))
        };
        let (deciding, writing) = (Arc::clone(&shared), Arc::clone(&shared));
        let entries = Arc::clone(&outbox);
        let decider = spawn(
            "decide",
            Box::new(move || decide::run(&deciding, &inbox, &entries)),
        )?;
        let writer = spawn(
            "write",
            Box::new(move || {
                let _closing = Closing(&outbox);
                write::run(&writing, &outbox, &snapshots);
            }),
        )?;
        let snapshotting = Arc::clone(&shared);
        let snapshotter = spawn(
            "snapshot",
            Box::new(move || snapshot::run(&snapshotting, &snapshots_due)),
        )?;
        let sweeping = Arc::clone(&shared);
        let sweeper = spawn(
            "rest",
            Box::new(move || resting::run(&sweeping, &asked_to_sweep)),
        )?;
        let verifying = Arc::clone(&shared);
        spawn("verify", Box::new(move || loading::verify_all(&verifying)))?;
        lock(&shared.threads).extend([decider, writer, snapshotter, sweeper]);
        let controller = Self { shared };
        for workspace in controller.all() {
            if workspace.residence.is_live() {
                controller.shared.entered();
                controller.watch_over(&workspace);
            }
        }
        let bringing = loading::bring_wanted(controller.clone(), to_be_brought);
        lock(&controller.shared.tasks).push(controller.shared.runtime.spawn(bringing));
        Ok(controller)
    }

    /// Recomputes the whole chain of a workspace's log from the database.
    ///
    /// # Errors
    /// The first record that is wrong.
    pub async fn verify(
        &self,
        workspace: WorkspaceId,
    ) -> Result<stagegate_store::VerifyReport, StoreError> {
        let store = Arc::clone(self.store());
        let verified = tokio::task::spawn_blocking(move || load::verify(&*store, workspace)).await;
        verified.unwrap_or_else(|_| {
            Err(StoreError::Invalid {
                what: "the check failed inside the server".to_owned(),
            })
        })
    }

    fn all(&self) -> Vec<Arc<Workspace>> {
        self.shared.all()
    }

    /// The workspaces of this process.
    #[must_use]
    pub fn workspaces(&self) -> Vec<WorkspaceId> {
        self.all().iter().map(|workspace| workspace.id).collect()
    }

    /// Makes a workspace. What else it needs (users, keys) are commands like any other.
    ///
    /// # Errors
    /// When it exists or cannot be written.
    pub async fn create_workspace(
        &self,
        id: WorkspaceId,
        name: &str,
        slug: &str,
    ) -> Result<Committed, SubmitError> {
        let workspace = Arc::new(Workspace::new(id, Shard::new(id)));
        {
            let mut all = self
                .shared
                .workspaces
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            if all.contains_key(&id) {
                return Err(
                    Rejection::conflict("name_taken", "the workspace exists already").into(),
                );
            }
            all.insert(id, Arc::clone(&workspace));
        }
        let _stays = workspace.pin();
        self.shared.entered();
        let command = Command::CreateWorkspace {
            id,
            name: name.to_owned(),
            slug: slug.to_owned(),
        };
        let created = self.submit(id, Actor::System, command, Vec::new()).await;
        if created.is_ok() {
            workspace.residence.verified.store(true, Ordering::Release);
            self.watch_over(&workspace);
        } else {
            self.shared.loads.left();
            self.shared
                .workspaces
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id);
        }
        created
    }

    /// Carries out a command; returns once its entry is durable. `side` is written in the same transaction.
    ///
    /// # Errors
    /// A rejection, or why it could not be written.
    pub async fn submit(
        &self,
        workspace: WorkspaceId,
        actor: Actor,
        command: Command,
        side: Vec<SideWrite>,
    ) -> Result<Committed, SubmitError> {
        checks::check(&command)?;
        let workspace = self.loaded(workspace).await?;
        let (reply, answer) = oneshot::channel();
        let message = Message::Command {
            workspace,
            actor,
            command: Box::new(command),
            side,
            reply,
        };
        self.shared
            .commands
            .try_send(message)
            .map_err(|error| match error {
                TrySendError::Full(_) => SubmitError::Overloaded,
                TrySendError::Disconnected(_) => stopping(),
            })?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Looks at a workspace as it is now; returns once everything that was seen is durable.
    ///
    /// # Errors
    /// When there is no such workspace or its log can no longer be written or read.
    pub async fn read<T, F>(&self, workspace: WorkspaceId, look: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: Fn(&Engine) -> T + Send + Sync + 'static,
    {
        self.read_for(For::Caller, workspace, look).await
    }

    /// [`Self::read`] for somebody.
    pub(crate) async fn read_for<T, F>(
        &self,
        whom: For,
        workspace: WorkspaceId,
        look: F,
    ) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: Fn(&Engine) -> T + Send + Sync + 'static,
    {
        // A task works for a workspace in memory; it is no reason to bring one there.
        let workspace = match whom {
            For::Caller => self.loaded(workspace).await?,
            For::Task => self.loaded_already(workspace)?,
        };
        let _place = self.shared.reads.place(whom)?;
        let look = Arc::new(look);
        loop {
            let (held, looking) = (workspace.clone(), Arc::clone(&look));
            let look = move |live: &Shard| {
                if let Some(halt) = live.halted() {
                    return Err(ReadError::from(halt.clone()));
                }
                Ok((looking(live.engine()), live.seen()))
            };
            let looked = self.in_turn(whom, move || held.with(look));
            let (value, seen) = looked.await?.ok_or_else(loading::has_left)??;
            if workspace.wait_durable(seen).await {
                return Ok(value);
            }
            // What was seen never became durable; look again.
        }
    }

    /// The number of the last durable entry; changes wake whoever waits on it.
    #[must_use]
    pub fn durable(&self, workspace: WorkspaceId) -> Option<watch::Receiver<Durable>> {
        self.find(workspace)
            .map(|workspace| workspace.durable.subscribe())
    }

    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn find(&self, id: WorkspaceId) -> Option<Arc<Workspace>> {
        self.shared.find(id)
    }

    /// Becomes true when the process is to stop.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.shared.stopping.subscribe()
    }

    pub(crate) fn measurer(&self) -> &Measurer {
        &self.shared.measurer
    }

    pub(crate) fn deliverer(&self) -> &Deliverer {
        &self.shared.deliverer
    }

    pub(crate) fn base_url(&self) -> Option<Arc<str>> {
        self.shared.options.base_url.as_deref().map(Arc::from)
    }

    pub(crate) fn pace(&self) -> Pace {
        self.shared.options.pace
    }

    /// Stops: what was accepted is written, a snapshot is left behind, later commands are refused.
    pub async fn shutdown(&self) {
        self.shared.stopping.send_replace(true);
        let shared = Arc::clone(&self.shared);
        let stopped = tokio::task::spawn_blocking(move || {
            // A failure means that the thread is gone already.
            let _ = shared.commands.send(Message::Stop);
            shared.loads.sweep_soon();
            let threads = std::mem::take(&mut *lock(&shared.threads));
            for thread in threads {
                let _ = thread.join();
            }
            resting::note_all(&shared);
        });
        let _ = stopped.await;
        // A message that is on its way is worth a moment: unrecorded, it would be sent again.
        let mut tasks = std::mem::take(&mut *lock(&self.shared.tasks));
        let telling = self.all().into_iter();
        tasks.extend(telling.filter_map(|it| it.residence.end_tasks()));
        let told = async {
            for task in tasks {
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(TELLING_ENDS_WITHIN, told).await;
    }
}

fn stopping() -> SubmitError {
    SubmitError::Unavailable {
        code: "stopping",
        message: "the server is stopping; try again in a moment".to_owned(),
    }
}

fn unavailable(error: &StoreError) -> SubmitError {
    SubmitError::Unavailable {
        code: error.code(),
        message: error.to_string(),
    }
}

/// A lock whose holder panicked holds data that is still good: every change to it is a single assignment.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
