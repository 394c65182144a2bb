//! A store in front of another one: for tests and simulations, which count what is asked of a store, hold it up or have
//! it fail.

use crate::{
    ApiKey, Append, ArchiveRecord, Cursor, Delivery, DeliveryRecord, EntityRef, Hash, Head, Lease,
    Rest, Row, Session, SideWrite, SnapshotHead, Store, StoreError, User,
};
use stagegate_model::{KeyId, NotifierId, Timestamp, UserId, WorkspaceId};
use std::io;
use std::ops::ControlFlow;
use uuid::Uuid;

macro_rules! layer {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)*) => {
        /// A store that hands on to another what it does not do itself: whoever implements this is a [`Store`]. Import
        /// only the one of the two traits whose methods are to be called.
        pub trait Layer: Send + Sync {
            /// The store behind it.
            fn behind(&self) -> &dyn Store;

            /// Called before each call that is handed on, with the method's name.
            ///
            /// # Errors
            /// What the call is to give instead.
            fn before(&self, call: &'static str) -> Result<(), StoreError> {
                let _ = call;
                Ok(())
            }

            $(
                #[doc = concat!("[`Store::", stringify!($name), "`]")]
                ///
                /// # Errors
                /// As there.
                fn $name(&self, $($arg: $ty),*) -> Result<$ret, StoreError> {
                    self.before(stringify!($name))?;
                    self.behind().$name($($arg),*)
                }
            )*
        }

        impl<L: Layer> Store for L {
            $(
                fn $name(&self, $($arg: $ty),*) -> Result<$ret, StoreError> {
                    Layer::$name(self, $($arg),*)
                }
            )*
        }
    };
}

layer! {
    append(batch: &[Append]) -> ();
    head(workspace: WorkspaceId) -> Option<Head>;
    row(workspace: WorkspaceId, seq: u64) -> Option<Row>;
    read(workspace: WorkspaceId, after_seq: u64, limit: usize) -> Vec<Row>;
    touching(workspace: WorkspaceId, entity: &EntityRef, before_seq: Option<u64>, limit: usize) -> Vec<u64>;
    touching_after(workspace: WorkspaceId, entity: &EntityRef, after_seq: u64, limit: usize) -> Vec<u64>;
    workspaces() -> Vec<WorkspaceId>;
    heads() -> Vec<(WorkspaceId, Head)>;
    log_size_bytes(workspace: WorkspaceId) -> u64;
    write_snapshot(head: &SnapshotHead, write: &mut dyn FnMut(&mut dyn io::Write) -> io::Result<()>) -> u64;
    snapshots(workspace: WorkspaceId, schema_version: u32) -> Vec<(SnapshotHead, u64)>;
    read_snapshot(head: &SnapshotHead, take: &mut dyn FnMut(Vec<u8>) -> ControlFlow<()>) -> bool;
    put_rests(rests: &[Rest]) -> ();
    rests() -> Vec<Rest>;
    acquire_lease(workspace: WorkspaceId, holder: &str, now: Timestamp, ttl_millis: i64) -> Option<Lease>;
    renew_lease(workspace: WorkspaceId, holder: &str, epoch: u64, now: Timestamp, ttl_millis: i64) -> Option<Lease>;
    release_lease(workspace: WorkspaceId, holder: &str, epoch: u64) -> bool;
    lease(workspace: WorkspaceId) -> Option<Lease>;
    archived(workspace: WorkspaceId, kind: &str, id: Uuid) -> Option<ArchiveRecord>;
    archived_of_target(workspace: WorkspaceId, kind: &str, target: &str, after: Option<Cursor>, limit: usize) -> Vec<ArchiveRecord>;
    archived_of_parent(workspace: WorkspaceId, kind: &str, parent: Uuid, after: Option<Uuid>, limit: usize) -> Vec<ArchiveRecord>;
    archived_recent(workspace: WorkspaceId, kind: &str, after: Option<Cursor>, limit: usize) -> Vec<ArchiveRecord>;
    write_side(writes: &[SideWrite]) -> ();
    key_by_hash(hash: &Hash) -> Option<ApiKey>;
    key(workspace: WorkspaceId, id: KeyId) -> Option<ApiKey>;
    keys(workspace: WorkspaceId) -> Vec<ApiKey>;
    user(workspace: WorkspaceId, id: UserId) -> Option<User>;
    users(workspace: WorkspaceId) -> Vec<User>;
    session(hash: &Hash, now: Timestamp) -> Option<(Session, ApiKey)>;
    notify_cursor(workspace: WorkspaceId) -> Option<u64>;
    deliveries(workspace: WorkspaceId, notifier: NotifierId, limit: usize) -> Vec<Delivery>;
    delivery_count(workspace: WorkspaceId, notifier: NotifierId) -> u64;
    delivery_record(workspace: WorkspaceId, notifier: NotifierId) -> Option<DeliveryRecord>;
    purge_sessions(now: Timestamp) -> u64;
}
