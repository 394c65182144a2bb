//! What the variables of a target come out as now.
//!
//! For each key that the deployment declares, what comes first counts: the resource's own variable, then the values of
//! the deployment's variable whose selector takes the target (the highest priority, then the lowest id), then the
//! variable sets likewise. If that is a reference that leads nowhere, the default takes its place, and nothing that
//! would have come later. Without a default, or with one that leads nowhere itself, there is no value.

use super::applicable::LaneView;
use crate::engine::Engine;
use crate::expressions::{Place, related_field};
use crate::state::{LaneKey, PackedResource};
use stagegate_model::{
    DeploymentVariable, ResolvedValue, ResolvedVariable, ResourceId, ResourceReference, TargetKey,
    VariableSource, VariableValue, Variables,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// By key, what a variable comes out as, or why it has no value.
pub type Resolution = BTreeMap<String, Result<ResolvedVariable, String>>;

impl LaneView<'_> {
    /// All variables of a target, or why one has no value.
    pub fn resolve_variables(&self, resource: ResourceId) -> Result<Variables, String> {
        let state = &self.engine.state;
        let mut declared = state.variables.of_deployment(self.deployment.id).peekable();
        if declared.peek().is_none() {
            return Ok(Variables::new());
        }
        let Some(stored) = state.resource(resource) else {
            return Err("the resource is gone".to_owned());
        };
        declared
            .map(|variable| {
                let resolved = self.resolve_variable(variable, stored);
                resolved.map(|resolved| (variable.key.clone(), resolved))
            })
            .collect()
    }

    fn resolve_variable(
        &self,
        variable: &DeploymentVariable,
        resource: &Arc<PackedResource>,
    ) -> Result<ResolvedVariable, String> {
        let mut notes: Vec<String> = Vec::new();
        let set = self.set_value(variable, resource, &mut notes);
        let default = variable.default.as_ref();
        let default = default.map(|value| (value, VariableSource::Default));
        for (value, source) in set.into_iter().chain(default) {
            match self.look_up(value, resource) {
                Ok(value) => {
                    return Ok(ResolvedVariable {
                        value,
                        source,
                        note: notes.join("; "),
                    });
                }
                Err(why) => notes.push(format!("{source}: {why}")),
            }
        }
        if notes.is_empty() {
            notes.push("nothing sets it".to_owned());
        }
        if variable.default.is_none() {
            notes.push("it has no default".to_owned());
        }
        Err(format!(
            "the variable `{}` of {} has no value on `{}`: {}",
            variable.key,
            self.deployment.name,
            resource.identifier(),
            notes.join("; ")
        ))
    }

    /// The value that comes first, the default apart.
    fn set_value<'s>(
        &'s self,
        variable: &DeploymentVariable,
        resource: &PackedResource,
        notes: &mut Vec<String>,
    ) -> Option<(&'s VariableValue, VariableSource)> {
        let (state, compiled) = (&self.engine.state, &self.engine.compiled.variables);
        let own = state.variables.of_resource(resource.id);
        if let Some(value) = own.and_then(|own| own.get(&variable.key)) {
            return Some((value, VariableSource::Resource));
        }
        let place = Place {
            environment: self.environment,
            deployment: self.deployment,
            resource,
        };
        for it in compiled.values(variable.id) {
            let source = VariableSource::Deployment {
                value: it.value.id,
                priority: it.value.priority,
            };
            match it.takes(place) {
                Ok(true) => return Some((&it.value.value, source)),
                Ok(false) => {}
                Err(error) => notes.push(passed_over(&source, &error)),
            }
        }
        for it in compiled.sets() {
            let Some(value) = it.set.variables.get(&variable.key) else {
                continue;
            };
            let source = VariableSource::Set {
                set: it.set.id,
                name: it.set.name.clone(),
                priority: it.set.priority,
            };
            match it.takes(place) {
                Ok(true) => return Some((value, source)),
                Ok(false) => {}
                Err(error) => notes.push(passed_over(&source, &error)),
            }
        }
        None
    }

    fn look_up(
        &self,
        value: &VariableValue,
        resource: &Arc<PackedResource>,
    ) -> Result<ResolvedValue, String> {
        match value {
            VariableValue::Literal(json) => Ok(ResolvedValue::Value(json.clone())),
            VariableValue::Secret(name) => Ok(ResolvedValue::Secret(name.clone())),
            VariableValue::Reference(reference) => {
                let related = self.engine.related(resource, &reference.reference)?;
                let found = related_field(related, &reference.path);
                found.map(ResolvedValue::Value).ok_or_else(|| {
                    let (identifier, path) = (related.identifier(), path(reference));
                    format!("`{reference}` leads to `{identifier}`, which has no `{path}`")
                })
            }
        }
    }
}

fn passed_over(source: &VariableSource, error: &str) -> String {
    format!("{source} is passed over, since its selector cannot be evaluated: {error}")
}

fn path(reference: &ResourceReference) -> String {
    reference.path.join(".")
}

impl Engine {
    /// What the variables of a target come out as now; `None` when its deployment, environment or resource is gone.
    #[must_use]
    pub fn resolve_variables(&self, target: TargetKey) -> Option<Resolution> {
        let view = LaneView::new(self, LaneKey::from(target))?;
        let resource = self.state.resource(target.resource)?;
        let declared = self.state.variables.of_deployment(target.deployment);
        let resolved = declared.map(|it| (it.key.clone(), view.resolve_variable(it, resource)));
        Some(resolved.collect())
    }

    /// The one resource to which a reference leads from another, never to itself.
    ///
    /// # Errors
    /// Why it leads to none, or to which it leads when there are several.
    pub fn related(
        &self,
        from: &PackedResource,
        reference: &str,
    ) -> Result<&Arc<PackedResource>, String> {
        let mut failed = None;
        let mut found: BTreeMap<ResourceId, &Arc<PackedResource>> = BTreeMap::new();
        for rule in self.compiled.variables.rules(reference) {
            let mut note = |error: String| {
                failed.get_or_insert_with(|| format!("{} ({error})", rule.rule.name));
            };
            for to in rule.leads(from, self.state.resources(), &mut note) {
                found.insert(to.id, to);
            }
        }
        let mut found: Vec<_> = found.into_values().collect();
        found.sort_by(|a, b| a.identifier().cmp(b.identifier()));
        let mut found = found.into_iter();
        match (found.next(), found.next(), failed) {
            (Some(one), None, _) => Ok(one),
            (Some(one), Some(two), _) => Err(format!(
                "`{reference}` leads to several resources: `{}`, `{}`; its rule must match one",
                one.identifier(),
                two.identifier()
            )),
            (None, _, Some(failed)) => Err(format!(
                "`{reference}` leads to no resource, and its rule could not be evaluated for some: {failed}"
            )),
            (None, _, None) => Err(format!("`{reference}` leads to no resource")),
        }
    }
}
