//! Crashes: what was acknowledged is there, what is there is whole.

use crate::fixture::{Log, id, read_all, sqlite, workspace};
use stagegate_store::{Append, ArchiveRecord, Row, SqliteStore, Store, verify_chain};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

const CHILD_DIR: &str = "STAGEGATE_STORE_CHILD_DIR";

/// The child of the test below: appends until it is killed and says on standard error what is durable.
#[test]
#[ignore = "runs as the child of a_killed_process_loses_nothing_it_acknowledged"]
fn child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let store = SqliteStore::open(Path::new(&dir)).unwrap();
    let mut head = store.head(workspace(1)).unwrap();
    loop {
        let mut batch = Vec::new();
        for _ in 0..3 {
            let seq = head.map_or(1, |head| head.seq + 1);
            // Of very different sizes, so that the kill meets all kinds of writes.
            let body = vec![b'x'; (seq * 7919 % 30_000) as usize];
            let row = Row::following(
                head.as_ref(),
                workspace(1),
                id(1, seq).into(),
                stagegate_model::Timestamp(0),
                body,
            );
            head = Some(row.head());
            let mut append = Append::new(row, 0);
            append.archive.push(ArchiveRecord {
                kind: "job".into(),
                id: id(6, seq),
                target: None,
                number: None,
                parent: None,
                seq,
                body: b"{}".to_vec(),
            });
            batch.push(append);
        }
        store.append(&batch).unwrap();
        eprintln!("durable {}", head.unwrap().seq);
    }
}

#[test]
fn a_killed_process_loses_nothing_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut durable = 0;
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "sqlite::crash::child",
                "--ignored",
                "--nocapture",
            ])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let enough = durable + 150 + round * 31;
        while durable < enough {
            let line = lines.next().expect("the child goes on until it is killed");
            let line = line.unwrap();
            let seq = line
                .strip_prefix("durable ")
                .unwrap_or_else(|| panic!("{line}"));
            durable = seq.parse().unwrap();
        }
        // SIGKILL on Unix.
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts too; its last word may be cut off.
        for line in lines.map_while(Result::ok) {
            let seq = line
                .strip_prefix("durable ")
                .and_then(|seq| seq.parse().ok());
            durable = durable.max(seq.unwrap_or(0));
        }

        let store = SqliteStore::open(dir.path()).unwrap();
        let report = verify_chain(&store, workspace(1), None, |_| Ok(())).unwrap();
        assert!(report.entries >= durable, "{} < {durable}", report.entries);
        // Batches are whole, and what rides along is there exactly when its entry is.
        assert_eq!(report.entries % 3, 0);
        let archived = store
            .archived_recent(workspace(1), "job", None, usize::MAX)
            .unwrap();
        assert_eq!(archived.len() as u64, report.entries);
        durable = report.entries;
    }
}

fn copy(from: &Path, to: &Path, wal_bytes: usize) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::copy(from.join("stagegate.db"), to.join("stagegate.db")).unwrap();
    let wal = std::fs::read(from.join("stagegate.db-wal")).unwrap();
    let kept = &wal[..wal_bytes.min(wal.len())];
    std::fs::write(to.join("stagegate.db-wal"), kept).unwrap();
}

#[test]
fn the_files_of_a_store_that_was_never_closed_are_complete() {
    let (store, dir) = sqlite();
    let mut log = Log::new(1);
    log.append(&store, 20);
    let image = tempfile::tempdir().unwrap();
    copy(dir.path(), image.path(), usize::MAX);
    let found = SqliteStore::open(image.path()).unwrap();
    assert_eq!(read_all(&found, log.workspace), log.rows);
}

#[test]
fn a_write_that_was_torn_by_a_power_cut_never_happened() {
    let (store, dir) = sqlite();
    let mut log = Log::new(1);
    log.append(&store, 20);
    let wal = dir.path().join("stagegate.db-wal");
    let before = std::fs::metadata(&wal).unwrap().len() as usize;
    let batch = [log.step(), log.step(), log.step()];
    store.append(&batch).unwrap();
    let after = std::fs::metadata(&wal).unwrap().len() as usize;
    assert!(after > before);
    // The batch in full is there; cut anywhere inside, all of it is gone.
    let cuts = (before..after).step_by(1361).chain([after - 1, after]);
    for cut in cuts {
        let image = tempfile::tempdir().unwrap();
        copy(dir.path(), image.path(), cut);
        let found = SqliteStore::open(image.path()).unwrap();
        let kept = if cut == after { 23 } else { 20 };
        assert_eq!(read_all(&found, log.workspace), log.rows[..kept], "{cut}");
        verify_chain(&found, log.workspace, None, |_| Ok(())).unwrap();
    }
}
