//! What would have been, and what a change would do now.

use crate::world::{SHOP, World};
use serde_json::{Value, json};
use stagegate_model::Role;

/// v1 is in both stages, with a vote for production; v2 is in staging.
async fn history() -> World {
    let world = World::shop().await;
    let v1 = world.version("v1").await;
    world.deploy().await;
    let id = v1["id"].as_str().unwrap();
    world.vote(id, "Production", "approved").await.expect(202);
    world.deploy().await;
    world.version("v2").await;
    world.deploy().await;
    world
}

async fn simulate(world: &World, body: Value) -> crate::world::Answer {
    world
        .call(Role::Viewer, "POST", "/simulate", Some(body))
        .await
}

fn files(text: &str) -> Value {
    json!({"files": [{"name": "shop.yaml", "text": text}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policies_as_they_are_make_no_difference_and_others_do() {
    let world = history().await;
    for body in [json!({}), files(SHOP)] {
        let told = simulate(&world, body).await.expect(200);
        assert_eq!(told["differences"], json!([]), "{told}");
        assert_eq!(told["assumptions"]["entriesUnlike"], 0, "{told}");
        assert_eq!(
            (&told["promotions"], &told["unchanged"]),
            (&json!(4), &json!(4))
        );
    }
    let strict = SHOP.replace("minApprovals: 1", "minApprovals: 2");
    let told = simulate(&world, files(&strict)).await.expect(200);
    assert_eq!(told["policies"], json!(["Staging First"]));
    assert_eq!(told["stopped"], 1, "{told}");
    let stopped = &told["differences"][0];
    assert_eq!(
        (&stopped["version"], &stopped["environment"]),
        (&json!("v1"), &json!("Production"))
    );
    assert!(
        stopped["heldBy"]
            .as_str()
            .unwrap()
            .starts_with("Staging First: anyApproval: "),
        "{told}"
    );
    assert_eq!(stopped["recorded"]["status"], "succeeded");
    // Without it, both go straight there.
    let without = json!({"without": ["Staging First"]});
    let told = simulate(&world, without).await.expect(200);
    assert_eq!(
        (&told["earlier"], &told["letThrough"]),
        (&json!(1), &json!(1)),
        "{told}"
    );
    // Nothing was changed.
    let policies = world.get("/policies").await.expect(200);
    assert_eq!(policies["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_simulated_is_refused_with_its_name() {
    let world = history().await;
    let other = SHOP.replace("name: API", "name: API\ndescription: another");
    let problem = simulate(&world, files(&other))
        .await
        .refused(409, "not_a_policy");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("Deployment `API` (shop.yaml:"), "{problem}");
    simulate(&world, json!({"without": ["Nobody"]}))
        .await
        .refused(404, "policy_not_found");
    simulate(&world, json!({"since": "2999-01-01T00:00:00Z"}))
        .await
        .refused(400, "invalid_time");
    let broken = SHOP.replace("environment.name ==", "environment.nmae ==");
    simulate(&world, files(&broken))
        .await
        .refused(400, "cel_unknown_field");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_would_start_and_which_gates_turn() {
    let world = history().await;
    let lax = SHOP.replace("minApprovals: 1", "minApprovals: 0");
    let lax = lax.replace("  - anyApproval: { minApprovals: 0 }\n", "");
    let told = world
        .call(Role::Admin, "POST", "/apply?dryRun=true", Some(files(&lax)))
        .await
        .expect(200);
    let effects = &told["effects"];
    assert_eq!(
        effects["jobs"][0]["resources"],
        json!(["production-1"]),
        "{told}"
    );
    assert_eq!(effects["jobs"][0]["version"], "v2");
    let gate = &effects["gates"][0];
    assert_eq!(
        (&gate["rule"], &gate["from"], &gate["to"]),
        (&json!("anyApproval"), &json!("shut"), &json!("none")),
        "{told}"
    );
    // What would change nothing tells of nothing, and nothing was done.
    let same = world
        .call(Role::Admin, "POST", "/apply?dryRun=true", Some(files(SHOP)))
        .await
        .expect(200);
    assert!(same.get("effects").is_none(), "{same}");
}
