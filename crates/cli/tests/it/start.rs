//! Starting the server, and what it says when it cannot.

use crate::harness::{PATIENCE, Ran, Server, run, server, stagegate, within_patience};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;

fn serve(data: &Path, listen: &str) -> Ran {
    let data = data.to_str().unwrap();
    run(&["serve", "--data", data, "--listen", listen])
}

#[test]
fn the_first_start_prints_a_key_that_works_and_later_ones_print_none() {
    let (_dir, server) = server();
    assert_eq!(server.key.len(), "sgk_".len() + 64, "{:?}", server.lines);
    let me = server.run(&["whoami", "--output", "json"]).json();
    assert_eq!(
        (&me["userName"], &me["role"]),
        (&"admin".into(), &"admin".into())
    );
    assert_eq!(me["workspaces"][0]["slug"], "default");
    let (key, data) = (server.key.clone(), server.data.clone());
    assert!(server.stop().contains(&"stopped".to_owned()));

    let server = Server::start(&data);
    assert_eq!(server.key, "", "{:?}", server.lines);
    server.run_as(&key, &["status"]).ok();
}

#[test]
fn a_bootstrap_key_is_used_at_the_first_start_only() {
    const FIRST: &str = "sgk_first-key-of-enough-characters";
    const LATER: &str = "sgk_later-key-of-enough-characters";
    let dir = tempfile::tempdir().unwrap();
    let with = |key: &'static str| {
        Server::start_with(dir.path(), move |command| {
            command.env("STAGEGATE_BOOTSTRAP_API_KEY", key);
        })
    };
    let server = with(FIRST);
    assert!(
        server.lines.iter().all(|line| !line.contains(FIRST)),
        "{:?}",
        server.lines
    );
    server.run_as(FIRST, &["whoami"]).ok();
    server.stop();

    let server = with(LATER);
    server.run_as(FIRST, &["whoami"]).ok();
    let said = server.run_as(LATER, &["whoami"]).failed(3);
    assert!(said.contains("[unauthorized]"), "{said}");
    server.stop();

    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = stagegate();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(elsewhere.path())
        .env("STAGEGATE_BOOTSTRAP_API_KEY", "short");
    let said = Ran::of(&mut command).failed(2);
    assert!(said.contains("at least 20"), "{said}");
}

#[test]
fn a_start_in_json_is_read_by_programs() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = stagegate();
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--output",
            "json",
            "--data",
        ])
        .arg(dir.path())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut said = String::new();
    while !said.contains("\"ready\"") {
        let mut buffer = [0; 4096];
        let read = stdout.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "{said}");
        said.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let events: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<&str> = events
        .iter()
        .map(|it| it["event"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["starting", "adminKey", "ready"]);
    assert!(events[1]["key"].as_str().unwrap().starts_with("sgk_"));
    assert!(
        events[2]["url"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1:")
    );
}

#[test]
fn one_server_per_data_folder_and_per_port() {
    let (dir, server) = server();
    let said = serve(&server.data, "127.0.0.1:0").failed(1);
    assert!(
        said.contains("[storage_locked]") && said.contains("hint: "),
        "{said}"
    );

    let address = server.url.strip_prefix("http://").unwrap();
    let said = serve(&dir.path().join("other"), address).failed(1);
    assert!(
        said.contains("[port_taken]") && said.contains("--listen"),
        "{said}"
    );

    let said = serve(&dir.path().join("third"), "nonsense").failed(2);
    assert!(said.contains("--listen: "), "{said}");
}

#[test]
fn a_damaged_record_is_named_and_nothing_is_served() {
    let (_dir, server) = server();
    let server = server.with_shop();
    let data = server.data.clone();
    server.stop();
    crate::audit::damage(&data, 3);
    let said = serve(&data, "127.0.0.1:0").failed(1);
    assert!(said.contains("[log_corrupt]"), "{said}");
    assert!(said.contains("at number 3 (entry `"), "{said}");
    assert!(said.contains("audit verify --data"), "{said}");
}

#[test]
fn data_of_a_newer_version_is_left_alone() {
    let (_dir, server) = server();
    let data = server.data.clone();
    server.stop();
    let database = rusqlite::Connection::open(data.join("stagegate.db")).unwrap();
    database
        .pragma_update(None, "user_version", 10_000)
        .unwrap();
    drop(database);
    let said = serve(&data, "127.0.0.1:0").failed(1);
    assert!(said.contains("[storage_newer]"), "{said}");
}

#[test]
fn a_killed_server_comes_back_with_everything() {
    let (_dir, server) = server();
    let mut server = server.with_shop();
    let before = server.run(&["export"]).ok();
    server.kill();
    let again = Server::start(&server.data);
    assert_eq!(again.run_as(&server.key, &["export"]).ok(), before);
}

#[test]
fn open_streams_do_not_hold_up_a_stop() {
    let (_dir, server) = server();
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let me = server.run(&["whoami", "-o", "json"]).json();
    let id = me["workspaces"][0]["id"].as_str().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET /api/v1/workspaces/{id}/events HTTP/1.1\r\nHost: h\r\nX-API-Key: {}\r\n\r\n",
        server.key
    )
    .unwrap();
    let mut byte = [0; 1];
    stream.read_exact(&mut byte).unwrap();
    server.stop();
}

#[test]
fn a_port_can_be_used_again_at_once() {
    let (_dir, server) = server();
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    server.run(&["status"]).ok();
    server.stop();
    within_patience(|| TcpListener::bind(&address).ok());
}
