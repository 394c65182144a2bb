//! Commands about people and time: what each refuses, with its code, its field and what to do about it; and the
//! engine's part in votes that scenarios show only in passing.

use crate::world::{World, approvals};
use serde_json::{Value, json};
use stagegate_model::*;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Production with one place; ann, bob and eve may approve, root may everything.
fn world() -> World {
    let mut world = World::new();
    world.environment("Production");
    world.resource("p1", "Production");
    for name in ["ann", "bob", "eve"] {
        world.person(name, Role::Approver);
    }
    world.person("root", Role::Admin);
    world
}

fn group(world: &mut World, name: &str, members: &[&str]) -> Group {
    Group {
        id: world.id().into(),
        name: name.to_owned(),
        members: members.iter().map(|it| world.user_id(it)).collect(),
    }
}

fn put_group(world: &mut World, name: &str, members: &[&str]) -> GroupId {
    let group = group(world, name, members);
    let id = group.id;
    world.run(Command::PutGroup(group));
    id
}

fn skip(world: &mut World, rule: RuleId) -> Skip {
    Skip {
        id: world.id().into(),
        rule,
        version: None,
        environment: None,
        resource: None,
        reason: "a hotfix".to_owned(),
        expires_at: None,
        created_at: Timestamp(0),
        created_by: None,
    }
}

fn freeze(world: &mut World, name: &str) -> Freeze {
    Freeze {
        id: world.id().into(),
        name: name.to_owned(),
        selector: "true".to_owned(),
        reason: "the sale".to_owned(),
        starts_at: world.now,
        ends_at: None,
        allow_rollback: true,
        created_at: Timestamp(0),
        created_by: None,
    }
}

fn rule_of(world: &World, policy: &str) -> RuleId {
    let policy = &world.state().policies()[&world.policy_id(policy)];
    policy.rules[0].id
}

/// Code, field and hint of a refusal.
fn told(rejection: &Rejection) -> (&str, &str, &str) {
    (&rejection.code, &rejection.field, &rejection.hint)
}

fn approval(stages: Value) -> Value {
    json!([{ "approval": { "stages": stages } }])
}

#[test]
fn groups_that_cannot_be() {
    let mut world = world();
    put_group(&mut world, "sre", &["ann"]);
    for name in ["", "  ", "a\u{7}b", &"x".repeat(201)] {
        let group = group(&mut world, name, &[]);
        let refused = world.refused(Command::PutGroup(group));
        assert_eq!(told(&refused), ("invalid_name", "name", ""), "{name:?}");
    }
    let taken = group(&mut world, "SRE", &[]);
    let refused = world.refused(Command::PutGroup(taken));
    assert_eq!(told(&refused), ("name_taken", "name", ""));
    assert_eq!(refused.message, "there is a group `SRE` already");

    let mut strangers = group(&mut world, "strangers", &[]);
    strangers.members = BTreeSet::from([world.id().into()]);
    let refused = world.refused(Command::PutGroup(strangers));
    assert_eq!(told(&refused), ("unknown_user", "members", ""));

    let mut crowd = group(&mut world, "crowd", &[]);
    crowd.members = (0..10_001).map(|_| world.id().into()).collect();
    let refused = world.refused(Command::PutGroup(crowd));
    assert_eq!(told(&refused), ("too_large", "members", ""));

    let id = world.id().into();
    let refused = world.refused(Command::DeleteGroup { id });
    assert_eq!(told(&refused), ("group_not_found", "", ""));
}

#[test]
fn a_group_that_is_saved_unchanged_is_no_news() {
    let mut world = world();
    let group = group(&mut world, "sre", &["ann"]);
    assert_eq!(world.run(Command::PutGroup(group.clone())).len(), 1);
    assert!(world.run(Command::PutGroup(group)).is_empty());
}

#[test]
fn a_group_that_a_policy_names_stays() {
    let mut world = world();
    let id = put_group(&mut world, "sre", &["ann"]);
    let stages = json!([{ "name": "team", "approvers": ["role:admin"],
        "escalateAfterMinutes": 5, "escalateTo": ["group:SRE"] }]);
    world.policy_on("Production", approval(stages));
    let refused = world.refused(Command::DeleteGroup { id });
    assert_eq!(
        told(&refused),
        ("group_in_use", "", "change the policy first")
    );
    assert!(refused.message.contains("`sre`"), "{}", refused.message);
    let renamed = Group {
        id,
        name: "operators".to_owned(),
        members: BTreeSet::new(),
    };
    let refused = world.refused(Command::PutGroup(renamed));
    assert_eq!(refused.code, "group_in_use");
}

#[test]
fn skips_that_cannot_be() {
    let mut world = world();
    world.policy("Approval", "true", json!([approvals(1)]));
    world.version("v1");
    let rule = rule_of(&world, "Approval");
    let with = |world: &mut World, change: &dyn Fn(&mut Skip, Uuid)| {
        let mut skip = skip(world, rule);
        let stranger = world.id();
        change(&mut skip, stranger);
        world.refused(Command::CreateSkip(skip))
    };
    let refused = with(&mut world, &|skip, _| skip.reason = " \n".to_owned());
    assert_eq!(told(&refused), ("missing_field", "reason", ""));
    let refused = with(&mut world, &|skip, _| skip.reason = "x".repeat(70_000));
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("too_large", "reason")
    );
    let refused = with(&mut world, &|skip, id| skip.rule = id.into());
    let hint = "a rule whose spec was changed is a new rule with a new id";
    assert_eq!(told(&refused), ("rule_not_found", "ruleId", hint));
    let refused = with(&mut world, &|skip, id| skip.version = Some(id.into()));
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("version_not_found", "versionId")
    );
    let refused = with(&mut world, &|skip, id| skip.environment = Some(id.into()));
    assert_eq!(
        told(&refused),
        ("environment_not_found", "environmentId", "")
    );
    let refused = with(&mut world, &|skip, id| skip.resource = Some(id.into()));
    assert_eq!(told(&refused), ("resource_not_found", "resourceId", ""));
    let now = world.now;
    let refused = with(&mut world, &|skip, _| skip.expires_at = Some(now));
    assert_eq!(told(&refused), ("invalid_time", "expiresAt", ""));

    let skip = skip(&mut world, rule);
    world.run(Command::CreateSkip(skip.clone()));
    assert_eq!(world.refused(Command::CreateSkip(skip)).code, "name_taken");
    let (id, reason) = (world.id().into(), String::new());
    let refused = world.refused(Command::DeleteSkip { id, reason });
    assert_eq!(refused.code, "skip_not_found");
}

#[test]
fn a_skip_says_who_made_it_and_when_whatever_is_sent() {
    let mut world = world();
    world.policy("Approval", "true", json!([approvals(1)]));
    let rule = rule_of(&world, "Approval");
    world.minutes(3);
    let mut made = skip(&mut world, rule);
    made.created_by = Some(world.user_id("ann"));
    let id = made.id;
    let root = world.actor("root");
    world.run_as(root, Command::CreateSkip(made));
    let kept = &world.state().skips()[&id];
    assert_eq!(kept.created_at, world.now);
    assert_eq!(kept.created_by, Some(world.user_id("root")));
}

#[test]
fn a_skip_of_a_rule_that_was_edited_can_no_longer_be_made() {
    let mut world = world();
    let mut policy = world.new_policy("Approval", "true", json!([approvals(1)]));
    world.configure(vec![Change::PutPolicy(policy.clone())]);
    let before = rule_of(&world, "Approval");
    policy.rules = vec![world.rule(&approvals(2))];
    world.configure(vec![Change::PutPolicy(policy)]);
    let stale = skip(&mut world, before);
    assert_eq!(
        world.refused(Command::CreateSkip(stale)).code,
        "rule_not_found"
    );
}

#[test]
fn freezes_that_cannot_be() {
    let mut world = world();
    let sale = freeze(&mut world, "Sale");
    world.run(Command::PutFreeze(sale.clone()));
    let with = |world: &mut World, change: &dyn Fn(&mut Freeze)| {
        let mut freeze = freeze(world, "Other");
        change(&mut freeze);
        world.refused(Command::PutFreeze(freeze))
    };
    let refused = with(&mut world, &|it| it.name = " ".to_owned());
    assert_eq!(told(&refused), ("invalid_name", "name", ""));
    let refused = with(&mut world, &|it| it.name = "sale".to_owned());
    assert_eq!(told(&refused), ("name_taken", "name", ""));
    let refused = with(&mut world, &|it| it.reason = String::new());
    assert_eq!(told(&refused), ("missing_field", "reason", ""));
    let refused = with(&mut world, &|it| it.ends_at = Some(it.starts_at));
    assert_eq!(told(&refused), ("invalid_time", "endsAt", ""));
    let refused = with(&mut world, &|it| {
        it.selector = "environment.nam == ".to_owned()
    });
    assert_eq!(refused.field, "selector");
    assert!(refused.message.contains("line 1"), "{}", refused.message);
    let (id, reason) = (world.id().into(), String::new());
    let refused = world.refused(Command::DeleteFreeze { id, reason });
    assert_eq!(refused.code, "freeze_not_found");
    assert!(world.run(Command::PutFreeze(sale)).is_empty(), "unchanged");
}

#[test]
fn a_changed_freeze_keeps_who_made_it() {
    let mut world = world();
    let sale = freeze(&mut world, "Sale");
    let (id, root, ann) = (sale.id, world.actor("root"), world.actor("ann"));
    world.run_as(root, Command::PutFreeze(sale.clone()));
    let made_at = world.now;
    world.minutes(5);
    let longer = Freeze {
        ends_at: Some(world.now.plus_seconds(600)),
        ..sale
    };
    world.run_as(ann, Command::PutFreeze(longer));
    let kept = &world.state().freezes()[&id];
    assert_eq!(
        (kept.created_at, kept.created_by),
        (made_at, Some(world.user_id("root")))
    );
}

#[test]
fn votes_that_cannot_be() {
    let mut world = world();
    put_group(&mut world, "dev", &["ann"]);
    put_group(&mut world, "sre", &["ann", "bob"]);
    world.policy_on(
        "Production",
        approval(json!([
            { "name": "developers", "approvers": ["group:dev"] },
            { "name": "operators", "approvers": ["group:sre"] },
        ])),
    );
    world.version("v1");
    let vote = |world: &mut World, who: &str, vote: Vote| {
        let command = world.vote_command("v1", "Production", vote);
        let actor = world.actor(who);
        world.refused_as(actor, command)
    };
    let refused = vote(&mut world, "bob", Vote::Approved);
    assert_eq!(
        told(&refused),
        (
            "stage_not_open",
            "environmentIds[0]",
            "vote again when it is open"
        )
    );
    assert_eq!(refused.kind, RejectionKind::Conflict);
    let refused = vote(&mut world, "eve", Vote::Approved);
    let hint = "they are: group:dev, group:sre";
    assert_eq!(told(&refused), ("not_eligible", "environmentIds[0]", hint));
    assert_eq!(refused.kind, RejectionKind::Forbidden);
    let refused = vote(&mut world, "eve", Vote::Rejected);
    assert_eq!(told(&refused), ("not_eligible", "environmentIds[0]", hint));
    let refused = vote(&mut world, "eve", Vote::Withdrawn);
    assert_eq!(told(&refused), ("no_vote", "", ""));
    world.approve("ann", "v1", "Production");
    let command = Command::CastVote {
        version: world.version_id("v1"),
        environments: vec![world.environment_id("Production")],
        vote: Vote::Approved,
        reason: "again".to_owned(),
    };
    let ann = world.actor("ann");
    let refused = world.refused_as(ann, command);
    assert_eq!(told(&refused), ("already_counted", "environmentIds[0]", ""));
}

#[test]
fn votes_on_nothing() {
    let mut world = world();
    world.version("v1");
    let (ann, stranger) = (world.actor("ann"), world.id());
    let version = world.version_id("v1");
    let vote = |environments: Vec<EnvironmentId>, version| Command::CastVote {
        version,
        environments,
        vote: Vote::Approved,
        reason: String::new(),
    };
    let refused = world.refused_as(ann, vote(Vec::new(), version));
    assert_eq!(told(&refused), ("missing_field", "environmentIds", ""));
    let production = world.environment_id("Production");
    let refused = world.refused_as(ann, vote(vec![production, stranger.into()], version));
    assert_eq!(
        told(&refused),
        ("environment_not_found", "environmentIds[1]", "")
    );
    let refused = world.refused_as(ann, vote(vec![production], stranger.into()));
    assert_eq!(refused.code, "version_not_found");
    let refused = world.refused_as(Actor::System, vote(vec![production], version));
    assert_eq!(refused.code, "not_eligible");
}

#[test]
fn who_made_a_version_is_told_so() {
    let mut world = world();
    world.policy_on(
        "Production",
        approval(json!([{ "name": "admins", "approvers": ["role:admin"] }])),
    );
    let new = world.new_version("v1");
    let root = world.actor("root");
    world.run_as(root, Command::CreateVersion(new));
    let command = world.vote_command("v1", "Production", Vote::Approved);
    let refused = world.refused_as(root, command);
    assert_eq!(told(&refused), ("own_version", "environmentIds[0]", ""));
    assert_eq!(refused.kind, RejectionKind::Forbidden);
    assert!(
        !world
            .vote("root", "v1", "Production", Vote::Rejected)
            .is_empty()
    );
}

#[test]
fn the_same_approval_once_more_counts_when_the_first_has_lapsed() {
    let mut world = world();
    let owner = format!("user:{}", world.user_id("ann"));
    world.policy_on(
        "Production",
        json!([{ "approval": { "stages": [{ "name": "owner", "approvers": [owner] }], "validForHours": 1 } },
            { "versionSelector": { "selector": "version.metadata[\"go\"] == \"yes\"" } }]),
    );
    world.version("v1");
    assert_eq!(world.approve("ann", "v1", "Production").len(), 2);
    assert!(
        world.approve("ann", "v1", "Production").is_empty(),
        "it counts"
    );
    world.hours(1);
    assert_eq!(
        world.code("v1", "Production", "approval"),
        "approval_pending"
    );
    assert!(!world.approve("ann", "v1", "Production").is_empty());
    assert_eq!(world.code("v1", "Production", "approval"), "approved");
}

#[test]
fn a_promotion_that_expired_is_reopened_and_nothing_else_opens_it() {
    let mut world = world();
    world.policy_on(
        "Production",
        json!([{ "approval": { "stages": [{ "name": "team", "approvers": ["role:approver"] }],
            "expiresAfterHours": 1 } }]),
    );
    world.version("v1");
    world.hours(1);
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Expired);
    world.approve("ann", "v1", "Production");
    world.resource("p2", "Production");
    assert_eq!(world.promotion("v1", "Production").attempt, 1);
    let promotion = world.promotion("v1", "Production").id;
    let reason = "ann was on leave".to_owned();
    world.run(Command::ReopenPromotion { promotion, reason });
    let anew = world.promotion("v1", "Production");
    assert_eq!((anew.attempt, anew.status), (2, PromotionStatus::Deploying));
}

#[test]
fn a_target_that_cools_down_takes_no_other_with_it() {
    let mut world = world();
    world.resource("p2", "Production");
    world.policy_on(
        "Production",
        json!([{ "versionCooldown": { "intervalSeconds": 3600 } }]),
    );
    world.version("v1");
    world.succeed("v1", "Production");
    world.version("v2");
    let rule = {
        let policies = world.state().policies();
        policies.values().next().unwrap().rules[0].id
    };
    for name in ["p1", "p2"] {
        assert_eq!(world.current(name, "Production").as_deref(), Some("v1"));
    }
    // Whichever of the two comes first in the order of ids.
    for name in ["p1", "p2"] {
        let mut one = skip(&mut world, rule);
        one.resource = Some(world.resource_id(name));
        let id = one.id;
        world.run(Command::CreateSkip(one));
        assert_eq!(world.open_jobs("v2", "Production").len(), 1, "{name}");
        world.succeed("v2", "Production");
        let reason = String::new();
        world.run(Command::DeleteSkip { id, reason });
    }
}

#[test]
fn a_broken_freeze_is_shut_in_its_time_only() {
    let mut world = world();
    let mut broken = freeze(&mut world, "Sale");
    broken.selector = "size(version.tag) / 0 == 1".to_owned();
    broken.ends_at = Some(world.now.plus_seconds(600));
    world.run(Command::PutFreeze(broken));
    world.version("v1");
    let gate = world.gate("v1", "Production", "freeze");
    assert_eq!(gate.verdict.why().code, "selector_error");
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
    world.minutes(10);
    assert_eq!(world.jobs_ever("v1", "Production"), 1);
}
