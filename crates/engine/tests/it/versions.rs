//! Which version goes where when there are several, and what a version's status does.

use crate::world::{World, approvals};
use serde_json::json;
use stagegate_engine::TargetState;
use stagegate_model::*;

/// Production with that many places, an approval to get in, and the approver `ann`.
fn world(places: usize, count: u32) -> World {
    let mut world = World::new();
    world.environment("Production");
    for number in 1..=places {
        world.resource(&format!("p{number}"), "Production");
    }
    world.person("ann", Role::Approver);
    if count > 0 {
        world.policy_on("Production", json!([approvals(count)]));
    }
    world
}

#[test]
fn a_newer_version_supersedes_an_older_waiting_one_only_once_it_may_go() {
    let mut world = world(1, 1);
    world.version("v1");
    world.version("v2");
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Waiting);
    assert_eq!(world.status("v2", "Production"), PromotionStatus::Waiting);
    world.approve("ann", "v2", "Production");
    let promotion = world.promotion("v1", "Production");
    assert_eq!(promotion.status, PromotionStatus::Superseded);
    assert_eq!(promotion.superseded_by, Some(world.version_id("v2")));
    assert_eq!(promotion.reason, "v2 took its place");
    world.approve("ann", "v1", "Production");
    world.succeed("v2", "Production");
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
    assert_eq!(
        world.standing("v1", "Production", "p1").state,
        TargetState::Newer
    );
}

#[test]
fn an_older_eligible_version_goes_while_the_newest_waits() {
    let mut world = world(1, 1);
    world.version("v1");
    world.version("v2");
    world.approve("ann", "v1", "Production");
    assert_eq!(world.open_jobs("v1", "Production").len(), 1);
    world.succeed("v1", "Production");
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Succeeded);
    assert_eq!(world.status("v2", "Production"), PromotionStatus::Waiting);
    world.approve("ann", "v2", "Production");
    world.succeed("v2", "Production");
    assert_eq!(world.current("p1", "Production").unwrap(), "v2");
}

#[test]
fn a_running_job_is_not_cancelled_by_a_newer_version() {
    let mut world = world(1, 0);
    world.version("v1");
    world.version("v2");
    assert_eq!(world.open_jobs("v1", "Production").len(), 1);
    assert_eq!(world.jobs_ever("v2", "Production"), 0);
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Deploying);
    world.succeed("v1", "Production");
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Succeeded);
    assert_eq!(world.open_jobs("v2", "Production").len(), 1);
}

#[test]
fn a_version_created_late_with_an_earlier_time_does_not_go_backwards() {
    let mut world = world(1, 0);
    world.hours(2);
    world.version("v2");
    world.succeed("v2", "Production");
    let new = NewVersion {
        created_at: Some(world.now.plus_seconds(-3600)),
        ..world.new_version("v1")
    };
    world.run(Command::CreateVersion(new));
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
    assert!(world.try_promotion("v1", "Production").is_none());
    assert_eq!(world.current("p1", "Production").unwrap(), "v2");
    assert_eq!(
        world.explain("v1", "Production").summary,
        "Production already has a newer version than v1"
    );
}

#[test]
fn the_same_holds_while_the_newer_one_is_only_on_its_way() {
    let mut world = world(1, 0);
    world.hours(2);
    world.version("v2");
    let new = NewVersion {
        created_at: Some(world.now.plus_seconds(-3600)),
        ..world.new_version("v1")
    };
    world.run(Command::CreateVersion(new));
    world.finish("v2", "Production", JobStatus::Failure);
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
}

#[test]
fn a_version_is_never_created_in_the_future() {
    let mut world = world(1, 0);
    let new = NewVersion {
        created_at: Some(world.now.plus_millis(1)),
        ..world.new_version("v1")
    };
    let rejection = world.refused(Command::CreateVersion(new));
    assert_eq!(rejection.code, "created_in_future");
    assert_eq!(rejection.field, "createdAt");
}

#[test]
fn ten_versions_in_quick_succession_over_twenty_targets() {
    let mut world = world(20, 0);
    for number in 1..=10 {
        world.version(&format!("v{number}"));
        world.pass(1);
    }
    assert_eq!(world.open_jobs("v1", "Production").len(), 20);
    for number in 2..=9 {
        let tag = format!("v{number}");
        assert_eq!(world.jobs_ever(&tag, "Production"), 0);
        assert_eq!(
            world.status(&tag, "Production"),
            PromotionStatus::Superseded
        );
    }
    world.succeed("v1", "Production");
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Succeeded);
    assert_eq!(world.open_jobs("v10", "Production").len(), 20);
    world.succeed("v10", "Production");
    assert_eq!(
        world.status("v10", "Production"),
        PromotionStatus::Succeeded
    );
    assert_eq!(world.book.jobs.len(), 40);
}

#[test]
fn versions_of_the_same_moment_are_ordered_by_their_ids() {
    let mut world = world(1, 1);
    world.version("a");
    world.version("b");
    world.approve("ann", "a", "Production");
    world.succeed("a", "Production");
    world.approve("ann", "b", "Production");
    assert_eq!(world.open_jobs("b", "Production").len(), 1, "b came later");
}

#[test]
fn a_version_being_built_is_no_candidate_until_it_is_ready() {
    let mut world = world(1, 0);
    let new = NewVersion {
        status: VersionStatus::Building,
        ..world.new_version("v1")
    };
    world.run(Command::CreateVersion(new));
    assert!(world.try_promotion("v1", "Production").is_none());
    let stopped = world.explain("v1", "Production").stopped.expect("stopped");
    assert_eq!(stopped.opens, "CI reports the version as ready");
    world.minutes(10);
    world.set_status("v1", VersionStatus::Ready);
    assert_eq!(world.open_jobs("v1", "Production").len(), 1);
    let back = VersionPatch {
        status: Some(VersionStatus::Building),
        ..world.patch("v1")
    };
    let rejection = world.refused(Command::UpdateVersion(back));
    assert_eq!(rejection.code, "invalid_status");
}

#[test]
fn a_version_whose_build_failed_goes_nowhere() {
    let mut world = world(1, 1);
    world.version("v1");
    world.set_status("v1", VersionStatus::Failed);
    let promotion = world.promotion("v1", "Production");
    assert_eq!(promotion.status, PromotionStatus::Cancelled);
    world.approve("ann", "v1", "Production");
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
}

#[test]
fn a_paused_version_stays_where_it_is_and_goes_nowhere_new() {
    let mut world = world(1, 0);
    world.version("v1");
    world.succeed("v1", "Production");
    world.set_status("v1", VersionStatus::Paused);
    world.resource("p2", "Production");
    assert_eq!(world.jobs_ever("v1", "Production"), 1);
    assert_eq!(world.current("p1", "Production").unwrap(), "v1");
    world.set_status("v1", VersionStatus::Ready);
    world.succeed("v1", "Production");
    assert_eq!(world.current("p2", "Production").unwrap(), "v1");
    // A target that joins after the end is a promotion of its own that names the first.
    let promotion = world.promotion("v1", "Production");
    assert_eq!(promotion.attempt, 2);
    assert!(promotion.previous.is_some());
}

#[test]
fn a_paused_version_keeps_its_place_in_the_queue() {
    let mut world = world(1, 1);
    world.version("v1");
    world.set_status("v1", VersionStatus::Paused);
    world.approve("ann", "v1", "Production");
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Waiting);
    assert_eq!(world.jobs_ever("v1", "Production"), 0);
    world.set_status("v1", VersionStatus::Ready);
    assert_eq!(world.open_jobs("v1", "Production").len(), 1);
    assert_eq!(world.promotion("v1", "Production").attempt, 1);
}

#[test]
fn a_rejected_version_ends_its_waiting_promotion() {
    let mut world = world(1, 1);
    world.version("v1");
    world.set_status("v1", VersionStatus::Rejected);
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Rejected);
    let command = world.vote_command("v1", "Production", Vote::Approved);
    assert_eq!(world.refused(command).code, "invalid_status");
    // Taken back, it waits again and is seen to wait.
    world.set_status("v1", VersionStatus::Ready);
    let promotion = world.promotion("v1", "Production");
    assert_eq!(promotion.status, PromotionStatus::Waiting);
    assert_eq!(promotion.attempt, 2);
    world.approve("ann", "v1", "Production");
    assert_eq!(world.open_jobs("v1", "Production").len(), 1);
    assert_eq!(world.promotion("v1", "Production").attempt, 2);
}

#[test]
fn rejecting_the_newest_lets_the_older_one_wait_again() {
    let mut world = world(1, 1);
    world.resource("p2", "Production");
    world.version("v1");
    world.version("v2");
    let mut deployment = (*world.state().deployments()[&world.main]).clone();
    deployment.job_agent_selector = "false".into();
    world.configure(vec![Change::PutDeployment(deployment.clone())]);
    world.approve("ann", "v2", "Production");
    assert_eq!(
        world.status("v1", "Production"),
        PromotionStatus::Superseded
    );
    world.set_status("v2", VersionStatus::Rejected);
    assert_eq!(world.status("v2", "Production"), PromotionStatus::Rejected);
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Waiting);
    let told = world.explain("v1", "Production").summary;
    assert!(told.contains("0 of 1 approval"), "{told}");
}

#[test]
fn a_version_rejected_while_it_is_deployed_starts_nowhere_else() {
    let mut world = world(1, 0);
    world.version("v1");
    world.set_status("v1", VersionStatus::Rejected);
    world.resource("p2", "Production");
    world.succeed("v1", "Production");
    assert_eq!(world.jobs_ever("v1", "Production"), 1);
    assert_eq!(world.status("v1", "Production"), PromotionStatus::Rejected);
}

#[test]
fn the_same_version_announced_twice_is_one_version() {
    let mut world = world(1, 0);
    world.version("v1");
    let first = world.version_id("v1");
    let again = NewVersion {
        metadata: [("ci".to_owned(), "again".to_owned())].into(),
        ..world.new_version("v1")
    };
    assert!(!world.run(Command::CreateVersion(again.clone())).is_empty());
    let metadata = &world.state().versions()[&first].metadata;
    assert_eq!(metadata["ci"], "again", "what CI says of it later is added");
    assert!(world.run(Command::CreateVersion(again)).is_empty());
    let other = NewVersion {
        config: json!({ "image": "other" }),
        ..world.new_version("v1")
    };
    let rejection = world.refused(Command::CreateVersion(other));
    assert_eq!(rejection.code, "version_exists");
    assert_eq!(world.state().versions().len(), 1);
    assert!(world.state().versions().contains_key(&first));
}

#[test]
fn numbers_in_content_survive_the_log_to_the_last_digit() {
    let mut world = world(1, 0);
    let numbers = [
        0.1 + 0.2,
        1.0 / 3.0,
        5e-324,
        1.797_693_134_862_315_7e308,
        123_456_789.123_456_79,
    ];
    let new = NewVersion {
        config: json!({ "numbers": numbers, "large": u64::MAX, "small": i64::MIN }),
        ..world.new_version("v1")
    };
    world.run(Command::CreateVersion(new));
}

#[test]
fn a_version_of_nothing_is_refused() {
    let mut world = world(1, 0);
    let unknown = NewVersion {
        deployment: DeploymentId(uuid::Uuid::nil()),
        ..world.new_version("v1")
    };
    let rejection = world.refused(Command::CreateVersion(unknown));
    assert_eq!(rejection.code, "deployment_not_found");
    for (tag, field) in [(" ", "tag"), ("a\nb", "tag")] {
        let new = world.new_version(tag);
        assert_eq!(world.refused(Command::CreateVersion(new)).field, field);
    }
    let list = NewVersion {
        config: json!([]),
        ..world.new_version("v1")
    };
    assert_eq!(
        world.refused(Command::CreateVersion(list)).code,
        "wrong_type"
    );
    let template = NewVersion {
        job_agent_config: json!({ "a": "{{ resource.knd }}" }),
        ..world.new_version("v1")
    };
    let rejection = world.refused(Command::CreateVersion(template));
    assert_eq!(rejection.field, "jobAgentConfig");
    assert!(rejection.hint.contains("`kind`"), "{rejection}");
}
