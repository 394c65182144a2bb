//! Users and keys.

use crate::world::World;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use stagegate_model::Role;

async fn admin(world: &World, method: &str, path: &str, body: Value) -> crate::world::Answer {
    let body = (!body.is_null()).then_some(body);
    world.call(Role::Admin, method, path, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_works_from_its_creation_to_its_revocation() {
    let world = World::new().await;
    let body = json!({"name": "grace", "email": "grace@example.com", "role": "approver"});
    let user = admin(&world, "POST", "/users", body.clone())
        .await
        .expect(201);
    admin(&world, "POST", "/users", body)
        .await
        .refused(409, "name_taken");
    let users = world.get("/users").await.expect(200);
    assert_eq!(users["total"], 6);

    let body = json!({"name": "laptop", "role": "approver", "user": "grace"});
    let made = admin(&world, "POST", "/keys", body).await.expect(201);
    assert_eq!(
        (&made["userId"], &made["userName"]),
        (&user["id"], &json!("grace"))
    );
    let secret = made["key"].as_str().unwrap();
    let me = || {
        let request = Request::get("/api/v1/me").header("X-API-Key", secret);
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(world.send(me()).await.expect(200)["userName"], "grace");

    let keys = admin(&world, "GET", "/keys", Value::Null).await;
    assert!(!keys.text.contains(secret));
    let path = format!("/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(
        admin(&world, "DELETE", &path, Value::Null).await.status,
        204
    );
    world.send(me()).await.refused(401, "unauthorized");
    assert_eq!(
        admin(&world, "DELETE", &path, Value::Null).await.status,
        204
    );
    let keys = admin(&world, "GET", "/keys", Value::Null).await.expect(200);
    let keys = keys["items"].as_array().unwrap();
    let revoked = keys.iter().find(|it| it["id"] == made["id"]).unwrap();
    assert!(revoked["revokedAt"].is_string(), "{revoked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_do_not_make_more_of_their_owner() {
    let world = World::new().await;
    let body = json!({"name": "k", "role": "admin", "userId": world.key(Role::Ci).user});
    let problem = admin(&world, "POST", "/keys", body).await;
    assert_eq!(problem.refused(400, "invalid_value")["field"], "role");
    let body = json!({"name": "k", "role": "king"});
    admin(&world, "POST", "/keys", body)
        .await
        .refused(400, "invalid_value");
    let body = json!({"name": "k", "role": "ci", "user": "nobody"});
    admin(&world, "POST", "/keys", body)
        .await
        .refused(404, "user_not_found");
    let body = json!({"name": " ", "role": "ci"});
    admin(&world, "POST", "/keys", body)
        .await
        .refused(400, "invalid_name");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_admin_stays() {
    let world = World::new().await;
    let own = format!("/keys/{}", world.key(Role::Admin).id);
    admin(&world, "DELETE", &own, Value::Null)
        .await
        .refused(409, "in_use");
    let body = json!({"name": "second", "role": "admin"});
    admin(&world, "POST", "/keys", body).await.expect(201);
    assert_eq!(admin(&world, "DELETE", &own, Value::Null).await.status, 204);
    let unknown = format!("/keys/{}", uuid::Uuid::from_u128(1));
    world
        .call(Role::Admin, "DELETE", &unknown, None)
        .await
        .refused(401, "unauthorized");
}
