//! Variables as they are declared and set, and how resources are related.

use serde::{Deserialize, Serialize};
use stagegate_model::{
    DeploymentId, DeploymentVariable, DeploymentVariableValue, RelationshipRule,
    RelationshipRuleId, ResourceId, VariableId, VariableSet, VariableSetId, VariableValue,
    VariableValueId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that variables are resolved from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct VariableBook {
    pub(crate) variables: BTreeMap<VariableId, Arc<DeploymentVariable>>,
    /// By deployment and key; follows from the variables.
    pub(crate) declared: BTreeMap<DeploymentId, BTreeMap<String, VariableId>>,
    /// To which variable a value belongs; follows from the variables.
    pub(crate) owners: BTreeMap<VariableValueId, VariableId>,
    pub(crate) sets: BTreeMap<VariableSetId, Arc<VariableSet>>,
    pub(crate) of_resources: BTreeMap<ResourceId, Arc<BTreeMap<String, VariableValue>>>,
    /// Resources with a variable that is a reference; follows from their variables.
    pub(crate) referring: BTreeSet<ResourceId>,
    pub(crate) rules: BTreeMap<RelationshipRuleId, Arc<RelationshipRule>>,
}

/// Whether a value is looked up in another resource.
fn refers(value: &VariableValue) -> bool {
    matches!(value, VariableValue::Reference(_))
}

/// Every value that a deployment's variable may have.
pub(crate) fn values_of(variable: &DeploymentVariable) -> impl Iterator<Item = &VariableValue> {
    let values = variable.values.iter().map(|it| &it.value);
    variable.default.iter().chain(values)
}

/// Reads for faces: everything in the order of its key.
impl VariableBook {
    #[must_use]
    pub fn get(&self, id: VariableId) -> Option<&Arc<DeploymentVariable>> {
        self.variables.get(&id)
    }

    /// What a deployment declares, in the order of the keys.
    pub fn of_deployment(
        &self,
        deployment: DeploymentId,
    ) -> impl Iterator<Item = &Arc<DeploymentVariable>> {
        let declared = self.declared.get(&deployment).into_iter().flatten();
        declared.filter_map(|(_, id)| self.variables.get(id))
    }

    /// A value with the variable that it belongs to.
    #[must_use]
    pub fn value(
        &self,
        id: VariableValueId,
    ) -> Option<(&Arc<DeploymentVariable>, &DeploymentVariableValue)> {
        let variable = self.variables.get(self.owners.get(&id)?)?;
        let value = variable.values.iter().find(|it| it.id == id)?;
        Some((variable, value))
    }

    #[must_use]
    pub fn sets(&self) -> &BTreeMap<VariableSetId, Arc<VariableSet>> {
        &self.sets
    }

    /// A resource's own variables; `None` when it has none.
    #[must_use]
    pub fn of_resource(&self, id: ResourceId) -> Option<&Arc<BTreeMap<String, VariableValue>>> {
        self.of_resources.get(&id)
    }

    #[must_use]
    pub fn relationship_rules(&self) -> &BTreeMap<RelationshipRuleId, Arc<RelationshipRule>> {
        &self.rules
    }

    pub(crate) fn put(&mut self, variable: &DeploymentVariable) {
        self.remove(variable.id);
        let keys = self.declared.entry(variable.deployment).or_default();
        keys.insert(variable.key.clone(), variable.id);
        let values = variable.values.iter().map(|it| (it.id, variable.id));
        self.owners.extend(values);
        let stored = Arc::new(variable.clone());
        self.variables.insert(variable.id, stored);
    }

    /// Gives whose it was.
    pub(crate) fn remove(&mut self, id: VariableId) -> Option<DeploymentId> {
        let variable = self.variables.remove(&id)?;
        for value in &variable.values {
            self.owners.remove(&value.id);
        }
        if let Some(keys) = self.declared.get_mut(&variable.deployment) {
            // A key may have been given to another variable in the same entry.
            if keys.get(&variable.key) == Some(&id) {
                keys.remove(&variable.key);
            }
            if keys.is_empty() {
                self.declared.remove(&variable.deployment);
            }
        }
        Some(variable.deployment)
    }

    pub(crate) fn put_resource(
        &mut self,
        resource: ResourceId,
        variables: &BTreeMap<String, VariableValue>,
    ) {
        self.referring.remove(&resource);
        if variables.is_empty() {
            self.of_resources.remove(&resource);
            return;
        }
        if variables.values().any(refers) {
            self.referring.insert(resource);
        }
        self.of_resources
            .insert(resource, Arc::new(variables.clone()));
    }

    /// Whether what a deployment's variables come out as may depend on other resources than the target's.
    pub(crate) fn follows_references(&self, deployment: DeploymentId) -> bool {
        if self.rules.is_empty() || !self.declared.contains_key(&deployment) {
            return false;
        }
        !self.referring.is_empty()
            || self
                .of_deployment(deployment)
                .any(|variable| values_of(variable).any(refers))
            || self
                .sets
                .values()
                .any(|set| set.variables.values().any(refers))
    }
}

/// Reads for faces.
impl super::State {
    /// Variables, their values and sets, and how resources are related.
    #[must_use]
    pub fn variables(&self) -> &VariableBook {
        &self.variables
    }

    #[must_use]
    pub fn variable_set_by_name(&self, name: &str) -> Option<&Arc<VariableSet>> {
        let mut sets = self.variables.sets.values();
        sets.find(|set| super::same_name(&set.name, name))
    }

    #[must_use]
    pub fn relationship_rule_by_name(&self, name: &str) -> Option<&Arc<RelationshipRule>> {
        let mut rules = self.variables.rules.values();
        rules.find(|rule| super::same_name(&rule.name, name))
    }
}
