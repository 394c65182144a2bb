//! What is legal but unwise, from the shell: in files without a server, and in a workspace.

use crate::harness::{Ran, run, server, stagegate};
use std::fs;
use std::path::Path;

const SHOP: &str = r#"type: System
name: Shop
---
type: JobAgent
name: local
agentType: exec
---
type: Environment
name: Staging
resourceSelector: resource.metadata["env"] == "staging"
---
type: Environment
name: Production
resourceSelector: resource.metadata["env"] == "production"
---
type: Deployment
name: API
slug: api
jobAgent: { name: local, config: {} }
---
type: Policy
name: Promotion
selector: environment.name == "Production"
rules:
  - environmentProgression: { waitFor: Staging }
"#;

fn policy(dir: &Path, rule: &str) -> String {
    let path = dir.join("shop.yaml");
    let text = format!(
        "{SHOP}---\ntype: Policy\nname: More\nselector: environment.name == \"Production\"\nrules:\n  - {rule}\n"
    );
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn exit_codes_are_for_pipelines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.yaml");
    fs::write(&path, SHOP).unwrap();
    let file = path.to_str().unwrap();
    assert_eq!(
        run(&["lint", "-f", file, "--deny", "notes"]).ok(),
        "nothing found\n"
    );

    // A warning is shown, and is an error only where it is said so.
    let file = policy(dir.path(), "retry: { maxRetries: 0 }");
    let said = run(&["lint", "-f", &file]).ok();
    let shown = format!(
        "{file}:31:26: warning: Policy More: rules[0].retry.maxRetries: 0 retries are allowed [retry_never]\n"
    );
    assert!(said.starts_with(&shown), "{said}");
    assert!(said.contains("    why:  nothing is tried again"), "{said}");
    assert!(said.contains("    mend: give `maxRetries`"), "{said}");
    assert!(said.contains("    docs/lint/retry_never.md\n"), "{said}");
    assert!(said.ends_with("\n1 warning\n"), "{said}");
    assert_eq!(
        run(&["lint", "-f", &file, "--deny", "warnings"]).code,
        Some(1)
    );
    assert_eq!(run(&["lint", "-f", &file, "--deny", "notes"]).code, Some(1));
    let allowed = [
        "lint",
        "-f",
        &file,
        "--deny",
        "warnings",
        "--allow",
        "retry_never",
    ];
    assert_eq!(run(&allowed).ok(), "nothing found, 1 allowed\n");

    // An error is one without being said so.
    let file = policy(dir.path(), "versionSelector: { selector: \"false\" }");
    let said = run(&["lint", "-f", &file]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.stdout.contains("[unreachable_environment]"),
        "{said:?}"
    );
    assert_eq!(
        run(&["lint", "-f", &file, "--allow", "unreachable_environment"]).code,
        Some(0)
    );

    // A note denies nothing but where it is said so.
    let stage = "approval: { stages: [{ name: QA, approvers: [\"group:qa\"] }] }";
    let file = policy(dir.path(), stage);
    assert!(
        run(&["lint", "-f", &file, "--deny", "warnings"])
            .ok()
            .ends_with("\n1 note\n")
    );
    assert_eq!(run(&["lint", "-f", &file, "--deny", "notes"]).code, Some(1));
}

#[test]
fn what_cannot_be_read_or_applied_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let said = run(&["lint", "-f", "no-such-file.yaml"]).failed(2);
    assert!(said.contains("no-such-file.yaml"), "{said}");
    let file = policy(dir.path(), "retry: { maxRetry: 1 }");
    let said = run(&["lint", "-f", &file]).failed(2);
    assert!(
        said.contains("shop.yaml:31:") && said.contains("maxRetry"),
        "{said}"
    );
    let file = policy(dir.path(), "retry: { maxRetries: 1 }");
    let said = run(&["lint", "-f", &file, "--allow", "retry_nevr"]).failed(2);
    assert!(
        said.contains("retry_nevr") && said.contains("retry_never"),
        "{said}"
    );
    let said = run(&["lint", "-f", &file, "--at", "soon"]).failed(2);
    assert!(said.contains("--at: `soon`"), "{said}");
    run(&["lint", "--at", "2026-01-01T00:00:00Z"]).failed(2);
    run(&["lint", "-f", &file, "--deny", "everything"]).failed(2);
    // Without files a server is asked.
    let mut nobody = stagegate();
    nobody.args([
        "lint",
        "--server",
        "http://127.0.0.1:1",
        "--api-key",
        "sgk_x",
    ]);
    Ran::of(&mut nobody).failed(4);
}

#[test]
fn programs_get_json_and_times_can_be_given() {
    let dir = tempfile::tempdir().unwrap();
    let window = "deploymentWindow: { rrule: \"FREQ=WEEKLY;UNTIL=20260601T000000Z\", durationMinutes: 60, dtstart: \"2026-01-05\" }";
    let file = policy(dir.path(), window);
    let before = [
        "lint",
        "-f",
        &file,
        "--at",
        "2026-01-01T00:00:00Z",
        "--json",
    ];
    let json = run(&before).json();
    assert_eq!(json["findings"], serde_json::json!([]));
    let after = [
        "lint",
        "-f",
        &file,
        "--at",
        "2026-07-01T00:00:00Z",
        "-o",
        "json",
    ];
    let said = run(&after);
    assert_eq!(said.code, Some(1));
    let json: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(json["errors"], 1);
    let finding = &json["findings"][0];
    assert_eq!(finding["code"], "window_never_opens");
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["line"], 31);
    assert_eq!(finding["doc"], "docs/lint/window_never_opens.md");
    assert_eq!(finding["file"], file.as_str());
    assert!(finding.get("id").is_none());
}

#[test]
fn a_workspace_is_looked_at_as_the_server_has_it() {
    let (dir, server) = server();
    let file = policy(dir.path(), "retry: { maxRetries: 0 }");
    server.run(&["apply", "-f", &file]).ok();
    let said = server.run(&["lint"]).ok();
    assert!(
        said.starts_with(
            "warning: Policy More: rules[0].retry.maxRetries: 0 retries are allowed [retry_never]\n"
        ),
        "{said}"
    );
    assert_eq!(server.run(&["lint", "--deny", "warnings"]).code, Some(1));
    let json = server.run(&["lint", "--json"]).json();
    assert_eq!(json["warnings"], 1);
    assert!(json["findings"][0]["id"].is_string() && json["findings"][0].get("line").is_none());
    // Who may approve is known there, by name.
    server.user("rita", "approver");
    let stages = "approval: { expiresAfterHours: 1, stages: [{ name: A, approvers: [user:rita] }, { name: B, approvers: [user:rita] }] }";
    let file = policy(dir.path(), stages);
    server.run(&["apply", "-f", &file]).ok();
    let said = server.run(&["lint"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.stdout.contains("the stage `B` asks for 1 approval"),
        "{said:?}"
    );
}
