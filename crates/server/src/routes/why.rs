//! Why a version is, or is not, in an environment, and when it will be.

use crate::answer::{Answer, Failure, Json};
use crate::body::Query;
use crate::people::People;
use crate::references;
use crate::scope::Scope;
use crate::wire;
use stagegate_api as api;
use stagegate_engine::{Engine, Explanation, LaneKey, TargetState};
use stagegate_model::Timestamp;

pub(super) async fn get(
    scope: Scope,
    Query(query): Query<api::WhyQuery>,
) -> Answer<Json<api::Why>> {
    let now = scope.now();
    let people = People::of(&scope).await?;
    let mut why = scope.ask(move |engine| ask(engine, &query, now)).await?;
    people.why(&mut why);
    Ok(Json(why))
}

fn ask(engine: &Engine, query: &api::WhyQuery, now: Timestamp) -> Answer<api::Why> {
    let state = engine.state();
    let deployment = references::deployment(state, &query.deployment)?;
    let environment = references::environment(state, &query.environment)?;
    let version = references::version(state, deployment.id, query.version.as_deref())?;
    let lane = LaneKey {
        deployment: deployment.id,
        environment: environment.id,
    };
    let explanation = engine
        .explain(lane, version.id, now)
        .ok_or_else(|| Failure::no_such("version", &version.tag))?;
    Ok(told(engine, &explanation))
}

fn told(engine: &Engine, it: &Explanation) -> api::Why {
    let state = engine.state();
    let status = match (it.status, &it.stopped) {
        (Some(status), _) => status.to_string(),
        (None, Some(stopped)) => stopped.code.to_owned(),
        (None, None) => "none".to_owned(),
    };
    api::Why {
        deployment: wire::deployment_ref(state, it.lane.deployment),
        environment: wire::environment_ref(state, it.lane.environment),
        version: wire::version_ref(state, it.version),
        promotion: it.promotion.map(|id| id.to_string()),
        status,
        summary: it.summary.clone(),
        gates: it.gates.iter().map(wire::gate).collect(),
        targets: it
            .targets
            .iter()
            .map(|target| api::WhyTarget {
                resource: state
                    .resource(target.resource)
                    .map_or_else(|| target.resource.to_string(), |it| it.name.clone()),
                current: target.current.map(|id| wire::tag(state, id)),
                latest: target.latest.map(|id| wire::tag(state, id)),
                state: match target.state {
                    TargetState::Waiting | TargetState::Busy => "pending",
                    other => other.as_str(),
                }
                .to_owned(),
                kind: target.kind.and_then(wire::departure),
                reason: Some(target.reason.clone()).filter(|reason| !reason.is_empty()),
                gates: target.gates.iter().map(wire::gate).collect(),
                variables: state
                    .lane(it.lane)
                    .and_then(|lane| lane.targets.get(&target.resource)?.latest)
                    .and_then(|id| state.releases().get(&id))
                    .map(|release| wire::resolved_variables(&release.variables))
                    .unwrap_or_default(),
            })
            .collect(),
        earliest: it.earliest.map(|at| at.to_string()),
    }
}
