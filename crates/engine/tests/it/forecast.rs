//! When a version will be where, if approvals and jobs take their usual time.

use crate::world::{World, approvals, health_check, wait_for};
use serde_json::json;
use stagegate_engine::{Expected, Forecast, Given, History, Outcome, Source, Subject};
use stagegate_model::*;

/// Staging, and behind it a production that wants an approval.
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

fn forecast_with(world: &World, tag: &str, given: Given) -> Forecast {
    let before = rmp_serde::to_vec_named(world.state()).unwrap();
    let mut history = History::of(world.state());
    let gone = world.gone.jobs.values();
    gone.for_each(|job| history.add_job(job));
    let copy = world.engine.clone();
    let told = copy.forecast(world.version_id(tag), &history, given, world.now);
    assert!(
        before == rmp_serde::to_vec_named(world.state()).unwrap(),
        "only the copy moves"
    );
    told.expect("a forecast")
}

fn forecast(world: &World, tag: &str) -> Forecast {
    forecast_with(world, tag, Given::default())
}

fn of(world: &World, forecast: &Forecast, environment: &str) -> Expected {
    let id = world.environment_id(environment);
    let mut all = forecast.environments.iter();
    all.find(|it| it.environment == id)
        .expect("an environment")
        .clone()
}

const MINUTES: i64 = 60_000;

/// v1 goes through: a job takes 2 minutes in staging and 4 in production, the approval 30 minutes.
fn with_past() -> World {
    let mut world = world();
    world.version("v1");
    world.minutes(2);
    world.succeed("v1", "Staging");
    world.minutes(28);
    world.approve("ann", "v1", "Production");
    world.minutes(4);
    world.succeed("v1", "Production");
    world
}

#[test]
fn what_took_its_time_before_takes_it_again() {
    let mut world = with_past();
    world.hours(5);
    world.version("v2");
    let from = world.now;
    let told = forecast(&world, "v2");
    let names: Vec<_> = told.environments.iter().map(|it| it.environment).collect();
    assert_eq!(
        names,
        [
            world.environment_id("Staging"),
            world.environment_id("Production")
        ]
    );
    let staging = of(&world, &told, "Staging");
    assert_eq!(staging.all, Some(from.plus_millis(2 * MINUTES)));
    let production = of(&world, &told, "Production");
    // Approved half an hour after it was asked, which is from the version's creation on, and then one job.
    assert_eq!(production.all, Some(from.plus_millis(34 * MINUTES)));
    assert_eq!(
        (production.outcome, production.reached, production.targets),
        (Outcome::Expected, 1, 1)
    );
    let approval = told.assumptions.iter();
    let approval = approval.filter(|it| matches!(it.subject, Subject::Approval(_)));
    let approval: Vec<_> = approval.collect();
    assert_eq!(approval.len(), 1);
    assert_eq!(
        (approval[0].millis, approval[0].samples),
        (Some(30 * MINUTES), 1)
    );
    assert_eq!(approval[0].source, Source::Place);
    // And it comes so.
    world.minutes(2);
    world.succeed("v2", "Staging");
    world.minutes(28);
    world.approve("ann", "v2", "Production");
    world.minutes(4);
    world.succeed("v2", "Production");
    assert_eq!(Some(world.now), production.all);
    let there = of(&world, &forecast(&world, "v2"), "Production");
    assert_eq!(
        (there.outcome, there.all),
        (Outcome::There, Some(world.now))
    );
}

#[test]
fn without_a_past_nothing_is_made_up_unless_it_is_said() {
    let mut world = world();
    world.version("v1");
    let told = forecast(&world, "v1");
    for name in ["Staging", "Production"] {
        let it = of(&world, &told, name);
        assert_eq!(
            (it.outcome, it.first, it.all),
            (Outcome::Unknown, None, None),
            "{name}"
        );
        assert!(
            it.because
                .contains("how long a job in Staging takes is not known"),
            "{}",
            it.because
        );
    }
    assert!(
        told.assumptions
            .iter()
            .all(|it| it.millis.is_none() && it.source == Source::None)
    );
    let given = Given {
        job: Some(MINUTES),
        approval: None,
    };
    let told = forecast_with(&world, "v1", given);
    assert_eq!(
        of(&world, &told, "Staging").all,
        Some(world.now.plus_seconds(60))
    );
    let production = of(&world, &told, "Production");
    assert_eq!(production.outcome, Outcome::Unknown);
    assert!(
        production
            .because
            .contains("how long an approval for Production takes"),
        "{}",
        production.because
    );
    let given = Given {
        job: Some(MINUTES),
        approval: Some(10 * MINUTES),
    };
    let told = forecast_with(&world, "v1", given);
    assert_eq!(
        of(&world, &told, "Production").all,
        Some(world.now.plus_seconds(11 * 60))
    );
    assert!(told.assumptions.iter().all(|it| it.source == Source::Given));
}

#[test]
fn windows_soaks_rollouts_and_measurements_are_the_engines_own() {
    let mut world = world();
    world.resource("p2", "Production");
    world.delete_policy("Production policy");
    let mut check = health_check();
    check["verification"]["metrics"][0]["count"] = json!(3);
    check["verification"]["metrics"][0]["intervalSeconds"] = json!(60);
    world.policy_on("Staging", json!([check]));
    let soaked =
        json!({ "environmentProgression": { "waitFor": "Staging", "minimumSoakTimeMinutes": 30 } });
    let window = json!({ "deploymentWindow": {
        "rrule": "FREQ=DAILY;BYHOUR=12;BYMINUTE=0;BYSECOND=0", "durationMinutes": 120, "allowWindow": true } });
    let rollout =
        json!({ "gradualRollout": { "rolloutType": "linear", "timeScaleInterval": 600 } });
    world.policy(
        "last",
        "environment.name == \"Production\"",
        json!([soaked, window, rollout]),
    );
    world.version("v1");
    let given = Given {
        job: Some(MINUTES),
        approval: None,
    };
    let told = forecast_with(&world, "v1", given);
    let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    // A job of a minute, and three measurements a minute apart.
    assert_eq!(of(&world, &told, "Staging").all, at("2026-03-02T09:03:00Z"));
    // Soaked by 09:33; the window opens at noon, and the second target comes ten minutes later.
    let production = of(&world, &told, "Production");
    assert_eq!(
        production.first,
        at("2026-03-02T12:01:00Z"),
        "{production:?}"
    );
    assert_eq!(production.all, at("2026-03-02T12:11:00Z"), "{production:?}");
}

#[test]
fn what_time_does_not_bring_says_who_has_to_do_what() {
    let mut world = with_past();
    world.version("v2");
    world.set_status("v2", VersionStatus::Paused);
    let told = of(&world, &forecast(&world, "v2"), "Production");
    assert_eq!((told.outcome, told.all), (Outcome::Never, None));
    assert!(
        told.because.contains("v2 has the status paused"),
        "{}",
        told.because
    );
    // Approval is asked of those who are not there.
    world.version("v3");
    let nobody = world.id();
    world.run(Command::PutGroup(Group {
        id: nobody.into(),
        name: "nobody".into(),
        members: Default::default(),
    }));
    let asked =
        json!([{ "approval": { "stages": [{ "name": "QA", "approvers": ["group:nobody"] }] } }]);
    world.policy("more", "environment.name == \"Production\"", asked);
    let told = of(&world, &forecast(&world, "v3"), "Production");
    assert_eq!(told.outcome, Outcome::Never);
    assert!(
        told.because.contains("approval by group:nobody"),
        "{}",
        told.because
    );
    assert!(
        told.because
            .ends_with("there is nobody who may give the approval for Production"),
        "{}",
        told.because
    );
}

#[test]
fn an_approval_that_is_late_already_is_taken_for_now_and_stages_follow_each_other() {
    let mut world = with_past();
    let bob = world.person("bob", Role::Approver);
    let ann = world.user_id("ann");
    // Who comes last in the order of ids is asked first.
    let stages = json!([{ "approval": { "stages": [
        { "name": "QA", "approvers": [format!("user:{bob}")] },
        { "name": "Release", "approvers": [format!("user:{ann}")] },
    ] } }]);
    world.policy("more", "environment.name == \"Production\"", stages);
    world.version("v2");
    world.minutes(2);
    world.succeed("v2", "Staging");
    world.hours(3);
    let told = of(&world, &forecast(&world, "v2"), "Production");
    assert_eq!(
        told.all,
        Some(world.now.plus_millis(4 * MINUTES)),
        "{told:?}"
    );
}

#[test]
fn it_comes_to_an_end() {
    let mut world = with_past();
    let far = json!({ "environmentProgression": { "waitFor": "Staging", "minimumSoakTimeMinutes": 150_000 } });
    world.policy("far", "environment.name == \"Production\"", json!([far]));
    world.version("v2");
    let told = of(&world, &forecast(&world, "v2"), "Production");
    assert_eq!(told.outcome, Outcome::Beyond, "{told:?}");
    assert!(
        told.because.starts_with("Production waits until 2026-06-"),
        "{}",
        told.because
    );
}
