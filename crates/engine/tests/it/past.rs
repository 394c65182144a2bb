//! Why a job was started, told from the log after things have changed.

use crate::world::{World, approvals, wait_for};
use serde_json::json;
use stagegate_engine::{Beginning, Past, PastJob};
use stagegate_model::*;

fn world() -> World {
    let mut world = World::new();
    for name in ["Staging", "Production"] {
        world.environment(name);
    }
    world.resource("s1", "Staging");
    world.resource("p1", "Production");
    world.person("ann", Role::Approver);
    world.policy_on("Production", json!([wait_for("Staging"), approvals(1)]));
    world
}

fn beginning(world: &World, job: JobId) -> Beginning {
    let it = world.job(job);
    let mut past = Past::new(PastJob {
        job,
        release: it.release,
        promotion: it.promotion,
        version: it.version,
        environment: it.target.environment,
        resource: it.target.resource,
    });
    let mut entries = world.entries.iter();
    entries
        .find_map(|entry| past.follow(entry))
        .expect("an entry that created it")
}

fn gate<'b>(beginning: &'b Beginning, kind: &str) -> &'b stagegate_engine::PastGate {
    let mut gates = beginning.gates.iter();
    gates
        .find(|it| it.record.kind == kind)
        .expect("a gate of that kind")
}

#[test]
fn the_gates_are_told_as_they_stood_then_and_not_as_they_stand_now() {
    let mut world = world();
    world.version("v1");
    let asked = world.now;
    world.minutes(2);
    world.succeed("v1", "Staging");
    let progressed = world.now;
    world.minutes(3);
    world.approve("ann", "v1", "Production");
    let approved = world.now;
    let job = world.job_on("p1", "Production").id;
    // Whatever comes later is no part of it.
    world.minutes(1);
    world.vote("ann", "v1", "Production", Vote::Rejected);
    world.delete_policy("Production policy");
    world.succeed("v1", "Production");
    let told = beginning(&world, job);
    assert_eq!(
        (told.kind, told.attempt, told.number),
        (StartKind::Forward, 1, 1)
    );
    assert_eq!(told.actor, world.actor("ann"));
    assert_eq!(
        told.cause,
        Cause::Command {
            name: "castVote".into()
        }
    );
    assert_eq!(told.at.time, approved);
    assert_eq!(told.gates.len(), 2);
    let progression = gate(&told, "environmentProgression");
    assert_eq!(progression.record.state, GateState::Allow);
    assert_eq!((progression.since, progression.latched), (progressed, true));
    assert!(progression.recorded.seq < told.at.seq);
    let approval = gate(&told, "anyApproval");
    assert_eq!(approval.record.satisfied_at, Some(approved));
    assert_eq!(approval.recorded, told.at, "the last gate to open");
    assert!(asked < approval.since);
    assert_eq!(told.votes.len(), 1);
    assert_eq!(told.votes[0].vote, Vote::Approved);
    // Nothing was asked of the one before.
    let first = beginning(&world, world.job_on("s1", "Staging").id);
    assert_eq!((first.gates.len(), first.votes.len()), (0, 0));
    assert_eq!(
        first.cause,
        Cause::Command {
            name: "createVersion".into()
        }
    );
}

#[test]
fn gates_on_record_of_an_earlier_attempt_still_count() {
    let mut world = world();
    world.version("v1");
    world.succeed("v1", "Staging");
    world.approve("ann", "v1", "Production");
    world.finish("v1", "Production", JobStatus::Failure);
    world.minutes(1);
    let target = world.lane("Production").target(world.resource_id("p1"));
    world.run(Command::Redeploy {
        targets: vec![target],
        reason: "try again".into(),
    });
    let job = world.job_on("p1", "Production");
    assert_eq!(job.kind, StartKind::Redeploy);
    let told = beginning(&world, job.id);
    let (_, order) = told.order.as_ref().expect("an order");
    assert_eq!(
        (order.reason.as_str(), order.cause),
        ("try again", OrderCause::Person)
    );
    assert_eq!(told.gates.len(), 2, "{:?}", told.gates);
    assert!(told.gates.iter().all(|it| it.latched));
}

#[test]
fn a_retry_names_the_try_before_and_a_rollout_the_place() {
    let mut world = world();
    world.resource("p0", "Production");
    let rules = json!([
        { "retry": { "maxRetries": 1 } },
        { "gradualRollout": { "rolloutType": "linear", "timeScaleInterval": 60, "order": "resource.name" } },
    ]);
    world.policy("slow", "environment.name == \"Production\"", rules);
    world.version("v1");
    world.succeed("v1", "Staging");
    world.approve("ann", "v1", "Production");
    world.minutes(1);
    let first = world.job_on("p1", "Production").id;
    let told = beginning(&world, first);
    assert_eq!(told.cause, Cause::Timer, "its turn came");
    let turn = told.turns[0];
    assert_eq!(
        (turn.wave, turn.waves, turn.position, turn.size),
        (1, 1, 2, 2)
    );
    world.finish_job(first, JobStatus::Failure);
    let second = world.job_on("p1", "Production").id;
    let told = beginning(&world, second);
    assert_eq!((told.kind, told.attempt), (StartKind::Retry, 2));
    assert_eq!(told.tried_before, Some(first));
}
