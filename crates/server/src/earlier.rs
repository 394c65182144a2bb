//! Earlier releases to go back to: in memory, or in the archive.

use crate::answer::{Answer, Failure};
use crate::archive::{self, Source};
use crate::scope::Scope;
use crate::wire;
use stagegate_api::RollbackTo;
use stagegate_engine::{Engine, Release, State};
use stagegate_model::{
    DeploymentId, Rejection, ReleaseId, ReleaseStatus, TargetKey, Timestamp, VersionId,
};
use std::collections::BTreeMap;

/// Which release of a target is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meant {
    Number(u64),
    Version(VersionId),
    Id(ReleaseId),
}

/// What was found on a target: the release, or why it cannot be gone back to.
pub(crate) type Found = Result<Release, Rejection>;

/// Looks for the release that is meant on each of the targets.
pub(crate) async fn find(
    scope: &Scope,
    targets: &[TargetKey],
    to: &RollbackTo,
) -> Answer<BTreeMap<TargetKey, Found>> {
    let (wanted, to) = (targets.to_vec(), to.clone());
    let sought = scope
        .ask(move |engine| {
            let each = wanted.iter().map(|key| {
                let meant = meant(engine.state(), key.deployment, &to)?;
                Ok((*key, meant, in_memory(engine, *key, meant)))
            });
            each.collect::<Answer<Vec<_>>>()
        })
        .await?;
    let mut found = BTreeMap::new();
    for (key, meant, known) in sought {
        let best = match known {
            Some(known) if is_good(&known) => Some(known),
            // What is there did not succeed; another one of the version may have.
            other => in_archive(scope, key, meant).await?.or(other),
        };
        let judged = match best {
            Some(release) => scope.read(move |engine| judge(engine.state(), key, &release)),
            None => {
                let missing = move |engine: &Engine| Err(none(engine.state(), key, meant));
                found.insert(key, scope.read(missing).await?);
                continue;
            }
        };
        found.insert(key, judged.await?);
    }
    Ok(found)
}

/// A tag goes before a number: `#3` is always the number.
fn meant(state: &State, deployment: DeploymentId, to: &RollbackTo) -> Answer<Meant> {
    let text = match to {
        RollbackTo::Number(number) => return Ok(Meant::Number(*number)),
        RollbackTo::Named(text) => text.trim(),
    };
    if let Some(number) = text.strip_prefix('#') {
        let number = number.parse().map_err(|_| {
            Failure::new("invalid_value", format!("`{text}` is no release's number"))
                .at("to")
                .hint("write it as #3")
        })?;
        return Ok(Meant::Number(number));
    }
    if let Some(version) = state.version_by_tag(deployment, text) {
        return Ok(Meant::Version(version.id));
    }
    if let Ok(number) = text.parse() {
        return Ok(Meant::Number(number));
    }
    if let Ok(id) = text.parse::<VersionId>() {
        let version = state.versions().get(&id);
        let version = version.filter(|it| it.deployment == deployment);
        return Ok(version.map_or(Meant::Id(ReleaseId(id.0)), |it| Meant::Version(it.id)));
    }
    Err(Failure::no_such("version", text)
        .at("to")
        .hint("name a version's tag, a release's number, or a release's id"))
}

fn is_good(release: &Release) -> bool {
    matches!(
        release.status,
        ReleaseStatus::Succeeded | ReleaseStatus::RolledBack
    )
}

fn fits(release: &Release, key: TargetKey, meant: Meant) -> bool {
    release.target == key
        && match meant {
            Meant::Number(number) => release.number == number,
            Meant::Version(version) => release.version == version,
            Meant::Id(id) => release.id == id,
        }
}

/// Memory holds what a target has and what it was last given.
fn in_memory(engine: &Engine, key: TargetKey, meant: Meant) -> Option<Release> {
    let state = engine.state();
    let target = state.lane(key.into())?.targets.get(&key.resource)?;
    let held = [target.latest(), target.current()].into_iter().flatten();
    let mut fitting: Vec<&Release> = held
        .filter_map(|id| state.releases().get(&id))
        .filter(|release| fits(release, key, meant))
        .map(|it| &**it)
        .collect();
    fitting.sort_by_key(|release| (is_good(release), release.number));
    fitting.pop().cloned()
}

async fn in_archive(scope: &Scope, key: TargetKey, meant: Meant) -> Answer<Option<Release>> {
    if let Meant::Id(id) = meant {
        let one: Option<Release> = archive::one(scope, "release", id.0).await?;
        return Ok(one);
    }
    let source = Source::Target(key.to_string());
    let keep = move |it: &Release| {
        fits(it, key, meant) && (is_good(it) || matches!(meant, Meant::Number(_)))
    };
    let mut found: Vec<Release> = archive::listed(scope, "release", source, 1, keep).await?;
    Ok(found.pop())
}

fn judge(state: &State, key: TargetKey, release: &Release) -> Found {
    if release.target != key {
        let message = format!("release `{}` is one of another target", release.id);
        return Err(Rejection::conflict("release_unusable", message));
    }
    if is_good(release) {
        return Ok(release.clone());
    }
    let message = format!(
        "release {} ({}) did not succeed on `{}`: it {}",
        release.number,
        wire::tag(state, release.version),
        wire::resource_name(state, key.resource),
        release.status
    );
    Err(Rejection::conflict("release_unusable", message)
        .hint("`stagegate releases` lists those that succeeded"))
}

fn none(state: &State, key: TargetKey, meant: Meant) -> Rejection {
    let place = wire::resource_name(state, key.resource);
    let message = match meant {
        Meant::Number(number) => format!("`{place}` has had no release {number}"),
        Meant::Version(version) => {
            let tag = wire::tag(state, version);
            format!("no release of {tag} has succeeded on `{place}`")
        }
        Meant::Id(id) => format!("`{place}` has had no release `{id}`"),
    };
    Rejection::conflict("release_unusable", message)
        .hint("`stagegate releases` lists those that succeeded")
}

/// The newest version among what the targets were last given: what a rollback of an environment undoes.
pub(crate) fn newest_there(state: &State, targets: &[TargetKey]) -> Option<VersionId> {
    let order = |key: &TargetKey| -> Option<(Timestamp, VersionId)> {
        let target = state.lane((*key).into())?.targets.get(&key.resource)?;
        let latest = state.latest(target)?;
        let version = state.versions().get(&latest.version)?;
        Some((version.created_at, version.id))
    };
    targets.iter().filter_map(order).max().map(|(_, id)| id)
}
