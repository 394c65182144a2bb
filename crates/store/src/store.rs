//! The one interface to storage.

use crate::{
    ApiKey, Append, ArchiveRecord, Cursor, Delivery, DeliveryRecord, EntityRef, Hash, Head, Lease,
    Rest, Row, Session, SideWrite, Snapshot, SnapshotHead, StoreError, User,
};
use stagegate_model::{KeyId, NotifierId, Timestamp, UserId, WorkspaceId};
use std::io;
use std::ops::ControlFlow;
use uuid::Uuid;

/// Durable storage of every workspace's log and of what belongs beside it.
///
/// Every method blocks. What a method acknowledged is durable, snapshots excepted.
///
/// Unless a method says otherwise, its errors are [`StoreError::Io`], [`StoreError::Corrupt`] and, for
/// writes, [`StoreError::Full`] and [`StoreError::Unknown`].
pub trait Store: Send + Sync {
    // ---- the log -------------------------------------------------------------------------------

    /// Appends the batch in one transaction: all of it or nothing. Entries of several workspaces may be
    /// mixed; those of one workspace are in order.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a row does not follow its log's head (seq and hash);
    /// [`StoreError::Fenced`] when the workspace has or had a lease and the epoch is not the current one;
    /// [`StoreError::Invalid`] when a row's hash is wrong or something is larger than allowed;
    /// [`StoreError::Unknown`] when it is open whether the batch is durable.
    fn append(&self, batch: &[Append]) -> Result<(), StoreError>;

    /// The last entry of a log; `None` when there is none.
    fn head(&self, workspace: WorkspaceId) -> Result<Option<Head>, StoreError>;

    /// One row, checked against its own hash; `None` behind the head and before 1.
    fn row(&self, workspace: WorkspaceId, seq: u64) -> Result<Option<Row>, StoreError>;

    /// The rows after `after_seq`, in order, checked against their hashes and against each other.
    ///
    /// At most `limit`; fewer when they are large. **Only an empty answer means the end.**
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] names the first row that is missing or wrong, wherever in the page it is.
    fn read(
        &self,
        workspace: WorkspaceId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// The seqs of the entries that touch `entity`, newest first, below `before_seq` if given.
    fn touching(
        &self,
        workspace: WorkspaceId,
        entity: &EntityRef,
        before_seq: Option<u64>,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError>;

    /// The same, oldest first, above `after_seq`.
    fn touching_after(
        &self,
        workspace: WorkspaceId,
        entity: &EntityRef,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError>;

    /// The workspaces that have a log, ordered by id.
    fn workspaces(&self) -> Result<Vec<WorkspaceId>, StoreError>;

    /// The workspaces that have a log, with its last entry, ordered by id.
    fn heads(&self) -> Result<Vec<(WorkspaceId, Head)>, StoreError>;

    /// The size of all bodies of a log as they were handed in, in bytes.
    fn log_size_bytes(&self, workspace: WorkspaceId) -> Result<u64, StoreError>;

    // ---- snapshots -----------------------------------------------------------------------------

    /// Keeps this snapshot, of which `write` writes the body, and the newest other one of its workspace; older ones go
    /// in the same transaction. Does not hold up appends. One older than both that are kept changes nothing. Gives the
    /// size of the body in bytes. What fails may be tried again: `write` may be called twice.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when the log has no entry `seq` with that hash, or when `write` fails.
    fn write_snapshot(
        &self,
        head: &SnapshotHead,
        write: &mut dyn FnMut(&mut dyn io::Write) -> io::Result<()>,
    ) -> Result<u64, StoreError>;

    /// The snapshots with this schema version whose entry is in the log, newest first, with the sizes of their bodies in
    /// bytes. They may be damaged.
    fn snapshots(
        &self,
        workspace: WorkspaceId,
        schema_version: u32,
    ) -> Result<Vec<(SnapshotHead, u64)>, StoreError>;

    /// Hands out a snapshot's body part by part, until `take` wants no more. Whether it was handed out whole and
    /// undamaged: what was handed out otherwise is worth nothing.
    fn read_snapshot(
        &self,
        head: &SnapshotHead,
        take: &mut dyn FnMut(Vec<u8>) -> ControlFlow<()>,
    ) -> Result<bool, StoreError>;

    /// [`Store::write_snapshot`] of a body that is in memory.
    ///
    /// # Errors
    /// As [`Store::write_snapshot`].
    fn put_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.write_snapshot(&snapshot.head, &mut |out| out.write_all(&snapshot.body))?;
        Ok(())
    }

    /// The newest snapshot with this schema version that is undamaged and whose entry is in the log, whole.
    fn latest_snapshot(
        &self,
        workspace: WorkspaceId,
        schema_version: u32,
    ) -> Result<Option<Snapshot>, StoreError> {
        for (head, _) in self.snapshots(workspace, schema_version)? {
            let mut body = Vec::new();
            let is_whole = self.read_snapshot(&head, &mut |part| {
                body.extend_from_slice(&part);
                ControlFlow::Continue(())
            })?;
            if is_whole {
                return Ok(Some(Snapshot { head, body }));
            }
        }
        Ok(None)
    }

    /// Notes that workspaces are at rest, in one transaction; each in place of what was noted of it before. Like a
    /// snapshot it may be lost.
    fn put_rests(&self, rests: &[Rest]) -> Result<(), StoreError>;

    /// What was noted of workspaces at rest, by workspace; what is damaged is left out. Whether it still holds is for
    /// the caller to see: its log may have gone on.
    fn rests(&self) -> Result<Vec<Rest>, StoreError>;

    // ---- leases --------------------------------------------------------------------------------

    /// Takes the workspace's lease until `now + ttl_millis`; `None` when another holds it.
    ///
    /// Every acquisition starts a new epoch, also by the holder itself: should two processes carry the
    /// same name by mistake, the earlier one is fenced. Use [`Store::renew_lease`] to keep one.
    fn acquire_lease(
        &self,
        workspace: WorkspaceId,
        holder: &str,
        now: Timestamp,
        ttl_millis: i64,
    ) -> Result<Option<Lease>, StoreError>;

    /// Extends the lease of this epoch until `now + ttl_millis`, never shortening it; `None` when it has
    /// been taken over or released. One that ran out but was not taken over can be renewed.
    fn renew_lease(
        &self,
        workspace: WorkspaceId,
        holder: &str,
        epoch: u64,
        now: Timestamp,
        ttl_millis: i64,
    ) -> Result<Option<Lease>, StoreError>;

    /// Gives the lease of this epoch back; nothing can be appended under it any more. False when it was
    /// no longer held.
    fn release_lease(
        &self,
        workspace: WorkspaceId,
        holder: &str,
        epoch: u64,
    ) -> Result<bool, StoreError>;

    /// Who holds (or last held, if it ran out) the workspace's lease; `None` when nobody does.
    fn lease(&self, workspace: WorkspaceId) -> Result<Option<Lease>, StoreError>;

    // ---- the archive ---------------------------------------------------------------------------

    /// One archived record.
    fn archived(
        &self,
        workspace: WorkspaceId,
        kind: &str,
        id: Uuid,
    ) -> Result<Option<ArchiveRecord>, StoreError>;

    /// A target's records of one kind, highest number first, after the cursor
    /// ([`ArchiveRecord::cursor_of_target`] of the last one seen).
    fn archived_of_target(
        &self,
        workspace: WorkspaceId,
        kind: &str,
        target: &str,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<ArchiveRecord>, StoreError>;

    /// The records of one kind that belong to `parent`, by id, after the id if given.
    fn archived_of_parent(
        &self,
        workspace: WorkspaceId,
        kind: &str,
        parent: Uuid,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<ArchiveRecord>, StoreError>;

    /// The records of one kind, last archived first, after the cursor
    /// ([`ArchiveRecord::cursor_of_recent`] of the last one seen).
    fn archived_recent(
        &self,
        workspace: WorkspaceId,
        kind: &str,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<ArchiveRecord>, StoreError>;

    // ---- side tables ---------------------------------------------------------------------------

    /// Writes side tables alone, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when another key has the same hash, or a session's key does not exist.
    fn write_side(&self, writes: &[SideWrite]) -> Result<(), StoreError>;

    /// The key with this hash, revoked or not.
    fn key_by_hash(&self, hash: &Hash) -> Result<Option<ApiKey>, StoreError>;

    /// The key with this id, revoked or not.
    fn key(&self, workspace: WorkspaceId, id: KeyId) -> Result<Option<ApiKey>, StoreError>;

    /// A workspace's keys by id, revoked ones included.
    fn keys(&self, workspace: WorkspaceId) -> Result<Vec<ApiKey>, StoreError>;

    /// A person, unless unknown or erased.
    fn user(&self, workspace: WorkspaceId, id: UserId) -> Result<Option<User>, StoreError>;

    /// A workspace's persons by id.
    fn users(&self, workspace: WorkspaceId) -> Result<Vec<User>, StoreError>;

    /// The session with this hash and its key, unless it ended or the key is revoked.
    fn session(&self, hash: &Hash, now: Timestamp)
    -> Result<Option<(Session, ApiKey)>, StoreError>;

    /// The last entry that was looked through for what is to be told; `None` when none was.
    fn notify_cursor(&self, workspace: WorkspaceId) -> Result<Option<u64>, StoreError>;

    /// A notifier's deliveries, those that are due first before the others.
    fn deliveries(
        &self,
        workspace: WorkspaceId,
        notifier: NotifierId,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// How many messages a notifier has still to be told.
    fn delivery_count(
        &self,
        workspace: WorkspaceId,
        notifier: NotifierId,
    ) -> Result<u64, StoreError>;

    /// What came of a notifier's deliveries; `None` when there was none.
    fn delivery_record(
        &self,
        workspace: WorkspaceId,
        notifier: NotifierId,
    ) -> Result<Option<DeliveryRecord>, StoreError>;

    /// Forgets the sessions that ended before `now`; how many there were.
    fn purge_sessions(&self, now: Timestamp) -> Result<u64, StoreError>;
}
