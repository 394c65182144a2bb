//! Jobs while they run: heartbeats, live output, stopping them, and who no longer has a say.

use crate::world::{DEADLINE, World};
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use stagegate_model::Role;
use tower::ServiceExt as _;

fn path(job: &Value, of: &str) -> String {
    format!("/jobs/{}/{of}", job["id"].as_str().unwrap())
}

/// A body that names the claim.
fn held(job: &Value, more: Value) -> Option<Value> {
    let mut body = json!({ "runner": job["runner"], "epoch": job["epoch"] });
    let members = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(members);
    Some(body)
}

async fn beat(world: &World, job: &Value, wait: u64) -> crate::world::Answer {
    let body = held(job, json!({ "wait": wait }));
    world
        .call(Role::Agent, "POST", &path(job, "heartbeat"), body)
        .await
}

async fn cancel(world: &World, job: &Value, reason: &str) -> crate::world::Answer {
    let body = Some(json!({ "reason": reason }));
    world
        .call(Role::Approver, "POST", &path(job, "cancel"), body)
        .await
}

async fn print(world: &World, job: &Value, offset: u64, text: &str) -> crate::world::Answer {
    let body = held(job, json!({ "offset": offset, "text": text }));
    world
        .call(Role::Agent, "POST", &path(job, "output"), body)
        .await
}

async fn output(world: &World, job: &Value, query: &str) -> Value {
    let path = format!("{}{query}", path(job, "output"));
    world.get(&path).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claimed_job_shows_its_limits_and_its_epoch() {
    let world = World::shop().await;
    world.version("v1").await;
    let job = world.claim("one").await;
    assert_eq!(job["epoch"], 1, "{job}");
    let limits = json!({
        "startDeadlineSeconds": 86400, "runTimeoutSeconds": 7200, "leaseSeconds": 30,
        "graceSeconds": 60, "onLostLease": "fail",
    });
    assert_eq!(job["limits"], limits, "{job}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_is_for_the_holder() {
    let world = World::shop().await;
    world.version("v1").await;
    let job = world.claim("one").await;
    let answer = beat(&world, &job, 0).await.expect(200);
    assert_eq!(
        answer,
        json!({ "status": "inProgress", "leaseSeconds": 30, "cancel": null })
    );
    let mut other = job.clone();
    other["runner"] = json!("two");
    beat(&world, &other, 0).await.refused(409, "lease_lost");
    let mut older = job.clone();
    older["epoch"] = json!(0);
    beat(&world, &older, 0).await.refused(409, "lease_lost");
    world.report(&job, "successful").await.expect(202);
    beat(&world, &job, 0).await.refused(409, "job_ended");
    let mut unknown = job.clone();
    unknown["id"] = json!(uuid::Uuid::from_u128(7));
    beat(&world, &unknown, 0)
        .await
        .refused(404, "job_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_heartbeat_hears_at_once_that_the_job_is_to_stop() {
    let world = World::shop().await;
    world.version("v1").await;
    let job = world.claim("one").await;
    let began = std::time::Instant::now();
    let (heard, asked) = tokio::join!(beat(&world, &job, 15), cancel(&world, &job, "wrong one"));
    asked.expect(202);
    let heard = heard.expect(200);
    assert!(began.elapsed().as_secs() < 15, "it waited to the end");
    assert_eq!(heard["cancel"]["cause"], "person", "{heard}");
    assert_eq!(heard["cancel"]["reason"], "wrong one");
    let read = world.get(&path(&job, "with-release")).await.expect(200);
    assert_eq!(read["job"]["status"], "inProgress");
    assert_eq!(
        read["job"]["cancel"]["requestedBy"],
        world.key(Role::Approver).user.to_string()
    );
    world.report(&job, "cancelled").await.expect(202);
    cancel(&world, &job, "").await.refused(409, "job_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_heartbeat_hears_at_once_that_the_job_has_ended() {
    let world = World::shop().await;
    world.version("v1").await;
    let job = world.claim("one").await;
    let end = async {
        let body = Some(json!({ "status": "failure" }));
        let path = format!("/jobs/{}/status", job["id"].as_str().unwrap());
        world.call(Role::Admin, "PUT", &path, body).await
    };
    let (heard, ended) = tokio::join!(beat(&world, &job, 15), end);
    ended.expect(202);
    heard.refused(409, "job_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_nobody_has_is_cancelled_at_once() {
    let world = World::shop().await;
    world.version("v1").await;
    let agent = world.id_of("/job-agents", "local").await;
    let pending = format!("/job-agents/{agent}/jobs?status=pending&wait=20");
    let job = world.get(&pending).await.expect(200)["items"][0].clone();
    world
        .call(Role::Ci, "POST", &path(&job, "cancel"), None)
        .await
        .refused(403, "forbidden");
    cancel(&world, &job, "not today").await.expect(202);
    let read = world.get("/jobs").await.expect(200);
    assert_eq!(read["items"][0]["job"]["status"], "cancelled", "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_leased_job_an_agents_key_names_its_claim_and_an_admin_need_not() {
    let world = World::shop().await;
    world.version("v1").await;
    let job = world.claim("one").await;
    let body = || {
        Some(json!({
            "status": "failure",
            "exit": { "code": 3 },
            "links": { "log": "https://ci.example.org/7" },
        }))
    };
    let path = path(&job, "status");
    world
        .call(Role::Agent, "PUT", &path, body())
        .await
        .refused(409, "lease_lost");
    world
        .call(Role::Admin, "PUT", &path, body())
        .await
        .expect(202);
    let read = world.get("/jobs").await.expect(200);
    let read = &read["items"][0]["job"];
    assert_eq!(read["exit"], json!({ "code": 3 }), "{read}");
    assert_eq!(read["links"]["log"], "https://ci.example.org/7");
}

#[tokio::test(flavor = "multi_thread")]
async fn live_output_is_kept_until_its_tail_is_in_the_log() {
    let world = World::shop().await;
    world.version("v1").await;
    let job = world.claim("one").await;
    assert_eq!(print(&world, &job, 0, "").await.expect(200)["end"], 0);
    assert_eq!(print(&world, &job, 0, "one\n").await.expect(200)["end"], 4);
    assert_eq!(
        print(&world, &job, 2, "e\ntwo\n").await.expect(200)["end"],
        8
    );
    let read = output(&world, &job, "?from=4").await;
    assert_eq!(
        read,
        json!({ "start": 4, "end": 8, "text": "two\n", "ended": false })
    );
    let mut other = job.clone();
    other["runner"] = json!("two");
    print(&world, &other, 8, "x")
        .await
        .refused(409, "lease_lost");
    let end = held(
        &job,
        json!({ "status": "successful", "outputTail": "one\ntwo\nthree\n" }),
    );
    world
        .call(Role::Agent, "PUT", &path(&job, "status"), end)
        .await
        .expect(202);
    let read = output(&world, &job, "").await;
    assert_eq!(
        read,
        json!({ "start": 0, "end": 14, "text": "one\ntwo\nthree\n", "ended": true })
    );
    print(&world, &job, 8, "x").await.refused(409, "job_ended");
}

/// Every event of a followed output, to its end.
async fn followed(world: &World, job: &Value, from: u64) -> Vec<(String, Value)> {
    let path = format!("{}?follow=true&from={from}", path(job, "output"));
    let request = Request::get(world.path(&path))
        .header("X-API-Key", &world.key(Role::Viewer).secret)
        .body(Body::empty())
        .unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let body = tokio::time::timeout(DEADLINE, response.into_body().collect());
    let bytes = body.await.expect("the stream ends").unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let events = text.split("\n\n").filter_map(|event| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        let name = field("event: ")?.to_owned();
        Some((name, serde_json::from_str(field("data: ")?).unwrap()))
    });
    events.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_followed_to_the_end_of_the_job() {
    let world = World::shop().await;
    world.version("v1").await;
    let job = world.claim("one").await;
    print(&world, &job, 0, "one\n").await.expect(200);
    let run = async {
        print(&world, &job, 4, "two\n").await.expect(200);
        world.report(&job, "failure").await.expect(202);
    };
    let (events, ()) = tokio::join!(followed(&world, &job, 0), run);
    let text: String = events
        .iter()
        .filter(|(name, _)| name == "output")
        .map(|(_, data)| data["text"].as_str().unwrap())
        .collect();
    assert_eq!(text, "one\ntwo\n", "{events:?}");
    let (name, end) = events.last().unwrap();
    assert_eq!(name, "end");
    assert_eq!(
        *end,
        json!({ "status": "failure", "message": "said failure" })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_job_that_has_ended_the_kept_tail_is_followed() {
    let world = World::shop().await;
    world.version("v1").await;
    let job = world.claim("one").await;
    let end = held(
        &job,
        json!({ "status": "successful", "outputTail": "all of it" }),
    );
    world
        .call(Role::Agent, "PUT", &path(&job, "status"), end)
        .await
        .expect(202);
    let events = followed(&world, &job, 4).await;
    assert_eq!(
        events[0],
        ("output".to_owned(), json!({ "offset": 4, "text": "of it" }))
    );
    assert_eq!(events.len(), 2, "{events:?}");
    let unknown = format!("/jobs/{}/output?follow=true", uuid::Uuid::from_u128(7));
    world.get(&unknown).await.refused(404, "job_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_kept_where_a_body_does_not_speak_of_them() {
    let world = World::shop().await;
    let agent = world.id_of("/job-agents", "local").await;
    let put = async |limits: Value| {
        let mut body = json!({ "name": "local", "type": "exec" });
        if !limits.is_null() {
            body["jobLimits"] = limits;
        }
        let path = format!("/job-agents/{agent}");
        world.call(Role::Admin, "PUT", &path, Some(body)).await
    };
    let limits = json!({ "leaseSeconds": 10, "onLostLease": "requeue" });
    put(limits.clone()).await.expect(202);
    put(Value::Null).await.expect(202);
    let path = format!("/job-agents/{agent}");
    let read = world.get(&path).await.expect(200);
    assert_eq!(read["jobLimits"], limits, "{read}");
    put(json!({})).await.expect(202);
    let read = world.get(&path).await.expect(200);
    assert_eq!(read.get("jobLimits"), None, "{read}");
    let wrong = put(json!({ "onLostLease": "retry" })).await;
    let problem = wrong.refused(400, "invalid_value");
    assert_eq!(problem["field"], "jobLimits.onLostLease", "{problem}");
    put(json!({ "leaseSeconds": 1 }))
        .await
        .refused(400, "invalid_value");
}
