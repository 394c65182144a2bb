//! Why a version is, or is not, in an environment, and when it will be.

use crate::answer::{Answer, Failure, Json};
use crate::archive;
use crate::body::Query;
use crate::people::People;
use crate::references;
use crate::scope::{Scope, parse_id};
use crate::wire;
use stagegate_api as api;
use stagegate_controller::Looking;
use stagegate_engine::{Engine, LaneKey, Link, Need, Release, Shown, State, TargetState};
use stagegate_model::{ResourceId, Timestamp};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Of how many targets the variables are read that have left memory.
const VARIABLES_READ_MAX: usize = 1_000;

pub(super) async fn get(
    scope: Scope,
    Query(query): Query<api::WhyQuery>,
) -> Answer<Json<api::Why>> {
    let now = scope.now();
    let look = move |looking: &Looking<'_>| {
        let people = People::stored(looking.store(), looking.workspace())?;
        let told = looking.at(|engine| ask(engine, &query, now))??;
        let mut why = told.complete(looking)?;
        people.why(&mut why);
        Ok(why)
    };
    Ok(Json(scope.look(look).await?))
}

/// The same for every environment of the deployment, and who waits for whom.
pub(super) async fn chain(
    scope: Scope,
    Query(query): Query<api::WhyChainQuery>,
) -> Answer<Json<api::WhyChain>> {
    let now = scope.now();
    let look = move |looking: &Looking<'_>| {
        let people = People::stored(looking.store(), looking.workspace())?;
        let (mut chain, environments) = looking.at(|engine| ask_chain(engine, &query, now))??;
        for told in environments {
            chain.environments.push(told.complete(looking)?);
        }
        chain.summary = people.tell(&chain.summary);
        chain.environments.iter_mut().for_each(|it| people.why(it));
        Ok(chain)
    };
    Ok(Json(scope.look(look).await?))
}

fn ask(engine: &Engine, query: &api::WhyQuery, now: Timestamp) -> Answer<Told> {
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
    let shown = resource.map_or(Shown::Page { after, limit }, Shown::Only);
    let link = engine
        .link(lane, version.id, shown, now)
        .ok_or_else(|| Failure::no_such("version", &version.tag))?;
    let page = resource.is_none().then_some(limit);
    Ok(told(engine, &link, page))
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
    let more = lane.targets.behind(Some(&last.resource)).next().is_some();
    more.then(|| last.resource.to_string())
}

fn ask_chain(
    engine: &Engine,
    query: &api::WhyChainQuery,
    now: Timestamp,
) -> Answer<(api::WhyChain, Vec<Told>)> {
    let state = engine.state();
    let deployment = references::deployment(state, &query.deployment)?;
    let version = references::version(state, deployment.id, query.version.as_deref())?;
    let limit = paged(query.limit);
    let chain = engine
        .chain(version.id, Shown::Page { after: None, limit }, now)
        .ok_or_else(|| Failure::no_such("version", &version.tag))?;
    let links = chain.links.iter();
    let environments = links.map(|it| told(engine, it, Some(limit))).collect();
    let whole = api::WhyChain {
        deployment: wire::deployment_ref(state, chain.deployment),
        version: wire::version_ref(state, chain.version),
        summary: chain.summary.clone(),
        environments: Vec::new(),
    };
    Ok((whole, environments))
}

/// An answer, but for what has left memory.
struct Told {
    why: api::Why,
    /// Releases of which the variables are to be told, by the places of their targets.
    gone: Vec<(usize, Uuid)>,
}

impl Told {
    fn complete(self, looking: &Looking<'_>) -> Answer<api::Why> {
        let mut why = self.why;
        let ids = self.gone.iter().map(|(_, id)| *id);
        let (store, workspace) = (looking.store(), looking.workspace());
        let found: BTreeMap<_, Release> = archive::stored(store, workspace, "release", ids)?;
        for (place, id) in self.gone {
            if let (Some(target), Some(release)) = (why.targets.get_mut(place), found.get(&id)) {
                target.variables = wire::resolved_variables(&release.variables);
            }
        }
        Ok(why)
    }
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

/// `page`: of how many targets it tells, where that is not all.
fn told(engine: &Engine, link: &Link, page: Option<usize>) -> Told {
    let state = engine.state();
    let it = &link.explanation;
    let status = match (it.status, &it.stopped) {
        (Some(status), _) => status.to_string(),
        (None, Some(stopped)) => stopped.code.to_owned(),
        (None, None) => "none".to_owned(),
    };
    let latest = |resource| {
        let target = state.lane(it.lane)?.targets.get(&resource)?;
        state.latest(target)
    };
    let gone = it.targets.iter().enumerate().filter_map(|(place, target)| {
        let latest = latest(target.resource).filter(|it| it.variables)?;
        let there = state.releases().contains_key(&latest.id);
        (!there).then_some((place, latest.id.0))
    });
    let gone = gone.take(VARIABLES_READ_MAX).collect();
    let why = api::Why {
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
                    .map_or_else(|| target.resource.to_string(), |it| it.name().to_owned()),
                current: target.current.map(|id| wire::tag(state, id)),
                latest: target.latest.map(|id| wire::tag(state, id)),
                state: word(target.state).to_owned(),
                kind: target.kind.and_then(wire::departure),
                reason: Some(target.reason.clone()).filter(|reason| !reason.is_empty()),
                gates: target.gates.iter().map(wire::gate).collect(),
                variables: state
                    .lane(it.lane)
                    .and_then(|lane| lane.targets.get(&target.resource)?.latest())
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
        next_target: page.and_then(|limit| next_target(engine, link, limit)),
        earliest: it.earliest.map(|at| at.to_string()),
    };
    Told { why, gone }
}

fn word(state: TargetState) -> &'static str {
    match state {
        TargetState::Waiting | TargetState::Busy => "pending",
        other => other.as_str(),
    }
}
