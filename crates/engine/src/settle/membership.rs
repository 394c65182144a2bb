//! Which resources are targets of which lanes.

use super::Turn;
use crate::state::{LaneKey, PackedResource, State};
use stagegate_model::{Deployment, Environment, Fact, ResourceId};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Turn<'_> {
    /// Decides membership for one dirty environment, deployment or all dirty resources. Gives whether it did.
    pub(super) fn settle_membership(&mut self) -> bool {
        let state = &mut self.engine.state;
        if let Some(id) = state.dirty.environments.pop_first() {
            let lanes = lanes_where(state, |lane| lane.environment == id);
            self.decide_lanes(&lanes);
        } else if let Some(id) = state.dirty.deployments.pop_first() {
            let lanes = lanes_where(state, |lane| lane.deployment == id);
            self.decide_lanes(&lanes);
        } else if !state.dirty.resources.is_empty() {
            let resources = std::mem::take(&mut state.dirty.resources);
            let lanes = lanes_where(state, |_| true);
            for lane in lanes {
                self.decide_lane(lane, &resources);
            }
        } else {
            return false;
        }
        true
    }

    fn decide_lanes(&mut self, lanes: &[LaneKey]) {
        for lane in lanes {
            let resources = self.possible(*lane);
            self.decide_lane(*lane, &resources);
        }
    }

    /// The resources that may be or become targets of a lane, or cease to be.
    fn possible(&self, key: LaneKey) -> BTreeSet<ResourceId> {
        let state = self.state();
        let selectors = self.engine.compiled.selectors(key);
        let candidates = match selectors {
            Some(selectors) => self.engine.resources.candidates(&selectors),
            // One that does not compile takes nothing.
            None => Some(Vec::new()),
        };
        let mut possible: BTreeSet<ResourceId> = match candidates {
            Some(candidates) => candidates.into_iter().collect(),
            None => state.resources.keys().copied().collect(),
        };
        let targets = state.lane(key).into_iter().flat_map(|it| it.targets.keys());
        possible.extend(targets);
        possible
    }

    fn decide_lane(&mut self, lane: LaneKey, resources: &BTreeSet<ResourceId>) {
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        let state = self.state();
        let linked = linked(state, lane);
        for id in resources {
            let target = state.lane(lane).and_then(|lane| lane.targets.get(id));
            let stored = state.resources.get(id).filter(|stored| !stored.deleted);
            let member = match (&linked, stored) {
                (Some((environment, deployment)), Some(stored)) => {
                    self.takes(environment, deployment, &stored.resource)
                }
                _ => false,
            };
            match (member, target) {
                (true, None) => joined.push(*id),
                (true, Some(target)) if target.leaving() => joined.push(*id),
                (false, Some(target)) if !target.leaving() || target.active().is_none() => {
                    left.push(*id)
                }
                _ => {}
            }
        }
        let LaneKey {
            deployment,
            environment,
        } = lane;
        for resource in &left {
            self.end_retry(
                lane,
                *resource,
                "the resource is no release target any more",
            );
        }
        if !left.is_empty() {
            self.push(Fact::TargetsLeft {
                deployment,
                environment,
                resources: left,
            });
        }
        if !joined.is_empty() {
            self.push(Fact::TargetsJoined {
                deployment,
                environment,
                resources: joined,
            });
        }
    }

    fn takes(
        &self,
        environment: &Environment,
        deployment: &Deployment,
        resource: &PackedResource,
    ) -> bool {
        self.engine
            .compiled
            .takes(environment, deployment, resource)
    }
}

/// The environment and deployment of a lane, if both exist and share a system.
fn linked(state: &State, lane: LaneKey) -> Option<(Arc<Environment>, Arc<Deployment>)> {
    let environment = state.environments.get(&lane.environment)?;
    let deployment = state.deployments.get(&lane.deployment)?;
    let share = !environment.systems.is_disjoint(&deployment.systems);
    share.then(|| (Arc::clone(environment), Arc::clone(deployment)))
}

/// Every lane there is or could be.
fn lanes_where(state: &State, wanted: impl Fn(LaneKey) -> bool) -> Vec<LaneKey> {
    let mut lanes: BTreeSet<LaneKey> = state
        .lanes
        .keys()
        .copied()
        .filter(|lane| wanted(*lane))
        .collect();
    for deployment in state.deployments.values() {
        for environment in state.environments.values() {
            let lane = LaneKey {
                deployment: deployment.id,
                environment: environment.id,
            };
            if wanted(lane) && !environment.systems.is_disjoint(&deployment.systems) {
                lanes.insert(lane);
            }
        }
    }
    lanes.into_iter().collect()
}
