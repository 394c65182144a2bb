//! Snapshots.

use crate::fixture::{Log, workspace};
use stagegate_store::{Snapshot, SnapshotHead, Store};

pub fn snapshot(log: &Log, seq: u64, body: &[u8]) -> Snapshot {
    Snapshot {
        head: SnapshotHead {
            workspace: log.workspace,
            seq,
            entry_hash: log.rows[seq as usize - 1].hash,
            schema_version: 1,
        },
        body: body.to_vec(),
    }
}

pub fn the_latest_is_found(store: &dyn Store) {
    let mut log = Log::new(1);
    log.append(store, 5);
    assert_eq!(store.latest_snapshot(log.workspace, 1).unwrap(), None);
    for seq in [2, 4] {
        let snapshot = snapshot(&log, seq, format!("state {seq}").as_bytes());
        store.put_snapshot(&snapshot).unwrap();
        let found = store.latest_snapshot(log.workspace, 1).unwrap();
        assert_eq!(found, Some(snapshot));
    }
    // The same entry again replaces it.
    let again = snapshot(&log, 4, b"better");
    store.put_snapshot(&again).unwrap();
    assert_eq!(
        store.latest_snapshot(log.workspace, 1).unwrap(),
        Some(again)
    );
    assert_eq!(store.latest_snapshot(workspace(2), 1).unwrap(), None);
}

pub fn two_are_kept(store: &dyn Store) {
    let mut log = Log::new(1);
    log.append(store, 9);
    // In their own schema each, so that what is kept can be told from outside.
    let put = |seq: u64| {
        let mut snapshot = snapshot(&log, seq, b"state");
        snapshot.head.schema_version = seq as u32;
        store.put_snapshot(&snapshot).unwrap();
    };
    let kept = || -> Vec<u32> {
        (1..=9)
            .filter(|version| {
                store
                    .latest_snapshot(log.workspace, *version)
                    .unwrap()
                    .is_some()
            })
            .collect()
    };
    put(3);
    put(1);
    assert_eq!(kept(), [1, 3]);
    put(5);
    assert_eq!(kept(), [3, 5]);
    // Between the two: the older one goes. Older than both: nothing changes.
    put(4);
    assert_eq!(kept(), [4, 5]);
    put(2);
    assert_eq!(kept(), [4, 5]);
    put(9);
    assert_eq!(kept(), [5, 9]);
}

pub fn one_of_another_schema_is_passed_over(store: &dyn Store) {
    let mut log = Log::new(1);
    log.append(store, 5);
    let old = snapshot(&log, 2, b"old layout");
    let mut new = snapshot(&log, 4, b"new layout");
    new.head.schema_version = 2;
    store.put_snapshot(&old).unwrap();
    store.put_snapshot(&new).unwrap();
    assert_eq!(store.latest_snapshot(log.workspace, 1).unwrap(), Some(old));
    assert_eq!(store.latest_snapshot(log.workspace, 2).unwrap(), Some(new));
    assert_eq!(store.latest_snapshot(log.workspace, 3).unwrap(), None);
}

pub fn one_that_is_not_of_this_log_is_refused(store: &dyn Store) {
    let mut log = Log::new(1);
    log.append(store, 2);
    let mut other_hash = snapshot(&log, 2, b"state");
    other_hash.head.entry_hash = [7; 32];
    let mut ahead = snapshot(&log, 2, b"state");
    ahead.head.seq = 3;
    for refused in [other_hash, ahead] {
        let error = store.put_snapshot(&refused).unwrap_err();
        assert_eq!(error.code(), "storage_invalid");
    }
    assert_eq!(store.latest_snapshot(log.workspace, 1).unwrap(), None);
}

pub fn large_ones_survive(store: &dyn Store) {
    let mut log = Log::new(1);
    log.append(store, 1);
    let body: Vec<u8> = (0..9_000_019_u32).map(|at| (at % 253) as u8).collect();
    let large = snapshot(&log, 1, &body);
    store.put_snapshot(&large).unwrap();
    assert!(store.latest_snapshot(log.workspace, 1).unwrap() == Some(large));
    let empty = snapshot(&log, 1, b"");
    store.put_snapshot(&empty).unwrap();
    assert_eq!(
        store.latest_snapshot(log.workspace, 1).unwrap(),
        Some(empty)
    );
}
