//! Databases edited behind the store's back: every reader names the first wrong record.

use crate::fixture::{Log, closed_with, raw, read_all};
use crate::snapshots::snapshot;
use rusqlite::Connection;
use stagegate_model::EntryId;
use stagegate_store::{Append, SqliteStore, Store, StoreError, entry_hash, verify_chain};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// The position of an entry of the only workspace.
fn at(seq: u64) -> i64 {
    (1 << 40) | seq as i64
}

/// Damages a log of ten entries; verifying and reading it must name `seq`, its id if readable, and `what`.
fn first_wrong(
    damage: impl FnOnce(&Connection, &Log),
    seq: u64,
    entry: impl FnOnce(&Log) -> Option<EntryId>,
    what: &str,
) {
    let (dir, log) = closed_with(10);
    let connection = raw(dir.path());
    damage(&connection, &log);
    drop(connection);
    let store = SqliteStore::open(dir.path()).unwrap();
    let entry = entry(&log);
    let verified = verify_chain(&store, log.workspace, None, |_| Ok(())).map(|_| ());
    let read = store.read(log.workspace, 0, 100).map(|_| ());
    for result in [verified, read] {
        match result {
            Err(StoreError::Corrupt {
                workspace,
                seq: found,
                entry: found_entry,
                what: found_what,
            }) => {
                assert_eq!(workspace, Some(log.workspace));
                assert_eq!((found, found_what.as_str()), (Some(seq), what));
                assert_eq!(found_entry, entry);
            }
            unexpected => panic!("{unexpected:?}"),
        }
    }
}

/// Writes noise over every page of a database from `first_page` on.
fn overwrite(path: &Path, first_page: u64) {
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    assert!(pages > first_page);
    file.seek(SeekFrom::Start(first_page * 4096)).unwrap();
    for _ in first_page..pages {
        file.write_all(&[0xa5; 4096]).unwrap();
    }
}

fn id_of(seq: usize) -> impl FnOnce(&Log) -> Option<EntryId> {
    move |log| Some(log.rows[seq - 1].id)
}

fn nobody(_: &Log) -> Option<EntryId> {
    None
}

const CHANGED_BODY: &str = "its body is not the one that was hashed";
const DOES_NOT_FOLLOW: &str = "it does not follow from the entry before it";
const MISSING: &str = "the entry is missing";

#[test]
fn a_changed_body() {
    let damage = |connection: &Connection, _: &Log| {
        let sql =
            "UPDATE entry SET body = CAST(replace(body, '4', '5') AS BLOB) WHERE position = ?1";
        assert_eq!(connection.execute(sql, [at(4)]).unwrap(), 1);
    };
    first_wrong(damage, 4, id_of(4), CHANGED_BODY);
}

#[test]
fn a_changed_body_with_its_hash_recomputed() {
    let damage = |connection: &Connection, log: &Log| {
        let hash = entry_hash(&log.rows[3].prev_hash, b"{}");
        let sql = "UPDATE entry SET body = ?2, hash = ?3 WHERE position = ?1";
        let changed = connection.execute(sql, (at(4), b"{}", &hash)).unwrap();
        assert_eq!(changed, 1);
    };
    first_wrong(damage, 5, id_of(5), DOES_NOT_FOLLOW);
}

#[test]
fn the_last_entry_replaced_hash_and_all() {
    let damage = |connection: &Connection, log: &Log| {
        let hash = entry_hash(&log.rows[9].prev_hash, b"{}");
        let sql = "UPDATE entry SET body = ?2, hash = ?3 WHERE position = ?1";
        connection.execute(sql, (at(10), b"{}", &hash)).unwrap();
    };
    let what = "it is not the last entry that was appended";
    first_wrong(damage, 10, id_of(10), what);
}

#[test]
fn a_missing_entry() {
    for seq in [1, 6, 10] {
        let damage = |connection: &Connection, _: &Log| {
            let sql = "DELETE FROM entry WHERE position = ?1";
            assert_eq!(connection.execute(sql, [at(seq)]).unwrap(), 1);
        };
        first_wrong(damage, seq, nobody, MISSING);
    }
}

#[test]
fn two_entries_swapped() {
    let damage = |connection: &Connection, _: &Log| {
        for (from, to) in [(6, 99), (7, 6), (99, 7)] {
            let sql = "UPDATE entry SET position = ?2 WHERE position = ?1";
            assert_eq!(connection.execute(sql, (at(from), at(to))).unwrap(), 1);
        }
    };
    first_wrong(damage, 6, id_of(7), DOES_NOT_FOLLOW);
}

#[test]
fn unreadable_columns() {
    let cases = [
        ("id = x'00'", None, "its id is not readable"),
        ("hash = x'00'", Some(3), "its hash is not readable"),
        (
            "prev_hash = zeroblob(33)",
            Some(3),
            "its predecessor's hash is not readable",
        ),
        (
            "encoding = 9",
            Some(3),
            "its body has the unknown encoding 9",
        ),
        (
            "encoding = 1",
            Some(3),
            "its compressed body states an impossible length",
        ),
        (
            "encoding = 1, body = x'00'",
            Some(3),
            "its compressed body is cut off",
        ),
        (
            "encoding = 1, body = x'09000000ffffffff'",
            Some(3),
            "its compressed body cannot be unpacked",
        ),
    ];
    for (change, entry, what) in cases {
        let damage = |connection: &Connection, _: &Log| {
            let sql = format!("UPDATE entry SET {change} WHERE position = ?1");
            assert_eq!(connection.execute(&sql, [at(3)]).unwrap(), 1);
        };
        let entry = |log: &Log| entry.map(|seq: usize| log.rows[seq - 1].id);
        first_wrong(damage, 3, entry, what);
    }
}

#[test]
fn a_log_that_does_not_begin_at_the_beginning() {
    let damage = |connection: &Connection, log: &Log| {
        let prev_hash = [1_u8; 32];
        let hash = entry_hash(&prev_hash, &log.rows[0].body);
        let sql = "UPDATE entry SET prev_hash = ?2, hash = ?3 WHERE position = ?1";
        connection.execute(sql, (at(1), &prev_hash, &hash)).unwrap();
    };
    first_wrong(damage, 1, id_of(1), "it is not the beginning of a log");
}

#[test]
fn a_tail_cut_off_with_its_head_is_noticed_against_a_known_head_only() {
    let (dir, log) = closed_with(10);
    let connection = raw(dir.path());
    let last = &log.rows[7];
    connection
        .execute("DELETE FROM entry WHERE position > ?1", [at(8)])
        .unwrap();
    connection
        .execute(
            "UPDATE workspace SET head_seq = 8, head_id = ?1, head_hash = ?2, head_time = ?3",
            (last.id.0.as_bytes(), &last.hash, last.time.0),
        )
        .unwrap();
    drop(connection);
    let store = SqliteStore::open(dir.path()).unwrap();
    let unaware = verify_chain(&store, log.workspace, None, |_| Ok(())).unwrap();
    assert_eq!(unaware.entries, 8);
    let aware = verify_chain(&store, log.workspace, log.head, |_| Ok(())).unwrap_err();
    assert_eq!(aware.code(), "log_corrupt");
}

#[test]
fn a_record_behind_the_head_is_not_overwritten() {
    let (dir, mut log) = closed_with(3);
    let connection = raw(dir.path());
    let last = &log.rows[1];
    connection
        .execute(
            "UPDATE workspace SET head_seq = 2, head_id = ?1, head_hash = ?2, head_time = ?3",
            (last.id.0.as_bytes(), &last.hash, last.time.0),
        )
        .unwrap();
    drop(connection);
    let store = SqliteStore::open(dir.path()).unwrap();
    log.head = Some(last.head());
    let error = store
        .append(&[Append::new(log.next("{\"other\":1}"), 0)])
        .unwrap_err();
    assert_eq!(error.code(), "log_corrupt");
}

#[test]
fn an_unreadable_head_is_damage() {
    let (dir, log) = closed_with(3);
    raw(dir.path())
        .execute("UPDATE workspace SET head_hash = x'00'", [])
        .unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    assert_eq!(store.head(log.workspace).unwrap_err().code(), "log_corrupt");
}

#[test]
fn pages_of_noise_are_damage() {
    let (dir, log) = closed_with(500);
    // The first pages hold the schema and the short tables.
    overwrite(&dir.path().join("stagegate.db"), 30);
    let store = SqliteStore::open(dir.path()).unwrap();
    let error = verify_chain(&store, log.workspace, None, |_| Ok(())).unwrap_err();
    assert_eq!(error.code(), "log_corrupt");
}

#[test]
fn a_damaged_archive_record_is_named() {
    let (store, dir) = crate::fixture::sqlite();
    let mut log = Log::new(1);
    let mut append = log.step();
    let record = stagegate_store::ArchiveRecord {
        kind: "job".into(),
        id: crate::fixture::id(6, 1),
        target: None,
        number: None,
        parent: None,
        seq: 1,
        body: vec![b' '; 10_000],
    };
    append.archive.push(record.clone());
    store.append(&[append]).unwrap();
    drop(store);
    raw(dir.path())
        .execute("UPDATE archive SET body = x'ff'", [])
        .unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    let error = store.archived(log.workspace, "job", record.id).unwrap_err();
    assert_eq!(error.code(), "log_corrupt");
    assert!(error.to_string().contains(&record.id.to_string()));
}

/// A store with snapshots of entries 2 and 4.
fn with_snapshots() -> (tempfile::TempDir, Log) {
    let (dir, log) = closed_with(5);
    let store = SqliteStore::open(dir.path()).unwrap();
    for seq in [2, 4] {
        let snapshot = snapshot(&log, seq, &vec![seq as u8; 4_500_000]);
        store.put_snapshot(&snapshot).unwrap();
    }
    (dir, log)
}

fn latest(dir: &Path, log: &Log) -> Option<u64> {
    let store = SqliteStore::open(dir).unwrap();
    let found = store.latest_snapshot(log.workspace, 1).unwrap();
    found.map(|snapshot| snapshot.head.seq)
}

#[test]
fn a_damaged_snapshot_is_passed_over() {
    let damages = [
        "DELETE FROM chunk WHERE snapshot = 2 AND ordinal = 1",
        "UPDATE chunk SET body = x'ff' WHERE snapshot = 2 AND ordinal = 1",
        "UPDATE chunk SET encoding = 0 WHERE snapshot = 2 AND ordinal = 1",
        "UPDATE snapshot SET checksum = zeroblob(32) WHERE snapshot = 2",
        "UPDATE snapshot SET schema_version = 1, seq = 3 WHERE snapshot = 2",
        "UPDATE snapshot SET entry_hash = zeroblob(32) WHERE snapshot = 2",
    ];
    for damage in damages {
        let (dir, log) = with_snapshots();
        assert_eq!(latest(dir.path(), &log), Some(4));
        let path = dir.path().join("snapshots.db");
        let changed = Connection::open(path).unwrap().execute(damage, []).unwrap();
        assert_eq!(changed, 1, "{damage}");
        assert_eq!(latest(dir.path(), &log), Some(2), "{damage}");
    }
}

#[test]
fn a_snapshot_of_another_history_is_passed_over_and_makes_room() {
    let (dir, mut log) = with_snapshots();
    // The log is restored from a backup made before entry 3, and goes on differently.
    for file in ["stagegate.db", "stagegate.db-wal", "stagegate.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(file));
    }
    let store = SqliteStore::open(dir.path()).unwrap();
    log.head = Some(log.rows[1].head());
    log.rows.truncate(2);
    let restored: Vec<Append> = log
        .rows
        .iter()
        .map(|row| Append::new(row.clone(), 0))
        .collect();
    store.append(&restored).unwrap();
    let found = store.latest_snapshot(log.workspace, 1).unwrap().unwrap();
    assert_eq!(found.head.seq, 2);
    let row = log.next("another third");
    store.append(&[Append::new(row, 0)]).unwrap();
    store.put_snapshot(&snapshot(&log, 3, b"state")).unwrap();
    let found = store.latest_snapshot(log.workspace, 1).unwrap().unwrap();
    assert_eq!(found.head.seq, 3);
}

#[test]
fn an_unusable_snapshot_file_is_put_aside() {
    let (dir, log) = with_snapshots();
    let path = dir.path().join("snapshots.db");
    std::fs::write(&path, "this is no database, whatever its name may say").unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    assert_eq!(store.latest_snapshot(log.workspace, 1).unwrap(), None);
    store.put_snapshot(&snapshot(&log, 4, b"state")).unwrap();
    drop(store);
    assert_eq!(latest(dir.path(), &log), Some(4));
    assert!(dir.path().join("snapshots.db.damaged").exists());
}

#[test]
fn a_snapshot_file_that_goes_bad_while_open_is_replaced() {
    let (dir, log) = with_snapshots();
    let store = SqliteStore::open(dir.path()).unwrap();
    overwrite(&dir.path().join("snapshots.db"), 1);
    assert_eq!(store.latest_snapshot(log.workspace, 1).unwrap(), None);
    store.put_snapshot(&snapshot(&log, 5, b"state")).unwrap();
    let found = store.latest_snapshot(log.workspace, 1).unwrap().unwrap();
    assert_eq!(found.head.seq, 5);
    assert_eq!(read_all(&store, log.workspace), log.rows);
}

#[test]
fn a_rest_that_was_changed_is_not_believed() {
    let (dir, log) = closed_with(3);
    {
        let store = SqliteStore::open(dir.path()).unwrap();
        let rest = crate::rests::rest(&log, 3, Some(1_000));
        store.put_rests(&[rest]).unwrap();
        assert_eq!(store.rests().unwrap().len(), 1);
    }
    let raw = Connection::open(dir.path().join("snapshots.db")).unwrap();
    assert_eq!(raw.execute("UPDATE rest SET due_at = 2000", []).unwrap(), 1);
    drop(raw);
    let store = SqliteStore::open(dir.path()).unwrap();
    assert_eq!(store.rests().unwrap(), []);
}
