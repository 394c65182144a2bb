//! When a version will be where: from what really ended, in memory and in the archive, and from nothing else.

use crate::world::{SHOP, SetClock, World};
use serde_json::{Value, json};
use std::sync::Arc;

fn environment<'f>(forecast: &'f Value, name: &str) -> &'f Value {
    let mut all = forecast["environments"].as_array().unwrap().iter();
    let found = all.find(|it| it["environment"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {forecast}"))
}

fn assumption<'f>(forecast: &'f Value, kind: &str, name: &str) -> &'f Value {
    let mut all = forecast["assumptions"].as_array().unwrap().iter();
    let found = all.find(|it| it["kind"] == kind && it["environment"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} in {name} in {forecast}"))
}

/// A job at one time that ends at another.
async fn job(world: &World, clock: &Arc<SetClock>, ends: &str) {
    let job = world.claim("runner-1").await;
    clock.set(ends);
    world.report(&job, "successful").await.expect(202);
}

/// A version through both environments: created, staging done, approved and done.
async fn through(world: &World, clock: &Arc<SetClock>, tag: &str, times: [&str; 4]) {
    let [created, staging, approved, done] = times;
    clock.set(created);
    let version = world.version(tag).await;
    job(world, clock, staging).await;
    clock.set(approved);
    let id = version["id"].as_str().unwrap();
    world.vote(id, "Production", "approved").await.expect(202);
    job(world, clock, done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forecast_goes_by_what_took_how_long_and_says_so() {
    let clock = SetClock::new("2026-01-05T10:00:00Z");
    let world = World::at(clock.clone()).await;
    world.apply(SHOP).await.expect(200);
    let ask = "/forecast?deployment=api";
    world.get(ask).await.refused(404, "version_not_found");

    // Nothing has ended yet, so nothing is said, unless the caller does.
    world.version("v0").await;
    let told = world.get(ask).await.expect(200);
    let staging = environment(&told, "Staging");
    assert_eq!(
        (&staging["outcome"], &staging["all"]),
        (&json!("unknown"), &Value::Null)
    );
    assert_eq!(assumption(&told, "job", "Staging")["source"], "none");
    let given = format!("{ask}&jobSeconds=60&approvalSeconds=3600");
    let told = world.get(&given).await.expect(200);
    let production = environment(&told, "Production");
    assert_eq!(production["outcome"], "expected", "{told}");
    assert_eq!(production["all"], "2026-01-05T11:01:00.000Z");
    job(&world, &clock, "2026-01-05T10:03:00Z").await;

    let day = |times: [&'static str; 4]| times;
    let first = day([
        "2026-01-05T11:00:00Z",
        "2026-01-05T11:01:00Z",
        "2026-01-05T11:30:00Z",
        "2026-01-05T11:34:00Z",
    ]);
    through(&world, &clock, "v1", first).await;
    let second = day([
        "2026-01-05T12:00:00Z",
        "2026-01-05T12:02:00Z",
        "2026-01-05T12:30:00Z",
        "2026-01-05T12:34:00Z",
    ]);
    through(&world, &clock, "v2", second).await;
    clock.set("2026-01-05T13:00:00Z");
    world.version("v3").await;
    let told = world.get(ask).await.expect(200);
    // Of three jobs in staging (3, 1 and 2 minutes) two have left memory by now.
    let job = assumption(&told, "job", "Staging");
    assert_eq!(
        (&job["seconds"], &job["samples"], &job["source"]),
        (&json!(120.0), &json!(3), &json!("environment")),
        "{told}"
    );
    let approval = assumption(&told, "approval", "Production");
    assert_eq!(
        (&approval["seconds"], &approval["samples"]),
        (&json!(1800.0), &json!(2))
    );
    assert_eq!(
        environment(&told, "Staging")["all"],
        "2026-01-05T13:02:00.000Z"
    );
    let production = environment(&told, "Production");
    assert_eq!(production["all"], "2026-01-05T13:34:00.000Z", "{told}");
    assert_eq!(
        (&production["reached"], &production["targets"]),
        (&json!(1), &json!(1))
    );
    assert!(!told["presumed"].as_array().unwrap().is_empty());

    // It looks at a copy: nothing has moved.
    let why = "/why?deployment=api&environment=Production&version=v3";
    assert_eq!(world.get(why).await.expect(200)["status"], "waiting");
    let long = format!("{ask}&jobSeconds=99999999999");
    world.get(&long).await.refused(400, "invalid_value");
}
