//! What needs something else on its resource, through the real store and HTTP: each test fails if it were kept and not
//! enforced.

use crate::departures::tag;
use crate::world::{Answer, World};
use serde_json::{Value, json};
use stagegate_model::Role;

/// A database on `host-1` alone, an API on `host-1` and `host-2`, and what else is said.
async fn stack(more: &str) -> World {
    let host = |n: u32, database: &str| {
        format!(
            "---\ntype: Resource\nname: host-{n}\nidentifier: host-{n}\nkind: Host\nversion: test/v1\n\
             metadata: {{ database: \"{database}\" }}\n"
        )
    };
    let deployment = |name: &str, slug: &str, selector: &str| {
        format!(
            "---\ntype: Deployment\nname: {name}\nslug: {slug}\nresourceSelector: '{selector}'\n\
             jobAgent: {{ name: local, config: {{ steps: [{{ run: \"echo {{{{ version.tag }}}}\" }}] }} }}\n"
        )
    };
    let world = World::new().await;
    let text = format!(
        "type: System\nname: Shop\n---\ntype: JobAgent\nname: local\nagentType: exec\n---\n\
         type: Environment\nname: Production\nresourceSelector: \"true\"\n{}{}{}{}{more}",
        deployment(
            "Database",
            "database",
            "resource.metadata[\"database\"] == \"yes\""
        ),
        deployment("API", "api", "true"),
        host(1, "yes"),
        host(2, "no"),
    );
    world.apply(&text).await.expect(200);
    world
}

const DATABASE_FIRST: &str = "---\ntype: Policy\nname: Database First\nselectors: [{ deployment: deployment.slug == \"api\" }]\n\
    rules:\n  - deploymentDependency: { dependsOn: 'deployment.slug == \"database\" && version.tag == \"d2\"' }\n";

async fn announce(world: &World, deployment: &str, body: Value) -> Answer {
    let id = world.id_of("/deployments", deployment).await;
    let path = format!("/deployments/{id}/versions");
    world.call(Role::Ci, "POST", &path, Some(body)).await
}

async fn version(world: &World, deployment: &str, tag: &str) -> Value {
    let body = json!({"tag": tag, "name": tag, "status": "ready"});
    announce(world, deployment, body).await.expect(200)
}

async fn waiting(world: &World) -> Vec<String> {
    let pending = world.pending().await;
    pending.iter().map(|job| tag(job).to_owned()).collect()
}

async fn why(world: &World, tag: &str) -> Value {
    let path = format!("/why?deployment=api&environment=Production&version={tag}");
    world.get(&path).await.expect(200)
}

fn target<'w>(why: &'w Value, resource: &str) -> &'w Value {
    let targets = why["targets"].as_array().unwrap();
    targets
        .iter()
        .find(|it| it["resource"] == resource)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_waits_for_what_another_deployment_runs_on_its_resource() {
    let world = stack(DATABASE_FIRST).await;
    version(&world, "API", "a1").await;
    version(&world, "Database", "d1").await;
    assert_eq!(waiting(&world).await, ["d1"]);
    world.deploy().await;
    assert_eq!(waiting(&world).await, [""; 0], "d1 is not what is needed");

    let told = why(&world, "a1").await;
    let here = target(&told, "host-1");
    assert_eq!(here["gates"][0]["kind"], "deploymentDependency");
    assert_eq!(here["gates"][0]["code"], "deployment_dependency_pending");
    let there = &here["gates"][0]["details"]["there"][0];
    assert_eq!(
        (&there["deployment"], &there["version"]),
        (&json!("database"), &json!("d1"))
    );
    let reason = here["reason"].as_str().unwrap();
    assert!(
        reason.contains("there is database d1 (Production)"),
        "{reason}"
    );
    let reason = target(&told, "host-2")["reason"].as_str().unwrap();
    assert!(
        reason.contains("no other deployment has a target on host-2"),
        "{reason}"
    );

    version(&world, "Database", "d2").await;
    world.deploy().await;
    assert_eq!(waiting(&world).await, ["a1"]);
    let job = world.deploy().await;
    assert_eq!(job["dispatchContext"]["resource"]["name"], "host-1");
    assert_eq!(waiting(&world).await, [""; 0], "host-2 has no database");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_waits_for_the_versions_that_it_needs() {
    let world = stack("").await;
    let database = world.id_of("/deployments", "Database").await;
    let body = json!({"tag": "a1", "name": "a1", "status": "ready",
        "dependencies": {&database: {"versionSelector": "version.tag == \"d2\""}}});
    let a1 = announce(&world, "API", body).await.expect(200);
    version(&world, "Database", "d1").await;
    world.deploy().await;
    assert_eq!(waiting(&world).await, [""; 0]);

    let edges = format!(
        "/deployment-versions/{}/dependencies",
        a1["id"].as_str().unwrap()
    );
    let listed = world.get(&edges).await.expect(200);
    let edge = json!([{"deploymentVersionId": a1["id"], "dependencyDeploymentId": database,
        "versionSelector": "version.tag == \"d2\""}]);
    assert_eq!(listed, edge);
    let api = world.id_of("/deployments", "API").await;
    let page = world
        .get(&format!("/deployments/{api}/versions"))
        .await
        .expect(200);
    assert_eq!(
        page["items"][0]["dependencies"][&database]["versionSelector"],
        "version.tag == \"d2\""
    );
    let told = why(&world, "a1").await;
    assert_eq!(
        target(&told, "host-1")["gates"][0]["kind"],
        "versionDependency"
    );

    // Another selector, and the version goes where it holds.
    let one = format!("{edges}/{database}");
    let broken = json!({"versionSelector": "version.tag ="});
    let problem = world.call(Role::Ci, "PUT", &one, Some(broken)).await;
    assert_eq!(problem.status, 400, "{}", problem.text);
    let body = json!({"versionSelector": "version.tag == \"d1\""});
    let answer = world.call(Role::Ci, "PUT", &one, Some(body.clone())).await;
    assert_eq!(answer.expect(202)["id"], a1["id"]);
    assert_eq!(waiting(&world).await, ["a1"]);

    // It has had a job: what it needs is fixed.
    let other = json!({"versionSelector": "true"});
    let problem = world.call(Role::Ci, "PUT", &one, Some(other)).await;
    problem.refused(409, "version_frozen");
    let problem = world.call(Role::Ci, "DELETE", &one, None).await;
    problem.refused(409, "version_frozen");
    let same = world.call(Role::Ci, "PUT", &one, Some(body)).await;
    same.expect(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_that_is_taken_out_holds_no_more() {
    let world = stack("").await;
    let database = world.id_of("/deployments", "Database").await;
    let a1 = version(&world, "API", "a1").await;
    world.settle().await;
    let body = json!({"tag": "a2", "name": "a2", "status": "ready",
        "dependencies": {&database: {"versionSelector": "true"}}});
    let a2 = announce(&world, "API", body).await.expect(200);
    assert_eq!(waiting(&world).await, [""; 0]);
    let edge = |version: &Value| {
        let version = version["id"].as_str().unwrap();
        format!("/deployment-versions/{version}/dependencies/{database}")
    };
    let problem = world.call(Role::Ci, "DELETE", &edge(&a1), None).await;
    problem.refused(404, "dependency_not_found");
    let answer = world.call(Role::Ci, "DELETE", &edge(&a2), None).await;
    answer.expect(202);
    assert_eq!(waiting(&world).await, ["a2", "a2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_with_impossible_dependencies_is_refused_whole() {
    let world = stack("").await;
    let database = world.id_of("/deployments", "Database").await;
    let api = world.id_of("/deployments", "API").await;
    let nowhere = "00000000-0000-0000-0000-000000000001";
    let needing = |tag: &str, needed: &[&str]| {
        let needed = needed.iter().map(|id| {
            let dependency = json!({"versionSelector": "true"});
            ((*id).to_owned(), dependency)
        });
        let needed: serde_json::Map<String, Value> = needed.collect();
        json!({"tag": tag, "name": tag, "status": "ready", "dependencies": needed})
    };
    let unknown = announce(&world, "API", needing("a1", &[&database, nowhere])).await;
    let problem = unknown.refused(404, "deployment_not_found");
    assert!(problem["detail"].as_str().unwrap().contains(nowhere));
    let own = announce(&world, "API", needing("a1", &[&api])).await;
    own.refused(400, "dependency_cycle");
    announce(&world, "API", needing("a1", &[&database]))
        .await
        .expect(200);
    let back = announce(&world, "Database", needing("d1", &[&api])).await;
    let problem = back.refused(400, "dependency_cycle");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("database d1 → api a1 → database"),
        "{detail}"
    );
    let page = world
        .get(&format!("/deployments/{database}/versions"))
        .await
        .expect(200);
    assert_eq!(page["items"], json!([]));
}
