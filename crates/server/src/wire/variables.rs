//! Variables: as they are set, and as they came out.

use super::{configuration::workspace_id, some};
use crate::answer::{Answer, Failure};
use stagegate_api as api;
use stagegate_engine::{Resolution, State};
use stagegate_model as model;

pub(crate) fn variable(it: &model::DeploymentVariable) -> api::DeploymentVariableWithValues {
    api::DeploymentVariableWithValues {
        variable: api::DeploymentVariable {
            id: it.id.to_string(),
            deployment_id: it.deployment.to_string(),
            key: it.key.clone(),
            description: some(&it.description),
            default_value: it.default.as_ref().map(model::VariableValue::written),
        },
        values: it
            .values
            .iter()
            .map(|value| variable_value(it, value))
            .collect(),
    }
}

pub(crate) fn variable_value(
    of: &model::DeploymentVariable,
    it: &model::DeploymentVariableValue,
) -> api::DeploymentVariableValue {
    api::DeploymentVariableValue {
        id: it.id.to_string(),
        deployment_variable_id: of.id.to_string(),
        priority: it.priority,
        resource_selector: some(&it.resource_selector),
        value: it.value.written(),
    }
}

pub(crate) fn variable_set(it: &model::VariableSet) -> api::VariableSet {
    let variables = it.variables.iter();
    api::VariableSet {
        id: it.id.to_string(),
        name: it.name.clone(),
        description: it.description.clone(),
        selector: it.selector.clone(),
        priority: it.priority,
        created_at: it.created_at.to_string(),
        updated_at: it.updated_at.to_string(),
        variables: variables
            .map(|(key, value)| api::VariableSetVariable {
                key: key.clone(),
                value: value.written(),
            })
            .collect(),
    }
}

pub(crate) fn relationship_rule(
    state: &State,
    it: &model::RelationshipRule,
) -> api::RelationshipRule {
    api::RelationshipRule {
        id: it.id.to_string(),
        name: it.name.clone(),
        description: some(&it.description),
        reference: it.reference.clone(),
        cel: it.cel.clone(),
        metadata: it.metadata.clone(),
        workspace_id: workspace_id(state),
    }
}

/// A value as it was sent.
pub(crate) fn read_value(json: &api::Json, field: &str) -> Answer<model::VariableValue> {
    model::VariableValue::read(json).map_err(|(message, hint)| {
        Failure::new("invalid_variable", message)
            .at(field)
            .hint(hint)
    })
}

fn resolved(key: &str, it: &model::ResolvedVariable) -> api::ResolvedVariable {
    let (value, secret) = match &it.value {
        model::ResolvedValue::Value(json) => (Some(json.clone()), None),
        model::ResolvedValue::Secret(name) => (None, Some(name.clone())),
    };
    api::ResolvedVariable {
        key: key.to_owned(),
        value,
        secret,
        source: Some(it.source.to_string()),
        note: some(&it.note),
        error: None,
    }
}

/// What a release was told.
pub(crate) fn resolved_variables(variables: &model::Variables) -> Vec<api::ResolvedVariable> {
    let variables = variables.iter();
    variables.map(|(key, it)| resolved(key, it)).collect()
}

/// What variables come out as now.
pub(crate) fn resolution(resolution: &Resolution) -> Vec<api::ResolvedVariable> {
    let one = |(key, it): (&String, &Result<model::ResolvedVariable, String>)| match it {
        Ok(it) => resolved(key, it),
        Err(error) => api::ResolvedVariable {
            key: key.clone(),
            error: Some(error.clone()),
            ..Default::default()
        },
    };
    resolution.iter().map(one).collect()
}

/// Plain values by key, in the form of v1: an object is wrapped.
pub(crate) fn plain_variables(
    variables: &model::Variables,
) -> std::collections::BTreeMap<String, api::Json> {
    let plain = variables.iter().filter_map(|(key, it)| match &it.value {
        model::ResolvedValue::Value(json) => {
            let value = model::VariableValue::Literal(json.clone());
            Some((key.clone(), value.written()))
        }
        model::ResolvedValue::Secret(_) => None,
    });
    plain.collect()
}

/// The keys of which only a secret's name is known.
pub(crate) fn secret_keys(variables: &model::Variables) -> Vec<String> {
    let secret = |it: &model::ResolvedVariable| matches!(it.value, model::ResolvedValue::Secret(_));
    let keys = variables.iter().filter(|(_, it)| secret(it));
    keys.map(|(key, _)| key.clone()).collect()
}

/// By the mark in a job's configuration, the secret that belongs there.
pub(crate) fn secrets(
    release: model::ReleaseId,
    variables: &model::Variables,
) -> std::collections::BTreeMap<String, String> {
    let secrets = variables.values().filter_map(|it| match &it.value {
        model::ResolvedValue::Secret(name) => {
            Some((stagegate_engine::secret_mark(release, name), name.clone()))
        }
        model::ResolvedValue::Value(_) => None,
    });
    secrets.collect()
}

/// By key, the value as it is; of a secret its name.
pub(crate) fn shown_variables(variables: &model::Variables) -> api::Json {
    let shown = variables.iter().map(|(key, it)| {
        let shown = match &it.value {
            model::ResolvedValue::Value(json) => json.clone(),
            model::ResolvedValue::Secret(name) => serde_json::json!({ "secret": name }),
        };
        (key.clone(), shown)
    });
    shown.collect::<serde_json::Map<_, _>>().into()
}
