//! What a change of configuration would do, told before it is done.

use crate::world::{World, approvals, wait_for};
use serde_json::json;
use stagegate_engine::{Consequences, Context};
use stagegate_model::*;

fn consequences(world: &World, changes: Vec<Change>) -> Consequences {
    let context = Context {
        entry: EntryId(uuid::Uuid::from_u128(7)),
        now: world.now,
        actor: world.actor("root"),
    };
    let mut copy = world.engine.clone();
    copy.consequences(changes, context).expect("accepted")
}

/// v1 is in staging and waits for production, where somebody has to approve.
fn waiting() -> World {
    let mut world = World::new();
    for environment in ["Staging", "Production"] {
        world.environment(environment);
    }
    world.resource("s", "Staging");
    world.resource("p", "Production");
    world.policy_on("Production", json!([wait_for("Staging"), approvals(1)]));
    world.version("v1");
    world.succeed("v1", "Staging");
    world
}

#[test]
fn a_gate_that_goes_lets_jobs_start() {
    let world = waiting();
    let mut policy = (*world.state().policy_by_name("Production policy").unwrap())
        .as_ref()
        .clone();
    policy.rules.pop();
    let told = consequences(&world, vec![Change::PutPolicy(policy)]);
    assert_eq!(told.jobs.len(), 1);
    assert_eq!(told.jobs[0].resources, [world.resource_id("p")]);
    let gate = &told.gates;
    assert_eq!(gate.len(), 1, "{told:?}");
    assert_eq!(
        (gate[0].kind, gate[0].was_open, gate[0].opens),
        ("anyApproval", Some(false), None)
    );
    // Nothing was done.
    assert!(world.open_jobs("v1", "Production").is_empty());
}

#[test]
fn a_gate_that_comes_shuts_with_its_reason_and_an_edited_one_is_compared_with_itself() {
    let mut world = waiting();
    let added = world.new_policy(
        "strict",
        "environment.name == \"Staging\"",
        json!([approvals(2)]),
    );
    let told = consequences(&world, vec![Change::PutPolicy(added)]);
    let turns: Vec<_> = told
        .gates
        .iter()
        .map(|it| (it.policy.as_str(), it.was_open, it.opens))
        .collect();
    assert_eq!(
        turns,
        [("strict", None, Some(false))],
        "of what is there already, too"
    );
    assert!(!told.gates[0].message.is_empty());
    assert!(told.jobs.is_empty() && told.ending.is_empty());
    // Another number of approvals that are missing all the same changes nothing, though it is another rule.
    let mut policy = (*world.state().policy_by_name("Production policy").unwrap())
        .as_ref()
        .clone();
    policy.rules[1] = world.rule(&approvals(3));
    assert!(consequences(&world, vec![Change::PutPolicy(policy)]).is_empty());
}

#[test]
fn targets_join_and_leave_and_promotions_end() {
    let mut world = waiting();
    let mut environment = (*world.state().environment_by_name("Production").unwrap())
        .as_ref()
        .clone();
    environment.resource_selector = "false".into();
    let lane = world.lane("Production");
    let told = consequences(&world, vec![Change::PutEnvironment(environment)]);
    assert_eq!(told.leaving[&lane], [world.resource_id("p")].into());
    let fresh = world.new_resource("q", &[("env", "Production")]);
    let id = fresh.id;
    let told = consequences(&world, vec![Change::PutResource(fresh)]);
    assert_eq!(told.joining[&lane], [id].into());
    let told = consequences(&world, vec![Change::DeleteEnvironment(lane.environment)]);
    assert_eq!(told.ending.len(), 1, "{told:?}");
    assert_eq!(told.ending[0].status, PromotionStatus::Cancelled);
}
