//! A workspace of this process: its shard while it is in memory, and what is known of it always.

use crate::keys::Keys;
use crate::lock;
use crate::residence::Residence;
use crate::snapshot::SnapshotPace;
use crate::step::{Durable, Halt, Shard};
use stagegate_model::{Fact, JobId, Timestamp, WorkspaceId};
use stagegate_store::Hash;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::{Notify, broadcast, watch};

/// How much news of jobs a slow listener may be behind before it looks anew.
const JOB_NEWS_KEPT: usize = 1024;

/// One workspace of this process.
pub(crate) struct Workspace {
    pub id: WorkspaceId,
    slot: RwLock<Slot>,
    pub durable: watch::Sender<Durable>,
    /// Jobs of which there is news, once it is durable; made when somebody listens.
    job_news: Mutex<Option<broadcast::Sender<JobId>>>,
    /// An append failed: what was decided after it is void.
    pub append_failed: AtomicBool,
    /// The keys as they are durable.
    pub keys: Keys,
    pub snapshots: Mutex<SnapshotPace>,
    /// Something that is to be measured may have changed, durably.
    pub to_measure: Notify,
    /// A notifier may be there where none was, durably.
    pub to_tell: Notify,
    /// Why nothing is decided or shown, to be known without waiting for the state.
    halt: Mutex<Option<Halt>>,
    /// Who needs it in memory, and since when nobody does.
    pub residence: Residence,
}

/// Where the state is.
enum Slot {
    Live(Box<Shard>),
    Resting(Resting),
}

/// What is known of a workspace that is not in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resting {
    /// The last entry's hash.
    pub hash: Hash,
    /// When it is to be looked at.
    pub due_at: Option<Timestamp>,
}

impl Workspace {
    /// One that is in memory.
    pub fn new(id: WorkspaceId, live: Shard) -> Self {
        Self {
            keys: Keys::of(live.engine().state()),
            snapshots: Mutex::new(live.snapshot_pace()),
            halt: Mutex::new(live.halted().cloned()),
            durable: watch::Sender::new(live.seen()),
            residence: Residence::live(),
            slot: RwLock::new(Slot::Live(Box::new(live))),
            ..Self::at_rest(
                id,
                0,
                Resting {
                    hash: stagegate_store::GENESIS_HASH,
                    due_at: None,
                },
            )
        }
    }

    /// One that is not, with a log of `seq` entries.
    pub fn at_rest(id: WorkspaceId, seq: u64, resting: Resting) -> Self {
        let durable = Durable { seq, generation: 0 };
        Self {
            id,
            slot: RwLock::new(Slot::Resting(resting)),
            durable: watch::Sender::new(durable),
            job_news: Mutex::default(),
            append_failed: AtomicBool::new(false),
            keys: Keys::default(),
            snapshots: Mutex::default(),
            to_measure: Notify::new(),
            to_tell: Notify::new(),
            halt: Mutex::default(),
            residence: Residence::default(),
        }
    }

    /// Keeps it from leaving memory; see [`Pinned`].
    pub fn pin(self: &Arc<Self>) -> Pinned {
        self.residence.pin();
        Pinned(Arc::clone(self))
    }

    fn slot(&self) -> RwLockReadGuard<'_, Slot> {
        self.slot.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic while deciding leaves half-folded state: the decider drops and refolds it before going on.
    fn slot_mut(&self) -> RwLockWriteGuard<'_, Slot> {
        self.slot.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the shard; `None` while it is not in memory.
    pub fn with<T>(&self, look: impl FnOnce(&Shard) -> T) -> Option<T> {
        match &*self.slot() {
            Slot::Live(shard) => Some(look(shard)),
            Slot::Resting(_) => None,
        }
    }

    /// Works with the shard; gives what is known of it instead while it is not in memory.
    pub fn with_mut<T>(&self, work: impl FnOnce(&mut Shard) -> T) -> Result<T, Resting> {
        match &mut *self.slot_mut() {
            Slot::Live(shard) => Ok(work(shard)),
            Slot::Resting(resting) => Err(*resting),
        }
    }

    /// What is known of it while it is not in memory.
    pub fn resting(&self) -> Option<Resting> {
        match &*self.slot() {
            Slot::Live(_) => None,
            Slot::Resting(resting) => Some(*resting),
        }
    }

    /// Takes the shard out of memory's reach if nobody needs it. Whoever looks meanwhile finds it at rest.
    pub fn take(&self, resting: Resting) -> Option<Box<Shard>> {
        let mut slot = self.slot_mut();
        if !matches!(&*slot, Slot::Live(_)) || !self.residence.leave() {
            return None;
        }
        match std::mem::replace(&mut *slot, Slot::Resting(resting)) {
            Slot::Live(shard) => Some(shard),
            Slot::Resting(_) => None,
        }
    }

    /// Puts a shard where there is none.
    pub fn put(&self, shard: Box<Shard>) {
        let mut slot = self.slot_mut();
        // INVARIANT: of two shards of one workspace the later one would decide what the other has decided.
        if matches!(&*slot, Slot::Resting(_)) {
            *slot = Slot::Live(shard);
            self.residence.enter();
        }
    }

    /// Why nothing is decided or shown, if that is so.
    pub fn halt(&self) -> Option<Halt> {
        lock(&self.halt).clone()
    }

    /// Notes whether the shard is halted; called after what may have changed that.
    pub fn note_halt(&self) {
        if let Some(halted) = self.with(|shard| shard.halted().cloned()) {
            *lock(&self.halt) = halted;
        }
    }

    /// Halts it, in memory or not.
    pub fn halt_for(&self, halt: Halt) {
        // First for those who bring it into memory meanwhile.
        *lock(&self.halt) = Some(halt.clone());
        let _ = self.with_mut(|shard| shard.halt(halt));
        self.note_halt();
    }

    /// Waits until what was seen is durable; false when it never will be.
    pub async fn wait_durable(&self, seen: Durable) -> bool {
        let mut durable = self.durable.subscribe();
        let reached = durable
            .wait_for(|now| now.generation != seen.generation || now.seq >= seen.seq)
            .await;
        reached.is_ok_and(|now| now.generation == seen.generation)
    }

    /// Says that the log is durable up to `seq`.
    pub fn became_durable(&self, seq: u64) {
        self.durable
            .send_modify(|durable| durable.seq = durable.seq.max(seq));
    }

    /// Wakes who works off what these facts, now durable, may have brought. Most bring nothing, and there are many.
    pub fn wake_for(&self, facts: &[Fact]) {
        let brings = |is: fn(&Fact) -> bool| facts.iter().any(is);
        if brings(|fact| {
            matches!(
                fact,
                Fact::VerificationStarted { .. } | Fact::Measured { .. }
            )
        }) {
            self.to_measure.notify_one();
        }
        if brings(|fact| matches!(fact, Fact::NotifierPut { .. })) {
            self.to_tell.notify_one();
        }
    }

    /// Puts a freshly loaded state in place of one that ran ahead of what could be written.
    pub fn replace(&self, live: Shard) {
        let seen = live.seen();
        if live.halted().is_none() {
            self.keys.replace(live.engine().state());
            *lock(&self.snapshots) = live.snapshot_pace();
        }
        let _ = self.with_mut(|shard| *shard = live);
        self.note_halt();
        self.durable.send_replace(seen);
        self.to_measure.notify_one();
        self.to_tell.notify_one();
    }

    /// Listens to news of jobs.
    pub fn hear_of_jobs(&self) -> broadcast::Receiver<JobId> {
        let mut news = lock(&self.job_news);
        news.get_or_insert_with(|| broadcast::Sender::new(JOB_NEWS_KEPT))
            .subscribe()
    }

    /// Tells whoever listens of jobs; when nobody does any more, what was kept for them goes.
    pub fn tell_of_jobs(&self, mut jobs: impl Iterator<Item = JobId>) {
        let mut told = lock(&self.job_news);
        // Where one is heard by nobody, none is: who begins to listen waits for this lock.
        let news = told.as_ref();
        let unheard = news.is_some_and(|news| jobs.any(|job| news.send(job).is_err()));
        if unheard {
            *told = None;
        }
    }

    /// How many listen to news of jobs.
    pub fn job_listeners(&self) -> usize {
        let news = lock(&self.job_news);
        news.as_ref().map_or(0, broadcast::Sender::receiver_count)
    }

    /// Whether all that was decided is durable.
    pub fn is_durable(&self, seen: Durable) -> bool {
        !self.append_failed.load(Ordering::Acquire) && self.durable.borrow().holds(seen)
    }
}

/// A workspace that stays in memory, if it is there, until this is dropped.
pub(crate) struct Pinned(Arc<Workspace>);

impl Clone for Pinned {
    fn clone(&self) -> Self {
        self.0.pin()
    }
}

impl Deref for Pinned {
    type Target = Arc<Workspace>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.0.residence.unpin();
    }
}
