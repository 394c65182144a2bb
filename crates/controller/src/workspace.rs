//! A workspace of this process: its shard, shared by the threads, and how much of its log is durable.

use crate::keys::Keys;
use crate::lock;
use crate::snapshot::SnapshotPace;
use crate::step::{Durable, Halt, Shard};
use stagegate_model::{Fact, JobId, WorkspaceId};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::{Notify, broadcast, watch};

/// How much news of jobs a slow listener may be behind before it looks anew.
const JOB_NEWS_KEPT: usize = 1024;

/// One workspace of this process.
pub(crate) struct Workspace {
    pub id: WorkspaceId,
    live: RwLock<Shard>,
    pub durable: watch::Sender<Durable>,
    /// Jobs of which there is news, once it is durable.
    pub job_news: broadcast::Sender<JobId>,
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
}

impl Workspace {
    pub fn new(id: WorkspaceId, live: Shard) -> Self {
        let durable = watch::Sender::new(live.seen());
        Self {
            id,
            keys: Keys::of(live.engine().state()),
            snapshots: Mutex::new(live.snapshot_pace()),
            to_measure: Notify::new(),
            to_tell: Notify::new(),
            halt: Mutex::new(live.halted().cloned()),
            live: RwLock::new(live),
            durable,
            job_news: broadcast::Sender::new(JOB_NEWS_KEPT),
            append_failed: AtomicBool::new(false),
        }
    }

    pub fn live(&self) -> RwLockReadGuard<'_, Shard> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic while deciding leaves half-folded state: the decider drops and refolds it before going on.
    pub fn live_mut(&self) -> RwLockWriteGuard<'_, Shard> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing is decided or shown, if that is so.
    pub fn halt(&self) -> Option<Halt> {
        lock(&self.halt).clone()
    }

    /// Notes whether the shard is halted; called after what may have changed that.
    pub fn note_halt(&self) {
        let halted = self.live().halted().cloned();
        *lock(&self.halt) = halted;
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
        *self.live_mut() = live;
        self.note_halt();
        self.durable.send_replace(seen);
        self.to_measure.notify_one();
        self.to_tell.notify_one();
    }
}
