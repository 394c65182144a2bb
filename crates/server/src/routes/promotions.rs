//! Promotions: one version moving into one environment.

use crate::answer::{Answer, Failure, Json};
use crate::archive::{self, Source};
use crate::body::Query;
use crate::pages::{FromMemory, fill_up};
use crate::people::People;
use crate::references;
use crate::routes::release_targets::verifications_of;
use crate::scope::Scope;
use crate::{timeline, wire};
use stagegate_api as api;
use stagegate_engine::{Job, Promotion, State};
use stagegate_model::{DeploymentId, EnvironmentId, PromotionId, VersionId};
use std::cmp::Reverse;

/// How many jobs a promotion is shown with.
const JOBS_MAX: usize = 1000;

/// Which promotions are asked for.
#[derive(Clone, Default)]
struct Wanted {
    deployment: Option<DeploymentId>,
    environment: Option<EnvironmentId>,
    /// Those a tag may mean: without a deployment there can be several.
    versions: Option<Vec<VersionId>>,
    open: Option<bool>,
}

impl Wanted {
    fn of(state: &State, query: &api::PromotionsQuery) -> Answer<Self> {
        let deployment = match &query.deployment {
            Some(text) => Some(references::deployment(state, text)?.id),
            None => None,
        };
        let environment = match &query.environment {
            Some(text) => Some(references::environment(state, text)?.id),
            None => None,
        };
        let versions = match (&query.version, deployment) {
            (None, _) => None,
            (Some(text), Some(deployment)) => {
                Some(vec![references::version(state, deployment, Some(text))?.id])
            }
            (Some(text), None) => Some(
                state
                    .deployments()
                    .keys()
                    .filter_map(|id| references::version(state, *id, Some(text)).ok())
                    .map(|version| version.id)
                    .collect(),
            ),
        };
        Ok(Self {
            deployment,
            environment,
            versions,
            open: query.open,
        })
    }

    fn fits(&self, it: &Promotion) -> bool {
        self.deployment.is_none_or(|id| id == it.deployment)
            && self.environment.is_none_or(|id| id == it.environment)
            && self
                .versions
                .as_ref()
                .is_none_or(|ids| ids.contains(&it.version))
            && self.open.is_none_or(|open| open == it.status.is_open())
    }
}

/// Newest first.
pub(super) async fn list(
    scope: Scope,
    Query(query): Query<api::PromotionsQuery>,
) -> Answer<Json<api::Page<api::Promotion>>> {
    let paging = api::Paging {
        limit: query.limit,
        offset: query.offset,
    };
    let (memory, wanted) = scope
        .ask(move |engine| {
            let state = engine.state();
            let wanted = Wanted::of(state, &query)?;
            let promotions = state.promotions().values();
            let mut fitting: Vec<&Promotion> = promotions.filter(|it| wanted.fits(it)).collect();
            fitting.sort_by_key(|it| Reverse((it.opened_at, it.id)));
            Ok((FromMemory::cut(&fitting, paging), wanted))
        })
        .await?;
    let page = if wanted.open == Some(true) {
        api::Page {
            items: memory.items,
            limit: paging.limit(),
            offset: paging.offset(),
            total: memory.total,
        }
    } else {
        let keep = move |it: &Promotion| wanted.fits(it);
        fill_up(&scope, "promotion", Source::Recent, paging, memory, keep).await?
    };
    let now = scope.now();
    let (limit, offset, total) = (page.limit, page.offset, page.total);
    let people = People::of(&scope).await?;
    let mut items: Vec<api::Promotion> = scope
        .read(move |engine| {
            let told = page.items.iter().map(|it| wire::promotion(engine, it, now));
            told.collect()
        })
        .await?;
    items.iter_mut().for_each(|it| people.promotion(it));
    Ok(Json(api::Page {
        items,
        limit,
        offset,
        total,
    }))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::PromotionDetail>> {
    let id: PromotionId = scope.id("promotionId")?;
    Ok(Json(told(&scope, id).await?.detail))
}

/// A promotion with all that is known of it.
pub(crate) struct Told {
    pub detail: api::PromotionDetail,
    /// The names of the resources of its jobs, in the jobs' order.
    pub places: Vec<String>,
}

/// A promotion with all that is known of it, wherever it is.
pub(crate) async fn told(scope: &Scope, id: PromotionId) -> Answer<Told> {
    let (promotion, jobs) = find(scope, id).await?;
    let people = People::of(scope).await?;
    let mut verifications = Vec::new();
    for job in &jobs {
        for it in verifications_of(scope, job).await? {
            verifications.push(wire::verification(&it, Some(id), |user| people.name(user)));
        }
    }
    let entries = timeline::entries(scope, &promotion).await?;
    let now = scope.now();
    scope
        .read(move |engine| {
            let state = engine.state();
            // As it is now, if it is still there: what was read before may be older than the log's end.
            let current = state.promotions().get(&id).unwrap_or(&promotion);
            let place = |job: &Job| {
                let id = job.target.resource;
                let resource = state.resource(id);
                resource.map_or_else(|| id.to_string(), |it| it.name().to_owned())
            };
            let mut promotion = wire::promotion(engine, current, now);
            people.promotion(&mut promotion);
            let mut events = timeline::events(state, current, &entries, &people);
            timeline::name_stages(&mut events, &promotion.gates);
            Told {
                detail: api::PromotionDetail {
                    promotion,
                    timeline: events,
                    jobs: jobs.iter().map(wire::job).collect(),
                    verifications: verifications.clone(),
                },
                places: jobs.iter().map(place).collect(),
            }
        })
        .await
}

/// A promotion and its jobs, oldest first.
async fn find(scope: &Scope, id: PromotionId) -> Answer<(Promotion, Vec<Job>)> {
    let (known, mut jobs) = scope
        .read(move |engine| {
            let state = engine.state();
            let jobs = state.jobs().values().filter(|job| job.promotion == id);
            (
                state.promotions().get(&id).cloned(),
                jobs.take(JOBS_MAX)
                    .map(|it| (**it).clone())
                    .collect::<Vec<Job>>(),
            )
        })
        .await?;
    let promotion = match known {
        Some(known) => known,
        None => archive::one(scope, "promotion", id.0)
            .await?
            .ok_or_else(|| Failure::no_such("promotion", id))?,
    };
    let archived: Vec<Job> = archive::of_parent(scope, "job", id.0, JOBS_MAX).await?;
    for job in archived {
        if !jobs.iter().any(|known| known.id == job.id) {
            jobs.push(job);
        }
    }
    jobs.sort_by_key(|job| (job.created_at, job.id));
    jobs.truncate(JOBS_MAX);
    Ok((promotion, jobs))
}
