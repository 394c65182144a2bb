//! What a change of configuration would do at once, in words of the API.

use crate::people::People;
use stagegate_api as api;
use stagegate_engine::{Consequences, LaneKey, State};
use stagegate_model::{ResourceId, VersionId};
use std::collections::BTreeMap;

/// Resources that are named of several, at most.
const NAMED_MAX: usize = 20;
/// Gates, or jobs, or promotions that are told, at most.
const TOLD_MAX: usize = 1_000;

/// `state` is as it would be afterwards.
pub(super) fn effects(consequences: Consequences, state: &State, people: &People) -> api::Effects {
    let names = Names(state);
    let mut more = consequences.more || consequences.lanes_left_out > 0;
    let mut cut = |length: usize| more |= length > TOLD_MAX;
    cut(consequences.gates.len());
    cut(consequences.jobs.len());
    cut(consequences.ending.len());
    let mut orders: BTreeMap<(LaneKey, VersionId, &str), Vec<ResourceId>> = BTreeMap::new();
    for (target, version, kind) in &consequences.orders {
        let lane = LaneKey::from(*target);
        let key = (lane, *version, kind.as_str());
        orders.entry(key).or_default().push(target.resource);
    }
    let targets = |lanes: BTreeMap<LaneKey, _>| {
        let told = lanes.into_iter().map(|(lane, resources)| {
            let resources: std::collections::BTreeSet<ResourceId> = resources;
            api::TargetsEffect {
                deployment: names.deployment(lane),
                environment: names.environment(lane),
                count: resources.len(),
                resources: names.resources(resources.into_iter()),
            }
        });
        told.collect()
    };
    let jobs = |lane, version, kind: &str, resources: &[ResourceId]| api::JobsEffect {
        deployment: names.deployment(lane),
        environment: names.environment(lane),
        version: names.version(version),
        kind: kind.to_owned(),
        count: resources.len(),
        resources: names.resources(resources.iter().copied()),
    };
    let gates = consequences.gates.iter().take(TOLD_MAX);
    let ending = consequences.ending.iter().take(TOLD_MAX);
    let starting = consequences.jobs.iter().take(TOLD_MAX);
    api::Effects {
        gates: gates
            .map(|it| api::GateEffect {
                deployment: names.deployment(it.lane),
                environment: names.environment(it.lane),
                version: names.version(it.version),
                policy: it.policy.clone(),
                rule: it.kind.to_owned(),
                from: standing(it.was_open).to_owned(),
                to: standing(it.opens).to_owned(),
                message: people.tell(&it.message),
            })
            .collect(),
        jobs: starting
            .map(|it| jobs(it.lane, it.version, it.kind.as_str(), &it.resources))
            .collect(),
        orders: orders
            .iter()
            .map(|((lane, version, kind), resources)| jobs(*lane, *version, kind, resources))
            .collect(),
        promotions_ending: ending
            .map(|it| api::PromotionEffect {
                id: it.promotion.to_string(),
                deployment: names.deployment(it.lane),
                environment: names.environment(it.lane),
                version: names.version(it.version),
                status: it.status.to_string(),
                reason: people.tell(&it.reason),
            })
            .collect(),
        targets_joining: targets(consequences.joining),
        targets_leaving: targets(consequences.leaving),
        more,
    }
}

fn standing(open: Option<bool>) -> &'static str {
    match open {
        None => "none",
        Some(true) => "open",
        Some(false) => "shut",
    }
}

/// What things are called; what is gone is called by its id.
pub(super) struct Names<'s>(pub &'s State);

impl Names<'_> {
    pub fn deployment(&self, lane: LaneKey) -> String {
        let known = self.0.deployments().get(&lane.deployment);
        known.map_or_else(|| lane.deployment.to_string(), |it| it.name.clone())
    }

    pub fn environment(&self, lane: LaneKey) -> String {
        let known = self.0.environments().get(&lane.environment);
        known.map_or_else(|| lane.environment.to_string(), |it| it.name.clone())
    }

    pub fn version(&self, id: VersionId) -> String {
        let known = self.0.versions().get(&id);
        known.map_or_else(|| id.to_string(), |it| it.tag.clone())
    }

    fn resources(&self, ids: impl Iterator<Item = ResourceId>) -> Vec<String> {
        let named = ids.take(NAMED_MAX).map(|id| {
            let known = self.0.resource(id);
            known.map_or_else(|| id.to_string(), |it| it.identifier().to_owned())
        });
        named.collect()
    }
}
