//! What the log takes it must give back: an entry that could not be read would be the end of its workspace.

use stagegate_model::{Change, Json, Rejection, VariableValue};

/// Levels of objects and lists within each other, at most. Who reads a log goes 128 levels deep, of which up to a dozen
/// lie around a value.
const LEVELS_MAX: usize = 100;

/// Keys that begin so mean something to who reads JSON: serde_json, built with certain features, takes an object with one
/// of them for something else.
const RESERVED: &str = "$serde_json::private::";

/// Why a value could not be read back.
enum Unreadable {
    Nested,
    Reserved,
}

/// Refuses a value that could not be read back.
pub(crate) fn check(field: &str, json: &Json) -> Result<(), Rejection> {
    match look(json, LEVELS_MAX) {
        Ok(()) => Ok(()),
        Err(Unreadable::Nested) => {
            let message = format!("it is nested deeper than {LEVELS_MAX} levels");
            Err(Rejection::invalid("too_large", message)
                .at(field)
                .hint("keep deeply nested data as text, or elsewhere, and refer to it"))
        }
        Err(Unreadable::Reserved) => {
            let message = format!("keys that begin with `{RESERVED}` are reserved");
            Err(Rejection::invalid("invalid_name", message)
                .at(field)
                .hint("give the key another name"))
        }
    }
}

/// Whether it can be read back.
pub(crate) fn is_readable(json: &Json) -> bool {
    look(json, LEVELS_MAX).is_ok()
}

fn look(json: &Json, levels: usize) -> Result<(), Unreadable> {
    let below = |json: &Json| look(json, levels - 1);
    match json {
        Json::Array(_) | Json::Object(_) if levels == 0 => Err(Unreadable::Nested),
        Json::Array(items) => items.iter().try_for_each(below),
        Json::Object(fields) => fields.iter().try_for_each(|(key, json)| {
            if key.starts_with(RESERVED) {
                return Err(Unreadable::Reserved);
            }
            below(json)
        }),
        _ => Ok(()),
    }
}

/// Refuses a change of the configuration in which something could not be read back.
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
