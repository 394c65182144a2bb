//! Row h: from the process's start until it is ready.

use crate::Sizes;
use crate::figure::{Figure, Must};
use crate::world::{BEGINNING, Durable, open_jobs, report};
use anyhow::Result;
use stagegate_controller::step::Shard;
use stagegate_model::{Change, Command, JobStatus, WorkspaceId};
use stagegate_sim::fleet::{fleet, version};
use std::time::Instant;

pub fn run(sizes: Sizes) -> Result<Vec<Figure>> {
    let size = sizes.largest(1_000_000);
    let fleet = fleet(size, 0, BEGINNING);
    let mut durable = Durable::of(&fleet)?;
    let workspace = WorkspaceId(uuid::Uuid::from_u128(1));
    let started = Instant::now();
    let shard = Shard::load(&durable.store, workspace)?;
    let figure = Figure::seconds(
        "h",
        "start from the log alone, 1 000 000 facts",
        size,
        started.elapsed(),
    );
    drop(shard);
    let mut figures = vec![figure.must(Must::AtMost(10.0))];
    // Every target has a version on it and nothing more to do, as in a fleet that is at rest.
    let id = durable.id().into();
    durable.make_log(|durable| {
        durable.run(Command::CreateVersion(version(id, fleet.everywhere, "v1")))?;
        for job in open_jobs(durable.shard.engine().state()) {
            durable.run(report(job, JobStatus::Successful))?;
        }
        Ok(())
    })?;
    durable.snapshot()?;
    durable.make_log(|durable| {
        for round in 0..sizes.rounds(10_000) {
            let mut resource = fleet.resources[round % fleet.resources.len()].clone();
            resource
                .metadata
                .insert("rack".to_owned(), format!("moved-{round}"));
            durable.run(Command::Configure(vec![Change::PutResource(resource)]))?;
        }
        Ok(())
    })?;
    let started = Instant::now();
    let shard = Shard::load(&durable.store, workspace)?;
    let figure = Figure::seconds(
        "h",
        "start from a snapshot and 10 000 entries",
        size,
        started.elapsed(),
    );
    drop(shard);
    figures.push(figure.must(Must::AtMost(3.0)));
    Ok(figures)
}
