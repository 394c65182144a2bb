//! Who waits for whom: a version in every environment of its deployment, each with what it waits for, down to what
//! waits for nothing else.

mod needs;
mod story;

pub use needs::{Need, NeedKind};

use super::{Explanation, Shown, TargetState};
use crate::engine::Engine;
use crate::settle::LaneView;
use crate::state::LaneKey;
use stagegate_model::{
    DeploymentId, EnvironmentId, ResourceId, RuleId, Timestamp, Version, VersionId,
};
use std::collections::{BTreeMap, BTreeSet};

/// A version in every environment of its deployment.
#[derive(Clone, Debug)]
pub struct Chain {
    pub deployment: DeploymentId,
    pub version: VersionId,
    /// What is waited for stands before what waits for it; of those that wait for none, by name.
    pub links: Vec<Link>,
    /// In a few words, from the last environment to what it waits for in the end.
    pub summary: String,
}

/// A version in one environment, or on one target there, and what it waits for.
#[derive(Clone, Debug)]
pub struct Link {
    pub explanation: Explanation,
    /// All that is missing; empty when it is there, or on its way with nothing to wait for.
    pub needs: Vec<Need>,
    /// The environments whose progression rules have it wait, now or not.
    pub behind: Vec<EnvironmentId>,
    /// What it waits for, and what that waits for, to the end.
    pub story: String,
}

impl Link {
    /// Whether every target has the version, or a newer one.
    #[must_use]
    pub fn has_arrived(&self) -> bool {
        let there = [TargetState::Succeeded, TargetState::Newer];
        self.explanation.tally.all(&there)
    }
}

impl Engine {
    /// Why a version stands as it does in each environment that shares a system with its deployment; `None` when the
    /// version or its deployment is gone.
    #[must_use]
    pub fn chain(&self, version: VersionId, shown: Shown, now: Timestamp) -> Option<Chain> {
        let version = self.state.versions.get(&version)?;
        let deployment = self.state.deployments.get(&version.deployment)?;
        let environments = self.state.environments.values();
        let linked = environments.filter(|it| !it.systems.is_disjoint(&deployment.systems));
        let wanted: Vec<EnvironmentId> = linked.map(|it| it.id).collect();
        let mut links = Links::new(self, version, shown, now);
        for environment in &wanted {
            links.look(*environment);
        }
        let order = links.in_order(&wanted);
        let summary = links.story_of_all(&order);
        let links = order
            .iter()
            .filter_map(|id| {
                let story = links.story(*id);
                let link = links.known.get(id)?.clone();
                Some(Link { story, ..link })
            })
            .collect();
        Some(Chain {
            deployment: deployment.id,
            version: version.id,
            links,
            summary,
        })
    }

    /// Why a version stands as it does in one lane, or on one target of it, with all that this waits for; `None` when
    /// one of them is gone or the resource is no target there.
    #[must_use]
    pub fn link(
        &self,
        lane: LaneKey,
        version: VersionId,
        shown: Shown,
        now: Timestamp,
    ) -> Option<Link> {
        let version = self.state.versions.get(&version)?;
        let (explanation, resource) = match shown {
            Shown::Only(resource) => {
                let its = self.explain_target(lane, version.id, resource, now)?;
                (its, Some(resource))
            }
            shown => (self.explain_shown(lane, version.id, shown, now)?, None),
        };
        // Of the environments that it waits for, no target is told.
        let mut links = Links::new(self, version, Shown::NONE, now);
        links.put(explanation, resource)?;
        links.look_behind(lane.environment);
        let story = links.story(lane.environment);
        let link = links.known.remove(&lane.environment)?;
        Some(Link { story, ..link })
    }
}

/// The links that were looked at so far.
struct Links<'e> {
    engine: &'e Engine,
    version: &'e Version,
    /// Which targets of each are told.
    shown: Shown,
    now: Timestamp,
    known: BTreeMap<EnvironmentId, Link>,
    /// Links of one target, and which it is.
    target: BTreeMap<EnvironmentId, ResourceId>,
}

impl<'e> Links<'e> {
    fn new(engine: &'e Engine, version: &'e Version, shown: Shown, now: Timestamp) -> Self {
        Self {
            engine,
            version,
            shown,
            now,
            known: BTreeMap::new(),
            target: BTreeMap::new(),
        }
    }

    fn key(&self, environment: EnvironmentId) -> LaneKey {
        LaneKey {
            deployment: self.version.deployment,
            environment,
        }
    }

    fn look(&mut self, environment: EnvironmentId) {
        if self.known.contains_key(&environment) {
            return;
        }
        let lane = self.key(environment);
        let engine = self.engine;
        let explained = engine.explain_shown(lane, self.version.id, self.shown, self.now);
        if let Some(explanation) = explained {
            self.put(explanation, None);
        }
    }

    fn put(&mut self, explanation: Explanation, resource: Option<ResourceId>) -> Option<()> {
        let environment = explanation.lane.environment;
        let view = LaneView::new(self.engine, explanation.lane)?;
        let stored = resource.and_then(|id| self.engine.state.resource(id));
        let upstreams = upstreams(&view, self.version, stored.map(|it| &**it));
        let needs = needs::of(self.engine, self.version, &explanation, &upstreams);
        let behind: BTreeSet<EnvironmentId> = upstreams.into_values().flatten().collect();
        let link = Link {
            needs,
            behind: behind.into_iter().collect(),
            story: String::new(),
            explanation,
        };
        self.known.insert(environment, link);
        self.target.extend(resource.map(|id| (environment, id)));
        Some(())
    }

    /// Looks at all that a link waits for, and at what that waits for.
    fn look_behind(&mut self, environment: EnvironmentId) {
        let mut todo = vec![environment];
        let mut seen = BTreeSet::new();
        while let Some(id) = todo.pop() {
            if !seen.insert(id) {
                continue;
            }
            self.look(id);
            let needs = self.known.get(&id).into_iter().flat_map(|it| &it.needs);
            todo.extend(needs.flat_map(|need| need.environments.iter().copied()));
        }
    }

    /// What is waited for before what waits for it; what waits for itself in the end comes last.
    fn in_order(&self, wanted: &[EnvironmentId]) -> Vec<EnvironmentId> {
        let name = |id: &EnvironmentId| self.name(*id).to_owned();
        let mut left: Vec<EnvironmentId> = wanted.to_vec();
        left.sort_by_key(|id| (name(id), *id));
        let mut order: Vec<EnvironmentId> = Vec::new();
        while !left.is_empty() {
            let ready = left.iter().position(|id| {
                let behind = self.known.get(id).map_or(&[][..], |it| &it.behind);
                behind
                    .iter()
                    .all(|it| order.contains(it) || !left.contains(it))
            });
            order.push(left.remove(ready.unwrap_or(0)));
        }
        order
    }

    fn name(&self, environment: EnvironmentId) -> &'e str {
        let known = self.engine.state.environments.get(&environment);
        known.map_or("", |it| it.name.as_str())
    }
}

/// The environments that each progression rule waits for, on some target at least; where the deployment has targets in
/// some of them, the others do not matter.
fn upstreams(
    view: &LaneView<'_>,
    version: &Version,
    resource: Option<&crate::state::PackedResource>,
) -> BTreeMap<RuleId, Vec<EnvironmentId>> {
    let state = &view.engine.state;
    let classes = view.classes();
    let mut resources: Vec<_> = match resource {
        Some(resource) => vec![Some(resource)],
        None => classes
            .iter()
            .map(|it| it.representative.as_deref())
            .collect(),
    };
    if resources.is_empty() {
        resources.push(None);
    }
    let has_targets = |environment: EnvironmentId| {
        let lane = state.lane(LaneKey {
            deployment: view.key.deployment,
            environment,
        });
        lane.is_some_and(|lane| lane.targets.values().any(|it| !it.leaving()))
    };
    let mut found = BTreeMap::new();
    for resource in resources {
        for applicable in view.applicable(version, resource) {
            for rule in &applicable.policy.rules {
                let Ok(evaluator) = &rule.evaluator else {
                    continue;
                };
                let Some(progression) = evaluator.progression() else {
                    continue;
                };
                let all = progression.upstreams(state, view.environment);
                let all: Vec<EnvironmentId> = all.map(|it| it.id).collect();
                let some = all.iter().copied().filter(|id| has_targets(*id));
                let some: Vec<EnvironmentId> = some.collect();
                found.insert(rule.id, if some.is_empty() { all } else { some });
            }
        }
    }
    found
}
