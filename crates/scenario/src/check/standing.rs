//! What targets have, who is a target, how versions stand.

use super::{Mismatch, mismatch, split_place, unknown};
use crate::format::{TargetsWanted, Wanted};
use crate::world::World;
use stagegate_engine::LaneKey;
use stagegate_model::VersionStatus;
use std::collections::BTreeMap;

/// What targets have: what last succeeded there, or else what they have or are being brought to.
pub(super) fn standing(
    world: &World,
    deployment: Option<&str>,
    released: bool,
    place: &str,
    wanted: &Wanted,
) -> Result<(), Mismatch> {
    let what = format!("{} {place}", if released { "released" } else { "desired" });
    let deployment = world
        .deployment(deployment)
        .map_err(|error| unknown(&what, error))?;
    let (environment, resource) = split_place(world, place);
    let environment = world
        .environment(environment)
        .map_err(|error| unknown(&what, error))?;
    let key = LaneKey {
        deployment,
        environment,
    };
    let mut found: Vec<(&str, Option<&str>)> = Vec::new();
    let lane = world.engine.state().lane(key);
    for (id, target) in lane.into_iter().flat_map(|lane| &lane.targets) {
        let name = world.ledger.name(id.0);
        if resource.is_some_and(|wanted| wanted != name) {
            continue;
        }
        let release = if released {
            target.current()
        } else {
            target.latest()
        };
        let release = release.and_then(|id| world.ledger.release(id));
        found.push((name, release.map(|it| world.ledger.name(it.version.0))));
    }
    found.sort_unstable();
    if let Some(resource) = resource
        && found.is_empty()
    {
        let message = format!("`{resource}` is no release target there");
        return Err(unknown(&what, message).about(Some(key), None));
    }
    let mut by_tag: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, tag) in &found {
        if let Some(tag) = tag {
            *by_tag.entry(tag).or_default() += 1;
        }
    }
    let total: u64 = by_tag.values().sum();
    let (fits, expected) = match wanted {
        Wanted::Count(count) => (total == *count, count.to_string()),
        Wanted::All(tag) => (
            !found.is_empty() && found.iter().all(|(_, it)| *it == Some(tag.as_str())),
            match resource {
                Some(_) => tag.clone(),
                None => format!("{tag} on every target"),
            },
        ),
        Wanted::ByTag(wanted) => {
            let expected: Vec<_> = wanted
                .iter()
                .map(|(tag, count)| format!("{tag}: {count}"))
                .collect();
            let got: BTreeMap<&str, u64> = by_tag.clone();
            let wanted: BTreeMap<&str, u64> = wanted
                .iter()
                .filter(|(_, count)| **count > 0)
                .map(|(tag, count)| (tag.as_str(), *count))
                .collect();
            (wanted == got, expected.join(", "))
        }
    };
    if fits {
        return Ok(());
    }
    let each: Vec<String> = found
        .iter()
        .map(|(name, tag)| format!("{name}: {}", tag.unwrap_or("nothing")))
        .collect();
    let got = match each.len() {
        0 => "no release targets".to_owned(),
        count => format!("{total} of {count} ({})", each.join(", ")),
    };
    mismatch(format!("{what}: {expected}"), got).map_err(|it: Mismatch| it.about(Some(key), None))
}

pub(super) fn targets(
    world: &World,
    deployment: Option<&str>,
    environment: &str,
    wanted: &TargetsWanted,
) -> Result<(), Mismatch> {
    let what = format!("targets {environment}");
    let key = LaneKey {
        deployment: world
            .deployment(deployment)
            .map_err(|error| unknown(&what, error))?,
        environment: world
            .environment(environment)
            .map_err(|error| unknown(&what, error))?,
    };
    let lane = world.engine.state().lane(key);
    let mut got: Vec<&str> = lane
        .into_iter()
        .flat_map(|lane| lane.targets.keys())
        .map(|id| world.ledger.name(id.0))
        .collect();
    got.sort_unstable();
    let (fits, expected) = match wanted {
        TargetsWanted::Count(count) => (got.len() as u64 == *count, count.to_string()),
        TargetsWanted::Resources(wanted) => {
            let mut wanted: Vec<&str> = wanted
                .iter()
                .map(String::as_str)
                .filter(|name| *name != "none")
                .collect();
            wanted.sort_unstable();
            (wanted == got, wanted.join(", "))
        }
    };
    if fits {
        return Ok(());
    }
    let got = format!("{} ({})", got.len(), got.join(", "));
    mismatch(format!("{what}: {expected}"), got).map_err(|it: Mismatch| it.about(Some(key), None))
}

pub(super) fn version(
    world: &World,
    deployment: Option<&str>,
    tag: &str,
    status: VersionStatus,
) -> Result<(), Mismatch> {
    let what = format!("version {tag}: {status}");
    let deployment = world
        .deployment(deployment)
        .map_err(|error| unknown(&what, error))?;
    let version = world
        .version(deployment, tag)
        .map_err(|error| unknown(&what, error))?;
    if version.status == status {
        return Ok(());
    }
    mismatch(what, version.status.to_string())
        .map_err(|it: Mismatch| it.about(None, Some(version.id)))
}
