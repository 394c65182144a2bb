//! Rules that depart from the ordinary course, through the real store and HTTP: each test fails if its rule were kept
//! and not enforced.

use crate::world::{World, until};
use serde_json::{Value, json};
use stagegate_model::Role;

/// One environment with three hosts, and a rule.
fn three(rule: &str) -> String {
    let hosts: String = (1..=3)
        .map(|n| {
            format!(
                "---\ntype: Resource\nname: host-{n}\nidentifier: host-{n}\nkind: Host\nversion: test/v1\n\
                 metadata: {{ zone: z{} }}\n",
                n % 2
            )
        })
        .collect();
    format!(
        "type: System\nname: Shop\n---\ntype: JobAgent\nname: local\nagentType: exec\n---\n\
         type: Environment\nname: Production\nresourceSelector: \"true\"\n---\n\
         type: Deployment\nname: API\nslug: api\n\
         jobAgent: {{ name: local, config: {{ steps: [{{ run: \"echo {{{{ version.tag }}}}\" }}] }} }}\n\
         {hosts}---\ntype: Policy\nname: Rules\nrules:\n  - {rule}\n"
    )
}

impl World {
    pub async fn three(rule: &str) -> Self {
        let world = Self::new().await;
        world.apply(&three(rule)).await.expect(200);
        world
    }

    /// The jobs that wait for a runner, oldest first.
    pub async fn pending(&self) -> Vec<Value> {
        let agent = self.id_of("/job-agents", "local").await;
        let path = format!("/job-agents/{agent}/jobs?status=pending&includeDispatchContext=true");
        let page = self.call(Role::Agent, "GET", &path, None).await.expect(200);
        page["items"].as_array().unwrap().clone()
    }

    /// Does every job there is with success, until there is none.
    pub async fn settle(&self) {
        while !self.pending().await.is_empty() {
            self.deploy().await;
        }
    }

    pub async fn promotion(&self, tag: &str) -> Value {
        let path = format!("/promotions?version={tag}&environment=Production");
        self.get(&path).await.expect(200)["items"][0].clone()
    }

    pub async fn timeline(&self, promotion: &Value) -> Vec<String> {
        let path = format!("/promotions/{}", promotion["id"].as_str().unwrap());
        let detail = self.get(&path).await.expect(200);
        let events = detail["timeline"].as_array().unwrap();
        let texts = events.iter().map(|it| it["text"].as_str().unwrap());
        texts.map(str::to_owned).collect()
    }
}

pub fn tag(job: &Value) -> &str {
    job["dispatchContext"]["version"]["tag"].as_str().unwrap()
}

fn place(job: &Value) -> &str {
    job["dispatchContext"]["resource"]["name"].as_str().unwrap()
}

#[track_caller]
fn told(timeline: &[String], text: &str) {
    assert!(
        timeline.iter().any(|it| it.contains(text)),
        "`{text}` in {timeline:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_is_tried_again_as_often_as_the_rule_says() {
    let world = World::three("retry: { maxRetries: 1, backoffSeconds: 0 }").await;
    world.version("v1").await;
    let first = world.claim("one").await;
    let host = place(&first).to_owned();
    world.report(&first, "failure").await.expect(202);
    let again = until("a second attempt", async || {
        let pending = world.pending().await;
        pending.into_iter().find(|job| job["attempt"] == 2)
    })
    .await;
    assert_eq!(place(&again), host);
    assert_eq!(again["kind"], "retry");
    assert_eq!(again["releaseId"], first["releaseId"]);
    let timeline = world.timeline(&world.promotion("v1").await).await;
    told(
        &timeline,
        &format!("the job on {host} is tried again: attempt 2 at"),
    );
    told(&timeline, &format!("a job for {host}: attempt 2"));

    let second = loop {
        let job = world.claim("one").await;
        if place(&job) == host {
            break job;
        }
        world.report(&job, "successful").await.expect(202);
    };
    world.report(&second, "failure").await.expect(202);
    world.settle().await;
    let ended = until("the promotion's end", async || {
        Some(world.promotion("v1").await).filter(|it| it["status"] == "failed")
    })
    .await;
    assert_eq!(ended["targets"]["failed"], 1, "{ended}");
    assert!(
        world.pending().await.is_empty(),
        "there was a third attempt"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_goes_back_and_is_held_and_quarantined() {
    let world = World::three("rollback: { onJobStatuses: [failure] }").await;
    world.version("v1").await;
    world.settle().await;
    world.version("v2").await;
    let job = world.claim("one").await;
    assert_eq!(tag(&job), "v2");
    let host = place(&job).to_owned();
    world.report(&job, "failure").await.expect(202);
    let back = until("a job that goes back", async || {
        let pending = world.pending().await;
        pending.into_iter().find(|job| tag(job) == "v1")
    })
    .await;
    assert_eq!((place(&back), &back["kind"]), (&*host, &json!("rollback")));
    world.settle().await;

    let quarantine = world.get("/quarantine").await.expect(200);
    assert_eq!(quarantine["total"], 1, "{quarantine}");
    assert_eq!(quarantine["items"][0]["version"]["tag"], "v2");
    assert_eq!(quarantine["items"][0]["targets"], 2, "others keep it");
    let status = world.get("/status").await.expect(200);
    let production = &status["deployments"][0]["environments"][0];
    assert_eq!(production["held"], 1, "{production}");
    let cell = &status["deployments"][0]["versions"][0]["cells"][0];
    assert_eq!(cell["marks"], json!(["quarantined"]), "{cell}");
    let why = world
        .get("/why?deployment=api&environment=production&version=v2")
        .await
        .expect(200);
    let targets = why["targets"].as_array().unwrap();
    let held = targets.iter().find(|it| it["resource"] == *host).unwrap();
    assert_eq!(
        (&held["state"], &held["kind"]),
        (&json!("held"), &json!("rollback"))
    );
    let timeline = world.timeline(&world.promotion("v2").await).await;
    told(&timeline, &format!("{host} is rolled back from v2 to v1"));
    told(&timeline, "v2 is quarantined in Production");
    let rollback = world.timeline(&world.promotion("v1").await).await;
    told(&rollback, "Production goes back to v1 (attempt 2)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_releases_one_wave_after_the_other() {
    let rule = "gradualRollout: { rolloutType: linear, timeScaleInterval: 0, waves: [{ count: 1 }, { count: 2 }] }";
    let world = World::three(rule).await;
    world.version("v1").await;
    let job = world.claim("one").await;
    assert!(
        world.pending().await.is_empty(),
        "the second wave did not wait"
    );
    let promotion = world.promotion("v1").await;
    let rollout = &promotion["rollouts"][0];
    assert_eq!(
        [
            &rollout["released"],
            &rollout["total"],
            &rollout["wave"],
            &rollout["waves"]
        ],
        [1, 3, 1, 2],
        "{promotion}"
    );
    // While it is paused nothing further starts, whatever happens.
    let id = promotion["id"].as_str().unwrap();
    let act = async |verb: &str, reason: &str| {
        let path = format!("/promotions/{id}/{verb}");
        let body = json!({ "reason": reason });
        world.call(Role::Approver, "POST", &path, Some(body)).await
    };
    let paused = act("pause", "looking into it").await.expect(200);
    assert_eq!(paused["paused"]["reason"], "looking into it", "{paused}");
    world.report(&job, "successful").await.expect(202);
    assert!(world.pending().await.is_empty(), "it was not paused");
    let resumed = act("resume", "all is well").await.expect(200);
    assert_eq!(resumed["paused"], Value::Null);
    assert_eq!(world.pending().await.len(), 2);
    world.settle().await;
    let promotion = world.promotion("v1").await;
    assert_eq!(promotion["status"], "succeeded", "{promotion}");
    let timeline = world.timeline(&promotion).await;
    told(&timeline, "the rollout over 3 targets begins in 2 waves");
    told(&timeline, "the rollout is paused: looking into it");
    told(&timeline, "the rollout is resumed: all is well");
    told(&timeline, "wave 2 of the rollout begins");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_targets_are_worked_on_at_a_time_than_the_rule_says() {
    let world = World::three("concurrency: { max: 1, scope: resource.metadata.zone }").await;
    world.version("v1").await;
    // host-1 and host-3 share a zone.
    let pending = world.pending().await;
    assert_eq!(pending.len(), 2, "{pending:?}");
    let zoned = async || {
        let pending = world.pending().await;
        pending.iter().filter(|it| place(it) != "host-2").count()
    };
    assert_eq!(zoned().await, 1);
    let why = world
        .get("/why?deployment=api&environment=production&version=v1")
        .await
        .expect(200);
    let waits = why["targets"].as_array().unwrap().iter();
    let waits: Vec<&str> = waits.filter_map(|it| it["reason"].as_str()).collect();
    assert!(
        waits.iter().any(|it| it.contains("1 of at most 1 targets")),
        "{waits:?}"
    );
    world.settle().await;
    assert_eq!(world.promotion("v1").await["status"], "succeeded");
}
