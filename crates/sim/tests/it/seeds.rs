//! Runs of the real thing.

use stagegate_sim::counts::{Counts, EXPECTED};
use stagegate_sim::run;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Seeds that every change has to pass; CI runs 2,000 besides, as `cargo xtask sim --seeds 2000` does.
const SEEDS: u64 = 200;
const STEPS: usize = 30;

#[test]
fn a_seed_always_gives_the_same_run() {
    for seed in [3, 17] {
        let (first, second) = (run(seed, STEPS), run(seed, STEPS));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert!(first.entries > 10, "seed {seed} is empty");
    }
    assert_ne!(run(3, STEPS).hash, run(4, STEPS).hash);
}

#[test]
fn every_seed_holds() {
    let next = AtomicU64::new(1);
    let jobs = AtomicU64::new(0);
    let counts: Mutex<Counts> = Mutex::default();
    let failed: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > SEEDS {
                        return;
                    }
                    let run = run(seed, STEPS);
                    jobs.fetch_add(run.jobs as u64, Ordering::Relaxed);
                    counts.lock().unwrap().merge(&run.counts);
                    if let Some(violation) = run.violation {
                        let told = format!(
                            "seed {seed}: {violation}; look with `cargo xtask sim --seed {seed} --steps {STEPS}`"
                        );
                        failed.lock().unwrap().push(told);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(
        jobs.into_inner() > SEEDS,
        "the workload deploys next to nothing"
    );
    // A fault that is planned and never met would test nothing.
    let counts = counts.into_inner().unwrap();
    let never: Vec<_> = EXPECTED.iter().filter(|it| counts.of(it) == 0).collect();
    assert!(never.is_empty(), "never happened: {never:?}");
}
