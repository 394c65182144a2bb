//! How many instructions the hot paths take, counted by valgrind: the same on a busy machine as on a quiet one, so that
//! a change for the worse shows.

use crate::world::{BEGINNING, World, open_jobs, report};
use anyhow::{Context as _, Result, bail};
use stagegate_model::{Change, Command, JobStatus};
use stagegate_sim::fleet::{environment, fleet, version};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command as Process;
use uuid::Uuid;

/// What is counted, with the row of the table that it stands for.
const COUNTED: &[(&str, &str)] = &[
    ("fan-out", "a: a version to 2 000 targets"),
    (
        "resource-change",
        "e: 200 resources changed, one after the other",
    ),
    ("success", "e: 200 jobs succeed, one after the other"),
    ("selector", "f: an environment over 2 000 resources"),
];

/// The counts that are held to, in the repository.
const EXPECTED: &str = "crates/bench/instructions.json";

/// How much more, in percent, is still no change for the worse: allocators and hashes of the tool chain differ a little.
const TOLERANCE_PERCENT: u64 = 10;

const RESOURCES: usize = 2_000;
const ROUNDS: usize = 200;

/// Does the counted work alone; what surrounds it is not counted.
pub fn work(name: &str) -> Result<()> {
    let fleet = fleet(RESOURCES, 8, BEGINNING);
    let mut world = World::of(&fleet)?;
    let id = world.id().into();
    let release = Command::CreateVersion(version(id, fleet.everywhere, "v1"));
    let commands: Vec<Command> = match name {
        "fan-out" => vec![release],
        "resource-change" => {
            world.run(release)?;
            let moved = (0..ROUNDS).map(|round| {
                let mut resource = fleet.resources[round * 7 % RESOURCES].clone();
                resource
                    .metadata
                    .insert("rack".to_owned(), format!("moved-{round}"));
                Command::Configure(vec![Change::PutResource(resource)])
            });
            moved.collect()
        }
        "success" => {
            world.run(release)?;
            let jobs = open_jobs(world.engine.state()).into_iter().take(ROUNDS);
            jobs.map(|job| report(job, JobStatus::Successful)).collect()
        }
        "selector" => {
            let systems = fleet
                .configuration
                .iter()
                .filter_map(|change| match change {
                    Change::PutSystem(system) => Some(system.id),
                    _ => None,
                });
            let systems: BTreeSet<_> = systems.collect();
            let mut over = environment(Uuid::from_u128(0xe).into(), "racks", &systems, BEGINNING);
            over.resource_selector =
                r#"resource.metadata["rack"] == "r007" && resource.metadata["tier"] == "db""#
                    .to_owned();
            vec![Command::Configure(vec![Change::PutEnvironment(over)])]
        }
        other => bail!("nothing is counted under the name `{other}`"),
    };
    counted_work(&mut world, commands)
}

/// Valgrind counts while this runs; its name is how it finds it.
#[inline(never)]
fn counted_work(world: &mut World, commands: Vec<Command>) -> Result<()> {
    for command in commands {
        world.run(command)?;
    }
    Ok(())
}

/// Counts everything and holds it against what is expected; `update` writes that instead. Gives whether all is well.
pub fn check(update: bool) -> Result<bool> {
    let mut counts = BTreeMap::new();
    for (name, _) in COUNTED {
        counts.insert((*name).to_owned(), count(name)?);
    }
    if update {
        let text = serde_json::to_string_pretty(&counts)? + "\n";
        std::fs::write(EXPECTED, text)
            .with_context(|| format!("`{EXPECTED}` cannot be written"))?;
        println!("written to {EXPECTED}");
    }
    let text = std::fs::read_to_string(EXPECTED).with_context(|| {
        format!("`{EXPECTED}` cannot be read; run this in the repository's root")
    })?;
    let expected: BTreeMap<String, u64> = serde_json::from_str(&text)?;
    println!("| what | instructions | expected | |\n|---|---:|---:|---|");
    let mut well = true;
    for (name, what) in COUNTED {
        let (count, expected) = (counts[*name], expected.get(*name).copied().unwrap_or(0));
        let most = expected + expected * TOLERANCE_PERCENT / 100;
        let fewer = count + count * TOLERANCE_PERCENT / 100 < expected;
        let verdict = match (count > most, fewer) {
            (true, _) => "**more**",
            (false, true) => "fewer: write down the new counts with `--update`",
            (false, false) => "",
        };
        well &= count <= most;
        println!("| {what} | {count} | {expected} | {verdict} |");
    }
    if !well {
        println!(
            "\nmore than {TOLERANCE_PERCENT} % above what is expected; if it is worth that, write the new counts down with \
             `cargo xtask bench --instructions --update`"
        );
    }
    Ok(well)
}

fn count(name: &str) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let output = Process::new("valgrind")
        .args([
            "--tool=callgrind",
            "--collect-atstart=no",
            "--toggle-collect=*instructions::counted_work*",
        ])
        .arg(format!(
            "--callgrind-out-file={}",
            folder.path().join("out").display()
        ))
        .arg(std::env::current_exe()?)
        .args(["--counted", name])
        .output()
        .context("valgrind cannot be started; install the package `valgrind`")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("counting `{name}` ended with {}:\n{said}", output.status);
    }
    let line = said.lines().find_map(|line| line.split_once("Collected :"));
    let count = line.and_then(|(_, count)| count.trim().parse::<u64>().ok());
    count
        .filter(|count| *count > 0)
        .with_context(|| format!("valgrind counted nothing for `{name}`:\n{said}"))
}
