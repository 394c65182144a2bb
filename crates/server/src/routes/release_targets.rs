//! Release targets: what each has, and what it was last given.

use super::jobs as all_jobs;
use super::refuse_filter;
use crate::answer::{Answer, Failure, Json};
use crate::archive::{self, Source};
use crate::body::{Body, Query};
use crate::pages::{FromMemory, fill_up};
use crate::people::People;
use crate::scope::{Scope, parse_id};
use crate::wire;
use serde::Deserialize;
use stagegate_api as api;
use stagegate_engine::{Job, LaneKey, Release, State, Target, Verification};
use stagegate_model::{JobId, ReleaseId, TargetKey};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// The targets of a deployment in an environment.
pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
    Body(body): Body<api::ReleaseTargetStateQuery>,
) -> Answer<Json<api::Page<api::ReleaseTargetWithState>>> {
    let lane = LaneKey {
        deployment: parse_id(&body.deployment_id, "deploymentId")?,
        environment: parse_id(&body.environment_id, "environmentId")?,
    };
    let page = scope
        .ask(move |engine| {
            let state = engine.state();
            super::deployments::known(state, lane.deployment)?;
            if !state.environments().contains_key(&lane.environment) {
                return Err(Failure::no_such("environment", lane.environment));
            }
            let targets = state.lane(lane).into_iter().flat_map(|lane| &lane.targets);
            Ok(
                api::Page::cut(targets, paging.limit(), paging.offset()).map(
                    |(resource, target)| api::ReleaseTargetWithState {
                        release_target: wire::release_target(lane.target(*resource)),
                        state: standing(state, target),
                    },
                ),
            )
        })
        .await?;
    Ok(Json(page))
}

fn standing(state: &State, target: &Target) -> api::ReleaseTargetState {
    let release = |id: Option<ReleaseId>| state.releases().get(&id?);
    api::ReleaseTargetState {
        desired_release: release(target.latest).map(|it| wire::release(state, it)),
        current_release: release(target.current).map(|it| wire::release(state, it)),
        latest_job: latest_job(state, target)
            .and_then(|id| state.jobs().get(&id))
            .map(|it| wire::job(it)),
    }
}

fn latest_job(state: &State, target: &Target) -> Option<JobId> {
    let latest = || state.releases().get(&target.latest?).map(|it| it.job);
    target.active.or_else(latest)
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::ReleaseTargetStateResponse>> {
    let key = target_key(&scope)?;
    let (standing, job) = scope
        .ask(move |engine| {
            let state = engine.state();
            let lane = state.lane(key.into());
            let target = lane.and_then(|lane| lane.targets.get(&key.resource));
            let target = target.ok_or_else(|| Failure::no_such("release target", key))?;
            Ok((standing(state, target), latest_job(state, target)))
        })
        .await?;
    let latest_job = match job {
        Some(id) => Some(job_with_verifications(&scope, id).await?),
        None => None,
    };
    Ok(Json(api::ReleaseTargetStateResponse {
        desired_release: standing.desired_release,
        current_release: standing.current_release,
        latest_job,
    }))
}

async fn job_with_verifications(scope: &Scope, id: JobId) -> Answer<api::JobWithVerifications> {
    let job = all_jobs::find(scope, id).await?;
    let people = People::of(scope).await?;
    let verifications = verifications_of(scope, std::slice::from_ref(&job)).await?;
    Ok(api::JobWithVerifications {
        job: wire::job(&job),
        verifications: verifications
            .iter()
            .map(|it| wire::verification(it, Some(job.promotion), |user| people.name(user)))
            .collect(),
    })
}

/// The verifications of jobs, in memory or not: those of one job after those of the one before. However many jobs there
/// are, the state and the archive are asked once.
pub(super) async fn verifications_of(scope: &Scope, jobs: &[Job]) -> Answer<Vec<Verification>> {
    let ids: Vec<_> = jobs
        .iter()
        .flat_map(|it| &it.verifications)
        .copied()
        .collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = ids.clone();
    let mut found = scope
        .read(move |engine| {
            let known = engine.state().verifications();
            wanted
                .iter()
                .map(|id| known.get(id).cloned())
                .collect::<Vec<_>>()
        })
        .await?;
    let missing = ids.iter().zip(&found).filter(|(_, known)| known.is_none());
    let missing: Vec<_> = missing.map(|(id, _)| id.0).collect();
    if !missing.is_empty() {
        let archived = archive::several(scope, "verification", missing).await?;
        let mut archived = archived.into_iter();
        for slot in found.iter_mut().filter(|slot| slot.is_none()) {
            *slot = archived.next().flatten();
        }
    }
    Ok(found.into_iter().flatten().collect())
}

#[derive(Deserialize)]
pub(super) struct JobsQuery {
    limit: Option<usize>,
    offset: Option<usize>,
    cel: Option<String>,
}

/// A target's jobs, newest first: those in memory, then those in the archive.
pub(super) async fn jobs(
    scope: Scope,
    Query(query): Query<JobsQuery>,
) -> Answer<Json<api::Page<api::Job>>> {
    refuse_filter(query.cel.as_deref())?;
    let key = target_key(&scope)?;
    let paging = api::Paging {
        limit: query.limit,
        offset: query.offset,
    };
    let memory = scope
        .read(move |engine| {
            let state = engine.state();
            let lane = state.lane(key.into());
            let target = lane.and_then(|lane| lane.targets.get(&key.resource));
            // Others of its jobs have left memory.
            let releases = target.into_iter().flat_map(|it| [it.latest, it.current]);
            let releases = releases
                .flatten()
                .filter_map(|id| state.releases().get(&id));
            let active = target.and_then(|it| it.active);
            let ids: BTreeSet<JobId> = releases.map(|it| it.job).chain(active).collect();
            let of_target = ids.iter().filter_map(|id| state.jobs().get(id));
            let mut of_target: Vec<&Job> = of_target.map(|it| &**it).collect();
            of_target.sort_by_key(|job| Reverse((job.created_at, job.id)));
            FromMemory::cut(&of_target, paging)
        })
        .await?;
    let source = Source::Target(key.to_string());
    let page = fill_up(&scope, "job", source, paging, memory, |_| true).await?;
    if page.total == 0 {
        exists(&scope, key).await?;
    }
    Ok(Json(page.map(|job| wire::job(&job))))
}

/// A target without jobs is told apart from one that never was.
pub(super) async fn exists(scope: &Scope, key: TargetKey) -> Answer<()> {
    let there = scope
        .read(move |engine| {
            let lane = engine.state().lane(key.into());
            lane.is_some_and(|lane| lane.targets.contains_key(&key.resource))
        })
        .await?;
    if there {
        return Ok(());
    }
    let source = Source::Target(key.to_string());
    let ended: Vec<Release> = archive::listed(scope, "release", source, 1, |_| true).await?;
    if ended.is_empty() {
        return Err(Failure::no_such("release target", key));
    }
    Ok(())
}

pub(super) fn target_key(scope: &Scope) -> Answer<TargetKey> {
    let text = scope.text("releaseTargetKey");
    text.parse().map_err(|what| {
        Failure::new("invalid_id", format!("`{text}` is not a release target"))
            .at("releaseTargetKey")
            .hint(what)
    })
}
