//! The policies of the guide: staging, verification, an approval for production, and the lane for hotfixes.

use crate::world::{World, approvals, health_check, wait_for};
use serde_json::json;
use stagegate_engine::Verdict;
use stagegate_model::*;

/// Staging with two places and production with two; verified in staging, approved for production.
fn shop() -> World {
    let mut world = World::new();
    for environment in ["Staging", "Production"] {
        world.environment(environment);
        for number in 1..=2 {
            world.resource(
                &format!("{}-{number}", environment.to_lowercase()),
                environment,
            );
        }
    }
    world.person("ann", Role::Approver);
    world.person("bob", Role::Approver);
    world.policy_on("Staging", json!([health_check()]));
    world.policy_on("Production", json!([wait_for("staging"), approvals(1)]));
    world
}

#[test]
fn a_version_goes_through_staging_and_verification_and_approval_into_production() {
    let mut world = shop();
    world.version("v1");
    assert_eq!(world.open_jobs("v1", "Staging").len(), 2);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Deploying);
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Waiting);
    assert_eq!(world.jobs_ever("v1", "Production"), 0);

    world.succeed("v1", "Staging");
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Verifying);
    assert_eq!(
        world.code("v1", "Production", "environmentProgression"),
        "dependency_pending"
    );
    assert_eq!(world.current("staging-1", "Staging"), None);

    world.healthy("v1", "Staging");
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
    assert_eq!(world.current("staging-1", "Staging").unwrap(), "v1");
    assert_eq!(
        world.code("v1", "Production", "environmentProgression"),
        "progressed"
    );
    assert_eq!(world.jobs_ever("v1", "Production"), 0, "not approved yet");
    assert!(
        world
            .explain("v1", "Production")
            .summary
            .contains("0 of 1 approval")
    );

    world.approve("ann", "v1", "Production");
    world.succeed("v1", "Production");
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Succeeded);
    assert_eq!(world.current("production-2", "Production").unwrap(), "v1");
    assert_eq!(
        world.explain("v1", "Production").summary,
        "v1 is in Production"
    );
}

#[test]
fn an_approval_alone_opens_nothing_before_staging_is_done() {
    let mut world = shop();
    world.version("v1");
    world.approve("ann", "v1", "Production");
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
    world.succeed("v1", "Staging");
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
    world.healthy("v1", "Staging");
    assert_eq!(world.open_jobs("v1", "Production").len(), 2);
}

/// The hotfix lane: straight to production, but two people must approve.
fn with_hotfix_lane() -> World {
    let mut world = shop();
    world.policy_replacing(
        "hotfix",
        "environment.name == \"Production\" && version.metadata[\"hotfix\"] == \"true\"",
        &["Production policy"],
        json!([approvals(2)]),
    );
    world
}

#[test]
fn a_hotfix_skips_staging_but_needs_two_people() {
    let mut world = with_hotfix_lane();
    world.version_with("v1-fix", &[("hotfix", "true")]);
    let told = world.explain("v1-fix", "Production");
    assert_eq!(told.gates.len(), 1, "the normal policy does not apply");
    assert_eq!(told.gates[0].policy_name, "hotfix");

    world.approve("ann", "v1-fix", "Production");
    assert_eq!(world.jobs_ever("v1-fix", "Production"), 0, "one is too few");
    let gate = world.gate("v1-fix", "Production", "anyApproval");
    assert!(matches!(gate.verdict, Verdict::Wait { until: None, .. }));
    assert_eq!(gate.verdict.why().message, "1 of 2 approvals");
    assert_eq!(gate.verdict.why().opens, "one more person approves");

    world.approve("bob", "v1-fix", "Production");
    assert_eq!(world.open_jobs("v1-fix", "Production").len(), 2);
    assert_eq!(
        world.status("v1-fix", "Staging"),
        PromotionStatus::Deploying
    );
}

#[test]
fn without_the_hotfix_mark_the_normal_policies_hold() {
    let mut world = with_hotfix_lane();
    world.version_with("v1", &[("hotfix", "false")]);
    world.approve("ann", "v1", "Production");
    world.approve("bob", "v1", "Production");
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
    let told = world.explain("v1", "Production");
    assert!(told.gates.iter().all(|it| it.policy_name != "hotfix"));
    world.succeed("v1", "Staging");
    world.healthy("v1", "Staging");
    assert_eq!(world.open_jobs("v1", "Production").len(), 2);
}

#[test]
fn a_version_marked_as_hotfix_later_changes_lanes() {
    let mut world = with_hotfix_lane();
    world.version("v1");
    world.approve("ann", "v1", "Production");
    let metadata = Some([("hotfix".to_owned(), "true".to_owned())].into());
    world.run(Command::UpdateVersion(VersionPatch {
        metadata,
        ..world.patch("v1")
    }));
    assert_eq!(
        world.code("v1", "Production", "anyApproval"),
        "approval_pending"
    );
    world.approve("bob", "v1", "Production");
    assert_eq!(world.open_jobs("v1", "Production").len(), 2);
}

#[test]
fn qa_then_staging_then_production() {
    let mut world = World::new();
    for environment in ["QA", "Staging", "Production"] {
        world.environment(environment);
        world.resource(&environment.to_lowercase(), environment);
    }
    world.policy_on("Staging", json!([wait_for("QA")]));
    world.policy_on("Production", json!([wait_for("Staging")]));
    world.version("v1");
    for (done, next) in [("QA", "Staging"), ("Staging", "Production")] {
        assert_eq!(world.jobs_ever("v1", next), 0);
        world.succeed("v1", done);
        assert_eq!(world.open_jobs("v1", next).len(), 1);
    }
    world.succeed("v1", "Production");
    assert_eq!(world.current("production", "Production").unwrap(), "v1");
}

#[test]
fn each_environment_has_its_own_verification_and_all_metrics_must_pass() {
    let mut world = World::new();
    for environment in ["Staging", "Production"] {
        world.environment(environment);
        world.resource(&environment.to_lowercase(), environment);
    }
    let error_rate = json!({
        "name": "error-rate",
        "provider": { "type": "http", "url": "http://metrics/{{ resource.name }}" },
        "successCondition": "result.errors < 5",
    });
    world.policy_on(
        "Staging",
        json!([{ "verification": { "metrics": [crate::world::metric("health-check"), error_rate] } }]),
    );
    world.policy_on("Production", json!([wait_for("Staging"), health_check()]));
    world.version("v1");
    world.succeed("v1", "Staging");
    let id = world.running("v1", "Staging")[0];
    let provider = |metric: usize| {
        let verification = world.verification(id);
        verification.metrics[metric].planned.metric.provider["url"].clone()
    };
    assert_eq!(provider(0), "http://staging.local/health");
    assert_eq!(provider(1), "http://metrics/staging");
    world.measure_one(id, 0, Ok(json!({ "statusCode": 200 })));
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Verifying);
    world.measure_one(id, 1, Ok(json!({ "errors": 0 })));
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
    world.succeed("v1", "Production");
    let id = world.running("v1", "Production")[0];
    assert_eq!(world.verification(id).metrics.len(), 1);
    world.healthy("v1", "Production");
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Succeeded);
}
