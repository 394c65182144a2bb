//! Row a: a version is created; every target is decided and every job durable.

use crate::figure::{Figure, Must, Unit};
use crate::world::{Durable, World};
use crate::{Sizes, limits};
use anyhow::{Result, ensure};
use stagegate_model::{Command, Fact};
use stagegate_sim::fleet::{fleet, version};
use std::time::Instant;

pub fn run(sizes: Sizes) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for size in sizes.growth() {
        let fleet = fleet(size, 0, crate::world::BEGINNING);
        let mut world = World::of(&fleet)?;
        let id = world.id().into();
        let command = Command::CreateVersion(version(id, fleet.everywhere, "v1"));
        let started = Instant::now();
        let mut jobs = 0;
        // Entries go on to be written as they are made; here they are only counted.
        world.each_entry(command, |facts| {
            jobs += facts.iter().map(jobs_of).sum::<usize>()
        })?;
        let spent = started.elapsed();
        ensure!(jobs == size, "{jobs} jobs for {size} targets");
        let rate = size as f64 / spent.as_secs_f64();
        let figure = Figure::new(
            "a",
            "version created → every target decided, in memory",
            size,
            rate,
            Unit::PerSecond,
        );
        figures.push(figure.must(Must::AtLeast(200_000.0)));
    }
    for size in sizes.of(&[10_000, 100_000]) {
        let fleet = fleet(size, 0, crate::world::BEGINNING);
        let mut durable = Durable::of(&fleet)?;
        let id = durable.id().into();
        let command = Command::CreateVersion(version(id, fleet.everywhere, "v1"));
        let written = durable.run(command)?;
        let limit = limits::write(&written.bodies)?;
        let figure = Figure::seconds(
            "a",
            "version created → every job durable",
            size,
            written.spent,
        )
        .limit(
            limit.as_secs_f64(),
            "serialise, hash and commit the same entries",
        )
        .must(Must::TimesLimit(2.0));
        figures.push(figure);
    }
    Ok(figures)
}

fn jobs_of(fact: &Fact) -> usize {
    match fact {
        Fact::JobsCreated { jobs, .. } => jobs.len(),
        _ => 0,
    }
}
