//! A version's way: created, deployed, approved, deployed again; and every question about it.

use crate::world::{World, until};
use serde_json::{Value, json};
use stagegate_model::Role;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_version_again_is_the_one_that_is_there() {
    let world = World::shop().await;
    let deployment = world.id_of("/deployments", "API").await;
    let path = format!("/deployments/{deployment}/versions");
    let body = json!({"tag": "v1", "name": "", "status": "ready", "config": {"a": 1}});
    let first = world
        .call(Role::Ci, "POST", &path, Some(body.clone()))
        .await
        .expect(200);
    let second = world
        .call(Role::Ci, "POST", &path, Some(body))
        .await
        .expect(200);
    assert_eq!(first, second);
    assert_eq!(first["name"], "v1");
    let other = json!({"tag": "v1", "name": "v1", "status": "ready", "config": {"a": 2}});
    let problem = world.call(Role::Ci, "POST", &path, Some(other)).await;
    assert_eq!(problem.refused(409, "version_exists")["field"], "tag");

    let dependent = json!({"tag": "v2", "name": "v2", "status": "ready",
        "dependencies": {"x": {"versionSelector": "true"}}});
    let problem = world.call(Role::Ci, "POST", &path, Some(dependent)).await;
    assert_eq!(problem.refused(400, "invalid_id")["field"], "dependencies");
    let nonsense = json!({"tag": "v2", "name": "v2", "status": "great"});
    let problem = world.call(Role::Ci, "POST", &path, Some(nonsense)).await;
    problem.refused(400, "invalid_status");

    let patch = format!("/deploymentversions/{}", first["id"].as_str().unwrap());
    let body = json!({"id": first["id"], "metadata": {"commit": "c0ffee"}});
    let changed = world
        .call(Role::Ci, "PATCH", &patch, Some(body))
        .await
        .expect(202);
    assert_eq!(changed["metadata"]["commit"], "c0ffee");
    let moved = json!({"createdAt": "2001-01-01T00:00:00Z"});
    let problem = world.call(Role::Ci, "PATCH", &patch, Some(moved)).await;
    assert_eq!(problem.refused(400, "invalid_value")["field"], "createdAt");

    world.version("v2").await;
    let tags = |page: Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|it| it["tag"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(tags(world.get(&path).await.expect(200)), ["v2", "v1"]);
    let ascending = world.get(&format!("{path}?order=asc")).await.expect(200);
    assert_eq!(tags(ascending), ["v1", "v2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_staging_over_an_approval_to_production() {
    let world = World::shop().await;
    let version = world.version("v1").await;
    let version = version["id"].as_str().unwrap();
    let staging = world.deploy().await;
    let context = &staging["dispatchContext"];
    assert_eq!(context["resource"]["name"], "staging-1", "{staging}");
    assert_eq!(context["version"]["tag"], "v1");
    assert_eq!(context["release"]["number"], 1);
    assert_eq!(context["jobAgent"]["type"], "exec");

    let ask = "/why?deployment=api&environment=production&version=v1";
    let why = world.get(ask).await.expect(200);
    assert_eq!(why["status"], "waiting", "{why}");
    let gates = why["gates"].as_array().unwrap();
    let approval = gates.iter().find(|it| it["kind"] == "anyApproval").unwrap();
    assert_eq!(approval["actionRequired"], true, "{approval}");
    assert_eq!(
        approval["who"],
        json!(["anyone with the role approver or admin"])
    );
    let progression = gates
        .iter()
        .find(|it| it["kind"] == "environmentProgression");
    assert_eq!(progression.unwrap()["allowed"], true, "{why}");

    world
        .vote(version, "Production", "maybe")
        .await
        .refused(400, "invalid_status");
    world
        .vote(version, "Production", "approved")
        .await
        .expect(202);
    let production = world.deploy().await;
    assert_eq!(
        production["dispatchContext"]["environment"]["name"],
        "Production"
    );
    let why = world.get(ask).await.expect(200);
    assert_eq!(why["status"], "succeeded", "{why}");
    assert_eq!(why["targets"][0]["current"], "v1");

    let promotions = world
        .get("/promotions?version=v1&environment=Production")
        .await
        .expect(200);
    assert_eq!(promotions["total"], 1, "{promotions}");
    let promotion = promotions["items"][0]["id"].as_str().unwrap();
    let detail = world
        .get(&format!("/promotions/{promotion}"))
        .await
        .expect(200);
    assert_eq!(detail["targets"]["succeeded"], 1, "{detail}");
    assert_eq!(detail["jobs"][0]["id"], production["id"]);
    let kinds: Vec<&str> = detail["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["kind"].as_str().unwrap())
        .collect();
    for kind in [
        "promotionOpened",
        "gateChanged",
        "voteCast",
        "jobsCreated",
        "jobClaimed",
        "jobChanged",
        "promotionEnded",
    ] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    let voted = detail["timeline"].as_array().unwrap();
    let voted = voted.iter().find(|it| it["kind"] == "voteCast").unwrap();
    assert_eq!(voted["text"], "approver approved v1 for Production");
    assert_eq!(voted["actor"], "approver");

    let open = world.get("/promotions?open=true").await.expect(200);
    assert_eq!(open["total"], 0, "{open}");
    world
        .get("/promotions?deployment=nothing")
        .await
        .refused(404, "deployment_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_and_reports() {
    let world = World::shop().await;
    world.version("v1").await;
    let job = world.claim("one").await;
    assert_eq!(
        (&job["runner"], &job["status"]),
        (&json!("one"), &json!("inProgress")),
        "{job}"
    );
    let agent = world.id_of("/job-agents", "local").await;
    let id = job["id"].as_str().unwrap();
    let claim = format!("/job-agents/{agent}/jobs/{id}/claim");
    let again = |runner: &str| Some(json!({ "runner": runner }));
    world
        .call(Role::Agent, "POST", &claim, again("one"))
        .await
        .expect(200);
    world
        .call(Role::Agent, "POST", &claim, again("two"))
        .await
        .refused(409, "job_claimed");
    // Without a body the key is the runner.
    world
        .call(Role::Agent, "POST", &claim, None)
        .await
        .refused(409, "job_claimed");
    let elsewhere = format!("/job-agents/{}/jobs/{id}/claim", uuid::Uuid::from_u128(1));
    world
        .call(Role::Agent, "POST", &elsewhere, None)
        .await
        .refused(404, "job_agent_not_found");

    let mine = format!(
        "/job-agents/{agent}/jobs?status=inProgress&runner=one&includeDispatchContext=true"
    );
    let mine = world.get(&mine).await.expect(200);
    assert_eq!(mine["items"][0]["dispatchContext"]["epoch"], 1, "{mine}");
    let yours = format!("/job-agents/{agent}/jobs?status=inProgress&runner=two");
    assert_eq!(world.get(&yours).await.expect(200)["total"], 0);

    world
        .report(&job, "done")
        .await
        .refused(400, "invalid_status");
    let path = format!("/jobs/{id}/status");
    let foreign = json!({"status": "failure", "runner": "two"});
    world
        .call(Role::Agent, "PUT", &path, Some(foreign))
        .await
        .refused(409, "lease_lost");
    world.report(&job, "successful").await.expect(202);
    // Late and repeated reports are answered alike and change nothing.
    world.report(&job, "failure").await.expect(202);
    let read = world.get(&format!("/jobs/{id}")).await.expect(200);
    assert_eq!(read["status"], "successful", "{read}");
    world
        .call(Role::Agent, "POST", &claim, again("one"))
        .await
        .refused(409, "job_ended");

    let joined = world
        .get(&format!("/jobs/{id}/with-release"))
        .await
        .expect(200);
    assert_eq!(joined["release"]["version"]["tag"], "v1", "{joined}");
    assert_eq!(joined["resource"]["name"], "staging-1");
    let release = joined["release"]["id"].as_str().unwrap();
    let release = world.get(&format!("/releases/{release}")).await.expect(200);
    assert_eq!(release["status"], "succeeded");
    let jobs = world.get("/jobs").await.expect(200);
    assert_eq!(
        (&jobs["total"], &jobs["items"][0]["job"]["id"]),
        (&json!(1), &job["id"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_ends_when_there_is_a_job() {
    let world = World::shop().await;
    let agent = world.id_of("/job-agents", "local").await;
    let path = format!("/job-agents/{agent}/jobs?status=pending&wait=60");
    let at_once = format!("/job-agents/{agent}/jobs?status=pending");
    assert_eq!(world.get(&at_once).await.expect(200)["total"], 0);
    let (page, _) = tokio::join!(world.get(&path), world.version("v1"));
    assert_eq!(page.expect(200)["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_tell_what_they_have() {
    let world = World::shop().await;
    world.version("v1").await;
    let job = world.deploy().await;
    let body = json!({
        "deploymentId": world.id_of("/deployments", "API").await,
        "environmentId": world.id_of("/environments", "Staging").await,
    });
    let list = "/release-targets/state";
    let page = world
        .call(Role::Viewer, "POST", list, Some(body))
        .await
        .expect(200);
    assert_eq!(page["total"], 1, "{page}");
    let target = &page["items"][0];
    assert_eq!(
        target["state"]["currentRelease"]["version"]["tag"], "v1",
        "{target}"
    );
    let key = ["resourceId", "environmentId", "deploymentId"]
        .map(|part| target["releaseTarget"][part].as_str().unwrap())
        .join("-");
    let state = world
        .get(&format!("/release-targets/{key}/state"))
        .await
        .expect(200);
    assert_eq!(state["latestJob"]["job"]["id"], job["id"], "{state}");
    assert_eq!(state["latestJob"]["verifications"], json!([]));
    let jobs = world
        .get(&format!("/release-targets/{key}/jobs"))
        .await
        .expect(200);
    assert_eq!(
        (&jobs["total"], &jobs["items"][0]["id"]),
        (&json!(1), &job["id"])
    );
    world
        .get("/release-targets/x/state")
        .await
        .refused(400, "invalid_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_shows_stages_in_order_and_where_versions_stand() {
    let world = World::shop().await;
    world.version("v1").await;
    world.deploy().await;
    let status = world.get("/status?deployment=api").await.expect(200);
    let deployment = &status["deployments"][0];
    let names: Vec<&str> = deployment["environments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    // Declared the other way round: what production waits for stands before it.
    assert_eq!(names, ["Staging", "Production"]);
    assert_eq!(
        deployment["environments"][0]["current"],
        json!([{"tag": "v1", "count": 1}])
    );
    let cells = deployment["versions"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[0]["status"], "succeeded", "{status}");
    assert_eq!(cells[1]["status"], "waiting", "{status}");
    assert!(
        cells[1]["reason"]
            .as_str()
            .unwrap()
            .contains("0 of 1 approval"),
        "{status}"
    );
    assert_eq!(cells[1]["targets"]["pending"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_promotion_says_by_what() {
    let world = World::shop().await;
    world.version("v1").await;
    world.deploy().await;
    world.version("v2").await;
    let v2 = world
        .get("/why?deployment=api&environment=Production")
        .await
        .expect(200);
    assert_eq!(v2["version"]["tag"], "v2");
    world.deploy().await;
    world
        .vote(
            v2["version"]["id"].as_str().unwrap(),
            "Production",
            "approved",
        )
        .await
        .expect(202);
    let old = until("v1 is superseded", async || {
        let page = world
            .get("/promotions?version=v1&environment=Production")
            .await
            .expect(200);
        let it = page["items"][0].clone();
        (it["status"] == "superseded").then_some(it)
    })
    .await;
    assert_eq!(old["supersededBy"], "v2", "{old}");
}

/// What has ended leaves memory for the archive; nobody who asks can tell.
#[tokio::test(flavor = "multi_thread")]
async fn what_left_memory_is_still_there() {
    let world = World::shop().await;
    let mut done = Vec::new();
    for tag in ["v1", "v2", "v3", "v4"] {
        world.version(tag).await;
        done.push(world.deploy().await);
    }
    let first = done[0].clone();
    let id = first["id"].as_str().unwrap().to_owned();
    let job: stagegate_model::JobId = id.parse().unwrap();
    let in_memory = world
        .controller
        .read(world.workspace, move |engine| {
            engine.state().jobs().contains_key(&job)
        })
        .await
        .unwrap();
    assert!(!in_memory, "the test needs a job that left memory");

    let read = world.get(&format!("/jobs/{id}")).await.expect(200);
    assert_eq!(read["status"], "successful", "{read}");
    let joined = world
        .get(&format!("/jobs/{id}/with-release"))
        .await
        .expect(200);
    assert_eq!(joined["release"]["version"]["tag"], "v1", "{joined}");
    let release = first["releaseId"].as_str().unwrap();
    let release = world.get(&format!("/releases/{release}")).await.expect(200);
    assert_eq!(release["number"], 1, "{release}");
    let late = world.report(&first, "failure").await.expect(202);
    assert!(
        late["message"]
            .as_str()
            .unwrap()
            .contains("changed nothing"),
        "{late}"
    );
    let agent = first["jobAgentId"].as_str().unwrap();
    let claim = format!("/job-agents/{agent}/jobs/{id}/claim");
    world
        .call(Role::Agent, "POST", &claim, None)
        .await
        .refused(409, "job_ended");
    let promotion = format!("/promotions/{}", first["promotionId"].as_str().unwrap());
    let promotion = world.get(&promotion).await.expect(200);
    assert_eq!(promotion["jobs"][0]["id"], first["id"], "{promotion}");

    let target = &release["releaseTarget"];
    let key = ["resourceId", "environmentId", "deploymentId"]
        .map(|part| target[part].as_str().unwrap())
        .join("-");
    let expected: Vec<Value> = done.iter().rev().map(|job| job["id"].clone()).collect();
    let lists = [
        "/jobs".to_owned(),
        format!("/release-targets/{key}/jobs"),
        format!("/job-agents/{agent}/jobs?status=successful"),
    ];
    for list in lists {
        let sign = if list.contains('?') { '&' } else { '?' };
        let mut seen = Vec::new();
        loop {
            let page = format!("{list}{sign}limit=1&offset={}", seen.len());
            let page = world.get(&page).await.expect(200);
            let Some(item) = page["items"].as_array().unwrap().first().cloned() else {
                break;
            };
            seen.push(item.get("job").unwrap_or(&item)["id"].clone());
            if page["total"].as_u64() <= u64::try_from(seen.len()).ok() {
                break;
            }
        }
        assert_eq!(seen.len(), expected.len(), "{list}");
        if !list.contains("job-agents") {
            assert_eq!(seen, expected, "{list}");
        }
        assert!(expected.iter().all(|id| seen.contains(id)), "{list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides_what_measurements_could_not() {
    let world = World::shop().await;
    // Nothing listens there, so every measurement is an error and the verification pauses.
    world
        .apply(
            "type: Policy\nname: Verify\nselector: environment.name == \"Staging\"\nrules:\n  - verification:\n      metrics:\n        - name: health\n          provider: { type: http, url: \"http://127.0.0.1:9/\" }\n          successCondition: result.statusCode == 200\n          consecutiveErrorThreshold: 0\n",
        )
        .await
        .expect(200);
    world.version("v1").await;
    let job = world.deploy().await;
    let promotion = format!("/promotions/{}", job["promotionId"].as_str().unwrap());
    let paused = async |but: Option<String>| {
        until("the verification pauses", async || {
            let detail = world.get(&promotion).await.expect(200);
            let all = detail["verifications"].as_array()?.clone();
            let last = all.last()?.clone();
            let other = but.as_deref() != last["id"].as_str();
            (other && last["status"] == "error").then_some(last)
        })
        .await
    };
    let first = paused(None).await;
    let id = first["id"].as_str().unwrap();
    assert_eq!(first["metrics"][0]["status"], "error", "{first}");
    let path = format!("/verifications/{id}");
    assert_eq!(world.get(&path).await.expect(200), first);

    let rerun = Some(json!({"reason": "the server was down"}));
    let rerun = world
        .call(Role::Approver, "POST", &format!("{path}/rerun"), rerun)
        .await
        .expect(200);
    assert_eq!(rerun["rerunOf"], json!(id), "{rerun}");
    let second = paused(Some(id.to_owned())).await;
    let path = format!("/verifications/{}", second["id"].as_str().unwrap());
    let silent = Some(json!({"pass": true, "reason": ""}));
    let silent = world
        .call(Role::Approver, "POST", &format!("{path}/decide"), silent)
        .await;
    silent.refused(400, "missing_field");
    let decide = Some(json!({"pass": true, "reason": "looked myself"}));
    let decided = world
        .call(
            Role::Approver,
            "POST",
            &format!("{path}/decide"),
            decide.clone(),
        )
        .await;
    let decided = decided.expect(200);
    assert_eq!(
        (&decided["status"], &decided["decidedBy"]),
        (&json!("passed"), &json!("approver"))
    );
    let again = world
        .call(Role::Approver, "POST", &format!("{path}/decide"), decide)
        .await;
    again.refused(409, "verification_ended");
}
