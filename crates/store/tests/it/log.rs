//! Appending, compare-and-swap, reading, the side index.

use crate::fixture::{Log, id, read_all, workspace};
use stagegate_model::{EntryId, Timestamp};
use stagegate_store::{
    Append, ArchiveRecord, ENTRY_BODY_BYTES_MAX, EntityRef, GENESIS_HASH, Row, SideWrite, Store,
    StoreError, User,
};
use std::sync::atomic::{AtomicU64, Ordering};

pub fn appends_and_reads_back(store: &dyn Store) {
    let mut log = Log::new(1);
    assert_eq!(store.head(log.workspace).unwrap(), None);
    assert_eq!(store.read(log.workspace, 0, 10).unwrap(), []);
    assert_eq!(store.log_size_bytes(log.workspace).unwrap(), 0);
    assert_eq!(store.workspaces().unwrap(), []);

    log.append(store, 1);
    store.append(&[log.step(), log.step()]).unwrap();

    assert_eq!(log.rows[0].prev_hash, GENESIS_HASH);
    assert_eq!(store.head(log.workspace).unwrap(), log.head);
    assert_eq!(read_all(store, log.workspace), log.rows);
    assert_eq!(
        store.row(log.workspace, 2).unwrap().as_ref(),
        Some(&log.rows[1])
    );
    assert_eq!(store.row(log.workspace, 0).unwrap(), None);
    assert_eq!(store.row(log.workspace, 4).unwrap(), None);
    assert_eq!(store.row(log.workspace, u64::MAX).unwrap(), None);
    assert_eq!(store.read(log.workspace, u64::MAX, 10).unwrap(), []);
    assert_eq!(store.workspaces().unwrap(), [log.workspace]);
    let bytes: usize = log.rows.iter().map(|row| row.body.len()).sum();
    assert_eq!(store.log_size_bytes(log.workspace).unwrap(), bytes as u64);
}

pub fn bodies_of_every_size_survive(store: &dyn Store) {
    let mut log = Log::new(1);
    let mut bytes = 0;
    for length in [0, 1, 4095, 4096, 4097, 100_000, 1 << 20] {
        let body: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        store.append(&[Append::new(log.next(body), 0)]).unwrap();
        bytes += length;
    }
    assert_eq!(read_all(store, log.workspace), log.rows);
    // The size is that of the bodies as handed in, however they are stored.
    assert_eq!(store.log_size_bytes(log.workspace).unwrap(), bytes);
}

pub fn a_row_that_does_not_follow_is_a_conflict(store: &dyn Store) {
    let mut log = Log::new(1);
    log.append(store, 3);
    let mut other = log.clone();
    let conflict = |append: Append, expected: u64, found: u64| match store.append(&[append]) {
        Err(StoreError::Conflict {
            workspace,
            expected: e,
            found: f,
        }) => assert_eq!((workspace, e, f), (other.workspace, expected, found)),
        unexpected => panic!("{unexpected:?}"),
    };
    // Again, too far ahead, of another history, a second beginning.
    conflict(Append::new(log.rows[2].clone(), 0), 2, 3);
    log.step();
    conflict(log.step(), 4, 3);
    let mut stranger = other.head;
    stranger.as_mut().unwrap().hash = [9; 32];
    let row = Row::following(
        stranger.as_ref(),
        other.workspace,
        EntryId(id(1, 99)),
        Timestamp(9),
        b"{}".to_vec(),
    );
    conflict(Append::new(row, 0), 3, 3);
    let mut beginning = Log::new(1);
    conflict(beginning.step(), 0, 3);

    assert_eq!(read_all(store, other.workspace), other.rows);
    store.append(&[other.step()]).unwrap();
    assert_eq!(store.head(other.workspace).unwrap(), other.head);
}

pub fn a_batch_is_all_or_nothing(store: &dyn Store) {
    let mut log = Log::new(1);
    log.append(store, 2);
    let before = log.clone();

    let mut first = log.step();
    let touched = EntityRef::new("version", id(5, 1));
    let archived = ArchiveRecord {
        kind: "job".into(),
        id: id(6, 1),
        target: None,
        number: None,
        parent: None,
        seq: 3,
        body: b"{}".to_vec(),
    };
    let user = User {
        id: id(7, 1).into(),
        workspace: log.workspace,
        name: "Ada".into(),
        email: None,
    };
    first.touches.push(touched.clone());
    first.archive.push(archived);
    first.side.push(SideWrite::PutUser(user.clone()));
    log.step();
    let after_a_gap = log.step();
    let error = store.append(&[first, after_a_gap]).unwrap_err();
    assert_eq!(error.code(), "storage_conflict");

    assert_eq!(store.head(log.workspace).unwrap(), before.head);
    assert_eq!(read_all(store, log.workspace), before.rows);
    let touching = store.touching(log.workspace, &touched, None, 9);
    assert!(touching.unwrap().is_empty());
    assert_eq!(
        store.archived(log.workspace, "job", id(6, 1)).unwrap(),
        None
    );
    assert_eq!(store.user(log.workspace, user.id).unwrap(), None);
}

pub fn a_batch_may_span_workspaces(store: &dyn Store) {
    let (mut one, mut two) = (Log::new(1), Log::new(2));
    store
        .append(&[two.step(), one.step(), two.step(), one.step(), two.step()])
        .unwrap();
    assert_eq!(read_all(store, one.workspace), one.rows);
    assert_eq!(read_all(store, two.workspace), two.rows);
    assert_eq!(store.workspaces().unwrap(), [one.workspace, two.workspace]);

    // A conflict in one takes the other's entry with it.
    let before = one.clone();
    let mut again = two.clone();
    again.head = Some(two.rows[1].head());
    assert!(store.append(&[one.step(), again.step()]).is_err());
    assert_eq!(store.head(one.workspace).unwrap(), before.head);
}

pub fn of_two_racing_writers_one_wins_each_seq(store: &dyn Store) {
    const ENTRIES: u64 = 100;
    let won = AtomicU64::new(0);
    let lost = AtomicU64::new(0);
    std::thread::scope(|threads| {
        for writer in 0..3 {
            let (won, lost) = (&won, &lost);
            threads.spawn(move || {
                loop {
                    let head = store.head(workspace(1)).unwrap();
                    let seq = head.map_or(1, |head| head.seq + 1);
                    if seq > ENTRIES {
                        break;
                    }
                    let row = Row::following(
                        head.as_ref(),
                        workspace(1),
                        EntryId(id(writer, seq)),
                        Timestamp(0),
                        format!("{writer}").into_bytes(),
                    );
                    match store.append(&[Append::new(row, 0)]) {
                        Ok(()) => won.fetch_add(1, Ordering::Relaxed),
                        Err(StoreError::Conflict { .. }) => lost.fetch_add(1, Ordering::Relaxed),
                        Err(error) => panic!("{error}"),
                    };
                }
            });
        }
    });
    assert_eq!(won.into_inner(), ENTRIES);
    assert_eq!(read_all(store, workspace(1)).len() as u64, ENTRIES);
}

pub fn reads_in_pages(store: &dyn Store) {
    let mut log = Log::new(1);
    let mut other = Log::new(2);
    log.append(store, 25);
    other.append(store, 3);
    assert_eq!(store.read(log.workspace, 0, 10).unwrap(), log.rows[..10]);
    assert_eq!(store.read(log.workspace, 10, 10).unwrap(), log.rows[10..20]);
    assert_eq!(store.read(log.workspace, 20, 10).unwrap(), log.rows[20..]);
    assert_eq!(store.read(log.workspace, 25, 10).unwrap(), []);
    assert_eq!(store.read(log.workspace, 5, 0).unwrap(), []);
    assert_eq!(store.read(log.workspace, 0, usize::MAX).unwrap(), log.rows);
}

pub fn large_rows_end_a_page_early(store: &dyn Store) {
    let mut log = Log::new(1);
    let batch: Vec<Append> = (0..12)
        .map(|_| Append::new(log.next(vec![b' '; 1 << 20]), 0))
        .collect();
    store.append(&batch).unwrap();
    let page = store.read(log.workspace, 0, 100).unwrap();
    assert!((1..12).contains(&page.len()), "{}", page.len());
    assert!(read_all(store, log.workspace) == log.rows);
}

pub fn what_cannot_be_stored_is_refused(store: &dyn Store) {
    let refused = |change: &dyn Fn(&mut Append)| {
        let mut append = Log::new(1).step();
        change(&mut append);
        let error = store.append(&[append]).unwrap_err();
        assert_eq!(error.code(), "storage_invalid", "{error}");
    };
    let record = |target: Option<String>, number| ArchiveRecord {
        kind: "release".into(),
        id: id(6, 1),
        target,
        number,
        parent: None,
        seq: 1,
        body: Vec::new(),
    };
    refused(&|append| append.row.body.push(b' '));
    refused(&|append| append.row.hash = [0; 32]);
    refused(&|append| append.row.seq = u64::MAX);
    refused(&|append| append.row = Log::new(1).next(vec![0; ENTRY_BODY_BYTES_MAX + 1]));
    refused(&|append| append.touches.push(EntityRef::new("", id(1, 1))));
    refused(&|append| append.archive.push(record(Some("t".into()), Some(0))));
    refused(&|append| append.archive.push(record(None, Some(u64::MAX))));
    refused(&|append| append.archive.push(record(Some("t".repeat(5000)), None)));
    assert_eq!(store.workspaces().unwrap(), []);
}

pub fn finds_what_touches_an_entity(store: &dyn Store) {
    let (mut log, mut other) = (Log::new(1), Log::new(2));
    let version = EntityRef::new("version", id(5, 1));
    for seq in 1..=6 {
        let mut append = log.step();
        if seq % 2 == 0 {
            append.touches = vec![version.clone(), version.clone()];
        }
        append.touches.push(EntityRef::new("actor", id(5, 1)));
        store.append(&[append]).unwrap();
    }
    let mut append = other.step();
    append.touches.push(version.clone());
    store.append(&[append]).unwrap();

    let find = |before, limit| {
        store
            .touching(log.workspace, &version, before, limit)
            .unwrap()
    };
    assert_eq!(find(None, 10), [6, 4, 2]);
    assert_eq!(find(None, 2), [6, 4]);
    assert_eq!(find(Some(4), 10), [2]);
    assert!(find(Some(2), 10).is_empty());
    let find_after = |after, limit| {
        store
            .touching_after(log.workspace, &version, after, limit)
            .unwrap()
    };
    assert_eq!(find_after(0, 10), [2, 4, 6]);
    assert_eq!(find_after(0, 2), [2, 4]);
    assert_eq!(find_after(4, 10), [6]);
    assert!(find_after(6, 10).is_empty() && find_after(u64::MAX, 10).is_empty());
    let actor = EntityRef::new("actor", id(5, 1));
    let by_actor = store.touching(log.workspace, &actor, None, 10).unwrap();
    assert_eq!(by_actor.len(), 6);
    let elsewhere = store.touching(workspace(9), &actor, None, 10);
    assert!(elsewhere.unwrap().is_empty());
    let elsewhere = store.touching_after(workspace(9), &actor, 0, 10);
    assert!(elsewhere.unwrap().is_empty());
}

pub fn an_empty_batch_is_nothing(store: &dyn Store) {
    store.append(&[]).unwrap();
    assert_eq!(store.workspaces().unwrap(), []);
}
