//! Why a version is where it is, in all environments and on one target; and why a job was started, afterwards.

use crate::world::{SHOP, World};
use serde_json::{Value, json};
use stagegate_model::Role;

async fn chain(world: &World) -> Value {
    world.get("/why/chain?deployment=api").await.expect(200)
}

fn id_of(it: &Value) -> String {
    it["id"].as_str().unwrap().to_owned()
}

/// The version in staging and production, each job with its id.
async fn through(world: &World, tag: &str) -> (Value, Value) {
    let version = world.version(tag).await;
    let staging = world.deploy().await;
    let voted = world.vote(&id_of(&version), "Production", "approved").await;
    voted.expect(202);
    (staging, world.deploy().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_told_in_every_environment_with_who_waits_for_whom() {
    let world = World::shop().await;
    world.version("v1").await;
    let told = chain(&world).await;
    let names = told["environments"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|it| it["environment"]["name"].clone()).collect();
    assert_eq!(names, ["Staging", "Production"]);
    assert_eq!(
        told["summary"],
        "Production waits for Staging and for approval by anyone with the role approver or admin; Staging waits: on \
         staging-1 its job is pending; nothing else is missing"
    );
    let production = &told["environments"][1];
    let needs = &production["waitsFor"];
    assert_eq!(needs[0]["kind"], "environment", "{needs}");
    assert_eq!(needs[0]["environments"][0]["name"], "Staging", "{needs}");
    assert_eq!(needs[1]["kind"], "approval", "{needs}");
    // Since when is on record, and stands at the gate too.
    let since = needs[1]["since"].as_str().unwrap();
    let gates = production["gates"].as_array().unwrap();
    let approval = gates.iter().find(|it| it["kind"] == "anyApproval");
    assert_eq!(approval.unwrap()["since"], since, "{production}");
    // One environment is told with the same story, and one target with what is asked of it.
    let one = "/why?deployment=api&environment=production";
    assert_eq!(world.get(one).await.expect(200)["story"], told["summary"]);
    let target = format!("{one}&resource=production-1");
    let target = world.get(&target).await.expect(200);
    assert_eq!(target["targets"].as_array().unwrap().len(), 1);
    let story = target["story"].as_str().unwrap();
    assert!(
        story.starts_with("production-1 in Production waits for Staging"),
        "{story}"
    );
    let elsewhere = format!("{one}&resource=staging-1");
    let refused = world.get(&elsewhere).await;
    refused.refused(404, "release_target_not_found");
    let nothing = format!("{one}&resource=nothing");
    world.get(&nothing).await.refused(404, "resource_not_found");
    let nowhere = world.get("/why/chain?deployment=nothing").await;
    nowhere.refused(404, "deployment_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_job_was_started_is_told_long_after() {
    let world = World::shop().await;
    let (staging, production) = through(&world, "v1").await;
    // It leaves memory, and what it went by is changed and gone.
    through(&world, "v2").await;
    let policy = world.id_of("/policies", "Staging First").await;
    let renamed = SHOP.replace("minApprovals: 1", "minApprovals: 2");
    world.apply(&renamed).await.expect(200);
    let delete = format!("/policies/{policy}");
    world
        .call(Role::Admin, "DELETE", &delete, None)
        .await
        .expect(202);
    let path = format!("/jobs/{}/why", id_of(&production));
    let told = world.get(&path).await.expect(200);
    assert_eq!(told["kind"], "forward", "{told}");
    assert_eq!(told["version"]["tag"], "v1");
    assert_eq!(
        (&told["resource"], &told["status"]),
        (&json!("production-1"), &json!("successful"))
    );
    assert_eq!(told["started"]["actor"], "approver", "{told}");
    assert_eq!(told["started"]["command"], "castVote");
    assert_eq!(
        told["summary"],
        "v1 went to production-1 in Production: a vote by approver; with that opened anyApproval of `Staging First`"
    );
    let gates = told["gates"].as_array().unwrap();
    assert_eq!(gates.len(), 2, "{told}");
    for gate in gates {
        assert_eq!(
            (&gate["state"], &gate["latched"]),
            (&json!("allow"), &json!(true)),
            "{gate}"
        );
        assert_eq!(gate["policyName"], "Staging First");
    }
    let approval = gates.iter().find(|it| it["kind"] == "anyApproval").unwrap();
    assert_eq!(approval["openedLast"], true, "{approval}");
    assert_eq!(
        approval["spec"],
        json!({"minApprovals": 1}),
        "as it was then: {approval}"
    );
    assert_eq!(approval["seq"], told["started"]["seq"]);
    assert_eq!(told["votes"][0]["userName"], "approver");
    assert_eq!(
        (&told["gatesAsked"], &told["complete"]),
        (&json!(true), &json!(true))
    );

    let path = format!("/jobs/{}/why", id_of(&staging));
    let told = world.get(&path).await.expect(200);
    assert_eq!(told["gates"], json!([]), "{told}");
    assert_eq!(
        told["summary"],
        "v1 went to staging-1 in Staging: the creation of the version by ci"
    );
    let nothing = "/jobs/0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10/why";
    world.get(nothing).await.refused(404, "job_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_ordered_says_who_and_why() {
    let world = World::shop().await;
    through(&world, "v1").await;
    through(&world, "v2").await;
    let order =
        json!({"deployment": "api", "environment": "Production", "reason": "orders are lost"});
    let path = "/release-targets/rollback";
    let answer = world.call(Role::Approver, "POST", path, Some(order)).await;
    assert!(answer.status.is_success(), "{}", answer.text);
    let job = world.deploy().await;
    let told = world
        .get(&format!("/jobs/{}/why", id_of(&job)))
        .await
        .expect(200);
    assert_eq!(
        (&told["kind"], &told["gatesAsked"]),
        (&json!("rollback"), &json!(false))
    );
    assert_eq!(told["order"]["by"], "approver", "{told}");
    assert_eq!(
        told["summary"],
        "production-1 in Production went back to v1: approver asked for it (orders are lost)"
    );

    let glass = json!({"deployment": "api", "environment": "Production", "version": "v2", "reason": "incident 42",
        "resources": ["production-1"]});
    let path = "/release-targets/break-glass";
    let answer = world.call(Role::Admin, "POST", path, Some(glass)).await;
    assert!(answer.status.is_success(), "{}", answer.text);
    let job = world.deploy().await;
    let told = world
        .get(&format!("/jobs/{}/why", id_of(&job)))
        .await
        .expect(200);
    assert_eq!(told["kind"], "breakGlass", "{told}");
    assert_eq!(
        told["summary"],
        "BREAK-GLASS: v2 was put on production-1 in Production past every gate: admin asked for it (incident 42)"
    );
    assert!(
        !told["gates"].as_array().unwrap().is_empty(),
        "how they stood is told all the same"
    );
}
