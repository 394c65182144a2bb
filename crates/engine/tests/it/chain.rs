//! Who waits for whom, and for what in the end.

use crate::world::{World, approvals, wait_for};
use serde_json::json;
use stagegate_engine::{Chain, Link, NeedKind, Shown, TargetState};
use stagegate_model::*;

/// Three stages behind each other, two places in the last; people are asked before each but the first.
fn world() -> World {
    let mut world = World::new();
    // Not in the order of the stages, nor of their names.
    for name in ["Production", "Dev", "Staging"] {
        world.environment(name);
    }
    world.resource("d1", "Dev");
    world.resource("s1", "Staging");
    world.resource("p1", "Production");
    world.resource("p2", "Production");
    world.person("ann", Role::Approver);
    world.person("bob", Role::Approver);
    world.policy_on("Staging", json!([wait_for("Dev"), approvals(2)]));
    let soaked =
        json!({ "environmentProgression": { "waitFor": "Staging", "minimumSoakTimeMinutes": 30 } });
    world.policy_on("Production", json!([soaked]));
    world
}

fn chain(world: &World, tag: &str) -> Chain {
    let id = world.version_id(tag);
    world
        .engine
        .chain(id, Shown::All, world.now)
        .expect("a chain")
}

fn names(world: &World, chain: &Chain) -> Vec<String> {
    let name = |link: &Link| {
        let id = link.explanation.lane.environment;
        world.state().environments()[&id].name.clone()
    };
    chain.links.iter().map(name).collect()
}

fn link(world: &World, environment: &str, resource: Option<&str>) -> Option<Link> {
    let resource = resource.map(|name| world.resource_id(name));
    let version = world.version_id("v1");
    let lane = world.lane(environment);
    let shown = resource.map_or(Shown::All, Shown::Only);
    world.engine.link(lane, version, shown, world.now)
}

#[test]
fn a_chain_goes_from_the_last_stage_down_to_what_waits_for_nothing_else() {
    let mut world = world();
    world.version("v1");
    let told = chain(&world, "v1");
    assert_eq!(names(&world, &told), ["Dev", "Staging", "Production"]);
    assert_eq!(
        told.summary,
        "Production waits for Staging; Staging waits for Dev and for 2 approvals by anyone with the role \
         approver or admin; Dev waits: on d1 its job is pending; nothing else is missing"
    );
    let [dev, staging, production] = &told.links[..] else {
        panic!("{told:?}");
    };
    assert_eq!(dev.needs[0].kind, NeedKind::Event);
    let kinds: Vec<_> = staging.needs.iter().map(|need| need.kind).collect();
    assert_eq!(kinds, [NeedKind::Environment, NeedKind::Approval]);
    let awaited = vec![world.environment_id("Staging")];
    assert_eq!(production.needs[0].environments, awaited);
    assert_eq!(production.behind, awaited);
    // Each link has a story of its own, down to the same end.
    assert_eq!(production.story, told.summary);
    assert!(
        staging.story.starts_with("Staging waits for Dev"),
        "{}",
        staging.story
    );
}

#[test]
fn what_came_is_not_told_any_more_and_a_soak_says_its_end() {
    let mut world = world();
    world.version("v1");
    world.succeed("v1", "Dev");
    world.approve("ann", "v1", "Staging");
    let told = chain(&world, "v1");
    assert_eq!(
        told.summary,
        "Production waits for Staging; Staging waits for approval by anyone with the role approver or admin; \
         nothing else is missing"
    );
    world.approve("bob", "v1", "Staging");
    world.minutes(1);
    world.succeed("v1", "Staging");
    let told = chain(&world, "v1");
    assert!(
        told.summary.starts_with(
            "Production waits until 2026-03-02T09:31:00.000Z: v1 succeeded on 1 of 1 targets"
        ),
        "{}",
        told.summary
    );
    let production = &told.links[2];
    assert_eq!(production.needs[0].kind, NeedKind::Time);
    assert_eq!(production.explanation.earliest, production.needs[0].until);
    world.minutes(30);
    world.succeed("v1", "Production");
    let told = chain(&world, "v1");
    assert!(told.links.iter().all(Link::has_arrived));
    assert_eq!(
        told.summary,
        "v1, or what is newer, is in Dev, Staging, Production"
    );
}

#[test]
fn what_somebody_must_change_says_who_and_what() {
    let mut world = world();
    world.version("v1");
    world.finish("v1", "Dev", JobStatus::Failure);
    let told = chain(&world, "v1");
    assert!(told.summary.contains("Dev is shut: "), "{}", told.summary);
    assert!(!told.summary.contains("nothing else"), "{}", told.summary);
    assert!(
        told.summary
            .contains("its promotion into Dev ended: failed"),
        "{}",
        told.summary
    );

    world.version("v2");
    world.succeed("v2", "Dev");
    world.vote("ann", "v2", "Staging", Vote::Rejected);
    let told = chain(&world, "v2");
    let ann = world.user_id("ann");
    assert_eq!(
        told.summary,
        format!(
            "Production waits for Staging; Staging is shut: v2 was rejected for Staging; what would do: the person \
             who rejected withdraws the rejection or approves (user:{ann}); nothing else is missing"
        )
    );
}

#[test]
fn those_that_wait_for_each_other_are_told_and_it_ends() {
    let mut world = World::new();
    for name in ["A", "B"] {
        world.environment(name);
        world.resource(&format!("{name}1"), name);
    }
    world.policy_on("A", json!([wait_for("B")]));
    world.policy_on("B", json!([wait_for("A")]));
    world.version("v1");
    let told = chain(&world, "v1");
    assert_eq!(
        told.summary,
        "B waits for A; A waits for B; B and A wait for each other"
    );
}

#[test]
fn of_several_that_would_do_each_is_followed() {
    let mut world = World::new();
    for name in ["East", "West", "Last"] {
        world.environment(name);
        world.resource(&format!("{name}1"), name);
    }
    world.person("ann", Role::Approver);
    world.policy_on("East", json!([approvals(1)]));
    world.policy_on("West", json!([approvals(1)]));
    let either = json!({ "environmentProgression": {
        "dependsOnEnvironmentSelector": "environment.name in [\"East\", \"West\"]" } });
    world.policy_on("Last", json!([either]));
    world.version("v1");
    let told = chain(&world, "v1").summary;
    assert!(
        told.starts_with("Last waits for East or West; East waits for approval"),
        "{told}"
    );
    assert!(told.contains("; West waits for approval"), "{told}");
}

#[test]
fn stages_of_an_approval_are_told_in_their_order() {
    let mut world = World::new();
    world.environment("Production");
    world.resource("p1", "Production");
    let ann = world.person("ann", Role::Approver);
    let bob = world.person("bob", Role::Approver);
    world.policy_on(
        "Production",
        json!([{ "approval": { "stages": [
            { "name": "QA", "approvers": [format!("user:{ann}")] },
            { "name": "Release", "approvers": [format!("user:{bob}"), "role:admin"] },
        ] } }]),
    );
    world.version("v1");
    let told = link(&world, "Production", None).expect("a link").story;
    assert_eq!(
        told,
        format!(
            "Production waits for approval by user:{ann}, then approval by user:{bob} or role:admin; \
             nothing else is missing"
        )
    );
    world.approve("ann", "v1", "Production");
    let told = link(&world, "Production", None).expect("a link").story;
    assert!(
        told.starts_with(&format!(
            "Production waits for approval by user:{bob} or role:admin;"
        )),
        "{told}"
    );
}

#[test]
fn one_target_is_told_with_what_is_asked_of_it_alone() {
    let mut world = world();
    world.policy("careful", "resource.name == \"p2\"", json!([approvals(1)]));
    let one_by_one = json!([{ "gradualRollout": {
        "rolloutType": "linear", "timeScaleInterval": 600, "order": "resource.name" } }]);
    world.policy("slow", "environment.name == \"Production\"", one_by_one);
    world.version("v1");
    let kinds =
        |link: &Link| -> Vec<&str> { link.explanation.gates.iter().map(|it| it.kind).collect() };
    let p1 = link(&world, "Production", Some("p1")).expect("a link");
    assert_eq!(kinds(&p1), ["environmentProgression", "gradualRollout"]);
    assert_eq!(p1.explanation.targets.len(), 1);
    assert!(
        p1.story.starts_with("p1 in Production waits for Staging;"),
        "{}",
        p1.story
    );
    let p2 = link(&world, "Production", Some("p2")).expect("a link");
    assert_eq!(
        kinds(&p2),
        ["environmentProgression", "anyApproval", "gradualRollout"]
    );
    assert!(link(&world, "Production", Some("s1")).is_none());

    world.approve("bob", "v1", "Production");
    world.succeed("v1", "Dev");
    world.approve("ann", "v1", "Staging");
    world.approve("bob", "v1", "Staging");
    world.succeed("v1", "Staging");
    world.minutes(30);
    let p1 = link(&world, "Production", Some("p1")).expect("a link");
    assert_eq!(p1.explanation.targets[0].state, TargetState::Running);
    assert!(
        p1.explanation
            .summary
            .starts_with("v1 is on its way to p1 in Production")
    );
    let p2 = link(&world, "Production", Some("p2")).expect("a link");
    assert_eq!(
        p2.explanation.summary,
        "v1 waits for p2 in Production: position 2 of 2 in the rollout, due at 2026-03-02T09:40:00.000Z"
    );
    assert_eq!(p2.explanation.earliest, Some(world.now.plus_seconds(600)));
}

#[test]
fn since_when_a_gate_stands_so_is_on_record_and_survives_what_changes_nothing() {
    let mut world = world();
    world.minutes(1);
    world.version("v1");
    let asked = world.now;
    let since = |world: &World, kind: &str| world.gate("v1", "Staging", kind).since;
    assert_eq!(since(&world, "anyApproval"), Some(asked));
    world.minutes(5);
    world.approve("ann", "v1", "Staging");
    assert_eq!(since(&world, "anyApproval"), Some(asked), "it still waits");
    world.minutes(5);
    world.approve("bob", "v1", "Staging");
    assert_eq!(since(&world, "anyApproval"), Some(world.now));
    assert_eq!(since(&world, "environmentProgression"), Some(asked));
    world.finish("v1", "Dev", JobStatus::Failure);
    assert_eq!(since(&world, "environmentProgression"), Some(world.now));
    // Nothing is recorded of whose turn it is.
    let one_at_a_time = json!([{ "concurrency": { "max": 1 } }]);
    world.policy("slots", "environment.name == \"Staging\"", one_at_a_time);
    assert_eq!(since(&world, "concurrency"), None);
}
