//! Jobs, in memory or ended long ago, and what agents report of them.

use crate::answer::{Accepted, Answer, Failure, Json, accepted};
use crate::archive::{self, Source};
use crate::body::{Body, Query};
use crate::pages::{FromMemory, fill_up};
use crate::scope::Scope;
use crate::wire;
use stagegate_api as api;
use stagegate_engine::{Job, Release};
use stagegate_model::{Command, JobExit, JobId, JobReport, JobStatus};

/// Newest first.
pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::JobWithRelease>>> {
    let memory = scope
        .read(move |engine| {
            // Ids grow in the order in which jobs are made.
            let jobs = engine.state().jobs();
            let newest = jobs.values().rev().skip(paging.offset());
            FromMemory {
                items: newest
                    .take(paging.limit())
                    .map(|it| (**it).clone())
                    .collect(),
                total: jobs.len(),
            }
        })
        .await?;
    let page = fill_up(&scope, "job", Source::Recent, paging, memory, |_| true).await?;
    with_releases(&scope, page).await.map(Json)
}

/// Joins jobs with their releases, of which some have left memory.
async fn with_releases(
    scope: &Scope,
    page: api::Page<Job>,
) -> Answer<api::Page<api::JobWithRelease>> {
    let wanted: Vec<_> = page.items.iter().map(|job| job.release).collect();
    let missing = scope
        .read(move |engine| {
            let releases = engine.state().releases();
            let missing = wanted.iter().filter(|id| !releases.contains_key(id));
            missing.copied().collect::<Vec<_>>()
        })
        .await?;
    let missing = missing.iter().map(|id| id.0).collect();
    let archived = archive::several::<Release>(scope, "release", missing).await?;
    let (limit, offset, total) = (page.limit, page.offset, page.total);
    let items = scope
        .read(move |engine| {
            let join = |job: &Job| {
                wire::job_with_release(engine.state(), job, archived.get(&job.release.0))
            };
            page.items.iter().map(join).collect()
        })
        .await?;
    Ok(api::Page {
        items,
        limit,
        offset,
        total,
    })
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::Job>> {
    let job = find(&scope, scope.id("jobId")?).await?;
    Ok(Json(wire::job(&job)))
}

pub(super) async fn get_with_release(scope: Scope) -> Answer<Json<api::JobWithRelease>> {
    let job = find(&scope, scope.id("jobId")?).await?;
    let page = api::Page::cut([job], 1, 0);
    let joined = with_releases(&scope, page).await?.items.pop();
    joined.map(Json).ok_or_else(Failure::internal)
}

/// A job, wherever it is.
pub(super) async fn find(scope: &Scope, id: JobId) -> Answer<Job> {
    let known = scope
        .read(move |engine| engine.state().jobs().get(&id).cloned())
        .await?;
    match known {
        Some(job) => Ok(*job),
        None => archived(scope, id)
            .await?
            .ok_or_else(|| Failure::no_such("job", id)),
    }
}

/// A job that has left memory.
pub(super) async fn archived(scope: &Scope, id: JobId) -> Answer<Option<Job>> {
    archive::one(scope, "job", id.0).await
}

/// A report that comes late or twice is answered like the first and changes nothing.
pub(super) async fn report(
    scope: Scope,
    Body(body): Body<api::JobReport>,
) -> Answer<Accepted<api::Accepted>> {
    let id: JobId = scope.id("jobId")?;
    let said = status(&body.status)?;
    let dropped = said.is_terminal() && body.output_tail.is_some();
    let report = JobReport {
        job: id,
        status: said,
        epoch: body.epoch,
        exit: body.exit.map(|exit| JobExit {
            code: exit.code,
            signal: exit.signal,
        }),
        links: body.links,
        message: body.message.unwrap_or_default(),
        runner: body.runner,
        external_id: body.external_id,
        output_tail: body.output_tail,
    };
    match scope.submit(Command::ReportJob(report), Vec::new()).await {
        Ok(_) => {
            // What was live is in the log now.
            if dropped {
                scope.app.outputs().drop_of((scope.workspace(), id));
            }
            Ok(accepted(id, "the report was recorded"))
        }
        Err(failure) if failure.0.code == "job_not_found" => match archived(&scope, id).await? {
            Some(job) => {
                let late = Command::ReportArchivedJob {
                    job: id,
                    status: said,
                    standing: job.status,
                };
                scope.submit(late, Vec::new()).await?;
                Ok(accepted(
                    id,
                    &format!(
                        "the job ended before: {}; the report changed nothing",
                        job.status
                    ),
                ))
            }
            None => Err(failure),
        },
        Err(failure) => Err(failure),
    }
}

/// A job's status by its word.
pub(super) fn status(text: &str) -> Answer<JobStatus> {
    JobStatus::parse(text).ok_or_else(|| {
        let known: Vec<_> = JobStatus::ALL.iter().map(|it| it.as_str()).collect();
        Failure::new("invalid_status", format!("a job has no status `{text}`"))
            .at("status")
            .hint(format!("the statuses are: {}", known.join(", ")))
    })
}
