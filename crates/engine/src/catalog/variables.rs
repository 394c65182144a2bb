//! Variables, sets, resources' own variables, and relationships. A reference must have a rule that it can follow:
//! rules are put before what follows them, and the last one goes after it.

use super::{Draft, NAME_CHARS_MAX, Overlay, check_name, lookup, missing, taken, view};
use crate::expressions::{
    check_cel, check_resource_selector, check_value, relationship_schema, resource_schema,
};
use crate::state::{VariableBook, same_name, values_of};
use stagegate_model::{
    DeploymentId, DeploymentVariable, Fact, Rejection, RelationshipRule, RelationshipRuleId,
    ResourceId, ResourceReference, VariableId, VariableSet, VariableSetId, VariableValue,
    VariableValueId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Variables of a deployment, of a set or of a resource, and values of a variable, at most.
pub const VARIABLES_MAX: usize = 500;
/// Bytes of one literal value as JSON, at most.
pub const VARIABLE_BYTES_MAX: usize = 64 * 1024;
/// Relationship rules in a workspace, at most: each reference asks all that have its name.
pub const RELATIONSHIP_RULES_MAX: usize = 500;
/// Steps of a reference's path, at most.
const PATH_STEPS_MAX: usize = 32;

/// What earlier changes made of variables.
#[derive(Default)]
pub(super) struct VariableOverlay {
    variables: Overlay<VariableId, DeploymentVariable>,
    /// Keys and values that changes so far have put; they may have gone to others, or away, since.
    keys: BTreeMap<(DeploymentId, String), VariableId>,
    owners: BTreeMap<VariableValueId, VariableId>,
    sets: Overlay<VariableSetId, VariableSet>,
    of_resources: Overlay<ResourceId, BTreeMap<String, VariableValue>>,
    rules: Overlay<RelationshipRuleId, RelationshipRule>,
}

impl Draft<'_> {
    fn book(&self) -> &VariableBook {
        &self.state.variables
    }

    fn variables(&self) -> impl Iterator<Item = &Arc<DeploymentVariable>> {
        view(&self.book().variables, &self.book.variables)
    }

    /// The variable of a deployment that has a key.
    fn holder_of(&self, deployment: DeploymentId, key: &str) -> Option<VariableId> {
        let changed = self.book.keys.get(&(deployment, key.to_owned()));
        let still = |id: &&VariableId| {
            let now = self.book.variables.get(id).and_then(Option::as_ref);
            now.is_some_and(|it| it.deployment == deployment && it.key == key)
        };
        let stored = || self.book().declared.get(&deployment)?.get(key);
        let untouched = |id: &&VariableId| !self.book.variables.contains_key(id);
        let holder = changed.filter(still);
        holder.or_else(|| stored().filter(untouched)).copied()
    }

    /// The variable that has a value.
    fn owner_of(&self, value: VariableValueId) -> Option<VariableId> {
        let still = |id: &&VariableId| {
            let now = self.book.variables.get(id).and_then(Option::as_ref);
            now.is_some_and(|it| it.values.iter().any(|it| it.id == value))
        };
        let untouched = |id: &&VariableId| !self.book.variables.contains_key(id);
        let changed = self.book.owners.get(&value).filter(still);
        let stored = || self.book().owners.get(&value).filter(untouched);
        changed.or_else(stored).copied()
    }

    /// How many variables a deployment has.
    fn count_of(&self, deployment: DeploymentId) -> usize {
        let stored = self.book().of_deployment(deployment);
        let untouched = stored.filter(|it| !self.book.variables.contains_key(&it.id));
        let first = (deployment, String::new());
        let changed = self.book.keys.range(first..);
        let changed = changed.take_while(|((of, _), _)| *of == deployment);
        let changed = changed.filter(|((_, key), id)| {
            let now = self.book.variables.get(*id).and_then(Option::as_ref);
            now.is_some_and(|it| it.deployment == deployment && it.key == *key)
        });
        untouched.count() + changed.count()
    }

    fn rules(&self) -> impl Iterator<Item = &Arc<RelationshipRule>> {
        view(&self.book().rules, &self.book.rules)
    }

    pub(super) fn put_variable(&mut self, variable: DeploymentVariable) -> Result<(), Rejection> {
        self.check_variable(&variable)?;
        let known = lookup(&self.book().variables, &self.book.variables, &variable.id);
        if known.is_some_and(|known| **known == variable) {
            return Ok(());
        }
        let key = (variable.deployment, variable.key.clone());
        self.book.keys.insert(key, variable.id);
        let values = variable.values.iter().map(|it| (it.id, variable.id));
        self.book.owners.extend(values);
        let stored = Some(Arc::new(variable.clone()));
        self.book.variables.insert(variable.id, stored);
        self.facts.push(Fact::VariablePut { variable });
        Ok(())
    }

    fn check_variable(&self, variable: &DeploymentVariable) -> Result<(), Rejection> {
        check_name("key", &variable.key)?;
        check_text("description", &variable.description)?;
        let deployment = lookup(
            &self.state.deployments,
            &self.deployments,
            &variable.deployment,
        );
        let Some(deployment) = deployment else {
            return Err(missing("deployment", variable.deployment).at("deploymentId"));
        };
        let holder = self.holder_of(variable.deployment, &variable.key);
        if holder.is_some_and(|id| id != variable.id) {
            let noun = format!("variable of `{}`,", deployment.name);
            return Err(taken(&noun, &variable.key).at("key"));
        }
        let known = lookup(&self.book().variables, &self.book.variables, &variable.id);
        if known.is_none() && self.count_of(variable.deployment) >= VARIABLES_MAX {
            let message = format!("a deployment has at most {VARIABLES_MAX} variables");
            return Err(Rejection::conflict("too_large", message));
        }
        if let Some(default) = &variable.default {
            self.check_variable_value(default, "default")?;
        }
        check_count("values", variable.values.len())?;
        let mut ids = BTreeSet::new();
        for (index, value) in variable.values.iter().enumerate() {
            let at = format!("values[{index}]");
            let owner = self.owner_of(value.id);
            if !ids.insert(value.id) || owner.is_some_and(|id| id != variable.id) {
                let message = format!("the id `{}` is used twice", value.id);
                return Err(Rejection::invalid("invalid_variable", message).at(at));
            }
            if !value.resource_selector.is_empty() {
                check_resource_selector(&value.resource_selector, "resourceSelector")
                    .map_err(|error| error.at(&at))?;
            }
            self.check_variable_value(&value.value, "value")
                .map_err(|error| error.at(&at))?;
        }
        if known.is_some_and(|known| known.deployment != variable.deployment) {
            let message = "a variable stays with its deployment";
            return Err(Rejection::conflict("invalid_variable", message)
                .at("deploymentId")
                .hint("make one for the other deployment"));
        }
        Ok(())
    }

    pub(super) fn delete_variable(&mut self, id: VariableId) -> Result<(), Rejection> {
        lookup(&self.book().variables, &self.book.variables, &id)
            .ok_or_else(|| missing("variable", id))?;
        self.book.variables.insert(id, None);
        self.facts.push(Fact::VariableDeleted { id });
        Ok(())
    }

    pub(super) fn put_variable_set(&mut self, mut set: VariableSet) -> Result<(), Rejection> {
        check_name("name", &set.name)?;
        check_text("description", &set.description)?;
        let all = || view(&self.book().sets, &self.book.sets);
        if all().any(|other| other.id != set.id && same_name(&other.name, &set.name)) {
            return Err(taken("variable set", &set.name));
        }
        check_resource_selector(&set.selector, "selector")?;
        self.check_variable_values(&set.variables)?;
        match lookup(&self.book().sets, &self.book.sets, &set.id) {
            Some(old) => {
                set.created_at = old.created_at;
                let unchanged = VariableSet {
                    updated_at: old.updated_at,
                    ..set.clone()
                };
                if unchanged == **old {
                    return Ok(());
                }
            }
            None if all().count() >= VARIABLES_MAX => {
                let message = format!("a workspace has at most {VARIABLES_MAX} variable sets");
                return Err(Rejection::conflict("too_large", message));
            }
            None => {}
        }
        let stored = Some(Arc::new(set.clone()));
        self.book.sets.insert(set.id, stored);
        self.facts.push(Fact::VariableSetPut { set });
        Ok(())
    }

    pub(super) fn delete_variable_set(&mut self, id: VariableSetId) -> Result<(), Rejection> {
        lookup(&self.book().sets, &self.book.sets, &id)
            .ok_or_else(|| missing("variable set", id))?;
        self.book.sets.insert(id, None);
        self.facts.push(Fact::VariableSetDeleted { id });
        Ok(())
    }

    pub(super) fn put_resource_variables(
        &mut self,
        resource: ResourceId,
        variables: BTreeMap<String, VariableValue>,
    ) -> Result<(), Rejection> {
        let stored = self.state.resources.get(&resource);
        let known = match self.resources.get(&resource) {
            Some(changed) => changed.is_some(),
            None => stored.is_some_and(|stored| !stored.deleted),
        };
        if !known {
            return Err(missing("resource", resource));
        }
        self.check_variable_values(&variables)?;
        let old = lookup(
            &self.book().of_resources,
            &self.book.of_resources,
            &resource,
        );
        if old.map_or(variables.is_empty(), |old| **old == variables) {
            return Ok(());
        }
        let stored = (!variables.is_empty()).then(|| Arc::new(variables.clone()));
        self.book.of_resources.insert(resource, stored);
        self.facts.push(Fact::ResourceVariablesPut {
            resource,
            variables,
        });
        Ok(())
    }

    pub(super) fn put_relationship_rule(
        &mut self,
        rule: RelationshipRule,
    ) -> Result<(), Rejection> {
        check_name("name", &rule.name)?;
        check_name("reference", &rule.reference)?;
        check_text("description", &rule.description)?;
        if self
            .rules()
            .any(|other| other.id != rule.id && same_name(&other.name, &rule.name))
        {
            return Err(taken("relationship rule", &rule.name));
        }
        check_cel(&rule.cel, relationship_schema(), "cel")?;
        let known = lookup(&self.book().rules, &self.book.rules, &rule.id).cloned();
        match &known {
            Some(known) if **known == rule => return Ok(()),
            Some(known) if known.reference != rule.reference => {
                self.keep_for_references(known)
                    .map_err(|error| error.at("reference"))?;
            }
            Some(_) => {}
            None if self.rules().count() >= RELATIONSHIP_RULES_MAX => {
                let message =
                    format!("a workspace has at most {RELATIONSHIP_RULES_MAX} relationship rules");
                return Err(Rejection::conflict("too_large", message));
            }
            None => {}
        }
        let stored = Some(Arc::new(rule.clone()));
        self.book.rules.insert(rule.id, stored);
        self.facts.push(Fact::RelationshipRulePut { rule });
        Ok(())
    }

    pub(super) fn delete_relationship_rule(
        &mut self,
        id: RelationshipRuleId,
    ) -> Result<(), Rejection> {
        let rule = lookup(&self.book().rules, &self.book.rules, &id)
            .cloned()
            .ok_or_else(|| missing("relationship rule", id))?;
        self.keep_for_references(&rule)?;
        self.book.rules.insert(id, None);
        self.facts.push(Fact::RelationshipRuleDeleted { id });
        Ok(())
    }

    /// Refuses to take away the only rule of a reference that is followed.
    fn keep_for_references(&self, rule: &RelationshipRule) -> Result<(), Rejection> {
        let mut others = self.rules().filter(|other| other.id != rule.id);
        if others.any(|other| other.reference == rule.reference) {
            return Ok(());
        }
        let follows = |value: &VariableValue| matches!(value, VariableValue::Reference(it) if it.reference == rule.reference);
        let user = self
            .variables()
            .find(|it| values_of(it).any(follows))
            .map(|it| format!("the variable `{}`", it.key));
        let user = user.or_else(|| {
            let mut sets = view(&self.book().sets, &self.book.sets);
            let set = sets.find(|it| it.variables.values().any(follows))?;
            Some(format!("the variable set `{}`", set.name))
        });
        let user = user.or_else(|| {
            let mut own = view(&self.book().of_resources, &self.book.of_resources);
            own.find(|it| it.values().any(follows))
                .map(|_| "a resource's own variable".to_owned())
        });
        match user {
            None => Ok(()),
            Some(user) => {
                let message = format!("{user} follows `{}`", rule.reference);
                Err(Rejection::conflict("in_use", message)
                    .hint("set it to something else first, or make another rule for it"))
            }
        }
    }

    /// Takes away what a deployment declares, before it goes itself.
    pub(super) fn delete_variables_of(&mut self, deployment: DeploymentId) {
        let of_it = self.variables().filter(|it| it.deployment == deployment);
        let ids: Vec<VariableId> = of_it.map(|it| it.id).collect();
        for id in ids {
            self.book.variables.insert(id, None);
            self.facts.push(Fact::VariableDeleted { id });
        }
    }

    /// Takes away a resource's own variables, before it goes itself.
    pub(super) fn delete_variables_on(&mut self, resource: ResourceId) {
        let own = lookup(
            &self.book().of_resources,
            &self.book.of_resources,
            &resource,
        );
        if own.is_some() {
            self.book.of_resources.insert(resource, None);
            self.facts.push(Fact::ResourceVariablesPut {
                resource,
                variables: BTreeMap::new(),
            });
        }
    }

    fn check_variable_values(
        &self,
        values: &BTreeMap<String, VariableValue>,
    ) -> Result<(), Rejection> {
        check_count("variables", values.len())?;
        for (key, value) in values {
            check_name("variables", key)?;
            self.check_variable_value(value, &format!("variables.{key}"))?;
        }
        Ok(())
    }

    fn check_variable_value(&self, value: &VariableValue, field: &str) -> Result<(), Rejection> {
        match value {
            VariableValue::Literal(json) if json.to_string().len() > VARIABLE_BYTES_MAX => {
                let message = format!("it is larger than {VARIABLE_BYTES_MAX} bytes");
                Err(Rejection::invalid("too_large", message).at(field))
            }
            VariableValue::Literal(_) => Ok(()),
            VariableValue::Secret(name) => check_secret(name).map_err(|error| error.at(field)),
            VariableValue::Reference(reference) => self
                .check_reference(reference)
                .map_err(|error| error.at(field)),
        }
    }

    fn check_reference(&self, reference: &ResourceReference) -> Result<(), Rejection> {
        let name = &reference.reference;
        if !self.rules().any(|rule| rule.reference == *name) {
            let mut known: Vec<&str> = self.rules().map(|rule| rule.reference.as_str()).collect();
            known.sort_unstable();
            known.dedup();
            let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
            let message = format!("no relationship rule has the reference `{shown}`");
            let hint = match known.as_slice() {
                [] => "make a relationship rule with it first".to_owned(),
                known => format!("there are: {}", known.join(", ")),
            };
            return Err(Rejection::invalid("unknown_relationship", message)
                .at("reference")
                .hint(hint));
        }
        if reference.path.is_empty() || reference.path.len() > PATH_STEPS_MAX {
            let message = format!("a path has from 1 to {PATH_STEPS_MAX} steps");
            return Err(Rejection::invalid("invalid_variable", message)
                .at("path")
                .hint("write it as in `[\"config\", \"host\"]`"));
        }
        // The selectors' schema knows which fields there are, and what is near to a misspelt one.
        let steps = reference.path.iter().enumerate();
        let steps = steps.map(|(index, step)| match index {
            0 => format!("[{}]", serde_json::Value::from(step.as_str())),
            _ if step.parse::<usize>().is_ok() => format!("[{step}]"),
            _ => format!("[{}]", serde_json::Value::from(step.as_str())),
        });
        let path: String = steps.collect();
        check_value(&format!("resource{path}"), resource_schema(), "path").map(drop)
    }
}

/// A secret's name is one that an environment variable can have.
fn check_secret(name: &str) -> Result<(), Rejection> {
    let fits = name.len() <= 100
        && name.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if fits {
        return Ok(());
    }
    // Whoever puts the secret itself here by mistake must not find it in a log.
    let message = "that is not the name of a secret";
    Err(Rejection::invalid("invalid_variable", message)
        .at("secret")
        .hint("a name has letters, digits and `_`, and begins with a letter; the secret itself stays with the runner"))
}

fn check_count(field: &str, count: usize) -> Result<(), Rejection> {
    if count <= VARIABLES_MAX {
        return Ok(());
    }
    let message = format!("there are {count}; {VARIABLES_MAX} are allowed");
    Err(Rejection::invalid("too_large", message).at(field))
}

fn check_text(field: &str, text: &str) -> Result<(), Rejection> {
    if text.len() <= crate::handle::TEXT_BYTES_MAX {
        return Ok(());
    }
    let message = format!("it is longer than {} bytes", crate::handle::TEXT_BYTES_MAX);
    Err(Rejection::invalid("too_large", message).at(field))
}
