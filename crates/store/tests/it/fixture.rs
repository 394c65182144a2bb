//! Stores to test and logs to put into them.

use stagegate_model::{EntryId, Timestamp, WorkspaceId};
use stagegate_store::{Append, Head, Row, SqliteStore, Store};
use std::path::Path;
use tempfile::TempDir;
use uuid::Uuid;

pub fn sqlite() -> (SqliteStore, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (SqliteStore::open(dir.path()).unwrap(), dir)
}

pub fn sqlite_in_memory() -> (SqliteStore, ()) {
    (SqliteStore::in_memory().unwrap(), ())
}

/// A store with a log of `entries` entries, closed again, and the log.
pub fn closed_with(entries: usize) -> (TempDir, Log) {
    let (store, dir) = sqlite();
    let mut log = Log::new(1);
    log.append(&store, entries);
    (dir, log)
}

/// The raw database of a closed store, to damage it.
pub fn raw(dir: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(dir.join("stagegate.db")).unwrap();
    connection
        .pragma_update(None, "ignore_check_constraints", true)
        .unwrap();
    connection
}

pub fn workspace(number: u64) -> WorkspaceId {
    WorkspaceId(id(0xffff, number))
}

pub fn id(kind: u64, number: u64) -> Uuid {
    Uuid::from_u64_pair(kind, number)
}

/// Makes the rows of one log.
#[derive(Clone)]
pub struct Log {
    pub number: u64,
    pub workspace: WorkspaceId,
    pub head: Option<Head>,
    pub rows: Vec<Row>,
}

impl Log {
    pub fn new(number: u64) -> Self {
        Self {
            number,
            workspace: workspace(number),
            head: None,
            rows: Vec::new(),
        }
    }

    /// The next row, which from now on counts as the head.
    pub fn next(&mut self, body: impl Into<Vec<u8>>) -> Row {
        let seq = self.head.map_or(1, |head| head.seq + 1);
        let row = Row::following(
            self.head.as_ref(),
            self.workspace,
            EntryId(id(self.number, seq)),
            Timestamp(1_000 * seq as i64),
            body.into(),
        );
        self.head = Some(row.head());
        self.rows.push(row.clone());
        row
    }

    /// The next row to append, with nothing riding along.
    pub fn step(&mut self) -> Append {
        let body = format!(r#"{{"entry":{}}}"#, self.rows.len() + 1);
        Append::new(self.next(body), 0)
    }

    /// Appends `count` rows, one by one.
    pub fn append(&mut self, store: &dyn Store, count: usize) {
        for _ in 0..count {
            store.append(&[self.step()]).unwrap();
        }
    }
}

/// The whole log as the store has it.
pub fn read_all(store: &dyn Store, workspace: WorkspaceId) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let page = store
            .read(workspace, rows.len() as u64, 100)
            .expect("the log can be read");
        if page.is_empty() {
            return rows;
        }
        rows.extend(page);
    }
}
