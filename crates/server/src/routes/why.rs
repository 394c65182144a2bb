//! Why a version is, or is not, in an environment, and when it will be.

use crate::answer::{Answer, Failure, Json};
use crate::body::Query;
use crate::people::People;
use crate::references;
use crate::scope::{Scope, parse_id};
use crate::wire;
use stagegate_api as api;
use stagegate_engine::{Engine, LaneKey, Link, Need, Shown, State, TargetState};
use stagegate_model::{ResourceId, Timestamp};
use std::collections::BTreeMap;
use std::ops::Bound;

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

/// The same for every environment of the deployment, and who waits for whom.
pub(super) async fn chain(
    scope: Scope,
    Query(query): Query<api::WhyChainQuery>,
) -> Answer<Json<api::WhyChain>> {
    let now = scope.now();
    let people = People::of(&scope).await?;
    let look = move |engine: &Engine| ask_chain(engine, &query, now);
    let mut chain = scope.ask(look).await?;
    chain.summary = people.tell(&chain.summary);
    chain.environments.iter_mut().for_each(|it| people.why(it));
    Ok(Json(chain))
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
    let resource = match &query.resource {
        Some(text) => Some(references::target(state, lane, text)?),
        None => None,
    };
    let limit = paged(query.limit);
    let after: Option<ResourceId> = match &query.after {
        Some(text) => Some(parse_id(text, "after")?),
        None => None,
    };
    let page = Shown::Page { after, limit };
    let shown = resource.map_or(page, Shown::Only);
    let link = engine
        .link(lane, version.id, shown, now)
        .ok_or_else(|| Failure::no_such("version", &version.tag))?;
    let mut why = told(engine, &link);
    why.next_target = next_target(engine, &link, limit).filter(|_| resource.is_none());
    Ok(why)
}

fn paged(limit: Option<usize>) -> usize {
    let paging = api::Paging {
        limit,
        offset: None,
    };
    paging.limit()
}

/// Where the targets go on behind those that are told.
fn next_target(engine: &Engine, link: &Link, limit: usize) -> Option<String> {
    let told = &link.explanation.targets;
    let last = told.last().filter(|_| told.len() >= limit)?;
    let lane = engine.state().lane(link.explanation.lane)?;
    let behind = (Bound::Excluded(last.resource), Bound::Unbounded);
    let more = lane.targets.range(behind).next().is_some();
    more.then(|| last.resource.to_string())
}

fn ask_chain(engine: &Engine, query: &api::WhyChainQuery, now: Timestamp) -> Answer<api::WhyChain> {
    let state = engine.state();
    let deployment = references::deployment(state, &query.deployment)?;
    let version = references::version(state, deployment.id, query.version.as_deref())?;
    let limit = paged(query.limit);
    let chain = engine
        .chain(version.id, Shown::Page { after: None, limit }, now)
        .ok_or_else(|| Failure::no_such("version", &version.tag))?;
    Ok(api::WhyChain {
        deployment: wire::deployment_ref(state, chain.deployment),
        version: wire::version_ref(state, chain.version),
        summary: chain.summary.clone(),
        environments: chain
            .links
            .iter()
            .map(|it| api::Why {
                next_target: next_target(engine, it, limit),
                ..told(engine, it)
            })
            .collect(),
    })
}

fn need(state: &State, it: &Need) -> api::Need {
    let environments = it.environments.iter();
    api::Need {
        kind: it.kind.as_str().to_owned(),
        text: it.text.clone(),
        environments: environments
            .map(|id| wire::environment_ref(state, *id))
            .collect(),
        opens: it.opens.clone(),
        who: Some(it.who.clone())
            .filter(|who| !who.is_empty())
            .into_iter()
            .collect(),
        until: it.until.map(|at| at.to_string()),
        since: it.since.map(|at| at.to_string()),
        rule_id: it.rule.map(|id| id.to_string()),
    }
}

fn told(engine: &Engine, link: &Link) -> api::Why {
    let state = engine.state();
    let it = &link.explanation;
    let status = match (it.status, &it.stopped) {
        (Some(status), _) => status.to_string(),
        (None, Some(stopped)) => stopped.code.to_owned(),
        (None, None) => "none".to_owned(),
    };
    api::Why {
        story: link.story.clone(),
        waits_for: link.needs.iter().map(|it| need(state, it)).collect(),
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
                state: word(target.state).to_owned(),
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
        target_counts: {
            let mut counts = BTreeMap::new();
            for (state, count) in &it.tally.counts {
                *counts.entry(word(*state).to_owned()).or_default() += count;
            }
            counts
        },
        next_target: None,
        earliest: it.earliest.map(|at| at.to_string()),
    }
}

fn word(state: TargetState) -> &'static str {
    match state {
        TargetState::Waiting | TargetState::Busy => "pending",
        other => other.as_str(),
    }
}
