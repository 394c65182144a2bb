//! Row k: many workspaces in one process, of which few have anything to do.

use crate::Sizes;
use crate::figure::{Figure, Must, Unit, quantile};
use crate::footprint::resident;
use crate::served::Served;
use anyhow::Result;
use stagegate_model::{Actor, Command, Role, UserId, WorkspaceId};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Workspaces made at a time.
const AT_A_TIME: usize = 256;

pub fn run(sizes: Sizes) -> Result<Vec<Figure>> {
    let count = sizes.largest(10_000);
    let served = Served::empty()?;
    let busy = make(&served, 0..1)?;
    let alone = commands(&served, busy, sizes.rounds(500))?;
    let before = resident();
    for from in (1..count).step_by(AT_A_TIME) {
        make(&served, from..count.min(from + AT_A_TIME))?;
    }
    let each = resident().saturating_sub(before) as f64 / (count - 1) as f64;
    let among = commands(&served, busy, sizes.rounds(500))?;
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
    ])
}

/// Makes workspaces, with a person in each; gives the first.
fn make(served: &Served, which: std::ops::Range<usize>) -> Result<WorkspaceId> {
    let id = |index: usize| WorkspaceId(Uuid::from_u128(0x1_0000 + index as u128));
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
