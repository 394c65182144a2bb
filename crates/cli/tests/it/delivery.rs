//! Versions on their way: created, voted on, explained, waited for.

use crate::harness::{Server, server, within_patience};
use std::process::{Child, Stdio};

struct Runner(Child);

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A runner for the agent `local`.
fn runner(server: &Server) -> Runner {
    let key = server.user("runner", "agent");
    let data = server.data.with_file_name("runner");
    let mut command = server.command_as(&key, &["agent", "run", "--name", "local", "--data"]);
    Runner(command.arg(data).stdout(Stdio::null()).spawn().unwrap())
}

#[test]
fn a_version_is_created_once_and_found_by_tag() {
    let (dir, server) = server();
    let server = server.with_shop();
    let config = dir.path().join("config.json");
    std::fs::write(&config, r#"{"image": "api:v1"}"#).unwrap();
    let config = format!("@{}", config.display());
    let args = [
        "version",
        "create",
        "--deployment",
        "API",
        "--tag",
        "v1",
        "--metadata",
        "commit=9f2c",
        "--config",
        &config,
        "-o",
        "json",
    ];
    let first = server.run(&args).json();
    assert_eq!(first["config"]["image"], "api:v1");
    assert_eq!(first["metadata"]["commit"], "9f2c");
    assert_eq!(first["status"], "ready");
    assert_eq!(server.run(&args).json()["id"], first["id"]);

    let list = server.run(&["version", "list"]).ok();
    assert!(
        list.contains("v1") && list.contains("commit=9f2c"),
        "{list}"
    );
    let said = server
        .run(&["version", "set-status", "v1", "perfect"])
        .failed(3);
    assert!(said.contains("`perfect`"), "{said}");
    let said = server
        .run(&["version", "create", "--deployment", "apy", "--tag", "v1"])
        .failed(3);
    assert!(said.contains("did you mean `api`?"), "{said}");
    let said = server
        .run(&["version", "create", "--tag", "v2", "--wait=Stagin"])
        .failed(3);
    assert!(said.contains("did you mean `Staging`?"), "{said}");
    assert!(
        !server.run(&["version", "list"]).ok().contains("v2"),
        "the version was created"
    );
    let paused = server
        .run(&["version", "set-status", "v1", "paused", "-o", "json"])
        .json();
    assert_eq!(paused["status"], "paused");
}

#[test]
fn two_people_open_the_gate_and_the_board_shows_it() {
    let (_dir, server) = server();
    let server = server.with_shop();
    let (alice, bob) = (
        server.user("alice", "approver"),
        server.user("bob", "approver"),
    );
    server.run(&["version", "create", "--tag", "v1"]).ok();

    let why = server.run(&["why", "production"]).ok();
    assert!(
        why.contains("anyApproval waits (policy `Four Eyes`)"),
        "{why}"
    );
    assert!(
        why.contains("who can:") && why.contains("opens with:"),
        "{why}"
    );
    let board = server.run(&["status"]).ok();
    assert!(
        board.contains("Production") && board.contains("○ waiting"),
        "{board}"
    );

    // No tag: there is only one that waits.
    let voted = server
        .run_as(&alice, &["approve", "-e", "production", "--reason", "fine"])
        .ok();
    assert!(voted.contains("v1 of api → Production"), "{voted}");
    assert!(voted.contains("approved in Production"), "{voted}");
    let why = server.run(&["why", "production", "-o", "json"]).json();
    assert_eq!(why["gates"][0]["allowed"], false);

    server
        .run_as(&bob, &["reject", "v1", "-e", "Production"])
        .ok();
    server
        .run_as(&bob, &["withdraw", "v1", "-e", "Production"])
        .ok();
    let after = server
        .run_as(&bob, &["approve", "v1", "-e", "Production", "-o", "json"])
        .json();
    assert_eq!(after["vote"], "approved");
    assert_eq!(after["environments"][0]["gates"][0]["allowed"], true);

    let said = server
        .run_as(&bob, &["approve", "-e", "production"])
        .failed(3);
    assert!(
        said.contains("no version of `api` waits for approval in Production"),
        "{said}"
    );
    let promotions = server.run(&["promotions", "--open"]).ok();
    assert!(promotions.contains("Production"), "{promotions}");
}

#[test]
fn votes_without_a_tag_list_what_waits() {
    let (_dir, server) = server();
    let server = server.with_shop();
    let alice = server.user("alice", "approver");
    for tag in ["v1", "v2"] {
        server.run(&["version", "create", "--tag", tag]).ok();
    }
    let said = server
        .run_as(&alice, &["approve", "-e", "production"])
        .failed(2);
    assert!(said.contains("2 wait in Production"), "{said}");
    assert!(said.contains("`v1`") && said.contains("`v2`"), "{said}");
}

#[test]
fn waiting_tells_success_from_failure_and_from_time_running_out() {
    let (_dir, server) = server();
    let server = server.with_shop();
    let _runner = runner(&server);
    let create = |tag: &str, more: &[&str]| {
        let mut args = vec!["version", "create", "--tag", tag];
        args.extend(more);
        server.run(&args)
    };
    let arrived = create("v1", &["--wait=staging", "--timeout", "60s"]);
    assert!(
        arrived.stderr.contains("✓ Staging: succeeded"),
        "{arrived:?}"
    );
    arrived.ok();

    // Production waits for two people that do not come.
    let late = create("v2", &["--wait", "--timeout", "2s", "-o", "json"]);
    assert_eq!(late.code, Some(1), "{late:?}");
    let said: serde_json::Value = serde_json::from_str(&late.stdout).unwrap();
    let arrived = said["arrived"].as_array().unwrap();
    let production = arrived
        .iter()
        .find(|it| it["environment"] == "Production")
        .unwrap();
    assert_eq!(production["status"], "waiting");

    let failing = r#"{"command": "exit 3"}"#;
    let failed = create(
        "v3",
        &[
            "--wait=staging",
            "--timeout",
            "60s",
            "--job-agent-config",
            failing,
        ],
    );
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("✗ Staging: failed"), "{failed:?}");

    let jobs = server
        .run(&["jobs", "--status", "failure", "-o", "json"])
        .json();
    let job = jobs[0]["job"]["id"].as_str().unwrap();
    let shown = server.run(&["jobs", "show", job]).ok();
    assert!(
        shown.contains("✗ failure") && shown.contains("v3"),
        "{shown}"
    );
    let said = server.run(&["jobs", "cancel", job]).failed(3);
    assert!(said.contains("[job_ended]"), "{said}");

    let promotions = server
        .run(&[
            "promotions",
            "--version",
            "v1",
            "-e",
            "staging",
            "-o",
            "json",
        ])
        .json();
    let id = promotions[0]["id"].as_str().unwrap();
    let story = server.run(&["promotion", "show", id]).ok();
    assert!(
        story.contains("✓ succeeded") && story.contains("TIMELINE"),
        "{story}"
    );
}

#[test]
fn a_job_nobody_took_can_be_cancelled() {
    let (_dir, server) = server();
    let server = server.with_shop();
    server.run(&["version", "create", "--tag", "v1"]).ok();
    let job = within_patience(|| {
        let jobs = server.run(&["jobs", "-e", "staging", "-o", "json"]).json();
        jobs[0]["job"]["id"].as_str().map(str::to_owned)
    });
    assert!(server.run(&["jobs"]).ok().contains("○ pending"));
    server
        .run(&["jobs", "cancel", &job, "--reason", "not now"])
        .ok();
    let shown = server.run(&["jobs", "show", &job]).ok();
    assert!(
        shown.contains("– cancelled") && shown.contains("not now"),
        "{shown}"
    );
    assert!(
        server
            .run(&["jobs", "--status", "pending", "-e", "staging"])
            .ok()
            .contains("no jobs")
    );
}

#[test]
fn a_version_that_runs_is_not_rejected_by_accident() {
    let (_dir, server) = server();
    let server = server.with_shop();
    let _runner = runner(&server);
    server
        .run(&[
            "version",
            "create",
            "--tag",
            "v1",
            "--wait=staging",
            "--timeout",
            "60s",
        ])
        .ok();
    let said = server
        .run(&["version", "set-status", "v1", "rejected"])
        .failed(2);
    assert!(
        said.contains("1 target in Staging") && said.contains("--yes"),
        "{said}"
    );
    server
        .run(&["version", "set-status", "v1", "rejected", "--yes"])
        .ok();
}
