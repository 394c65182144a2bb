//! Votes: who, how many, on what, and what a change of mind does.

use crate::world::{World, approvals, satisfied_at};
use serde_json::json;
use stagegate_engine::Verdict;
use stagegate_model::*;

/// Production with one place, three people, and that many approvals to get in.
fn world(count: u32) -> World {
    let mut world = World::new();
    world.environment("Production");
    world.resource("p1", "Production");
    for name in ["ann", "bob", "eve"] {
        world.person(name, Role::Approver);
    }
    world.policy_on("Production", json!([approvals(count)]));
    world
}

fn started(world: &World) -> bool {
    world.jobs_ever("v1", "Production") > 0
}

#[test]
fn exactly_so_many_approvals_and_not_one_fewer() {
    for count in 1..=3 {
        let mut world = world(count);
        world.version("v1");
        for (votes, name) in ["ann", "bob", "eve"].iter().enumerate() {
            assert_eq!(started(&world), votes >= count as usize);
            world.minutes(1);
            world.approve(name, "v1", "Production");
        }
        assert!(started(&world));
    }
}

#[test]
fn the_gate_opens_at_the_time_of_the_last_vote_needed() {
    let mut world = world(2);
    world.resource("p2", "Production");
    world.policy(
        "more",
        "resource.name == \"p2\"",
        json!([{ "environmentProgression": { "dependsOnEnvironmentSelector": "false" } }]),
    );
    world.version("v1");
    let mut times = Vec::new();
    for name in ["ann", "bob", "eve"] {
        world.minutes(3);
        world.approve(name, "v1", "Production");
        times.push(world.now);
    }
    let gate = world.gate("v1", "Production", "anyApproval");
    assert_eq!(satisfied_at(&gate), times[1]);
}

#[test]
fn one_rejection_shuts_the_gate_until_it_is_withdrawn() {
    let mut world = world(1);
    world.version("v1");
    world.vote("eve", "v1", "Production", Vote::Rejected);
    world.approve("ann", "v1", "Production");
    assert!(!started(&world));
    let gate = world.gate("v1", "Production", "anyApproval");
    assert!(matches!(gate.verdict, Verdict::Deny { .. }));
    assert_eq!(gate.verdict.why().code, "approval_rejected");
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Waiting);
    world.vote("eve", "v1", "Production", Vote::Withdrawn);
    assert!(started(&world));
}

#[test]
fn a_person_may_change_their_mind_and_the_latest_vote_counts() {
    let mut world = world(2);
    world.version("v1");
    world.vote("eve", "v1", "Production", Vote::Rejected);
    world.approve("ann", "v1", "Production");
    world.approve("eve", "v1", "Production");
    assert!(started(&world));
}

#[test]
fn an_approval_withdrawn_in_time_does_not_count() {
    let mut world = world(2);
    world.version("v1");
    world.approve("ann", "v1", "Production");
    world.vote("ann", "v1", "Production", Vote::Withdrawn);
    world.approve("bob", "v1", "Production");
    assert!(!started(&world));
    world.approve("ann", "v1", "Production");
    assert!(started(&world));
}

#[test]
fn a_vote_withdrawn_after_the_rollout_began_does_not_stop_it() {
    let mut world = world(1);
    world.version("v1");
    world.approve("ann", "v1", "Production");
    world.vote("ann", "v1", "Production", Vote::Withdrawn);
    world.resource("p2", "Production");
    assert_eq!(world.open_jobs("v1", "Production").len(), 2);
    assert!(world.gate("v1", "Production", "anyApproval").latched);
}

#[test]
fn a_rejection_in_the_middle_of_a_rollout_stops_the_rest() {
    let mut world = world(1);
    world.version("v1");
    world.approve("ann", "v1", "Production");
    world.vote("eve", "v1", "Production", Vote::Rejected);
    world.resource("p2", "Production");
    assert_eq!(world.jobs_ever("v1", "Production"), 1, "p2 is not begun");
    world.succeed("v1", "Production");
    assert!(world.promotion("v1", "Production").status.is_open());
    world.vote("eve", "v1", "Production", Vote::Withdrawn);
    world.succeed("v1", "Production");
    assert_eq!(world.jobs_ever("v1", "Production"), 2);
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Succeeded);
}

#[test]
fn two_keys_of_one_person_are_one_vote() {
    let mut world = world(2);
    let again = world.key("ann", Role::Approver);
    world.version("v1");
    world.approve("ann", "v1", "Production");
    let command = world.vote_command("v1", "Production", Vote::Approved);
    let facts = world.run_as(again, command);
    assert!(facts.is_empty(), "it says nothing new: {facts:?}");
    assert!(!started(&world));
}

#[test]
fn a_key_without_the_role_may_not_vote() {
    let mut world = world(1);
    world.version("v1");
    for role in [Role::Viewer, Role::Agent, Role::Ci] {
        let key = world.key("ann", role);
        let command = world.vote_command("v1", "Production", Vote::Approved);
        let rejection = world.refused_as(key, command);
        assert_eq!(rejection.kind, RejectionKind::Forbidden);
        assert_eq!(rejection.code, "not_eligible");
    }
    let command = world.vote_command("v1", "Production", Vote::Approved);
    let rejection = world.refused_as(Actor::System, command);
    assert_eq!(rejection.kind, RejectionKind::Forbidden);
    assert!(!started(&world));
}

#[test]
fn a_revoked_key_and_a_key_of_someone_else_may_not_vote() {
    let mut world = world(1);
    world.version("v1");
    let Actor::User { user, key } = world.key("ann", Role::Approver) else {
        panic!("a person");
    };
    let command = world.vote_command("v1", "Production", Vote::Approved);
    let bob = world.user_id("bob");
    let rejection = world.refused_as(Actor::User { user: bob, key }, command.clone());
    assert_eq!(rejection.code, "not_eligible");
    world.run(Command::RevokeKey { id: key });
    assert!(world.run(Command::RevokeKey { id: key }).is_empty());
    let rejection = world.refused_as(Actor::User { user, key }, command);
    assert_eq!(rejection.code, "not_eligible");
    // A revoked key does not come back by being made again.
    let again = world.refused(Command::CreateKey {
        id: key,
        owner: user,
        role: Role::Approver,
        name: "again".into(),
    });
    assert_eq!(again.code, "name_taken");
}

#[test]
fn the_creator_of_a_version_may_vote() {
    let mut world = world(1);
    let new = world.new_version("v1");
    let ann = world.actor("ann");
    world.run_as(ann, Command::CreateVersion(new));
    let version = world.version_id("v1");
    let creator = world.state().versions()[&version].created_by;
    assert_eq!(creator, Some(world.user_id("ann")));
    world.approve("ann", "v1", "Production");
    assert!(started(&world));
}

#[test]
fn content_may_change_until_the_first_vote_and_not_after_it() {
    let mut world = world(2);
    world.version("v1");
    let other = |world: &World, image: &str| {
        let config = Some(json!({ "image": image }));
        Command::UpdateVersion(VersionPatch {
            config,
            ..world.patch("v1")
        })
    };
    let change = other(&world, "a");
    assert_eq!(world.run(change).len(), 1);
    world.approve("ann", "v1", "Production");
    let change = other(&world, "b");
    let rejection = world.refused(change);
    assert_eq!(rejection.kind, RejectionKind::Conflict);
    assert_eq!(rejection.code, "version_frozen");
    // Also when the vote is withdrawn again.
    world.vote("ann", "v1", "Production", Vote::Withdrawn);
    let change = other(&world, "b");
    assert_eq!(world.refused(change).code, "version_frozen");
    // To say the same again is no change.
    let change = other(&world, "a");
    assert!(world.run(change).is_empty());
}

#[test]
fn content_is_frozen_by_the_first_job_too() {
    let mut world = world(1);
    world.environment("Staging");
    world.resource("s1", "Staging");
    world.version("v1");
    let tag = Some("v1-again".to_owned());
    let patch = VersionPatch {
        tag,
        ..world.patch("v1")
    };
    assert_eq!(world.open_jobs("v1", "Staging").len(), 1);
    let rejection = world.refused(Command::UpdateVersion(patch));
    assert_eq!(rejection.code, "version_frozen");
}

#[test]
fn metadata_may_change_after_votes_and_the_votes_stay() {
    let mut world = world(2);
    world.version_with("v1", &[("a", "1")]);
    world.approve("ann", "v1", "Production");
    let metadata = Some([("b".to_owned(), "2".to_owned())].into());
    world.run(Command::UpdateVersion(VersionPatch {
        metadata,
        ..world.patch("v1")
    }));
    let version = world.version_id("v1");
    assert_eq!(world.state().versions()[&version].metadata.len(), 2);
    world.approve("bob", "v1", "Production");
    assert!(started(&world));
}

#[test]
fn a_vote_in_several_environments_is_cast_in_all_or_none() {
    let mut world = world(1);
    world.environment("EU");
    world.version("v1");
    let (production, eu) = (
        world.environment_id("Production"),
        world.environment_id("EU"),
    );
    let vote = |environments| Command::CastVote {
        version: VersionId(uuid::Uuid::nil()),
        environments,
        vote: Vote::Approved,
        reason: "fine".into(),
    };
    let of = |command: Command, version| match command {
        Command::CastVote {
            environments,
            vote,
            reason,
            ..
        } => Command::CastVote {
            version,
            environments,
            vote,
            reason,
        },
        other => other,
    };
    let version = world.version_id("v1");
    let unknown = world.id().into();
    let rejection = world.refused(of(vote(vec![production, unknown]), version));
    assert_eq!(rejection.field, "environmentIds[1]");
    assert_eq!(rejection.kind, RejectionKind::NotFound);
    assert!(!started(&world));
    let rejection = world.refused(of(vote(vec![]), version));
    assert_eq!(rejection.code, "missing_field");
    let facts = world.run(of(vote(vec![production, eu]), version));
    let votes = facts
        .iter()
        .filter(|it| matches!(it, Fact::VoteCast { .. }));
    assert_eq!(votes.count(), 2);
    assert!(started(&world));
}

#[test]
fn there_must_be_a_vote_to_withdraw() {
    let mut world = world(1);
    world.version("v1");
    let command = world.vote_command("v1", "Production", Vote::Withdrawn);
    assert_eq!(world.refused(command).code, "no_vote");
}

#[test]
fn votes_for_one_environment_open_no_other() {
    let mut world = world(1);
    world.environment("EU");
    world.resource("e1", "EU");
    world.policy_on("EU", json!([approvals(1)]));
    world.version("v1");
    world.approve("ann", "v1", "EU");
    assert_eq!(world.jobs_ever("v1", "EU"), 1);
    assert!(!started(&world));
}
