//! Jobs: who claims them, who reports what when, and what cannot start at all.

use crate::world::{World, metric};
use serde_json::json;
use stagegate_engine::TargetState;
use stagegate_model::*;

fn world(places: usize) -> World {
    let mut world = World::new();
    world.environment("Staging");
    for number in 1..=places {
        world.resource(&format!("s{number}"), "Staging");
    }
    world
}

fn claim(job: JobId, runner: &str) -> Command {
    Command::ClaimJob {
        lease: false,
        job,
        runner: runner.into(),
    }
}

fn ignored(facts: &[Fact]) -> bool {
    matches!(facts, [Fact::ReportIgnored { .. }])
}

#[test]
fn a_job_is_claimed_by_one_runner_and_by_it_again() {
    let mut world = world(1);
    world.version("v1");
    let job = world.open_jobs("v1", "Staging")[0];
    assert_eq!(world.run(claim(job, "r1")).len(), 1);
    assert!(world.run(claim(job, "r1")).is_empty());
    assert_eq!(world.refused(claim(job, "r2")).code, "job_claimed");
    assert_eq!(world.job(job).epoch, 1);
    assert_eq!(world.job(job).runner.as_deref(), Some("r1"));
    assert_eq!(world.job(job).status, JobStatus::InProgress);
    let other = JobReport {
        runner: Some("r2".into()),
        ..world.report_command(job, JobStatus::Successful)
    };
    let rejection = world.refused(Command::ReportJob(other));
    assert_eq!(rejection.kind, RejectionKind::Conflict);
    world.succeed("v1", "Staging");
    assert_eq!(world.refused(claim(job, "r1")).code, "job_ended");
    let unknown = world.id().into();
    assert_eq!(world.refused(claim(unknown, "r1")).code, "job_not_found");
}

#[test]
fn late_and_repeated_reports_are_recorded_and_change_nothing() {
    let mut world = world(1);
    world.version("v1");
    let job = world.open_jobs("v1", "Staging")[0];
    world.report(job, JobStatus::InProgress);
    assert!(world.report(job, JobStatus::InProgress).is_empty());
    assert!(ignored(&world.report(job, JobStatus::Pending)));
    assert!(ignored(&world.report(job, JobStatus::Queued)));
    world.report(job, JobStatus::Successful);
    for late in [
        JobStatus::Successful,
        JobStatus::Failure,
        JobStatus::InProgress,
    ] {
        assert!(ignored(&world.report(job, late)), "{late}");
    }
    assert_eq!(world.job(job).status, JobStatus::Successful);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
}

#[test]
fn a_report_of_another_runner_after_the_end_is_ignored_not_refused() {
    let mut world = world(1);
    world.version("v1");
    let job = world.open_jobs("v1", "Staging")[0];
    world.finish_job(job, JobStatus::Failure);
    let late = JobReport {
        runner: Some("r9".into()),
        ..world.report_command(job, JobStatus::Successful)
    };
    assert!(ignored(&world.run(Command::ReportJob(late))));
}

#[test]
fn a_claimed_job_can_still_be_told_its_external_id() {
    let mut world = world(1);
    world.version("v1");
    let job = world.open_jobs("v1", "Staging")[0];
    world.run(claim(job, "r1"));
    let progress = JobReport {
        runner: Some("r1".into()),
        external_id: Some("run-17".into()),
        ..world.report_command(job, JobStatus::InProgress)
    };
    assert_eq!(world.run(Command::ReportJob(progress.clone())).len(), 1);
    assert_eq!(world.job(job).external_id.as_deref(), Some("run-17"));
    assert!(world.run(Command::ReportJob(progress)).is_empty());
}

#[test]
fn only_the_end_of_a_long_output_is_kept() {
    let mut world = world(1);
    world.version("v1");
    let job = world.open_jobs("v1", "Staging")[0];
    let output = format!("{}end", "ä".repeat(50_000));
    let report = |status| JobReport {
        output_tail: Some(output.clone()),
        message: "done".into(),
        ..world.report_command(job, status)
    };
    let (progress, end) = (report(JobStatus::InProgress), report(JobStatus::Failure));
    world.run(Command::ReportJob(progress));
    assert_eq!(world.job(job).output_tail, None, "not before the end");
    world.run(Command::ReportJob(end));
    let kept = world.job(job).output_tail.clone().expect("output");
    assert!(kept.len() <= 64 * 1024 && kept.ends_with("äend"));
    let too_long = JobReport {
        message: "x".repeat(100_000),
        ..world.report_command(job, JobStatus::Failure)
    };
    assert_eq!(
        world.refused(Command::ReportJob(too_long)).code,
        "too_large"
    );
}

#[test]
fn a_failed_job_is_attempted_once() {
    let mut world = world(1);
    world.version("v1");
    world.finish("v1", "Staging", JobStatus::Failure);
    world.hours(100);
    assert_eq!(world.jobs_ever("v1", "Staging"), 1);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Failed);
    assert_eq!(
        world.standing("v1", "Staging", "s1").state,
        TargetState::Failed
    );
    world.version("v2");
    world.succeed("v2", "Staging");
    assert_eq!(world.current("s1", "Staging").unwrap(), "v2");
}

#[test]
fn a_promotion_succeeds_only_when_every_target_did() {
    // (how the two jobs end, how the promotion ends)
    use JobStatus::{Cancelled, Failure, Skipped, Successful};
    let cases = [
        ([Successful, Successful], PromotionStatus::Succeeded),
        ([Successful, Failure], PromotionStatus::Failed),
        ([Failure, Cancelled], PromotionStatus::Failed),
        ([Successful, Cancelled], PromotionStatus::Failed),
        ([Cancelled, Skipped], PromotionStatus::Cancelled),
    ];
    for (ends, expected) in cases {
        let mut world = world(2);
        world.version("v1");
        let jobs = world.open_jobs("v1", "Staging");
        for (job, end) in jobs.into_iter().zip(ends) {
            world.finish_job(job, end);
        }
        assert_eq!(world.status("v1", "Staging"), expected, "{ends:?}");
    }
}

#[test]
fn releases_are_numbered_per_target_and_say_where_they_stand() {
    let mut world = world(1);
    for number in 1..=3 {
        let tag = format!("v{number}");
        world.version(&tag);
        let job = world.open_jobs(&tag, "Staging")[0];
        let release = world.job(job).release;
        let status = |world: &World| world.release(release).status;
        assert_eq!(world.release(release).number, number);
        assert_eq!(status(&world), ReleaseStatus::Pending);
        world.report(job, JobStatus::InProgress);
        assert_eq!(status(&world), ReleaseStatus::Running);
        world.report(job, JobStatus::Successful);
        assert_eq!(status(&world), ReleaseStatus::Succeeded);
    }
    assert_eq!(world.state().releases().len(), 1, "the others are archived");
    world.version("later");
    let left = world.state().releases().len();
    assert_eq!(left, 1, "what succeeded leaves with the entry after it");
}

#[test]
fn the_configuration_is_laid_over_and_rendered_for_the_target() {
    let mut world = world(1);
    let agent = JobAgent {
        job_limits: Default::default(),
        id: world.agent,
        name: "runner".into(),
        kind: "exec".into(),
        config: json!({ "shell": "sh", "env": { "A": "agent", "B": "agent" } }),
        metadata: Metadata::new(),
    };
    let mut deployment = (*world.state().deployments()[&world.main]).clone();
    deployment.job_agent_config =
        json!({ "env": { "B": "{{ version.tag }} on {{ resource.config.host }}" } });
    world.configure(vec![
        Change::PutJobAgent(agent),
        Change::PutDeployment(deployment),
    ]);
    let new = NewVersion {
        job_agent_config: json!({ "number": "{{ release.number }}", "env": { "C": ["{{ environment.name }}"] } }),
        ..world.new_version("v1")
    };
    world.run(Command::CreateVersion(new));
    let config = world.job_on("s1", "Staging").config.json();
    assert_eq!(config["shell"], "sh");
    assert_eq!(config["env"]["A"], "agent");
    assert_eq!(config["env"]["B"], "v1 on s1.local");
    assert_eq!(config["env"]["C"][0], "Staging");
    assert_eq!(config["number"].to_string().trim_matches('"'), "1");
}

#[test]
fn a_template_without_its_value_blocks_the_target_until_the_resource_has_it() {
    let mut world = world(2);
    let new = NewVersion {
        job_agent_config: json!({ "region": "{{ resource.metadata.region }}" }),
        ..world.new_version("v1")
    };
    let with_region = world.new_resource("s1", &[("env", "Staging"), ("region", "eu")]);
    world.configure(vec![Change::PutResource(with_region)]);
    world.run(Command::CreateVersion(new));
    assert_eq!(world.open_jobs("v1", "Staging").len(), 1, "s1 goes on");
    let standing = world.standing("v1", "Staging", "s2");
    assert_eq!(standing.state, TargetState::Blocked);
    assert!(
        standing.reason.contains("resource.metadata.region"),
        "{}",
        standing.reason
    );
    assert!(standing.reason.contains("`s2`"));
    world.succeed("v1", "Staging");
    assert!(world.promotion("v1", "Staging").status.is_open());

    let corrected = world.new_resource("s2", &[("env", "Staging"), ("region", "us")]);
    world.configure(vec![Change::PutResource(corrected)]);
    assert_eq!(world.job_on("s2", "Staging").config.json()["region"], "us");
    world.succeed("v1", "Staging");
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
}

#[test]
fn what_could_not_be_verified_is_not_deployed() {
    let mut world = world(1);
    let mut health = metric("health");
    health["provider"]["url"] = json!("http://{{ resource.metadata.host }}/");
    world.policy_on(
        "Staging",
        json!([{ "verification": { "metrics": [health] } }]),
    );
    world.version("v1");
    assert_eq!(world.jobs_ever("v1", "Staging"), 0);
    let standing = world.standing("v1", "Staging", "s1");
    assert_eq!(standing.state, TargetState::Blocked);
    assert!(
        standing
            .reason
            .contains("its verification could not be measured")
    );
    assert!(standing.reason.contains("resource.metadata.host"));
}

#[test]
fn a_block_goes_when_another_version_takes_over() {
    let mut world = world(1);
    let new = NewVersion {
        job_agent_config: json!({ "region": "{{ resource.metadata.region }}" }),
        ..world.new_version("v1")
    };
    world.run(Command::CreateVersion(new));
    let blocked = |world: &World| {
        let lane = world.state().lane(world.lane("Staging")).expect("a lane");
        lane.targets
            .values()
            .filter(|it| it.block().is_some())
            .count()
    };
    assert_eq!(blocked(&world), 1);
    world.set_status("v1", VersionStatus::Rejected);
    assert_eq!(blocked(&world), 0);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Rejected);
    world.set_status("v1", VersionStatus::Ready);
    assert_eq!(blocked(&world), 1);
    world.version("v2");
    assert_eq!(blocked(&world), 0);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Superseded);
}

#[test]
fn without_exactly_one_agent_nothing_starts_and_it_is_said_why() {
    let mut world = world(1);
    let mut deployment = (*world.state().deployments()[&world.main]).clone();
    deployment.job_agent_selector = "jobAgent.metadata[\"for\"] == \"api\"".into();
    world.configure(vec![Change::PutDeployment(deployment)]);
    world.version("v1");
    let standing = world.standing("v1", "Staging", "s1");
    assert_eq!(standing.state, TargetState::Blocked);
    assert!(standing.reason.starts_with("no job agent matches"));

    let agent = |world: &mut World, name: &str| JobAgent {
        job_limits: Default::default(),
        id: world.id().into(),
        name: name.into(),
        kind: "exec".into(),
        config: json!({}),
        metadata: [("for".to_owned(), "api".to_owned())].into(),
    };
    let (one, two) = (agent(&mut world, "one"), agent(&mut world, "two"));
    let (first, second) = (one.id, two.id);
    world.configure(vec![Change::PutJobAgent(one), Change::PutJobAgent(two)]);
    let standing = world.standing("v1", "Staging", "s1");
    assert!(
        standing.reason.contains("`one`, `two`"),
        "{}",
        standing.reason
    );
    world.configure(vec![Change::DeleteJobAgent(second)]);
    assert_eq!(world.job_on("s1", "Staging").agent, first);
    let rejection = world.attempt_delete_agent(first);
    assert_eq!(rejection.code, "in_use");
    world.succeed("v1", "Staging");
    world.configure(vec![Change::DeleteJobAgent(first)]);
}
