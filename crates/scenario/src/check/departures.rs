//! Releases, retries, holds, quarantine and rollouts.

use super::variables;
use super::{
    Comparison, Mismatch, mismatch, moment_or_none, split_place, unknown, when, when_or_none,
};
use crate::format::{
    PausedWanted, ReleasePattern, ReleasesWanted, RetryExpect, RolloutExpect, StandingExpect,
    TargetsWanted,
};
use crate::world::World;
use stagegate_engine::{LaneKey, Release, RolloutReport};
use stagegate_model::{EnvironmentId, TargetKey};

pub(super) fn departure(
    world: &World,
    deployment: Option<&str>,
    expect: &StandingExpect,
) -> Result<(), Mismatch> {
    match expect {
        StandingExpect::Releases { place, wanted } => releases(world, deployment, place, wanted),
        StandingExpect::Retry { place, wanted } => retry(world, deployment, place, wanted.as_ref()),
        StandingExpect::Held {
            environment,
            wanted,
        } => held(world, deployment, environment, wanted),
        StandingExpect::Quarantined { environment, tags } => {
            quarantined(world, deployment, environment, tags)
        }
        StandingExpect::Rollout(expect) => rollout(world, deployment, expect),
        StandingExpect::Variables { place, wanted } => {
            let what = format!("variables {place}");
            let target = target_of(world, &what, deployment, place)?;
            variables::now(world, &what, target, wanted)
                .map_err(|it| it.about(Some(target.into()), None))
        }
    }
}

fn lane_of(
    world: &World,
    what: &str,
    deployment: Option<&str>,
    environment: &str,
) -> Result<LaneKey, Mismatch> {
    Ok(LaneKey {
        deployment: world
            .deployment(deployment)
            .map_err(|error| unknown(what, error))?,
        environment: world
            .environment(environment)
            .map_err(|error| unknown(what, error))?,
    })
}

/// The target of `Production/production-1`.
fn target_of(
    world: &World,
    what: &str,
    deployment: Option<&str>,
    place: &str,
) -> Result<TargetKey, Mismatch> {
    let (environment, resource) = split_place(world, place);
    let Some(resource) = resource else {
        let message = "name one target: `Environment/resource`".to_owned();
        return Err(unknown(what, message));
    };
    let lane = lane_of(world, what, deployment, environment)?;
    let targets = world.engine.state().lane(lane).into_iter();
    let mut targets = targets.flat_map(|it| it.targets.keys());
    match targets.find(|id| world.ledger.name(id.0) == resource) {
        Some(found) => Ok(lane.target(*found)),
        None => {
            let message = format!("`{resource}` is no release target there");
            Err(unknown(what, message).about(Some(lane), None))
        }
    }
}

fn releases(
    world: &World,
    deployment: Option<&str>,
    place: &str,
    wanted: &ReleasesWanted,
) -> Result<(), Mismatch> {
    let what = format!("releases {place}");
    let target = target_of(world, &what, deployment, place)?;
    let about = |it: Mismatch| it.about(Some(target.into()), None);
    let found = world.ledger.releases_of(target);
    let all: Vec<String> = found
        .iter()
        .map(|it| format!("{} {} {}", it.number, tag(world, it), it.status))
        .collect();
    let wanted_len = match wanted {
        ReleasesWanted::Count(count) => *count,
        ReleasesWanted::Each(patterns) => patterns.len() as u64,
    };
    if wanted_len != found.len() as u64 {
        let got = match all.len() {
            0 => "none".to_owned(),
            count => format!("{count} ({})", all.join("; ")),
        };
        return mismatch(format!("{what}: {wanted_len}"), got).map_err(about);
    }
    let ReleasesWanted::Each(patterns) = wanted else {
        return Ok(());
    };
    for (pattern, release) in patterns.iter().zip(&found) {
        let what = format!("{what}, release {}", release.number);
        one_release(world, &what, pattern, release, &found).map_err(about)?;
    }
    Ok(())
}

fn tag<'w>(world: &'w World, release: &Release) -> &'w str {
    world.ledger.name(release.version.0)
}

fn one_release(
    world: &World,
    what: &str,
    pattern: &ReleasePattern,
    release: &Release,
    all: &[&Release],
) -> Result<(), Mismatch> {
    let mut differences = Comparison::default();
    differences.equal("number", pattern.number, release.number, u64::to_string);
    let version = tag(world, release).to_owned();
    differences.equal("version", pattern.version.clone(), version, Clone::clone);
    differences.equal(
        "status",
        pattern.status,
        release.status,
        ToString::to_string,
    );
    let kind = release.kind.as_str().to_owned();
    differences.equal("kind", pattern.kind.clone(), kind, Clone::clone);
    let undone = all.iter().find(|it| Some(it.id) == release.rollback_of);
    let shown = |it: &Option<u64>| it.map_or_else(|| "none".to_owned(), |it| it.to_string());
    let undone = undone.map(|it| it.number);
    differences.equal("rollbackOf", pattern.rollback_of, undone, shown);
    differences.contains("reason", pattern.reason.as_ref(), &release.reason);
    if let Some(wanted) = &pattern.variables {
        variables::compare(
            &mut differences,
            wanted,
            &variables::told(&release.variables),
        );
    }
    let rest = format!("{} {}", tag(world, release), release.status);
    differences.judge(what, &rest)
}

fn retry(
    world: &World,
    deployment: Option<&str>,
    place: &str,
    wanted: Option<&RetryExpect>,
) -> Result<(), Mismatch> {
    let what = format!("retry {place}");
    let target = target_of(world, &what, deployment, place)?;
    let lane = world.engine.state().lane(target.into());
    let found = lane.and_then(|lane| lane.retries.get(&target.resource));
    let about = |it: Mismatch| it.about(Some(target.into()), found.map(|it| it.version));
    match (wanted, found) {
        (None, None) => Ok(()),
        (None, Some(found)) => {
            let got = format!("attempt {} at {}", found.attempt, when(world, found.at));
            mismatch(format!("{what}: none"), got).map_err(about)
        }
        (Some(_), None) => mismatch(what, "there is none").map_err(about),
        (Some(wanted), Some(found)) => {
            let mut differences = Comparison::default();
            let version = world.ledger.name(found.version.0).to_owned();
            differences.equal("version", wanted.version.clone(), version, Clone::clone);
            let attempt = u64::from(found.attempt);
            differences.equal("attempt", wanted.attempt, attempt, u64::to_string);
            let at = wanted.at.map(|at| at.after(world.start));
            differences.equal("at", at, found.at, |at| when(world, *at));
            differences.judge(&what, "").map_err(about)
        }
    }
}

fn held(
    world: &World,
    deployment: Option<&str>,
    environment: &str,
    wanted: &TargetsWanted,
) -> Result<(), Mismatch> {
    let what = format!("held {environment}");
    let key = lane_of(world, &what, deployment, environment)?;
    let lane = world.engine.state().lane(key).into_iter();
    let mut got: Vec<&str> = lane
        .flat_map(|lane| lane.held.keys())
        .map(|id| world.ledger.name(id.0))
        .collect();
    got.sort_unstable();
    let (fits, expected) = match wanted {
        TargetsWanted::Count(count) => (got.len() as u64 == *count, count.to_string()),
        TargetsWanted::Resources(wanted) => {
            let wanted = wanted.iter().map(String::as_str);
            let mut wanted: Vec<&str> = wanted.filter(|name| *name != "none").collect();
            wanted.sort_unstable();
            (wanted == got, none_or(&wanted))
        }
    };
    if fits {
        return Ok(());
    }
    mismatch(format!("{what}: {expected}"), none_or(&got))
        .map_err(|it: Mismatch| it.about(Some(key), None))
}

fn none_or(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

fn quarantined(
    world: &World,
    deployment: Option<&str>,
    environment: &str,
    wanted: &[String],
) -> Result<(), Mismatch> {
    let what = format!("quarantined {environment}");
    let key = lane_of(world, &what, deployment, environment)?;
    let state = world.engine.state();
    let mut got: Vec<&str> = Vec::new();
    for version in state.versions_of(key.deployment) {
        let track = state.track(version.id, key.environment);
        if track.is_some_and(|track| track.quarantined.is_some()) {
            got.push(&version.tag);
        }
    }
    got.sort_unstable();
    if got == wanted {
        return Ok(());
    }
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    mismatch(format!("{what}: {}", none_or(&wanted)), none_or(&got))
        .map_err(|it: Mismatch| it.about(Some(key), None))
}

fn rollout(
    world: &World,
    deployment: Option<&str>,
    expect: &RolloutExpect,
) -> Result<(), Mismatch> {
    let mut what = "rollout".to_owned();
    let deployment = world
        .deployment(deployment)
        .map_err(|error| unknown(&what, error))?;
    let version = world
        .version_or_newest(deployment, expect.version.as_deref())
        .map_err(|error| unknown(&what, error))?;
    what.push_str(&format!(" of {}", world.ledger.name(version.0)));
    let lanes = match &expect.environment {
        None => world.lanes(deployment),
        Some(name) => {
            what.push_str(&format!(" into {name}"));
            let environment = world
                .environment(name)
                .map_err(|error| unknown(&what, error))?;
            vec![LaneKey {
                deployment,
                environment,
            }]
        }
    };
    let mut found: Vec<(LaneKey, RolloutReport)> = Vec::new();
    for lane in lanes {
        let reports = world.engine.rollouts(lane, version, world.now).into_iter();
        found.extend(reports.map(|report| (lane, report)));
    }
    if let Some(name) = &expect.policy {
        found.retain(|(_, report)| {
            let policies = world.engine.state().policies().values();
            let mut named = policies.filter(|it| it.name.to_lowercase() == name.to_lowercase());
            named.any(|it| it.rules.iter().any(|rule| rule.id == report.rule))
        });
    }
    let about = |it: Mismatch| it.about(found.first().map(|it| it.0), Some(version));
    if !expect.begun {
        return match found.first() {
            None => Ok(()),
            Some(_) => mismatch(format!("{what}: none has begun"), "it has begun").map_err(about),
        };
    }
    match found.as_slice() {
        [] => mismatch(what, "none has begun").map_err(about),
        [(lane, report)] => {
            compare_rollout(world, &what, lane.environment, report, expect).map_err(about)
        }
        _ => {
            let got = "there are several; add `environment:` or `policy:`";
            mismatch(what, got).map_err(about)
        }
    }
}

fn compare_rollout(
    world: &World,
    what: &str,
    environment: EnvironmentId,
    report: &RolloutReport,
    expect: &RolloutExpect,
) -> Result<(), Mismatch> {
    let mut differences = Comparison::default();
    let numbers = [
        ("due", expect.due, report.due),
        ("total", expect.total, report.total),
        ("wave", expect.wave, report.wave),
        ("waves", expect.waves, report.waves),
    ];
    for (name, wanted, got) in numbers {
        differences.equal(name, wanted, got as u64, u64::to_string);
    }
    let wanted = expect.started_at.map(|at| at.after(world.start));
    differences.equal("startedAt", wanted, report.started_at, |at| {
        when(world, *at)
    });
    let paused = report.paused.as_deref();
    match &expect.paused {
        None => {}
        Some(PausedWanted::Is(is)) => {
            differences.equal("paused", Some(*is), paused.is_some(), bool::to_string);
        }
        Some(PausedWanted::For(reason)) => {
            differences.contains("paused", Some(reason), paused.unwrap_or("false"));
        }
    }
    let wanted = expect.next.map(|next| moment_or_none(world, next));
    differences.equal("next", wanted, report.next, |at| when_or_none(world, *at));
    let rest = format!(
        "{} of {} targets in {} are due, wave {} of {}",
        report.due,
        report.total,
        world.ledger.name(environment.0),
        report.wave,
        report.waves
    );
    differences.judge(what, &rest)
}
