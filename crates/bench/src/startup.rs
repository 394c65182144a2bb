//! Row h: from the process's start until it is ready.

use crate::figure::{Figure, Must};
use crate::footprint::resident;
use crate::served::WORKSPACE;
use crate::world::{BEGINNING, Durable, open_jobs, report};
use crate::{Sizes, limits};
use anyhow::Result;
use stagegate_controller::step::Shard;
use stagegate_model::{Change, Command, JobStatus};
use stagegate_sim::fleet::{fleet, version};
use stagegate_store::SqliteStore;
use std::time::Instant;

pub fn run(sizes: Sizes) -> Result<Vec<Figure>> {
    let size = sizes.largest(1_000_000);
    let fleet = fleet(size, 0, BEGINNING);
    let mut durable = Durable::of(&fleet)?;
    let started = loaded(
        &durable.store,
        size,
        "start from the log alone, 1 000 000 facts",
    )?;
    let mut figures = vec![started.must(Must::AtMost(10.0))];
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
    let started = loaded(
        &durable.store,
        size,
        "start from a snapshot and 10 000 entries",
    )?;
    figures.push(started.must(Must::AtMost(3.0)));
    Ok(figures)
}

/// How long it takes to read the workspace back.
fn loaded(store: &SqliteStore, size: usize, work: &str) -> Result<Figure> {
    let before = resident();
    let started = Instant::now();
    let shard = Shard::load(store, WORKSPACE)?;
    let spent = started.elapsed();
    let grown = resident().saturating_sub(before);
    let touched = limits::touch(grown);
    drop(shard);
    let limit = "first touch alone of the memory that it takes";
    Ok(Figure::seconds("h", work, size, spent).limit(touched.as_secs_f64(), limit))
}
