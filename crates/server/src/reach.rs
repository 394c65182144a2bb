//! Where policies and freezes may apply, as far as environment, deployment and system say.

use crate::wire;
use stagegate_api as api;
use stagegate_engine::{Engine, State};
use stagegate_model::{EnvironmentId, PolicyId};
use std::collections::{BTreeMap, BTreeSet};

/// The environments in which each policy, or freeze by its id, may apply.
pub(crate) struct Reach(BTreeMap<PolicyId, BTreeSet<EnvironmentId>>);

impl Reach {
    pub fn of(engine: &Engine) -> Self {
        let mut reach: BTreeMap<PolicyId, BTreeSet<EnvironmentId>> = BTreeMap::new();
        for lane in engine.state().lanes().keys() {
            for policy in engine.policies_in(*lane) {
                reach.entry(policy).or_default().insert(lane.environment);
            }
        }
        Self(reach)
    }

    pub fn contains(&self, policy: PolicyId, environment: EnvironmentId) -> bool {
        self.0
            .get(&policy)
            .is_some_and(|it| it.contains(&environment))
    }

    /// By their names.
    pub fn environments(&self, state: &State, policy: PolicyId) -> Vec<api::EnvironmentRef> {
        let ids = self.0.get(&policy).into_iter().flatten();
        let mut environments: Vec<_> = ids.map(|id| wire::environment_ref(state, *id)).collect();
        environments.sort_by_key(|it| it.name.to_lowercase());
        environments
    }
}
