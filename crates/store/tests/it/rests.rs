//! Workspaces at rest, and the heads they are compared with.

use crate::fixture::{Log, workspace};
use stagegate_model::Timestamp;
use stagegate_store::{Rest, Store};

pub fn rest(log: &Log, seq: u64, due_at: Option<i64>) -> Rest {
    Rest {
        workspace: log.workspace,
        seq,
        entry_hash: log.rows[seq as usize - 1].hash,
        said_by: "a test".to_owned(),
        due_at: due_at.map(Timestamp),
    }
}

pub fn the_last_word_counts(store: &dyn Store) {
    let (mut one, mut two) = (Log::new(1), Log::new(2));
    one.append(store, 3);
    two.append(store, 2);
    assert_eq!(store.rests().unwrap(), []);
    let first = [rest(&two, 2, None), rest(&one, 2, Some(-5))];
    store.put_rests(&first).unwrap();
    let [second, first] = first;
    assert_eq!(store.rests().unwrap(), [first, second.clone()]);
    let later = rest(&one, 3, Some(7_000));
    store.put_rests(std::slice::from_ref(&later)).unwrap();
    assert_eq!(store.rests().unwrap(), [later, second]);
    store.put_rests(&[]).unwrap();
    assert_eq!(store.rests().unwrap().len(), 2);
}

pub fn heads_are_listed_with_their_logs(store: &dyn Store) {
    assert_eq!(store.heads().unwrap(), []);
    let (mut one, mut two) = (Log::new(1), Log::new(2));
    two.append(store, 2);
    one.append(store, 3);
    // It is known, but has no log.
    store
        .acquire_lease(workspace(3), "somebody", Timestamp(0), 1)
        .unwrap();
    let heads = store.heads().unwrap();
    let expected = [(one.workspace, one.head), (two.workspace, two.head)];
    assert_eq!(
        heads
            .into_iter()
            .map(|(id, head)| (id, Some(head)))
            .collect::<Vec<_>>(),
        expected
    );
}
