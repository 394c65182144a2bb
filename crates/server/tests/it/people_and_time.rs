//! Approvals, groups, rules set aside, freezes and windows: over HTTP and a real store, each shown to hold.

use crate::world::{SetClock, World, person, until};
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use stagegate_model::{Actor, Command, Role};

/// One environment with one target, and nothing in its way.
const PLAIN: &str = r#"
type: System
name: Shop
---
type: JobAgent
name: local
agentType: exec
---
type: Resource
name: production-1
identifier: production-1
kind: Host
version: test/v1
---
type: Environment
name: Production
resourceSelector: "true"
---
type: Deployment
name: API
slug: api
jobAgent: { name: local, config: { steps: [{ run: "true" }] } }
"#;

/// Ten in the morning of a Monday.
const MONDAY: &str = "2026-01-05T10:00:00Z";

impl World {
    /// A shop with these rules before production, on a Monday morning.
    async fn with_rules(rules: &str) -> (Self, std::sync::Arc<SetClock>) {
        let clock = SetClock::new(MONDAY);
        let world = Self::at(clock.clone()).await;
        let policy = match rules {
            "" => String::new(),
            rules => format!("---\ntype: Policy\nname: Guard\nselector: \"true\"\nrules:\n{rules}"),
        };
        world.apply(&format!("{PLAIN}{policy}")).await.expect(200);
        (world, clock)
    }

    async fn admin(&self, method: &str, path: &str, body: Value) -> crate::world::Answer {
        let body = (!body.is_null()).then_some(body);
        self.call(Role::Admin, method, path, body).await
    }

    /// How many jobs wait for a runner; what a request has caused is decided when it is answered.
    async fn pending_jobs(&self) -> usize {
        let jobs = self.get("/jobs").await.expect(200);
        let jobs = jobs["items"].as_array().unwrap();
        jobs.iter()
            .filter(|it| it["job"]["status"] == "pending")
            .count()
    }

    /// Lets time pass and waits until what follows from it was decided.
    async fn pass(&self, clock: &SetClock, time: &str) {
        clock.set(time);
        let wake = self
            .controller
            .submit(self.workspace, Actor::System, Command::Wake, Vec::new());
        wake.await.unwrap();
    }

    async fn why(&self) -> Value {
        self.get("/why?deployment=api&environment=Production")
            .await
            .expect(200)
    }

    async fn gate(&self, kind: &str) -> Value {
        let why = self.why().await;
        let gates = why["gates"].as_array().unwrap();
        let gate = gates.iter().find(|it| it["kind"] == kind);
        gate.unwrap_or_else(|| panic!("no {kind} in {why}")).clone()
    }

    async fn rule_id(&self, kind: &str) -> String {
        self.gate(kind).await["ruleId"].as_str().unwrap().to_owned()
    }

    /// Votes with a key of one's own.
    async fn vote_with(&self, secret: &str, version: &Value, vote: &str) -> crate::world::Answer {
        let environment = self.id_of("/environments", "Production").await;
        let version = version["id"].as_str().unwrap();
        let path = self.path(&format!(
            "/deployment-versions/{version}/user-approval-records"
        ));
        let body = json!({"environmentIds": [environment], "status": vote});
        let request = Request::put(path)
            .header("X-API-Key", secret)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    async fn inbox_of(&self, secret: &str) -> Value {
        let request = Request::get(self.path("/inbox"))
            .header("X-API-Key", secret)
            .body(Body::empty())
            .unwrap();
        self.send(request).await.expect(200)
    }
}

const STAGES: &str = r"  - approval:
      stages:
        - { name: QA, approvers: [group:qa] }
        - { name: Release, approvers: [user:Rita], escalateAfterMinutes: 60, escalateTo: [role:admin] }
      expiresAfterHours: 48
";

#[tokio::test(flavor = "multi_thread")]
async fn approval_is_asked_in_stages_and_names_people() {
    let (world, clock) = World::with_rules("").await;
    let quinn = person(&world.controller, world.workspace, "quinn", Role::Approver).await;
    let rita = person(&world.controller, world.workspace, "rita", Role::Approver).await;
    let group = json!({"name": "qa", "members": ["Quinn"]});
    let group = world.admin("POST", "/groups", group).await.expect(201);
    assert_eq!(group["members"][0]["name"], "quinn");
    let guard = format!("type: Policy\nname: Guard\nselector: \"true\"\nrules:\n{STAGES}");
    world.apply(&guard).await.expect(200);
    let version = world.version("v1").await;
    assert_eq!(world.pending_jobs().await, 0);
    let gate = world.gate("approval").await;
    assert_eq!(gate["who"], json!(["group:qa"]), "{gate}");
    assert_eq!(
        gate["details"]["stages"][1]["approvers"],
        json!(["user:rita"])
    );

    // Who is not asked is refused, and told who is, by name.
    let refused = world.vote_with(&world.key(Role::Approver).secret, &version, "approved");
    let problem = refused.await.refused(403, "not_eligible");
    assert_eq!(
        problem["hint"], "they are: group:qa, user:rita",
        "{problem}"
    );
    let early = world.vote_with(&rita.secret, &version, "approved").await;
    early.refused(409, "stage_not_open");

    // It waits for Quinn and for nobody else.
    let mine = world.inbox_of(&quinn.secret).await;
    let asked = &mine["approvals"][0];
    assert_eq!(
        (&asked["stage"], &asked["missing"]),
        (&json!("QA"), &json!(1)),
        "{mine}"
    );
    assert_eq!(asked["expiresAt"], "2026-01-07T10:00:00.000Z");
    for secret in [&rita.secret, &world.key(Role::Viewer).secret] {
        assert_eq!(world.inbox_of(secret).await["approvals"], json!([]));
    }
    let voted = world.vote_with(&quinn.secret, &version, "approved").await;
    voted.expect(202);
    assert_eq!(world.pending_jobs().await, 0);
    assert_eq!(world.inbox_of(&quinn.secret).await["approvals"], json!([]));
    let asked = world.inbox_of(&rita.secret).await["approvals"][0].clone();
    assert_eq!(asked["stage"], "Release");
    assert_eq!(asked["escalatesAt"], "2026-01-05T11:00:00.000Z");
    assert_eq!(asked["votes"][0]["userName"], "quinn");
    let again = world.vote_with(&quinn.secret, &version, "approved").await;
    assert!(again.status == 202 || again.status == 409, "{}", again.text);

    // What was said of the version changes, and whoever decides next is told.
    let path = format!("/deploymentversions/{}", version["id"].as_str().unwrap());
    let body = json!({"metadata": {"tests": "skipped"}});
    world
        .call(Role::Ci, "PATCH", &path, Some(body))
        .await
        .expect(202);
    let asked = world.inbox_of(&rita.secret).await["approvals"][0].clone();
    assert_eq!(asked["votes"][0]["changedSince"], true, "{asked}");

    // Nobody answers for an hour: admins are asked too.
    let admin = &world.key(Role::Admin).secret;
    assert_eq!(world.inbox_of(admin).await["approvals"], json!([]));
    world.pass(&clock, "2026-01-05T11:00:00Z").await;
    assert_eq!(world.gate("approval").await["code"], "approval_escalated");
    let asked = world.inbox_of(admin).await["approvals"][0].clone();
    assert_eq!(asked["escalatesAt"], Value::Null);
    let voted = world.vote_with(admin, &version, "approved").await;
    voted.expect(202);
    assert_eq!(world.pending_jobs().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_expires_when_nobody_approves() {
    let rules = "  - approval: { stages: [{ name: QA, approvers: [role:approver] }], expiresAfterHours: 1 }\n";
    let (world, clock) = World::with_rules(rules).await;
    let version = world.version("v1").await;
    world.pass(&clock, "2026-01-05T11:00:00Z").await;
    let page = world.get("/promotions").await.expect(200);
    assert_eq!(page["items"][0]["status"], "expired", "{page}");
    let late = world
        .vote(version["id"].as_str().unwrap(), "Production", "approved")
        .await;
    assert!(late.status == 202 || late.status == 409, "{}", late.text);
    assert_eq!(world.pending_jobs().await, 0);
    let inbox = world.inbox_of(&world.key(Role::Approver).secret).await;
    assert_eq!(inbox["approvals"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_approval_counts_anyone_who_may_approve() {
    let (world, _) = World::with_rules("  - anyApproval: { minApprovals: 2 }\n").await;
    let version = world.version("v1").await;
    let admin = world.key(Role::Admin).secret.clone();
    for secret in [world.key(Role::Approver).secret.clone(), admin] {
        assert_eq!(world.pending_jobs().await, 0);
        let inbox = world.inbox_of(&secret).await;
        assert_eq!(inbox["approvals"][0]["kind"], "anyApproval", "{inbox}");
        assert_eq!(inbox["approvals"][0].get("stage"), None);
        world
            .vote_with(&secret, &version, "approved")
            .await
            .expect(202);
        assert_eq!(world.inbox_of(&secret).await["approvals"], json!([]));
    }
    assert_eq!(world.pending_jobs().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skip_opens_one_rule_in_its_scope_until_its_time() {
    let (world, clock) = World::with_rules("  - anyApproval: { minApprovals: 1 }\n").await;
    let first = world.version("v1").await;
    let rule = world.rule_id("anyApproval").await;
    let create = |body: Value| async { world.admin("POST", "/policy-skips", body).await };
    let past = json!({"ruleId": rule, "reason": "r", "expiresAt": "2026-01-05T09:00:00Z"});
    assert_eq!(
        create(past).await.refused(400, "invalid_time")["field"],
        "expiresAt"
    );
    let soon = json!({"ruleId": rule, "reason": "r", "expiresAt": "soon"});
    assert_eq!(
        create(soon).await.refused(400, "invalid_time")["field"],
        "expiresAt"
    );
    let silent = json!({"ruleId": rule, "reason": " "});
    create(silent).await.refused(400, "missing_field");
    let nothing = uuid::Uuid::from_u128(1);
    create(json!({"ruleId": nothing, "reason": "r"}))
        .await
        .refused(404, "rule_not_found");
    create(json!({"ruleId": rule, "reason": "r", "versionId": nothing}))
        .await
        .refused(404, "version_not_found");
    create(json!({"ruleId": rule, "reason": "r", "resourceId": nothing}))
        .await
        .refused(404, "resource_not_found");
    let path = format!("/policy-skips/{nothing}");
    world.get(&path).await.refused(404, "skip_not_found");
    world
        .admin("DELETE", &path, Value::Null)
        .await
        .refused(404, "skip_not_found");

    // Of another version it opens nothing for this one.
    let second = world.version("v2").await;
    let body = json!({"ruleId": rule, "reason": "incident 7", "versionId": first["id"],
        "expiresAt": "2026-01-05T12:00:00Z"});
    let other = create(body).await.expect(201);
    let gate = world.gate("anyApproval").await;
    assert_eq!(gate["allowed"], false, "{gate}");
    // The older version was let through past the newest, which a gate stops.
    assert_eq!(world.pending_jobs().await, 1);
    assert_eq!(other["createdByName"], "admin");
    assert_eq!(
        (&other["kind"], &other["policyName"]),
        (&json!("anyApproval"), &json!("Guard"))
    );
    assert_eq!(other["versionTag"], "v1");
    world.deploy().await;

    let environment = world.id_of("/environments", "Production").await;
    let body = json!({"ruleId": rule, "reason": "incident 8", "versionId": second["id"],
        "environmentId": environment, "expiresAt": "2026-01-05T12:00:00Z"});
    let skip = create(body).await.expect(201);
    assert_eq!(world.pending_jobs().await, 1);
    let gate = world.gate("anyApproval").await;
    assert_eq!(
        (&gate["allowed"], &gate["code"]),
        (&json!(true), &json!("skipped")),
        "{gate}"
    );
    let promotion = world.why().await["promotion"].as_str().unwrap().to_owned();
    let told = world
        .get(&format!("/promotions/{promotion}"))
        .await
        .expect(200);
    let timeline = told["timeline"].as_array().unwrap();
    let said = timeline
        .iter()
        .find(|it| it["kind"] == "skipCreated")
        .unwrap();
    assert_eq!(
        said["text"],
        "anyApproval of Guard was set aside until 2026-01-05T12:00:00.000Z: incident 8"
    );
    world.deploy().await;

    // Its time over, it opens nothing.
    world.pass(&clock, "2026-01-05T12:00:00Z").await;
    let path = format!("/policy-skips/{}", skip["id"].as_str().unwrap());
    assert_eq!(world.get(&path).await.expect(200)["expired"], true);
    world.version("v3").await;
    assert_eq!(world.pending_jobs().await, 0);

    let path = format!("{path}?reason=over");
    assert_eq!(world.admin("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(world.get("/policy-skips").await.expect(200)["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_holds_what_it_takes_until_it_ends_or_is_set_aside() {
    let (world, clock) = World::with_rules("").await;
    let post = |body: Value| async { world.admin("POST", "/freezes", body).await };
    let wrong = json!({"name": "f", "reason": "r", "selector": "environment.nme == 'x'"});
    let problem = post(wrong).await;
    assert_eq!(
        problem.refused(400, "cel_unknown_field")["field"],
        "selector"
    );
    let backwards = json!({"name": "f", "reason": "r", "endsAt": "2026-01-01T00:00:00Z"});
    assert_eq!(
        post(backwards).await.refused(400, "invalid_time")["field"],
        "endsAt"
    );
    post(json!({"name": "f", "reason": ""}))
        .await
        .refused(400, "missing_field");
    let elsewhere =
        json!({"name": "Elsewhere", "reason": "r", "selector": "environment.name == 'Staging'"});
    let elsewhere = post(elsewhere).await.expect(201);
    assert_eq!(elsewhere["environments"], json!([]));
    let body = json!({"name": "Holidays", "reason": "few people", "selector": "environment.name == 'Production'",
        "endsAt": "2026-01-06T08:00:00Z"});
    let freeze = post(body.clone()).await.expect(201);
    post(body).await.refused(409, "name_taken");
    assert_eq!(
        (&freeze["status"], &freeze["allowRollback"]),
        (&json!("inForce"), &json!(true))
    );
    assert_eq!(freeze["environments"][0]["name"], "Production");
    assert_eq!(freeze["startsAt"], "2026-01-05T10:00:00.000Z");

    let first = world.version("v1").await;
    assert_eq!(world.pending_jobs().await, 0);
    let gate = world.gate("freeze").await;
    assert_eq!(
        (&gate["code"], &gate["policyName"]),
        (&json!("frozen"), &json!("Holidays"))
    );
    let id = freeze["id"].as_str().unwrap().to_owned();
    let skip = json!({"ruleId": id, "reason": "security fix", "versionId": first["id"]});
    let skip = world.admin("POST", "/policy-skips", skip).await.expect(201);
    assert_eq!(
        (&skip["kind"], &skip["policyName"]),
        (&json!("freeze"), &json!("Holidays"))
    );
    assert_eq!(world.pending_jobs().await, 1);
    world.deploy().await;

    world.version("v2").await;
    assert_eq!(world.pending_jobs().await, 0);
    world.pass(&clock, "2026-01-06T07:59:59Z").await;
    assert_eq!(world.pending_jobs().await, 0);
    world.pass(&clock, "2026-01-06T08:00:00Z").await;
    assert_eq!(world.pending_jobs().await, 1);
    world.deploy().await;

    // Changed, it keeps its beginning; without an end it holds until a person ends it.
    let path = format!("/freezes/{id}");
    let body = json!({"name": "Holidays", "reason": "still few people"});
    let changed = world.admin("PUT", &path, body).await.expect(200);
    assert_eq!(changed["startsAt"], freeze["startsAt"]);
    assert_eq!(
        (&changed["selector"], changed.get("endsAt")),
        (&json!("true"), None)
    );
    world.version("v3").await;
    assert_eq!(world.pending_jobs().await, 0);
    let promotion = world.why().await["promotion"].as_str().unwrap().to_owned();
    let ended = world
        .admin("DELETE", &format!("{path}?reason=back"), Value::Null)
        .await;
    assert_eq!(ended.status, 204);
    assert_eq!(world.pending_jobs().await, 1);
    world.get(&path).await.refused(404, "freeze_not_found");
    let told = world
        .get(&format!("/promotions/{promotion}"))
        .await
        .expect(200);
    assert!(
        told["timeline"].to_string().contains("was ended: back"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_window_holds_until_it_opens() {
    // From eight to nine in the evening in Berlin, which is UTC+1 then.
    let rules = "  - deploymentWindow: { rrule: \"FREQ=DAILY;BYHOUR=20;BYMINUTE=0\", durationMinutes: 60, timezone: Europe/Berlin }\n";
    let (world, clock) = World::with_rules(rules).await;
    world.version("v1").await;
    assert_eq!(world.pending_jobs().await, 0);
    let calendar = world
        .get("/windows?to=2026-01-08T10:00:00Z")
        .await
        .expect(200);
    let window = &calendar["windows"][0];
    assert_eq!(
        (&window["open"], &window["until"], &window["timezone"]),
        (
            &json!(false),
            &json!("2026-01-05T19:00:00.000Z"),
            &json!("Europe/Berlin")
        )
    );
    assert_eq!(window["spans"].as_array().unwrap().len(), 3, "{window}");
    assert_eq!(window["spans"][0]["fromLocal"], "Mon 2026-01-05 20:00");
    assert_eq!(window["environments"][0]["name"], "Production");
    let here = world
        .get("/windows?environment=production")
        .await
        .expect(200);
    assert_eq!(here["windows"][0]["spans"].as_array().unwrap().len(), 28);
    let nowhere = world.get("/windows?environment=Mars").await;
    nowhere.refused(404, "environment_not_found");
    let backwards = world.get("/windows?to=2026-01-01T00:00:00Z").await;
    assert_eq!(backwards.refused(400, "invalid_time")["field"], "to");

    world.pass(&clock, "2026-01-05T18:59:59Z").await;
    assert_eq!(world.pending_jobs().await, 0);
    world.pass(&clock, "2026-01-05T19:00:00Z").await;
    assert_eq!(world.pending_jobs().await, 1);
    let calendar = world.get("/windows").await.expect(200);
    assert_eq!(calendar["windows"][0]["open"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_cooldown_gathers_versions() {
    let (world, clock) =
        World::with_rules("  - versionCooldown: { intervalSeconds: 3600 }\n").await;
    world.version("v1").await;
    assert_eq!(world.pending_jobs().await, 1);
    world.deploy().await;
    world.pass(&clock, "2026-01-05T10:30:00Z").await;
    world.version("v2").await;
    assert_eq!(world.pending_jobs().await, 0);
    world.pass(&clock, "2026-01-05T11:00:00Z").await;
    assert_eq!(world.pending_jobs().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_selector_keeps_others_out() {
    let rules = "  - versionSelector: { selector: \"!version.tag.contains('rc')\", description: no candidates }\n";
    let (world, _) = World::with_rules(rules).await;
    world.version("v1-rc1").await;
    assert_eq!(world.pending_jobs().await, 0);
    world.version("v1").await;
    assert_eq!(world.pending_jobs().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_kept_and_those_in_use_stay() {
    let (world, _) = World::with_rules("").await;
    let put = |id: &str, body: Value| {
        let path = format!("/groups/{id}");
        let world = &world;
        async move { world.admin("PUT", &path, body).await }
    };
    let nobody = json!({"name": "qa", "members": ["approver", "nobody"]});
    let problem = world.admin("POST", "/groups", nobody).await;
    let problem = problem.refused(400, "unknown_user");
    assert_eq!(problem["field"], "members[1]");
    assert_eq!(
        problem["hint"],
        "there are: admin, agent, approver, ci, viewer"
    );
    let stranger = json!({"name": "qa", "members": [uuid::Uuid::from_u128(1)]});
    world
        .admin("POST", "/groups", stranger)
        .await
        .refused(400, "unknown_user");
    let body = json!({"name": "qa", "members": ["approver", world.key(Role::Admin).user]});
    let group = world.admin("POST", "/groups", body).await.expect(201);
    let names: Vec<_> = group["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(names, ["admin", "approver"]);
    let same = json!({"name": "QA", "members": []});
    world
        .admin("POST", "/groups", same)
        .await
        .refused(409, "name_taken");
    let id = group["id"].as_str().unwrap();
    assert_eq!(world.get("/groups").await.expect(200)["items"][0], group);

    let policy = json!({"name": "P", "rules": [{"approval": {"stages": [
        {"name": "QA", "approvers": ["group:Qa"]}]}}]});
    world.admin("POST", "/policies", policy).await.expect(202);
    put(id, json!({"name": "quality", "members": []}))
        .await
        .refused(409, "group_in_use");
    let path = format!("/groups/{id}");
    world
        .admin("DELETE", &path, Value::Null)
        .await
        .refused(409, "group_in_use");
    let emptied = put(id, json!({"name": "qa", "members": []}))
        .await
        .expect(200);
    assert_eq!(emptied["members"], json!([]));
    let policy = world.id_of("/policies", "P").await;
    let deleted = world
        .admin("DELETE", &format!("/policies/{policy}"), Value::Null)
        .await;
    deleted.expect(202);
    assert_eq!(world.admin("DELETE", &path, Value::Null).await.status, 204);
    world.get(&path).await.refused(404, "group_not_found");
    world
        .admin("DELETE", &path, Value::Null)
        .await
        .refused(404, "group_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_ids_in_the_log_and_names_everywhere_else() {
    let (world, _) = World::with_rules("").await;
    let alice = person(&world.controller, world.workspace, "alice", Role::Approver).await;
    let rule = |approver: &str| {
        json!({"approval": {"stages": [
            {"name": "QA", "approvers": [approver, "role:admin"]}]}})
    };
    let body = |approver: &str| json!({"name": "P", "rules": [rule(approver)]});
    let unknown = world.admin("POST", "/policies", body("user:bob")).await;
    let problem = unknown.refused(400, "unknown_user");
    assert_eq!(problem["field"], "rules[0].approval.stages[0].approvers[0]");
    assert_eq!(problem["detail"], "there is no user `bob`");
    let policy = world
        .admin("POST", "/policies", body("user:alice"))
        .await
        .expect(202);
    assert_eq!(
        policy["rules"][0]["approval"],
        rule("user:alice")["approval"]
    );
    let path = format!("/policies/{}", policy["id"].as_str().unwrap());
    assert_eq!(world.get(&path).await.expect(200), policy);
    assert_eq!(world.get("/policies").await.expect(200)["items"][0], policy);
    // The log has the id.
    let named = format!("user:{}", alice.user);
    let read = world.controller.read(world.workspace, |engine| {
        let policies = engine.state().policies().values();
        policies
            .map(|it| it.rules[0].spec.to_string())
            .collect::<String>()
    });
    let stored = read.await.unwrap();
    assert!(
        stored.contains(&named) && !stored.contains("alice"),
        "{stored}"
    );
    // Written again by name, in other letters, or by id, the rule stays itself.
    for approver in ["user:alice", "user:ALICE", &named] {
        let again = world.admin("PUT", &path, body(approver)).await.expect(202);
        assert_eq!(
            again["rules"][0]["id"], policy["rules"][0]["id"],
            "{approver}"
        );
        let text = format!(
            "type: Policy\nname: P\nselector: \"true\"\nrules:\n  - approval: {{ stages: [{{ name: QA, approvers: [\"{approver}\", role:admin] }}] }}\n"
        );
        let report = world.apply(&text).await.expect(200);
        assert_eq!(
            report["documents"][0]["action"], "unchanged",
            "{approver}: {report}"
        );
    }
    let key = &world.key(Role::Viewer).secret;
    let request = Request::get(world.path("/export")).header("X-API-Key", key);
    let exported = world.send(request.body(Body::empty()).unwrap()).await.text;
    assert!(
        exported.contains("user:alice") && !exported.contains(&named),
        "{exported}"
    );
    let report = world.apply(&exported).await.expect(200);
    let documents = report["documents"].as_array().unwrap();
    assert!(
        documents.iter().all(|it| it["action"] == "unchanged"),
        "{report}"
    );
    // A difference is told in names, a mistake with its place.
    let changed = exported.replace("role:admin", "user:approver");
    let dry = json!({"files": [{"name": "f.yaml", "text": changed}]});
    let report = world
        .admin("POST", "/apply?dryRun=true", dry)
        .await
        .expect(200);
    let told = report["documents"].to_string();
    assert!(
        told.contains("user:approver") && !told.contains(&named),
        "{told}"
    );
    let wrong = exported.replace("user:alice", "user:alcie");
    let problem = world.apply(&wrong).await.refused(400, "unknown_user");
    let error = &problem["errors"][0];
    assert_eq!(error["field"], "rules[0].approval.stages[0].approvers[0]");
    assert!(
        error["hint"]
            .as_str()
            .unwrap()
            .contains("did you mean `alice`"),
        "{error}"
    );
    let line = wrong
        .lines()
        .position(|line| line.contains("alcie"))
        .unwrap()
        + 1;
    assert_eq!(error["line"], line, "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_tells_what_there_is_to_go_by() {
    let world = World::shop().await;
    world.version("v1").await;
    let inbox = async || world.inbox_of(&world.key(Role::Approver).secret).await;
    // Staging has not passed: it is told that something else is missing too.
    let early = inbox().await["approvals"][0].clone();
    assert_eq!(
        early["alsoWaitsFor"].as_array().unwrap().len(),
        1,
        "{early}"
    );
    world.deploy().await;
    let ready = until("a version that only lacks approvals", async || {
        let asked = inbox().await["approvals"][0].clone();
        (asked["alsoWaitsFor"] == json!([])).then_some(asked)
    })
    .await;
    assert_eq!(
        ready["upstream"][0]["environment"]["name"], "Staging",
        "{ready}"
    );
    assert_eq!(ready["upstream"][0]["status"], "succeeded");
    assert_eq!(ready["upstream"][0]["targets"]["succeeded"], 1);
    assert_eq!(
        (&ready["missing"], &ready["versionCreatedBy"]),
        (&json!(1), &json!("ci"))
    );
    // Whoever rejected it is not asked again.
    let version = ready["version"]["id"].as_str().unwrap();
    world
        .vote(version, "Production", "rejected")
        .await
        .expect(202);
    assert_eq!(inbox().await["approvals"], json!([]));
}
