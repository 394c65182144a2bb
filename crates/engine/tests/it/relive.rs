//! History lived once more: as it was under the policies as they were, and otherwise under others.

use crate::world::{World, approvals, health_check, metric, wait_for};
use crate::year;
use serde_json::json;
use stagegate_engine::relive::{Effect, PolicyChange, Report, Simulation};
use stagegate_model::*;
use std::collections::BTreeSet;

/// Lives a log again.
pub fn simulate(
    entries: &[Entry],
    since: Timestamp,
    until: Timestamp,
    changes: Vec<PolicyChange>,
) -> Report {
    let mut simulation = Simulation::new(since, changes);
    for entry in entries {
        simulation.learn(entry);
    }
    let first = simulation.first();
    let (mut baseline, mut changed) = simulation.begin();
    for entry in entries
        .iter()
        .filter(|it| first.is_some_and(|first| it.seq >= first))
    {
        let pace = baseline.relive(entry);
        if let Some(changed) = &mut changed {
            changed.relive(entry, pace);
        }
    }
    baseline.finish(changed, until)
}

/// Whatever happened, under the policies as they were it happens again, fact by fact, from wherever one begins.
pub fn repeats_itself(entries: &[Entry], until: Timestamp) {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        return;
    };
    let middle = entries.get(entries.len() / 2).unwrap_or(first);
    for since in [first.time, middle.time] {
        let report = simulate(entries, since, until.max(last.time), Vec::new());
        let told = || {
            let unlike = report
                .unlike_from
                .and_then(|seq| entries.iter().find(|it| it.seq == seq));
            format!(
                "since {since}: {:#?}\n{unlike:#?}",
                report.differences.first()
            )
        };
        assert_eq!(report.unlike, 0, "{}", told());
        assert!(report.differences.is_empty(), "{}", told());
    }
}

fn by_tag(world: &World, report: &Report) -> Vec<(String, String, Effect)> {
    let told = report.differences.iter().map(|it| {
        let version = &world.state().versions()[&it.promotion.version];
        let environment = &world.state().environments()[&it.promotion.environment];
        (version.tag.clone(), environment.name.clone(), it.effect)
    });
    told.collect()
}

fn put(policy: Policy) -> Vec<PolicyChange> {
    vec![PolicyChange::Put(policy)]
}

/// Staging, then production once staging has it; two versions, of which ann approves the first for production.
fn two_versions() -> World {
    let mut world = World::new();
    world.person("ann", Role::Approver);
    for environment in ["Staging", "Production"] {
        world.environment(environment);
    }
    world.resource("s", "Staging");
    world.resource("p", "Production");
    world.policy_on("Production", json!([wait_for("Staging")]));
    for (tag, approved) in [("v1", true), ("v2", false)] {
        world.version(tag);
        world.minutes(1);
        if approved {
            world.approve("ann", tag, "Production");
        }
        world.minutes(1);
        world.succeed(tag, "Staging");
        world.minutes(5);
        world.succeed(tag, "Production");
        world.hours(1);
    }
    world
}

#[test]
fn an_added_approval_stops_what_nobody_approved() {
    let mut world = two_versions();
    let approval = world.new_policy(
        "added",
        "environment.name == \"Production\"",
        json!([approvals(1)]),
    );
    let (entries, now) = (world.entries.clone(), world.now);
    let report = simulate(&entries, Timestamp(0), now, put(approval.clone()));
    let stopped = ("v2".into(), "Production".into(), Effect::Stopped);
    assert_eq!(by_tag(&world, &report), [stopped]);
    assert_eq!((report.unlike, report.unexplained), (0, 0));
    let held = report.differences[0]
        .relived
        .as_ref()
        .unwrap()
        .held_by
        .as_ref();
    let held = held.map(|it| (it.policy, it.kind.as_str()));
    assert_eq!(held, Some((approval.id, "anyApproval")));
    // Begun after the first was through, only the second is looked at, and the outcome is the same.
    let mut later = entries.iter().filter(|it| {
        let mut facts = it.facts.iter();
        facts.any(|fact| matches!(fact, Fact::VersionCreated { version } if version.tag == "v2"))
    });
    let since = later.next_back().unwrap().time;
    let report = simulate(&entries, since, now, put(approval));
    assert_eq!(by_tag(&world, &report).len(), 1);
    assert!(report.promotions < 4, "{}", report.promotions);
}

#[test]
fn a_soak_delays_by_its_length() {
    let mut world = two_versions();
    let mut policy = (*world.state().policy_by_name("Production policy").unwrap())
        .as_ref()
        .clone();
    policy.rules = vec![world.rule(&json!({ "environmentProgression": {
        "waitFor": "Staging", "minimumSoakTimeMinutes": 30,
    } }))];
    let report = simulate(&world.entries.clone(), Timestamp(0), world.now, put(policy));
    let delayed = |tag: &str| {
        let by = Effect::Delayed(30 * 60_000);
        (tag.to_owned(), "Production".to_owned(), by)
    };
    assert_eq!(by_tag(&world, &report), [delayed("v1"), delayed("v2")]);
    // They went as they had gone: to a good end, five minutes after they began.
    for it in &report.differences {
        let relived = it.relived.as_ref().unwrap();
        assert_eq!(relived.status, PromotionStatus::Succeeded);
        let took = relived
            .ended_at
            .unwrap()
            .millis_since(relived.started_at.unwrap());
        assert_eq!(took, 5 * 60_000);
    }
    assert_eq!(report.assumed.moved, 2);
}

#[test]
fn without_a_policy_production_begins_with_staging() {
    let mut world = two_versions();
    let id = world
        .state()
        .policy_by_name("Production policy")
        .unwrap()
        .id;
    let deleted = vec![PolicyChange::Delete(id)];
    let report = simulate(&world.entries.clone(), Timestamp(0), world.now, deleted);
    let earlier = |tag: &str| {
        (
            tag.to_owned(),
            "Production".to_owned(),
            Effect::Earlier(120_000),
        )
    };
    assert_eq!(by_tag(&world, &report), [earlier("v1"), earlier("v2")]);
    world.minutes(1);
}

/// A window that is written today, and names no beginning, has been open in the past all the same.
#[test]
fn a_new_window_is_anchored_where_the_simulation_begins() {
    let mut world = two_versions();
    let entries = world.entries.clone();
    // History began at nine; production began before ten, and again after.
    let window = json!({ "deploymentWindow": { "rrule": "FREQ=DAILY;BYHOUR=10;BYMINUTE=0;BYSECOND=0", "durationMinutes": 600 } });
    let added = world.new_policy(
        "hours",
        "environment.name == \"Production\"",
        json!([window]),
    );
    let report = simulate(&entries, Timestamp(0), world.now, put(added.clone()));
    let [first] = by_tag(&world, &report).try_into().unwrap();
    assert!(matches!(first.2, Effect::Delayed(_)), "{first:?}");
    assert!(added.rules[0].created_at > entries[0].time);
}

#[test]
fn what_was_stopped_says_whether_it_was_rolled_back() {
    let mut world = two_versions();
    let target = world.lane("Production").target(world.resource_id("p"));
    world.run(Command::Rollback {
        targets: vec![RollbackTarget { target, to: None }],
        reason: "it smells".into(),
    });
    world.succeed("v1", "Production");
    let approval = world.new_policy(
        "added",
        "environment.name == \"Production\"",
        json!([approvals(1)]),
    );
    let report = simulate(
        &world.entries.clone(),
        Timestamp(0),
        world.now,
        put(approval),
    );
    let all = by_tag(&world, &report);
    assert_eq!(all[0], ("v2".into(), "Production".into(), Effect::Stopped));
    assert!(report.differences[0].recorded.as_ref().unwrap().rolled_back);
    // Nothing was there to go back from: the rollback was not heard, and the second attempt of v1 was none.
    assert_eq!(report.assumed.dropped, 1);
    assert_eq!(
        all[1..],
        [("v1".into(), "Production".into(), Effect::Stopped)]
    );
}

#[test]
fn what_was_measured_is_judged_by_the_changed_condition() {
    let mut world = World::new();
    world.environment("Staging");
    world.resource("s", "Staging");
    world.policy_on("Staging", json!([health_check()]));
    for (tag, code) in [("v1", 200), ("v2", 204)] {
        world.version(tag);
        world.succeed(tag, "Staging");
        world.minutes(1);
        world.measure(tag, "Staging", Ok(json!({ "statusCode": code })));
        world.minutes(1);
    }
    let failed = |world: &World| {
        world
            .verifications("v2", "Staging", Some(VerificationStatus::Failed))
            .len()
    };
    assert_eq!(failed(&world), 1);
    let mut policy = (*world.state().policy_by_name("Staging policy").unwrap())
        .as_ref()
        .clone();
    let mut metric = metric("health-check");
    metric["successCondition"] = json!("result.statusCode < 300");
    policy.rules = vec![world.rule(&json!({ "verification": { "metrics": [metric] } }))];
    let report = simulate(&world.entries.clone(), Timestamp(0), world.now, put(policy));
    let of = |tag: &str| {
        let mut all = report.differences.iter();
        let found = all.find(|it| world.state().versions()[&it.promotion.version].tag == tag);
        found.map(|it| it.relived.as_ref().unwrap().status)
    };
    assert_eq!(of("v2"), Some(PromotionStatus::Succeeded));
    assert_ne!(of("v1"), Some(PromotionStatus::Failed));
    assert_eq!(report.assumed.measurements, 0);
}

#[test]
fn recorded_changes_of_a_changed_policy_are_left_out() {
    let mut world = two_versions();
    let added = world.new_policy(
        "added",
        "environment.name == \"Production\"",
        json!([approvals(1)]),
    );
    world.configure(vec![Change::PutPolicy(added.clone())]);
    world.delete_policy("added");
    let report = simulate(&world.entries.clone(), Timestamp(0), world.now, put(added));
    assert_eq!(report.assumed.policy_changes, 2);
    assert_eq!(by_tag(&world, &report).len(), 1);
}

#[test]
fn an_added_approval_stops_exactly_what_has_no_vote() {
    let mut year = year::make(4, 120);
    let read = year
        .log
        .iter()
        .map(|bytes| Entry::from_bytes(bytes).expect("an entry"));
    let entries: Vec<Entry> = read.collect();
    assert!(
        year.rollbacks > 0 && year.promotions >= 480,
        "{} promotions",
        year.promotions
    );
    let same = simulate(
        &entries,
        year::START,
        entries.last().unwrap().time,
        Vec::new(),
    );
    assert_eq!((same.unlike, same.differences.len()), (0, 0));
    let rule = serde_json::json!({ "anyApproval": { "minApprovals": 1 } });
    let added = year.policy("added", "Staging", vec![rule]);
    let report = simulate(
        &entries,
        year::START,
        entries.last().unwrap().time,
        vec![PolicyChange::Put(added)],
    );
    // What began in staging or behind it, of versions on which nobody had voted.
    let behind: BTreeSet<_> = year.environments[2..].iter().collect();
    let unvoted = |version: &VersionId| !year.voted_for_staging.contains(version);
    let expected = year.started.iter().copied();
    let expected: BTreeSet<_> = expected
        .filter(|(version, environment)| unvoted(version) && behind.contains(environment))
        .collect();
    let first = report
        .differences
        .iter()
        .filter(|it| it.promotion.attempt == 1);
    let (stopped, others): (Vec<_>, Vec<_>) = first.partition(|it| it.effect == Effect::Stopped);
    let stopped = stopped
        .iter()
        .map(|it| (it.promotion.version, it.promotion.environment));
    let stopped: BTreeSet<_> = stopped.collect();
    assert!(expected.len() > 50, "{}", expected.len());
    assert_eq!(stopped, expected);
    // Nothing that began is touched otherwise; what waited in vain may be superseded by another.
    let begun = others.iter().filter(|it| {
        it.recorded
            .as_ref()
            .is_some_and(|fate| fate.started_at.is_some())
    });
    let begun: Vec<_> = begun
        .filter(|it| !matches!(it.effect, Effect::Otherwise))
        .collect();
    assert!(begun.is_empty(), "{begun:#?}");
}
