//! What ran: jobs, promotions, verifications.

use super::{Comparison, Mismatch, mismatch, split_place, unknown};
use crate::format::{JobFilter, JobPattern, JobsWanted, PromotionExpect, VerificationExpect};
use crate::world::World;
use serde_json::Value as Json;
use stagegate_engine::{Job, LaneKey, MetricRun, Promotion};
use std::collections::BTreeMap;

pub(super) fn jobs(
    world: &World,
    deployment: Option<&str>,
    place: &str,
    wanted: &JobsWanted,
) -> Result<(), Mismatch> {
    let what = format!("jobs {place}");
    let deployment = world
        .deployment(deployment)
        .map_err(|error| unknown(&what, error))?;
    let (environment, resource) = split_place(world, place);
    let lane = environment_ever(world, environment).map_err(|error| unknown(&what, error))?;
    let jobs: Vec<&Job> = world
        .ledger
        .jobs()
        .into_iter()
        .filter(|job| job.target.deployment == deployment)
        .filter(|job| job.target.environment.0 == lane)
        .filter(|job| resource.is_none_or(|name| name == world.ledger.name(job.target.resource.0)))
        .collect();
    let mut by_tag: BTreeMap<&str, u64> = BTreeMap::new();
    for job in &jobs {
        *by_tag.entry(world.ledger.name(job.version.0)).or_default() += 1;
    }
    let all: Vec<String> = jobs.iter().map(|job| world.job_in_words(job)).collect();
    let got = match all.len() {
        0 => "no jobs".to_owned(),
        count => format!("{count} ({})", all.join("; ")),
    };
    let key = Some(LaneKey {
        deployment,
        environment: lane.into(),
    });
    let about = |mismatch: Mismatch| mismatch.about(key, None);
    match wanted {
        JobsWanted::Count(count) if jobs.len() as u64 == *count => Ok(()),
        JobsWanted::Count(count) => mismatch(format!("{what}: {count}"), got).map_err(about),
        JobsWanted::ByTag(wanted) => {
            let fits = wanted
                .iter()
                .all(|(tag, count)| by_tag.get(tag.as_str()).copied().unwrap_or(0) == *count)
                && by_tag.keys().all(|tag| wanted.contains_key(*tag));
            if fits {
                return Ok(());
            }
            let wanted: Vec<_> = wanted
                .iter()
                .map(|(tag, count)| format!("{tag}: {count}"))
                .collect();
            mismatch(format!("{what}: {}", wanted.join(", ")), got).map_err(about)
        }
        JobsWanted::Each(patterns) => {
            if patterns.len() != jobs.len() {
                return mismatch(format!("{what}: {}", patterns.len()), got).map_err(about);
            }
            for (index, (pattern, job)) in patterns.iter().zip(&jobs).enumerate() {
                let what = format!("{what}, job {}", index + 1);
                one_job(world, &what, pattern, job).map_err(about)?;
            }
            Ok(())
        }
    }
}

/// An environment by name, also one that was deleted.
fn environment_ever(world: &World, name: &str) -> Result<uuid::Uuid, String> {
    match world.environment(name) {
        Ok(id) => Ok(id.0),
        Err(error) => {
            let jobs = world.ledger.jobs();
            let of_jobs = jobs.iter().map(|job| job.target.environment.0);
            let of_promotions = world.ledger.promotions().map(|it| it.environment.0);
            let known = of_jobs
                .chain(of_promotions)
                .find(|id| world.ledger.name(*id).to_lowercase() == name.to_lowercase());
            known.ok_or(error)
        }
    }
}

fn one_job(world: &World, what: &str, pattern: &JobPattern, job: &Job) -> Result<(), Mismatch> {
    let mut differences = Comparison::default();
    let name = |id| world.ledger.name(id).to_owned();
    differences.equal(
        "resource",
        pattern.resource.clone(),
        name(job.target.resource.0),
        Clone::clone,
    );
    differences.equal(
        "version",
        pattern.version.clone(),
        name(job.version.0),
        Clone::clone,
    );
    differences.equal("status", pattern.status, job.status, ToString::to_string);
    differences.equal(
        "attempt",
        pattern.attempt,
        u64::from(job.attempt),
        u64::to_string,
    );
    differences.contains("message", pattern.message.as_ref(), &job.message);
    differences.equal(
        "runner",
        pattern.runner.clone(),
        job.runner.clone().unwrap_or_else(|| "none".to_owned()),
        Clone::clone,
    );
    if let Some(config) = &pattern.config
        && !holds(&job.config.json(), config)
    {
        differences.differs(
            "config",
            &config.to_string(),
            &job.config.json().to_string(),
        );
    }
    differences.judge(what, &world.job_in_words(job))
}

/// Whether every member that is wanted is there; lists and scalars must be equal.
fn holds(got: &Json, wanted: &Json) -> bool {
    match (got, wanted) {
        (Json::Object(got), Json::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| got.get(key).is_some_and(|it| holds(it, value))),
        (got, wanted) => got == wanted,
    }
}

pub(super) fn no_jobs(
    world: &World,
    deployment: Option<&str>,
    filter: &JobFilter,
) -> Result<(), Mismatch> {
    let filter = JobFilter {
        deployment: deployment.map(str::to_owned),
        ..filter.clone()
    };
    let mut what = Vec::new();
    for (name, value) in [
        ("version", &filter.version),
        ("environment", &filter.environment),
        ("resource", &filter.resource),
        ("agent", &filter.agent),
    ] {
        if let Some(value) = value {
            what.push(format!("{name} {value}"));
            // A name that is misspelled would hold for ever.
            if !world
                .ledger
                .names
                .values()
                .any(|known| known.to_lowercase() == value.to_lowercase())
            {
                let message = format!("there never was anything called `{value}`");
                return Err(unknown("noJobs", message));
            }
        }
    }
    let jobs = world.ledger.jobs();
    let found: Vec<_> = jobs.iter().filter(|job| world.fits(job, &filter)).collect();
    match found.first() {
        None => Ok(()),
        Some(first) => {
            let all: Vec<String> = found.iter().map(|job| world.job_in_words(job)).collect();
            mismatch(format!("no job for {}", what.join(", ")), all.join("; "))
                .map_err(|it: Mismatch| it.about(Some(first.target.into()), Some(first.version)))
        }
    }
}

pub(super) fn promotion(
    world: &World,
    deployment: Option<&str>,
    expect: &PromotionExpect,
) -> Result<(), Mismatch> {
    let mut what = "promotion".to_owned();
    let deployment = world
        .deployment(deployment)
        .map_err(|error| unknown(&what, error))?;
    let version = world
        .version_or_newest(deployment, expect.version.as_deref())
        .map_err(|error| unknown(&what, error))?;
    what.push_str(&format!(" of {}", world.ledger.name(version.0)));
    let environment = match &expect.environment {
        None => None,
        Some(name) => {
            what.push_str(&format!(" into {name}"));
            Some(environment_ever(world, name).map_err(|error| unknown(&what, error))?)
        }
    };
    let mut all: Vec<&Promotion> = world
        .ledger
        .promotions()
        .filter(|it| it.version == version)
        .filter(|it| environment.is_none_or(|id| it.environment.0 == id))
        .collect();
    all.sort_by_key(|it| (it.environment, it.attempt));
    let lane = environment.map(|id| LaneKey {
        deployment,
        environment: id.into(),
    });
    let about = |it: Mismatch| it.about(lane, Some(version));
    if expect.attempts == Some(0) && all.is_empty() {
        return Ok(());
    }
    let places: std::collections::BTreeSet<_> = all.iter().map(|it| it.environment).collect();
    if places.len() > 1 {
        let got = "it has promotions into several environments; add `environment:`";
        return mismatch(what, got).map_err(about);
    }
    let found = match expect.attempt {
        None => all.last(),
        Some(attempt) => all.iter().find(|it| u64::from(it.attempt) == attempt),
    };
    let Some(found) = found else {
        let got = match all.len() {
            0 => "there was none".to_owned(),
            count => format!("there were {count} attempts"),
        };
        return mismatch(what, got).map_err(about);
    };
    let mut differences = Comparison::default();
    differences.equal("status", expect.status, found.status, ToString::to_string);
    differences.contains("reason", expect.reason.as_ref(), &found.reason);
    let kind = found.kind.as_str().to_owned();
    differences.equal("kind", expect.kind.clone(), kind, Clone::clone);
    let by = found.superseded_by.map_or_else(
        || "none".to_owned(),
        |id| world.ledger.name(id.0).to_owned(),
    );
    differences.equal(
        "supersededBy",
        expect.superseded_by.clone(),
        by,
        Clone::clone,
    );
    differences.equal(
        "attempts",
        expect.attempts,
        all.len() as u64,
        u64::to_string,
    );
    differences.judge(&what, &found.reason).map_err(about)
}

pub(super) fn verification(
    world: &World,
    deployment: Option<&str>,
    expect: &VerificationExpect,
) -> Result<(), Mismatch> {
    let filter = JobFilter {
        deployment: deployment.map(str::to_owned),
        ..expect.filter.clone()
    };
    let mut what = "verification".to_owned();
    if let Some(version) = &filter.version {
        what.push_str(&format!(" of {version}"));
    }
    let place: Vec<&str> = [&filter.environment, &filter.resource]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    if !place.is_empty() {
        what.push_str(&format!(" on {}", place.join("/")));
    }
    let verifications = world.ledger.verifications();
    let all: Vec<_> = verifications
        .iter()
        .filter(|(job, _)| world.fits(job, &filter))
        .filter(|(_, it)| expect.trigger.is_none_or(|trigger| trigger == it.trigger))
        .collect();
    let mut counted = Comparison::default();
    counted.equal("count", expect.count, all.len() as u64, u64::to_string);
    let latest: Vec<_> = all
        .iter()
        .filter(|(_, it)| !all.iter().any(|(_, other)| other.rerun_of == Some(it.id)))
        .collect();
    if expect.status == Some(None) {
        if let Some((job, it)) = latest.first() {
            counted.differs(
                "status",
                "none",
                &format!("{} on {}", it.status, world.place(job)),
            );
        }
        return counted.judge(&what, "");
    }
    counted.judge(&what, "")?;
    let says_more = expect.status.is_some()
        || expect.reason.is_some()
        || expect.decided_by.is_some()
        || !expect.numbers.is_empty();
    if latest.is_empty() && says_more {
        return mismatch(what, "there is none");
    }
    for (job, it) in latest {
        let mut differences = Comparison::default();
        differences.equal(
            "status",
            expect.status.flatten(),
            it.status,
            ToString::to_string,
        );
        differences.contains("reason", expect.reason.as_ref(), &it.reason);
        if let Some(name) = &expect.decided_by {
            let got = it.decided_by.map_or("nobody", |id| world.ledger.name(id.0));
            if world.user(name) != it.decided_by {
                differences.differs("decidedBy", name, got);
            }
        }
        for (kind, wanted) in &expect.numbers {
            for (metric, wanted) in wanted {
                let run = it
                    .metrics
                    .iter()
                    .find(|run| run.planned.metric.name == *metric);
                match run {
                    Some(run) if u64::from(number(run, kind)) == *wanted => {}
                    Some(run) => differences.differs(
                        kind,
                        &format!("{metric}: {wanted}"),
                        &format!("{metric}: {}", number(run, kind)),
                    ),
                    None => differences.differs(
                        kind,
                        &format!("{metric}: {wanted}"),
                        &format!("no metric `{metric}`"),
                    ),
                }
            }
        }
        let place = format!("{}: {} {}", world.place(job), it.status, it.reason);
        differences
            .judge(&what, place.trim_end())
            .map_err(|mismatch| mismatch.about(Some(job.target.into()), Some(job.version)))?;
    }
    Ok(())
}

fn number(run: &MetricRun, kind: &str) -> u32 {
    match kind {
        "taken" => run.taken,
        "passed" => run.passed,
        "failed" => run.failed,
        "inconclusive" => run.inconclusive,
        _ => run.errors,
    }
}
