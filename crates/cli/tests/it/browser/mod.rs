//! The pages as a person has them: in a real browser, against the real server.

mod driver;

use crate::harness::{Server, server, within_patience};
use driver::Browser;
use serde_json::{Value, json};
use std::process::{Child, Stdio};

/// Finds the board's cell of a version in an environment and gives the text in it.
const CELL: &str = r#"
    const [tag, environment] = arguments;
    const table = document.querySelector("table.board");
    if (!table) return "";
    const column = [...table.tHead.rows[0].cells].findIndex((it) => it.innerText.startsWith(environment));
    const row = [...table.tBodies[0].rows].find((it) => it.cells[0].innerText.startsWith(tag));
    return row && column > 0 ? row.cells[column].innerText : "";
"#;

impl Browser {
    #[track_caller]
    fn sign_in(&self, server: &Server, key: &str) {
        self.open(&server.url);
        assert_eq!(self.place(), "/login");
        self.type_into("#key", key);
        self.click("form.login button");
        within_patience(|| (self.place() == "/").then_some(()));
    }

    /// Waits until a cell has all of this in it.
    #[track_caller]
    fn see(&self, tag: &str, environment: &str, texts: &[&str]) {
        let arguments = [json!(tag), json!(environment)];
        within_patience(|| {
            let cell = self.script(CELL, &arguments);
            let cell = cell.as_str()?;
            texts.iter().all(|text| cell.contains(text)).then_some(())
        });
    }

    /// Waits until the page has the text on it.
    #[track_caller]
    fn see_text(&self, text: &str) {
        within_patience(|| {
            let shown = self.script("return document.body.innerText", &[]);
            shown.as_str()?.contains(text).then_some(())
        });
    }

    /// What tells later whether the page was loaded again.
    #[track_caller]
    fn mark(&self) {
        self.script("window.mark = true", &[]);
    }

    #[track_caller]
    fn is_marked(&self) -> bool {
        self.script("return window.mark === true", &[]) == Value::Bool(true)
    }

    #[track_caller]
    fn environments(&self) -> Vec<String> {
        let script = r#"return [...document.querySelectorAll("table.board thead th")]
            .slice(1).map((it) => it.firstChild.textContent.trim())"#;
        serde_json::from_value(self.script(script, &[])).unwrap()
    }
}

#[test]
fn a_person_watches_a_version_and_lets_it_into_production() {
    let (_dir, server) = server();
    let server = server.with_shop();
    let (alice, bob) = (
        server.user("alice", "approver"),
        server.user("bob", "approver"),
    );
    let browser = Browser::start();
    browser.sign_in(&server, &alice);
    browser.see_text("It has no versions yet.");
    browser.see_text("alice (approver)");

    browser.mark();
    server.run(&["version", "create", "--tag", "v1"]).ok();
    let waits = [
        "waiting",
        "0 of 2 approvals",
        "Who can act: anyone with the role approver or admin",
        "Approve",
    ];
    browser.see("v1", "Production", &waits);
    browser.see("v1", "Staging", &["deploying"]);
    server
        .run_as(&bob, &["approve", "v1", "-e", "production"])
        .ok();
    browser.see("v1", "Production", &["1 of 2 approvals"]);
    assert!(browser.is_marked(), "the page was loaded again");
    assert_eq!(browser.complaints(), [""; 0]);

    browser.click("button[id^=approve-]");
    browser.see("v1", "Production", &["deploying", "0/1 target"]);
    let why = server.run(&["why", "production", "-o", "json"]).json();
    assert_eq!(why["status"], "deploying");
    let buttons = browser.script("return document.querySelectorAll('form.vote').length", &[]);
    assert_eq!(buttons, 0, "nothing is left to vote on");

    browser.click(".who button");
    within_patience(|| (browser.place() == "/login").then_some(()));
    let promotions = server.run(&["promotions", "-o", "json"]).json();
    let promotion = format!("/promotions/{}", promotions[0]["id"].as_str().unwrap());
    for (page, leads_to) in [
        ("/", "/login".to_owned()),
        (&*promotion, format!("/login?next={promotion}")),
    ] {
        browser.open(&format!("{}{page}", server.url));
        assert_eq!(browser.place(), leads_to);
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn what_a_person_is_typing_survives_what_happens_meanwhile() {
    let (_dir, server) = server();
    let server = server.with_shop();
    let (alice, bob) = (
        server.user("alice", "approver"),
        server.user("bob", "approver"),
    );
    server.run(&["version", "create", "--tag", "v1"]).ok();
    let browser = Browser::start();
    browser.sign_in(&server, &alice);
    let promotions = server
        .run(&["promotions", "-e", "production", "-o", "json"])
        .json();
    let id = promotions[0]["id"].as_str().unwrap();
    browser.click(&format!("#details-{id}"));
    browser.see_text("API: v1 to Production");
    browser.see_text("waits for a person");

    browser.type_into("#reason", "looks fine");
    browser.mark();
    server
        .run_as(&bob, &["approve", "v1", "-e", "production"])
        .ok();
    browser.see_text("1 of 2 approvals");
    assert!(browser.is_marked(), "the page was loaded again");
    let script = "const it = document.activeElement; return [it.id, it.value, it.selectionStart]";
    assert_eq!(
        browser.script(script, &[]),
        json!(["reason", "looks fine", "looks fine".len()])
    );

    // One's own vote is shown and can be taken back.
    server
        .run_as(&bob, &["withdraw", "v1", "-e", "production"])
        .ok();
    browser.click("#approve");
    browser.see_text("You approved it.");
    browser.see_text("approved v1 for Production: looks fine");
    browser.click("#withdraw");
    browser.see_text("0 of 2 approvals");
    let own = browser.script("return document.querySelector('.cast') === null", &[]);
    assert_eq!(own, true);
    browser.click("#reject");
    browser.see_text("rejected v1 for Production");
    assert_eq!(browser.complaints(), [""; 0]);
}

/// Production is made first and waits for staging.
const CHAIN: &str = r#"type: System
name: Shop
---
type: JobAgent
name: local
agentType: exec
---
type: Environment
name: Production
resourceSelector: resource.metadata["env"] == "production"
---
type: Environment
name: Staging
resourceSelector: resource.metadata["env"] == "staging"
---
type: Resource
name: staging-1
identifier: staging-1
kind: ProcessHost
version: stagegate/v1
metadata: { env: staging }
---
type: Resource
name: production-1
identifier: production-1
kind: ProcessHost
version: stagegate/v1
metadata: { env: production }
---
type: Deployment
name: API
slug: api
jobAgent: { name: local, config: { command: "test {{ version.tag }} = good" } }
---
type: Policy
name: Staging First
selector: environment.name == "Production"
rules:
  - environmentProgression: { waitFor: Staging }
"#;

struct Runner(Child);

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_board_is_readable_in_every_state_by_day_by_night_and_on_a_phone() {
    let (_dir, server) = server();
    server.run_with_input(&["apply", "-f", "-"], CHAIN).ok();
    let browser = Browser::start();
    browser.sign_in(&server, &server.key);
    let stages = ["Staging", "Production"];
    server.run(&["version", "create", "--tag", "good"]).ok();
    browser.see("good", "Production", &["waiting"]);
    assert_eq!(browser.environments(), stages);

    let key = server.user("runner", "agent");
    let data = server.data.with_file_name("runner");
    let mut command = server.command_as(&key, &["agent", "run", "--name", "local", "--data"]);
    let _runner = Runner(command.arg(data).stdout(Stdio::null()).spawn().unwrap());
    browser.see("good", "Production", &["succeeded", "1/1 target"]);
    assert_eq!(browser.environments(), stages);

    server.run(&["version", "create", "--tag", "bad"]).ok();
    browser.see("bad", "Staging", &["✕ failed", "1 of 1 targets failed"]);
    browser.see("bad", "Production", &["◷ waiting", "Who can act:"]);
    assert_eq!(browser.environments(), stages);
    server.run(&["version", "set-status", "bad", "paused"]).ok();
    let who = "Who can act: whoever may create versions";
    browser.see("bad", "Production", &["has the status paused", who]);

    let back = "return getComputedStyle(document.body).backgroundColor";
    let day = browser.script(back, &[]);
    browser.command(
        "Emulation.setEmulatedMedia",
        &json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] }),
    );
    assert_ne!(browser.script(back, &[]), day);
    browser.command(
        "Emulation.setDeviceMetricsOverride",
        &json!({ "width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true }),
    );
    let width = "return document.documentElement.scrollWidth";
    assert_eq!(browser.script(width, &[]), 390, "the board is too wide");
    let details = "a.details";
    browser.click(details);
    browser.see_text("Timeline");
    assert_eq!(browser.script(width, &[]), 390, "the page is too wide");
    assert_eq!(browser.complaints(), [""; 0]);

    // What the page does not come with does not run, and the browser says so.
    browser.script(
        "const it = document.createElement('script'); it.textContent = 'window.ran = true'; document.body.append(it)",
        &[],
    );
    assert_eq!(browser.script("return window.ran === true", &[]), false);
    let complaints = browser.complaints();
    assert!(
        complaints
            .iter()
            .any(|it| it.contains("Content Security Policy")),
        "{complaints:?}"
    );
}

/// Three hosts that get a version one after the other.
const ROLLOUT: &str = r#"type: System
name: Shop
---
type: JobAgent
name: local
agentType: exec
---
type: Environment
name: Production
resourceSelector: "true"
---
type: Resource
name: host-1
identifier: host-1
kind: ProcessHost
version: stagegate/v1
---
type: Resource
name: host-2
identifier: host-2
kind: ProcessHost
version: stagegate/v1
---
type: Deployment
name: API
slug: api
jobAgent: { name: local, config: { command: "test {{ version.tag }} != bad" } }
---
type: Policy
name: One By One
rules:
  - gradualRollout: { rolloutType: linear, timeScaleInterval: 0, waves: [{ count: 1 }] }
  - retry: { maxRetries: 1 }
  - rollback: {}
"#;

#[test]
fn a_person_pauses_a_rollout_on_its_page_and_sees_what_was_rolled_back() {
    let (_dir, server) = server();
    server.run_with_input(&["apply", "-f", "-"], ROLLOUT).ok();
    let browser = Browser::start();
    browser.sign_in(&server, &server.key);
    server.run(&["version", "create", "--tag", "good"]).ok();
    browser.see("good", "Production", &["deploying", "0/2 targets"]);
    browser.click("a.details");
    browser.see_text("Rollout: 1 of 2 targets are released, wave 1 of 2");
    browser.type_into("#act-reason", "looking into it");
    browser.click("#act-pause");
    browser.see_text("The rollout is paused since");
    browser.see_text("the rollout is paused: looking into it");

    let key = server.user("runner", "agent");
    let data = server.data.with_file_name("runner");
    let mut command = server.command_as(&key, &["agent", "run", "--name", "local", "--data"]);
    let _runner = Runner(command.arg(data).stdout(Stdio::null()).spawn().unwrap());
    browser.see_text("1/2 targets");
    browser.click("#act-resume");
    browser.see_text("2/2 targets");

    server.run(&["version", "create", "--tag", "bad"]).ok();
    browser.open(&server.url);
    browser.see("bad", "Production", &["rolled back", "quarantined"]);
    browser.see_text("1 held after rollback");
    browser.see("good", "Production", &["rollback"]);
    browser.click("a.details");
    browser.see_text("is tried again: attempt 2");
    browser.see_text("is rolled back from bad to good");
    assert_eq!(browser.complaints(), [""; 0]);
}
