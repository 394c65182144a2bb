//! Snapshots, in a database of their own beside the log.
//!
//! Writing one never holds up an append, and the file may be lost at any time: whatever is wrong with it
//! is put aside and the log is folded from further back.

use super::database::{Database, Schema};
use super::{body, column, fault, fault::Fault, rests};
use crate::{Hash, Rest, Snapshot, StoreError};
use rusqlite::Connection;
use stagegate_model::WorkspaceId;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

const SCHEMA: Schema = Schema {
    application_id: 0x5347_5331,
    migrations: &[
        include_str!("migrations/snapshots_0001.sql"),
        include_str!("migrations/snapshots_0002.sql"),
    ],
    // A snapshot that a power cut loses costs time only.
    synchronous: "normal",
    secure_delete: false,
    checkpoints_beside: false,
};

const KEPT: usize = 2;
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// The snapshots' database.
pub(super) struct Snapshots {
    database: RwLock<Database>,
    path: Option<PathBuf>,
}

/// A snapshot without its body.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    number: i64,
    pub(super) seq: u64,
    pub(super) entry_hash: Hash,
    schema_version: u32,
    checksum: Hash,
    body_bytes: u64,
}

impl Snapshots {
    /// Opens the database; one that cannot be used is put aside as `….damaged`.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = match Database::open(path, &SCHEMA) {
            Err(
                StoreError::Corrupt { .. } | StoreError::Invalid { .. } | StoreError::Newer { .. },
            ) => {
                put_aside(path)?;
                Database::open(path, &SCHEMA)?
            }
            other => other?,
        };
        Ok(Self {
            database: RwLock::new(database),
            path: Some(path.to_owned()),
        })
    }

    /// Opens what another process may be writing; without a usable file there are no snapshots.
    pub(super) fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        match Database::open_read_only(path, &SCHEMA) {
            Ok(database) => Ok(Self {
                database: RwLock::new(database),
                path: None,
            }),
            Err(_) => Self::in_memory(),
        }
    }

    pub(super) fn in_memory() -> Result<Self, StoreError> {
        Ok(Self {
            database: RwLock::new(Database::in_memory(&SCHEMA)?),
            path: None,
        })
    }

    /// Keeps the snapshot; `is_current` says of each one that is there whether the log still has its
    /// entry. Those of another history go, or they would push out every new one.
    pub(super) fn put(
        &self,
        snapshot: &Snapshot,
        is_current: impl Fn(&Stored) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        match self.try_put(snapshot, &is_current) {
            Err(error) if fault::is_damage(&error) && self.path.is_some() => {
                self.start_afresh()?;
                self.try_put(snapshot, &is_current)
            }
            done => done,
        }
    }

    fn try_put(
        &self,
        snapshot: &Snapshot,
        is_current: &impl Fn(&Stored) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.with(|database| {
            database.write("the snapshot cannot be written", |connection| {
                let (mut current, mut gone) = (Vec::new(), Vec::new());
                for stored in list(connection, snapshot.workspace)? {
                    let is_replaced = stored.seq == snapshot.seq
                        && stored.schema_version == snapshot.schema_version;
                    if !is_replaced && is_current(&stored)? {
                        current.push(stored);
                    } else {
                        gone.push(stored);
                    }
                }
                let newer = current
                    .iter()
                    .filter(|stored| stored.seq > snapshot.seq)
                    .count();
                let is_wanted = newer < KEPT;
                gone.extend(current.drain(current.len().min(KEPT - usize::from(is_wanted))..));
                for stored in gone {
                    delete(connection, stored.number)?;
                }
                if is_wanted {
                    insert(connection, snapshot)?;
                }
                Ok(())
            })
        })
    }

    /// What is kept, newest first; nothing when the file is damaged.
    pub(super) fn list(
        &self,
        workspace: WorkspaceId,
        schema_version: u32,
    ) -> Result<Vec<Stored>, StoreError> {
        let listed = self.with(|database| {
            database.read("the snapshots cannot be read", |connection| {
                list(connection, workspace)
            })
        });
        match listed {
            Ok(mut stored) => {
                stored.retain(|stored| stored.schema_version == schema_version);
                Ok(stored)
            }
            Err(error) if fault::is_damage(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// A snapshot in full, or `None` when it is damaged.
    pub(super) fn load(
        &self,
        workspace: WorkspaceId,
        stored: &Stored,
    ) -> Result<Option<Snapshot>, StoreError> {
        let loaded = self.with(|database| {
            database.read("the snapshot cannot be read", |connection| {
                load_body(connection, stored)
            })
        });
        let body = match loaded {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(None),
            Err(error) if fault::is_damage(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let snapshot = Snapshot {
            workspace,
            seq: stored.seq,
            entry_hash: stored.entry_hash,
            schema_version: stored.schema_version,
            body,
        };
        Ok((snapshot.checksum() == stored.checksum).then_some(snapshot))
    }

    /// Notes workspaces at rest.
    pub(super) fn put_rests(&self, rests: &[Rest]) -> Result<(), StoreError> {
        let put = || {
            self.with(|database| {
                let what = "that workspaces are at rest cannot be written";
                database.write(what, |connection| rests::put(connection, rests))
            })
        };
        match put() {
            Err(error) if fault::is_damage(&error) && self.path.is_some() => {
                self.start_afresh()?;
                put()
            }
            done => done,
        }
    }

    /// The workspaces noted to be at rest; none when the file is damaged.
    pub(super) fn rests(&self) -> Result<Vec<Rest>, StoreError> {
        let what = "which workspaces are at rest cannot be read";
        match self.with(|database| database.read(what, rests::all)) {
            Err(error) if fault::is_damage(&error) => Ok(Vec::new()),
            done => done,
        }
    }

    fn start_afresh(&self) -> Result<(), StoreError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Closes the damaged file, so that it can be moved everywhere.
        *database = Database::in_memory(&SCHEMA)?;
        put_aside(path)?;
        *database = Database::open(path, &SCHEMA)?;
        Ok(())
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> T) -> T {
        work(&self.database.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn put_aside(path: &Path) -> Result<(), StoreError> {
    let beside = |suffix: &str| {
        let mut name = OsString::from(path);
        name.push(suffix);
        PathBuf::from(name)
    };
    for suffix in ["-wal", "-shm"] {
        match std::fs::remove_file(beside(suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(fault::file("cannot be removed", &beside(suffix), &error));
            }
            _ => {}
        }
    }
    std::fs::rename(path, beside(".damaged"))
        .map_err(|error| fault::file("cannot be moved", path, &error))
}

fn list(connection: &Connection, workspace: WorkspaceId) -> Result<Vec<Stored>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT snapshot, seq, entry_hash, schema_version, checksum, body_bytes FROM snapshot
         WHERE workspace = ?1 ORDER BY seq DESC, snapshot DESC",
    )?;
    let stored = statement.query_map([workspace.0.as_bytes()], |row| {
        Ok(Stored {
            number: row.get(0)?,
            seq: column::number(row, 1)?,
            entry_hash: column::hash(row, 2)?,
            schema_version: row.get(3)?,
            checksum: column::hash(row, 4)?,
            body_bytes: column::number(row, 5)?,
        })
    })?;
    Ok(stored.collect::<Result<_, _>>()?)
}

fn delete(connection: &Connection, number: i64) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM snapshot WHERE snapshot = ?1")?
        .execute([number])?;
    Ok(())
}

fn insert(connection: &Connection, snapshot: &Snapshot) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO snapshot (workspace, seq, schema_version, entry_hash, checksum, body_bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            snapshot.workspace.0.as_bytes(),
            column::integer(snapshot.seq)?,
            snapshot.schema_version,
            &snapshot.entry_hash,
            &snapshot.checksum(),
            column::integer(snapshot.body.len() as u64)?,
        ))?;
    let number = connection.last_insert_rowid();
    let mut statement = connection.prepare_cached(
        "INSERT INTO chunk (snapshot, ordinal, encoding, body) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (ordinal, chunk) in snapshot.body.chunks(CHUNK_BYTES).enumerate() {
        let (encoding, body) = body::encode(chunk);
        statement.execute((number, column::limit(ordinal), encoding, &*body))?;
    }
    Ok(())
}

fn load_body(connection: &Connection, stored: &Stored) -> Result<Option<Vec<u8>>, Fault> {
    let mut statement = connection
        .prepare_cached("SELECT encoding, body FROM chunk WHERE snapshot = ?1 ORDER BY ordinal")?;
    let mut chunks = statement.query([stored.number])?;
    let mut body = Vec::new();
    while let Some(row) = chunks.next()? {
        let Some(bytes) = row
            .get_ref(1)?
            .as_blob()
            .ok()
            .and_then(|bytes| body::decode(row.get(0).ok()?, bytes).ok())
        else {
            return Ok(None);
        };
        body.extend_from_slice(&bytes);
    }
    Ok(Some(body).filter(|body| body.len() as u64 == stored.body_bytes))
}
