//! The things a workspace is made of, one by one.

use crate::world::World;
use serde_json::{Value, json};
use stagegate_model::Role;

async fn admin(world: &World, method: &str, path: &str, body: Value) -> crate::world::Answer {
    let body = (!body.is_null()).then_some(body);
    world.call(Role::Admin, method, path, body).await
}

fn id(accepted: &Value) -> String {
    accepted["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn systems_and_what_belongs_to_them() {
    let world = World::new().await;
    let body = json!({"name": "Web Shop", "metadata": {"team": "a"}});
    let system = id(&admin(&world, "POST", "/systems", body.clone())
        .await
        .expect(202));
    admin(&world, "POST", "/systems", body)
        .await
        .refused(409, "name_taken");
    let read = world.get(&format!("/systems/{system}")).await.expect(200);
    assert_eq!(
        (&read["slug"], &read["metadata"]["team"]),
        (&json!("web-shop"), &json!("a"))
    );

    let environment = json!({"name": "Staging", "resourceSelector": "true"});
    let environment = id(&admin(&world, "POST", "/environments", environment)
        .await
        .expect(202));
    let deployment = json!({"name": "API", "slug": "api", "resourceSelector": "true"});
    let deployment = id(&admin(&world, "POST", "/deployments", deployment)
        .await
        .expect(202));
    for (noun, it) in [("environments", &environment), ("deployments", &deployment)] {
        let link = format!("/systems/{system}/{noun}/{it}");
        world.get(&link).await.refused(404, "not_found");
        admin(&world, "PUT", &link, Value::Null).await.expect(202);
        let linked = world.get(&link).await.expect(200);
        assert_eq!(linked["systemId"], json!(system));
        let read = world.get(&format!("/systems/{system}")).await.expect(200);
        assert_eq!(read[noun][0]["id"], json!(it));
        let read = world.get(&format!("/{noun}/{it}")).await.expect(200);
        assert_eq!(read["systems"][0]["id"], json!(system));
    }
    // A later change of the deployment itself leaves it where it belongs.
    let body = json!({"name": "API", "slug": "api", "description": "d"});
    admin(&world, "PUT", &format!("/deployments/{deployment}"), body)
        .await
        .expect(202);
    let read = world
        .get(&format!("/deployments/{deployment}"))
        .await
        .expect(200);
    assert_eq!(read["systems"][0]["id"], json!(system));
    assert_eq!(read["deployment"]["resourceSelector"], Value::Null);
    let by_name = world.get("/deployments/name/api").await.expect(200);
    assert_eq!(by_name, read);

    let link = format!("/systems/{system}/deployments/{deployment}");
    admin(&world, "DELETE", &link, Value::Null)
        .await
        .expect(202);
    world.get(&link).await.refused(404, "not_found");
    admin(
        &world,
        "DELETE",
        &format!("/deployments/{deployment}"),
        Value::Null,
    )
    .await
    .expect(202);
    world
        .get(&format!("/deployments/{deployment}"))
        .await
        .refused(404, "deployment_not_found");
    let by_name = world.get("/environments/name/staging").await.expect(200);
    assert_eq!(by_name["id"], json!(environment));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_selector_is_refused_with_its_field() {
    let world = World::new().await;
    let body = json!({"name": "Staging", "resourceSelector": "resource.knd == \"x\""});
    let problem = admin(&world, "POST", "/environments", body).await;
    let problem = problem.refused(400, "cel_unknown_field");
    assert_eq!(problem["field"], "resourceSelector");
    assert!(
        problem["hint"].as_str().unwrap().contains("kind"),
        "{problem}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_by_identifier() {
    let world = World::new().await;
    let path = "/resources/identifier/eu-1%2Fcluster";
    let body =
        json!({"name": "eu-1", "kind": "Cluster", "version": "v1", "metadata": {"env": "p"}});
    let first = admin(&world, "PUT", path, body.clone()).await.expect(202);
    let same = admin(&world, "PUT", path, body.clone()).await.expect(202);
    assert_eq!(first["id"], same["id"]);
    let read = world.get(path).await.expect(200);
    assert_eq!(read["identifier"], "eu-1/cluster");
    assert_eq!(
        read["updatedAt"],
        Value::Null,
        "repeating changes nothing: {read}"
    );
    let mut changed = body.clone();
    changed["metadata"]["env"] = json!("q");
    admin(&world, "PUT", path, changed).await.expect(202);
    let read = world.get(path).await.expect(200);
    assert!(read["updatedAt"].is_string(), "{read}");

    let mut with_variables = body;
    with_variables["variables"] = json!({"a": {"valueHash": "x"}});
    let problem = admin(&world, "PUT", path, with_variables.clone()).await;
    assert_eq!(
        problem.refused(400, "invalid_variable")["field"],
        "variables.a"
    );
    with_variables["variables"] = json!({"a": 1, "gone": null});
    admin(&world, "PUT", path, with_variables).await.expect(202);
    let own = world.get(&format!("{path}/variables")).await.expect(200);
    assert_eq!(own["total"], 1);
    assert_eq!(own["items"][0]["key"], "a");

    admin(&world, "DELETE", path, Value::Null).await.expect(202);
    world.get(path).await.refused(404, "resource_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_keep_the_ids_of_their_rules() {
    let world = World::shop().await;
    let body = json!({"name": "Two People", "rules": [{"anyApproval": {"minApprovals": 2}}]});
    let made = admin(&world, "POST", "/policies", body).await.expect(202);
    assert_eq!(made["selector"], "true");
    let path = format!("/policies/{}", made["id"].as_str().unwrap());
    let body = json!({"name": "Two Persons", "replaces": ["staging first"],
        "rules": [{"anyApproval": {"minApprovals": 2}}]});
    let renamed = admin(&world, "PUT", &path, body).await.expect(202);
    assert_eq!(renamed["rules"], made["rules"]);
    assert_eq!(renamed["replaces"], json!(["Staging First"]));

    let unknown = json!({"name": "X", "rules": [{"someday": {}}]});
    let problem = admin(&world, "POST", "/policies", unknown).await;
    let problem = problem.refused(400, "unknown_rule");
    assert!(
        problem["field"].as_str().unwrap().starts_with("rules[0]"),
        "{problem}"
    );
    let unknown = json!({"name": "X", "rules": [], "replaces": ["Nobody"]});
    let problem = admin(&world, "POST", "/policies", unknown).await;
    assert_eq!(
        problem.refused(400, "unknown_policy")["field"],
        "replaces[0]"
    );

    let deleted = admin(&world, "DELETE", &path, Value::Null)
        .await
        .expect(202);
    assert_eq!(deleted["name"], "Two Persons");
    world.get(&path).await.refused(404, "policy_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn job_agents_have_the_callers_id() {
    let world = World::new().await;
    let path = format!("/job-agents/{}", uuid::Uuid::now_v7());
    let body = json!({"name": "a", "type": "exec", "config": {}});
    admin(&world, "PUT", &path, body).await.expect(202);
    assert_eq!(world.get(&path).await.expect(200)["type"], "exec");
    let body = json!({"name": "b", "type": "abacus", "config": null});
    admin(&world, "PUT", &path, body)
        .await
        .refused(400, "unknown_job_agent");
    admin(&world, "DELETE", &path, Value::Null)
        .await
        .expect(202);
    world.get(&path).await.refused(404, "job_agent_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_cut_into_pages() {
    let world = World::new().await;
    for n in 0..5 {
        let body = json!({"name": format!("System {n}")});
        admin(&world, "POST", "/systems", body).await.expect(202);
    }
    let page = world.get("/systems?limit=2&offset=3").await.expect(200);
    assert_eq!(
        (&page["limit"], &page["offset"], &page["total"]),
        (&json!(2), &json!(3), &json!(5))
    );
    assert_eq!(page["items"][0]["name"], "System 3");
    let default = world.get("/systems").await.expect(200);
    assert_eq!(default["limit"], 50);
    world
        .get("/systems?limit=many")
        .await
        .refused(400, "invalid_query");
    let filtered = world
        .get("/resources?cel=resource.kind%20%3D%3D%20%22x%22")
        .await;
    assert_eq!(filtered.refused(400, "invalid_query")["field"], "cel");
}
