//! Promotions: one version moving into one environment.

use crate::answer::{Answer, Failure, Json};
use crate::archive::{self, Source};
use crate::body::Query;
use crate::pages::{FromMemory, fill_up};
use crate::people::People;
use crate::references;
use crate::scope::{Scope, parse_id};
use crate::{timeline, wire};
use stagegate_api as api;
use stagegate_controller::Looking;
use stagegate_engine::{Engine, Job, Promotion, State, Verification};
use stagegate_model::{
    DeploymentId, EnvironmentId, JobId, PromotionId, Timestamp, VersionId, WorkspaceId,
};
use stagegate_store::{Store, StoreError};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

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

pub(super) async fn get(
    scope: Scope,
    Query(query): Query<api::PromotionQuery>,
) -> Answer<Json<api::PromotionDetail>> {
    let id: PromotionId = scope.id("promotionId")?;
    let page = JobsPage::of(&query)?;
    Ok(Json(told(&scope, id, page).await?.detail))
}

/// Which of a promotion's jobs are told.
#[derive(Clone, Copy)]
pub(crate) struct JobsPage {
    after: Option<JobId>,
    limit: usize,
}

impl JobsPage {
    pub fn of(query: &api::PromotionQuery) -> Answer<Self> {
        let after = match query.after.as_deref() {
            None | Some("") => None,
            Some(text) => Some(parse_id(text, "after")?),
        };
        let paging = api::Paging {
            limit: query.limit,
            offset: None,
        };
        Ok(Self {
            after,
            limit: paging.limit(),
        })
    }
}

/// A promotion with all that is known of it.
pub(crate) struct Told {
    pub detail: api::PromotionDetail,
    /// The names of the resources of its jobs, in the jobs' order.
    pub places: Vec<String>,
}

/// What the store has of a promotion.
struct Stored {
    promotion: Option<Promotion>,
    /// One more than the page holds.
    jobs: Vec<Job>,
    story: timeline::Story,
}

/// What the state says of a promotion, together with what is stored of it.
struct Looked {
    promotion: api::Promotion,
    events: timeline::Events,
    jobs: Vec<Job>,
    places: Vec<String>,
    next_job: Option<JobId>,
    /// Those of the jobs that are in memory.
    verifications: Vec<Verification>,
    missing: Vec<Uuid>,
}

/// How often it is looked again because something left memory between two looks.
const LOOKS_MAX: usize = 4;

/// A promotion with all that is known of it, wherever it is. However many jobs it has, a page of them is read.
pub(crate) async fn told(scope: &Scope, id: PromotionId, page: JobsPage) -> Answer<Told> {
    let now = scope.now();
    scope
        .look(move |looking| tell(looking, id, page, now))
        .await
}

fn tell(looking: &Looking<'_>, id: PromotionId, page: JobsPage, now: Timestamp) -> Answer<Told> {
    let (store, workspace) = (looking.store(), looking.workspace());
    let people = People::stored(store, workspace)?;
    let mut known = timeline::Known::default();
    for look_number in 1..=LOOKS_MAX {
        let stored = stored(store, workspace, id, page)?;
        let looked = looking.at(|engine| look(engine, id, page, &stored, &known, &people, now))?;
        let Some(looked) = looked else {
            // It may have left memory since the store was asked.
            if store.archived(workspace, "promotion", id.0)?.is_none() {
                return Err(Failure::no_such("promotion", id));
            }
            continue;
        };
        let (of_archive, has_left) = after_look(store, workspace, id, page, &looked)?;
        let news = known.learn(store, workspace, &looked.events)?;
        // Where much ends at once, what ends meanwhile is missing at last rather than the answer.
        if (news || has_left) && look_number < LOOKS_MAX {
            continue;
        }
        let verifications = looked.verifications.iter().chain(&of_archive);
        let verifications: Vec<_> = verifications
            .map(|it| wire::verification(it, Some(id), |user| people.name(user)))
            .collect();
        return Ok(Told {
            detail: api::PromotionDetail {
                promotion: looked.promotion,
                timeline: looked.events.list,
                jobs: looked.jobs.iter().map(wire::job).collect(),
                next_job: looked.next_job.map(|id| id.to_string()),
                verifications,
            },
            places: looked.places,
        });
    }
    Err(Failure::internal())
}

fn stored(
    store: &dyn Store,
    workspace: WorkspaceId,
    id: PromotionId,
    page: JobsPage,
) -> Result<Stored, StoreError> {
    let promotion = store.archived(workspace, "promotion", id.0)?;
    let after = page.after.map(|it| it.0);
    let jobs = store.archived_of_parent(workspace, "job", id.0, after, page.limit + 1)?;
    Ok(Stored {
        promotion: promotion.as_ref().and_then(archive::decode),
        jobs: jobs.iter().filter_map(archive::decode).collect(),
        story: timeline::story(store, workspace, id)?,
    })
}

/// `None` when the promotion is neither in memory nor among what is stored.
fn look(
    engine: &Engine,
    id: PromotionId,
    page: JobsPage,
    stored: &Stored,
    known: &timeline::Known,
    people: &People,
    now: Timestamp,
) -> Option<Looked> {
    let state = engine.state();
    // As it is now, if it is still there: what was stored before may be older than the log's end.
    let current = state.promotions().get(&id).or(stored.promotion.as_ref())?;
    let in_memory = state.jobs_of(id, page.after).take(page.limit + 1);
    let archived = stored.jobs.iter();
    let all = in_memory.chain(archived).map(|job| (job.id, job));
    let all: BTreeMap<JobId, &Job> = all.collect();
    let jobs: Vec<Job> = all
        .values()
        .take(page.limit)
        .map(|it| (*it).clone())
        .collect();
    let has_more = all.len() > page.limit;
    let next_job = jobs.last().map(|job| job.id).filter(|_| has_more);
    let place = |job: &Job| {
        let id = job.target.resource;
        let resource = state.resource(id);
        resource.map_or_else(|| id.to_string(), |it| it.name().to_owned())
    };
    let (mut verifications, mut missing) = (Vec::new(), Vec::new());
    for id in jobs.iter().flat_map(|job| &job.verifications) {
        match state.verifications().get(id) {
            Some(known) => verifications.push(known.clone()),
            None => missing.push(id.0),
        }
    }
    let mut promotion = wire::promotion(engine, current, now);
    people.promotion(&mut promotion);
    let mut events = timeline::events(state, current, &stored.story, known, people);
    timeline::name_stages(&mut events.list, &promotion.gates);
    Some(Looked {
        promotion,
        events,
        places: jobs.iter().map(place).collect(),
        jobs,
        next_job,
        verifications,
        missing,
    })
}

/// The verifications that are not in memory, and whether a job has left memory since the store was asked.
fn after_look(
    store: &dyn Store,
    workspace: WorkspaceId,
    id: PromotionId,
    page: JobsPage,
    looked: &Looked,
) -> Result<(Vec<Verification>, bool), StoreError> {
    let told: BTreeSet<Uuid> = looked.jobs.iter().map(|job| job.id.0).collect();
    let last = looked.next_job.map(|it| it.0);
    let after = page.after.map(|it| it.0);
    let jobs = store.archived_of_parent(workspace, "job", id.0, after, page.limit)?;
    let within = |id: Uuid| last.is_none_or(|last| id <= last);
    let has_left = jobs
        .iter()
        .any(|it| within(it.id) && !told.contains(&it.id));
    let mut found = Vec::new();
    for id in &looked.missing {
        let record = store.archived(workspace, "verification", *id)?;
        found.extend(record.as_ref().and_then(archive::decode::<Verification>));
    }
    Ok((found, has_left))
}
