//! Groups, stages, the inbox, rules set aside, freezes and windows, from the shell.

use crate::harness::server;

const STAGES: &str = r#"type: Policy
name: Two Stages
selector: environment.name == "Staging"
rules:
  - approval:
      stages:
        - { name: QA, approvers: [group:qa] }
        - { name: Release, approvers: [user:rita] }
---
type: Policy
name: Evenings
selector: environment.name == "Production"
rules:
  - deploymentWindow: { rrule: FREQ=DAILY;BYHOUR=20, durationMinutes: 60, timezone: Europe/Berlin }
"#;

#[test]
fn a_version_goes_through_its_stages() {
    let (_dir, server) = server();
    let server = server.with_shop();
    let (quinn, rita) = (
        server.user("quinn", "approver"),
        server.user("rita", "approver"),
    );
    server.run(&["group", "create", "qa"]).ok();
    let said = server.run(&["group", "add", "qa", "quin"]).failed(3);
    assert!(said.contains("did you mean `quinn`"), "{said}");
    let said = server.run(&["group", "add", "qa", "quinn", "rita"]).ok();
    assert_eq!(said, "group qa: quinn, rita\n");
    let said = server.run(&["group", "remove", "qa", "rita"]).ok();
    assert_eq!(said, "group qa: quinn\n");
    server.run_with_input(&["apply", "-f", "-"], STAGES).ok();
    let said = server.run_with_input(&["diff", "-f", "-"], STAGES).ok();
    assert!(!said.contains("user:"), "{said}");
    let said = server.run(&["group", "delete", "qa"]).failed(3);
    assert!(
        said.contains("[group_in_use]") && said.contains("`Two Stages`"),
        "{said}"
    );
    let wrong = STAGES.replace("user:rita", "user:ritta");
    let said = server
        .run_with_input(&["apply", "-f", "-"], &wrong)
        .failed(3);
    assert!(
        said.contains("did you mean `rita`") && said.contains(":8:"),
        "{said}"
    );

    server.run(&["version", "create", "--tag", "v1"]).ok();
    let waits = server.run_as(&quinn, &["inbox"]).ok();
    assert!(
        waits.contains("api v1 → Staging: 1 approval missing in the stage QA"),
        "{waits}"
    );
    let waits = server.run_as(&rita, &["inbox"]).ok();
    // Production asks anyone; Rita's stage in staging is not open.
    assert!(!waits.contains("→ Staging"), "{waits}");
    let early = ["approve", "v1", "--environment", "Staging"];
    let said = server.run_as(&rita, &early).failed(3);
    assert!(said.contains("[stage_not_open]"), "{said}");
    let said = server.run_as(&quinn, &early).ok();
    assert!(said.contains("QA: 1 of 1 (quinn)"), "{said}");
    assert!(
        said.contains("Release: 0 of 1") && said.contains("of user:rita"),
        "{said}"
    );
    let inbox = server.run_as(&rita, &["inbox", "-o", "json"]).json();
    let staging = inbox["approvals"].as_array().unwrap().iter();
    let mut staging = staging.filter(|it| it["environment"]["name"] == "Staging");
    let asked = staging.next().unwrap();
    assert_eq!(
        (&asked["stage"], &asked["votes"][0]["userName"]),
        (&"Release".into(), &"quinn".into())
    );
    let why = server.run(&["why", "Staging"]).ok();
    assert!(why.contains("who can: user:rita"), "{why}");
    server.run_as(&rita, &early).ok();
    let jobs = server.run(&["jobs", "-o", "json"]).json();
    assert_eq!(jobs.as_array().unwrap().len(), 1, "{jobs}");
}

#[test]
fn rules_are_set_aside_and_freezes_come_and_go() {
    let (_dir, server) = server();
    let server = server.with_shop();
    server.run(&["version", "create", "--tag", "v1"]).ok();
    let jobs = || {
        let jobs = server.run(&["jobs", "-o", "json"]).json();
        jobs.as_array().unwrap().len()
    };
    assert_eq!(jobs(), 1);
    let skip = [
        "skip",
        "create",
        "--reason",
        "incident 42",
        "--version",
        "v1",
    ];
    let with = |more: &[&str]| {
        let args: Vec<&str> = skip.iter().chain(more).copied().collect();
        server.run(&args)
    };
    assert!(with(&[]).failed(2).contains("which rule"));
    let said = with(&["--policy", "four eyes", "--kind", "retry"]).failed(3);
    assert!(said.contains("it has: anyApproval"), "{said}");
    let said = with(&["--policy", "four eyes", "--expires", "soon"]).failed(2);
    assert!(said.contains("--expires: `soon` is no time"), "{said}");
    let wanted = [
        "--policy",
        "four eyes",
        "--environment",
        "production",
        "--expires",
        "2h",
    ];
    let said = with(&wanted).ok();
    assert!(
        said.starts_with("anyApproval of Four Eyes is set aside for v1 in Production until"),
        "{said}"
    );
    assert_eq!(jobs(), 2);
    let viewer = server.user("vera", "viewer");
    let listed = server
        .run_as(&viewer, &["skip", "list", "-o", "json"])
        .json();
    let id = listed[0]["id"].as_str().unwrap();
    let said = server.run_as(&viewer, &["skip", "delete", id]).failed(3);
    assert!(said.contains("[forbidden]"), "{said}");
    assert!(server.run(&["skip", "list"]).ok().contains("incident 42"));
    let said = server.run(&["skip", "delete", id, "--reason", "over"]).ok();
    assert_eq!(said, "anyApproval of Four Eyes counts again\n");
    server.run(&["skip", "delete", id]).failed(3);

    let selector = "environment.name == 'Staging'";
    let create = [
        "freeze",
        "create",
        "Incident",
        "--selector",
        selector,
        "--for",
        "2h",
        "--no-rollback",
    ];
    let said = server
        .run(&[&create[..], &["--reason", "incident 43"]].concat())
        .ok();
    assert!(
        said.starts_with("freeze Incident is in force until"),
        "{said}"
    );
    assert!(
        said.contains("it takes: Staging\n") && said.contains("held too"),
        "{said}"
    );
    server.run(&["version", "create", "--tag", "v2"]).ok();
    assert_eq!(jobs(), 2);
    let why = server.run(&["why", "staging"]).ok();
    assert!(why.contains("incident 43"), "{why}");
    assert!(server.run(&["freeze", "list"]).ok().contains("in force"));
    server.run(&["freeze", "end", "incident"]).ok();
    assert_eq!(
        server.run(&["freeze", "list", "-o", "json"]).json(),
        serde_json::json!([])
    );
    let audit = server.run(&["audit"]).ok();
    for said in [
        "anyApproval of Four Eyes was set aside for v1 in Production",
        "freeze Incident was set from",
        "was ended",
    ] {
        assert!(audit.contains(said), "{said}: {audit}");
    }
}

#[test]
fn the_calendar_shows_the_next_windows() {
    let (_dir, server) = server();
    let server = server.with_shop();
    server.user("rita", "approver");
    server.run(&["group", "create", "qa"]).ok();
    server.run_with_input(&["apply", "-f", "-"], STAGES).ok();
    let said = server
        .run(&["windows", "--environment", "production", "--next", "3d"])
        .ok();
    assert!(
        said.contains("Evenings") && said.contains("Europe/Berlin"),
        "{said}"
    );
    assert!(said.contains(" 20:00  to 21:00"), "{said}");
    let json = server
        .run(&["windows", "--next", "3d", "-o", "json"])
        .json();
    let spans = json["windows"][0]["spans"].as_array().unwrap().len();
    assert!((3..=4).contains(&spans), "{json}");
    let said = server.run(&["windows", "--environment", "staging"]).ok();
    assert_eq!(said, "no window holds deployments here\n");
    let said = server.run(&["windows", "--next", "soon"]).failed(2);
    assert!(said.contains("--next"), "{said}");
}
