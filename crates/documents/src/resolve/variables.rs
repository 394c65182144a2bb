//! Variables, sets and relationships: what exists keeps its id, and references must have a rule to follow.

use super::Resolver;
use crate::draft::{Body, ValueDraft, VariableDraft};
use crate::error::code;
use crate::form;
use crate::wording::{clip, known_hint};
use stagegate_model::{
    Change, DeploymentId, DeploymentVariable, DeploymentVariableValue, RelationshipRule,
    VariableSet, VariableValue,
};
use std::collections::BTreeMap;

impl Resolver<'_> {
    pub(super) fn put_relationship_rules(&mut self) {
        let rules = self.catalog.relationship_rules().into_iter();
        self.references.extend(rules.map(|rule| rule.reference));
        let intake = self.intake;
        for (index, draft) in intake.drafts.iter().enumerate() {
            let Body::RelationshipRule(body) = &draft.body else {
                continue;
            };
            self.references.insert(body.reference.clone());
            let old = self.catalog.relationship_rule_by_name(&draft.name);
            let rule = RelationshipRule {
                id: old
                    .as_ref()
                    .map_or_else(|| self.fresh().into(), |old| old.id),
                name: draft.name.clone(),
                description: body.description.clone(),
                reference: body.reference.clone(),
                cel: body.cel.clone(),
                metadata: body.metadata.clone(),
            };
            let equal = old.as_ref() == Some(&rule);
            let old = old.as_ref().map(form::relationship_rule);
            let new = form::relationship_rule(&rule);
            self.settle(index, old, &new, equal, || {
                Change::PutRelationshipRule(rule)
            });
        }
    }

    pub(super) fn put_variable_sets(&mut self) {
        let intake = self.intake;
        for (index, draft) in intake.drafts.iter().enumerate() {
            let Body::VariableSet(body) = &draft.body else {
                continue;
            };
            let old = self.catalog.variable_set_by_name(&draft.name);
            let mut set = VariableSet {
                id: old
                    .as_ref()
                    .map_or_else(|| self.fresh().into(), |old| old.id),
                name: draft.name.clone(),
                description: body.description.clone(),
                selector: body.selector.clone(),
                priority: body.priority,
                variables: self.values(index, &body.variables),
                created_at: old.as_ref().map_or(self.now, |old| old.created_at),
                updated_at: old.as_ref().map_or(self.now, |old| old.updated_at),
            };
            let equal = old.as_ref() == Some(&set);
            if !equal {
                set.updated_at = self.now;
            }
            let old = old.as_ref().map(form::variable_set);
            let new = form::variable_set(&set);
            self.settle(index, old, &new, equal, || Change::PutVariableSet(set));
        }
    }

    pub(super) fn values(
        &mut self,
        draft: usize,
        values: &BTreeMap<String, ValueDraft>,
    ) -> BTreeMap<String, VariableValue> {
        let values = values.iter();
        values
            .map(|(key, value)| (key.clone(), self.value(draft, value)))
            .collect()
    }

    fn value(&mut self, draft: usize, value: &ValueDraft) -> VariableValue {
        if let VariableValue::Reference(reference) = &value.value
            && !self.references.contains(&reference.reference)
            && !self.intake.incomplete
        {
            let name = &reference.reference;
            let known: Vec<&str> = self.references.iter().map(String::as_str).collect();
            let hint = known_hint(name, &known, "references");
            let message = format!("no relationship rule has the reference `{}`", clip(name));
            let field = format!("{}.reference", value.field);
            let code = code::UNKNOWN_RELATIONSHIP;
            self.refuse(draft, value.at, &field, code, (message, hint));
        }
        value.value.clone()
    }

    /// What a deployment declares, each with the id that it has or a new one. A value is the one that was there if it
    /// says the same, or else, in order, one that is not there any more.
    pub(super) fn declared(
        &mut self,
        draft: usize,
        deployment: DeploymentId,
        drafts: &[VariableDraft],
        known: &[DeploymentVariable],
    ) -> Vec<DeploymentVariable> {
        let mut declared: Vec<DeploymentVariable> = Vec::with_capacity(drafts.len());
        for it in drafts {
            let old = known.iter().find(|old| old.key == it.key);
            let mut left: Vec<&DeploymentVariableValue> =
                old.iter().flat_map(|old| &old.values).collect();
            let mut values: Vec<(Option<_>, DeploymentVariableValue)> = Vec::new();
            for value in &it.values {
                let new = DeploymentVariableValue {
                    id: uuid::Uuid::nil().into(),
                    resource_selector: value.resource_selector.clone(),
                    priority: value.priority,
                    value: self.value(draft, &value.value),
                };
                let same = |old: &&DeploymentVariableValue| {
                    let id = new.id;
                    DeploymentVariableValue {
                        id,
                        ..(*old).clone()
                    } == new
                };
                let id = left.iter().position(same).map(|at| left.remove(at).id);
                values.push((id, new));
            }
            let mut left = left.into_iter();
            let values = values.into_iter().map(|(id, value)| {
                let id = id.or_else(|| left.next().map(|old| old.id));
                let id = id.unwrap_or_else(|| (self.new_id)().into());
                DeploymentVariableValue { id, ..value }
            });
            let values = values.collect();
            declared.push(DeploymentVariable {
                id: old.map_or_else(|| self.fresh().into(), |old| old.id),
                deployment,
                key: it.key.clone(),
                description: it.description.clone(),
                default: it
                    .default
                    .as_ref()
                    .map(|default| self.value(draft, default)),
                values,
            });
        }
        declared.sort_by(|a, b| a.key.cmp(&b.key));
        declared
    }
}

/// What is no longer declared goes first, so that its id and values are free.
pub(super) fn changes(old: &[DeploymentVariable], new: &[DeploymentVariable]) -> Vec<Change> {
    let gone = old
        .iter()
        .filter(|old| new.iter().all(|new| new.id != old.id))
        .map(|old| Change::DeleteVariable(old.id));
    let put = new
        .iter()
        .filter(|new| old.iter().all(|old| old != *new))
        .map(|new| Change::PutVariable(new.clone()));
    gone.chain(put).collect()
}
