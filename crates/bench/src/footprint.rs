//! Row g: memory.

use crate::Sizes;
use crate::figure::{Figure, Must, Unit};
use crate::world::{BEGINNING, World, open_jobs, report};
use anyhow::Result;
use stagegate_model::{Change, Command, JobStatus};
use stagegate_sim::fleet::{fleet, version};

/// Resident memory of this process, in bytes; 0 where that cannot be read.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes =
        line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

pub fn run(sizes: Sizes) -> Result<Vec<Figure>> {
    let size = sizes.largest(1_000_000);
    let mut fleet = fleet(size, 0, BEGINNING);
    let configuration = std::mem::take(&mut fleet.configuration);
    let systems = configuration
        .iter()
        .filter(|it| matches!(it, Change::PutSystem(_)));
    fleet.configuration = systems.cloned().collect();
    let before = resident();
    let mut world = World::of(&fleet)?;
    let of_resources = resident().saturating_sub(before);
    let per_resource = of_resources as f64 / size as f64;
    let before = resident();
    world.run(Command::Configure(configuration))?;
    let per_target = resident().saturating_sub(before) as f64 / size as f64;
    let id = world.id().into();
    world.run(Command::CreateVersion(version(id, fleet.everywhere, "v1")))?;
    for job in open_jobs(world.engine.state()) {
        world.run(report(job, JobStatus::Successful))?;
    }
    let per_deployed = resident().saturating_sub(before) as f64 / size as f64;
    Ok(vec![
        Figure::new(
            "g",
            "memory per resource with 10 metadata pairs",
            size,
            per_resource,
            Unit::Bytes,
        )
        .must(Must::AtMost(600.0)),
        Figure::new(
            "g",
            "memory per release target that never had a version",
            size,
            per_target,
            Unit::Bytes,
        )
        .must(Must::AtMost(200.0)),
        Figure::new(
            "g",
            "memory per idle release target with a version on it",
            size,
            per_deployed,
            Unit::Bytes,
        )
        .must(Must::AtMost(200.0)),
    ])
}
