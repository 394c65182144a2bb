//! Opening: directories, locks, versions, foreign files.

use crate::fixture::{Log, closed_with, raw, read_all, sqlite};
use stagegate_store::{Append, SideWrite, SqliteStore, Store, StoreError, User, verify_chain};
use std::path::Path;

#[cfg(unix)]
#[test]
fn creates_private_files_and_finds_them_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/b");
    let store = SqliteStore::open(&dir).unwrap();
    let mut log = Log::new(1);
    log.append(&store, 5);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for file in ["stagegate.db", "stagegate.db-wal", "snapshots.db"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
    drop(store);
    let store = SqliteStore::open(&dir).unwrap();
    assert_eq!(read_all(&store, log.workspace), log.rows);
    log.append(&store, 1);
    assert_eq!(store.head(log.workspace).unwrap(), log.head);
}

#[test]
fn a_second_process_is_kept_out_and_told_who_is_in() {
    let (store, dir) = sqlite();
    match SqliteStore::open(dir.path()) {
        Err(StoreError::Locked { dir: named, hint }) => {
            assert_eq!(named, dir.path());
            let pid = format!("process {} ", std::process::id());
            assert!(hint.starts_with(&pid), "{hint}");
        }
        unexpected => panic!("{unexpected:?}"),
    }
    drop(store);
    SqliteStore::open(dir.path()).unwrap();
}

#[test]
fn a_lock_file_without_a_pid_still_locks() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(dir.path().join("lock")).unwrap();
    file.try_lock().unwrap();
    let error = SqliteStore::open(dir.path()).unwrap_err();
    assert_eq!(error.code(), "storage_locked");
    assert!(error.to_string().contains("another process"));
    drop(file);
    SqliteStore::open(dir.path()).unwrap();
}

#[test]
fn a_database_of_a_newer_stagegate_is_refused_untouched() {
    let (dir, log) = closed_with(3);
    let set_version = |version: i64| {
        raw(dir.path())
            .pragma_update(None, "user_version", version)
            .unwrap();
    };
    set_version(99);
    for opened in [
        SqliteStore::open(dir.path()),
        SqliteStore::open_read_only(dir.path()),
    ] {
        match opened {
            Err(StoreError::Newer { found, known, path }) => {
                assert_eq!((found, known), (99, 2));
                assert_eq!(path, dir.path().join("stagegate.db"));
            }
            unexpected => panic!("{unexpected:?}"),
        }
    }
    set_version(2);
    let store = SqliteStore::open(dir.path()).unwrap();
    assert_eq!(read_all(&store, log.workspace), log.rows);
}

#[test]
fn foreign_files_are_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stagegate.db");
    let text =
        "a shopping list, longer than a hundred bytes so that it could be a header: ".repeat(20);
    std::fs::write(&path, &text).unwrap();
    let error = SqliteStore::open(dir.path()).unwrap_err();
    assert_eq!(error.code(), "log_corrupt");
    assert!(error.to_string().contains("is not a Stagegate database"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    std::fs::remove_file(&path).unwrap();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE bookmarks (url TEXT)")
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = SqliteStore::open(dir.path()).unwrap_err();
    assert_eq!(error.code(), "storage_invalid");
    assert!(error.to_string().contains("another program"));
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn a_directory_that_cannot_be_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = SqliteStore::open(&path).unwrap_err();
        assert_eq!(error.code(), "storage_io");
        assert!(error.to_string().contains("cannot be created"), "{error}");
    }
}

#[test]
fn a_reader_sees_what_the_writer_commits_and_writes_nothing() {
    let (store, dir) = sqlite();
    let mut log = Log::new(1);
    log.append(&store, 3);
    let reader = SqliteStore::open_read_only(dir.path()).unwrap();
    assert_eq!(read_all(&reader, log.workspace), log.rows);
    log.append(&store, 3);
    assert_eq!(read_all(&reader, log.workspace), log.rows);
    verify_chain(&reader, log.workspace, None, |_| Ok(())).unwrap();
    let error = reader.append(&[log.clone().step()]).unwrap_err();
    assert_eq!(error.code(), "storage_io");
    assert_eq!(store.head(log.workspace).unwrap(), log.head);
    drop((store, reader));
    // Also when nobody else has it open.
    let reader = SqliteStore::open_read_only(dir.path()).unwrap();
    assert_eq!(read_all(&reader, log.workspace), log.rows);
    let nowhere = SqliteStore::open_read_only(&dir.path().join("nowhere"));
    assert_eq!(nowhere.unwrap_err().code(), "storage_invalid");
}

#[test]
fn large_bodies_lie_compressed_under_the_hash_of_the_original() {
    let (store, dir) = sqlite();
    let mut log = Log::new(1);
    for length in [4096, 4097] {
        let row = log.next(vec![b'x'; length]);
        store.append(&[Append::new(row, 0)]).unwrap();
    }
    let stored: Vec<(i64, i64)> = raw(dir.path())
        .prepare("SELECT encoding, length(body) FROM log ORDER BY seq")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(stored[0], (0, 4096));
    assert_eq!(stored[1].0, 1);
    assert!(stored[1].1 < 200, "{stored:?}");
    assert_eq!(read_all(&store, log.workspace), log.rows);
}

#[test]
fn an_erased_person_is_gone_from_the_disk() {
    let (store, dir) = sqlite();
    let mut log = Log::new(1);
    let user = User {
        id: crate::fixture::id(9, 1).into(),
        workspace: log.workspace,
        name: "Zebulon Quimby".into(),
        email: Some("zq@example.com".into()),
    };
    let is_on_disk = || {
        std::fs::read_dir(dir.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes
                .windows(b"Quimby".len())
                .any(|window| window == b"Quimby")
        })
    };
    let erase = SideWrite::EraseUser {
        workspace: log.workspace,
        id: user.id,
    };
    store
        .write_side(&[SideWrite::PutUser(user.clone())])
        .unwrap();
    assert!(is_on_disk());
    store.write_side(std::slice::from_ref(&erase)).unwrap();
    assert!(!is_on_disk());

    store.write_side(&[SideWrite::PutUser(user)]).unwrap();
    assert!(is_on_disk());
    let mut append = log.step();
    append.side.push(erase);
    store.append(&[append]).unwrap();
    assert!(!is_on_disk());
}
