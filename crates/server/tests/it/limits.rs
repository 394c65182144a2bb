//! Bodies that are too large, broken, misspelt or of the wrong kind.

use crate::world::World;
use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use stagegate_model::Role;

fn post(world: &World, path: &str, media_type: &str, body: String) -> Request<Body> {
    Request::post(world.path(path))
        .header("X-API-Key", &world.key(Role::Admin).secret)
        .header("content-type", media_type)
        .body(Body::from(body))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_have_a_limit_and_documents_a_larger_one() {
    let world = World::new().await;
    let body = |bytes| json!({"name": "x".repeat(bytes)}).to_string();
    let request = post(&world, "/systems", "application/json", body(3 << 20));
    world.send(request).await.refused(413, "payload_too_large");
    let text = format!("# {}\ntype: System\nname: Shop\n", "x".repeat(3 << 20));
    world.apply(&text).await.expect(200);
    let text = "# x\n".repeat(2 << 20);
    world.apply(&text).await.refused(413, "payload_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_bodies_are_told_where() {
    let world = World::new().await;
    let json = "application/json";
    let broken = post(&world, "/systems", json, "{\n \"name\" \"x\"}".to_owned());
    let problem = world.send(broken).await.refused(400, "invalid_body");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("line 2, column 9"),
        "{problem}"
    );
    let misspelt = post(
        &world,
        "/systems",
        json,
        r#"{"name": "x", "slgu": "x"}"#.to_owned(),
    );
    let problem = world.send(misspelt).await.refused(400, "unknown_field");
    assert_eq!(problem["field"], "slgu");
    let missing = post(&world, "/systems", json, "{}".to_owned());
    world.send(missing).await.refused(400, "missing_field");
    let empty = post(&world, "/systems", json, String::new());
    world.send(empty).await.refused(400, "invalid_body");
    let form = post(
        &world,
        "/systems",
        "application/x-www-form-urlencoded",
        "name=x".to_owned(),
    );
    world
        .send(form)
        .await
        .refused(415, "unsupported_media_type");
}
