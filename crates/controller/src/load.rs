//! Reading a workspace back: the latest snapshot, then the log behind it, each record checked against the chain.

use crate::step::Shard;
use stagegate_engine::{Engine, SNAPSHOT_SCHEMA, State};
use stagegate_model::{Entry, WorkspaceId};
use stagegate_store::{Snapshot, Store, StoreError, VerifyReport, verify_chain};

/// Records read at a time.
const ROWS_AT_A_TIME: usize = 1000;

/// Why a process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record is whole but this binary cannot read it.
    #[error("the log of workspace `{workspace}` does not fold at entry {seq} (id {entry}): {what}")]
    DoesNotFold {
        workspace: WorkspaceId,
        seq: u64,
        entry: String,
        what: String,
    },
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
    #[error("a thread cannot be started: {0}")]
    Thread(String),
}

impl LoadError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::DoesNotFold { .. } => "log_corrupt",
            Self::Client(_) | Self::Thread(_) => "internal",
        }
    }
}

/// Logs up to this size are checked whole before anything is served from them; larger ones beside it.
pub(crate) const VERIFIED_FIRST_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The part of an entry that repeats what the database keeps beside it.
#[derive(serde::Deserialize)]
struct Envelope {
    workspace: WorkspaceId,
    seq: u64,
    id: stagegate_model::EntryId,
    time: stagegate_model::Timestamp,
}

/// Recomputes the whole chain of a workspace's log.
///
/// # Errors
/// The first record that is wrong.
pub fn verify(store: &dyn Store, workspace: WorkspaceId) -> Result<VerifyReport, StoreError> {
    verify_chain(store, workspace, None, |row| {
        let envelope: Envelope =
            serde_json::from_slice(&row.body).map_err(|error| error.to_string())?;
        let same = (envelope.workspace, envelope.seq, envelope.id, envelope.time)
            == (row.workspace, row.seq, row.id, row.time);
        if same {
            Ok(())
        } else {
            Err("it says that it is another record".to_owned())
        }
    })
}

/// Reads a workspace back from the store.
pub(crate) fn load(store: &dyn Store, workspace: WorkspaceId) -> Result<Shard, LoadError> {
    let mut live = from_snapshot(store, workspace)?.unwrap_or_else(|| Shard::new(workspace));
    loop {
        let after = live.head().map_or(0, |head| head.seq);
        let rows = store.read(workspace, after, ROWS_AT_A_TIME)?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let does_not_fold = |what: String| LoadError::DoesNotFold {
                workspace,
                seq: row.seq,
                entry: row.id.to_string(),
                what,
            };
            let expected = live
                .head()
                .map_or(stagegate_store::GENESIS_HASH, |head| head.hash);
            if row.prev_hash != expected {
                return Err(does_not_fold(
                    "it does not follow the record before it".to_owned(),
                ));
            }
            if row.hash != stagegate_store::entry_hash(&row.prev_hash, &row.body) {
                return Err(does_not_fold(
                    "its content does not have the hash it was written with".to_owned(),
                ));
            }
            let entry =
                Entry::from_bytes(&row.body).map_err(|error| does_not_fold(error.to_string()))?;
            if entry.seq != row.seq || entry.id != row.id || entry.workspace != workspace {
                return Err(does_not_fold(
                    "it says that it is another record".to_owned(),
                ));
            }
            live.replay(&entry, row.head());
        }
    }
    live.resume();
    Ok(live)
}

/// The state of the latest snapshot that can be used; a snapshot is a cache, so any doubt means none.
fn from_snapshot(store: &dyn Store, workspace: WorkspaceId) -> Result<Option<Shard>, LoadError> {
    let Some(snapshot) = store.latest_snapshot(workspace, SNAPSHOT_SCHEMA)? else {
        return Ok(None);
    };
    let Some(row) = store.row(workspace, snapshot.seq)? else {
        return Ok(None);
    };
    if row.hash != snapshot.entry_hash {
        return Ok(None);
    }
    let Ok(state) = rmp_serde::from_slice::<State>(&snapshot.body) else {
        return Ok(None);
    };
    if state.head().seq != snapshot.seq {
        return Ok(None);
    }
    let engine = Engine::new(state);
    Ok(Some(Shard::at(workspace, engine, Some(row.head()))))
}

/// Writes a snapshot of a state whose last entry is durable; gives its size in bytes.
pub(crate) fn save(
    store: &dyn Store,
    workspace: WorkspaceId,
    state: &State,
    entry_hash: stagegate_store::Hash,
) -> Result<u64, StoreError> {
    let body = rmp_serde::to_vec_named(state).map_err(|error| StoreError::Invalid {
        what: error.to_string(),
    })?;
    let seq = state.head().seq;
    let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
    store.put_snapshot(&Snapshot {
        workspace,
        seq,
        entry_hash,
        schema_version: SNAPSHOT_SCHEMA,
        body,
    })?;
    Ok(bytes)
}
