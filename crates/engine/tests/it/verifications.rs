//! Measuring after a job, before it, beside it; and what follows.

use crate::world::{World, approvals, health_check, metric, wait_for};
use serde_json::{Value, json};
use stagegate_engine::{TargetState, metric_outcome, next_due};
use stagegate_model::*;

/// Staging with that many places under the rules given, and production behind it.
fn world(staging: usize, rules: Value) -> World {
    let mut world = World::new();
    world.environment("Staging");
    world.environment("Production");
    for number in 1..=staging {
        world.resource(&format!("s{number}"), "Staging");
    }
    world.resource("p1", "Production");
    world.policy_on("Staging", rules);
    world.policy_on("Production", json!([wait_for("Staging")]));
    world
}

/// A metric that can be inconclusive: well below 400, ill from 500 on.
fn undecided() -> Value {
    let mut metric = metric("health");
    metric["successCondition"] = json!("result.statusCode < 400");
    metric["failureCondition"] = json!("result.statusCode >= 500");
    json!({ "verification": { "metrics": [metric] } })
}

fn measured(code: u32) -> Result<Value, String> {
    Ok(json!({ "statusCode": code }))
}

fn on_trigger(trigger: &str) -> Value {
    json!({ "verification": { "triggerOn": trigger, "metrics": [metric("health")] } })
}

#[test]
fn a_failed_verification_stops_the_version_and_production_never_gets_it() {
    let mut world = world(1, json!([health_check()]));
    world.version("v1");
    world.succeed("v1", "Staging");
    world.measure("v1", "Staging", measured(503));
    let promotion = world.promotion("v1", "Staging");
    assert_eq!(promotion.status, PromotionStatus::Failed);
    assert_eq!(promotion.reason, "1 of 1 targets failed");
    assert_eq!(world.job_on("s1", "Staging").status, JobStatus::Successful);
    assert_eq!(
        world.standing("v1", "Staging", "s1").state,
        TargetState::Failed
    );
    assert!(
        world
            .standing("v1", "Staging", "s1")
            .reason
            .contains("`result.statusCode == 200` does not hold")
    );

    world.hours(1000);
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
    let gate = world.gate("v1", "Production", "environmentProgression");
    let why = gate.verdict.why();
    assert_eq!(why.code, "dependency_failed");
    assert!(why.message.contains("its verification failed in Staging"));
    assert!(why.opens.contains("a newer version succeeds in Staging"));
    assert_eq!(why.who, "whoever may create versions");
    let told = world.explain("v1", "Production");
    assert!(
        told.summary
            .starts_with("v1 does not enter Production: v1 succeeded on 0 of 1")
    );
    let stopped = world.explain("v1", "Staging").stopped.expect("stopped");
    assert_eq!(stopped.code, "verification_failed");
    assert_eq!(
        stopped.opens,
        "it is deployed there again and passes, or a newer version is created"
    );

    world.version("v2");
    world.succeed("v2", "Staging");
    world.healthy("v2", "Staging");
    assert_eq!(world.open_jobs("v2", "Production").len(), 1);
    assert_eq!(
        world.status("v1", "Production"),
        PromotionStatus::Superseded
    );
}

#[test]
fn a_failed_verification_stops_the_rest_at_once() {
    let mut world = world(2, json!([health_check()]));
    world.version("v1");
    let jobs = world.open_jobs("v1", "Staging");
    world.finish_job(jobs[0], JobStatus::Successful);
    world.measure("v1", "Staging", measured(500));
    world.resource("s3", "Staging");
    assert_eq!(world.jobs_ever("v1", "Staging"), 2, "s3 is not begun");
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Deploying);
    // What already runs goes on to its end.
    world.finish_job(jobs[1], JobStatus::Successful);
    world.healthy("v1", "Staging");
    let promotion = world.promotion("v1", "Staging");
    assert_eq!(promotion.status, PromotionStatus::Failed);
    assert_eq!((promotion.succeeded, promotion.failed), (1, 1));
    assert_eq!(world.latest("s3", "Staging"), None);
}

#[test]
fn a_verification_beside_a_job_stops_the_rest_before_the_job_has_ended() {
    let mut world = world(1, json!([on_trigger("jobCreated")]));
    world.version("v1");
    world.measure("v1", "Staging", measured(500));
    world.resource("s2", "Staging");
    assert_eq!(world.jobs_ever("v1", "Staging"), 1);
    world.succeed("v1", "Staging");
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Failed);
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
}

#[test]
fn a_newer_version_does_not_break_off_a_verification() {
    let mut world = world(1, json!([health_check()]));
    world.version("v1");
    world.succeed("v1", "Staging");
    world.version("v2");
    assert_eq!(world.jobs_ever("v2", "Staging"), 0, "the target is busy");
    assert_eq!(
        world.standing("v2", "Staging", "s1").state,
        TargetState::Busy
    );
    world.healthy("v1", "Staging");
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
    assert_eq!(world.open_jobs("v2", "Staging").len(), 1);
    assert_eq!(world.open_jobs("v1", "Production").len(), 1);
}

#[test]
fn an_inconclusive_verification_pauses_until_a_person_decides() {
    for (pass, status) in [
        (true, PromotionStatus::Succeeded),
        (false, PromotionStatus::Failed),
    ] {
        let mut world = world(1, json!([undecided()]));
        world.person("ann", Role::Approver);
        world.version("v1");
        world.succeed("v1", "Staging");
        world.measure("v1", "Staging", measured(404));
        world.hours(100);
        assert_eq!(world.status("v1", "Staging"), PromotionStatus::Verifying);
        assert_eq!(world.jobs_ever("v1", "Production"), 0);
        assert!(
            world
                .standing("v1", "Staging", "s1")
                .reason
                .contains("waits for a person")
        );
        let paused = Some(VerificationStatus::Inconclusive);
        let verification = world.verifications("v1", "Staging", paused)[0];
        let decide = |reason: &str| Command::DecideVerification {
            verification,
            pass,
            reason: reason.into(),
        };
        let ann = world.actor("ann");
        assert_eq!(world.refused_as(ann, decide(" ")).code, "missing_field");
        let ci = world.key("ann", Role::Ci);
        assert_eq!(world.refused_as(ci, decide("no")).code, "not_eligible");
        world.run_as(ann, decide("looked at it"));
        assert_eq!(world.status("v1", "Staging"), status);
        let decided = world.verification(verification);
        assert_eq!(decided.decided_by, Some(world.user_id("ann")));
        assert_eq!(world.jobs_ever("v1", "Production"), usize::from(pass));
        let ann = world.actor("ann");
        let again = world.refused_as(ann, decide("again"));
        assert_eq!(again.code, "verification_ended");
    }
}

#[test]
fn an_error_pauses_too_and_the_run_can_be_repeated() {
    let mut world = world(1, json!([health_check()]));
    world.version("v1");
    world.succeed("v1", "Staging");
    for _ in 0..4 {
        world.measure("v1", "Staging", Err("connection refused".into()));
        world.pass(10_000);
    }
    assert_eq!(world.running("v1", "Staging").len(), 1, "four are forgiven");
    let first = world.running("v1", "Staging")[0];
    let rerun = |verification| Command::RerunVerification {
        verification,
        reason: "the server is up again".into(),
    };
    assert_eq!(world.refused(rerun(first)).code, "verification_running");
    world.measure("v1", "Staging", Err("connection refused".into()));
    assert_eq!(world.verification(first).status, VerificationStatus::Error);
    world.version("v2");
    assert_eq!(world.jobs_ever("v2", "Staging"), 0, "nothing goes on");
    assert_eq!(world.jobs_ever("v1", "Production"), 0);

    world.run(rerun(first));
    let second = world.running("v1", "Staging")[0];
    assert_eq!(world.verification(second).rerun_of, Some(first));
    assert_eq!(world.refused(rerun(first)).code, "verification_ended");
    world.healthy("v1", "Staging");
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
    assert_eq!(world.open_jobs("v1", "Production").len(), 1);
}

#[test]
fn a_failed_verification_is_final() {
    let mut world = world(1, json!([health_check()]));
    world.version("v1");
    world.succeed("v1", "Staging");
    let verification = world.running("v1", "Staging")[0];
    world.measure("v1", "Staging", measured(500));
    let rejection = world.refused(Command::RerunVerification {
        verification,
        reason: String::new(),
    });
    assert_eq!(rejection.code, "verification_ended");
    assert!(!rejection.hint.is_empty());
}

#[test]
fn measurements_that_come_twice_or_too_late_are_ignored() {
    let mut metric = metric("health");
    metric["count"] = json!(2);
    metric["intervalSeconds"] = json!(10);
    let rules = json!([{ "verification": { "metrics": [metric, crate::world::metric("other")] } }]);
    let mut world = world(1, rules);
    world.version("v1");
    world.succeed("v1", "Staging");
    let verification = world.running("v1", "Staging")[0];
    let record = |metric, ordinal, code| Command::RecordMeasurement {
        verification,
        metric,
        ordinal,
        outcome: measured(code),
    };
    assert_eq!(world.run(record(0, 0, 200)).len(), 1);
    assert!(world.run(record(0, 0, 500)).is_empty(), "the first again");
    assert!(world.run(record(0, 7, 500)).is_empty(), "far ahead");
    assert_eq!(world.refused(record(9, 0, 200)).code, "invalid_body");
    world.run(record(0, 1, 200));
    assert!(
        world.run(record(0, 2, 500)).is_empty(),
        "the metric has passed already"
    );
    world.run(record(1, 0, 200));
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
    assert!(world.run(record(1, 1, 500)).is_empty(), "it has ended");
}

#[test]
fn the_next_measurement_is_due_an_interval_after_the_last() {
    let mut metric = metric("health");
    metric["count"] = json!(3);
    metric["intervalSeconds"] = json!(60);
    metric["initialDelaySeconds"] = json!(5);
    let mut world = world(1, json!([{ "verification": { "metrics": [metric] } }]));
    world.version("v1");
    world.succeed("v1", "Staging");
    let id = world.running("v1", "Staging")[0];
    let due = |world: &World| {
        let verification = world.verification(id);
        next_due(verification, &verification.metrics[0])
    };
    assert_eq!(due(&world), Some(world.now.plus_seconds(5)));
    world.pass(5000);
    world.healthy("v1", "Staging");
    assert_eq!(due(&world), Some(world.now.plus_seconds(60)));
    world.measure("v1", "Staging", Err("timeout".into()));
    assert_eq!(due(&world), Some(world.now.plus_seconds(10)));
    world.healthy("v1", "Staging");
    world.healthy("v1", "Staging");
    assert_eq!(due(&world), None);
    let run = &world.verification(id).metrics[0];
    assert_eq!(metric_outcome(run), stagegate_engine::MetricOutcome::Passed);
}

#[test]
fn data_that_is_missing_is_an_error_and_not_a_pass() {
    let mut metric = metric("health");
    metric.as_object_mut().unwrap().remove("successCondition");
    metric["failureCondition"] = json!("result.errors > 5");
    metric["consecutiveErrorThreshold"] = json!(0);
    let mut world = world(1, json!([{ "verification": { "metrics": [metric] } }]));
    world.version("v1");
    world.succeed("v1", "Staging");
    let id = world.running("v1", "Staging")[0];
    world.measure("v1", "Staging", Ok(json!({ "error": 3 })));
    let verification = world.verification(id);
    assert_eq!(verification.status, VerificationStatus::Error);
    assert!(verification.reason.contains("result.errors"));
}

#[test]
fn dry_run_metrics_are_reported_and_decide_nothing() {
    let mut dry = metric("trial");
    dry["dryRun"] = json!(true);
    let rules = json!([{ "verification": { "metrics": [metric("health"), dry] } }]);
    let mut world = world(1, rules);
    world.version("v1");
    world.succeed("v1", "Staging");
    let id = world.running("v1", "Staging")[0];
    world.measure_one(id, 1, measured(500));
    world.measure_one(id, 0, measured(200));
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
    assert_eq!(world.verification(id).metrics[1].failed, 1);
}

#[test]
fn the_rules_of_several_policies_are_measured_together() {
    let mut world = world(1, json!([health_check()]));
    world.policy(
        "all",
        "true",
        json!([{ "verification": { "metrics": [metric("smoke")] } }]),
    );
    world.version("v1");
    world.succeed("v1", "Staging");
    let id = world.running("v1", "Staging")[0];
    assert_eq!(world.verification(id).metrics.len(), 2);
    world.measure_one(id, 0, measured(200));
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Verifying);
    world.measure_one(id, 1, measured(200));
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
}

#[test]
fn a_verification_from_the_creation_of_the_job_on() {
    let mut world = world(1, json!([on_trigger("jobCreated")]));
    world.version("v1");
    assert_eq!(world.running("v1", "Staging").len(), 1);
    world.succeed("v1", "Staging");
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Verifying);
    world.healthy("v1", "Staging");
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
}

#[test]
fn a_verification_from_the_start_of_the_job_on() {
    let mut world = world(1, json!([on_trigger("jobStarted")]));
    world.version("v1");
    assert_eq!(world.running("v1", "Staging").len(), 0);
    let job = world.open_jobs("v1", "Staging")[0];
    let claim = Command::ClaimJob {
        lease: false,
        job,
        runner: "r1".into(),
    };
    world.run(claim.clone());
    assert_eq!(
        world.running("v1", "Staging").len(),
        1,
        "claimed is started"
    );
    assert!(world.run(claim).is_empty());
    world.report(job, JobStatus::ActionRequired);
    world.report(job, JobStatus::InProgress);
    assert_eq!(world.verifications("v1", "Staging", None).len(), 1);
    world.healthy("v1", "Staging");
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Deploying);
    world.report(job, JobStatus::Successful);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
    assert_eq!(world.verifications("v1", "Staging", None).len(), 1);
}

#[test]
fn an_agent_that_reports_progress_starts_it_too() {
    for status in [JobStatus::InProgress, JobStatus::ActionRequired] {
        let mut world = world(1, json!([on_trigger("jobStarted")]));
        world.version("v1");
        let job = world.open_jobs("v1", "Staging")[0];
        world.report(job, JobStatus::Queued);
        assert_eq!(world.running("v1", "Staging").len(), 0);
        world.report(job, status);
        assert_eq!(world.running("v1", "Staging").len(), 1, "{status}");
    }
}

#[test]
fn a_job_that_succeeds_without_having_started_is_verified_all_the_same() {
    let mut world = world(1, json!([on_trigger("jobStarted")]));
    world.version("v1");
    let job = world.open_jobs("v1", "Staging")[0];
    world.report(job, JobStatus::Successful);
    assert_eq!(world.running("v1", "Staging").len(), 1);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Verifying);
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
    world.healthy("v1", "Staging");
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
}

#[test]
fn what_is_measured_because_a_job_failed_keeps_the_target_until_its_end() {
    let mut world = world(1, json!([on_trigger("jobFailure")]));
    world.version("v1");
    world.finish("v1", "Staging", JobStatus::Failure);
    world.version("v2");
    assert_eq!(world.jobs_ever("v2", "Staging"), 0, "still busy");
    world.measure("v1", "Staging", measured(500));
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Failed);
    assert_eq!(world.open_jobs("v2", "Staging").len(), 1);
    // It measured a failure; that does not stop the version elsewhere in the environment.
    world.succeed("v2", "Staging");
    assert_eq!(world.verifications("v2", "Staging", None).len(), 0);
}

#[test]
fn a_job_that_fails_stops_the_verification_beside_it() {
    let mut world = world(1, json!([on_trigger("jobCreated")]));
    world.version("v1");
    world.finish("v1", "Staging", JobStatus::Failure);
    let cancelled = Some(VerificationStatus::Cancelled);
    assert_eq!(world.verifications("v1", "Staging", cancelled).len(), 1);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Failed);
}

#[test]
fn a_verification_that_can_no_longer_be_measured_is_not_passed() {
    let mut world = world(1, json!([health_check()]));
    world.version("v1");
    let job = world.open_jobs("v1", "Staging")[0];
    let mut resource = world.new_resource("s1", &[("env", "Staging")]);
    resource.config = json!({});
    world.configure(vec![Change::PutResource(resource)]);
    world.finish_job(job, JobStatus::Successful);
    let promotion = world.promotion("v1", "Staging");
    assert_eq!(promotion.status, PromotionStatus::Failed);
    let release = world.job(job).release;
    let reason = &world.release(release).reason;
    assert!(reason.contains("resource.config.host"), "{reason}");
    assert_eq!(world.jobs_ever("v1", "Production"), 0, "never verified");
}

#[test]
fn a_verification_in_production_can_fail_after_staging_was_well() {
    let mut world = world(1, json!([health_check()]));
    world.policy(
        "verify",
        "environment.name == \"Production\"",
        json!([health_check()]),
    );
    world.policy(
        "hold",
        "environment.name == \"Production\"",
        json!([approvals(1)]),
    );
    world.version("v1");
    world.succeed("v1", "Staging");
    world.healthy("v1", "Staging");
    world.approve("root", "v1", "Production");
    world.succeed("v1", "Production");
    world.measure("v1", "Production", measured(500));
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Failed);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
    assert_eq!(world.current("p1", "Production"), None);
}
