//! Snapshots, in a database of their own beside the log.
//!
//! Writing one never holds up an append, and the file may be lost at any time: whatever is wrong with it
//! is put aside and the log is folded from further back.

use super::database::{Database, Schema};
use super::{body, column, fault, fault::Fault, rests};
use crate::{Hash, Rest, SnapshotHead, StoreError};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use stagegate_model::WorkspaceId;
use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;
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

/// A snapshot as it lies in the database, without its body.
#[derive(Clone, Copy)]
struct Stored {
    number: i64,
    head: SnapshotHead,
    checksum: Hash,
    body_bytes: u64,
}

/// Writes the body of a snapshot.
type Body<'b> = dyn FnMut(&mut dyn io::Write) -> io::Result<()> + 'b;

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

    /// Keeps the snapshot, of which `write` writes the body; `is_current` says of each one that is there whether the
    /// log still has its entry. Those of another history go, or they would push out every new one. Gives the size of
    /// the body.
    pub(super) fn put(
        &self,
        head: &SnapshotHead,
        write: &mut Body<'_>,
        is_current: impl Fn(&SnapshotHead) -> Result<bool, StoreError>,
    ) -> Result<u64, StoreError> {
        match self.try_put(head, write, &is_current) {
            Err(error) if fault::is_damage(&error) && self.path.is_some() => {
                self.start_afresh()?;
                self.try_put(head, write, &is_current)
            }
            done => done,
        }
    }

    fn try_put(
        &self,
        head: &SnapshotHead,
        write: &mut Body<'_>,
        is_current: &impl Fn(&SnapshotHead) -> Result<bool, StoreError>,
    ) -> Result<u64, StoreError> {
        self.with(|database| {
            database.write("the snapshot cannot be written", |connection| {
                let (mut current, mut gone) = (Vec::new(), Vec::new());
                for stored in list(connection, head.workspace)? {
                    let is_replaced = stored.head.seq == head.seq
                        && stored.head.schema_version == head.schema_version;
                    if !is_replaced && is_current(&stored.head)? {
                        current.push(stored);
                    } else {
                        gone.push(stored);
                    }
                }
                let newer = current
                    .iter()
                    .filter(|stored| stored.head.seq > head.seq)
                    .count();
                let is_wanted = newer < KEPT;
                gone.extend(current.drain(current.len().min(KEPT - usize::from(is_wanted))..));
                for stored in gone {
                    delete(connection, stored.number)?;
                }
                match is_wanted {
                    true => insert(connection, head, write),
                    false => Ok(0),
                }
            })
        })
    }

    /// What is kept, newest first, with the sizes of the bodies; nothing when the file is damaged.
    pub(super) fn list(
        &self,
        workspace: WorkspaceId,
        schema_version: u32,
    ) -> Result<Vec<(SnapshotHead, u64)>, StoreError> {
        let listed = self.with(|database| {
            database.read("the snapshots cannot be read", |connection| {
                list(connection, workspace)
            })
        });
        match listed {
            Ok(stored) => {
                let heads = stored.into_iter().map(|it| (it.head, it.body_bytes));
                Ok(heads
                    .filter(|(head, _)| head.schema_version == schema_version)
                    .collect())
            }
            Err(error) if fault::is_damage(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Hands out a snapshot's body, part by part; whether it is whole and was taken whole.
    pub(super) fn read(
        &self,
        head: &SnapshotHead,
        take: &mut dyn FnMut(Vec<u8>) -> ControlFlow<()>,
    ) -> Result<bool, StoreError> {
        let read = self.with(|database| {
            database.read("the snapshot cannot be read", |connection| {
                let stored = list(connection, head.workspace)?;
                match stored.iter().find(|stored| stored.head == *head) {
                    Some(stored) => read_body(connection, stored, take),
                    None => Ok(false),
                }
            })
        });
        match read {
            Err(error) if fault::is_damage(&error) => Ok(false),
            done => done,
        }
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
            head: SnapshotHead {
                workspace,
                seq: column::number(row, 1)?,
                entry_hash: column::hash(row, 2)?,
                schema_version: row.get(3)?,
            },
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

fn insert(
    connection: &Connection,
    head: &SnapshotHead,
    write: &mut Body<'_>,
) -> Result<u64, Fault> {
    // How large it becomes and what its checksum is, is known once it is written.
    connection
        .prepare_cached(
            "INSERT INTO snapshot (workspace, seq, schema_version, entry_hash, checksum, body_bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, 0)",
        )?
        .execute((
            head.workspace.0.as_bytes(),
            column::integer(head.seq)?,
            head.schema_version,
            &head.entry_hash,
            &Hash::default(),
        ))?;
    let number = connection.last_insert_rowid();
    let mut chunks = Chunks {
        connection,
        number,
        checksum: head.checksum(),
        written: 0,
        ordinal: 0,
        chunk: Vec::with_capacity(CHUNK_BYTES),
        fault: None,
    };
    let written = write(&mut chunks).and_then(|()| chunks.put());
    if let Some(fault) = chunks.fault {
        return Err(fault);
    }
    written.map_err(|error| StoreError::invalid(format!("the snapshot's body: {error}")))?;
    let checksum: Hash = chunks.checksum.finalize().into();
    connection
        .prepare_cached("UPDATE snapshot SET checksum = ?2, body_bytes = ?3 WHERE snapshot = ?1")?
        .execute((number, &checksum, column::integer(chunks.written)?))?;
    Ok(chunks.written)
}

/// Writes a body in chunks.
struct Chunks<'c> {
    connection: &'c Connection,
    number: i64,
    checksum: Sha256,
    /// Bytes that are in the database.
    written: u64,
    ordinal: usize,
    chunk: Vec<u8>,
    /// Why nothing more can be written.
    fault: Option<Fault>,
}

impl Chunks<'_> {
    fn put(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        self.checksum.update(&self.chunk);
        let (encoding, body) = body::encode(&self.chunk);
        let put = self
            .connection
            .prepare_cached(
                "INSERT INTO chunk (snapshot, ordinal, encoding, body) VALUES (?1, ?2, ?3, ?4)",
            )
            .and_then(|mut statement| {
                statement.execute((self.number, column::limit(self.ordinal), encoding, &*body))
            });
        if let Err(error) = put {
            self.fault = Some(error.into());
            return Err(io::ErrorKind::Other.into());
        }
        self.written += self.chunk.len() as u64;
        self.ordinal += 1;
        self.chunk.clear();
        Ok(())
    }
}

impl io::Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_BYTES.saturating_sub(self.chunk.len());
        let (now, _) = bytes.split_at(bytes.len().min(room));
        self.chunk.extend_from_slice(now);
        if self.chunk.len() >= CHUNK_BYTES {
            self.put()?;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read_body(
    connection: &Connection,
    stored: &Stored,
    take: &mut dyn FnMut(Vec<u8>) -> ControlFlow<()>,
) -> Result<bool, Fault> {
    let mut statement = connection
        .prepare_cached("SELECT encoding, body FROM chunk WHERE snapshot = ?1 ORDER BY ordinal")?;
    let mut chunks = statement.query([stored.number])?;
    let mut checksum = stored.head.checksum();
    let mut bytes = 0;
    while let Some(row) = chunks.next()? {
        let Some(chunk) = row
            .get_ref(1)?
            .as_blob()
            .ok()
            .and_then(|bytes| body::decode(row.get(0).ok()?, bytes).ok())
        else {
            return Ok(false);
        };
        checksum.update(&chunk);
        bytes += chunk.len() as u64;
        if take(chunk).is_break() {
            return Ok(false);
        }
    }
    let checksum: Hash = checksum.finalize().into();
    Ok(bytes == stored.body_bytes && checksum == stored.checksum)
}
