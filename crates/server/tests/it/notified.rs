//! People are told: what is done over HTTP arrives at a webhook, once, in words and with names.

use crate::departures::tag;
use crate::world::{SetClock, World, until};
use serde_json::{Value, json};
use stagegate_model::Role;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A webhook's receiver that takes everything.
struct Receiver {
    port: u16,
    messages: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            messages: Arc::default(),
        };
        let messages = Arc::clone(&receiver.messages);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let message = take(stream).await;
                messages.lock().unwrap().push(message);
            }
        });
        receiver
    }

    fn messages(&self) -> Vec<Value> {
        self.messages.lock().unwrap().clone()
    }

    /// The first message that tells of such an event.
    async fn hears(&self, event: &str) -> Value {
        let messages = || self.messages();
        until(event, async || {
            messages()
                .into_iter()
                .find(|it| events(it).contains(&event.to_owned()))
        })
        .await
    }
}

async fn take(mut stream: TcpStream) -> Value {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the request was cut off");
        request.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|it| it.strip_prefix("content-length: "));
        if body.len() < length.unwrap().parse().unwrap() {
            continue;
        }
        let answer = "HTTP/1.1 204 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        return serde_json::from_str(body).unwrap();
    }
}

fn events(message: &Value) -> Vec<String> {
    let events = message["events"].as_array().unwrap().iter();
    events
        .map(|it| it["type"].as_str().unwrap().to_owned())
        .collect()
}

impl World {
    /// With a notifier that tells the receiver what `filter` says.
    async fn telling(&self, filter: &str) -> Receiver {
        let receiver = Receiver::start().await;
        let document = format!(
            "type: Notifier\nname: Ops\nnotifierType: webhook\n\
             config: {{ url: 'http://127.0.0.1:{}/' }}\n{filter}",
            receiver.port
        );
        self.apply(&document).await.expect(200);
        receiver
    }

    async fn does(&self, role: Role, method: &str, path: &str, body: Value) -> Value {
        let body = (!body.is_null()).then_some(body);
        let answer = self.call(role, method, path, body).await;
        assert!(answer.status.is_success(), "{}", answer.text);
        match answer.text.as_str() {
            "" => Value::Null,
            _ => answer.json(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_and_a_quarantine_are_one_message_and_their_end_is_another() {
    let world = World::three("rollback: { onJobStatuses: [failure] }").await;
    world.version("v1").await;
    world.settle().await;
    let filter = "events: [rollbackStarted, versionQuarantined, quarantineCleared]\n";
    let receiver = world.telling(filter).await;
    world.version("v2").await;
    let job = world.claim("one").await;
    assert_eq!(tag(&job), "v2");
    let host = job["dispatchContext"]["resource"]["name"].as_str().unwrap();
    world.report(&job, "failure").await.expect(202);
    let message = receiver.hears("rollbackStarted").await;
    assert_eq!(
        events(&message),
        ["versionQuarantined", "rollbackStarted"],
        "{message}"
    );
    assert_eq!(message["subject"], "API v2 is quarantined in Production");
    let promotion = world.promotion("v2").await;
    assert_eq!(message["promotion"], promotion["id"]);
    let back = &message["events"][1];
    assert_eq!(
        (&back["targets"][0]["name"], &back["targetCount"]),
        (&json!(host), &json!(1))
    );
    let line = back["message"].as_str().unwrap();
    assert!(
        line.starts_with(&format!("{host} goes back to v1: ")),
        "{line}"
    );
    assert!(
        back["reason"].as_str().unwrap().contains("said failure"),
        "{back}"
    );

    world.settle().await;
    let body = json!({"deployment": "api", "environment": "production", "version": "v2",
        "reason": "it was the database"});
    world
        .does(Role::Approver, "POST", "/quarantine/clear", body)
        .await;
    let message = receiver.hears("quarantineCleared").await;
    assert_eq!(
        message["subject"],
        "API v2 is no longer quarantined in Production"
    );
    assert_eq!(message["text"], "cleared by approver: it was the database");
    assert_eq!(receiver.messages().len(), 2, "{:?}", receiver.messages());
}

#[tokio::test(flavor = "multi_thread")]
async fn breaking_the_glass_is_told_alone_and_marked_from_then_on() {
    let world = World::three("anyApproval: { minApprovals: 2 }").await;
    world.version("v1").await;
    let receiver = world.telling("environments: [Production]\n").await;
    let body = json!({"deployment": "api", "environment": "production", "version": "v1",
        "resources": ["host-1", "host-2"], "reason": "INC-42"});
    world
        .does(Role::Admin, "POST", "/release-targets/break-glass", body)
        .await;
    let message = receiver.hears("breakGlass").await;
    assert_eq!(events(&message), ["breakGlass"], "{message}");
    assert_eq!(
        message["subject"],
        "BREAK-GLASS: API v1 goes past every gate into Production"
    );
    assert_eq!(
        message["text"],
        "admin puts it on host-1, host-2 past every gate: INC-42"
    );
    assert_eq!(message["breakGlass"], true);
    assert_eq!(message["deployedVersion"]["name"], "v1");
    let event = &message["events"][0];
    assert_eq!(event["reason"], "INC-42");
    assert_eq!(event["person"]["name"], "admin");
    assert_eq!(event["targetCount"], 2);
    assert_eq!(event["targets"][1]["name"], "host-2");

    let job = world.claim("one").await;
    world.report(&job, "externalRunNotFound").await.expect(202);
    let lost = receiver.hears("jobLost").await;
    let promotion = world.promotion("v1").await;
    assert_eq!(lost["promotion"], promotion["id"]);
    assert_eq!(lost["breakGlass"], true, "{lost}");
    let subject = lost["subject"].as_str().unwrap();
    assert!(subject.starts_with("BREAK-GLASS: API v1 "), "{subject}");
    let told = receiver.messages();
    let broken = told
        .iter()
        .filter(|it| events(it).contains(&"breakGlass".to_owned()));
    assert_eq!(broken.count(), 1, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_rollout_is_told_with_who_paused_it_or_that_its_budget_is_spent() {
    let rule = "gradualRollout: { rolloutType: linear, timeScaleInterval: 0, waves: [{ count: 1 }, { count: 2 }], maxFailures: 1 }";
    let world = World::three(rule).await;
    let receiver = world
        .telling("events: [rolloutPaused, rolloutResumed]\n")
        .await;
    world.version("v1").await;
    let promotion = world.promotion("v1").await;
    let id = promotion["id"].as_str().unwrap();
    let act = async |verb: &str, reason: &str| {
        let path = format!("/promotions/{id}/{verb}");
        let body = json!({ "reason": reason });
        world.does(Role::Approver, "POST", &path, body).await
    };
    act("pause", "looking into it").await;
    let message = receiver.hears("rolloutPaused").await;
    assert_eq!(message["subject"], "API v1 is paused in Production");
    assert_eq!(message["text"], "paused by approver: looking into it");
    assert_eq!(message["promotion"], id);
    // It is paused already: nothing happens, so nothing is told.
    act("pause", "again").await;
    act("resume", "").await;
    let message = receiver.hears("rolloutResumed").await;
    assert_eq!(message["subject"], "API v1 goes on in Production");
    assert_eq!(message["text"], "resumed by approver");

    let job = world.claim("one").await;
    world.report(&job, "failure").await.expect(202);
    let messages = until("the budget's pause", async || {
        Some(receiver.messages()).filter(|it| it.len() == 3)
    })
    .await;
    assert_eq!(events(&messages[2]), ["rolloutPaused"], "{messages:?}");
    assert_eq!(
        messages[2]["text"],
        "its budget of failures is spent: 1 target failed"
    );
    assert_eq!(messages[2]["events"][0].get("person"), None);
}

/// Two environments, so that a freeze can take one of them.
const STAGES: &str = r#"
type: System
name: Shop
---
type: JobAgent
name: local
agentType: exec
---
type: Environment
name: Staging
---
type: Environment
name: Production
resourceSelector: "true"
---
type: Resource
name: production-1
identifier: production-1
kind: Host
version: test/v1
---
type: Deployment
name: API
slug: api
jobAgent: { name: local, config: { steps: [{ run: "true" }] } }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_is_told_where_it_takes_something_when_it_is_set_changed_and_ended() {
    let clock = SetClock::new("2026-01-05T10:00:00Z");
    let world = World::at(clock.clone()).await;
    world.apply(STAGES).await.expect(200);
    let production = world
        .telling("environments: [Production]\nselector: version.tag == 'v1' && deployment.slug == 'api'\n")
        .await;
    let other = world.apply(
        "type: Notifier\nname: Other\nnotifierType: webhook\nconfig: { url: 'http://127.0.0.1:9/' }\n\
         environments: [Staging]\n",
    );
    other.await.expect(200);
    let body = json!({"name": "Holidays", "reason": "few people", "endsAt": "2026-01-06T08:00:00Z",
        "selector": "environment.name == 'Production'", "allowRollback": false});
    let freeze = world.does(Role::Admin, "POST", "/freezes", body).await;
    let path = format!("/freezes/{}", freeze["id"].as_str().unwrap());
    let message = production.hears("freezeSet").await;
    assert_eq!(message["subject"], "The freeze Holidays was set");
    assert_eq!(
        message["text"],
        "from 2026-01-05T10:00:00.000Z on, until 2026-01-06T08:00:00.000Z, it holds Production, \
         rollbacks included, set by admin: few people"
    );
    let told = &message["freeze"];
    assert_eq!(told["id"], freeze["id"]);
    assert_eq!(
        (&told["startsAt"], &told["endsAt"], &told["allowRollback"]),
        (
            &json!("2026-01-05T10:00:00.000Z"),
            &json!("2026-01-06T08:00:00.000Z"),
            &json!(false)
        )
    );
    assert_eq!(told["environments"][0]["name"], "Production");
    assert_eq!(told["environments"].as_array().unwrap().len(), 1);
    for absent in ["promotion", "deployment", "environment", "breakGlass"] {
        assert_eq!(message.get(absent), None, "{message}");
    }

    clock.set("2026-01-05T11:00:00Z");
    let body = json!({"name": "Holidays", "reason": "still few people",
        "selector": "environment.name == 'Production'"});
    world.does(Role::Admin, "PUT", &path, body).await;
    let messages = until("the change", async || {
        Some(production.messages()).filter(|it| it.len() == 2)
    })
    .await;
    assert_eq!(messages[1]["subject"], "The freeze Holidays was changed");
    assert_eq!(messages[1]["freeze"].get("endsAt"), None);

    let ended = format!("{path}?reason=back");
    world.does(Role::Admin, "DELETE", &ended, Value::Null).await;
    let message = production.hears("freezeEnded").await;
    assert_eq!(message["subject"], "The freeze Holidays has ended");
    assert_eq!(message["text"], "ended by admin: back");
    assert_eq!(message["freeze"]["reason"], "still few people");
    let ids: BTreeSet<_> = production
        .messages()
        .iter()
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 3, "each thing is told once");
    // Who is told of Staging alone has nothing to do with it.
    let page = world.get("/notifiers").await.expect(200);
    let notifiers = page["items"].as_array().unwrap();
    let other = notifiers.iter().find(|it| it["name"] == "Other").unwrap();
    assert_eq!(other["status"]["pending"], 0, "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_escalation_is_told_once_with_the_names_of_who_is_asked_now() {
    let clock = SetClock::new("2026-01-05T10:00:00Z");
    let world = World::at(clock.clone()).await;
    let policy = "---\ntype: Policy\nname: Guard\nselector: \"true\"\nrules:\n  - approval:\n      stages:\n        \
         - { name: QA, approvers: [role:approver], escalateAfterMinutes: 60, escalateTo: [user:Admin] }\n      \
         expiresAfterHours: 48\n";
    world.apply(&format!("{STAGES}{policy}")).await.expect(200);
    let receiver = world.telling("").await;
    world.version("v1").await;
    let asked = receiver.hears("approvalNeeded").await;
    assert!(
        !asked["text"].as_str().unwrap().contains("admin"),
        "{asked}"
    );
    for time in ["2026-01-05T11:00:00Z", "2026-01-05T12:00:00Z"] {
        clock.set(time);
        let wake = world.controller.submit(
            world.workspace,
            stagegate_model::Actor::System,
            stagegate_model::Command::Wake,
            Vec::new(),
        );
        wake.await.unwrap();
    }
    let message = receiver.hears("approvalEscalated").await;
    assert_eq!(events(&message), ["approvalEscalated"]);
    assert_eq!(
        message["subject"],
        "API v1 still waits for approval in Production"
    );
    assert_eq!(
        message["text"],
        "approvals: 0 of 1 from QA; QA asked since 2026-01-05T10:00:00.000Z; \
         from 2026-01-05T11:00:00.000Z on also user:admin may"
    );
    assert_eq!(message["promotion"], asked["promotion"]);
    assert_ne!(message["id"], asked["id"]);
    let told: Vec<_> = receiver.messages().iter().flat_map(events).collect();
    assert_eq!(told, ["approvalNeeded", "approvalEscalated"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_the_next_stage_are_asked_when_it_opens() {
    let world = World::new().await;
    let policy = "---\ntype: Policy\nname: Guard\nselector: \"true\"\nrules:\n  - approval:\n      stages:\n        \
         - { name: QA, approvers: [role:approver] }\n        - { name: Owners, approvers: [role:admin] }\n";
    world.apply(&format!("{STAGES}{policy}")).await.expect(200);
    let receiver = world.telling("").await;
    let version = world.version("v1").await;
    receiver.hears("approvalNeeded").await;
    let id = version["id"].as_str().unwrap();
    world.vote(id, "Production", "approved").await.expect(202);
    let asked = until("Owners", async || {
        let messages = receiver.messages();
        let mut texts = messages.iter().filter_map(|it| it["text"].as_str());
        let asked = texts.find(|text| text.contains("from Owners"));
        asked.map(str::to_owned)
    })
    .await;
    assert!(asked.contains("0 of 1 from Owners"), "{asked}");
}
