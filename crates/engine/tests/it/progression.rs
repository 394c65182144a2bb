//! Succeeding elsewhere first: how much, for how long, how long ago, and verified how.

use crate::world::{World, approvals, health_check, satisfied_at, wait_for};
use serde_json::{Value, json};
use stagegate_engine::Verdict;
use stagegate_model::*;

/// Staging with that many resources `s1`, `s2`, … and production with one, `p1`, under one rule.
fn world(staging: usize, spec: Value) -> World {
    let mut world = World::new();
    world.environment("Staging");
    world.environment("Production");
    for number in 1..=staging {
        world.resource(&format!("s{number}"), "Staging");
    }
    world.resource("p1", "Production");
    let mut progression = json!({ "waitFor": "Staging" });
    let members = spec.as_object().unwrap().clone();
    progression.as_object_mut().unwrap().extend(members);
    world.policy_on(
        "Production",
        json!([{ "environmentProgression": progression }]),
    );
    world
}

fn started(world: &World, tag: &str) -> bool {
    world.jobs_ever(tag, "Production") > 0
}

#[test]
fn all_targets_must_succeed_unless_said_otherwise() {
    let mut world = world(2, json!({}));
    world.version("v1");
    let jobs = world.open_jobs("v1", "Staging");
    world.finish_job(jobs[0], JobStatus::Successful);
    assert!(!started(&world, "v1"));
    let why = world.gate("v1", "Production", "environmentProgression");
    assert_eq!(
        why.verdict.why().message,
        "v1 succeeded on 1 of 2 targets in Staging, 2 needed"
    );
    world.finish_job(jobs[1], JobStatus::Successful);
    assert!(started(&world, "v1"));
}

#[test]
fn a_percentage_rounds_up_to_whole_targets() {
    // (targets, percentage, needed)
    let cases = [
        (3, 50.0, 2),
        (3, 33.0, 1),
        (3, 33.4, 2),
        (10, 70.0, 7),
        (10, 71.0, 8),
        (1, 1.0, 1),
        (7, 100.0, 7),
    ];
    for (targets, percentage, needed) in cases {
        let mut world = world(targets, json!({ "minimumSuccessPercentage": percentage }));
        world.version("v1");
        for (done, job) in world.open_jobs("v1", "Staging").into_iter().enumerate() {
            assert_eq!(
                started(&world, "v1"),
                done >= needed,
                "{done} of {targets} at {percentage} %"
            );
            world.finish_job(job, JobStatus::Successful);
        }
        assert!(started(&world, "v1"));
    }
}

#[test]
fn the_percentage_is_reached_when_the_last_needed_target_succeeds() {
    let mut world = world(4, json!({ "minimumSuccessPercentage": 50 }));
    world.policy(
        "hold",
        "environment.name == \"Production\"",
        json!([approvals(1)]),
    );
    world.version("v1");
    let jobs = world.open_jobs("v1", "Staging");
    let mut times = Vec::new();
    for job in jobs {
        world.minutes(1);
        world.finish_job(job, JobStatus::Successful);
        times.push(world.now);
    }
    let gate = world.gate("v1", "Production", "environmentProgression");
    assert_eq!(satisfied_at(&gate), times[1]);
}

#[test]
fn nothing_percent_passes_at_once() {
    let mut world = world(2, json!({ "minimumSuccessPercentage": 0 }));
    world.version("v1");
    assert!(started(&world, "v1"));
}

#[test]
fn without_targets_to_succeed_on_the_gate_is_shut() {
    let mut world = world(0, json!({}));
    world.version("v1");
    assert!(!started(&world, "v1"));
    let gate = world.gate("v1", "Production", "environmentProgression");
    assert_eq!(gate.verdict.why().code, "no_dependency_targets");
    assert!(matches!(gate.verdict, Verdict::Deny { .. }));
    // It opens by itself once the version has succeeded on a target that turns up.
    world.resource("s1", "Staging");
    world.succeed("v1", "Staging");
    assert!(started(&world, "v1"));
}

#[test]
fn without_targets_the_rule_can_be_told_to_pass() {
    let mut world = world(0, json!({ "allowNoTargets": true }));
    world.version("v1");
    assert!(started(&world, "v1"));
}

/// `canary-eu` and `canary-us`; production waits for any environment that is marked as canary.
fn canaries(rules: Value) -> World {
    let mut world = World::new();
    for name in ["canary-eu", "canary-us", "Production"] {
        let mut environment = world.new_environment(name);
        let canary = name.starts_with("canary").to_string();
        environment.metadata.insert("canary".into(), canary);
        world.configure(vec![Change::PutEnvironment(environment)]);
        world.resource(&format!("on-{name}"), name);
    }
    world.policy_on("Production", rules);
    world
}

fn any_canary() -> Value {
    json!({ "environmentProgression": {
        "dependsOnEnvironmentSelector": "environment.metadata[\"canary\"] == \"true\"",
    } })
}

#[test]
fn of_several_environments_any_one_suffices_and_the_earliest_counts() {
    let mut world = canaries(json!([any_canary(), approvals(1)]));
    world.version("v1");
    let gate = world.gate("v1", "Production", "environmentProgression");
    assert!(gate.verdict.why().opens.contains("any one of"));
    world.minutes(5);
    world.succeed("v1", "canary-us");
    let first = world.now;
    world.minutes(5);
    world.succeed("v1", "canary-eu");
    let gate = world.gate("v1", "Production", "environmentProgression");
    assert_eq!(satisfied_at(&gate), first);
}

#[test]
fn a_canary_that_failed_does_not_hinder_another() {
    let mut world = canaries(json!([any_canary()]));
    world.version("v1");
    world.finish("v1", "canary-eu", JobStatus::Failure);
    assert!(!started(&world, "v1"));
    assert_eq!(
        world.code("v1", "Production", "environmentProgression"),
        "dependency_pending"
    );
    world.succeed("v1", "canary-us");
    assert!(started(&world, "v1"));
}

#[test]
fn an_environment_without_targets_neither_helps_nor_hinders() {
    let mut world = canaries(json!([any_canary()]));
    world.delete_resource("on-canary-us");
    world.version("v1");
    assert!(!started(&world, "v1"));
    world.succeed("v1", "canary-eu");
    assert!(started(&world, "v1"));
}

#[test]
fn for_all_of_several_there_are_several_rules() {
    let mut world = canaries(json!([wait_for("canary-eu"), wait_for("CANARY-US")]));
    world.version("v1");
    world.succeed("v1", "canary-eu");
    assert!(!started(&world, "v1"));
    world.succeed("v1", "canary-us");
    assert!(started(&world, "v1"));
}

#[test]
fn an_environment_of_another_system_is_not_waited_for() {
    let mut world = world(1, json!({}));
    let other = world.id().into();
    world.configure(vec![Change::PutSystem(System {
        id: other,
        name: "other".into(),
        slug: "other".into(),
        description: String::new(),
        metadata: Metadata::new(),
    })]);
    let id = world.environment_id("Staging");
    let mut staging = (*world.state().environments()[&id]).clone();
    staging.systems = [other].into();
    world.configure(vec![Change::PutEnvironment(staging.clone())]);
    world.version("v1");
    assert!(!started(&world, "v1"));
    assert_eq!(
        world.code("v1", "Production", "environmentProgression"),
        "no_dependency_environment"
    );
    staging.systems.insert(world.system);
    world.configure(vec![Change::PutEnvironment(staging)]);
    world.succeed("v1", "Staging");
    assert!(started(&world, "v1"));
}

#[test]
fn soaking_takes_its_time_and_the_engine_asks_to_be_woken() {
    let mut world = world(1, json!({ "minimumSoakTimeMinutes": 30 }));
    world.version("v1");
    world.minutes(7);
    world.succeed("v1", "Staging");
    let until = world.now.plus_millis(30 * 60_000);
    assert_eq!(world.engine.next_wake(), Some(until));
    assert_eq!(world.explain("v1", "Production").earliest, Some(until));
    world.pass(30 * 60_000 - 1);
    assert!(!started(&world, "v1"));
    world.pass(1);
    assert!(started(&world, "v1"));
    let gate = world.gate("v1", "Production", "environmentProgression");
    assert_eq!(satisfied_at(&gate), until);
    world.succeed("v1", "Production");
    assert_eq!(world.engine.next_wake(), None);
}

#[test]
fn a_version_replaced_before_it_has_soaked_does_not_pass() {
    let mut world = world(1, json!({ "minimumSoakTimeMinutes": 30 }));
    world.version("v1");
    world.succeed("v1", "Staging");
    world.minutes(20);
    world.version("v2");
    world.succeed("v2", "Staging");
    let gate = world.gate("v1", "Production", "environmentProgression");
    assert_eq!(gate.verdict.why().code, "soak_interrupted");
    assert!(gate.verdict.why().message.contains("20 of 30 min"));
    world.minutes(29);
    assert!(!started(&world, "v1") && !started(&world, "v2"));
    world.minutes(1);
    assert!(!started(&world, "v1") && started(&world, "v2"));
    assert_eq!(
        world.status("v1", "Production"),
        PromotionStatus::Superseded
    );
}

#[test]
fn the_soak_ends_when_another_version_is_deployed_even_if_the_first_never_was_verified() {
    // v1 counts although its verification failed; once v2 runs there, v1 no longer soaks.
    let mut world = world(
        1,
        json!({ "minimumSoakTimeMinutes": 30, "requireVerificationPassed": false }),
    );
    world.policy_on("Staging", json!([health_check()]));
    world.version("v1");
    world.succeed("v1", "Staging");
    world.measure("v1", "Staging", Ok(json!({ "statusCode": 500 })));
    assert_eq!(
        world.code("v1", "Production", "environmentProgression"),
        "soaking"
    );
    world.minutes(10);
    world.version("v2");
    world.succeed("v2", "Staging");
    assert_eq!(
        world.code("v1", "Production", "environmentProgression"),
        "soak_interrupted"
    );
}

#[test]
fn a_newer_version_that_fails_does_not_interrupt_the_soak() {
    let mut world = world(1, json!({ "minimumSoakTimeMinutes": 30 }));
    world.version("v1");
    world.succeed("v1", "Staging");
    world.minutes(20);
    world.version("v2");
    world.finish("v2", "Staging", JobStatus::Failure);
    world.minutes(10);
    assert!(started(&world, "v1"));
}

#[test]
fn a_success_may_be_exactly_as_old_as_allowed() {
    let mut world = world(1, json!({ "maximumAgeHours": 24 }));
    world.person("ann", Role::Approver);
    world.policy(
        "hold",
        "environment.name == \"Production\"",
        json!([approvals(1)]),
    );
    world.version("v1");
    world.succeed("v1", "Staging");
    world.hours(24);
    assert_eq!(
        world.code("v1", "Production", "environmentProgression"),
        "progressed"
    );
    let mut late = world_copy(24);
    late.pass(1);
    assert_eq!(
        late.code("v1", "Production", "environmentProgression"),
        "success_too_old"
    );
    late.approve("ann", "v1", "Production");
    assert!(!started(&late, "v1"));
    world.approve("ann", "v1", "Production");
    assert!(started(&world, "v1"));
}

/// A second world at the same point: a success that many hours ago, held back by an approval.
fn world_copy(hours: i64) -> World {
    let mut world = world(1, json!({ "maximumAgeHours": 24 }));
    world.person("ann", Role::Approver);
    world.policy(
        "hold",
        "environment.name == \"Production\"",
        json!([approvals(1)]),
    );
    world.version("v1");
    world.succeed("v1", "Staging");
    world.hours(hours);
    world
}

#[test]
fn a_success_that_grows_old_does_not_stop_what_has_begun() {
    let mut world = world(1, json!({ "maximumAgeHours": 1 }));
    world.version("v1");
    world.succeed("v1", "Staging");
    assert!(started(&world, "v1"));
    world.hours(5);
    world.resource("p2", "Production");
    assert_eq!(world.open_jobs("v1", "Production").len(), 2);
    assert!(
        world
            .gate("v1", "Production", "environmentProgression")
            .latched
    );
}

#[test]
fn a_soak_longer_than_the_allowed_age_is_said_at_once() {
    let mut world = world(
        1,
        json!({ "minimumSoakTimeMinutes": 90, "maximumAgeHours": 1 }),
    );
    world.version("v1");
    world.succeed("v1", "Staging");
    let gate = world.gate("v1", "Production", "environmentProgression");
    assert_eq!(gate.verdict.why().code, "success_too_old");
    assert!(gate.verdict.why().message.contains("before it has soaked"));
    world.hours(3);
    assert!(!started(&world, "v1"));
}

#[test]
fn other_statuses_can_count_as_success() {
    let mut world = world(2, json!({ "successStatuses": ["successful", "skipped"] }));
    world.version("v1");
    let jobs = world.open_jobs("v1", "Staging");
    world.finish_job(jobs[0], JobStatus::Skipped);
    assert!(!started(&world, "v1"));
    world.finish_job(jobs[1], JobStatus::Successful);
    assert!(started(&world, "v1"));
}

#[test]
fn a_failed_job_is_no_success_and_the_reason_says_so() {
    let mut world = world(1, json!({}));
    world.version("v1");
    world.finish("v1", "Staging", JobStatus::Failure);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Failed);
    let gate = world.gate("v1", "Production", "environmentProgression");
    assert_eq!(gate.verdict.why().code, "dependency_failed");
    assert!(!gate.verdict.why().who.is_empty());
    assert!(!started(&world, "v1"));
}

#[test]
fn a_success_whose_verification_runs_failed_or_is_undecided_does_not_count() {
    for (code, measured) in [
        (json!(500), VerificationStatus::Failed),
        (json!(302), VerificationStatus::Inconclusive),
    ] {
        let mut world = world(1, json!({}));
        let mut metric = crate::world::metric("health");
        metric["failureCondition"] = json!("result.statusCode >= 500");
        world.policy_on(
            "Staging",
            json!([{ "verification": { "metrics": [metric] } }]),
        );
        world.version("v1");
        world.succeed("v1", "Staging");
        assert!(!started(&world, "v1"), "while it runs");
        world.measure("v1", "Staging", Ok(json!({ "statusCode": code })));
        assert_eq!(
            world.verifications("v1", "Staging", Some(measured)).len(),
            1
        );
        assert!(!started(&world, "v1"), "{measured}");
    }
}

#[test]
fn verification_is_not_waited_for_only_when_that_is_said() {
    let mut world = world(1, json!({ "requireVerificationPassed": false }));
    world.policy_on("Staging", json!([health_check()]));
    world.version("v1");
    world.succeed("v1", "Staging");
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Verifying);
    assert!(started(&world, "v1"));
}

#[test]
fn a_verified_success_counts_from_its_verification() {
    let mut world = world(1, json!({ "minimumSoakTimeMinutes": 10 }));
    world.policy_on("Staging", json!([health_check()]));
    world.version("v1");
    world.succeed("v1", "Staging");
    world.minutes(5);
    world.healthy("v1", "Staging");
    assert_eq!(
        world.engine.next_wake(),
        Some(world.now.plus_millis(600_000))
    );
}

#[test]
fn a_target_that_is_leaving_is_not_counted() {
    let mut world = world(2, json!({}));
    world.version("v1");
    let jobs = world.open_jobs("v1", "Staging");
    let kept = jobs[0];
    let gone = world.job(jobs[1]).target.resource;
    world.configure(vec![Change::DeleteResource(gone)]);
    world.finish_job(kept, JobStatus::Successful);
    assert!(
        started(&world, "v1"),
        "the other target has no resource any more"
    );
}

#[test]
fn staging_moving_on_does_not_stop_a_rollout_in_production() {
    let mut world = world(1, json!({}));
    world.version("v1");
    world.succeed("v1", "Staging");
    assert!(started(&world, "v1"));
    world.resource("s2", "Staging");
    world.resource("p2", "Production");
    assert_eq!(world.open_jobs("v1", "Production").len(), 2, "latched");
}
