//! When a version will be where, if approvals and jobs take their usual time.

use crate::answer::{Answer, Failure, Json};
use crate::archive::{self, Source};
use crate::body::Query;
use crate::people::People;
use crate::references;
use crate::scope::Scope;
use crate::wire;
use stagegate_api as api;
use stagegate_engine::{
    Assumption, Engine, Expected, Forecast, Given, HORIZON_DAYS, History, Job, State, Subject,
};
use stagegate_model::{JobStatus, VersionId};
use tokio::sync::Semaphore;

/// How many of the jobs that left memory last are looked at for how long they took; those in memory all are.
const ARCHIVED_JOBS_MAX: usize = 2_000;
/// The longest time that a caller may give, in seconds.
const GIVEN_SECONDS_MAX: u64 = 366 * 86_400;
/// How many forecasts are made at a time: each keeps a processor busy, and a copy of the workspace in memory.
static AT_A_TIME: Semaphore = Semaphore::const_new(2);

/// A copy is driven forward, beside the threads that decide and answer.
pub(super) async fn get(
    scope: Scope,
    Query(query): Query<api::ForecastQuery>,
) -> Answer<Json<api::Forecast>> {
    let given = Given {
        approval: millis("approvalSeconds", query.approval_seconds)?,
        job: millis("jobSeconds", query.job_seconds)?,
    };
    let now = scope.now();
    let people = People::of(&scope).await?;
    // What is unknown is refused before anything is copied.
    let sought = query.clone();
    scope
        .ask(move |engine| version(engine.state(), &sought))
        .await?;
    let ended = archive::listed(
        &scope,
        "job",
        Source::Recent,
        ARCHIVED_JOBS_MAX,
        |it: &Job| it.status == JobStatus::Successful,
    );
    let ended = ended.await?;
    let _turn = AT_A_TIME.acquire().await.map_err(|_| Failure::internal())?;
    let look = move |engine: &Engine| {
        version(engine.state(), &query).map(|version| (version, engine.clone()))
    };
    let (version, copy) = scope.ask(look).await?;
    let driven = tokio::task::spawn_blocking(move || {
        let mut history = History::of(copy.state());
        let archived = ended.iter();
        let archived = archived.filter(|it| !copy.state().jobs().contains_key(&it.id));
        archived.for_each(|it| history.add_job(it));
        copy.forecast(version, &history, given, now)
    });
    let forecast = driven.await.map_err(|_| Failure::internal())?;
    let forecast = forecast.ok_or_else(|| Failure::no_such("version", version))?;
    let told = scope
        .read(move |engine| told(engine.state(), &forecast))
        .await?;
    let environments = told.environments.into_iter();
    Ok(Json(api::Forecast {
        environments: environments
            .map(|it| api::ForecastEnvironment {
                because: people.tell(&it.because),
                ..it
            })
            .collect(),
        ..told
    }))
}

fn version(state: &State, query: &api::ForecastQuery) -> Answer<VersionId> {
    let deployment = references::deployment(state, &query.deployment)?;
    let version = references::version(state, deployment.id, query.version.as_deref())?;
    Ok(version.id)
}

fn millis(field: &str, seconds: Option<u64>) -> Answer<Option<i64>> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    let millis = seconds
        .checked_mul(1_000)
        .and_then(|it| i64::try_from(it).ok());
    match millis.filter(|_| seconds <= GIVEN_SECONDS_MAX) {
        Some(millis) => Ok(Some(millis)),
        None => {
            let message = format!("`{seconds}` seconds are more than a year");
            Err(Failure::new("invalid_value", message).at(field))
        }
    }
}

fn told(state: &State, it: &Forecast) -> api::Forecast {
    let until = it.from.plus_seconds(HORIZON_DAYS * 86_400);
    api::Forecast {
        deployment: wire::deployment_ref(state, it.deployment),
        version: wire::version_ref(state, it.version),
        from: it.from.to_string(),
        until: until.to_string(),
        environments: it
            .environments
            .iter()
            .map(|it| environment(state, it))
            .collect(),
        assumptions: it
            .assumptions
            .iter()
            .map(|it| assumption(state, it))
            .collect(),
        presumed: [
            "every job succeeds, and a runner is there for each",
            "every measurement passes and takes no time",
            "nobody rejects, pauses, cancels or changes anything",
            "no newer version comes, and nobody approves another one",
        ]
        .map(str::to_owned)
        .to_vec(),
    }
}

fn environment(state: &State, it: &Expected) -> api::ForecastEnvironment {
    api::ForecastEnvironment {
        environment: wire::environment_ref(state, it.environment),
        outcome: it.outcome.as_str().to_owned(),
        targets: it.targets,
        reached: it.reached,
        first: it.first.map(|at| at.to_string()),
        all: it.all.map(|at| at.to_string()),
        because: it.because.clone(),
    }
}

fn assumption(state: &State, it: &Assumption) -> api::ForecastAssumption {
    let (kind, deployment, environment) = match it.subject {
        Subject::Approval(environment) => ("approval", None, environment),
        Subject::Job(lane) => ("job", Some(lane.deployment), lane.environment),
    };
    // Far below what a number can hold exactly.
    #[expect(clippy::cast_precision_loss)]
    let seconds = it.millis.map(|millis| millis as f64 / 1000.0);
    api::ForecastAssumption {
        kind: kind.to_owned(),
        deployment: deployment.map(|id| wire::deployment_ref(state, id)),
        environment: wire::environment_ref(state, environment),
        seconds,
        samples: it.samples,
        source: it.source.as_str().to_owned(),
    }
}
