//! Folding variables. What has started keeps the values it started with; what is marked here is what waits for a
//! value, and what is redeployed when one changes.

use super::super::{LaneKey, State};
use stagegate_model::Fact;
use std::sync::Arc;

impl State {
    pub(super) fn apply_variables(&mut self, fact: &Fact) {
        match fact {
            Fact::VariablePut { variable } => {
                self.variables.put(variable);
                self.touch_configured(|key| key.deployment == variable.deployment);
            }
            Fact::VariableDeleted { id } => {
                let deployment = self.variables.remove(*id);
                self.touch_configured(|key| Some(key.deployment) == deployment);
            }
            Fact::VariableSetPut { set } => {
                self.variables.sets.insert(set.id, Arc::new(set.clone()));
                self.touch_declaring();
            }
            Fact::VariableSetDeleted { id } => {
                self.variables.sets.remove(id);
                self.touch_declaring();
            }
            Fact::ResourceVariablesPut {
                resource,
                variables,
            } => {
                self.variables.put_resource(*resource, variables);
                let lanes = self.lanes.iter();
                let lanes = lanes.filter(|(_, lane)| lane.targets.contains_key(resource));
                let lanes: Vec<LaneKey> = lanes.map(|(key, _)| *key).collect();
                self.dirty.configured.extend(&lanes);
                self.dirty.lanes.extend(lanes);
            }
            Fact::RelationshipRulePut { rule } => {
                self.variables.rules.insert(rule.id, Arc::new(rule.clone()));
                self.touch_declaring();
            }
            Fact::RelationshipRuleDeleted { id } => {
                self.variables.rules.remove(id);
                self.touch_declaring();
            }
            _ => {}
        }
    }

    fn touch_configured(&mut self, which: impl Fn(&LaneKey) -> bool) {
        let lanes: Vec<LaneKey> = self.lanes.keys().copied().filter(which).collect();
        self.dirty.configured.extend(&lanes);
        self.dirty.lanes.extend(lanes);
    }

    /// Marks the lanes of every deployment that declares variables.
    fn touch_declaring(&mut self) {
        let declaring: Vec<_> = self.variables.declared.keys().copied().collect();
        self.touch_configured(|key| declaring.binary_search(&key.deployment).is_ok());
    }

    /// A resource changed to which references may lead: marks the lanes where that may change what is decided. What
    /// neither waits for a value nor is redeployed by itself is left alone, however many targets there are.
    pub(super) fn touch_referring(&mut self) {
        if self.variables.rules.is_empty() {
            return;
        }
        let referring = |key: &LaneKey| {
            let redeploys = self
                .deployments
                .get(&key.deployment)
                .is_some_and(|it| it.redeploy_on_variable_change);
            let blocked = || {
                self.lanes
                    .get(key)
                    .is_some_and(|lane| lane.targets.values().any(|it| it.block().is_some()))
            };
            self.variables.follows_references(key.deployment) && (redeploys || blocked())
        };
        let lanes: Vec<LaneKey> = self.lanes.keys().copied().filter(referring).collect();
        self.dirty.configured.extend(&lanes);
        self.dirty.lanes.extend(lanes);
    }
}
