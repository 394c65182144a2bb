//! Row k: many workspaces in one process, of which few have anything to do.

use crate::Sizes;
use crate::figure::{Figure, Must, Unit, quantile};
use crate::footprint::resident;
use crate::served::Served;
use anyhow::{Result, bail};
use stagegate_controller::Options;
use stagegate_model::{Actor, Command, Role, UserId, WorkspaceId};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Workspaces made at a time.
const AT_A_TIME: usize = 256;
/// After how long without use they leave memory: at once, as nobody waits here for what is usual.
const REST_AFTER: Duration = Duration::from_millis(100);
/// How long that may take.
const LEFT_WITHIN: Duration = Duration::from_secs(300);

pub fn run(sizes: Sizes) -> Result<Vec<Figure>> {
    let count = sizes.largest(10_000);
    let served = Served::empty_with(Options {
        rest_after: Some(REST_AFTER),
        ..Options::default()
    })?;
    let busy = make(&served, 0..1)?;
    let alone = commands(&served, busy, sizes.rounds(500))?;
    let before = resident();
    for from in (1..count).step_by(AT_A_TIME) {
        make(&served, from..count.min(from + AT_A_TIME))?;
    }
    until_at_rest(&served)?;
    let each = resident().saturating_sub(before) as f64 / (count - 1) as f64;
    let among = commands(&served, busy, sizes.rounds(500))?;
    until_at_rest(&served)?;
    let mut first = first_requests(&served, count, sizes.rounds(500))?;
    let median = quantile(&mut first, 0.5);
    let slow = quantile(&mut first, 0.99);
    let what = "first request of one that is not in memory";
    Ok(vec![
        Figure::new("k", "memory per idle workspace", count, each, Unit::Bytes)
            .must(Must::AtMost(50_000.0)),
        Figure::seconds(
            "k",
            "a command in one of them, durable: median",
            count,
            among,
        )
        .limit(alone.as_secs_f64(), "the same in the only workspace")
        .must(Must::TimesLimit(1.5)),
        Figure::seconds("k", format!("{what}: median"), count, median),
        Figure::seconds("k", format!("{what}: 99th percentile"), count, slow)
            .must(Must::AtMost(0.05)),
    ])
}

/// Waits until none is in memory.
fn until_at_rest(served: &Served) -> Result<()> {
    let begun = Instant::now();
    while served.controller.in_memory() > 0 {
        if begun.elapsed() > LEFT_WITHIN {
            bail!("{} are still in memory", served.controller.in_memory());
        }
        std::thread::sleep(REST_AFTER);
    }
    Ok(())
}

/// How long each of some waits that are spread over all.
fn first_requests(served: &Served, count: usize, rounds: usize) -> Result<Vec<Duration>> {
    let mut spent = Vec::new();
    for index in (0..count).step_by((count / rounds.max(1)).max(1)) {
        let asked = Instant::now();
        let read = served
            .controller
            .read(id(index), |engine| engine.state().users().len());
        served.block_on(read)?;
        spent.push(asked.elapsed());
    }
    Ok(spent)
}

fn id(index: usize) -> WorkspaceId {
    WorkspaceId(Uuid::from_u128(0x1_0000 + index as u128))
}

/// Makes workspaces, with a person in each; gives the first.
fn make(served: &Served, which: std::ops::Range<usize>) -> Result<WorkspaceId> {
    let first = id(which.start);
    served.block_on(async {
        let making: Vec<_> = which
            .map(|index| {
                let controller = served.controller.clone();
                tokio::spawn(async move {
                    let (id, slug) = (id(index), format!("tenant-{index}"));
                    controller.create_workspace(id, &slug, &slug).await?;
                    let (user, role) = (UserId(Uuid::now_v7()), Role::Admin);
                    let command = Command::CreateUser { id: user, role };
                    controller
                        .submit(id, Actor::System, command, Vec::new())
                        .await
                })
            })
            .collect();
        for made in making {
            made.await??;
        }
        Ok(first)
    })
}

/// The median of one command after the other.
fn commands(served: &Served, workspace: WorkspaceId, rounds: usize) -> Result<Duration> {
    let mut spent = Vec::new();
    for _ in 0..rounds {
        let (id, role) = (UserId(Uuid::now_v7()), Role::Viewer);
        let command = Command::CreateUser { id, role };
        let asked = Instant::now();
        let submitted = served
            .controller
            .submit(workspace, Actor::System, command, Vec::new());
        served.block_on(submitted)?;
        spent.push(asked.elapsed());
    }
    Ok(quantile(&mut spent, 0.5))
}
