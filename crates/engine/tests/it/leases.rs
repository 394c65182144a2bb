//! Jobs that cannot be lost: deadlines, leases, fencing, and stopping what runs.

use crate::world::World;
use serde_json::json;
use stagegate_engine::TargetState;
use stagegate_model::*;

/// One target and an agent whose jobs have these limits.
fn world(limits: JobLimitsSpec) -> World {
    let mut world = World::new();
    world.environment("Staging");
    world.resource("s1", "Staging");
    say_on_agent(&mut world, limits);
    world
}

fn say_on_agent(world: &mut World, limits: JobLimitsSpec) {
    let agent = (*world.state().agents()[&world.agent]).clone();
    world.configure(vec![Change::PutJobAgent(JobAgent {
        job_limits: limits,
        ..agent
    })]);
}

fn requeueing() -> JobLimitsSpec {
    JobLimitsSpec {
        on_lost_lease: Some(OnLostLease::Requeue),
        ..JobLimitsSpec::default()
    }
}

/// A world with the job of a version.
fn with_job(limits: JobLimitsSpec) -> (World, JobId) {
    let mut world = world(limits);
    world.version("v1");
    let job = world.open_jobs("v1", "Staging")[0];
    (world, job)
}

fn claim(world: &mut World, job: JobId, runner: &str) -> u64 {
    world.run(claim_command(job, runner));
    world.job(job).epoch
}

fn claim_command(job: JobId, runner: &str) -> Command {
    Command::ClaimJob {
        job,
        runner: runner.into(),
        lease: true,
    }
}

fn lose(world: &mut World, job: JobId) -> Vec<Fact> {
    let epoch = world.job(job).epoch;
    let since = world.now.plus_seconds(-30);
    world.run_as(Actor::System, Command::LoseLease { job, epoch, since })
}

fn by(world: &World, job: JobId, runner: &str, epoch: u64, status: JobStatus) -> Command {
    Command::ReportJob(JobReport {
        runner: Some(runner.into()),
        epoch: Some(epoch),
        ..world.report_command(job, status)
    })
}

fn cancel(job: JobId, reason: &str) -> Command {
    Command::CancelJob {
        job,
        reason: reason.into(),
    }
}

fn renew(job: JobId, runner: &str, epoch: u64) -> Command {
    Command::RenewLease {
        job,
        runner: runner.into(),
        epoch,
    }
}

// ---- limits ----

#[test]
fn the_most_specific_limit_wins_and_is_fixed_when_the_job_is_created() {
    let mut world = world(JobLimitsSpec {
        start_deadline_seconds: Some(100),
        run_timeout_seconds: Some(100),
        lease_seconds: Some(10),
        ..requeueing()
    });
    let id = world.main;
    let mut deployment = (*world.state().deployments()[&id]).clone();
    deployment.job_limits.start_deadline_seconds = Some(200);
    deployment.job_limits.run_timeout_seconds = Some(200);
    world.configure(vec![Change::PutDeployment(deployment)]);
    let mut new = world.new_version("v1");
    new.job_limits.run_timeout_seconds = Some(300);
    world.run(Command::CreateVersion(new));
    let expected = JobLimits {
        start_deadline_seconds: 200,
        run_timeout_seconds: 300,
        lease_seconds: 10,
        grace_seconds: 60,
        on_lost_lease: OnLostLease::Requeue,
    };
    let job = world.open_jobs("v1", "Staging")[0];
    assert_eq!(world.job(job).limits, expected);
    say_on_agent(&mut world, JobLimitsSpec::default());
    assert_eq!(world.job(job).limits, expected);
}

#[test]
fn limits_out_of_bounds_or_out_of_place_are_refused() {
    let mut world = world(JobLimitsSpec::default());
    let of = |change: fn(&mut JobLimitsSpec)| {
        let mut limits = JobLimitsSpec::default();
        change(&mut limits);
        limits
    };
    let agent = (*world.state().agents()[&world.agent]).clone();
    let deployment = (*world.state().deployments()[&world.main]).clone();
    for (field, limits) in [
        ("leaseSeconds", of(|it| it.lease_seconds = Some(4))),
        ("leaseSeconds", of(|it| it.lease_seconds = Some(3601))),
        ("graceSeconds", of(|it| it.grace_seconds = Some(86_401))),
        (
            "runTimeoutSeconds",
            of(|it| it.run_timeout_seconds = Some(0)),
        ),
        (
            "startDeadlineSeconds",
            of(|it| it.start_deadline_seconds = Some(u64::MAX)),
        ),
    ] {
        let rejection = world.refused(Command::Configure(vec![Change::PutJobAgent(JobAgent {
            job_limits: limits,
            ..agent.clone()
        })]));
        assert_eq!(rejection.code, "invalid_value");
        assert_eq!(rejection.field, format!("jobLimits.{field}"));
    }
    for limits in [
        of(|it| it.lease_seconds = Some(30)),
        of(|it| it.grace_seconds = Some(30)),
        of(|it| it.on_lost_lease = Some(OnLostLease::Fail)),
    ] {
        let put = Change::PutDeployment(Deployment {
            job_limits: limits,
            ..deployment.clone()
        });
        let rejection = world.refused(Command::Configure(vec![put]));
        assert!(rejection.message.contains("only a job agent"));
        let new = NewVersion {
            job_limits: limits,
            ..world.new_version("v1")
        };
        world.refused(Command::CreateVersion(new));
    }
}

#[test]
fn a_versions_limits_are_fixed() {
    let mut world = world(JobLimitsSpec::default());
    let mut new = world.new_version("v1");
    new.job_limits.run_timeout_seconds = Some(300);
    world.run(Command::CreateVersion(new.clone()));
    assert!(world.run(Command::CreateVersion(new.clone())).is_empty());
    new.job_limits.run_timeout_seconds = Some(301);
    let rejection = world.refused(Command::CreateVersion(new));
    assert_eq!(rejection.code, "version_exists");
    assert_eq!(rejection.field, "jobLimits");
}

#[test]
fn a_log_from_before_there_were_limits_still_folds() {
    let id = "0190e0a0-0000-7000-8000-000000000001";
    let created = json!({
        "type": "jobsCreated", "promotion": id, "version": id, "environment": id, "agent": id, "jobs": []
    });
    let Fact::JobsCreated { limits, .. } = serde_json::from_value(created).unwrap() else {
        panic!("another fact");
    };
    assert_eq!(limits, JobLimits::default());
    let claimed = json!({ "type": "jobClaimed", "id": id, "runner": "r1", "epoch": 1 });
    let Fact::JobClaimed { lease, .. } = serde_json::from_value(claimed).unwrap() else {
        panic!("another fact");
    };
    assert!(!lease);
}

// ---- deadlines ----

#[test]
fn a_job_that_nobody_claims_fails_at_its_deadline() {
    let (mut world, job) = with_job(JobLimitsSpec::default());
    let deadline = world.now.plus_seconds(24 * 3600);
    assert_eq!(world.engine.next_wake(), Some(deadline));
    world.pass(24 * 3_600_000 - 1);
    assert_eq!(world.job(job).status, JobStatus::Pending);
    world.pass(1);
    assert_eq!(world.job(job).status, JobStatus::Failure);
    assert_eq!(world.job(job).message, "no runner claimed it within 24 h");
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Failed);
    assert_eq!(world.engine.next_wake(), None);
}

#[test]
fn a_job_that_only_queues_fails_at_its_deadline_too() {
    let (mut world, job) = with_job(JobLimitsSpec {
        start_deadline_seconds: Some(90),
        ..JobLimitsSpec::default()
    });
    world.report(job, JobStatus::Queued);
    world.pass(90_000);
    assert_eq!(world.job(job).status, JobStatus::Failure);
    assert_eq!(world.job(job).message, "it did not start within 90 s");
}

#[test]
fn a_job_that_runs_too_long_is_stopped_and_fails() {
    let (mut world, job) = with_job(JobLimitsSpec::default());
    world.minutes(5);
    let epoch = claim(&mut world, job, "r1");
    world.pass(2 * 3_600_000 - 1);
    assert_eq!(world.job(job).cancel, None);
    world.pass(1);
    let asked = world.job(job).cancel.clone().expect("asked to stop");
    assert_eq!(asked.cause, CancelCause::Timeout);
    assert_eq!(world.job(job).status, JobStatus::InProgress);
    let stopped = by(&world, job, "r1", epoch, JobStatus::Cancelled);
    world.run(stopped);
    assert_eq!(world.job(job).status, JobStatus::Failure);
    assert_eq!(
        world.job(job).message,
        "it ran longer than its limit of 2 h; it was stopped"
    );
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Failed);
}

#[test]
fn a_job_without_a_lease_has_only_its_run_timeout() {
    let (mut world, job) = with_job(JobLimitsSpec::default());
    world.run(Command::ClaimJob {
        job,
        runner: "key 1".into(),
        lease: false,
    });
    assert!(lose(&mut world, job).is_empty());
    world.hours(2);
    assert!(world.job(job).cancel.is_some());
    world.pass(59_999);
    assert!(!world.job(job).status.is_terminal());
    world.pass(1);
    assert_eq!(world.job(job).status, JobStatus::Failure);
    let message = &world.job(job).message;
    assert!(
        message.contains("did not confirm within 1 min"),
        "{message}"
    );
    assert!(message.contains("unknown"), "{message}");
}

#[test]
fn what_is_measured_after_a_failure_is_measured_when_time_ends_the_job() {
    let mut world = world(JobLimitsSpec::default());
    let metric = crate::world::metric("autopsy");
    world.policy_on(
        "Staging",
        json!([{ "verification": { "triggerOn": "jobFailure", "metrics": [metric] } }]),
    );
    world.version("v1");
    world.hours(24);
    assert_eq!(world.running("v1", "Staging").len(), 1);
}

// ---- leases ----

#[test]
fn a_lost_job_keeps_its_target_busy_until_its_grace_has_passed() {
    let (mut world, job) = with_job(JobLimitsSpec::default());
    claim(&mut world, job, "r1");
    world.minutes(1);
    let since = world.now.plus_seconds(-30);
    assert_eq!(lose(&mut world, job).len(), 1);
    assert!(lose(&mut world, job).is_empty(), "it is lost once");
    let lost = world.job(job).lost.clone().expect("lost");
    assert_eq!((lost.at, lost.since), (world.now, since));
    assert_eq!(world.job(job).status, JobStatus::InProgress);
    let message = world.job(job).standing_message();
    assert!(message.contains("`r1`") && message.contains(&since.to_string()));
    world.version("v2");
    assert!(world.open_jobs("v2", "Staging").is_empty(), "busy");
    world.pass(59_999);
    assert_eq!(world.job(job).status, JobStatus::InProgress);
    let facts = world.pass(1);
    let [
        Fact::JobChanged {
            status, message, ..
        },
        ..,
    ] = &facts[..]
    else {
        panic!("{facts:?}");
    };
    assert_eq!(*status, JobStatus::Failure);
    assert!(
        message.contains("what became of the job is unknown"),
        "{message}"
    );
    assert_eq!(world.open_jobs("v2", "Staging").len(), 1);
}

#[test]
fn a_lost_runner_that_comes_back_in_time_goes_on() {
    let (mut world, job) = with_job(JobLimitsSpec::default());
    let epoch = claim(&mut world, job, "r1");
    assert!(world.run(renew(job, "r1", epoch)).is_empty(), "never lost");
    lose(&mut world, job);
    assert!(matches!(
        world.run(renew(job, "r1", epoch))[..],
        [Fact::JobFound { .. }]
    ));
    assert_eq!(world.job(job).lost, None);
    world.minutes(10);
    assert_eq!(world.job(job).status, JobStatus::InProgress);
    // A report is as good as a heartbeat, also one that says nothing new; so is claiming it again.
    lose(&mut world, job);
    let again = by(&world, job, "r1", epoch, JobStatus::InProgress);
    world.run(again);
    assert_eq!(world.job(job).lost, None);
    lose(&mut world, job);
    let action = by(&world, job, "r1", epoch, JobStatus::ActionRequired);
    world.run(action);
    assert_eq!(world.job(job).lost, None);
    lose(&mut world, job);
    world.run(claim_command(job, "r1"));
    assert_eq!(world.job(job).lost, None);
    lose(&mut world, job);
    let end = by(&world, job, "r1", epoch, JobStatus::Successful);
    world.run(end);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
}

#[test]
fn a_lapse_that_is_reported_too_late_is_void() {
    let (mut world, job) = with_job(requeueing());
    let first = claim(&mut world, job, "r1");
    lose(&mut world, job);
    world.minutes(1);
    claim(&mut world, job, "r2");
    let since = world.now;
    let late = Command::LoseLease {
        job,
        epoch: first,
        since,
    };
    assert!(world.run_as(Actor::System, late).is_empty());
    world.report(job, JobStatus::Successful);
    assert!(lose(&mut world, job).is_empty());
}

#[test]
fn a_requeued_job_is_anyones_again_and_its_clocks_start_anew() {
    let (mut world, job) = with_job(requeueing());
    let first = claim(&mut world, job, "r1");
    let started = world.job(job).started_at;
    world.minutes(100);
    lose(&mut world, job);
    world.minutes(1);
    let requeued = world.job(job);
    assert_eq!(requeued.status, JobStatus::Pending);
    assert_eq!(requeued.runner, None);
    assert_eq!(requeued.epoch, first + 1);
    assert_eq!(requeued.started_at, started);
    world.hours(23);
    assert_eq!(world.job(job).status, JobStatus::Pending);
    assert_eq!(claim(&mut world, job, "r2"), first + 2);
    world.minutes(119);
    assert_eq!(world.job(job).cancel, None, "the run's limit counts anew");
    let done = by(&world, job, "r2", first + 2, JobStatus::Successful);
    world.run(done);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
}

#[test]
fn a_requeued_job_that_nobody_claims_fails_at_its_new_deadline() {
    let (mut world, job) = with_job(requeueing());
    claim(&mut world, job, "r1");
    lose(&mut world, job);
    world.minutes(1);
    world.hours(24);
    assert_eq!(world.job(job).status, JobStatus::Failure);
}

#[test]
fn a_job_that_loses_every_runner_is_given_up() {
    let (mut world, job) = with_job(requeueing());
    for round in 0..6 {
        assert_eq!(world.job(job).status, JobStatus::Pending, "{round}");
        claim(&mut world, job, "r1");
        lose(&mut world, job);
        world.minutes(1);
    }
    assert_eq!(world.job(job).status, JobStatus::Failure);
    assert!(world.job(job).message.contains("5 runners before it"));
}

// ---- fencing ----

#[test]
fn whoever_lost_a_job_has_no_say_in_it() {
    let (mut world, job) = with_job(requeueing());
    let first = claim(&mut world, job, "r1");
    lose(&mut world, job);
    world.minutes(1);
    let lost = |world: &mut World, command| {
        assert_eq!(world.refused(command).code, "lease_lost");
    };
    // Nobody has it.
    let late = by(&world, job, "r1", first, JobStatus::Successful);
    lost(&mut world, late.clone());
    let nameless = JobReport {
        runner: Some("r1".into()),
        ..world.report_command(job, JobStatus::Successful)
    };
    lost(&mut world, Command::ReportJob(nameless.clone()));
    lost(&mut world, renew(job, "r1", first));
    // Another has it.
    let second = claim(&mut world, job, "r2");
    lost(&mut world, late);
    lost(&mut world, Command::ReportJob(nameless));
    lost(&mut world, renew(job, "r1", second));
    lost(&mut world, renew(job, "r2", first));
    let epoch_only = JobReport {
        epoch: Some(first),
        ..world.report_command(job, JobStatus::Successful)
    };
    lost(&mut world, Command::ReportJob(epoch_only));
    assert_eq!(world.job(job).status, JobStatus::InProgress);
    // Even the same runner, when it speaks of its old claim.
    lose(&mut world, job);
    world.minutes(1);
    claim(&mut world, job, "r2");
    lost(&mut world, renew(job, "r2", second));
}

#[test]
fn on_a_leased_job_an_agents_key_must_say_which_claim_it_speaks_of() {
    let (mut world, job) = with_job(requeueing());
    world.person("bot", Role::Agent);
    let bot = world.actor("bot");
    claim(&mut world, job, "r1");
    let report = Command::ReportJob(world.report_command(job, JobStatus::Successful));
    assert_eq!(world.refused_as(bot, report.clone()).code, "lease_lost");
    lose(&mut world, job);
    world.minutes(1);
    assert_eq!(world.refused_as(bot, report.clone()).code, "lease_lost");
    world.run(Command::ClaimJob {
        job,
        runner: "key 1".into(),
        lease: false,
    });
    world.run_as(bot, report);
    assert_eq!(world.job(job).status, JobStatus::Successful);
}

#[test]
fn a_person_may_decide_of_a_lost_job_before_its_grace_has_passed() {
    let (mut world, job) = with_job(JobLimitsSpec::default());
    let epoch = claim(&mut world, job, "r1");
    lose(&mut world, job);
    world.report(job, JobStatus::Successful);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
    assert_eq!(world.refused(renew(job, "r1", epoch)).code, "job_ended");
    let late = by(&world, job, "r1", epoch, JobStatus::Failure);
    assert!(matches!(world.run(late)[..], [Fact::ReportIgnored { .. }]));
    // It has left memory; the shell knows from the archive that it has ended.
    assert_eq!(world.refused(renew(job, "r1", epoch)).code, "job_not_found");
}

#[test]
fn a_report_for_a_job_that_has_left_memory_is_recorded() {
    let (mut world, job) = with_job(JobLimitsSpec::default());
    let command = |job| Command::ReportArchivedJob {
        job,
        status: JobStatus::Successful,
        standing: JobStatus::Failure,
    };
    assert_eq!(world.refused(command(job)).code, "invalid_status");
    let gone: JobId = world.id().into();
    let facts = world.run(command(gone));
    assert!(
        matches!(facts[..], [Fact::ReportIgnored { job, standing, .. }] if job == gone && standing == JobStatus::Failure)
    );
}

// ---- stopping ----

#[test]
fn a_job_that_nobody_has_is_cancelled_at_once() {
    let (mut world, job) = with_job(requeueing());
    world.run(cancel(job, "not today"));
    assert_eq!(world.job(job).status, JobStatus::Cancelled);
    assert!(world.job(job).message.ends_with("not today"));
    assert_eq!(world.refused(cancel(job, "")).code, "job_ended");
    assert_eq!(world.refused(claim_command(job, "r1")).code, "job_ended");
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Cancelled);
    // Also one that was taken from a lost runner.
    world.version("v2");
    let job = world.open_jobs("v2", "Staging")[0];
    claim(&mut world, job, "r1");
    lose(&mut world, job);
    world.minutes(1);
    world.run(cancel(job, ""));
    assert_eq!(world.job(job).status, JobStatus::Cancelled);
}

#[test]
fn a_running_job_is_asked_to_stop_and_confirms_it() {
    let (mut world, job) = with_job(JobLimitsSpec::default());
    let epoch = claim(&mut world, job, "r1");
    let root = world.actor("root").user();
    world.run(cancel(job, "wrong version"));
    let asked = world.job(job).cancel.clone().expect("asked to stop");
    assert_eq!((asked.cause, asked.by), (CancelCause::Person, root));
    assert_eq!(asked.reason, "wrong version");
    assert_eq!(world.job(job).status, JobStatus::InProgress);
    assert!(world.run(cancel(job, "again")).is_empty());
    assert_eq!(world.job(job).cancel, Some(asked));
    let confirmed = by(&world, job, "r1", epoch, JobStatus::Cancelled);
    world.run(confirmed);
    assert_eq!(world.job(job).status, JobStatus::Cancelled);
    assert_eq!(world.job(job).message, "it was cancelled: wrong version");
    assert_eq!(world.refused(cancel(job, "")).code, "job_ended");
}

#[test]
fn a_job_that_succeeds_although_it_should_stop_has_succeeded() {
    let (mut world, job) = with_job(JobLimitsSpec::default());
    let epoch = claim(&mut world, job, "r1");
    world.run(cancel(job, ""));
    let done = by(&world, job, "r1", epoch, JobStatus::Successful);
    world.run(done);
    assert_eq!(world.status("v1", "Staging"), PromotionStatus::Succeeded);
}

#[test]
fn a_cancel_that_is_not_confirmed_ends_the_job_all_the_same() {
    let (mut world, job) = with_job(requeueing());
    claim(&mut world, job, "r1");
    world.run(cancel(job, "stuck"));
    // That its runner is lost does not hand it on to another.
    lose(&mut world, job);
    world.pass(59_999);
    assert_eq!(world.job(job).status, JobStatus::InProgress);
    world.pass(1);
    assert_eq!(world.job(job).status, JobStatus::Cancelled);
    let message = &world.job(job).message;
    assert!(
        message.contains("stuck")
            && message.contains("did not confirm")
            && message.contains("unknown"),
        "{message}"
    );
}

#[test]
fn a_queued_job_that_is_to_stop_cannot_be_claimed() {
    let (mut world, job) = with_job(JobLimitsSpec::default());
    world.report(job, JobStatus::Queued);
    world.run(cancel(job, ""));
    assert_eq!(world.job(job).status, JobStatus::Queued);
    assert_eq!(world.refused(claim_command(job, "r1")).code, "job_claimed");
    world.minutes(1);
    assert_eq!(world.job(job).status, JobStatus::Cancelled);
}

// ---- what is said of a job ----

#[test]
fn how_the_process_ended_and_where_to_read_more_are_kept() {
    let (mut world, job) = with_job(JobLimitsSpec::default());
    let epoch = claim(&mut world, job, "r1");
    let report = |world: &World, status, links: &[(&str, &str)], exit| {
        Command::ReportJob(JobReport {
            runner: Some("r1".into()),
            epoch: Some(epoch),
            links: links
                .iter()
                .map(|(label, address)| ((*label).to_owned(), (*address).to_owned()))
                .collect(),
            exit,
            ..world.report_command(job, status)
        })
    };
    let progress = report(
        &world,
        JobStatus::InProgress,
        &[("log", "https://ci.example.org/1")],
        None,
    );
    assert_eq!(world.run(progress.clone()).len(), 1);
    assert!(world.run(progress).is_empty(), "nothing new");
    for bad in ["javascript:alert(1)", "https://", "http://a b", "ftp://x"] {
        let bad = report(&world, JobStatus::InProgress, &[("log", bad)], None);
        assert_eq!(world.refused(bad).code, "invalid_value");
    }
    let exit = JobExit {
        code: Some(3),
        signal: None,
    };
    let end = report(&world, JobStatus::Failure, &[], Some(exit.clone()));
    world.run(end);
    assert_eq!(world.job(job).exit.as_deref(), Some(&exit));
    assert_eq!(world.job(job).links()["log"], "https://ci.example.org/1");
}

#[test]
fn too_many_or_too_long_links_are_refused() {
    let (mut world, job) = with_job(JobLimitsSpec::default());
    let with = |world: &World, links| {
        Command::ReportJob(JobReport {
            links,
            ..world.report_command(job, JobStatus::InProgress)
        })
    };
    let many = (0..21).map(|n| (n.to_string(), "http://x".to_owned()));
    let many = with(&world, many.collect());
    assert_eq!(world.refused(many).code, "too_large");
    let long = format!("http://{}", "x".repeat(2048));
    let long = with(&world, [("log".to_owned(), long)].into());
    assert_eq!(world.refused(long).code, "too_large");
}

#[test]
fn why_says_that_a_runner_is_lost_or_that_a_job_is_to_stop() {
    let (mut world, job) = with_job(JobLimitsSpec::default());
    let reason = |world: &World| {
        let target = &world.explain("v1", "Staging").targets[0];
        assert_eq!(target.state, TargetState::Running);
        target.reason.clone()
    };
    assert_eq!(reason(&world), "its job is pending");
    world.minutes(5);
    assert!(reason(&world).contains("no runner has claimed it since"));
    claim(&mut world, job, "r1");
    assert_eq!(reason(&world), "its job is inProgress");
    lose(&mut world, job);
    assert!(reason(&world).contains("`r1` was not heard of"));
    world.run(cancel(job, "enough"));
    assert!(reason(&world).contains("asked to stop"));
}
