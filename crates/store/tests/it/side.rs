//! API keys, persons, sessions.

use crate::fixture::{Log, id, workspace};
use stagegate_model::Timestamp;
use stagegate_store::{ApiKey, Session, SideWrite, Store, User};

fn key(number: u64) -> ApiKey {
    ApiKey {
        id: id(8, number).into(),
        workspace: workspace(1),
        owner: id(9, 1).into(),
        role: "admin".into(),
        name: format!("key {number}"),
        hash: [number as u8; 32],
        created: Timestamp(5),
        revoked_at: None,
    }
}

fn user(number: u64, name: &str) -> User {
    User {
        id: id(9, number).into(),
        workspace: workspace(1),
        name: name.into(),
        email: Some(format!("{name}@example.com")),
    }
}

fn revoke(key: &ApiKey, at: i64) -> SideWrite {
    SideWrite::RevokeKey {
        workspace: key.workspace,
        id: key.id,
        at: Timestamp(at),
    }
}

pub fn keys_are_found_by_hash_and_revoked(store: &dyn Store) {
    let (one, two) = (key(1), key(2));
    store
        .write_side(&[
            SideWrite::PutKey(two.clone()),
            SideWrite::PutKey(one.clone()),
        ])
        .unwrap();
    assert_eq!(store.key_by_hash(&[1; 32]).unwrap(), Some(one.clone()));
    assert_eq!(store.key_by_hash(&[3; 32]).unwrap(), None);
    assert_eq!(store.key(one.workspace, two.id).unwrap(), Some(two.clone()));
    assert_eq!(store.key(workspace(2), two.id).unwrap(), None);
    assert_eq!(
        store.keys(one.workspace).unwrap(),
        [one.clone(), two.clone()]
    );
    assert_eq!(store.keys(workspace(2)).unwrap(), []);

    // From another workspace nothing is revoked; a second time changes nothing.
    let mut elsewhere = one.clone();
    elsewhere.workspace = workspace(2);
    store.write_side(&[revoke(&elsewhere, 6)]).unwrap();
    assert_eq!(
        store.key_by_hash(&one.hash).unwrap().unwrap().revoked_at,
        None
    );
    store.write_side(&[revoke(&one, 7)]).unwrap();
    store.write_side(&[revoke(&one, 8)]).unwrap();
    let found = store.key_by_hash(&one.hash).unwrap().unwrap();
    assert_eq!(found.revoked_at, Some(Timestamp(7)));

    let mut renamed = two;
    renamed.name = "renamed".into();
    store
        .write_side(&[SideWrite::PutKey(renamed.clone())])
        .unwrap();
    assert_eq!(store.key_by_hash(&[2; 32]).unwrap(), Some(renamed));
}

pub fn a_key_never_changes_its_workspace(store: &dyn Store) {
    store.write_side(&[SideWrite::PutKey(key(1))]).unwrap();
    let mut stolen = key(1);
    stolen.workspace = workspace(2);
    let error = store.write_side(&[SideWrite::PutKey(stolen)]).unwrap_err();
    assert_eq!(error.code(), "storage_invalid");
    assert_eq!(store.keys(workspace(1)).unwrap(), [key(1)]);
    assert_eq!(store.keys(workspace(2)).unwrap(), []);
}

pub fn two_keys_cannot_share_a_hash(store: &dyn Store) {
    store.write_side(&[SideWrite::PutKey(key(1))]).unwrap();
    let mut twin = key(2);
    twin.hash = key(1).hash;
    let writes = [SideWrite::PutUser(user(1, "ada")), SideWrite::PutKey(twin)];
    let error = store.write_side(&writes).unwrap_err();
    assert_eq!(error.code(), "storage_invalid");
    // Nothing of the batch remains.
    assert_eq!(store.users(workspace(1)).unwrap(), []);
}

pub fn a_person_can_be_erased(store: &dyn Store) {
    let (ada, bob) = (user(1, "ada"), user(2, "bob"));
    store
        .write_side(&[
            SideWrite::PutUser(bob.clone()),
            SideWrite::PutUser(ada.clone()),
        ])
        .unwrap();
    assert_eq!(
        store.users(workspace(1)).unwrap(),
        [ada.clone(), bob.clone()]
    );
    let erase = |workspace| SideWrite::EraseUser {
        workspace,
        id: ada.id,
    };
    store.write_side(&[erase(workspace(2))]).unwrap();
    assert_eq!(store.user(workspace(1), ada.id).unwrap(), Some(ada.clone()));
    store.write_side(&[erase(workspace(1))]).unwrap();
    assert_eq!(store.user(workspace(1), ada.id).unwrap(), None);
    assert_eq!(store.users(workspace(1)).unwrap(), [bob]);
}

pub fn sessions_end(store: &dyn Store) {
    let session = |hash: u8, expires| Session {
        hash: [hash; 32],
        key_id: key(1).id,
        expires: Timestamp(expires),
    };
    let put = |session: Session| store.write_side(&[SideWrite::PutSession(session)]);
    let find = |hash: u8, now| store.session(&[hash; 32], Timestamp(now)).unwrap();
    // A session needs a key.
    assert_eq!(put(session(1, 100)).unwrap_err().code(), "storage_invalid");
    store.write_side(&[SideWrite::PutKey(key(1))]).unwrap();
    put(session(1, 100)).unwrap();
    put(session(2, 200)).unwrap();
    put(session(3, 300)).unwrap();
    assert_eq!(find(1, 99), Some((session(1, 100), key(1))));
    assert_eq!(find(1, 100), None);
    assert_eq!(find(9, 0), None);
    // Prolonged.
    put(session(1, 250)).unwrap();
    assert!(find(1, 249).is_some());
    store
        .write_side(&[SideWrite::DeleteSession { hash: [3; 32] }])
        .unwrap();
    assert_eq!(find(3, 0), None);
    assert_eq!(store.purge_sessions(Timestamp(200)).unwrap(), 1);
    assert_eq!(find(2, 0), None);
    assert!(find(1, 0).is_some());
}

pub fn a_revoked_key_ends_its_sessions(store: &dyn Store) {
    let session = |hash: u8, key: &ApiKey| {
        SideWrite::PutSession(Session {
            hash: [hash; 32],
            key_id: key.id,
            expires: Timestamp(100),
        })
    };
    store
        .write_side(&[
            SideWrite::PutKey(key(1)),
            SideWrite::PutKey(key(2)),
            session(1, &key(1)),
            session(2, &key(2)),
        ])
        .unwrap();
    store.write_side(&[revoke(&key(1), 7)]).unwrap();
    assert_eq!(store.session(&[1; 32], Timestamp(0)).unwrap(), None);
    assert!(store.session(&[2; 32], Timestamp(0)).unwrap().is_some());
    // Nor does a new one work.
    store.write_side(&[session(3, &key(1))]).unwrap();
    assert_eq!(store.session(&[3; 32], Timestamp(0)).unwrap(), None);
}

pub fn rides_along_with_an_append(store: &dyn Store) {
    let mut log = Log::new(1);
    let mut append = log.step();
    append.side = vec![
        SideWrite::PutKey(key(1)),
        SideWrite::PutUser(user(1, "ada")),
    ];
    store.append(&[append]).unwrap();
    assert_eq!(store.key_by_hash(&[1; 32]).unwrap(), Some(key(1)));
    assert!(store.user(workspace(1), user(1, "").id).unwrap().is_some());

    // A refused side write takes the entry with it.
    let before = log.head;
    let mut append = log.step();
    append.side = vec![SideWrite::PutKey(ApiKey {
        id: id(8, 2).into(),
        ..key(1)
    })];
    assert_eq!(
        store.append(&[append]).unwrap_err().code(),
        "storage_invalid"
    );
    assert_eq!(store.head(log.workspace).unwrap(), before);
}
