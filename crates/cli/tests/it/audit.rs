//! The log, read and verified.

use crate::harness::{Ran, run, server, stagegate};
use std::path::Path;

/// Changes the stored content of one entry, as someone with access to the disk could.
pub fn damage(data: &Path, seq: i64) {
    let database = rusqlite::Connection::open(data.join("stagegate.db")).unwrap();
    // The low bits of an entry's position are its number in its log; there is one log here.
    const AT: &str = "(position & 0xFFFFFFFFFF) = ?1";
    let mut body: Vec<u8> = database
        .query_row(
            &format!("SELECT body FROM entry WHERE {AT}"),
            [seq],
            |row| row.get(0),
        )
        .unwrap();
    let last = body.len() - 2;
    body[last] ^= 1;
    let changed = database
        .execute(
            &format!("UPDATE entry SET body = ?2 WHERE {AT}"),
            rusqlite::params![seq, body],
        )
        .unwrap();
    assert_eq!(changed, 1);
}

#[test]
fn the_log_is_verified_by_the_server_and_without_one() {
    let (_dir, server) = server();
    let server = server.with_shop();
    let online = server.run(&["audit", "verify", "-o", "json"]).json();
    assert_eq!(online["ok"], true);
    let data = server.data.to_str().unwrap().to_owned();
    // Beside the running server, which goes on undisturbed.
    let offline = run(&["audit", "verify", "--data", &data, "-o", "json"]).json();
    assert_eq!(offline[0]["head"], online["head"]);
    assert_eq!(offline[0]["entries"], online["entries"]);
    assert!(
        run(&["audit", "verify", "--data", &data])
            .ok()
            .contains("each as it was written")
    );

    let data = server.data.clone();
    server.stop();
    damage(&data, 2);
    let broken = run(&["audit", "verify", "--data", data.to_str().unwrap()]);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(broken.stdout.contains("entry 2 (id "), "{broken:?}");
    let broken = run(&[
        "audit",
        "verify",
        "--data",
        data.to_str().unwrap(),
        "-o",
        "json",
    ]);
    let found: serde_json::Value = serde_json::from_str(&broken.stdout).unwrap();
    assert_eq!(
        (&found[0]["ok"], &found[0]["error"]["seq"]),
        (&false.into(), &2.into())
    );
}

#[test]
fn a_folder_without_data_is_no_verified_log() {
    let dir = tempfile::tempdir().unwrap();
    let said = run(&["audit", "verify", "--data", dir.path().to_str().unwrap()]).failed(1);
    assert!(said.contains("error: "), "{said}");
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "something was written"
    );
}

#[test]
fn entries_are_found_by_what_they_touch() {
    let (_dir, server) = server();
    let server = server.with_shop();
    server.run(&["version", "create", "--tag", "v1"]).ok();
    let all = server.run(&["audit"]).ok();
    assert!(all.contains("policy Four Eyes was set"), "{all}");
    assert!(all.contains("version v1 of api was created"), "{all}");
    assert!(all.contains(" admin "), "{all}");

    let policy = server
        .run(&["audit", "--policy", "four eyes", "-o", "json"])
        .json();
    let seqs = |value: &serde_json::Value| -> Vec<u64> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["seq"].as_u64().unwrap())
            .collect()
    };
    let all = seqs(&server.run(&["audit", "-o", "json"]).json());
    let some = seqs(&policy);
    assert!(
        !some.is_empty() && some.len() < all.len(),
        "{some:?} of {all:?}"
    );

    // The newest ones without `--after`, the next ones with it.
    let newest = seqs(&server.run(&["audit", "--limit", "1", "-o", "json"]).json());
    assert_eq!(newest, all[all.len() - 1..]);
    let next = seqs(
        &server
            .run(&["audit", "--after", "1", "--limit", "2", "-o", "json"])
            .json(),
    );
    assert_eq!(next, [2, 3]);
}

#[test]
fn following_gives_what_is_added() {
    use std::io::{BufRead as _, BufReader};
    let (_dir, server) = server();
    let mut child = server
        .command(&["audit", "--follow", "--after", "0", "-o", "json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next =
        || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["seq"], 1);
    let server = server.with_shop();
    let mut last = 1;
    loop {
        let entry = next();
        assert_eq!(entry["seq"], last + 1);
        last += 1;
        if entry["facts"].to_string().contains("Four Eyes") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(server);
}

#[test]
fn offline_verification_needs_an_id_not_a_slug() {
    let mut command = stagegate();
    command.args([
        "audit",
        "verify",
        "--data",
        "/nonexistent",
        "--workspace",
        "default",
    ]);
    let said = Ran::of(&mut command).failed(2);
    assert!(said.contains("[invalid_id]"), "{said}");
}
