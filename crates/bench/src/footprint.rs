//! Row g: memory.

use crate::Sizes;
use crate::figure::{Figure, Must, Unit};
use crate::world::{BEGINNING, World, open_jobs, report};
use anyhow::Result;
use stagegate_engine::Assembly;
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
    let of_resources = kept(&mut world, before)?;
    world.run(Command::Configure(configuration))?;
    let with_targets = kept(&mut world, before)?;
    let id = world.id().into();
    world.run(Command::CreateVersion(version(id, fleet.everywhere, "v1")))?;
    for job in open_jobs(world.engine.state()) {
        world.run(report(job, JobStatus::Successful))?;
    }
    let deployed = kept(&mut world, before)?;
    let of_each = |bytes: u64| bytes as f64 / size as f64;
    let per_resource = of_each(of_resources);
    let per_target = of_each(with_targets.saturating_sub(of_resources));
    let per_deployed = of_each(deployed.saturating_sub(of_resources));
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

/// Bytes more than `before` once the engine is one that was read back from its parts, as after a start: then there is
/// only what is kept, and no room left over from what was there for a moment.
fn kept(world: &mut World, before: u64) -> Result<u64> {
    let mut assembly = Assembly::default();
    for part in world.engine.state().parts() {
        let bytes = rmp_serde::to_vec_named(&part)?;
        assembly.add(rmp_serde::from_slice(&bytes)?)?;
    }
    world.engine = assembly.finish();
    Ok(resident().saturating_sub(before))
}
