//! What the simulator found: rollbacks of what still runs, places under a concurrency rule, and what ends for good.

use crate::world::{World, metric, wait_for};
use serde_json::json;
use stagegate_model::*;

fn roll_back(world: &World, resource: &str, environment: &str) -> Command {
    let target = world.lane(environment).target(world.resource_id(resource));
    Command::Rollback {
        targets: vec![RollbackTarget { target, to: None }],
        reason: "it smells".into(),
    }
}

#[test]
fn a_success_of_what_was_ordered_back_meanwhile_promotes_nothing() {
    let mut world = World::new();
    world.environment("Staging");
    world.environment("Production");
    world.resource("s1", "Staging");
    world.resource("p1", "Production");
    world.policy_on("Production", json!([wait_for("Staging")]));
    world.version("v1");
    world.succeed("v1", "Staging");
    world.version("v2");
    let job = world.open_jobs("v2", "Staging")[0];
    world.report(job, JobStatus::InProgress);
    let command = roll_back(&world, "s1", "Staging");
    world.run(command);
    world.report(job, JobStatus::Successful);
    assert_eq!(world.jobs_ever("v2", "Production"), 0);
}

#[test]
fn a_target_that_cannot_start_keeps_no_place_from_others() {
    let mut world = World::new();
    world.environment("Staging");
    for name in ["s1", "s2", "s3"] {
        world.resource(name, "Staging");
    }
    let deployment = world.state().deployments().values().next().cloned();
    let mut deployment = (*deployment.unwrap()).clone();
    deployment.job_agent_config = json!({"command": ["{{ resource.metadata.host }}"]});
    world.configure(vec![Change::PutDeployment(deployment)]);
    // Of any two targets one can start, whichever comes first.
    for name in ["s2", "s3"] {
        let id = world.resource_id(name);
        let mut resource = world.state().resource(id).unwrap().whole();
        resource.metadata.insert("host".into(), "here".into());
        world.configure(vec![Change::PutResource(resource)]);
    }
    world.policy_on("Staging", json!([{"concurrency": {"max": 1}}]));
    world.version("v1");
    assert_eq!(world.open_jobs("v1", "Staging").len(), 1);
    world.succeed("v1", "Staging");
    assert_eq!(world.jobs_ever("v1", "Staging"), 2);
}

#[test]
fn a_rollback_takes_a_place_from_what_starts_beside_it() {
    let mut world = World::new();
    world.environment("Staging");
    world.resource("s1", "Staging");
    world.policy_on(
        "Staging",
        json!([{"concurrency": {"max": 1}}, {"rollback": {}}]),
    );
    world.version("v1");
    world.succeed("v1", "Staging");
    world.version("v2");
    let job = world.open_jobs("v2", "Staging")[0];
    world.resource("s2", "Staging");
    world.finish_job(job, JobStatus::Failure);
    // s1 goes back to v1, and s2, which has nothing, waits for its end to get it.
    assert_eq!(world.open_jobs("v1", "Staging").len(), 1);
    world.succeed("v1", "Staging");
    assert_eq!(world.open_jobs("v1", "Staging").len(), 1);
}

#[test]
fn an_expired_promotion_does_not_open_again_by_itself() {
    let mut world = World::new();
    world.environment("Staging");
    world.resource("s1", "Staging");
    let stage = json!({"name": "one", "approvers": ["role:approver"], "minimum": 1});
    world.policy_on(
        "Staging",
        json!([{"approval": {"stages": [stage], "expiresAfterHours": 1}}]),
    );
    world.version("v1");
    world.hours(2);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Expired);
    // Something else has the environment looked at again.
    world.resource("s2", "Staging");
    world.hours(2);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Expired);
    assert_eq!(world.promotion("v1", "Staging").attempt, 1);
}

#[test]
fn what_is_tried_again_is_not_measured_again() {
    let mut world = World::new();
    world.environment("Staging");
    world.resource("s1", "Staging");
    world.policy_on(
        "Staging",
        json!([
            {"retry": {"maxRetries": 1, "backoffSeconds": 600}},
            {"verification": {"triggerOn": "jobStarted", "metrics": [metric("health")]}},
        ]),
    );
    world.version("v1");
    let job = world.open_jobs("v1", "Staging")[0];
    world.report(job, JobStatus::InProgress);
    let verification = world.running("v1", "Staging")[0];
    world.report(job, JobStatus::Failure);
    let refused = world.refused(Command::RerunVerification {
        verification,
        reason: "once more".into(),
    });
    assert_eq!(refused.code, "verification_ended");
}
