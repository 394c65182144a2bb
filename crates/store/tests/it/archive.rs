//! The archive.

use crate::fixture::{Log, id, workspace};
use stagegate_store::{ArchiveRecord, Store};
use uuid::Uuid;

fn record(kind: &str, number: u64, seq: u64) -> ArchiveRecord {
    ArchiveRecord {
        kind: kind.into(),
        id: id(6, number),
        target: None,
        number: None,
        parent: None,
        seq,
        body: format!(r#"{{"{kind}":{number}}}"#).into_bytes(),
    }
}

fn ids(records: &[ArchiveRecord]) -> Vec<u64> {
    records
        .iter()
        .map(|record| record.id.as_u64_pair().1)
        .collect()
}

/// Appends one entry that archives `records`.
fn put(store: &dyn Store, log: &mut Log, records: Vec<ArchiveRecord>) {
    let mut append = log.step();
    append.archive = records;
    store.append(&[append]).unwrap();
}

pub fn is_written_with_its_entry(store: &dyn Store) {
    let mut log = Log::new(1);
    let mut large = record("job", 1, 1);
    large.body = vec![b'x'; 50_000];
    large.target = Some("web/prod/cluster-1".into());
    large.number = Some(7);
    large.parent = Some(id(7, 1));
    put(
        store,
        &mut log,
        vec![large.clone(), record("release", 1, 1)],
    );
    let get = |kind: &str, id: Uuid| store.archived(log.workspace, kind, id).unwrap();
    assert_eq!(get("job", id(6, 1)), Some(large));
    assert_eq!(get("release", id(6, 1)), Some(record("release", 1, 1)));
    assert_eq!(get("promotion", id(6, 1)), None);
    assert_eq!(store.archived(workspace(2), "job", id(6, 1)).unwrap(), None);
}

pub fn is_replaced_by_key(store: &dyn Store) {
    let mut log = Log::new(1);
    let mut first = record("release", 1, 1);
    first.target = Some("a".into());
    put(store, &mut log, vec![first]);
    let mut second = record("release", 1, 2);
    second.target = Some("b".into());
    second.body = b"rolled back".to_vec();
    put(store, &mut log, vec![second.clone()]);
    let of = |target| {
        store
            .archived_of_target(log.workspace, "release", target, None, 9)
            .unwrap()
    };
    assert_eq!(of("a"), []);
    assert_eq!(of("b"), [second.clone()]);
    let recent = store
        .archived_recent(log.workspace, "release", None, 9)
        .unwrap();
    assert_eq!(recent, [second]);
}

pub fn lists_a_target_from_the_highest_number(store: &dyn Store) {
    let mut log = Log::new(1);
    // Numbers 1, 1, 2, 2, 3, 3 …: several jobs of one release share its number.
    let records = (1..=10)
        .map(|number| ArchiveRecord {
            target: Some("t".into()),
            number: Some(u64::div_ceil(number, 2)),
            ..record("job", number, 1)
        })
        .chain([
            ArchiveRecord {
                target: Some("t".into()),
                ..record("job", 99, 1)
            },
            ArchiveRecord {
                target: Some("other".into()),
                number: Some(9),
                ..record("job", 11, 1)
            },
            ArchiveRecord {
                target: Some("t".into()),
                number: Some(9),
                ..record("release", 12, 1)
            },
        ])
        .collect();
    put(store, &mut log, records);
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store
            .archived_of_target(log.workspace, "job", "t", after, 3)
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.cursor_of_target());
        seen.extend(ids(&page));
    }
    assert_eq!(seen, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 99]);
}

pub fn lists_a_parent_by_id(store: &dyn Store) {
    let mut log = Log::new(1);
    let records = (1..=5)
        .map(|number| ArchiveRecord {
            parent: Some(id(7, number % 2)),
            ..record("job", number, 1)
        })
        .collect();
    put(store, &mut log, records);
    let of = |after, limit| {
        let page = store
            .archived_of_parent(log.workspace, "job", id(7, 1), after, limit)
            .unwrap();
        ids(&page)
    };
    assert_eq!(of(None, 9), [1, 3, 5]);
    assert_eq!(of(None, 2), [1, 3]);
    assert_eq!(of(Some(id(6, 3)), 9), [5]);
    let none = store.archived_of_parent(log.workspace, "release", id(7, 1), None, 9);
    assert_eq!(none.unwrap(), []);
}

pub fn lists_the_most_recent_through_equal_seqs(store: &dyn Store) {
    let mut log = Log::new(1);
    // One entry archives many: a page may end among records of the same seq.
    for seq in 1..=3 {
        let records = (1..=4)
            .map(|number| record("job", seq * 10 + number, seq))
            .collect();
        put(store, &mut log, records);
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store
            .archived_recent(log.workspace, "job", after, 3)
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.cursor_of_recent());
        seen.extend(ids(&page));
    }
    assert_eq!(seen, [34, 33, 32, 31, 24, 23, 22, 21, 14, 13, 12, 11]);
}
