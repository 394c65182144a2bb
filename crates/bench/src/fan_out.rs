//! Row a: a version is created; every target is decided and every job durable.

use crate::figure::{Figure, Must, Unit, quantile};
use crate::footprint::resident;
use crate::served::Served;
use crate::world::World;
use crate::{Sizes, limits};
use anyhow::{Result, ensure};
use stagegate_model::{Command, Fact};
use stagegate_sim::fleet::{fleet, version};
use std::time::{Duration, Instant};
use uuid::Uuid;

pub fn run(sizes: Sizes) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut of_each = Vec::new();
    for size in sizes.growth() {
        let rounds: Vec<Decided> = (0..rounds(size))
            .map(|_| decided(size))
            .collect::<Result<_>>()?;
        let spent = median(rounds.iter().map(|it| it.spent));
        let rate = size as f64 / spent.as_secs_f64();
        let work = "version created → every target decided, in memory";
        let figure = Figure::new("a", work, size, rate, Unit::PerSecond);
        figures.push(figure.must(Must::AtLeast(200_000.0)));
        let grown = rounds.iter().map(|it| it.grown).max().unwrap_or_default();
        let touched = limits::touch(grown);
        let work = "the same: first touch alone of the memory that it takes";
        figures.push(Figure::seconds("a", work, size, touched));
        of_each.push(spent.as_secs_f64() / size as f64);
    }
    if let [first, .., last] = of_each.as_slice() {
        let work = "the same: a target's cost at the largest over that at the smallest, in percent";
        let size = sizes.largest(1_000_000);
        let figure = Figure::new("a", work, size, 100.0 * last / first, Unit::Count);
        figures.push(figure.must(Must::AtMost(150.0)));
    }
    for size in sizes.of(&[10_000, 100_000]) {
        let rounds: Vec<(Duration, Duration)> = (0..rounds(size))
            .map(|_| durable(size))
            .collect::<Result<_>>()?;
        let spent = median(rounds.iter().map(|(spent, _)| *spent));
        let limit = median(rounds.iter().map(|(_, limit)| *limit));
        let work = "version created → every job durable";
        let figure = Figure::seconds("a", work, size, spent).limit(
            limit.as_secs_f64(),
            "serialise, hash and commit the same entries",
        );
        figures.push(figure.must(Must::TimesLimit(2.0)));
    }
    Ok(figures)
}

/// How often a fleet of so many targets is made and measured: what takes long varies less.
fn rounds(size: usize) -> usize {
    match size {
        0..=2_000 => 1,
        2_001..=10_000 => 9,
        10_001..=100_000 => 5,
        _ => 3,
    }
}

fn median(spent: impl Iterator<Item = Duration>) -> Duration {
    quantile(&mut spent.collect::<Vec<_>>(), 0.5)
}

struct Decided {
    spent: Duration,
    /// Bytes of memory that were taken for it.
    grown: u64,
}

fn decided(size: usize) -> Result<Decided> {
    let fleet = fleet(size, 0, crate::world::BEGINNING);
    let mut world = World::of(&fleet)?;
    let id = world.id().into();
    let command = Command::CreateVersion(version(id, fleet.everywhere, "v1"));
    let (before, mut jobs) = (resident(), 0);
    let started = Instant::now();
    // Entries go on to be written as they are made; here they are only counted.
    world.each_entry(command, |facts| {
        jobs += facts.iter().map(jobs_of).sum::<usize>();
    })?;
    let spent = started.elapsed();
    ensure!(jobs == size, "{jobs} jobs for {size} targets");
    let grown = resident().saturating_sub(before);
    Ok(Decided { spent, grown })
}

/// How long it took, and the least that it takes. The controller decides in one thread and writes in another, so that the
/// next entry is decided while the one before is written.
fn durable(size: usize) -> Result<(Duration, Duration)> {
    let fleet = fleet(size, 0, crate::world::BEGINNING);
    let served = Served::of(&fleet)?;
    let before = served.durable_seq()?;
    let command = Command::CreateVersion(version(Uuid::now_v7().into(), fleet.everywhere, "v1"));
    let started = Instant::now();
    served.submit(command)?;
    // What is read is durable, so that each reading waits for what is being written.
    served.settled(size)?;
    let spent = started.elapsed();
    let bodies = served.bodies_after(before)?;
    drop(served);
    Ok((spent, limits::write(&bodies)?))
}

fn jobs_of(fact: &Fact) -> usize {
    match fact {
        Fact::JobsCreated { jobs, .. } => jobs.len(),
        _ => 0,
    }
}
