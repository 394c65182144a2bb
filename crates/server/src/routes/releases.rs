//! Releases: what targets were given, newest first, wherever they are.

use super::jobs as all_jobs;
use super::release_targets::{exists, target_key};
use crate::answer::{Answer, Failure, Json};
use crate::archive::{self, Source};
use crate::body::Query;
use crate::differences::differences;
use crate::people::People;
use crate::references;
use crate::scope::Scope;
use crate::wire;
use stagegate_api as api;
use stagegate_engine::{Lane, Release, State};
use stagegate_model::{DeploymentId, EnvironmentId, ReleaseId, ResourceId, TargetKey};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

pub(super) async fn get(scope: Scope) -> Answer<Json<api::Release>> {
    let id: ReleaseId = scope.id("releaseId")?;
    let release = find(&scope, id).await?;
    let release = scope
        .read(move |engine| wire::release(engine.state(), &release))
        .await?;
    Ok(Json(release))
}

/// A release, in memory or not.
async fn find(scope: &Scope, id: ReleaseId) -> Answer<Release> {
    let known = scope
        .read(move |engine| engine.state().releases().get(&id).cloned())
        .await?;
    match known {
        Some(known) => Ok(*known),
        None => archive::one(scope, "release", id.0)
            .await?
            .ok_or_else(|| Failure::no_such("release", id)),
    }
}

/// Of one target, by number.
pub(super) async fn of_target(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::ReleaseRecord>>> {
    let key = target_key(&scope)?;
    let memory = scope
        .read(move |engine| {
            let lane = engine.state().lane(key.into());
            lane.map_or_else(Vec::new, |lane| {
                in_memory(engine.state(), lane, Some(key.resource))
            })
        })
        .await?;
    let source = Source::Target(key.to_string());
    let mut page = merged(&scope, memory, source, paging, |_| true).await?;
    page.1
        .sort_by_key(|release| Reverse((release.number, release.id)));
    if page.1.is_empty() {
        exists(&scope, key).await?;
    }
    answer(&scope, page, paging).await
}

/// Which of a deployment's releases are asked for.
#[derive(Clone, Copy)]
struct Wanted {
    deployment: DeploymentId,
    environment: Option<EnvironmentId>,
    resource: Option<ResourceId>,
}

impl Wanted {
    fn fits(&self, key: TargetKey) -> bool {
        key.deployment == self.deployment
            && self.environment.is_none_or(|id| id == key.environment)
            && self.resource.is_none_or(|id| id == key.resource)
    }

    /// One target's are numbered; those of several are only known by when they left memory.
    fn source(&self) -> Source {
        match (self.environment, self.resource) {
            (Some(environment), Some(resource)) => {
                let key = TargetKey {
                    resource,
                    environment,
                    deployment: self.deployment,
                };
                Source::Target(key.to_string())
            }
            _ => Source::Recent,
        }
    }
}

/// Of all targets of a deployment, by time.
pub(super) async fn of_deployment(
    scope: Scope,
    Query(query): Query<api::ReleasesQuery>,
) -> Answer<Json<api::Page<api::ReleaseRecord>>> {
    let deployment: DeploymentId = scope.id("deploymentId")?;
    let paging = api::Paging {
        limit: query.limit,
        offset: query.offset,
    };
    let (wanted, memory) = scope
        .ask(move |engine| {
            let state = engine.state();
            super::deployments::known(state, deployment)?;
            let environment = match &query.environment {
                Some(text) => Some(references::environment(state, text)?.id),
                None => None,
            };
            let resource = match &query.resource {
                Some(text) => Some(references::resource(state, text)?.id),
                None => None,
            };
            let wanted = Wanted {
                deployment,
                environment,
                resource,
            };
            let lanes = state.lanes().iter().filter(|(key, _)| {
                key.deployment == deployment && environment.is_none_or(|id| id == key.environment)
            });
            let memory: Vec<Release> = lanes
                .flat_map(|(_, lane)| in_memory(state, lane, resource))
                .collect();
            Ok((wanted, memory))
        })
        .await?;
    let keep = move |it: &Release| wanted.fits(it.target);
    let mut page = merged(&scope, memory, wanted.source(), paging, keep).await?;
    page.1
        .sort_by_key(|release| Reverse((release.created_at, release.number, release.id)));
    answer(&scope, page, paging).await
}

/// What a lane's targets have and what they were last given.
fn in_memory(state: &State, lane: &Lane, only: Option<ResourceId>) -> Vec<Release> {
    let targets = lane.targets.iter();
    let ids: BTreeSet<ReleaseId> = targets
        .filter(|(resource, _)| only.is_none_or(|id| id == **resource))
        .flat_map(|(_, target)| [target.latest(), target.current()])
        .flatten()
        .collect();
    let known = ids.iter().filter_map(|id| state.releases().get(id));
    known.map(|it| (**it).clone()).collect()
}

/// A total and the releases among which the page is.
type Merged = (usize, Vec<Release>);

async fn merged(
    scope: &Scope,
    memory: Vec<Release>,
    source: Source,
    paging: api::Paging,
    keep: impl Fn(&Release) -> bool + Send + 'static,
) -> Answer<Merged> {
    let end = paging.offset().saturating_add(paging.limit());
    let mut all = memory;
    let known: BTreeSet<ReleaseId> = all.iter().map(|release| release.id).collect();
    let archived: Vec<Release> =
        archive::listed(scope, "release", source, end.saturating_add(1), keep).await?;
    all.extend(archived.into_iter().filter(|it| !known.contains(&it.id)));
    Ok((all.len(), all))
}

async fn answer(
    scope: &Scope,
    (total, releases): Merged,
    paging: api::Paging,
) -> Answer<Json<api::Page<api::ReleaseRecord>>> {
    let (limit, offset) = (paging.limit(), paging.offset());
    let shown: Vec<Release> = releases.into_iter().skip(offset).take(limit).collect();
    Ok(Json(api::Page {
        items: records(scope, shown).await?,
        limit,
        offset,
        total,
    }))
}

/// Releases as they are told, with what they undid.
async fn records(scope: &Scope, releases: Vec<Release>) -> Answer<Vec<api::ReleaseRecord>> {
    let people = People::of(scope).await?;
    let mut undone: BTreeMap<ReleaseId, Release> = BTreeMap::new();
    for id in releases.iter().filter_map(|release| release.rollback_of) {
        if let Some(known) = releases.iter().find(|release| release.id == id) {
            undone.insert(id, known.clone());
        } else if let Ok(found) = find(scope, id).await {
            undone.insert(id, found);
        }
    }
    scope
        .read(move |engine| {
            let state = engine.state();
            let told = releases.iter().map(|it| {
                let undone = it.rollback_of.and_then(|id| undone.get(&id));
                wire::release_record(state, it, undone, |user| people.name(user))
            });
            told.collect()
        })
        .await
}

/// A release beside the one before it on its target.
pub(super) async fn diff(scope: Scope) -> Answer<Json<api::ReleaseDiff>> {
    let id: ReleaseId = scope.id("releaseId")?;
    let release = find(&scope, id).await?;
    let before = before(&scope, &release).await?;
    let config = config_of(&scope, &release).await?;
    let config_before = match &before {
        Some(before) => config_of(&scope, before).await?,
        None => None,
    };
    let (version, version_before) = (release.version, before.as_ref().map(|it| it.version));
    let variables = wire::shown_variables(&release.variables);
    let variables_before = before.as_ref();
    let variables_before = variables_before.map(|it| wire::shown_variables(&it.variables));
    let changes = scope
        .read(move |engine| {
            let state = engine.state();
            let whole = |id, config: &Option<api::Json>, variables: &api::Json| {
                let version = state.versions().get(&id);
                serde_json::json!({
                    "version": version.map(|it| serde_json::json!({
                        "tag": it.tag,
                        "name": it.name,
                        "config": it.config,
                        "jobAgentConfig": it.job_agent_config,
                    })),
                    "variables": variables,
                    "jobConfig": config,
                })
            };
            let before = version_before.zip(variables_before.as_ref());
            let before = before.map(|(id, variables)| whole(id, &config_before, variables));
            differences(before.as_ref(), &whole(version, &config, &variables))
        })
        .await?;
    let mut both = records(&scope, [release].into_iter().chain(before).collect())
        .await?
        .into_iter();
    let release = both.next().ok_or_else(Failure::internal)?;
    Ok(Json(api::ReleaseDiff {
        release,
        before: both.next(),
        changes,
    }))
}

async fn before(scope: &Scope, release: &Release) -> Answer<Option<Release>> {
    let (key, Some(number)) = (
        release.target,
        release.number.checked_sub(1).filter(|it| *it > 0),
    ) else {
        return Ok(None);
    };
    let known = scope
        .read(move |engine| {
            let lane = engine.state().lane(key.into())?;
            let held = in_memory(engine.state(), lane, Some(key.resource));
            held.into_iter().find(|it| it.number == number)
        })
        .await?;
    if known.is_some() {
        return Ok(known);
    }
    let source = Source::Target(key.to_string());
    let keep = move |it: &Release| it.number == number;
    let mut found: Vec<Release> = archive::listed(scope, "release", source, 1, keep).await?;
    Ok(found.pop())
}

/// What its agent was told, rendered.
async fn config_of(scope: &Scope, release: &Release) -> Answer<Option<api::Json>> {
    match all_jobs::find(scope, release.job).await {
        Ok(job) => Ok(Some(job.config.json())),
        Err(failure) if failure.0.code == "job_not_found" => Ok(None),
        Err(failure) => Err(failure),
    }
}
