//! How deep JSON may be nested: an entry that could not be read back would be the end of its workspace.

use stagegate_model::{Change, Json, Rejection, VariableValue};

/// Levels of objects and lists within each other, at most. Who reads a log goes 128 levels deep, of which up to a dozen
/// lie around a value.
pub(crate) const LEVELS_MAX: usize = 100;

/// Refuses what is nested deeper.
pub(crate) fn check(field: &str, json: &Json) -> Result<(), Rejection> {
    if is_within(json, LEVELS_MAX) {
        return Ok(());
    }
    let message = format!("it is nested deeper than {LEVELS_MAX} levels");
    Err(Rejection::invalid("too_large", message)
        .at(field)
        .hint("keep deeply nested data as text, or elsewhere, and refer to it"))
}

/// Whether there are no more than so many levels.
pub(crate) fn is_within(json: &Json, levels: usize) -> bool {
    let below = |json: &Json| is_within(json, levels - 1);
    match json {
        Json::Array(items) => levels > 0 && items.iter().all(below),
        Json::Object(fields) => levels > 0 && fields.values().all(below),
        _ => true,
    }
}

/// Refuses a change of the configuration in which something is nested deeper.
pub(crate) fn check_change(change: &Change) -> Result<(), Rejection> {
    let value = |field: &str, value: &VariableValue| match value {
        VariableValue::Literal(json) => check(field, json),
        VariableValue::Reference(_) | VariableValue::Secret(_) => Ok(()),
    };
    match change {
        Change::PutDeployment(it) => check("jobAgentConfig", &it.job_agent_config),
        Change::PutResource(it) => check("config", &it.config),
        Change::PutJobAgent(it) => check("config", &it.config),
        Change::PutNotifier(it) => check("config", &it.config),
        Change::PutPolicy(it) => {
            let mut rules = it.rules.iter().enumerate();
            rules.try_for_each(|(index, rule)| check(&format!("rules[{index}]"), &rule.spec))
        }
        Change::PutVariable(it) => {
            let default = it.default.iter();
            default.clone().try_for_each(|it| value("default", it))?;
            let mut values = it.values.iter().enumerate();
            values.try_for_each(|(index, it)| value(&format!("values[{index}]"), &it.value))
        }
        Change::PutVariableSet(it) => {
            let mut variables = it.variables.iter();
            variables.try_for_each(|(key, it)| value(&format!("variables.{key}"), it))
        }
        Change::PutResourceVariables { variables, .. } => {
            let mut variables = variables.iter();
            variables.try_for_each(|(key, it)| value(&format!("variables.{key}"), it))
        }
        Change::PutSystem(_)
        | Change::DeleteSystem(_)
        | Change::PutEnvironment(_)
        | Change::DeleteEnvironment(_)
        | Change::DeleteDeployment(_)
        | Change::DeleteResource(_)
        | Change::DeleteJobAgent(_)
        | Change::DeletePolicy(_)
        | Change::DeleteNotifier(_)
        | Change::DeleteVariable(_)
        | Change::DeleteVariableSet(_)
        | Change::PutRelationshipRule(_)
        | Change::DeleteRelationshipRule(_) => Ok(()),
    }
}
