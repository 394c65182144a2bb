//! What people and programs get to read.

use crate::harness::server;
use std::process::Stdio;

#[test]
fn everything_can_be_listed_in_text_and_json() {
    let (_dir, server) = server();
    let server = server.with_shop();
    server.run(&["version", "create", "--tag", "v1"]).ok();
    for (kind, name) in [
        ("systems", "Shop"),
        ("environments", "Staging"),
        ("deployments", "api"),
        ("resources", "production-1"),
        ("agents", "local"),
        ("policies", "Four Eyes"),
        ("versions", "v1"),
    ] {
        let text = server.run(&["get", kind]).ok();
        assert!(text.contains(name), "{kind}: {text}");
        assert!(
            !text.contains('\x1b') && !text.contains(" \n"),
            "{kind}: {text:?}"
        );
        let all = server.run(&["get", kind, "-o", "json"]).json();
        assert!(all.is_array(), "{kind}");
        let one = server
            .run(&["get", kind, &name.to_lowercase(), "-o", "json"])
            .json();
        assert!(one.is_object(), "{kind}");
        let said = server.run(&["get", kind, "nothing-like-it"]).failed(3);
        assert!(said.contains("_not_found]"), "{kind}: {said}");
    }
    assert!(server.run(&["get", "promotions"]).ok().contains("v1"));
    assert!(server.run(&["agent", "list"]).ok().contains("exec"));
}

#[test]
fn problems_are_json_for_programs() {
    let (_dir, server) = server();
    let said = server.run(&["why", "nowhere", "-o", "json"]).failed(2);
    let problem: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(problem["code"], "missing_field");
    let server = server.with_shop();
    let said = server.run(&["why", "nowhere", "-o", "json"]).failed(3);
    let problem: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&problem["code"], &problem["status"]),
        (&"environment_not_found".into(), &404.into())
    );
    let id = "0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10";
    for args in [
        ["jobs", "show", id],
        ["promotion", "show", id],
        ["verification", "show", id],
    ] {
        server.run(&args).failed(3);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (_dir, server) = server();
    let server = server.with_shop();
    let mut child = server
        .command(&["export"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn watching_shows_the_board_again_when_something_changes() {
    use std::io::{BufRead as _, BufReader};
    let (_dir, server) = server();
    let server = server.with_shop();
    let mut child = server
        .command(&["status", "--watch", "-o", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(!first.contains("v77"), "{first}");
    server.run(&["version", "create", "--tag", "v77"]).ok();
    assert!(lines.any(|line| line.unwrap().contains("v77")));
    child.kill().unwrap();
    child.wait().unwrap();
}
