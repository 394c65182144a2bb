//! Users, keys and what they may do.

use crate::harness::server;

#[test]
fn a_key_is_printed_alone_and_only_once() {
    let (_dir, server) = server();
    server
        .run(&[
            "user",
            "create",
            "alice",
            "--email",
            "alice@example.org",
            "--role",
            "approver",
        ])
        .ok();
    let made = server.run(&[
        "key", "create", "laptop", "--user", "alice", "--role", "approver",
    ]);
    assert!(made.stderr.contains("it is not shown again"), "{made:?}");
    let key = made.ok().trim().to_owned();
    assert!(key.starts_with("sgk_") && !key.contains(char::is_whitespace));
    let me = server.run_as(&key, &["whoami"]).ok();
    assert!(me.contains("alice") && me.contains("approver"), "{me}");

    let keys = server.run(&["key", "list", "-o", "json"]);
    assert!(!keys.stdout.contains(&key));
    let keys = keys.json();
    let laptop = keys
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == "laptop")
        .unwrap();
    server
        .run(&["key", "revoke", laptop["id"].as_str().unwrap()])
        .ok();
    let said = server.run_as(&key, &["whoami"]).failed(3);
    assert!(said.contains("[unauthorized]"), "{said}");
    assert!(server.run(&["key", "list"]).ok().contains("revoked"));
    assert!(
        server
            .run(&["user", "list"])
            .ok()
            .contains("alice@example.org")
    );
}

#[test]
fn a_key_may_do_what_its_role_says() {
    let (_dir, server) = server();
    let server = server.with_shop();
    let viewer = server.user("vera", "viewer");
    server.run_as(&viewer, &["status"]).ok();
    let said = server
        .run_as(&viewer, &["version", "create", "--tag", "v1"])
        .failed(3);
    assert!(said.contains("[forbidden]"), "{said}");
    let ci = server.user("robot", "ci");
    server
        .run_as(&ci, &["version", "create", "--tag", "v1"])
        .ok();
}

#[test]
fn workspaces_are_found_by_slug_and_id() {
    let (_dir, server) = server();
    server.run(&["status", "--workspace", "default"]).ok();
    let me = server.run(&["whoami", "-o", "json"]).json();
    let id = me["workspaces"][0]["id"].as_str().unwrap();
    server.run(&["status", "--workspace", id]).ok();
    let said = server.run(&["status", "--workspace", "other"]).failed(3);
    assert!(
        said.contains("[workspace_not_found]") && said.contains("`default`"),
        "{said}"
    );
}
