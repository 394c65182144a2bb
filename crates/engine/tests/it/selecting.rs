//! Which policies apply: by target, by version, replaced by others, or not to be told.

use crate::world::{World, approvals};
use serde_json::{Value, json};
use stagegate_engine::{TargetState, Verdict};
use stagegate_model::*;

/// Production with a critical place `c1` and a plain one `p1`.
fn world() -> World {
    let mut world = World::new();
    world.environment("Production");
    world.resource_with("c1", &[("env", "Production"), ("tier", "critical")]);
    world.resource("p1", "Production");
    world
}

const CRITICAL: &str = "resource.metadata[\"tier\"] == \"critical\"";

fn never() -> Value {
    json!({ "environmentProgression": { "dependsOnEnvironmentSelector": "false" } })
}

#[test]
fn only_critical_targets_need_an_approval() {
    let mut world = world();
    world.policy("critical", CRITICAL, json!([approvals(1)]));
    world.version("v1");
    assert_eq!(world.latest("p1", "Production").unwrap(), "v1");
    assert_eq!(world.latest("c1", "Production"), None);
    assert_eq!(
        world.standing("v1", "Production", "c1").state,
        TargetState::Waiting
    );
    // That the others began does not count as the critical ones' approval.
    assert!(!world.gate("v1", "Production", "anyApproval").latched);
    world.succeed("v1", "Production");
    assert!(world.promotion("v1", "Production").status.is_open());
    world.resource_with("c2", &[("env", "Production"), ("tier", "critical")]);
    assert_eq!(world.jobs_ever("v1", "Production"), 1);
    world.approve("root", "v1", "Production");
    assert_eq!(world.open_jobs("v1", "Production").len(), 2);
    world.succeed("v1", "Production");
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Succeeded);
}

#[test]
fn a_resource_that_becomes_critical_needs_the_approval_for_the_next_version() {
    let mut world = world();
    world.policy("critical", CRITICAL, json!([approvals(1)]));
    world.version("v1");
    let now_critical = world.new_resource("p1", &[("env", "Production"), ("tier", "critical")]);
    world.configure(vec![Change::PutResource(now_critical)]);
    world.succeed("v1", "Production");
    assert_eq!(world.current("p1", "Production").unwrap(), "v1");
    world.version("v2");
    assert_eq!(world.jobs_ever("v2", "Production"), 0);
    world.approve("root", "v2", "Production");
    assert_eq!(world.open_jobs("v2", "Production").len(), 2);
}

#[test]
fn different_targets_can_want_different_versions() {
    let mut world = world();
    world.policy("critical", CRITICAL, json!([approvals(1)]));
    world.version("v1");
    world.succeed("v1", "Production");
    world.version("v2");
    world.approve("root", "v1", "Production");
    world.succeed("v1", "Production");
    world.succeed("v2", "Production");
    assert_eq!(world.current("c1", "Production").unwrap(), "v1");
    assert_eq!(world.current("p1", "Production").unwrap(), "v2");
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Succeeded);
    assert!(world.promotion("v2", "Production").status.is_open());
    world.approve("root", "v2", "Production");
    world.succeed("v2", "Production");
    assert_eq!(world.status("v2", "Production"), PromotionStatus::Succeeded);
}

#[test]
fn a_blocked_start_for_some_targets_is_not_superseded_over_and_over() {
    let mut world = world();
    world.policy("critical", CRITICAL, json!([approvals(1)]));
    let new = NewVersion {
        job_agent_config: json!({ "region": "{{ resource.metadata.region }}" }),
        ..world.new_version("v1")
    };
    world.run(Command::CreateVersion(new));
    world.approve("root", "v1", "Production");
    assert_eq!(
        world.standing("v1", "Production", "c1").state,
        TargetState::Blocked
    );
    world.version("v2");
    assert_eq!(world.open_jobs("v2", "Production").len(), 1);
    world.succeed("v2", "Production");
    let promotion = world.promotion("v1", "Production");
    assert_eq!(
        (promotion.attempt, promotion.status),
        (1, PromotionStatus::Waiting)
    );
    world.approve("root", "v2", "Production");
    assert_eq!(
        world.status("v1", "Production"),
        PromotionStatus::Superseded
    );
}

#[test]
fn all_matching_policies_must_pass() {
    let mut world = world();
    world.person("ann", Role::Approver);
    world.policy(
        "one",
        "environment.name == \"Production\"",
        json!([approvals(1)]),
    );
    world.policy("two", "deployment.slug == \"api\"", json!([approvals(2)]));
    world.policy("elsewhere", "environment.name == \"QA\"", json!([never()]));
    world.version("v1");
    world.approve("root", "v1", "Production");
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
    world.approve("ann", "v1", "Production");
    assert_eq!(world.open_jobs("v1", "Production").len(), 2);
}

#[test]
fn a_disabled_policy_does_not_apply() {
    let mut world = world();
    let mut policy = world.new_policy("off", "true", json!([never()]));
    policy.enabled = false;
    world.configure(vec![Change::PutPolicy(policy.clone())]);
    world.version("v1");
    assert_eq!(world.open_jobs("v1", "Production").len(), 2);
    policy.enabled = true;
    world.configure(vec![Change::PutPolicy(policy)]);
    world.version("v2");
    world.succeed("v1", "Production");
    assert_eq!(world.jobs_ever("v2", "Production"), 0);
}

#[test]
fn deleting_or_editing_a_policy_opens_what_it_held() {
    let mut world = world();
    world.policy("hold", "true", json!([never()]));
    world.version("v1");
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
    world.delete_policy("hold");
    assert_eq!(world.open_jobs("v1", "Production").len(), 2);
    let gates = &world
        .state()
        .track(world.version_id("v1"), world.environment_id("Production"))
        .expect("a track")
        .gates;
    assert!(gates.is_empty(), "the gate is recorded as gone");
}

#[test]
fn an_edited_policy_takes_nothing_back() {
    let mut world = world();
    world.version("v1");
    world.succeed("v1", "Production");
    world.policy("hold", "true", json!([never()]));
    assert_eq!(world.current("c1", "Production").unwrap(), "v1");
    assert!(world.open_jobs("v1", "Production").is_empty());
}

#[test]
fn selectors_know_the_system_and_versions_and_missing_keys_match_nothing() {
    let mut world = world();
    world.policy(
        "by system",
        "system.slug == \"shop\" && version.metadata[\"risky\"] == \"yes\"",
        json!([never()]),
    );
    world.policy(
        "by other system",
        "system.slug == \"other\"",
        json!([never()]),
    );
    world.version("v1");
    assert_eq!(world.open_jobs("v1", "Production").len(), 2);
    world.succeed("v1", "Production");
    world.version_with("v2", &[("risky", "yes")]);
    assert_eq!(world.jobs_ever("v2", "Production"), 0);
}

#[test]
fn a_selector_over_resource_and_version_in_one_breath() {
    let mut world = world();
    world.policy(
        "matching",
        "resource.metadata[\"tier\"] == version.metadata[\"tier\"]",
        json!([never()]),
    );
    world.version_with("v1", &[("tier", "critical")]);
    assert_eq!(world.latest("c1", "Production"), None);
    assert_eq!(world.latest("p1", "Production").unwrap(), "v1");
}

#[test]
fn a_selector_that_fails_shuts_the_gates_with_its_error() {
    let mut world = world();
    world.policy(
        "sized",
        "version.config.replicas > 2",
        json!([approvals(1)]),
    );
    let new = NewVersion {
        config: json!({ "replicas": "many" }),
        ..world.new_version("v1")
    };
    world.run(Command::CreateVersion(new));
    let gate = world.gate("v1", "Production", "anyApproval");
    assert!(matches!(gate.verdict, Verdict::Deny { .. }));
    assert_eq!(gate.verdict.why().code, "selector_error");
    world.approve("root", "v1", "Production");
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
    // One it can be asked about is not held.
    world.version("v2");
    assert_eq!(world.open_jobs("v2", "Production").len(), 2);
}

#[test]
fn a_selector_that_fails_for_some_targets_shuts_the_gate_there_only() {
    for (first, second) in [(json!(5), json!("many")), (json!("many"), json!(5))] {
        let mut world = World::new();
        world.environment("Production");
        for (name, replicas) in [("a", &first), ("b", &second)] {
            let mut resource = world.new_resource(name, &[("env", "Production")]);
            resource.config = json!({ "replicas": replicas });
            world.configure(vec![Change::PutResource(resource)]);
        }
        world.policy(
            "sized",
            "resource.config.replicas > 2",
            json!([approvals(1)]),
        );
        world.version("v1");
        world.approve("root", "v1", "Production");
        let well = if first.is_number() { "a" } else { "b" };
        let ill = if first.is_number() { "b" } else { "a" };
        assert_eq!(world.latest(well, "Production").as_deref(), Some("v1"));
        assert_eq!(world.latest(ill, "Production"), None);
    }
}

#[test]
fn a_policy_with_an_error_replaces_nothing() {
    let mut world = world();
    world.policy("normal", "true", json!([approvals(1)]));
    world.policy_replacing("fast", "version.config.fast > 0", &["normal"], json!([]));
    let new = NewVersion {
        config: json!({ "fast": "yes" }),
        ..world.new_version("v1")
    };
    world.run(Command::CreateVersion(new));
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
    let told = world.explain("v1", "Production");
    assert!(told.gates.iter().any(|it| it.policy_name == "normal"));
    let new = NewVersion {
        config: json!({ "fast": 1 }),
        ..world.new_version("v2")
    };
    world.run(Command::CreateVersion(new));
    assert_eq!(world.open_jobs("v2", "Production").len(), 2);
}

#[test]
fn in_a_chain_a_replaced_policy_replaces_nothing() {
    let mut world = world();
    world.policy("c", "true", json!([approvals(3)]));
    world.policy_replacing("b", "true", &["c"], json!([approvals(2)]));
    world.policy_replacing(
        "a",
        "version.metadata[\"a\"] == \"yes\"",
        &["b"],
        json!([approvals(1)]),
    );
    let names = |world: &World, tag: &str| -> Vec<String> {
        let gates = world.explain(tag, "Production").gates;
        gates.into_iter().map(|gate| gate.policy_name).collect()
    };
    world.version("v1");
    assert_eq!(names(&world, "v1"), ["b"]);
    world.version_with("v2", &[("a", "yes")]);
    assert_eq!(names(&world, "v2"), ["a", "c"]);
}
