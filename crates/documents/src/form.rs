//! Entities as the fields of their documents, in the order a person would write them.

use crate::Persons;
use serde_json::{Map, Value as Json, json};
use stagegate_model::{
    Deployment, DeploymentVariable, Environment, EnvironmentId, JobAgent, JobLimitsSpec, Metadata,
    Notifier, Policy, PolicyId, RelationshipRule, Resource, System, SystemId, VariableSet,
    VariableValue,
};
use std::collections::{BTreeMap, BTreeSet};

/// The fields of a document other than its type; what has its default is left out.
pub(crate) type Form = Vec<(&'static str, Json)>;

/// The names by which documents mention entities.
#[derive(Default)]
pub(crate) struct Names {
    pub systems: BTreeMap<SystemId, String>,
    pub policies: BTreeMap<PolicyId, String>,
    pub environments: BTreeMap<EnvironmentId, String>,
    /// By the selector that picks the agent by its name.
    pub agents: BTreeMap<String, String>,
    pub persons: Persons,
}

impl Names {
    pub fn add_agent(&mut self, name: &str) {
        self.agents.insert(agent_selector(name), name.to_owned());
    }
}

/// The selector that picks the agent of this name.
pub(crate) fn agent_selector(name: &str) -> String {
    // JSON's string literals are CEL's, escapes included.
    format!("jobAgent.name == {}", Json::from(name))
}

pub(crate) fn system(system: &System) -> Form {
    let mut form = vec![("name", json!(system.name))];
    if system.slug != crate::wording::slugified(&system.name) {
        form.push(("slug", json!(system.slug)));
    }
    describe(&mut form, &system.description, &system.metadata);
    form
}

pub(crate) fn job_agent(agent: &JobAgent) -> Form {
    let mut form = vec![
        ("name", json!(agent.name)),
        ("agentType", json!(agent.kind)),
    ];
    push_config(&mut form, "config", &agent.config);
    push_limits(&mut form, &agent.job_limits);
    describe(&mut form, "", &agent.metadata);
    form
}

pub(crate) fn resource(resource: &Resource, variables: &BTreeMap<String, VariableValue>) -> Form {
    let mut form = vec![
        ("name", json!(resource.name)),
        ("identifier", json!(resource.identifier)),
        ("kind", json!(resource.kind)),
        ("version", json!(resource.version)),
    ];
    describe(&mut form, "", &resource.metadata);
    push_config(&mut form, "config", &resource.config);
    if !variables.is_empty() {
        form.push(("variables", written(variables)));
    }
    form
}

pub(crate) fn environment(environment: &Environment, names: &Names) -> Form {
    let mut form = vec![("name", json!(environment.name))];
    describe(&mut form, &environment.description, &environment.metadata);
    push_systems(&mut form, &environment.systems, names);
    form.push(("resourceSelector", json!(environment.resource_selector)));
    form
}

pub(crate) fn deployment(
    deployment: &Deployment,
    variables: &[DeploymentVariable],
    names: &Names,
) -> Form {
    let mut form = vec![
        ("name", json!(deployment.name)),
        ("slug", json!(deployment.slug)),
    ];
    describe(&mut form, &deployment.description, &deployment.metadata);
    push_systems(&mut form, &deployment.systems, names);
    form.push(("resourceSelector", json!(deployment.resource_selector)));
    match names.agents.get(&deployment.job_agent_selector) {
        Some(name) => {
            let mut agent = Map::new();
            agent.insert("name".to_owned(), json!(name));
            if !is_empty(&deployment.job_agent_config) {
                agent.insert("config".to_owned(), deployment.job_agent_config.clone());
            }
            form.push(("jobAgent", agent.into()));
        }
        None => {
            form.push(("jobAgentSelector", json!(deployment.job_agent_selector)));
            push_config(&mut form, "jobAgentConfig", &deployment.job_agent_config);
        }
    }
    push_limits(&mut form, &deployment.job_limits);
    if deployment.redeploy_on_variable_change {
        form.push(("redeployOnVariableChange", json!(true)));
    }
    if !variables.is_empty() {
        form.push(("variables", variables.iter().map(variable).collect()));
    }
    form
}

fn written(values: &BTreeMap<String, VariableValue>) -> Json {
    let values = values.iter();
    values
        .map(|(key, value)| (key.clone(), value.written()))
        .collect::<Map<String, Json>>()
        .into()
}

fn variable(variable: &DeploymentVariable) -> Json {
    let mut fields = Map::new();
    fields.insert("key".to_owned(), json!(variable.key));
    if !variable.description.is_empty() {
        fields.insert("description".to_owned(), json!(variable.description));
    }
    if let Some(default) = &variable.default {
        fields.insert("default".to_owned(), default.written());
    }
    if !variable.values.is_empty() {
        let values = variable.values.iter().map(|it| {
            let mut fields = Map::new();
            if !it.resource_selector.is_empty() {
                fields.insert("resourceSelector".to_owned(), json!(it.resource_selector));
            }
            if it.priority != 0 {
                fields.insert("priority".to_owned(), json!(it.priority));
            }
            fields.insert("value".to_owned(), it.value.written());
            Json::Object(fields)
        });
        fields.insert("values".to_owned(), values.collect());
    }
    fields.into()
}

pub(crate) fn variable_set(set: &VariableSet) -> Form {
    let mut form = vec![("name", json!(set.name))];
    describe(&mut form, &set.description, &Metadata::new());
    form.push(("selector", json!(set.selector)));
    if set.priority != 0 {
        form.push(("priority", json!(set.priority)));
    }
    form.push(("variables", written(&set.variables)));
    form
}

pub(crate) fn relationship_rule(rule: &RelationshipRule) -> Form {
    let mut form = vec![
        ("name", json!(rule.name)),
        ("reference", json!(rule.reference)),
    ];
    describe(&mut form, &rule.description, &rule.metadata);
    form.push(("cel", json!(rule.cel)));
    form
}

pub(crate) fn policy(policy: &Policy, names: &Names) -> Form {
    let mut form = vec![("name", json!(policy.name))];
    describe(&mut form, &policy.description, &policy.metadata);
    if !policy.enabled {
        form.push(("enabled", json!(false)));
    }
    if policy.priority != 0 {
        form.push(("priority", json!(policy.priority)));
    }
    let mut replaces: Vec<&String> = policy
        .replaces
        .iter()
        .filter_map(|id| names.policies.get(id))
        .collect();
    replaces.sort();
    if !replaces.is_empty() {
        form.push(("replaces", json!(replaces)));
    }
    form.push(("selector", json!(policy.selector)));
    if !policy.rules.is_empty() {
        let rules = policy.rules.iter();
        let rules = rules.map(|rule| {
            let spec = names.persons.shown(&rule.kind, &rule.spec);
            json!({ rule.kind.clone(): filled(&spec) })
        });
        form.push(("rules", rules.collect()));
    }
    form
}

pub(crate) fn notifier(notifier: &Notifier, names: &Names) -> Form {
    let mut form = vec![
        ("name", json!(notifier.name)),
        ("notifierType", json!(notifier.kind)),
    ];
    push_config(&mut form, "config", &notifier.config);
    if !notifier.events.is_empty() {
        form.push(("events", json!(notifier.events)));
    }
    let mut environments: Vec<&String> = notifier
        .environments
        .iter()
        .filter_map(|id| names.environments.get(id))
        .collect();
    environments.sort();
    if !environments.is_empty() {
        form.push(("environments", json!(environments)));
    }
    if !notifier.selector.is_empty() {
        form.push(("selector", json!(notifier.selector)));
    }
    describe(&mut form, "", &notifier.metadata);
    form
}

/// A config or spec with nothing in it is an empty mapping in documents.
fn filled(value: &Json) -> Json {
    match value {
        Json::Null => Json::Object(Map::new()),
        value => value.clone(),
    }
}

pub(crate) fn is_empty(value: &Json) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

fn describe(form: &mut Form, description: &str, metadata: &Metadata) {
    if !description.is_empty() {
        form.push(("description", json!(description)));
    }
    if !metadata.is_empty() {
        form.push(("metadata", json!(metadata)));
    }
}

fn push_config(form: &mut Form, key: &'static str, config: &Json) {
    if !is_empty(config) {
        form.push((key, config.clone()));
    }
}

fn push_limits(form: &mut Form, limits: &JobLimitsSpec) {
    if !limits.is_empty() {
        form.push(("jobLimits", json!(limits)));
    }
}

fn push_systems(form: &mut Form, systems: &BTreeSet<SystemId>, names: &Names) {
    let mut found: Vec<&String> = systems
        .iter()
        .filter_map(|id| names.systems.get(id))
        .collect();
    found.sort();
    match found.as_slice() {
        [only] => form.push(("system", json!(only))),
        found => form.push(("systems", json!(found))),
    }
}
