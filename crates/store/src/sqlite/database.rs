//! One database file: opening, migrating, and the one way to read and to write it.

use super::checkpoint::Checkpointer;
use super::fault::{self, Fault};
use crate::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Idle read connections that are kept.
const READERS_MAX: usize = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The write-ahead log is folded into the database every so many pages (16 MiB)…
const CHECKPOINT_PAGES: i64 = 4096;
/// …and cut back to this size after a burst.
const WAL_BYTES_KEPT: i64 = 64 * 1024 * 1024;
const STATEMENTS_CACHED: usize = 64;
/// Pages that the writing connection keeps. Wherever a tree was balanced SQLite looks through all of them at the COMMIT, so
/// that more cost more than they save: a page that is missing is read from the operating system's memory.
const WRITER_CACHE_KIB: i64 = 8 * 1024;

/// A kind of database: how to recognise and how to create it.
pub(super) struct Schema {
    /// What `PRAGMA application_id` says.
    pub(super) application_id: i64,
    /// One script per version, oldest first.
    pub(super) migrations: &'static [&'static str],
    /// `PRAGMA synchronous`.
    pub(super) synchronous: &'static str,
    /// Whether what is deleted is overwritten.
    pub(super) secure_delete: bool,
    /// Whether the write-ahead log is carried over by a thread of its own.
    pub(super) checkpoints_beside: bool,
}

/// An open database.
pub(super) struct Database {
    // Before the writer, so that the writer closes last and folds the write-ahead log in.
    checkpointer: Option<Checkpointer>,
    readers: Mutex<Vec<Connection>>,
    writer: Mutex<Connection>,
    /// `None` in memory: then the writer also reads.
    path: Option<PathBuf>,
    /// A COMMIT failed and may have left its record behind in the write-ahead log.
    unsettled: AtomicBool,
}

impl Database {
    pub(super) fn open(path: &Path, schema: &Schema) -> Result<Self, StoreError> {
        create_private(path)?;
        let connection = connect(path, schema, false)?;
        let mut database = Self::around(connection, Some(path.to_owned()));
        migrate(&database.lock_writer(), schema, path)?;
        if schema.checkpoints_beside {
            let own = connect(path, schema, false)?;
            let writer = database.writer.get_mut();
            let writer = writer.unwrap_or_else(PoisonError::into_inner);
            database.checkpointer = Checkpointer::start(writer, own);
        }
        Ok(database)
    }

    /// Opens what another process may be writing; every write is refused.
    pub(super) fn open_read_only(path: &Path, schema: &Schema) -> Result<Self, StoreError> {
        let connection = connect(path, schema, true)?;
        let found = check_version(&connection, schema, path)?;
        let known = schema.migrations.len() as i64;
        if found != known {
            return Err(StoreError::invalid(format!(
                "`{}` has storage version {found}; start `stagegate serve` once to bring it to \
                 version {known}",
                path.display()
            )));
        }
        Ok(Self::around(connection, Some(path.to_owned())))
    }

    pub(super) fn in_memory(schema: &Schema) -> Result<Self, StoreError> {
        let describe = |error| fault::describe(&error, "no database in memory", None);
        let connection = Connection::open_in_memory().map_err(describe)?;
        configure(&connection, schema).map_err(describe)?;
        migrate(&connection, schema, Path::new(":memory:"))?;
        Ok(Self::around(connection, None))
    }

    fn around(connection: Connection, path: Option<PathBuf>) -> Self {
        Self {
            checkpointer: None,
            readers: Mutex::new(Vec::new()),
            writer: Mutex::new(connection),
            path,
            unsettled: AtomicBool::new(false),
        }
    }

    /// Runs `work` in one transaction: all of it becomes durable, or nothing.
    pub(super) fn write<T>(
        &self,
        what: &str,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let connection = self.lock_writer();
        self.settle(&connection, what)?;
        let describe = |error| fault::describe(&error, what, self.dir());
        run(&connection, "BEGIN IMMEDIATE").map_err(describe)?;
        let done = match work(&connection) {
            Ok(done) => done,
            Err(fault) => {
                roll_back(&connection);
                return Err(fault.into_error(what, self.dir()));
            }
        };
        if let Err(error) = run(&connection, "COMMIT") {
            roll_back(&connection);
            let error = fault::describe_commit(&error, what, self.dir());
            if matches!(error, StoreError::Unknown { .. }) {
                self.unsettled.store(true, Ordering::Release);
            }
            return Err(error);
        }
        if let Some(checkpointer) = &self.checkpointer {
            checkpointer.keep_short(&connection);
        }
        Ok(done)
    }

    /// Runs `work` on one consistent state of what is durable.
    pub(super) fn read<T>(
        &self,
        what: &str,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        if self.unsettled.load(Ordering::Acquire) {
            let connection = self.lock_writer();
            self.settle(&connection, what)?;
        }
        let Some(path) = &self.path else {
            return work(&self.lock_writer()).map_err(|fault| fault.into_error(what, None));
        };
        let describe = |error| fault::describe(&error, what, self.dir());
        let pooled = lock(&self.readers).pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => connect_reader(path).map_err(describe)?,
        };
        run(&connection, "BEGIN").map_err(describe)?;
        let done = work(&connection).map_err(|fault| fault.into_error(what, self.dir()));
        // A connection that cannot end its transaction is dropped, which ends it.
        if run(&connection, "ROLLBACK").is_ok() {
            let mut readers = lock(&self.readers);
            if readers.len() < READERS_MAX {
                readers.push(connection);
            }
        }
        done
    }

    /// Limits the database to so many pages of 4 KiB; `None` lifts the limit.
    pub(super) fn set_max_pages(&self, pages: Option<u32>) -> Result<(), StoreError> {
        // SQLite's own limit, which is also what it takes for "none".
        let pages = pages.unwrap_or(4_294_967_294);
        self.lock_writer()
            .pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0))
            .map(|_| ())
            .map_err(|error| fault::describe(&error, "the size limit cannot be set", self.dir()))
    }

    /// Empties the write-ahead log, so that what was erased is on the disk no longer. A reader may keep
    /// it from happening now; then the next regular checkpoint overwrites it.
    pub(super) fn scrub(&self) {
        if self.path.is_some() {
            let writer = self.lock_writer();
            let _paused = self.checkpointer.as_ref().map(Checkpointer::pause);
            let _ = checkpoint(&writer);
        }
    }

    /// After a COMMIT of unknown outcome SQLite regards the batch as not committed, but its record may
    /// lie in the write-ahead log, and after a crash would count. Emptying that log decides the question
    /// before anyone is told an answer.
    fn settle(&self, connection: &Connection, what: &str) -> Result<(), StoreError> {
        if !connection.is_autocommit() {
            // A panic inside a transaction left it open.
            roll_back(connection);
        }
        if self.path.is_some() && self.unsettled.load(Ordering::Acquire) {
            let _paused = self.checkpointer.as_ref().map(Checkpointer::pause);
            match checkpoint(connection) {
                Ok(true) => {}
                Ok(false) => {
                    return Err(StoreError::Unknown {
                        detail: format!(
                            "{what}: readers keep the write-ahead log from being emptied"
                        ),
                    });
                }
                Err(error) => return Err(fault::describe(&error, what, self.dir())),
            }
        }
        self.unsettled.store(false, Ordering::Release);
        Ok(())
    }

    fn dir(&self) -> Option<&Path> {
        self.path.as_deref().and_then(Path::parent)
    }

    fn lock_writer(&self) -> MutexGuard<'_, Connection> {
        lock(&self.writer)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere cannot have left more behind than an open transaction, which `settle` ends.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

fn roll_back(connection: &Connection) {
    // SQLite ends the transaction itself after some errors. Should ROLLBACK fail, the transaction stays
    // open and `settle` tries again before the next one.
    if !connection.is_autocommit() {
        let _ = run(connection, "ROLLBACK");
    }
}

/// Whether the write-ahead log is empty now.
fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        row.get::<_, i64>(0).map(|busy| busy == 0)
    })
}

/// Creates the file for its owner only; SQLite gives its companions the same permissions.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map(|_| ())
        .map_err(|error| fault::file("cannot be opened", path, &error))
}

fn connect(path: &Path, schema: &Schema, read_only: bool) -> Result<Connection, StoreError> {
    let what = format!("`{}` cannot be opened", path.display());
    let describe = |error: rusqlite::Error| match fault::describe(&error, &what, path.parent()) {
        StoreError::Corrupt { .. } => not_ours(path),
        other => other,
    };
    if read_only {
        if !path.exists() {
            return Err(StoreError::invalid(format!(
                "there is no database at `{}`",
                path.display()
            )));
        }
        let connection = connect_reader(path).map_err(describe)?;
        // Looks into the file, so that a foreign one is recognised here.
        connection
            .pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))
            .map_err(describe)?;
        return Ok(connection);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(describe)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(describe)?;
    // Before anything is changed: the file may be another program's.
    check_version(&connection, schema, path).map_err(|error| match error {
        StoreError::Corrupt { .. } => not_ours(path),
        other => other,
    })?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(describe)?;
    if mode != "wal" {
        return Err(fault::io(
            &format!(
                "`{}` does not support write-ahead logging; use a directory on a local disk",
                path.display()
            ),
            format!("journal mode {mode}"),
        ));
    }
    configure(&connection, schema).map_err(describe)?;
    Ok(connection)
}

fn not_ours(path: &Path) -> StoreError {
    fault::corrupt(format!(
        "`{}` is not a Stagegate database or is damaged",
        path.display()
    ))
}

/// Plans do not depend on the values that are bound; else a statement with a range is compiled anew at each use.
fn plan_once(connection: &Connection) -> rusqlite::Result<()> {
    let done = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
    done.map(|_| ())
}

fn configure(connection: &Connection, schema: &Schema) -> rusqlite::Result<()> {
    plan_once(connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.pragma_update(None, "synchronous", schema.synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    let ignore = |_: &rusqlite::Row<'_>| Ok(());
    let secure_delete = schema.secure_delete;
    connection.pragma_update_and_check(None, "secure_delete", secure_delete, ignore)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, ignore)?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_KEPT, ignore)
}

fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    plan_once(&connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "cache_size", -8 * 1024)?;
    Ok(connection)
}

/// The database's version, if this build can use it; 0 for an empty one.
fn check_version(connection: &Connection, schema: &Schema, path: &Path) -> Result<i64, StoreError> {
    let number = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .map_err(|error| {
                let what = format!("`{}` cannot be read", path.display());
                fault::describe(&error, &what, path.parent())
            })
    };
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let is_empty =
        application == 0 && version == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0;
    if !is_empty && application != schema.application_id {
        return Err(StoreError::invalid(format!(
            "`{}` is a database of another program; choose another directory",
            path.display()
        )));
    }
    let known = schema.migrations.len() as i64;
    if version > known {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found: version,
            known,
        });
    }
    Ok(version)
}

/// Brings the database to the newest version, in one transaction.
fn migrate(connection: &Connection, schema: &Schema, path: &Path) -> Result<(), StoreError> {
    let what = format!("`{}` cannot be brought up to date", path.display());
    let describe = |error| fault::describe(&error, &what, path.parent());
    if check_version(connection, schema, path)? == schema.migrations.len() as i64 {
        return Ok(());
    }
    run(connection, "BEGIN IMMEDIATE").map_err(describe)?;
    // Again, now that nobody else can change it.
    let migrated = check_version(connection, schema, path).and_then(|version| {
        let pending = schema
            .migrations
            .iter()
            .skip(usize::try_from(version).unwrap_or(0));
        for script in pending {
            connection.execute_batch(script).map_err(describe)?;
        }
        connection
            .pragma_update(None, "application_id", schema.application_id)
            .map_err(describe)?;
        connection
            .pragma_update(None, "user_version", schema.migrations.len() as i64)
            .map_err(describe)?;
        run(connection, "COMMIT").map_err(describe)
    });
    if migrated.is_err() {
        roll_back(connection);
    }
    migrated
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE note (text TEXT NOT NULL) STRICT";
    const SECOND: &str = "ALTER TABLE note ADD COLUMN author TEXT";
    const BROKEN: &str = "CREATE TABLE note (twice TEXT)";

    const SCHEMA: Schema = schema(&[FIRST]);

    const fn schema(migrations: &'static [&'static str]) -> Schema {
        Schema {
            application_id: 7,
            migrations,
            synchronous: "full",
            secure_delete: true,
            checkpoints_beside: true,
        }
    }

    fn put(database: &Database, text: &str) -> Result<(), StoreError> {
        database.write("x", |connection| {
            connection.execute("INSERT INTO note VALUES (?1)", [text])?;
            Ok(())
        })
    }

    fn count(database: &Database) -> Result<i64, StoreError> {
        database.read("x", |connection| {
            Ok(connection.query_row("SELECT count(*) FROM note", [], |row| row.get(0))?)
        })
    }

    #[test]
    fn after_an_unknown_commit_the_log_is_emptied_before_anyone_reads() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(&dir.path().join("a.db"), &SCHEMA).unwrap();
        let wal = || {
            std::fs::metadata(dir.path().join("a.db-wal"))
                .unwrap()
                .len()
        };
        type Ask = fn(&Database) -> Result<(), StoreError>;
        let asks: [Ask; 2] = [
            |database| count(database).map(|_| ()),
            |database| put(database, "later"),
        ];
        for ask in asks {
            put(&database, "first").unwrap();
            put(&database, "second").unwrap();
            let before = wal();
            assert!(before > 0);
            database.unsettled.store(true, Ordering::Release);
            ask(&database).unwrap();
            assert!(!database.unsettled.load(Ordering::Acquire));
            // Whatever the failed COMMIT left in it is gone; at most the write after it is there.
            assert!(wal() < before, "{} < {before}", wal());
        }
        assert_eq!(count(&database).unwrap(), 5);
    }

    #[test]
    fn while_it_cannot_be_emptied_nobody_is_told_an_answer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let database = Database::open(&path, &SCHEMA).unwrap();
        put(&database, "first").unwrap();
        let reader = connect_reader(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM note").unwrap();
        put(&database, "second").unwrap();
        let no_patience = Duration::ZERO;
        database.lock_writer().busy_timeout(no_patience).unwrap();
        database.unsettled.store(true, Ordering::Release);
        for _ in 0..2 {
            assert_eq!(count(&database).unwrap_err().code(), "storage_unknown");
        }
        assert_eq!(
            put(&database, "third").unwrap_err().code(),
            "storage_unknown"
        );
        drop(reader);
        assert_eq!(count(&database).unwrap(), 2);
    }

    #[test]
    fn a_panic_inside_a_transaction_undoes_it_and_spares_the_next() {
        let dir = tempfile::tempdir().unwrap();
        for database in [
            Database::in_memory(&SCHEMA).unwrap(),
            Database::open(&dir.path().join("a.db"), &SCHEMA).unwrap(),
        ] {
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                database.write("x", |connection| -> Result<(), Fault> {
                    connection.execute("INSERT INTO note VALUES ('half')", [])?;
                    panic!("on purpose");
                })
            }));
            assert!(panicked.is_err());
            put(&database, "whole").unwrap();
            assert_eq!(count(&database).unwrap(), 1);
        }
    }

    #[test]
    fn a_range_is_planned_once_whatever_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        for database in [
            Database::in_memory(&SCHEMA).unwrap(),
            Database::open(&dir.path().join("a.db"), &SCHEMA).unwrap(),
        ] {
            put(&database, "one").unwrap();
            for _ in 0..2 {
                let planned = database.read("x", |connection| {
                    let mut statement = connection.prepare_cached(
                        "SELECT text FROM note WHERE rowid > ?1 AND rowid <= ?2 LIMIT ?3",
                    )?;
                    for to in 1..4 {
                        assert!(statement.query((0, to, 10))?.next()?.is_some());
                    }
                    Ok(statement.get_status(rusqlite::StatementStatus::RePrepare))
                });
                assert_eq!(planned.unwrap(), 0);
            }
        }
    }

    #[test]
    fn migrations_run_once_and_all_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        put(&Database::open(&path, &SCHEMA).unwrap(), "old").unwrap();

        let broken = schema(&[FIRST, SECOND, BROKEN]);
        assert!(Database::open(&path, &broken).is_err());
        // Nothing of the failed migration remains: the old version still opens it.
        drop(Database::open(&path, &SCHEMA).unwrap());

        let next = schema(&[FIRST, SECOND]);
        for _ in 0..2 {
            assert_eq!(count(&Database::open(&path, &next).unwrap()).unwrap(), 1);
        }
        assert!(matches!(
            Database::open(&path, &SCHEMA),
            Err(StoreError::Newer {
                found: 2,
                known: 1,
                ..
            })
        ));
        assert!(matches!(
            Database::open_read_only(&path, &broken),
            Err(StoreError::Invalid { .. })
        ));
    }
}
