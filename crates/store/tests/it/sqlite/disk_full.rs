//! A full disk refuses writes cleanly, and they work again once there is space.

use crate::fixture::{Log, read_all};
use stagegate_store::{
    Append, Snapshot, SnapshotHead, SqliteOptions, SqliteStore, Store, verify_chain,
};

/// Appends rows of `bytes` bytes that do not compress until one is refused for want of space, and says
/// how many were taken.
fn fill(store: &SqliteStore, log: &mut Log, bytes: usize) -> usize {
    let mut state = 1_u64;
    for taken in 0.. {
        let before = log.clone();
        let body: Vec<u8> = (0..bytes)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        if let Err(error) = store.append(&[Append::new(log.next(body), 0)]) {
            assert_eq!(error.code(), "storage_full", "{:?}", error);
            *log = before;
            return taken;
        }
        assert!(taken < 100_000, "the disk never gets full");
    }
    unreachable!()
}

#[test]
fn the_page_limit_is_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        max_pages: Some(200),
    };
    let store = SqliteStore::open_with(dir.path(), options).unwrap();
    let mut log = Log::new(1);
    assert!(fill(&store, &mut log, 20_000) > 5);

    // Nothing half-written, reads go on, and it stays refused.
    assert_eq!(store.head(log.workspace).unwrap(), log.head);
    assert!(read_all(&store, log.workspace) == log.rows);
    let mut again = log.clone();
    let refused = store.append(&[Append::new(again.next(vec![0; 3000]), 0)]);
    if refused.is_ok() {
        log = again;
    }
    fill(&store, &mut log, 20_000);

    store.set_max_pages(Some(400)).unwrap();
    assert!(fill(&store, &mut log, 20_000) > 5);
    store.set_max_pages(None).unwrap();
    log.append(&store, 300);
    assert!(read_all(&store, log.workspace) == log.rows);
    verify_chain(&store, log.workspace, None, |_| Ok(())).unwrap();
    drop(store);
    let store = SqliteStore::open(dir.path()).unwrap();
    assert!(read_all(&store, log.workspace) == log.rows);
}

#[test]
fn a_full_disk_in_the_middle_of_a_batch_leaves_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        max_pages: Some(200),
    };
    let store = SqliteStore::open_with(dir.path(), options).unwrap();
    let mut log = Log::new(1);
    log.append(&store, 3);
    let mut large = log.clone();
    let batch: Vec<Append> = (0..8000).map(|_| large.step()).collect();
    let error = store.append(&batch).unwrap_err();
    assert_eq!(error.code(), "storage_full");
    assert_eq!(store.head(log.workspace).unwrap(), log.head);
    log.append(&store, 3);
    assert_eq!(read_all(&store, log.workspace), log.rows);
}

/// The same on a real file system: mount a small one (`mount -t tmpfs -o size=8m tmpfs DIR`) and name it
/// in `STAGEGATE_SMALL_DISK`.
#[test]
#[ignore = "needs a small file system in STAGEGATE_SMALL_DISK"]
fn a_really_full_disk() {
    let disk =
        std::env::var_os("STAGEGATE_SMALL_DISK").expect("STAGEGATE_SMALL_DISK names a directory");
    let dir = tempfile::tempdir_in(disk).unwrap();
    let ballast = dir.path().join("ballast");
    std::fs::write(&ballast, vec![0; 2 << 20]).unwrap();
    let store = SqliteStore::open(&dir.path().join("data")).unwrap();
    let mut log = Log::new(1);
    for bytes in [20_000, 1_000, 10] {
        fill(&store, &mut log, bytes);
        assert!(read_all(&store, log.workspace) == log.rows);
    }
    let snapshot = Snapshot {
        head: SnapshotHead {
            workspace: log.workspace,
            seq: 1,
            entry_hash: log.rows[0].hash,
            schema_version: 1,
        },
        body: log.rows.iter().flat_map(|row| row.body.clone()).collect(),
    };
    assert_eq!(
        store.put_snapshot(&snapshot).unwrap_err().code(),
        "storage_full"
    );
    std::fs::remove_file(ballast).unwrap();
    log.append(&store, 100);
    assert!(read_all(&store, log.workspace) == log.rows);
    drop(store);
    let store = SqliteStore::open(&dir.path().join("data")).unwrap();
    assert!(read_all(&store, log.workspace) == log.rows);
    verify_chain(&store, log.workspace, None, |_| Ok(())).unwrap();
}
