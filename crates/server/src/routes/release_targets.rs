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
use stagegate_engine::{Job, LaneKey, Release, State, TargetView, Verification};
use stagegate_model::{JobId, ReleaseId, TargetKey};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

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
            let (limit, offset) = (paging.limit(), paging.offset());
            let found = state.lane(lane);
            let targets = found.into_iter().flat_map(|lane| &lane.targets);
            let told = targets.skip(offset).take(limit).map(|(resource, target)| {
                let key = wire::release_target(lane.target(*resource));
                (key, Standing::of(state, target))
            });
            Ok(api::Page {
                items: told.collect::<Vec<_>>(),
                limit,
                offset,
                total: found.map_or(0, |lane| lane.targets.len()),
            })
        })
        .await?;
    let gone = Gone::of(&scope, page.items.iter().map(|(_, standing)| standing)).await?;
    let told = scope
        .read(move |engine| {
            let with_state =
                |(key, standing): &(api::ReleaseTarget, Standing)| api::ReleaseTargetWithState {
                    release_target: key.clone(),
                    state: standing.told(engine.state(), &gone),
                };
            let items = page.items.iter().map(with_state).collect();
            api::Page {
                items,
                limit: page.limit,
                offset: page.offset,
                total: page.total,
            }
        })
        .await?;
    Ok(Json(told))
}

/// What a target has, as far as it is in memory.
struct Standing {
    latest: Option<ReleaseId>,
    current: Option<ReleaseId>,
    job: Option<JobId>,
    releases: Vec<Release>,
    job_there: Option<Job>,
}

impl Standing {
    fn of(state: &State, target: TargetView<'_>) -> Self {
        let job = latest_job(state, target);
        let mut ids = vec![target.latest(), target.current()];
        ids.dedup();
        let known = ids.into_iter().flatten();
        let known = known.filter_map(|id| state.releases().get(&id));
        Self {
            latest: target.latest(),
            current: target.current(),
            job,
            releases: known.map(|it| (**it).clone()).collect(),
            job_there: job.and_then(|id| state.jobs().get(&id).map(|it| (**it).clone())),
        }
    }

    fn release<'s>(&'s self, id: ReleaseId, gone: &'s Gone) -> Option<&'s Release> {
        let there = self.releases.iter().find(|it| it.id == id);
        there.or_else(|| gone.releases.get(&id.0))
    }

    fn told(&self, state: &State, gone: &Gone) -> api::ReleaseTargetState {
        let release = |id: Option<ReleaseId>| Some(wire::release(state, self.release(id?, gone)?));
        let job = self.job_there.as_ref();
        let job = job.or_else(|| gone.jobs.get(&self.job?.0));
        api::ReleaseTargetState {
            desired_release: release(self.latest),
            current_release: release(self.current),
            latest_job: job.map(wire::job),
        }
    }
}

/// What of targets' standing has left memory.
struct Gone {
    releases: BTreeMap<Uuid, Release>,
    jobs: BTreeMap<Uuid, Job>,
}

impl Gone {
    async fn of<'s>(scope: &Scope, standings: impl Iterator<Item = &'s Standing>) -> Answer<Self> {
        let (mut releases, mut jobs) = (BTreeSet::new(), BTreeSet::new());
        for standing in standings {
            let both = [standing.latest, standing.current].into_iter().flatten();
            let there = |id: &ReleaseId| standing.releases.iter().any(|it| it.id == *id);
            releases.extend(both.filter(|id| !there(id)).map(|id| id.0));
            let job = standing.job.filter(|_| standing.job_there.is_none());
            jobs.extend(job.map(|id| id.0));
        }
        Ok(Self {
            releases: archive::several(scope, "release", releases.into_iter().collect()).await?,
            jobs: archive::several(scope, "job", jobs.into_iter().collect()).await?,
        })
    }
}

fn latest_job(state: &State, target: TargetView<'_>) -> Option<JobId> {
    target
        .active()
        .or_else(|| state.latest(target).map(|it| it.job))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::ReleaseTargetStateResponse>> {
    let key = target_key(&scope)?;
    let standing = scope
        .ask(move |engine| {
            let state = engine.state();
            let lane = state.lane(key.into());
            let target = lane.and_then(|lane| lane.targets.get(&key.resource));
            let target = target.ok_or_else(|| Failure::no_such("release target", key))?;
            Ok(Standing::of(state, target))
        })
        .await?;
    let gone = Gone::of(&scope, std::iter::once(&standing)).await?;
    let latest_job = match standing.job {
        Some(id) => Some(job_with_verifications(&scope, id).await?),
        None => None,
    };
    let told = scope
        .read(move |engine| standing.told(engine.state(), &gone))
        .await?;
    Ok(Json(api::ReleaseTargetStateResponse {
        desired_release: told.desired_release,
        current_release: told.current_release,
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
        let mut archived = archive::several(scope, "verification", missing).await?;
        for (id, slot) in ids.iter().zip(&mut found) {
            *slot = slot.take().or_else(|| archived.remove(&id.0));
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
            let releases = target
                .into_iter()
                .flat_map(|it| [it.latest(), it.current()]);
            let releases = releases
                .flatten()
                .filter_map(|id| state.releases().get(&id));
            let active = target.and_then(|it| it.active());
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
