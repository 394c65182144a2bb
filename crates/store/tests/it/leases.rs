//! Leases and fencing.

use crate::fixture::{Log, workspace};
use stagegate_model::Timestamp;
use stagegate_store::{Store, StoreError};

const NOW: Timestamp = Timestamp(1_000_000);

pub fn one_holder_at_a_time(store: &dyn Store) {
    let ws = workspace(1);
    assert_eq!(store.lease(ws).unwrap(), None);
    let first = store.acquire_lease(ws, "a", NOW, 500).unwrap().unwrap();
    assert_eq!(
        (first.holder.as_str(), first.until),
        ("a", Timestamp(1_000_500))
    );
    assert_eq!(store.lease(ws).unwrap().as_ref(), Some(&first));

    let before_the_end = Timestamp(1_000_499);
    assert_eq!(
        store.acquire_lease(ws, "b", before_the_end, 500).unwrap(),
        None
    );
    let second = store
        .acquire_lease(ws, "b", first.until, 500)
        .unwrap()
        .unwrap();
    assert!(second.epoch > first.epoch);
    // Another workspace's lease is another lease.
    assert!(
        store
            .acquire_lease(workspace(2), "c", NOW, 500)
            .unwrap()
            .is_some()
    );
    assert_eq!(
        store
            .renew_lease(ws, "a", first.epoch, second.until, 500)
            .unwrap(),
        None
    );
    assert!(!store.release_lease(ws, "a", first.epoch).unwrap());
    assert_eq!(store.lease(ws).unwrap(), Some(second));
}

pub fn the_epoch_fences_appends(store: &dyn Store) {
    let mut log = Log::new(1);
    // No lease yet: the epoch does not matter.
    let mut append = log.step();
    append.epoch = 77;
    store.append(&[append]).unwrap();

    let lease = store
        .acquire_lease(log.workspace, "a", NOW, 500)
        .unwrap()
        .unwrap();
    let mut append = log.step();
    append.epoch = lease.epoch;
    store.append(&[append]).unwrap();

    let taken = store
        .acquire_lease(log.workspace, "b", lease.until, 500)
        .unwrap()
        .unwrap();
    let mut append = log.step();
    for stale in [0, lease.epoch, taken.epoch + 1] {
        append.epoch = stale;
        match store.append(std::slice::from_ref(&append)) {
            Err(StoreError::Fenced {
                workspace,
                expected,
                found,
            }) => assert_eq!(
                (workspace, expected, found),
                (log.workspace, stale, taken.epoch)
            ),
            unexpected => panic!("{unexpected:?}"),
        }
    }
    append.epoch = taken.epoch;
    store.append(&[append]).unwrap();
    assert_eq!(store.head(log.workspace).unwrap(), log.head);
}

pub fn a_fenced_entry_fails_its_whole_batch(store: &dyn Store) {
    let (mut free, mut leased) = (Log::new(1), Log::new(2));
    store
        .acquire_lease(leased.workspace, "a", NOW, 500)
        .unwrap()
        .unwrap();
    let error = store.append(&[free.step(), leased.step()]).unwrap_err();
    assert_eq!(error.code(), "storage_fenced");
    assert_eq!(store.head(free.workspace).unwrap(), None);
}

pub fn renewing_keeps_the_epoch(store: &dyn Store) {
    let ws = workspace(1);
    let lease = store.acquire_lease(ws, "a", NOW, 500).unwrap().unwrap();
    let renewed = store
        .renew_lease(ws, "a", lease.epoch, Timestamp(1_000_400), 500)
        .unwrap()
        .unwrap();
    assert_eq!(
        (renewed.epoch, renewed.until),
        (lease.epoch, Timestamp(1_000_900))
    );
    // A clock that went back shortens nothing.
    let renewed = store
        .renew_lease(ws, "a", lease.epoch, Timestamp(1), 500)
        .unwrap()
        .unwrap();
    assert_eq!(renewed.until, Timestamp(1_000_900));
    // Late, but nobody else came.
    assert!(
        store
            .renew_lease(ws, "a", lease.epoch, Timestamp(2_000_000), 500)
            .unwrap()
            .is_some()
    );
    // Under another name or epoch there is nothing to renew.
    for (holder, epoch) in [("b", lease.epoch), ("a", lease.epoch + 1)] {
        assert_eq!(
            store.renew_lease(ws, holder, epoch, NOW, 500).unwrap(),
            None
        );
    }
    // Acquiring anew starts a new epoch even for the holder itself.
    let again = store.acquire_lease(ws, "a", NOW, 500).unwrap().unwrap();
    assert!(again.epoch > lease.epoch);
}

pub fn a_released_lease_fences_its_holder(store: &dyn Store) {
    let mut log = Log::new(1);
    let lease = store
        .acquire_lease(log.workspace, "a", NOW, 500)
        .unwrap()
        .unwrap();
    assert!(
        store
            .release_lease(log.workspace, "a", lease.epoch)
            .unwrap()
    );
    assert_eq!(store.lease(log.workspace).unwrap(), None);
    let mut append = log.step();
    append.epoch = lease.epoch;
    assert_eq!(
        store.append(&[append]).unwrap_err().code(),
        "storage_fenced"
    );
    assert!(
        !store
            .release_lease(log.workspace, "a", lease.epoch)
            .unwrap()
    );
    // Free at once, not only when it would have ended.
    let next = store
        .acquire_lease(log.workspace, "b", NOW, 500)
        .unwrap()
        .unwrap();
    assert!(next.epoch > lease.epoch);
}

pub fn a_leased_workspace_is_not_yet_a_log(store: &dyn Store) {
    store
        .acquire_lease(workspace(1), "a", NOW, 500)
        .unwrap()
        .unwrap();
    assert_eq!(store.workspaces().unwrap(), []);
    assert_eq!(store.head(workspace(1)).unwrap(), None);
}
