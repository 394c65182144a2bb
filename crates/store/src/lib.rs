//! Durable storage: each workspace's log, and the few tables for what must not be in a log.
//!
//! [`Store`] is the one trait; [`SqliteStore`] the default backend. The interface blocks: a writer
//! thread calls it in production, the simulator calls it inline.
//!
//! - **The log** ([`Row`]) is an append-only hash chain per workspace. An append is a compare-and-swap
//!   on the head and is fenced by the epoch of the workspace's [`Lease`]: two replicas can never both
//!   extend it.
//! - **The archive** ([`ArchiveRecord`]) holds what has ended and left memory. It is written in the
//!   transaction of the entry that ended it.
//! - **Snapshots** ([`Snapshot`]) only save time. Every damaged or doubtful one is passed over; the log
//!   alone is the truth.
//! - **Side tables** ([`SideWrite`]): API keys, persons and sessions, which must be changeable or
//!   erasable; deliveries to notifiers, whose attempts are no facts.
//!
//! INVARIANT: a store never interprets a body. Which facts there are is no concern of this crate.

mod archive;
mod delivery;
mod error;
#[cfg(feature = "layer")]
mod layer;
mod lease;
mod log;
mod rest;
mod side;
mod snapshot;
pub mod sqlite;
mod store;
mod verify;

pub use archive::{ArchiveRecord, Cursor};
pub use delivery::{Delivery, DeliveryFault, DeliveryRecord};
pub use error::StoreError;
#[cfg(feature = "layer")]
pub use layer::Layer;
pub use lease::Lease;
pub use log::{Append, ENTRY_BODY_BYTES_MAX, EntityRef, GENESIS_HASH, Hash, Head, Row, entry_hash};
pub use rest::Rest;
pub use side::{ApiKey, Session, SideWrite, User};
pub use snapshot::{Snapshot, SnapshotHead};
pub use sqlite::{SqliteOptions, SqliteStore};
pub use store::Store;
pub use verify::{VerifyReport, verify_chain};
