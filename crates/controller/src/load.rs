//! Reading a workspace back: the latest snapshot, then the log behind it, each record checked against the chain.

use crate::body;
use crate::step::{Shard, said_by};
use crate::workspace::{Resting, Workspace};
use stagegate_engine::{Engine, SNAPSHOT_SCHEMA, State};
use stagegate_model::{Entry, Timestamp, WorkspaceId};
use stagegate_store::{
    GENESIS_HASH, Head, Rest, Row, SnapshotHead, Store, StoreError, VerifyReport, verify_chain,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;

/// Records read at a time.
const ROWS_AT_A_TIME: usize = 1000;
/// Pages that are decoded and wait to be folded; one more is being decoded.
const PAGES_AHEAD: usize = 2;

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

/// Logs up to this size are checked whole before anything is served from them, larger ones beside it; once in a process.
pub(crate) const VERIFIED_FIRST_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How many logs are checked before the process is ready…
const READ_FIRST_MAX: usize = 64;
/// …and how many bytes of them.
const READ_FIRST_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// When to look at a workspace of which it is not known when it is due.
const AT_ONCE: Timestamp = Timestamp(i64::MIN);

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

/// The workspaces of the store. Of a few, small ones together, the logs are checked and what may have something to do is
/// read; the others are left at rest, to be looked at once when nothing is known of them.
pub(crate) fn all(store: &dyn Store) -> Result<BTreeMap<WorkspaceId, Arc<Workspace>>, LoadError> {
    let (said_by, mut first, mut bytes) = (said_by(), 0, 0);
    let noted = store.rests()?.into_iter();
    let noted: BTreeMap<WorkspaceId, Rest> = noted.map(|rest| (rest.workspace, rest)).collect();
    let mut all = BTreeMap::new();
    for (id, head) in store.heads()? {
        let rest = noted.get(&id).filter(|rest| {
            (rest.seq, rest.entry_hash) == (head.seq, head.hash) && rest.said_by == said_by
        });
        let is_first = first < READ_FIRST_MAX && {
            bytes += store.log_size_bytes(id)?;
            bytes <= READ_FIRST_BYTES_MAX
        };
        first += 1;
        if is_first && rest.is_some() {
            verify(store, id)?;
        }
        let workspace = match rest {
            None if is_first => Workspace::new(id, load_whole(store, id)?),
            rest => {
                let due_at = rest.map_or(Some(AT_ONCE), |rest| rest.due_at);
                let hash = head.hash;
                Workspace::at_rest(id, head.seq, Resting { hash, due_at })
            }
        };
        workspace
            .residence
            .verified
            .store(is_first, Ordering::Release);
        all.insert(id, Arc::new(workspace));
    }
    Ok(all)
}

/// Reads a workspace back and checks its whole log: what was read from the log alone is checked by that.
pub(crate) fn load_whole(store: &dyn Store, workspace: WorkspaceId) -> Result<Shard, LoadError> {
    let shard = load(store, workspace)?;
    if shard.snapshot_seq() > 0 {
        verify(store, workspace)?;
    }
    Ok(shard)
}

/// Reads a workspace back from the store.
pub(crate) fn load(store: &dyn Store, workspace: WorkspaceId) -> Result<Shard, LoadError> {
    let mut live = from_snapshot(store, workspace)?.unwrap_or_else(|| Shard::new(workspace));
    let behind = live.head();
    let head = store.head(workspace)?.map_or(0, |head| head.seq);
    let pages = Pages {
        store,
        workspace,
        behind,
    };
    if head - behind.map_or(0, |head| head.seq).min(head) <= ROWS_AT_A_TIME as u64 {
        for page in pages {
            fold(&mut live, page?);
        }
    } else {
        // Reading and decoding take about as long as folding.
        std::thread::scope(|scope| {
            let (put, decoded) = sync_channel(PAGES_AHEAD);
            scope.spawn(move || {
                for page in pages {
                    // Nobody takes any more after the first that failed.
                    if put.send(page).is_err() {
                        return;
                    }
                }
            });
            for page in decoded {
                fold(&mut live, page?);
            }
            Ok::<_, LoadError>(())
        })?;
    }
    live.resume();
    Ok(live)
}

fn fold(live: &mut Shard, page: Vec<(Entry, Head)>) {
    for (entry, head) in page {
        live.replay(&entry, head);
    }
}

/// The entries of a log behind a head, decoded, a page at a time; ends after an error.
struct Pages<'s> {
    store: &'s dyn Store,
    workspace: WorkspaceId,
    behind: Option<Head>,
}

impl Iterator for Pages<'_> {
    type Item = Result<Vec<(Entry, Head)>, LoadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let after = self.behind.map_or(0, |head| head.seq);
        let rows = match self.store.read(self.workspace, after, ROWS_AT_A_TIME) {
            Ok(rows) => rows,
            Err(error) => return Some(Err(error.into())),
        };
        if rows.is_empty() {
            return None;
        }
        let page: Result<Vec<_>, LoadError> =
            rows.into_iter().map(|row| self.entry(&row)).collect();
        Some(page)
    }
}

impl Pages<'_> {
    /// The entry of the next row. That its body has its hash the store has checked.
    fn entry(&mut self, row: &Row) -> Result<(Entry, Head), LoadError> {
        let does_not_fold = |what: String| LoadError::DoesNotFold {
            workspace: self.workspace,
            seq: row.seq,
            entry: row.id.to_string(),
            what,
        };
        let expected = self.behind.map_or(GENESIS_HASH, |head| head.hash);
        if row.prev_hash != expected {
            return Err(does_not_fold(
                "it does not follow the record before it".to_owned(),
            ));
        }
        let entry =
            Entry::from_bytes(&row.body).map_err(|error| does_not_fold(error.to_string()))?;
        let said = (entry.workspace, entry.seq, entry.id, entry.time);
        if said != (self.workspace, row.seq, row.id, row.time) {
            return Err(does_not_fold(
                "it says that it is another record".to_owned(),
            ));
        }
        let head = row.head();
        self.behind = Some(head);
        Ok((entry, head))
    }
}

/// The state of the latest snapshot that can be used; a snapshot is a cache, so any doubt means none.
fn from_snapshot(store: &dyn Store, workspace: WorkspaceId) -> Result<Option<Shard>, LoadError> {
    for (head, bytes) in store.snapshots(workspace, SNAPSHOT_SCHEMA)? {
        let row = store.row(workspace, head.seq)?;
        let Some(row) = row.filter(|row| row.hash == head.entry_hash) else {
            continue;
        };
        let state = body::read(store, &head, bytes)?;
        if let Some(state) = state.filter(|state| state.head().seq == head.seq) {
            let engine = Engine::new(state);
            return Ok(Some(Shard::at(workspace, engine, Some(row.head()))));
        }
    }
    Ok(None)
}

/// Writes a snapshot of a state whose last entry is durable; gives its size in bytes.
pub(crate) fn save(
    store: &dyn Store,
    workspace: WorkspaceId,
    state: &State,
    entry_hash: stagegate_store::Hash,
) -> Result<u64, StoreError> {
    let head = SnapshotHead {
        workspace,
        seq: state.head().seq,
        entry_hash,
        schema_version: SNAPSHOT_SCHEMA,
    };
    body::write(store, &head, state)
}
