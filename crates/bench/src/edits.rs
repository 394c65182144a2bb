//! Rows c, e and f: what a change of the configuration costs in a large fleet.

use crate::figure::{Figure, Must, quantile};
use crate::world::{BEGINNING, World, open_jobs, report};
use crate::{Sizes, limits};
use anyhow::{Result, ensure};
use stagegate_model::{Change, Command, EnvironmentId, JobStatus, Policy, Rule, SystemId};
use stagegate_sim::fleet::{environment, fleet, version};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Row c. Every target waits behind the policy that is edited; a version of the deployment that is everywhere is there
/// already, so that each target has something to lose.
pub fn policy(sizes: Sizes) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for size in sizes.growth() {
        let mut fleet = fleet(size, 0, BEGINNING);
        let shut = with_rule(
            &fleet.upkeep,
            "anyApproval",
            serde_json::json!({"minApprovals": 1}),
        );
        for change in &mut fleet.configuration {
            if let Change::PutPolicy(policy) = change
                && policy.id == shut.id
            {
                *policy = shut.clone();
            }
        }
        let mut world = World::of(&fleet)?;
        let id = world.id().into();
        world.run(Command::CreateVersion(version(id, fleet.everywhere, "v1")))?;
        let mut kept = shut.clone();
        kept.description = "kept in shape".to_owned();
        let none = serde_json::json!({"selector": "version.tag == \"never\""});
        let changed = with_rule(&fleet.upkeep, "versionSelector", none);
        for (work, policy) in [
            ("policy of every target edited, verdicts unchanged", kept),
            ("policy of every target edited, verdicts changed", changed),
        ] {
            let command = Command::Configure(vec![Change::PutPolicy(policy)]);
            let started = Instant::now();
            world.run(command)?;
            let figure = Figure::seconds("c", work, size, started.elapsed());
            figures.push(figure.must(Must::AtMost(2.0)));
        }
        ensure!(world.engine.state().jobs().is_empty(), "something started");
    }
    Ok(figures)
}

/// A policy with one rule more.
fn with_rule(policy: &Policy, kind: &str, spec: serde_json::Value) -> Policy {
    let mut policy = policy.clone();
    let id = uuid::Uuid::from_u128(0xa000 + kind.len() as u128);
    policy.rules.push(Rule {
        id: id.into(),
        kind: kind.to_owned(),
        spec,
        created_at: BEGINNING,
    });
    policy
}

/// Row e.
pub fn resource(sizes: Sizes) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for size in sizes.growth() {
        let fleet = fleet(size, 8, BEGINNING);
        let mut world = World::of(&fleet)?;
        let id = world.id().into();
        world.run(Command::CreateVersion(version(id, fleet.everywhere, "v1")))?;
        let mut spent = Vec::new();
        for round in 0..sizes.rounds(200) {
            let mut resource = fleet.resources[round * 31 % fleet.resources.len()].clone();
            resource
                .metadata
                .insert("rack".to_owned(), format!("moved-{round}"));
            let command = Command::Configure(vec![Change::PutResource(resource)]);
            let started = Instant::now();
            world.run(command)?;
            spent.push(started.elapsed());
        }
        let figure = Figure::seconds(
            "e",
            "one resource's metadata changed",
            size,
            quantile(&mut spent, 0.5),
        );
        figures.push(figure.must(Must::AtMost(0.001)));
        let mut spent = Vec::new();
        let jobs = open_jobs(world.engine.state());
        for job in jobs.iter().take(sizes.rounds(50)) {
            let started = Instant::now();
            world.run(report(*job, JobStatus::Successful))?;
            spent.push(started.elapsed());
        }
        let figure = Figure::seconds(
            "e",
            "one job's success, in memory",
            size,
            quantile(&mut spent, 0.5),
        );
        figures.push(figure);
    }
    Ok(figures)
}

/// Row f.
pub fn selector(sizes: Sizes) -> Result<Vec<Figure>> {
    let size = sizes.largest(1_000_000);
    let fleet = fleet(size, 0, BEGINNING);
    // Without a deployment there are no targets: what is measured is the selector.
    let mut bare = fleet.clone();
    bare.configuration
        .retain(|change| matches!(change, Change::PutSystem(_)));
    let systems: BTreeSet<SystemId> = bare
        .configuration
        .iter()
        .filter_map(|change| match change {
            Change::PutSystem(system) => Some(system.id),
            _ => None,
        })
        .collect();
    let deployments = fleet
        .configuration
        .iter()
        .filter(|change| matches!(change, Change::PutDeployment(_) | Change::PutJobAgent(_)));
    bare.configuration.extend(deployments.cloned());
    let mut world = World::of(&bare)?;
    let column = limits::scan(size).as_secs_f64();
    let mut figures = Vec::new();
    for (work, selector, most) in [
        (
            "selector created: equality of two keys",
            r#"resource.metadata["rack"] == "r007" && resource.metadata["tier"] == "db""#,
            0.005,
        ),
        (
            "selector created: with a `startsWith`",
            r#"resource.metadata["serial"].startsWith("sn-00001")"#,
            0.020,
        ),
        (
            "selector created: arbitrary CEL",
            r#"resource.metadata["rack"].matches("^r00[0-7]$") && size(resource.metadata["zone"]) > 3"#,
            1.0,
        ),
    ] {
        let mut spent = Vec::new();
        for round in 0..3 {
            let id: EnvironmentId = world.id().into();
            let mut environment = environment(id, &format!("{work} {round}"), &systems, BEGINNING);
            environment.resource_selector = selector.to_owned();
            let command = Command::Configure(vec![Change::PutEnvironment(environment)]);
            let started = Instant::now();
            world.run(command)?;
            spent.push(started.elapsed());
            world.run(Command::Configure(vec![Change::DeleteEnvironment(id)]))?;
        }
        let median: Duration = quantile(&mut spent, 0.5);
        figures.push(
            Figure::seconds("f", work, size, median)
                .limit(column, "one scan of a dense column")
                .must(Must::AtMost(most)),
        );
    }
    Ok(figures)
}
