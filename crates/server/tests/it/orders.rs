//! Orders of persons: rollback, redeploy, hold, quarantine, break glass, cancelling; and the lists of releases.

use crate::departures::tag;
use crate::world::World;
use serde_json::{Value, json};
use stagegate_model::Role;

const NOTHING: &str = "retry: { maxRetries: 0 }";

impl World {
    async fn order(&self, role: Role, verb: &str, body: Value) -> crate::world::Answer {
        let path = format!("/release-targets/{verb}");
        self.call(role, "POST", &path, Some(body)).await
    }

    /// Deploys these versions everywhere, one after the other.
    async fn deployed(&self, tags: &[&str]) {
        for tag in tags {
            self.version(tag).await;
            self.settle().await;
        }
    }

    async fn releases(&self, host: &str) -> Vec<Value> {
        let deployment = self.id_of("/deployments", "API").await;
        let path =
            format!("/deployments/{deployment}/releases?environment=Production&resource={host}");
        let page = self.get(&path).await.expect(200);
        page["items"].as_array().unwrap().clone()
    }
}

fn at(more: Value) -> Value {
    let mut body = json!({"deployment": "api", "environment": "production"});
    let members = body.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    body
}

fn summary(releases: &[Value]) -> Vec<(u64, &str, &str, &str)> {
    releases
        .iter()
        .map(|it| {
            (
                it["number"].as_u64().unwrap(),
                it["version"]["tag"].as_str().unwrap(),
                it["status"].as_str().unwrap(),
                it["kind"].as_str().unwrap(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_tried_dry_then_done_and_is_on_record() {
    let world = World::three(NOTHING).await;
    world.deployed(&["v1", "v2"]).await;
    let dry = at(json!({"dryRun": true}));
    let head = world.get("/status").await.expect(200)["seq"].clone();
    let report = world
        .order(Role::Approver, "rollback", dry)
        .await
        .expect(200);
    assert_eq!(report["dryRun"], true);
    let targets = report["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 3, "{report}");
    assert_eq!(targets[0]["from"]["version"]["tag"], "v2");
    assert_eq!(targets[0]["to"]["version"]["tag"], "v1");
    assert_eq!(targets[0]["to"]["number"], 1);
    assert_eq!(
        world.get("/status").await.expect(200)["seq"],
        head,
        "it was written"
    );
    assert!(world.pending().await.is_empty());

    let unexplained = world.order(Role::Approver, "rollback", at(json!({}))).await;
    assert_eq!(unexplained.refused(400, "missing_field")["field"], "reason");
    let body = at(json!({"reason": "orders are lost", "resources": ["host-2"]}));
    let report = world
        .order(Role::Approver, "rollback", body)
        .await
        .expect(202);
    assert_eq!(report["targets"][0]["resource"], "host-2", "{report}");
    let pending = world.pending().await;
    assert_eq!(pending.len(), 1);
    assert_eq!(
        (tag(&pending[0]), &pending[0]["kind"]),
        ("v1", &json!("rollback"))
    );
    world.settle().await;

    let releases = world.releases("host-2").await;
    assert_eq!(
        summary(&releases),
        [
            (3, "v1", "succeeded", "rollback"),
            (2, "v2", "rolledBack", "forward"),
            (1, "v1", "succeeded", "forward"),
        ]
    );
    let back = &releases[0];
    assert_eq!(back["by"], "approver", "{back}");
    assert_eq!(back["cause"], "person");
    assert_eq!(back["orderReason"], "orders are lost");
    assert_eq!(back["rollbackOf"]["number"], 2);
    assert_eq!(back["current"], true);

    // Of the environment, only what has the newest version goes back; what was rolled back stays.
    let report = world
        .order(Role::Approver, "rollback", at(json!({"dryRun": true})))
        .await
        .expect(200);
    assert_eq!(report["targets"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(report["left"][0]["resource"], "host-2", "{report}");
    assert_eq!(report["left"][0]["code"], "already_there");

    let target = back["releaseTarget"].clone();
    let key = ["resourceId", "environmentId", "deploymentId"]
        .map(|it| target[it].as_str().unwrap().to_owned());
    let path = format!("/release-targets/{}/releases?limit=2", key.join("-"));
    let page = world.get(&path).await.expect(200);
    assert_eq!(page["total"], 3, "{page}");
    assert_eq!(page["items"][1]["number"], 2);
    let path = format!("/releases/{}/diff", releases[1]["id"].as_str().unwrap());
    let diff = world.get(&path).await.expect(200);
    assert_eq!(diff["before"]["number"], 1, "{diff}");
    let changes = diff["changes"].as_array().unwrap();
    let paths: Vec<&str> = changes
        .iter()
        .map(|it| it["path"].as_str().unwrap())
        .collect();
    assert!(
        paths.contains(&"version.tag") && paths.contains(&"jobConfig.steps"),
        "{paths:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_left_memory_is_gone_back_to_if_it_had_succeeded_there() {
    let world = World::three(NOTHING).await;
    world.deployed(&["v1"]).await;
    // v2 fails on host-1 alone.
    world.version("v2").await;
    while !world.pending().await.is_empty() {
        let job = world.claim("one").await;
        let host = job["dispatchContext"]["resource"]["name"]
            .as_str()
            .unwrap()
            .to_owned();
        let status = if host == "host-1" {
            "failure"
        } else {
            "successful"
        };
        world.report(&job, status).await.expect(202);
    }
    world.deployed(&["v3", "v4"]).await;
    let to = |to: Value, host: &str| at(json!({"dryRun": true, "to": to, "resources": [host]}));
    let ask = async |to: Value| {
        world
            .order(Role::Approver, "rollback", to)
            .await
            .expect(200)
    };
    for named in [json!("v2"), json!("#2"), json!(2), json!("2")] {
        let report = ask(to(named.clone(), "host-2")).await;
        assert_eq!(report["targets"][0]["to"]["number"], 2, "{named}: {report}");
        let report = ask(to(named.clone(), "host-1")).await;
        assert_eq!(
            report["left"][0]["code"], "release_unusable",
            "{named}: {report}"
        );
    }
    let foreign = world.releases("host-3").await[2]["id"].clone();
    let report = ask(to(foreign.clone(), "host-2")).await;
    assert_eq!(
        report["left"][0]["message"]
            .as_str()
            .unwrap()
            .contains("another target"),
        true,
        "{report}"
    );
    let report = ask(to(foreign, "host-3")).await;
    assert_eq!(
        report["targets"][0]["to"]["version"]["tag"], "v2",
        "{report}"
    );
    let unknown = world
        .order(Role::Approver, "rollback", to(json!("v9"), "host-2"))
        .await;
    assert_eq!(unknown.refused(404, "version_not_found")["field"], "to");

    // Named one by one it is all or nothing; of an environment what cannot go stays.
    let body = json!({"to": "v2", "reason": "back", "resources": ["host-2", "host-1"]});
    let refused = world.order(Role::Approver, "rollback", at(body)).await;
    assert_eq!(
        refused.refused(409, "release_unusable")["field"],
        "resources[1]"
    );
    assert!(world.pending().await.is_empty());
    let body = at(json!({"to": "v2", "reason": "back"}));
    let report = world
        .order(Role::Approver, "rollback", body)
        .await
        .expect(202);
    assert_eq!(report["targets"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(report["left"][0]["resource"], "host-1");
    world.settle().await;
    assert_eq!(
        summary(&world.releases("host-2").await)[0],
        (5, "v2", "succeeded", "rollback")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_are_named_in_one_way_and_must_be_there() {
    let world = World::three(NOTHING).await;
    let refused = async |body: Value| world.order(Role::Approver, "redeploy", body).await;
    assert_eq!(
        refused(json!({})).await.refused(400, "missing_field")["field"],
        "deployment"
    );
    let both = at(json!({"targets": ["x"]}));
    refused(both).await.refused(400, "conflicting_fields");
    let nonsense = refused(json!({"targets": ["x"]})).await;
    assert_eq!(nonsense.refused(400, "invalid_id")["field"], "targets[0]");
    let nowhere = at(json!({"resources": ["host-9"]}));
    assert_eq!(
        refused(nowhere).await.refused(404, "resource_not_found")["field"],
        "resources[0]"
    );
    let nothing = uuid::Uuid::from_u128(1);
    let key = format!("{nothing}-{nothing}-{nothing}");
    let unknown = refused(json!({"targets": [key]})).await;
    assert_eq!(
        unknown.refused(404, "release_target_not_found")["field"],
        "targets[0]"
    );
    // Nothing was ever deployed.
    refused(at(json!({})))
        .await
        .refused(409, "nothing_deployed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redeploy_deploys_the_same_once_more() {
    let world = World::three(NOTHING).await;
    world.deployed(&["v1"]).await;
    let body = at(json!({"reason": "reinstalled", "resources": ["host-3"]}));
    world
        .order(Role::Approver, "redeploy", body)
        .await
        .expect(202);
    assert_eq!(world.pending().await.len(), 1);
    world.settle().await;
    let releases = world.releases("host-3").await;
    assert_eq!(
        summary(&releases),
        [
            (2, "v1", "succeeded", "redeploy"),
            (1, "v1", "succeeded", "forward")
        ]
    );
    assert_eq!(releases[0]["orderReason"], "reinstalled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_and_a_quarantine_are_lifted_by_a_person() {
    let world = World::three("rollback: {}").await;
    world.deployed(&["v1"]).await;
    world.version("v2").await;
    while !world.pending().await.is_empty() {
        let job = world.claim("one").await;
        let status = if tag(&job) == "v2" {
            "failure"
        } else {
            "successful"
        };
        world.report(&job, status).await.expect(202);
    }
    let clear = async |role: Role, reason: &str| {
        let body = json!({"deployment": "api", "environment": "production", "version": "v2", "reason": reason});
        world
            .call(role, "POST", "/quarantine/clear", Some(body))
            .await
    };
    clear(Role::Ci, "x").await.refused(403, "forbidden");
    assert_eq!(
        clear(Role::Approver, " ")
            .await
            .refused(400, "missing_field")["field"],
        "reason"
    );
    clear(Role::Approver, "it was the database")
        .await
        .expect(202);
    assert_eq!(world.get("/quarantine").await.expect(200)["total"], 0);
    assert!(world.pending().await.is_empty(), "they are held");

    let held =
        world.get("/status").await.expect(200)["deployments"][0]["environments"][0]["held"].clone();
    assert!(held.as_u64().unwrap() >= 1, "{held}");
    let body = at(json!({"reason": "try again"}));
    let dry = at(json!({"dryRun": true}));
    let report = world
        .order(Role::Approver, "release-hold", dry)
        .await
        .expect(200);
    assert_eq!(
        report["targets"].as_array().unwrap().len() as u64,
        held.as_u64().unwrap()
    );
    world
        .order(Role::Approver, "release-hold", body.clone())
        .await
        .expect(202);
    let pending = world.pending().await;
    assert!(
        !pending.is_empty() && pending.iter().all(|job| tag(job) == "v2"),
        "{pending:?}"
    );
    // Again there is nothing to let go.
    let report = world
        .order(Role::Approver, "release-hold", body)
        .await
        .expect(202);
    assert_eq!(report["targets"], json!([]), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn breaking_the_glass_goes_past_the_gates_and_is_marked_everywhere() {
    let world = World::three("anyApproval: { minApprovals: 2 }").await;
    world.version("v1").await;
    assert!(world.pending().await.is_empty());
    let body = |more: Value| {
        let mut body = at(json!({"version": "v1", "resources": ["host-1"]}));
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let explained = body(json!({"reason": "INC-42"}));
    for role in [Role::Approver, Role::Ci, Role::Viewer, Role::Agent] {
        world
            .order(role, "break-glass", explained.clone())
            .await
            .refused(403, "forbidden");
    }
    let unexplained = world
        .order(Role::Admin, "break-glass", body(json!({"reason": ""})))
        .await;
    assert_eq!(unexplained.refused(400, "missing_field")["field"], "reason");
    world
        .order(Role::Admin, "break-glass", body(json!({"dryRun": true})))
        .await
        .expect(200);
    assert!(world.pending().await.is_empty());
    world
        .order(Role::Admin, "break-glass", explained)
        .await
        .expect(202);
    let pending = world.pending().await;
    assert_eq!(
        (pending.len(), &pending[0]["kind"]),
        (1, &json!("breakGlass"))
    );
    world.settle().await;

    assert_eq!(
        summary(&world.releases("host-1").await),
        [(1, "v1", "succeeded", "breakGlass")]
    );
    let promotion = world.promotion("v1").await;
    assert_eq!(promotion["breakGlass"], true, "{promotion}");
    let timeline = world.timeline(&promotion).await;
    let marked = timeline
        .iter()
        .filter(|it| it.starts_with("BREAK-GLASS"))
        .count();
    assert_eq!(marked, 2, "{timeline:#?}");
    let status = world.get("/status").await.expect(200);
    let deployment = &status["deployments"][0];
    assert_eq!(deployment["environments"][0]["breakGlass"], 1, "{status}");
    assert_eq!(
        deployment["versions"][0]["cells"][0]["marks"],
        json!(["breakGlass"])
    );
    let why = world
        .get("/why?deployment=api&environment=production")
        .await
        .expect(200);
    let targets = why["targets"].as_array().unwrap();
    assert!(targets.iter().any(|it| it["kind"] == "breakGlass"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_is_cancelled_and_reopened() {
    let world = World::three("anyApproval: { minApprovals: 1 }").await;
    let version = world.version("v1").await;
    let first = world.promotion("v1").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let act = async |role: Role, id: &str, verb: &str| {
        let path = format!("/promotions/{id}/{verb}");
        world
            .call(role, "POST", &path, Some(json!({"reason": "not now"})))
            .await
    };
    act(Role::Ci, &first, "cancel")
        .await
        .refused(403, "forbidden");
    let cancelled = act(Role::Approver, &first, "cancel").await.expect(200);
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    act(Role::Approver, &first, "cancel")
        .await
        .refused(409, "promotion_ended");
    act(Role::Approver, &first, "pause")
        .await
        .refused(409, "promotion_ended");
    world
        .vote(version["id"].as_str().unwrap(), "Production", "approved")
        .await
        .expect(202);
    assert!(world.pending().await.is_empty(), "it was not cancelled");
    let reopened = act(Role::Approver, &first, "reopen").await.expect(200);
    assert_eq!(
        (&reopened["attempt"], reopened["status"] == "cancelled"),
        (&json!(2), false),
        "{reopened}"
    );
    world.settle().await;
    let second = world.promotion("v1").await;
    assert_eq!(
        (&second["attempt"], &second["status"]),
        (&json!(2), &json!("succeeded"))
    );
    act(Role::Approver, second["id"].as_str().unwrap(), "reopen")
        .await
        .refused(409, "promotion_ended");
    let nothing = uuid::Uuid::from_u128(1).to_string();
    act(Role::Approver, &nothing, "resume")
        .await
        .refused(404, "promotion_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejecting_a_version_tells_how_many_targets_go_back() {
    let world = World::three(NOTHING).await;
    world.deployed(&["v1"]).await;
    let v2 = world.version("v2").await["id"].as_str().unwrap().to_owned();
    world.settle().await;
    let preview = world
        .get(&format!("/deployment-versions/{v2}/rejection"))
        .await
        .expect(200);
    assert_eq!(preview["targets"].as_array().unwrap().len(), 3, "{preview}");
    assert_eq!(preview["targets"][0]["to"]["version"]["tag"], "v1");
    let patch = format!("/deploymentversions/{v2}");
    let body = json!({"status": "rejected", "message": "loses orders"});
    let changed = world
        .call(Role::Ci, "PATCH", &patch, Some(body.clone()))
        .await
        .expect(202);
    assert_eq!(changed["rolledBackTargets"], 3, "{changed}");
    assert_eq!(changed["status"], "rejected");
    let again = world
        .call(Role::Ci, "PATCH", &patch, Some(body))
        .await
        .expect(202);
    assert_eq!(again["rolledBackTargets"], Value::Null, "{again}");
    let pending = world.pending().await;
    assert!(
        pending.len() == 3 && pending.iter().all(|job| tag(job) == "v1"),
        "{pending:?}"
    );
    world.settle().await;
    let releases = world.releases("host-1").await;
    assert_eq!(releases[0]["cause"], "versionRejected");
    // v1 is all there is now: rejecting it leaves its targets where they are, and says so.
    let v1 = releases[0]["version"]["id"].as_str().unwrap();
    let preview = world
        .get(&format!("/deployment-versions/{v1}/rejection"))
        .await
        .expect(200);
    assert_eq!(
        (
            preview["targets"].as_array().unwrap().len(),
            preview["left"].as_array().unwrap().len()
        ),
        (0, 3)
    );
    assert_eq!(preview["left"][0]["code"], "no_earlier_release");
}
