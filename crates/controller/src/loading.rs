//! Bringing a workspace into memory: once, however many ask for it; a few at a time; no faster than others can leave.

use crate::decide::Message;
use crate::residence::Ending;
use crate::step::{Halt, Shard};
use crate::workspace::{Pinned, Workspace};
use crate::{Controller, ReadError, Shared, load, lock, measure, notify};
use stagegate_model::{Timestamp, WorkspaceId};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Workspaces brought into memory at the same time.
const UNDER_WAY_MAX: usize = 4;
/// Callers that wait for one, at most.
pub(crate) const WAITING_MAX: usize = 1024;
/// Of those under way, how many for what is due by itself, so that callers always get a turn.
const OWN_UNDER_WAY_MAX: usize = 2;
/// After how long one that is due and could not be brought is tried again, in milliseconds.
const TRY_AGAIN_MILLIS: i64 = 1_000;

/// The places of those who want a workspace in memory.
pub(crate) struct Loads {
    under_way: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Those that are due. Each is in it at most once.
    wanted: UnboundedSender<Arc<Workspace>>,
    /// How many are in memory.
    pub in_memory: AtomicUsize,
    /// Has those leave that nobody needs.
    sweep: SyncSender<()>,
    /// How often that was done.
    pub swept: watch::Sender<u64>,
}

impl Loads {
    pub fn new(wanted: UnboundedSender<Arc<Workspace>>, sweep: SyncSender<()>) -> Self {
        Self {
            under_way: Arc::new(Semaphore::new(UNDER_WAY_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            wanted,
            in_memory: AtomicUsize::new(0),
            sweep,
            swept: watch::Sender::new(0),
        }
    }

    /// Has those leave that nobody needs, soon.
    pub fn sweep_soon(&self) {
        // One that is asked for already does as well.
        let _ = self.sweep.try_send(());
    }

    /// One has come into memory; of more than `max`, some are to leave.
    pub fn entered(&self, max: usize) {
        if self.in_memory.fetch_add(1, Ordering::Relaxed) >= max {
            self.sweep_soon();
        }
    }

    pub fn left(&self) {
        self.in_memory.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is said should a workspace not be where whoever pinned it left it.
pub(crate) fn has_left() -> ReadError {
    ReadError::Unavailable {
        code: "internal",
        message: "the workspace left memory meanwhile; try again".to_owned(),
    }
}

impl Shared {
    /// One has come into memory.
    pub fn entered(&self) {
        self.loads.entered(self.options.in_memory_max);
    }

    /// Has a workspace at rest brought into memory if it is due; gives when to look at it again.
    pub fn wake_when_due(
        &self,
        workspace: &Arc<Workspace>,
        due_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let due_at = due_at?;
        if due_at > now {
            return Some(due_at);
        }
        if workspace.halt().is_some_and(|halt| !halt.is_passing()) {
            return None;
        }
        if !workspace.residence.wanted.swap(true, Ordering::AcqRel) {
            // Nobody receives any more: the process stops.
            let _ = self.loads.wanted.send(Arc::clone(workspace));
        }
        Some(now.plus_millis(TRY_AGAIN_MILLIS))
    }

    /// Has the deciding thread look at it. The mark stays should its queue be full; the message only wakes it.
    pub fn look_at(&self, workspace: &Arc<Workspace>) {
        self.marks.mark(workspace);
        let _ = self.commands.try_send(Message::Marked);
    }
}

impl Controller {
    /// A workspace, in memory until what is given is dropped.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or too many wait already.
    pub(crate) async fn loaded(&self, id: WorkspaceId) -> Result<Pinned, ReadError> {
        let workspace = self.find(id).ok_or(ReadError::NoWorkspace)?.pin();
        workspace.residence.touch();
        if !workspace.residence.is_live() {
            let place = Arc::clone(&self.shared.loads.waiting).try_acquire_owned();
            let _place = place.map_err(|_| ReadError::Overloaded)?;
            self.bring(&workspace).await?;
        }
        Ok(workspace)
    }

    /// A workspace, if it is in memory now.
    pub(crate) fn loaded_already(&self, id: WorkspaceId) -> Result<Pinned, ReadError> {
        let workspace = self.find(id).ok_or(ReadError::NoWorkspace)?.pin();
        match workspace.residence.is_live() {
            true => Ok(workspace),
            false => Err(has_left()),
        }
    }

    async fn bring(&self, workspace: &Pinned) -> Result<(), ReadError> {
        let moving = Arc::clone(&workspace.residence.moving).lock_owned().await;
        if workspace.residence.is_live() {
            return Ok(());
        }
        if let Some(halt) = workspace.halt().filter(|halt| !halt.is_passing()) {
            return Err(halt.into());
        }
        let failed = || ReadError::Unavailable {
            code: "internal",
            message: "reading the workspace failed inside the server".to_owned(),
        };
        let turn = Arc::clone(&self.shared.loads.under_way).acquire_owned();
        let turn = turn.await.map_err(|_| failed())?;
        self.make_room().await;
        if *self.shared.stopping.borrow() {
            return Err(ReadError::Unavailable {
                code: "stopping",
                message: "the server is stopping; try again in a moment".to_owned(),
            });
        }
        let (controller, workspace) = (self.clone(), workspace.clone());
        // What has begun is done to its end, also when nobody wants it any more.
        let brought = tokio::task::spawn_blocking(move || {
            let _held = (moving, turn);
            controller.bring_now(&workspace)
        });
        brought.await.map_err(|_| failed())?
    }

    /// While there are more in memory than there should be, one comes only after it was seen who can leave.
    async fn make_room(&self) {
        let loads = &self.shared.loads;
        let in_memory = loads.in_memory.load(Ordering::Relaxed);
        let options = &self.shared.options;
        if in_memory < options.in_memory_max || options.rest_after.is_none() {
            return;
        }
        let mut swept = loads.swept.subscribe();
        let mut stopping = self.stopping();
        loads.sweep_soon();
        tokio::select! {
            _ = swept.changed() => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }

    fn bring_now(&self, workspace: &Pinned) -> Result<(), ReadError> {
        let store = &*self.shared.store;
        let Some(resting) = workspace.resting() else {
            return Ok(());
        };
        let seen = *workspace.durable.borrow();
        let read = Shard::back(store, workspace.id, seen, resting.hash)
            .and_then(|shard| verify_first(store, workspace, &shard).map(|()| shard));
        let shard = read.map_err(|error| {
            let halt = Halt::after(&error, self.now());
            if !halt.is_passing() {
                workspace.halt_for(halt.clone());
            }
            ReadError::from(halt)
        })?;
        self.install(workspace, shard);
        Ok(())
    }

    fn install(&self, workspace: &Arc<Workspace>, shard: Shard) {
        workspace.keys.replace(shard.engine().state());
        {
            let mut pace = lock(&workspace.snapshots);
            if !pace.is_known() {
                *pace = shard.snapshot_pace();
            }
        }
        workspace.put(Box::new(shard));
        self.shared.entered();
        if let Some(halt) = workspace.halt() {
            // Its log was found damaged while it was read.
            workspace.halt_for(halt);
        }
        self.watch_over(workspace);
        self.shared.look_at(workspace);
    }

    /// Starts the loops that work off what the workspace's state says is to be done.
    pub(crate) fn watch_over(&self, workspace: &Arc<Workspace>) {
        let leaving = watch::Sender::new(false);
        let ending = Ending {
            stopping: self.stopping(),
            leaving: leaving.subscribe(),
        };
        let runtime = &self.shared.runtime;
        let measuring = measure::run(self.clone(), Arc::clone(workspace), ending.clone());
        runtime.spawn(measuring);
        let telling = notify::run(self.clone(), Arc::clone(workspace), ending);
        workspace.residence.work(leaving, runtime.spawn(telling));
    }

    /// How many workspaces are in memory.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.shared.loads.in_memory.load(Ordering::Relaxed)
    }

    /// Whether a workspace is in memory; one that is not is brought there when it is needed.
    #[must_use]
    pub fn is_in_memory(&self, workspace: WorkspaceId) -> bool {
        self.find(workspace)
            .is_some_and(|workspace| workspace.residence.is_live())
    }
}

/// Checks a log whole before anything is served from it, once in this process; a large one is checked beside it.
fn verify_first(
    store: &dyn stagegate_store::Store,
    workspace: &Workspace,
    shard: &Shard,
) -> Result<(), load::LoadError> {
    let verified = &workspace.residence.verified;
    if verified.load(Ordering::Acquire) {
        return Ok(());
    }
    // What was read from the log alone is checked by that.
    if shard.snapshot_seq() > 0 {
        if store.log_size_bytes(workspace.id)? > load::VERIFIED_FIRST_BYTES_MAX {
            return Ok(());
        }
        load::verify(store, workspace.id)?;
    }
    verified.store(true, Ordering::Release);
    Ok(())
}

/// Brings those into memory that are due, until the process stops.
pub(crate) async fn bring_wanted(
    controller: Controller,
    mut wanted: UnboundedReceiver<Arc<Workspace>>,
) {
    let mut stopping = controller.stopping();
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
            next = wanted.recv(), if under_way.len() < OWN_UNDER_WAY_MAX => {
                let Some(workspace) = next else { return };
                let controller = controller.clone();
                under_way.spawn(async move {
                    let workspace = workspace.pin();
                    // One that cannot be brought is wanted again by the deciding thread.
                    let _ = controller.bring(&workspace).await;
                    workspace.residence.wanted.store(false, Ordering::Release);
                });
            }
        }
    }
}

/// Checks the logs that were not checked before, one after the other; what is found to be damaged is halted.
pub(crate) fn verify_all(shared: &Arc<Shared>) {
    for workspace in shared.all() {
        if *shared.stopping.borrow() {
            return;
        }
        let residence = &workspace.residence;
        let size = shared.store.log_size_bytes(workspace.id);
        // Whoever wants a small one would check it first as well.
        let is_small = matches!(size, Ok(size) if size <= load::VERIFIED_FIRST_BYTES_MAX);
        let _moving = is_small.then(|| residence.moving.blocking_lock());
        if residence.verified.load(Ordering::Acquire) {
            continue;
        }
        match load::verify(&*shared.store, workspace.id) {
            Ok(_) => residence.verified.store(true, Ordering::Release),
            Err(error) => {
                let halt = Halt::after(&error.into(), shared.clock.now());
                if !halt.is_passing() {
                    workspace.halt_for(halt);
                }
            }
        }
    }
}
