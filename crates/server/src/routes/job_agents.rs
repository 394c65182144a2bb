//! Job agents, and the jobs that runners take from them.

use super::jobs;
use crate::answer::{Accepted, Answer, Failure, Json, accepted};
use crate::archive::Source;
use crate::body::{Body, MaybeBody, Query};
use crate::pages::{FromMemory, fill_up};
use crate::scope::Scope;
use crate::wire;
use stagegate_api as api;
use stagegate_engine::{Job, State};
use stagegate_model::{Change, Command, JobAgent, JobAgentId, JobId, JobStatus, Json as AnyJson};
use std::time::Duration;
use tokio::time::Instant;

/// The longest a request is held open.
const WAIT_SECONDS_MAX: u64 = 60;
/// Characters of a runner's name.
const RUNNER_CHARS_MAX: usize = 200;

pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::JobAgent>>> {
    let page = scope
        .read(move |engine| {
            let mut all: Vec<_> = engine.state().agents().values().collect();
            all.sort_by_key(|it| it.name.to_lowercase());
            api::Page::cut(all, paging.limit(), paging.offset()).map(|it| wire::job_agent(it))
        })
        .await?;
    Ok(Json(page))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::JobAgent>> {
    let id: JobAgentId = scope.id("jobAgentId")?;
    let found = scope
        .ask(move |engine| known(engine.state(), id).map(wire::job_agent))
        .await?;
    Ok(Json(found))
}

pub(super) async fn upsert(
    scope: Scope,
    Body(body): Body<api::UpsertJobAgent>,
) -> Answer<Accepted<api::Accepted>> {
    let id: JobAgentId = scope.id("jobAgentId")?;
    scope
        .configure(move |state| {
            let known = state.agents().get(&id).map(|it| it.job_limits);
            let agent = JobAgent {
                id,
                job_limits: wire::read_limits(body.job_limits.as_ref(), known)?,
                name: body.name.clone(),
                kind: body.kind.clone(),
                config: AnyJson::Object(body.config.clone()),
                metadata: body.metadata.clone().unwrap_or_default(),
            };
            Ok(((), vec![Change::PutJobAgent(agent)]))
        })
        .await?;
    Ok(accepted(id, "the job agent was stored"))
}

pub(super) async fn delete(scope: Scope) -> Answer<Accepted<api::Accepted>> {
    let id: JobAgentId = scope.id("jobAgentId")?;
    scope
        .configure(move |state| {
            known(state, id)?;
            Ok(((), vec![Change::DeleteJobAgent(id)]))
        })
        .await?;
    Ok(accepted(id, "the job agent was deleted"))
}

fn known(state: &State, id: JobAgentId) -> Answer<&JobAgent> {
    let agent = state.agents().get(&id);
    agent
        .map(|it| &**it)
        .ok_or_else(|| Failure::no_such("job agent", id))
}

/// Which jobs of an agent are asked for.
#[derive(Clone)]
struct Wanted {
    agent: JobAgentId,
    status: Option<JobStatus>,
    runner: Option<String>,
}

impl Wanted {
    fn fits(&self, job: &Job) -> bool {
        // A pending job is anyone's; another one is its runner's.
        let his = self.status == Some(JobStatus::Pending)
            || self
                .runner
                .as_ref()
                .is_none_or(|runner| job.runner.as_ref() == Some(runner));
        job.agent == self.agent && self.status.is_none_or(|status| job.status == status) && his
    }
}

pub(super) async fn jobs(
    scope: Scope,
    Query(query): Query<api::AgentJobsQuery>,
) -> Answer<Json<api::Page<api::Job>>> {
    let wanted = Wanted {
        agent: scope.id("jobAgentId")?,
        status: query.status.as_deref().map(jobs::status).transpose()?,
        runner: query.runner,
    };
    let paging = api::Paging {
        limit: query.limit,
        offset: query.offset,
    };
    let in_full = query.include_dispatch_context.unwrap_or(false);
    let wait = Duration::from_secs(query.wait.unwrap_or(0).min(WAIT_SECONDS_MAX));
    let deadline = Instant::now() + wait;
    let mut durable = scope.app.controller().durable(scope.workspace());
    let mut stopping = scope.app.stopping();
    loop {
        let page = look(&scope, &wanted, paging, in_full).await?;
        let Some(durable) = durable.as_mut() else {
            return Ok(Json(page));
        };
        if page.total > 0 || Instant::now() >= deadline {
            return Ok(Json(page));
        }
        // What became durable since the look is marked as a change already, so no wake-up is lost.
        tokio::select! {
            changed = durable.changed() => if changed.is_err() { return Ok(Json(page)) },
            () = tokio::time::sleep_until(deadline) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return Ok(Json(page)),
        }
    }
}

/// Oldest first, so that what waits longest is taken first.
async fn look(
    scope: &Scope,
    wanted: &Wanted,
    paging: api::Paging,
    in_full: bool,
) -> Answer<api::Page<api::Job>> {
    let asked = wanted.clone();
    let (memory, wire_jobs) = scope
        .ask(move |engine| {
            let state = engine.state();
            known(state, asked.agent)?;
            let mut fitting: Vec<&Job> = state
                .jobs()
                .values()
                .filter(|job| asked.fits(job))
                .map(|it| &**it)
                .collect();
            fitting.sort_by_key(|job| (job.created_at, job.id));
            let memory = FromMemory::cut(&fitting, paging);
            let contexts: Vec<api::Job> = match in_full {
                true => memory
                    .items
                    .iter()
                    .map(|job| wire::job_to_do(state, job))
                    .collect(),
                false => memory.items.iter().map(wire::job).collect(),
            };
            Ok((memory, contexts))
        })
        .await?;
    // What has not ended is in memory.
    if wanted.status.is_some_and(|status| !status.is_terminal()) {
        return Ok(api::Page {
            items: wire_jobs,
            limit: paging.limit(),
            offset: paging.offset(),
            total: memory.total,
        });
    }
    let asked = wanted.clone();
    let in_memory = wire_jobs.len();
    let keep = move |job: &Job| asked.fits(job);
    let page = fill_up(scope, "job", Source::Recent, paging, memory, keep).await?;
    let archived = page.items.iter().skip(in_memory).map(wire::job);
    Ok(api::Page {
        items: wire_jobs.iter().cloned().chain(archived).collect(),
        limit: page.limit,
        offset: page.offset,
        total: page.total,
    })
}

/// The answer holds all that the runner needs.
pub(super) async fn claim(
    scope: Scope,
    MaybeBody(body): MaybeBody<api::ClaimJob>,
) -> Answer<Json<api::Job>> {
    let (agent, id): (JobAgentId, JobId) = (scope.id("jobAgentId")?, scope.id("jobId")?);
    // Who does not say which runner it is, is one runner for each key.
    let named = body.runner.filter(|runner| !runner.is_empty());
    // It knows nothing of heartbeats either.
    let lease = named.is_some();
    let runner = named.unwrap_or_else(|| format!("key {}", scope.caller.key));
    if runner.chars().count() > RUNNER_CHARS_MAX || runner.chars().any(char::is_control) {
        let message = format!(
            "a runner's name has at most {RUNNER_CHARS_MAX} characters, none of them a control character"
        );
        return Err(Failure::new("invalid_value", message).at("runner"));
    }
    let its = scope
        .ask(move |engine| {
            let state = engine.state();
            known(state, agent)?;
            Ok(state.jobs().get(&id).map(|job| job.agent))
        })
        .await?;
    match its {
        Some(its) if its != agent => return Err(Failure::no_such("job", id)),
        None if jobs::archived(&scope, id).await?.is_some() => {
            return Err(Failure::new("job_ended", "the job has ended"));
        }
        _ => {}
    }
    let command = Command::ClaimJob {
        job: id,
        runner,
        lease,
    };
    scope.submit(command, Vec::new()).await?;
    let job = scope
        .ask(move |engine| {
            let state = engine.state();
            let job = state.jobs().get(&id);
            job.map(|job| wire::job_to_do(state, job))
                .ok_or_else(|| Failure::new("job_ended", "the job has ended"))
        })
        .await?;
    Ok(Json(job))
}
