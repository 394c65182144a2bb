//! Going back, forcing, pausing and cancelling from the shell; and the demo of a rollback.

use crate::harness::{Ran, Server, server, stagegate};
use std::process::{Child, Stdio};

struct Runner(Child);

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn runner(server: &Server) -> Runner {
    let key = server.user("runner", "agent");
    let data = server.data.with_file_name("runner");
    let mut command = server.command_as(&key, &["agent", "run", "--name", "local", "--data"]);
    Runner(command.arg(data).stdout(Stdio::null()).spawn().unwrap())
}

/// Creates a version and waits until it is in staging.
fn staged(server: &Server, tag: &str) {
    let args = [
        "version",
        "create",
        "--tag",
        tag,
        "--wait=staging",
        "--timeout",
        "60s",
    ];
    server.run(&args).ok();
}

/// Waits until the newest release in staging is of that version and has succeeded.
fn settles(server: &Server, tag: &str) -> serde_json::Value {
    crate::harness::within_patience(|| {
        let releases = server
            .run(&["releases", "api", "-e", "staging", "-o", "json"])
            .json();
        let newest = &releases[0];
        (newest["version"]["tag"] == tag && newest["status"] == "succeeded")
            .then(|| releases.clone())
    })
}

#[test]
fn a_person_goes_back_after_having_seen_what_that_does() {
    let (_dir, server) = server();
    let server = server.with_shop();
    let _runner = runner(&server);
    staged(&server, "v1");
    let nothing = server.run(&["rollback", "api", "-e", "staging", "--dry-run"]);
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    assert!(nothing.stdout.contains("no earlier release"), "{nothing:?}");
    staged(&server, "v2");

    let rollback = |more: &[&str]| {
        let mut args = vec!["rollback", "api", "--environment", "staging"];
        args.extend(more);
        server.run(&args)
    };
    let dry = rollback(&["--dry-run"]).ok();
    assert!(
        dry.contains("a dry run") && dry.contains("v2 (#2)") && dry.contains("v1 (#1)"),
        "{dry}"
    );
    let said = rollback(&[]).failed(2);
    assert!(said.contains("--reason"), "{said}");
    let said = rollback(&["--reason", "slow"]).failed(2);
    assert!(
        said.contains("1 target of api in Staging would go back") && said.contains("--yes"),
        "{said}"
    );
    let said = rollback(&["--reason", "slow", "--yes", "--to", "v7"]).failed(3);
    assert!(said.contains("[version_not_found]"), "{said}");
    let done = rollback(&["--reason", "slow", "--yes", "--to", "#1", "-o", "json"]).json();
    assert_eq!(done["targets"][0]["to"]["number"], 1, "{done}");
    let releases = settles(&server, "v1");
    assert_eq!(releases[0]["kind"], "rollback");

    let listed = server.run(&["releases", "api", "-e", "staging"]).ok();
    assert!(
        listed.contains("rollback of v2 (#2)")
            && listed.contains("slow")
            && listed.contains("↶ rolled back"),
        "{listed}"
    );
    let diff = server
        .run(&[
            "releases",
            "api",
            "-e",
            "staging",
            "-R",
            "staging-1",
            "--diff",
            "2",
        ])
        .ok();
    assert!(
        diff.contains("version.tag") && diff.contains("+ v2"),
        "{diff}"
    );
    let status = server.run(&["status"]).ok();
    assert!(status.contains("(1 held)"), "{status}");

    let again = ["redeploy", "api", "-e", "staging", "--reason", "once more"];
    assert!(server.run(&again).ok().contains("deployed once more"));
    let let_go = ["release-hold", "api", "-e", "staging"];
    assert!(
        server
            .run(&let_go)
            .ok()
            .contains("1 target is to be let go")
    );
    settles(&server, "v2");
    let held = server.run(&let_go);
    assert_eq!(held.code, Some(1), "nothing is left to let go: {held:?}");
    assert!(
        server
            .run(&["quarantine", "list"])
            .ok()
            .contains("nothing is quarantined")
    );
}

#[test]
fn rejecting_says_what_goes_back_and_asks() {
    let (_dir, server) = server();
    let server = server.with_shop();
    let _runner = runner(&server);
    staged(&server, "v1");
    staged(&server, "v2");
    let said = server.run(&["version", "reject", "v2"]).failed(2);
    assert!(
        said.contains("1 target in Staging would be rolled back") && said.contains("--yes"),
        "{said}"
    );
    let done = server
        .run(&[
            "version",
            "reject",
            "v2",
            "--message",
            "loses orders",
            "--yes",
        ])
        .ok();
    assert!(done.contains("rejected; 1 target rolled back"), "{done}");
    let releases = settles(&server, "v1");
    assert_eq!(releases[0]["cause"], "versionRejected", "{releases}");
    let said = server.run(&["version", "reject", "v1"]).failed(2);
    assert!(said.contains("would keep it"), "{said}");
}

#[test]
fn the_glass_is_broken_by_admins_with_a_reason() {
    let (_dir, server) = server();
    let server = server.with_shop();
    server.run(&["version", "create", "--tag", "v1"]).ok();
    let approver = server.user("alice", "approver");
    let force = [
        "deploy",
        "v1",
        "-e",
        "production",
        "--break-glass",
        "--reason",
        "INC-42",
        "--yes",
    ];
    let said = server.run_as(&approver, &force).failed(3);
    assert!(said.contains("[forbidden]"), "{said}");
    server
        .run(&["deploy", "v1", "-e", "production", "--reason", "x"])
        .failed(2);
    server
        .run(&["deploy", "v1", "-e", "production", "--break-glass"])
        .failed(2);
    let done = server.run(&force).ok();
    assert!(done.contains("BREAK-GLASS"), "{done}");
    let promotions = server
        .run(&["promotions", "-e", "production", "-o", "json"])
        .json();
    let id = promotions[0]["id"].as_str().unwrap();
    let story = server.run(&["promotion", "show", id]).ok();
    assert!(
        story.contains("BREAK-GLASS: it went past every gate") && story.contains("INC-42"),
        "{story}"
    );
    assert!(server.run(&["status"]).ok().contains("BREAK-GLASS"));
    let audit = server.run(&["audit", "--limit", "5"]);
    assert!(audit.stdout.contains("BREAK-GLASS"), "{audit:?}");
}

#[test]
fn a_promotion_is_cancelled_and_reopened_by_its_id() {
    let (_dir, server) = server();
    let server = server.with_shop();
    server.run(&["version", "create", "--tag", "v1"]).ok();
    let promotions = server
        .run(&["promotions", "-e", "production", "-o", "json"])
        .json();
    let id = promotions[0]["id"].as_str().unwrap();
    let act = |verb: &str| server.run(&["promotion", verb, id, "--reason", "not now"]);
    assert!(act("pause").ok().contains("paused"));
    assert!(!act("resume").ok().contains("paused"));
    assert!(act("cancel").ok().contains("– cancelled"));
    let said = act("cancel").failed(3);
    assert!(said.contains("[promotion_ended]"), "{said}");
    assert!(act("reopen").ok().contains("attempt 2"));
}

#[test]
fn the_demo_brings_production_back_after_a_failing_check() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = stagegate();
    // How fast it is on a quiet machine is for people to see; here the machine may be busy.
    demo.args(["demo", "--story", "rollback", "--within", "60s", "--data"])
        .arg(dir.path().join("demo"));
    let told = Ran::of(&mut demo).ok();
    for text in [
        "The timeline of v2 in Production:",
        "production-2 is rolled back from v2 to v1: its verification failed",
        "v2 is quarantined",
        "answers with v1 again",
        "All went as it should",
    ] {
        assert!(told.contains(text), "`{text}` in {told}");
    }
    let mut hasty = stagegate();
    hasty
        .args(["demo", "--story", "rollback", "--within", "0s", "--data"])
        .arg(dir.path().join("hasty"));
    let said = Ran::of(&mut hasty);
    assert_ne!(said.code, Some(0), "it took no time at all: {said:?}");
    assert!(said.stderr.contains("took longer"), "{said:?}");
}
