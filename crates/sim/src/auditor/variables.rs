//! The auditor's own account of variables: what each release must have been told.
//!
//! Relationships are all of one form, [`PEER`]; anything else is a disagreement between the workload and this.

use super::ledger::Ledger;
use super::selector::{Subject, holds};
use stagegate_model::*;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The only relationship that the workload writes: to a function in the same zone.
pub const PEER: &str =
    "to.kind == \"Function\" && from.metadata[\"zone\"] == to.metadata[\"zone\"]";

/// What variables are resolved from.
#[derive(Default)]
pub struct Book {
    pub variables: BTreeMap<VariableId, DeploymentVariable>,
    pub sets: BTreeMap<VariableSetId, VariableSet>,
    pub own: BTreeMap<ResourceId, BTreeMap<String, VariableValue>>,
    rules: BTreeMap<RelationshipRuleId, RelationshipRule>,
}

impl Book {
    pub fn follow(&mut self, fact: &Fact) {
        match fact {
            Fact::VariablePut { variable } => {
                self.variables.insert(variable.id, variable.clone());
            }
            Fact::VariableDeleted { id } => {
                self.variables.remove(id);
            }
            Fact::VariableSetPut { set } => {
                self.sets.insert(set.id, set.clone());
            }
            Fact::VariableSetDeleted { id } => {
                self.sets.remove(id);
            }
            Fact::ResourceVariablesPut {
                resource,
                variables,
            } => {
                self.own.insert(*resource, variables.clone());
            }
            Fact::RelationshipRulePut { rule } => {
                self.rules.insert(rule.id, rule.clone());
            }
            Fact::RelationshipRuleDeleted { id } => {
                self.rules.remove(id);
            }
            _ => {}
        }
    }
}

impl Ledger {
    /// By key, what a release of the target that begins now must be told and from where; `None` when a variable
    /// has no value, so that nothing may begin.
    pub fn told(&self, target: TargetKey) -> Option<BTreeMap<String, (ResolvedValue, String)>> {
        let known = self.resources.get(&target.resource);
        let resource = known.or_else(|| self.gone.get(&target.resource))?;
        let subject = Subject {
            environment: self.environments.get(&target.environment),
            deployment: self.deployments.get(&target.deployment),
            resource: Some(resource),
            ..Subject::default()
        };
        let takes = |selector: &str| selector.is_empty() || holds(selector, subject);
        let mut told = BTreeMap::new();
        let declared = self.book.variables.values();
        for variable in declared.filter(|it| it.deployment == target.deployment) {
            let key = &variable.key;
            let own = self.book.own.get(&resource.id).and_then(|own| own.get(key));
            let own = own.map(|value| (value, "resource".to_owned()));
            let values = variable.values.iter();
            let value = values
                .filter(|it| takes(&it.resource_selector))
                .min_by_key(|it| (Reverse(it.priority), it.id))
                .map(|it| {
                    (
                        &it.value,
                        format!("value {} priority {}", it.id, it.priority),
                    )
                });
            let sets = self.book.sets.values();
            let set = sets
                .filter(|set| takes(&set.selector) && set.variables.contains_key(key))
                .min_by_key(|set| (Reverse(set.priority), set.id))
                .map(|set| (&set.variables[key], format!("set {}", set.name)));
            let first = own.or(value).or(set);
            let default = variable.default.as_ref();
            let default = default.map(|value| (value, "default".to_owned()));
            let resolved = [first, default].into_iter().flatten();
            let mut resolved = resolved.filter_map(|(value, source)| {
                let value = self.looked_up(value, resource)?;
                Some((value, source))
            });
            told.insert(key.clone(), resolved.next()?);
        }
        Some(told)
    }

    fn looked_up(&self, value: &VariableValue, from: &Resource) -> Option<ResolvedValue> {
        let reference = match value {
            VariableValue::Literal(json) => return Some(ResolvedValue::Value(json.clone())),
            VariableValue::Secret(name) => return Some(ResolvedValue::Secret(name.clone())),
            VariableValue::Reference(reference) => reference,
        };
        let mut rules = self.book.rules.values();
        let rule = rules.find(|rule| rule.reference == reference.reference)?;
        assert_eq!(
            rule.cel, PEER,
            "the auditor does not know this relationship"
        );
        let zone = from.metadata.get("zone")?;
        let mut peers = self.resources.values().filter(|to| {
            to.id != from.id && to.kind == "Function" && to.metadata.get("zone") == Some(zone)
        });
        let (Some(peer), None) = (peers.next(), peers.next()) else {
            return None;
        };
        match reference
            .path
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()[..]
        {
            ["name"] => Some(ResolvedValue::Value(peer.name.clone().into())),
            ["config", field] => {
                let found = peer.config.get(field).filter(|it| !it.is_null());
                found.cloned().map(ResolvedValue::Value)
            }
            _ => panic!("the auditor does not know `{reference}`"),
        }
    }
}
