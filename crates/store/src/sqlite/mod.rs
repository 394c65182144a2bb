//! The SQLite backend: one directory, one process, no set-up.
//!
//! `DIR/stagegate.db` holds the log and everything beside it (write-ahead log, `synchronous=FULL`: what
//! was acknowledged survives a power cut), `DIR/snapshots.db` only what can be recomputed, `DIR/lock`
//! keeps a second process out. One connection writes, a few read.

mod archive;
mod body;
mod checkpoint;
mod column;
mod database;
mod delivery;
mod fault;
mod lock;
mod log;
mod rests;
mod side;
mod snapshots;
mod workspace;

use crate::{
    ApiKey, Append, ArchiveRecord, Cursor, Delivery, DeliveryRecord, EntityRef, Hash, Head, Lease,
    Rest, Row, Session, SideWrite, SnapshotHead, Store, StoreError, User,
};
use database::{Database, Schema};
use lock::DirLock;
use snapshots::Snapshots;
use stagegate_model::{KeyId, NotifierId, Timestamp, UserId, WorkspaceId};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use uuid::Uuid;

const SCHEMA: Schema = Schema {
    application_id: 0x5347_4c31,
    migrations: &[
        include_str!("migrations/0001_log.sql"),
        include_str!("migrations/0002_delivery.sql"),
    ],
    synchronous: "full",
    secure_delete: true,
    checkpoints_beside: true,
};

const DATABASE: &str = "stagegate.db";
const SNAPSHOTS: &str = "snapshots.db";

/// How to open a [`SqliteStore`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SqliteOptions {
    /// The largest the database may become, in pages of 4 KiB; `None` for as large as the disk.
    pub max_pages: Option<u32>,
}

/// A [`Store`] in one directory.
pub struct SqliteStore {
    database: Database,
    snapshots: Snapshots,
    // Last, so that the databases are closed before another process may open them.
    _lock: Option<DirLock>,
}

impl SqliteStore {
    /// Opens the store in `dir`, creating and migrating what is needed.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it, [`StoreError::Newer`] when a later Stagegate
    /// wrote it, [`StoreError::Corrupt`] or [`StoreError::Invalid`] when the file is something else.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(dir, SqliteOptions::default())
    }

    /// [`Self::open`] with options.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn open_with(dir: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        create_private_dir(dir)?;
        let lock = DirLock::take(dir)?;
        let store = Self {
            database: Database::open(&dir.join(DATABASE), &SCHEMA)?,
            snapshots: Snapshots::open(&dir.join(SNAPSHOTS))?,
            _lock: Some(lock),
        };
        store.set_max_pages(options.max_pages)?;
        Ok(store)
    }

    /// Opens the store in `dir` for reading only, also while another process writes it: for
    /// verification and exports beside a running server. Every write is refused.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when there is no store or one that has to be migrated first; otherwise
    /// those of [`Self::open`], [`StoreError::Locked`] excepted.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            database: Database::open_read_only(&dir.join(DATABASE), &SCHEMA)?,
            snapshots: Snapshots::open_read_only(&dir.join(SNAPSHOTS))?,
            _lock: None,
        })
    }

    /// A store that lives as long as this value.
    ///
    /// # Errors
    /// [`StoreError::Io`] when there is no memory for it.
    pub fn in_memory() -> Result<Self, StoreError> {
        Ok(Self {
            database: Database::in_memory(&SCHEMA)?,
            snapshots: Snapshots::in_memory()?,
            _lock: None,
        })
    }

    /// Limits the log's database to so many pages of 4 KiB, or lifts the limit.
    ///
    /// A limit below its present size keeps it at that size.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the database is not usable.
    pub fn set_max_pages(&self, pages: Option<u32>) -> Result<(), StoreError> {
        self.database.set_max_pages(pages)
    }

    fn log_has(&self, workspace: WorkspaceId, seq: u64, hash: &Hash) -> Result<bool, StoreError> {
        let found = self.database.read(READ_LOG, |connection| {
            log::hash_at(connection, workspace, seq)
        })?;
        Ok(found.as_ref() == Some(hash))
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

/// Creates the directory for its owner only; one that is there keeps its permissions.
fn create_private_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(dir)
        .map_err(|error| fault::file("cannot be created", dir, &error))?;
    // A power cut must not take the new directory's name with it; where a directory cannot be
    // synchronised there is nothing to do.
    if let Some(parent) = dir.parent()
        && let Ok(parent) = std::fs::File::open(parent)
    {
        let _ = parent.sync_all();
    }
    Ok(())
}

const WRITE_LOG: &str = "the log cannot be written";
const READ_LOG: &str = "the log cannot be read";
const WRITE_LEASE: &str = "the lease cannot be written";
const READ_ARCHIVE: &str = "the archive cannot be read";
const READ_KEYS: &str = "the API keys cannot be read";
const READ_DELIVERIES: &str = "the deliveries to notifiers cannot be read";
const READ_USERS: &str = "the users cannot be read";
const WRITE_SIDE: &str = "keys, users or sessions cannot be written";

impl Store for SqliteStore {
    fn append(&self, batch: &[Append]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        log::validate(batch)?;
        self.database
            .write(WRITE_LOG, |connection| log::append(connection, batch))?;
        if batch.iter().any(|append| side::erases(&append.side)) {
            self.database.scrub();
        }
        Ok(())
    }

    fn head(&self, workspace: WorkspaceId) -> Result<Option<Head>, StoreError> {
        self.database.read(READ_LOG, |connection| {
            Ok(workspace::find(connection, workspace)?.and_then(|found| found.head))
        })
    }

    fn row(&self, workspace: WorkspaceId, seq: u64) -> Result<Option<Row>, StoreError> {
        self.database
            .read(READ_LOG, |connection| log::row(connection, workspace, seq))
    }

    fn read(
        &self,
        workspace: WorkspaceId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.database.read(READ_LOG, |connection| {
            log::read(connection, workspace, after_seq, limit)
        })
    }

    fn touching(
        &self,
        workspace: WorkspaceId,
        entity: &EntityRef,
        before_seq: Option<u64>,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError> {
        self.database.read(READ_LOG, |connection| {
            log::touching(connection, workspace, entity, before_seq, limit)
        })
    }

    fn touching_after(
        &self,
        workspace: WorkspaceId,
        entity: &EntityRef,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError> {
        self.database.read(READ_LOG, |connection| {
            log::touching_after(connection, workspace, entity, after_seq, limit)
        })
    }

    fn workspaces(&self) -> Result<Vec<WorkspaceId>, StoreError> {
        self.database.read(READ_LOG, workspace::with_entries)
    }

    fn heads(&self) -> Result<Vec<(WorkspaceId, Head)>, StoreError> {
        self.database.read(READ_LOG, workspace::heads)
    }

    fn log_size_bytes(&self, workspace: WorkspaceId) -> Result<u64, StoreError> {
        self.database.read(READ_LOG, |connection| {
            Ok(workspace::find(connection, workspace)?.map_or(0, |found| found.body_bytes))
        })
    }

    fn write_snapshot(
        &self,
        head: &SnapshotHead,
        write: &mut dyn FnMut(&mut dyn io::Write) -> io::Result<()>,
    ) -> Result<u64, StoreError> {
        let SnapshotHead { workspace, seq, .. } = *head;
        if !self.log_has(workspace, seq, &head.entry_hash)? {
            return Err(StoreError::invalid(format!(
                "the snapshot is of entry number {seq}, which is not in the log of workspace \
                 `{workspace}`"
            )));
        }
        let is_current = |kept: &SnapshotHead| self.log_has(workspace, kept.seq, &kept.entry_hash);
        self.snapshots.put(head, write, is_current)
    }

    fn snapshots(
        &self,
        workspace: WorkspaceId,
        schema_version: u32,
    ) -> Result<Vec<(SnapshotHead, u64)>, StoreError> {
        let mut current = Vec::new();
        for (head, bytes) in self.snapshots.list(workspace, schema_version)? {
            if self.log_has(workspace, head.seq, &head.entry_hash)? {
                current.push((head, bytes));
            }
        }
        Ok(current)
    }

    fn read_snapshot(
        &self,
        head: &SnapshotHead,
        take: &mut dyn FnMut(Vec<u8>) -> ControlFlow<()>,
    ) -> Result<bool, StoreError> {
        self.snapshots.read(head, take)
    }

    fn put_rests(&self, rests: &[Rest]) -> Result<(), StoreError> {
        self.snapshots.put_rests(rests)
    }

    fn rests(&self) -> Result<Vec<Rest>, StoreError> {
        self.snapshots.rests()
    }

    fn acquire_lease(
        &self,
        workspace: WorkspaceId,
        holder: &str,
        now: Timestamp,
        ttl_millis: i64,
    ) -> Result<Option<Lease>, StoreError> {
        self.database.write(WRITE_LEASE, |connection| {
            workspace::acquire(connection, workspace, holder, now, ttl_millis)
        })
    }

    fn renew_lease(
        &self,
        workspace: WorkspaceId,
        holder: &str,
        epoch: u64,
        now: Timestamp,
        ttl_millis: i64,
    ) -> Result<Option<Lease>, StoreError> {
        self.database.write(WRITE_LEASE, |connection| {
            workspace::renew(connection, workspace, holder, epoch, now, ttl_millis)
        })
    }

    fn release_lease(
        &self,
        workspace: WorkspaceId,
        holder: &str,
        epoch: u64,
    ) -> Result<bool, StoreError> {
        self.database.write(WRITE_LEASE, |connection| {
            workspace::release(connection, workspace, holder, epoch)
        })
    }

    fn lease(&self, workspace: WorkspaceId) -> Result<Option<Lease>, StoreError> {
        self.database
            .read("the lease cannot be read", |connection| {
                Ok(workspace::find(connection, workspace)?.and_then(|found| found.lease))
            })
    }

    fn archived(
        &self,
        workspace: WorkspaceId,
        kind: &str,
        id: Uuid,
    ) -> Result<Option<ArchiveRecord>, StoreError> {
        self.database.read(READ_ARCHIVE, |connection| {
            archive::one(connection, workspace, kind, id)
        })
    }

    fn archived_of_target(
        &self,
        workspace: WorkspaceId,
        kind: &str,
        target: &str,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<ArchiveRecord>, StoreError> {
        self.database.read(READ_ARCHIVE, |connection| {
            archive::of_target(connection, workspace, kind, target, after, limit)
        })
    }

    fn archived_of_parent(
        &self,
        workspace: WorkspaceId,
        kind: &str,
        parent: Uuid,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<ArchiveRecord>, StoreError> {
        self.database.read(READ_ARCHIVE, |connection| {
            archive::of_parent(connection, workspace, kind, parent, after, limit)
        })
    }

    fn archived_recent(
        &self,
        workspace: WorkspaceId,
        kind: &str,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<ArchiveRecord>, StoreError> {
        self.database.read(READ_ARCHIVE, |connection| {
            archive::recent(connection, workspace, kind, after, limit)
        })
    }

    fn write_side(&self, writes: &[SideWrite]) -> Result<(), StoreError> {
        self.database
            .write(WRITE_SIDE, |connection| side::write(connection, writes))?;
        if side::erases(writes) {
            self.database.scrub();
        }
        Ok(())
    }

    fn key_by_hash(&self, hash: &Hash) -> Result<Option<ApiKey>, StoreError> {
        self.database
            .read(READ_KEYS, |connection| side::key_by_hash(connection, hash))
    }

    fn key(&self, workspace: WorkspaceId, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
        self.database
            .read(READ_KEYS, |connection| side::key(connection, workspace, id))
    }

    fn keys(&self, workspace: WorkspaceId) -> Result<Vec<ApiKey>, StoreError> {
        self.database
            .read(READ_KEYS, |connection| side::keys(connection, workspace))
    }

    fn user(&self, workspace: WorkspaceId, id: UserId) -> Result<Option<User>, StoreError> {
        self.database.read(READ_USERS, |connection| {
            side::user(connection, workspace, id)
        })
    }

    fn users(&self, workspace: WorkspaceId) -> Result<Vec<User>, StoreError> {
        self.database
            .read(READ_USERS, |connection| side::users(connection, workspace))
    }

    fn session(
        &self,
        hash: &Hash,
        now: Timestamp,
    ) -> Result<Option<(Session, ApiKey)>, StoreError> {
        self.database
            .read("the sessions cannot be read", |connection| {
                side::session(connection, hash, now)
            })
    }

    fn notify_cursor(&self, workspace: WorkspaceId) -> Result<Option<u64>, StoreError> {
        self.database.read(READ_DELIVERIES, |connection| {
            delivery::cursor(connection, workspace)
        })
    }

    fn deliveries(
        &self,
        workspace: WorkspaceId,
        notifier: NotifierId,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.database.read(READ_DELIVERIES, |connection| {
            delivery::due(connection, workspace, notifier, limit)
        })
    }

    fn delivery_count(
        &self,
        workspace: WorkspaceId,
        notifier: NotifierId,
    ) -> Result<u64, StoreError> {
        self.database.read(READ_DELIVERIES, |connection| {
            delivery::count(connection, workspace, notifier)
        })
    }

    fn delivery_record(
        &self,
        workspace: WorkspaceId,
        notifier: NotifierId,
    ) -> Result<Option<DeliveryRecord>, StoreError> {
        self.database.read(READ_DELIVERIES, |connection| {
            delivery::record(connection, workspace, notifier)
        })
    }

    fn purge_sessions(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.database.write(WRITE_SIDE, |connection| {
            side::purge_sessions(connection, now)
        })
    }
}
