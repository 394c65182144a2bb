//! Who needs a workspace in memory, and since when nobody does.

use crate::lock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Instant;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Milliseconds are counted from here: of this clock nobody can set the time.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Milliseconds of this process.
pub(crate) fn millis() -> u64 {
    u64::try_from(BEGINNING.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Whether a workspace is in memory, and who keeps it there.
#[derive(Default)]
pub(crate) struct Residence {
    /// Whether it is in memory; false for a moment also while it is tried to take it out.
    live: AtomicBool,
    /// Who relies on that.
    pins: AtomicUsize,
    /// When it was last needed, in [`millis`].
    used_at: AtomicU64,
    /// Up to which entry everybody was told, with nothing left to deliver; 0 when that is not known.
    told: AtomicU64,
    /// Held while it is brought into memory or taken out.
    pub moving: Arc<tokio::sync::Mutex<()>>,
    /// Whether its whole log was checked by this process.
    pub verified: AtomicBool,
    /// Whether the deciding thread waits for it.
    pub wanted: AtomicBool,
    tasks: Mutex<Option<Tasks>>,
}

/// What works for a workspace in memory.
struct Tasks {
    /// Says that it leaves; the tasks end.
    leaving: watch::Sender<bool>,
    telling: JoinHandle<()>,
}

impl Residence {
    /// Of a workspace that is in memory from the beginning.
    pub fn live() -> Self {
        let residence = Self::default();
        residence.enter();
        residence
    }

    pub fn pin(&self) {
        self.pins.fetch_add(1, Ordering::SeqCst);
    }

    pub fn unpin(&self) {
        self.pins.fetch_sub(1, Ordering::SeqCst);
    }

    pub fn is_pinned(&self) -> bool {
        self.pins.load(Ordering::SeqCst) > 0
    }

    /// Whether it is in memory; for whoever has pinned it, yes means that it stays there.
    pub fn is_live(&self) -> bool {
        self.live.load(Ordering::SeqCst)
    }

    /// It is in memory from now on.
    pub fn enter(&self) {
        self.touch();
        self.live.store(true, Ordering::SeqCst);
    }

    /// It is no longer in memory, unless somebody has pinned it. Either whoever pins sees that it left, or this sees
    /// the pin: both write before they look.
    pub fn leave(&self) -> bool {
        self.live.store(false, Ordering::SeqCst);
        let left = !self.is_pinned();
        if !left {
            self.live.store(true, Ordering::SeqCst);
        }
        left
    }

    /// Somebody needs it now.
    pub fn touch(&self) {
        self.used_at.store(millis(), Ordering::Relaxed);
    }

    pub fn used_at(&self) -> u64 {
        self.used_at.load(Ordering::Relaxed)
    }

    /// Everybody was told of the entries up to `seq`; 0 when something is still to be delivered.
    pub fn set_told(&self, seq: u64) {
        self.told.store(seq, Ordering::Release);
    }

    pub fn told(&self) -> u64 {
        self.told.load(Ordering::Acquire)
    }

    /// Keeps the tasks of a workspace that has come into memory.
    pub fn work(&self, leaving: watch::Sender<bool>, telling: JoinHandle<()>) {
        *lock(&self.tasks) = Some(Tasks { leaving, telling });
    }

    /// Has the tasks end, since it has left memory or the process ends; gives the one that may have something to write.
    pub fn end_tasks(&self) -> Option<JoinHandle<()>> {
        let tasks = lock(&self.tasks).take()?;
        tasks.leaving.send_replace(true);
        Some(tasks.telling)
    }
}

/// Tells a task that it is to end: its workspace leaves memory, or the process stops.
#[derive(Clone)]
pub(crate) struct Ending {
    pub stopping: watch::Receiver<bool>,
    pub leaving: watch::Receiver<bool>,
}

impl Ending {
    pub fn is_now(&self) -> bool {
        *self.stopping.borrow() || *self.leaving.borrow()
    }

    pub async fn wait(&mut self) {
        let (stopping, leaving) = (&mut self.stopping, &mut self.leaving);
        // A sender that is gone says the same.
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => {}
            _ = leaving.wait_for(|leave| *leave) => {}
        }
    }
}
