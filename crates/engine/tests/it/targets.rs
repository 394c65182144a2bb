//! Targets that come and go.

use crate::world::{World, approvals, health_check, wait_for};
use serde_json::json;
use stagegate_model::*;

fn world(places: usize) -> World {
    let mut world = World::new();
    world.environment("Production");
    for number in 1..=places {
        world.resource(&format!("p{number}"), "Production");
    }
    world
}

fn targets(world: &World, environment: &str) -> usize {
    let lane = world.state().lane(world.lane(environment));
    lane.map_or(0, |lane| lane.targets.len())
}

#[test]
fn a_target_that_joins_gets_the_current_version_without_asking_again() {
    let mut world = world(1);
    world.policy_on("Production", json!([approvals(1)]));
    world.version("v1");
    world.approve("root", "v1", "Production");
    world.succeed("v1", "Production");
    world.vote("root", "v1", "Production", Vote::Withdrawn);
    world.version("v2");
    world.resource("p2", "Production");
    assert_eq!(world.open_jobs("v1", "Production").len(), 1);
    assert_eq!(world.jobs_ever("v2", "Production"), 0, "v2 is not approved");
    let promotion = world.promotion("v1", "Production");
    assert_eq!(promotion.attempt, 2);
    assert_eq!(promotion.status, PromotionStatus::Deploying);
    world.succeed("v1", "Production");
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Succeeded);
}

#[test]
fn a_free_target_leaves_at_once() {
    let mut world = world(2);
    world.version("v1");
    world.succeed("v1", "Production");
    world.delete_resource("p2");
    assert_eq!(targets(&world, "Production"), 1);
    assert_eq!(world.state().resources().count(), 1);
    let gone = world.resource_id("p2");
    assert!(world.state().resource(gone).is_none());
}

#[test]
fn a_resource_deleted_while_a_job_runs_leaves_when_the_job_has_ended() {
    let mut world = world(2);
    world.version("v1");
    let id = world.resource_id("p2");
    let job = world.job_on("p2", "Production").id;
    world.delete_resource("p2");
    assert_eq!(
        world.state().resources().count(),
        1,
        "it is no resource any more"
    );
    assert_eq!(targets(&world, "Production"), 2, "but still a target");
    assert!(world.state().resource(id).is_some());
    world.version("v2");
    world.finish_job(job, JobStatus::Successful);
    assert_eq!(targets(&world, "Production"), 1);
    assert!(world.state().resource(id).is_none());
    assert_eq!(
        world.jobs_ever("v2", "Production"),
        0,
        "p1 is busy, p2 is gone"
    );
    world.succeed("v1", "Production");
    assert_eq!(world.open_jobs("v2", "Production").len(), 1);
}

#[test]
fn a_target_whose_resource_moves_away_while_it_is_verified() {
    let mut world = world(1);
    world.environment("Staging");
    world.policy_on("Production", json!([health_check()]));
    world.version("v1");
    world.succeed("v1", "Production");
    let moved = world.new_resource("p1", &[("env", "Staging")]);
    world.configure(vec![Change::PutResource(moved)]);
    assert_eq!(targets(&world, "Production"), 1, "it is being verified");
    assert_eq!(world.open_jobs("v1", "Staging").len(), 1);
    world.healthy("v1", "Production");
    assert_eq!(targets(&world, "Production"), 0);
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Succeeded);
}

#[test]
fn a_target_that_comes_back_in_time_has_never_left() {
    let mut world = world(1);
    world.version("v1");
    for environment in ["elsewhere", "Production"] {
        let moved = world.new_resource("p1", &[("env", environment)]);
        world.configure(vec![Change::PutResource(moved)]);
    }
    world.succeed("v1", "Production");
    assert_eq!(targets(&world, "Production"), 1);
    assert_eq!(world.current("p1", "Production").unwrap(), "v1");
    assert_eq!(world.jobs_ever("v1", "Production"), 1);
}

#[test]
fn the_last_target_leaving_leaves_the_promotion_waiting() {
    let mut world = world(1);
    world.policy_on("Production", json!([approvals(1)]));
    world.version("v1");
    world.delete_resource("p1");
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Waiting);
    let told = world.explain("v1", "Production").summary;
    assert!(told.contains("no release targets"), "{told}");
    world.approve("root", "v1", "Production");
    world.resource("p2", "Production");
    assert_eq!(world.open_jobs("v1", "Production").len(), 1);
}

#[test]
fn a_joiner_that_leaves_before_its_turn_is_not_called_superseded() {
    let mut world = world(1);
    world.version("v1");
    world.succeed("v1", "Production");
    let mut deployment = (*world.state().deployments()[&world.main]).clone();
    deployment.job_agent_selector = "false".into();
    world.configure(vec![Change::PutDeployment(deployment)]);
    world.resource("p2", "Production");
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Waiting);
    world.delete_resource("p2");
    let promotion = world.promotion("v1", "Production");
    assert_eq!(promotion.status, PromotionStatus::Cancelled);
    assert_eq!(promotion.superseded_by, None);
    assert_eq!(promotion.reason, "no target is left that needs it");
}

#[test]
fn an_identifier_can_go_to_another_resource() {
    let mut world = world(1);
    world.version("v1");
    let first = world.resource_id("p1");
    world.delete_resource("p1");
    // The first still runs a job; its identifier is free all the same.
    let mut second = world.new_resource("p2", &[("env", "Production")]);
    second.identifier = "p1".into();
    let second_id = second.id;
    world.configure(vec![Change::PutResource(second)]);
    let mut back = world.new_resource("p1", &[("env", "Production")]);
    back.identifier = "p3".into();
    world.configure(vec![Change::PutResource(back)]);
    let holder = |name: &str| world.state().resource_by_identifier(name).map(|it| it.id);
    assert_eq!(holder("p1"), Some(second_id));
    assert_eq!(holder("p3"), Some(first));
    // Also within one change.
    let mut renamed = world.new_resource("p1", &[("env", "Production")]);
    renamed.identifier = "p4".into();
    let mut other = world.new_resource("p5", &[]);
    other.identifier = "p3".into();
    world.configure(vec![
        Change::PutResource(renamed),
        Change::PutResource(other),
    ]);
    let mut taken = world.new_resource("p6", &[]);
    taken.identifier = "p4".into();
    let rejection = world.refused(Command::Configure(vec![Change::PutResource(taken)]));
    assert_eq!(rejection.code, "name_taken");
    assert_eq!(rejection.field, "identifier");
}

#[test]
fn a_changed_selector_moves_targets() {
    let mut world = world(2);
    world.environment("Staging");
    world.version("v1");
    world.succeed("v1", "Production");
    let id = world.environment_id("Production");
    let mut production = (*world.state().environments()[&id]).clone();
    production.resource_selector = "resource.name == \"p1\"".into();
    world.configure(vec![Change::PutEnvironment(production)]);
    assert_eq!(targets(&world, "Production"), 1);
    let mut deployment = (*world.state().deployments()[&world.main]).clone();
    deployment.resource_selector = "false".into();
    world.configure(vec![Change::PutDeployment(deployment)]);
    assert_eq!(targets(&world, "Production"), 0);
}

#[test]
fn a_selector_that_asks_for_what_is_not_there_takes_nothing() {
    let mut world = world(1);
    let mut environment = world.new_environment("EU");
    environment.resource_selector = "resource.config.nested.region == \"eu\"".into();
    world.configure(vec![Change::PutEnvironment(environment)]);
    assert_eq!(targets(&world, "EU"), 0);
    let mut resource = world.new_resource("e1", &[]);
    resource.config = json!({ "nested": { "region": "eu" } });
    world.configure(vec![Change::PutResource(resource)]);
    assert_eq!(targets(&world, "EU"), 1);
}

#[test]
fn deployments_that_share_an_environment_do_not_wait_for_each_other() {
    let mut world = world(1);
    world.environment("Staging");
    world.resource("s1", "Staging");
    world.policy_on("Production", json!([wait_for("Staging")]));
    world.version("v1");
    let api = world.main;
    world.main = world.deployment("web");
    world.version("w1");
    world.succeed("w1", "Staging");
    assert_eq!(world.open_jobs("w1", "Production").len(), 1);
    world.main = api;
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
    world.succeed("v1", "Staging");
    assert_eq!(world.open_jobs("v1", "Production").len(), 1);
}

#[test]
fn what_is_in_use_is_not_deleted() {
    let mut world = world(1);
    world.version("v1");
    let environment = world.environment_id("Production");
    let (deployment, system, agent) = (world.main, world.system, world.agent);
    let changes = [
        Change::DeleteEnvironment(environment),
        Change::DeleteDeployment(deployment),
        Change::DeleteSystem(system),
        Change::DeleteJobAgent(agent),
    ];
    for change in changes {
        let rejection = world.refused(Command::Configure(vec![change]));
        assert_eq!(rejection.kind, RejectionKind::Conflict);
        assert_eq!(rejection.code, "in_use");
        assert!(!rejection.hint.is_empty());
    }
    world.succeed("v1", "Production");
    world.policy_on("Production", json!([approvals(1)]));
    world.version("v2");
    let waiting = world.promotion("v2", "Production").id;
    let facts = world.configure(vec![
        Change::DeleteDeployment(deployment),
        Change::DeleteEnvironment(environment),
        Change::DeleteSystem(system),
        Change::DeleteJobAgent(agent),
    ]);
    let ended = facts.iter().filter(|fact| {
        matches!(fact, Fact::PromotionEnded { id, status: PromotionStatus::Cancelled, .. } if *id == waiting)
    });
    assert_eq!(ended.count(), 1, "it ends once, with a record");
    assert!(world.state().lanes().is_empty() && world.state().promotions().is_empty());
    assert!(world.state().jobs().is_empty() && world.state().releases().is_empty());
}

#[test]
fn a_joiner_may_get_an_older_version_but_nobody_goes_back_to_it() {
    let mut world = world(1);
    world.version("v1");
    world.succeed("v1", "Production");
    world.version("v2");
    world.succeed("v2", "Production");
    world.set_status("v2", VersionStatus::Paused);
    world.resource("p2", "Production");
    assert_eq!(world.open_jobs("v1", "Production").len(), 1);
    world.succeed("v1", "Production");
    assert_eq!(world.current("p2", "Production").unwrap(), "v1");
    assert_eq!(world.current("p1", "Production").unwrap(), "v2");
    world.set_status("v2", VersionStatus::Ready);
    world.succeed("v2", "Production");
    assert_eq!(world.current("p2", "Production").unwrap(), "v2");
}
