//! Every route × every role, and every way of having no right at all.

use crate::world::{World, person};
use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use stagegate_model::{Command, Role, WorkspaceId};
use stagegate_server::route_table;
use uuid::Uuid;

/// The routes and the roles they need, as reviewed. A change here is a change of who may do what.
const REVIEWED: &str = include_str!("routes.txt");

#[test]
fn the_table_of_routes_is_the_reviewed_one() {
    let table: String = route_table()
        .map(|(method, path, role)| format!("{role:<8} {method:<6} {path}\n"))
        .collect();
    assert!(table == REVIEWED, "tests/it/routes.txt should be:\n{table}");
}

/// A path with a workspace and made-up ids.
fn concrete(path: &str, workspace: WorkspaceId) -> String {
    let nothing = Uuid::from_u128(1);
    let segments: Vec<String> = path
        .split('/')
        .map(|segment| match segment {
            "{workspaceId}" => workspace.to_string(),
            "{releaseTargetKey}" => format!("{nothing}-{nothing}-{nothing}"),
            "{workspaceSlug}" | "{name}" | "{identifier}" => "nothing".to_owned(),
            id if id.starts_with('{') => nothing.to_string(),
            word => word.to_owned(),
        })
        .collect();
    format!("/api/v1{}", segments.join("/"))
}

fn request(method: &str, path: String, key: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header("X-API-Key", key);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_wants_a_key_of_its_role_in_its_workspace() {
    let world = World::new().await;
    let other = WorkspaceId(Uuid::now_v7());
    world
        .controller
        .create_workspace(other, "Other", "other")
        .await
        .unwrap();
    let stranger = person(&world.controller, other, "stranger", Role::Admin).await;
    let unknown = WorkspaceId(Uuid::now_v7());
    for (method, path, needed) in route_table() {
        let own = concrete(path, world.workspace);
        let route = format!("{method} {path}");

        let answer = world.send(request(&method, own.clone(), None)).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{route}");
        answer.refused(401, "unauthorized");
        let wrong = request(&method, own.clone(), Some("sgk_0123"));
        world.send(wrong).await.refused(401, "unauthorized");

        for &role in Role::ALL {
            // A stream does not end by itself; that it is let through is tested where it is read.
            if path.ends_with("/events") {
                continue;
            }
            let key = &world.key(role).secret;
            let answer = world.send(request(&method, own.clone(), Some(key))).await;
            let status = answer.status.as_u16();
            if role.allows(needed) {
                assert!(
                    status != 401 && status != 403,
                    "{role} {route}: {}",
                    answer.text
                );
            } else {
                answer.refused(403, "forbidden");
            }
        }

        if path.contains("{workspaceId}") {
            // A workspace of others is answered exactly like one that is not there.
            let told = async |workspace: WorkspaceId, key: &str| {
                let path = concrete(path, workspace);
                let answer = world.send(request(&method, path, Some(key))).await;
                let problem = answer.refused(404, "workspace_not_found");
                problem.to_string().replace(&workspace.to_string(), "W")
            };
            let (of_others, of_none) = (
                told(world.workspace, &stranger.secret).await,
                told(unknown, &stranger.secret).await,
            );
            assert_eq!(of_others, of_none, "{route}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_at_once() {
    let world = World::new().await;
    let key = world.key(Role::Ci).clone();
    let me = || request("GET", "/api/v1/me".to_owned(), Some(&key.secret));
    let answer = world.send(me()).await.expect(200);
    assert_eq!(answer["role"], "ci");
    assert_eq!(answer["userName"], "ci");
    assert_eq!(answer["workspaces"][0]["slug"], "acme");
    // Revoked behind the server's back: what it remembers of the key must not matter.
    world
        .controller
        .submit(
            world.workspace,
            stagegate_model::Actor::System,
            Command::RevokeKey { id: key.id },
            Vec::new(),
        )
        .await
        .unwrap();
    world.send(me()).await.refused(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_come_as_a_bearer_token() {
    let world = World::new().await;
    let ask = |value: String| {
        let request = Request::get("/api/v1/workspaces").header("authorization", value);
        request.body(Body::empty()).unwrap()
    };
    let secret = &world.key(Role::Viewer).secret;
    let list = world
        .send(ask(format!("Bearer {secret}")))
        .await
        .expect(200);
    assert_eq!(list["total"], 1);
    let basic = world.send(ask(format!("Basic {secret}"))).await;
    basic.refused(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_problem_too() {
    let world = World::new().await;
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    world.send(get("/nothing")).await.refused(404, "not_found");
    world
        .send(get("/api/v1/nothing"))
        .await
        .refused(404, "not_found");
    let patch = Request::patch("/api/v1/me").body(Body::empty()).unwrap();
    world.send(patch).await.refused(405, "method_not_allowed");
    let delete = Request::delete("/healthz").body(Body::empty()).unwrap();
    world.send(delete).await.refused(405, "method_not_allowed");
    let unreadable = world.path("/jobs/%FF");
    let key = &world.key(Role::Viewer).secret;
    let answer = world.send(request("GET", unreadable, Some(key))).await;
    answer.refused(400, "invalid_id");
    world.get("/jobs/7").await.refused(400, "invalid_id");
    let nothing = Uuid::from_u128(1);
    for (path, code) in [
        ("systems", "system_not_found"),
        ("environments", "environment_not_found"),
        ("deployments", "deployment_not_found"),
        ("policies", "policy_not_found"),
        ("job-agents", "job_agent_not_found"),
        ("notifiers", "notifier_not_found"),
        ("jobs", "job_not_found"),
        ("releases", "release_not_found"),
        ("promotions", "promotion_not_found"),
        ("verifications", "verification_not_found"),
    ] {
        world
            .get(&format!("/{path}/{nothing}"))
            .await
            .refused(404, code);
    }
    world
        .get("/resources/identifier/x")
        .await
        .refused(404, "resource_not_found");
    let key = format!("{nothing}-{nothing}-{nothing}");
    for path in ["state", "jobs"] {
        let path = format!("/release-targets/{key}/{path}");
        world
            .get(&path)
            .await
            .refused(404, "release_target_not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_error_pages_need_no_key() {
    let world = World::new().await;
    let get = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        world.send(request).await
    };
    assert_eq!(get("/healthz").await.status, 200);
    assert_eq!(get("/readyz").await.status, 200);
    let page = get("/docs/errors/version_exists").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("How to mend it"), "{}", page.text);
    assert_eq!(get("/docs/errors/..%2Ferrors").await.status, 404);
    for asset in ["style.css", "live.js"] {
        let answer = get(&format!("/assets/{asset}")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let refused = get("/api/v1/me").await.refused(401, "unauthorized");
    let page = get(refused["type"].as_str().unwrap()).await;
    assert_eq!(page.status, 200);
    assert_eq!(json!("unauthorized"), refused["code"]);
}
