//! Logs of the simulator, with its crashes, late timers and failed writes, lived again under the policies as they were.
//!
//! What is the same: every entry that is lived again has exactly the recorded facts, with their ids, whatever was late.
//! Only *when* the engine wakes is taken from the record: an entry that time caused says when the server saw to it.

use stagegate_engine::relive::{PolicyChange, Report, Simulation};
use stagegate_model::{Entry, Policy, PolicyId, Timestamp};
use stagegate_sim::history;
use uuid::Uuid;

fn simulate(entries: &[Entry], since: Timestamp, changes: Vec<PolicyChange>) -> Report {
    let mut simulation = Simulation::new(since, changes);
    entries.iter().for_each(|entry| simulation.learn(entry));
    let first = simulation.first().unwrap_or(u64::MAX);
    let (mut baseline, mut changed) = simulation.begin();
    for entry in entries.iter().filter(|entry| entry.seq >= first) {
        let pace = baseline.relive(entry);
        if let Some(changed) = &mut changed {
            changed.relive(entry, pace);
        }
    }
    let last = entries.last().map_or(since, |entry| entry.time);
    baseline.finish(changed, last)
}

/// How many seeds; `STAGEGATE_RELIVE_SEEDS` looks further.
fn seeds() -> u64 {
    let given = std::env::var("STAGEGATE_RELIVE_SEEDS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(60)
}

#[test]
fn whatever_happened_happens_again() {
    let mut lived = 0;
    for seed in 0..seeds() {
        let entries =
            history(seed, 150).unwrap_or_else(|violation| panic!("{seed}: {violation:?}"));
        let Some(first) = entries.first() else {
            continue;
        };
        let middle = entries.get(entries.len() / 2).unwrap_or(first);
        for since in [first.time, middle.time] {
            let report = simulate(&entries, since, Vec::new());
            let at = |seq| entries.iter().find(|it| Some(it.seq) == seq);
            assert_eq!(
                report.unlike,
                0,
                "seed {seed}: {:#?}",
                at(report.unlike_from)
            );
            assert!(
                report.differences.is_empty(),
                "seed {seed}: {:#?}",
                report.differences
            );
            lived += report.entries;
        }
    }
    assert!(
        lived > 100 * seeds(),
        "only {lived} entries were lived again"
    );
}

/// A policy that says the same in other words changes nothing, though another life is lived beside.
#[test]
fn a_change_that_says_nothing_makes_no_difference() {
    for seed in 0..seeds() / 4 {
        let entries =
            history(seed, 150).unwrap_or_else(|violation| panic!("{seed}: {violation:?}"));
        let Some(first) = entries.first() else {
            continue;
        };
        let nothing = Policy {
            id: PolicyId(Uuid::from_u128(7)),
            name: "nothing".to_owned(),
            description: String::new(),
            metadata: Default::default(),
            enabled: false,
            priority: 0,
            selector: "environment.name == \"nowhere at all\"".to_owned(),
            replaces: Default::default(),
            rules: Vec::new(),
            created_at: first.time,
        };
        let report = simulate(&entries, first.time, vec![PolicyChange::Put(nothing)]);
        assert!(
            report.differences.is_empty(),
            "seed {seed}: {:#?}",
            report.differences
        );
        assert_eq!((report.unlike, report.unexplained), (0, 0), "seed {seed}");
    }
}
