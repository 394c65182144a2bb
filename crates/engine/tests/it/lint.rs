//! What only a workspace tells: who may approve, which versions there are, freezes and skips; and that nothing is
//! found in what is as it should be. Findings of documents have their tests beside the documents.

use crate::world::{World, approvals, health_check, wait_for};
use serde_json::{Value, json};
use stagegate_engine::lint::{Finding, Severity, Whole};
use stagegate_model::*;
use std::collections::BTreeSet;

/// Staging and production with a target each, verified, and an approval.
fn shop() -> World {
    let mut world = World::new();
    for environment in ["Staging", "Production"] {
        world.environment(environment);
        world.resource(&format!("{environment}-1").to_lowercase(), environment);
    }
    for name in ["ann", "bob"] {
        world.person(name, Role::Approver);
    }
    world.policy_on("Staging", json!([health_check()]));
    world.policy_on("Production", json!([wait_for("staging"), approvals(1)]));
    world
}

fn found(world: &World) -> Vec<Finding> {
    world.engine.lint(world.now, Whole::Workspace)
}

fn codes(world: &World) -> Vec<&'static str> {
    found(world).iter().map(|finding| finding.code).collect()
}

fn the_one(world: &World, code: &str) -> Finding {
    let mut found = found(world);
    let codes: Vec<&str> = found.iter().map(|it| it.code).collect();
    assert_eq!(codes, [code], "{found:#?}");
    found.remove(0)
}

fn group(world: &mut World, name: &str, members: &[&str]) -> Group {
    let group = Group {
        id: world.id().into(),
        name: name.to_owned(),
        members: members.iter().map(|it| world.user_id(it)).collect(),
    };
    world.run(Command::PutGroup(group.clone()));
    group
}

fn stages(stages: Value) -> Value {
    json!({ "approval": { "stages": stages, "expiresAfterHours": 48 } })
}

#[test]
fn nothing_is_found_where_all_is_well() {
    let mut world = shop();
    assert_eq!(found(&world), []);
    world.version("v1");
    assert_eq!(found(&world), []);
    assert_eq!(found(&World::new()), []);
}

#[test]
fn a_stage_needs_as_many_people_as_it_asks_for() {
    let mut world = shop();
    let mut qa = group(&mut world, "qa", &[]);
    let stage = json!([{ "name": "QA", "approvers": ["group:qa"], "minimum": 2 }]);
    world.policy(
        "QA",
        "environment.name == \"Staging\"",
        json!([stages(stage)]),
    );
    let told = found(&world);
    // Production waits for staging, into which nothing gets.
    let told: Vec<(&str, &str)> = told.iter().map(|it| (it.code, &*it.message)).collect();
    assert_eq!(
        told,
        [
            (
                "unreachable_environment",
                "no version of `api` gets there: it waits for `Staging`, which nothing can reach"
            ),
            (
                "approval_unsatisfiable",
                "the stage `QA` asks for 2 approvals, and nobody may give them"
            ),
        ]
    );
    qa.members.insert(world.user_id("ann"));
    world.run(Command::PutGroup(qa.clone()));
    assert!(
        found(&world)[1]
            .message
            .ends_with("and 1 person may give them")
    );
    qa.members.insert(world.user_id("bob"));
    world.run(Command::PutGroup(qa));
    assert_eq!(found(&world), []);
    // The files that say the same are not judged by it.
    assert_eq!(world.engine.lint(world.now, Whole::Files), []);
}

#[test]
fn any_approval_needs_as_many_approvers() {
    let mut world = shop();
    // `ann`, `bob` and the administrator `root`.
    world.policy(
        "Many",
        "environment.name == \"Production\"",
        json!([approvals(4)]),
    );
    let told = found(&world);
    let told = told
        .iter()
        .find(|it| it.code == "approval_unsatisfiable")
        .unwrap();
    assert_eq!(
        told.message,
        "it asks for 4 approvals, and 3 people may give them"
    );
    assert_eq!(told.field, "rules[0].anyApproval.minApprovals");
    assert_eq!((told.object.kind, &*told.object.name), ("Policy", "Many"));
    world.person("eve", Role::Ci);
    assert!(codes(&world).contains(&"approval_unsatisfiable"));
    world.person("eva", Role::Approver);
    assert!(!codes(&world).contains(&"approval_unsatisfiable"));
}

#[test]
fn whoever_creates_versions_cannot_be_the_only_approver() {
    let mut world = shop();
    let ann = world.user_id("ann");
    let approver = format!("user:{ann}");
    let stage = json!([{ "name": "Release", "approvers": [approver, "group:late"] }]);
    let mut late = group(&mut world, "late", &[]);
    world.policy(
        "Release",
        "environment.name == \"Production\"",
        json!([stages(stage)]),
    );
    assert_eq!(found(&world), []);
    let version = world.new_version("v1");
    let actor = world.actor("ann");
    world.run_as(actor, Command::CreateVersion(version));
    let told = the_one(&world, "approval_needs_creator");
    assert_eq!(
        told.message,
        format!(
            "user:{ann} created `v1`, and without this person too few are left for the stage `Release`"
        )
    );
    assert_eq!(told.severity, Severity::Warning);
    late.members.insert(world.user_id("bob"));
    world.run(Command::PutGroup(late));
    assert_eq!(found(&world), []);
}

#[test]
fn freezes_and_skips_are_over_at_their_end() {
    let mut world = shop();
    let ends = world.now.plus_seconds(3600);
    let freeze = Freeze {
        id: world.id().into(),
        name: "the sale".to_owned(),
        selector: "environment.name == \"Production\"".to_owned(),
        reason: "sale".to_owned(),
        starts_at: world.now,
        ends_at: Some(ends),
        allow_rollback: true,
        created_at: Timestamp(0),
        created_by: None,
    };
    world.run(Command::PutFreeze(freeze));
    let policy = world.policy_id("Production policy");
    let rule = world.state().policies()[&policy].rules[0].id;
    let skip = Skip {
        id: world.id().into(),
        rule,
        version: None,
        environment: None,
        resource: None,
        reason: "a hotfix".to_owned(),
        expires_at: Some(ends),
        created_at: Timestamp(0),
        created_by: None,
    };
    world.run(Command::CreateSkip(skip));
    assert_eq!(found(&world), []);
    let told = world.engine.lint(ends, Whole::Workspace);
    let told: Vec<_> = told
        .iter()
        .map(|it| (it.code, it.object.kind, &*it.object.name, it.severity))
        .collect();
    assert_eq!(
        told,
        [
            ("freeze_ended", "Freeze", "the sale", Severity::Note),
            (
                "skip_expired",
                "Skip",
                "environmentProgression",
                Severity::Note
            ),
        ]
    );
}

#[test]
fn a_freeze_or_a_version_selector_that_takes_nothing_is_found() {
    let mut world = shop();
    let freeze = Freeze {
        id: world.id().into(),
        name: "the sale".to_owned(),
        selector: "environment.name == \"Prod\"".to_owned(),
        reason: "sale".to_owned(),
        starts_at: world.now,
        ends_at: None,
        allow_rollback: true,
        created_at: Timestamp(0),
        created_by: None,
    };
    let id = freeze.id;
    world.run(Command::PutFreeze(freeze));
    let told = the_one(&world, "selector_matches_nothing");
    assert_eq!(
        (told.object.kind, told.severity),
        ("Freeze", Severity::Warning)
    );
    let reason = String::new();
    world.run(Command::DeleteFreeze { id, reason });

    let released = json!([{ "versionSelector": { "selector": "version.metadata[\"released\"] == \"true\"" } }]);
    world.policy("Released", "environment.name == \"Production\"", released);
    assert_eq!(found(&world), [], "there are no versions yet");
    world.version("v1");
    assert_eq!(
        the_one(&world, "selector_matches_nothing").object.name,
        "Released"
    );
    world.version_with("v2", &[("released", "true")]);
    assert_eq!(found(&world), []);
}

#[test]
fn a_workspace_is_judged_by_the_targets_it_has() {
    let mut world = shop();
    world.delete_resource("staging-1");
    let told = found(&world);
    let told: BTreeSet<(&str, Severity)> = told.iter().map(|it| (it.code, it.severity)).collect();
    assert_eq!(
        told,
        BTreeSet::from([
            ("progression_without_targets", Severity::Error),
            ("selector_matches_nothing", Severity::Warning),
        ])
    );
    let files = world.engine.lint(world.now, Whole::Files);
    assert!(
        files.iter().all(|it| it.severity == Severity::Note),
        "{files:?}"
    );
    // Without any resources nothing is said of targets.
    world.delete_resource("production-1");
    assert_eq!(found(&world), []);
}

#[test]
fn what_waits_for_an_environment_without_targets_is_out_of_reach() {
    let mut world = shop();
    world.environment("Shops");
    world.resource("shops-1", "Shops");
    world.policy_on("Shops", json!([wait_for("Production")]));
    assert_eq!(found(&world), []);
    world.delete_resource("staging-1");
    let told = found(&world);
    let out = told
        .iter()
        .find(|it| it.code == "unreachable_environment")
        .unwrap();
    assert_eq!(
        (&*out.object.name, out.severity),
        ("Shops", Severity::Error)
    );
    let progression =
        json!({ "environmentProgression": { "waitFor": "staging", "allowNoTargets": true } });
    world.delete_policy("Production policy");
    world.policy_on("Production", json!([progression]));
    assert!(!codes(&world).contains(&"unreachable_environment"));
    assert!(!codes(&world).contains(&"progression_without_targets"));
}

#[test]
fn a_lane_for_hotfixes_does_not_make_a_circle() {
    let mut world = shop();
    // Certain versions may go the other way round; the ordinary ones need not.
    world.policy_replacing(
        "hotfix",
        "environment.name == \"Staging\" && version.metadata[\"hotfix\"] == \"true\"",
        &["Staging policy"],
        json!([wait_for("production"), health_check()]),
    );
    assert_eq!(found(&world), []);
    world.policy(
        "Back",
        "environment.name == \"Staging\"",
        json!([wait_for("production")]),
    );
    let told = found(&world);
    assert_eq!(told[0].code, "progression_cycle");
    // What takes its place for every version breaks the circle.
    world.policy_replacing(
        "Instead",
        "environment.name == \"Staging\"",
        &["Back"],
        json!([approvals(1)]),
    );
    assert!(!codes(&world).contains(&"progression_cycle"));
}
