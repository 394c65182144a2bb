//! How long it takes to live a year again: `cargo run --release -p stagegate-engine --example year [VERSIONS]`.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures time and reads its argument"
)]

use stagegate_engine::relive::{Effect, Pace, PolicyChange, Report, Simulation};
use stagegate_model::{Entry, Timestamp};
use std::time::Instant;
use year::{START, Year, make};

// The tests make a smaller one.
#[path = "../tests/it/year.rs"]
#[allow(dead_code, reason = "the tests look at more of it")]
mod year;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: stagegate_allocator::Allocator = stagegate_allocator::Allocator;

fn main() {
    stagegate_allocator::keep_free_memory();
    let versions = std::env::args().nth(1);
    let versions = versions
        .and_then(|text| text.parse().ok())
        .unwrap_or(12_500);
    let begun = Instant::now();
    let mut year = make(60, versions);
    let bytes: usize = year.log.iter().map(Vec::len).sum();
    println!(
        "{} promotions, {} rollbacks, {} entries of {} MiB, made in {:.1?}",
        year.promotions,
        year.rollbacks,
        year.log.len(),
        bytes >> 20,
        begun.elapsed()
    );
    let same = simulate(&year, Vec::new());
    println!(
        "the same policies: {} differences, {} entries unlike",
        same.differences.len(),
        same.unlike
    );
    let rule = serde_json::json!({ "anyApproval": { "minApprovals": 1 } });
    let policy = year.policy("added", "Staging", vec![rule]);
    let report = simulate(&year, vec![PolicyChange::Put(policy)]);
    let stopped = report.differences.iter();
    let stopped = stopped.filter(|it| it.effect == Effect::Stopped && it.promotion.attempt == 1);
    println!(
        "an approval added: {} differences, {} first attempts stopped, {:?}",
        report.differences.len(),
        stopped.count(),
        report.assumed
    );
}

/// As the server does: pages of the log are read by two threads, and the life under other policies is lived beside the
/// one under those that were.
fn simulate(year: &Year, changes: Vec<PolicyChange>) -> Report {
    let begun = Instant::now();
    let mut simulation = Simulation::new(START, changes);
    for page in year.log.chunks(1_000) {
        let (first, second) = page.split_at(page.len() / 2);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| read(second));
            let first = read(first);
            let second = second.join().unwrap_or_default();
            let mut all = first.iter().chain(&second);
            all.by_ref().for_each(|entry| simulation.learn(entry));
        });
    }
    let learnt = begun.elapsed();
    let (mut baseline, changed) = simulation.begin();
    let changed = std::thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::sync_channel::<Vec<(Entry, Pace)>>(2);
        let beside = changed.map(|mut changed| {
            scope.spawn(move || {
                for (entry, pace) in receive.into_iter().flatten() {
                    changed.relive(&entry, pace);
                }
                changed
            })
        });
        for page in year.log.chunks(1_000) {
            let live = |entry| {
                let pace = baseline.relive(&entry);
                (entry, pace)
            };
            let page = read(page).into_iter().map(live).collect();
            if beside.is_some() && send.send(page).is_err() {
                break;
            }
        }
        drop(send);
        beside.and_then(|thread| thread.join().ok())
    });
    let report = baseline.finish(changed, Timestamp(START.0 + 372 * 86_400_000));
    println!(
        "read once in {learnt:.1?}; read and lived again, all in all, in {:.1?}",
        begun.elapsed()
    );
    report
}

fn read(page: &[Vec<u8>]) -> Vec<Entry> {
    let entries = page.iter();
    let entries = entries.filter_map(|bytes| Entry::from_bytes(bytes).ok());
    entries.collect()
}
