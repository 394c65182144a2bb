//! Row b: the last success in staging; production is unblocked and its jobs are durable.

use crate::figure::{Figure, Must, quantile};
use crate::world::{BEGINNING, Durable, open_jobs, report};
use crate::{Sizes, limits};
use anyhow::{Result, ensure};
use stagegate_model::{Command, JobId, JobStatus};
use stagegate_sim::fleet::{fleet, version};

pub fn run(sizes: Sizes) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    // The smallest team has a hundredth of a fleet, most of it in production.
    let one = sizes.largest(2_000);
    let (mut spent, bodies) = rounds(one, 7, sizes.rounds(60))?;
    let commit = limits::commit(bodies, 200)?;
    let median = quantile(&mut spent, 0.5);
    let p99 = quantile(&mut spent, 0.99);
    let work = "last staging success → production's first jobs durable";
    figures.push(
        Figure::seconds("b", format!("{work}, median"), one, median)
            .limit(commit.as_secs_f64(), "one commit of the same bytes")
            .must(Must::AtMost(commit.as_secs_f64() + 0.001)),
    );
    figures.push(Figure::seconds("b", format!("{work}, p99"), one, p99).must(Must::AtMost(0.010)));
    let many = sizes.largest(37_000);
    let (mut spent, _) = rounds(many, 0, 1)?;
    let work = "last staging success → 10 000 production jobs durable";
    figures.push(Figure::seconds("b", work, many, quantile(&mut spent, 0.5)));
    Ok(figures)
}

/// Versions of one team's deployment through staging; the time of the report that opens production, and its bytes.
fn rounds(size: usize, team: usize, rounds: usize) -> Result<(Vec<std::time::Duration>, usize)> {
    let fleet = fleet(size, 8, BEGINNING);
    let mut durable = Durable::of(&fleet)?;
    let deployment = fleet.by_team[team];
    let production = fleet.environments[2];
    let (mut spent, mut bytes) = (Vec::new(), 0);
    for round in 0..rounds {
        let id = durable.id().into();
        durable.now = durable.now.plus_seconds(60);
        durable.run(Command::CreateVersion(version(
            id,
            deployment,
            &format!("v{round}"),
        )))?;
        let jobs = open_jobs(durable.shard.engine().state());
        let (last, others) = jobs
            .split_last()
            .map_or((None, &[][..]), |(last, others)| (Some(*last), others));
        for job in others {
            durable.run(report(*job, JobStatus::Successful))?;
        }
        let last: JobId = last.ok_or_else(|| anyhow::anyhow!("no job in staging"))?;
        let written = durable.run(report(last, JobStatus::Successful))?;
        let state = durable.shard.engine().state();
        let started = open_jobs(state);
        let there = started.iter().all(|id| {
            state
                .jobs()
                .get(id)
                .is_some_and(|job| job.target.environment == production)
        });
        ensure!(!started.is_empty() && there, "production did not start");
        spent.push(written.spent);
        bytes = written.bodies.iter().map(Vec::len).sum();
        if round + 1 < rounds {
            for job in started {
                durable.run(report(job, JobStatus::Successful))?;
            }
        }
    }
    Ok((spent, bytes))
}
