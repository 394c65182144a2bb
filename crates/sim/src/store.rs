//! The real store behind a switch for faults.

use crate::counts::Counts;
use stagegate_model::WorkspaceId;
use stagegate_store::{Append, Layer, SnapshotHead, SqliteStore, Store, StoreError};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What appends do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writes {
    /// They work.
    #[default]
    Work,
    /// The disk is full: nothing is written.
    Full,
    /// They fail: nothing is written.
    Fail,
    /// The next one is written, but nobody is told.
    UnknownWritten,
    /// The next one is not written, and nobody is told.
    UnknownLost,
}

/// What becomes of snapshots when they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Snapshots {
    /// They are as they were written.
    #[default]
    Whole,
    /// The body is cut off.
    Truncated,
    /// It is of another history.
    Foreign,
    /// There is none.
    Missing,
}

/// What is wrong with the storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Appends.
    pub writes: Writes,
    /// Whether nothing can be read.
    pub reads_fail: bool,
    /// Snapshots.
    pub snapshots: Snapshots,
}

/// The real store behind a switch.
pub struct FaultyStore {
    inner: SqliteStore,
    faults: Mutex<Faults>,
    appends: AtomicU64,
    counts: Mutex<Counts>,
}

impl FaultyStore {
    /// An empty store in memory.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn in_memory() -> Result<Self, StoreError> {
        Ok(Self {
            inner: SqliteStore::in_memory()?,
            faults: Mutex::default(),
            appends: AtomicU64::new(0),
            counts: Mutex::default(),
        })
    }

    /// The switch.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Grows whenever something may have been appended: while it does not, the log is the same.
    #[must_use]
    pub fn appends(&self) -> u64 {
        self.appends.load(Ordering::Relaxed)
    }

    /// How often each fault was met, by those who used the store and not only set.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn count(&self, what: &'static str) {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(what);
    }

    fn append_inside(&self, batch: &[Append]) -> Result<(), StoreError> {
        self.appends.fetch_add(1, Ordering::Relaxed);
        self.inner.append(batch)
    }

    /// The store as it is, faults or not.
    #[must_use]
    pub fn truth(&self) -> &SqliteStore {
        &self.inner
    }

    fn readable(&self) -> Result<(), StoreError> {
        if self.faults().reads_fail {
            self.count("storage: a read failed");
            return Err(StoreError::Io {
                what: "reading".to_owned(),
                detail: "injected".to_owned(),
            });
        }
        Ok(())
    }
}

impl Layer for FaultyStore {
    fn behind(&self) -> &dyn Store {
        &self.inner
    }

    fn before(&self, _: &'static str) -> Result<(), StoreError> {
        self.readable()
    }

    fn append(&self, batch: &[Append]) -> Result<(), StoreError> {
        let detail = "injected".to_owned();
        let writes = self.faults().writes;
        match writes {
            Writes::Work => self.append_inside(batch),
            Writes::Full => {
                self.count("storage: disk full");
                Err(StoreError::Full { detail })
            }
            Writes::Fail => {
                self.count("storage: a write failed");
                Err(StoreError::Io {
                    what: "writing".to_owned(),
                    detail,
                })
            }
            Writes::UnknownWritten => {
                self.faults().writes = Writes::Work;
                self.append_inside(batch)?;
                self.count("storage: unknown outcome, written");
                Err(StoreError::Unknown { detail })
            }
            Writes::UnknownLost => {
                self.faults().writes = Writes::Work;
                self.count("storage: unknown outcome, lost");
                Err(StoreError::Unknown { detail })
            }
        }
    }

    fn snapshots(
        &self,
        workspace: WorkspaceId,
        schema_version: u32,
    ) -> Result<Vec<(SnapshotHead, u64)>, StoreError> {
        self.readable()?;
        let mut kept = self.inner.snapshots(workspace, schema_version)?;
        let damage = self.faults().snapshots;
        if kept.is_empty() {
            return Ok(kept);
        }
        match damage {
            Snapshots::Whole => self.count("snapshot: read whole"),
            Snapshots::Truncated => self.count("snapshot: read truncated"),
            Snapshots::Foreign => {
                self.count("snapshot: read of another history");
                kept.iter_mut()
                    .for_each(|(head, _)| head.entry_hash[0] ^= 1);
            }
            Snapshots::Missing => {
                self.count("snapshot: missing");
                kept.clear();
            }
        }
        Ok(kept)
    }

    fn read_snapshot(
        &self,
        head: &SnapshotHead,
        take: &mut dyn FnMut(Vec<u8>) -> ControlFlow<()>,
    ) -> Result<bool, StoreError> {
        self.readable()?;
        if self.faults().snapshots == Snapshots::Whole {
            return self.inner.read_snapshot(head, take);
        }
        // Whatever is wrong with it, it is said to be whole.
        self.inner.read_snapshot(head, &mut |mut part| {
            part.truncate(part.len() / 2);
            take(part)
        })?;
        Ok(true)
    }
}
