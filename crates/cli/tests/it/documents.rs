//! Documents: applied, compared, exported, refused.

use crate::harness::{SHOP, server};
use std::fs;

#[test]
fn applying_twice_changes_nothing() {
    let (_dir, server) = server();
    let dry = server
        .run_with_input(&["apply", "-f", "-", "--dry-run"], SHOP)
        .ok();
    assert!(
        dry.contains("8 created") && dry.contains("dry run"),
        "{dry}"
    );
    assert!(
        server
            .run(&["get", "environments"])
            .ok()
            .contains("no environments")
    );

    let first = server.run_with_input(&["apply", "-f", "-"], SHOP).ok();
    assert!(
        first.contains("8 created, 0 changed, 0 unchanged"),
        "{first}"
    );
    let again = server.run_with_input(&["apply", "-f", "-"], SHOP).ok();
    assert!(
        again.contains("0 created, 0 changed, 8 unchanged"),
        "{again}"
    );
}

#[test]
fn differences_are_shown_field_by_field() {
    let (dir, server) = server();
    let server = server.with_shop();
    let none = server
        .run_with_input(&["diff", "-f", "-", "--exit-code"], SHOP)
        .ok();
    assert_eq!(none, "no differences\n");

    let changed = dir.path().join("shop.yaml");
    fs::write(&changed, SHOP.replace("minApprovals: 2", "minApprovals: 3")).unwrap();
    let path = changed.to_str().unwrap();
    let diff = server.run(&["diff", "-f", path]).ok();
    assert!(diff.contains("~ Policy Four Eyes"), "{diff}");
    assert!(diff.contains("minApprovals"), "{diff}");
    assert!(!diff.contains('\x1b'), "{diff}");
    assert_eq!(
        server.run(&["diff", "-f", path, "--exit-code"]).code,
        Some(1)
    );
    let mut coloured = server.command(&["diff", "-f", path]);
    let coloured = crate::harness::Ran::of(coloured.env("CLICOLOR_FORCE", "1")).ok();
    assert!(
        coloured.contains("\x1b[31m") && coloured.contains("\x1b[32m"),
        "{coloured}"
    );
    // Comparing changed nothing.
    server
        .run(&["diff", "-f", path])
        .ok()
        .contains("minApprovals");
}

#[test]
fn what_a_change_would_do_and_would_have_done_is_told() {
    let (dir, server) = server();
    let server = server.with_shop();
    let same = server.run(&["simulate", "--since", "1h"]).ok();
    assert!(same.ends_with("no differences\n"), "{same}");
    let file = dir.path().join("shop.yaml");
    fs::write(&file, SHOP.replace("minApprovals: 2", "minApprovals: 3")).unwrap();
    let file = file.to_str().unwrap();
    let args = ["simulate", "-f", file, "--since", "1h", "--exit-code"];
    let told = server.run(&args).ok();
    assert!(told.starts_with("Four Eyes from "), "{told}");
    let json = server.run(&["simulate", "-f", file, "-o", "json"]).json();
    assert_eq!(json["policies"], serde_json::json!(["Four Eyes"]));
    let diff = server.run(&["diff", "-f", file]).ok();
    assert!(
        diff.contains("\nWhat it would do\n  nothing at once\n"),
        "{diff}"
    );

    let more = "type: Resource\nname: more\nidentifier: more\nkind: Host\nversion: test/v1\n";
    let diff = server.run_with_input(&["diff", "-f", "-"], more).ok();
    assert!(diff.contains("\nWhat it would do\n"), "{diff}");
    let refused = server.run_with_input(&["simulate", "-f", "-"], more);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("Resource `more`"), "{refused:?}");
    let refused = server.run(&["simulate", "--since", "yesterday"]);
    assert!(
        refused.stderr.contains("`yesterday` is no time"),
        "{refused:?}"
    );
}

#[test]
fn what_was_exported_can_be_applied() {
    let (_dir, server) = server();
    let server = server.with_shop();
    let exported = server.run(&["export"]).ok();
    let diff = server
        .run_with_input(&["diff", "-f", "-", "--exit-code"], &exported)
        .ok();
    assert_eq!(diff, "no differences\n");
    let json = server.run(&["export", "-o", "json"]).json();
    assert_eq!(json["documents"], exported.as_str());
}

#[test]
fn mistakes_are_told_with_file_and_line() {
    let (dir, server) = server();
    let folder = dir.path().join("documents");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.yaml"), "type: System\nname: Shop\n").unwrap();
    fs::write(
        folder.join("b.yaml"),
        "type: Environment\nname: Dev\nresourceSelecter: 'true'\n",
    )
    .unwrap();
    let said = server
        .run(&["apply", "-f", folder.to_str().unwrap()])
        .failed(3);
    assert!(said.contains("b.yaml:3:"), "{said}");
    assert!(said.contains("[unknown_field]"), "{said}");
    assert!(said.contains("    resourceSelecter: 'true'\n"), "{said}");
    // Nothing of the good file either.
    assert!(server.run(&["get", "systems"]).ok().contains("no systems"));

    let args = ["apply", "-f", folder.to_str().unwrap(), "-o", "json"];
    let problem: serde_json::Value = serde_json::from_str(&server.run(&args).failed(3)).unwrap();
    assert_eq!(problem["errors"][0]["line"], 3);
    server.run(&["apply", "-f", "/nonexistent.yaml"]).failed(2);
}
