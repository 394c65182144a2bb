//! One document, read on its own: every field checked, names of other entities not looked up yet.

mod variables;

pub(crate) use variables::{RelationshipRuleDraft, ValueDraft, VariableDraft, VariableSetDraft};

use crate::conjunction::all_of;
use crate::error::code;
use crate::limits::{IDENTIFIER_CHARS_MAX, NAME_CHARS_MAX};
use crate::persons::persons_in;
use crate::plan::Kind;
use crate::reader::{Fields, Reader};
use crate::wording::{clip, folded, quoted_list};
use crate::yaml::{Node, Position, Value, join, join_index};
use serde_json::Value as Json;
use stagegate_model::{JobLimitsSpec, Metadata, OnLostLease, RuleId};
use std::collections::BTreeMap;

/// A document as it asks to be.
pub(crate) struct Draft {
    pub name: String,
    /// Where the name is.
    pub at: Position,
    pub body: Body,
}

pub(crate) enum Body {
    System(SystemDraft),
    JobAgent(JobAgentDraft),
    Resource(ResourceDraft),
    Environment(EnvironmentDraft),
    Deployment(DeploymentDraft),
    Policy(PolicyDraft),
    Notifier(NotifierDraft),
    VariableSet(VariableSetDraft),
    RelationshipRule(RelationshipRuleDraft),
}

pub(crate) struct SystemDraft {
    pub slug: String,
    pub description: String,
    pub metadata: Metadata,
}

pub(crate) struct JobAgentDraft {
    pub kind: String,
    pub config: Json,
    pub limits: JobLimitsSpec,
    pub metadata: Metadata,
}

pub(crate) struct ResourceDraft {
    pub identifier: String,
    pub kind: String,
    pub version: String,
    pub metadata: Metadata,
    pub config: Json,
    /// `None`: not spoken of.
    pub variables: Option<BTreeMap<String, ValueDraft>>,
}

pub(crate) struct EnvironmentDraft {
    pub description: String,
    pub metadata: Metadata,
    pub resource_selector: String,
    pub systems: Links,
}

pub(crate) struct DeploymentDraft {
    pub slug: String,
    pub description: String,
    pub metadata: Metadata,
    pub resource_selector: String,
    pub agent: AgentChoice,
    pub agent_config: Json,
    pub limits: JobLimitsSpec,
    pub redeploys: bool,
    /// `None`: not spoken of.
    pub variables: Option<Vec<VariableDraft>>,
    pub systems: Links,
}

pub(crate) struct PolicyDraft {
    pub description: String,
    pub metadata: Metadata,
    pub enabled: bool,
    pub priority: i64,
    pub selector: String,
    pub replaces: Vec<Reference>,
    pub rules: Vec<RuleDraft>,
}

pub(crate) struct NotifierDraft {
    pub kind: String,
    pub config: Json,
    pub events: Vec<Reference>,
    pub environments: Vec<Reference>,
    pub selector: String,
    pub metadata: Metadata,
}

pub(crate) struct RuleDraft {
    pub id: Option<(RuleId, Position)>,
    pub kind: String,
    pub spec: Json,
    /// Approvers written as `user:NAME`.
    pub persons: Vec<Reference>,
}

/// The name of something else, and where it stands.
pub(crate) struct Reference {
    pub name: String,
    pub at: Position,
    pub field: String,
}

/// Which systems something belongs to.
pub(crate) enum Links {
    Absent,
    Named(Vec<Reference>),
}

pub(crate) enum AgentChoice {
    Selector(String),
    Named(Reference),
}

impl Draft {
    pub fn kind(&self) -> Kind {
        match self.body {
            Body::System(_) => Kind::System,
            Body::JobAgent(_) => Kind::JobAgent,
            Body::Resource(_) => Kind::Resource,
            Body::Environment(_) => Kind::Environment,
            Body::Deployment(_) => Kind::Deployment,
            Body::Policy(_) => Kind::Policy,
            Body::Notifier(_) => Kind::Notifier,
            Body::VariableSet(_) => Kind::VariableSet,
            Body::RelationshipRule(_) => Kind::RelationshipRule,
        }
    }

    /// What makes two documents of a kind the same entity.
    pub fn identity(&self) -> String {
        match &self.body {
            Body::Deployment(deployment) => deployment.slug.clone(),
            Body::Resource(resource) => resource.identifier.clone(),
            _ => folded(&self.name),
        }
    }
}

const SYSTEM: &[&str] = &["type", "name", "slug", "description", "metadata"];
const JOB_AGENT: &[&str] = &[
    "type",
    "name",
    "agentType",
    "config",
    "jobLimits",
    "metadata",
];
const RESOURCE: &[&str] = &[
    "type",
    "name",
    "identifier",
    "kind",
    "version",
    "metadata",
    "config",
    "variables",
];
const ENVIRONMENT: &[&str] = &[
    "type",
    "name",
    "description",
    "system",
    "systems",
    "resourceSelector",
    "metadata",
];
const DEPLOYMENT: &[&str] = &[
    "type",
    "name",
    "slug",
    "description",
    "system",
    "systems",
    "resourceSelector",
    "jobAgent",
    "jobAgentSelector",
    "jobAgentConfig",
    "jobLimits",
    "redeployOnVariableChange",
    "variables",
    "metadata",
];
/// What a deployment may say of its jobs' limits; the rest is the runners'.
const DEPLOYMENT_LIMITS: &[&str] = &["startDeadlineSeconds", "runTimeoutSeconds"];
const AGENT_LIMITS: &[&str] = &[
    "startDeadlineSeconds",
    "runTimeoutSeconds",
    "leaseSeconds",
    "graceSeconds",
    "onLostLease",
];
const POLICY: &[&str] = &[
    "type",
    "name",
    "description",
    "enabled",
    "priority",
    "replaces",
    "selector",
    "selectors",
    "rules",
    "metadata",
];
const NOTIFIER: &[&str] = &[
    "type",
    "name",
    "notifierType",
    "config",
    "events",
    "environments",
    "selector",
    "metadata",
];
const SELECTORS: &[&str] = &[
    "environment",
    "environments",
    "deployment",
    "resource",
    "version",
];

/// Reads a document. There is no draft only when it is not known what it declares.
pub(crate) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Draft> {
    if !matches!(node.value, Value::Mapping(_)) {
        let message = format!("a document is a mapping; this is {}", node.described());
        let hint = "start with `type:` and `name:`, and put `---` between documents";
        reader.refuse(node.at, "", code::NOT_A_MAPPING, message, hint);
        return None;
    }
    let fields = reader.fields(node, "")?;
    let kinds = Kind::ALL.map(Kind::word);
    let kind = reader.required(fields, "type", "…").and_then(|word| {
        match Kind::ALL.into_iter().find(|kind| kind.word() == word) {
            Some(kind) => Some(kind),
            None => {
                let at = fields.get("type").unwrap_or(node);
                reader.unknown_type(at, &word, &kinds);
                None
            }
        }
    });
    if fields.get("type").is_none()
        && let Some(error) = reader.errors.last_mut()
    {
        error.hint = format!("add `type:` with one of {}", quoted_list(&kinds));
    }
    let name = reader.required(fields, "name", "…");
    let name_at = fields.get("name").map_or(node.at, |name| name.at);
    if let Some(name) = &name {
        reader.checked_name(name, name_at, "name", NAME_CHARS_MAX);
    }
    // The fields are read even without a name, so that everything wrong with them is found at once.
    let body = read_body(reader, kind?, fields, name.as_deref());
    Some(Draft {
        name: name?,
        at: name_at,
        body,
    })
}

fn read_body(reader: &mut Reader<'_>, kind: Kind, fields: Fields<'_>, name: Option<&str>) -> Body {
    let known = match kind {
        Kind::System => SYSTEM,
        Kind::JobAgent => JOB_AGENT,
        Kind::Resource => RESOURCE,
        Kind::Environment => ENVIRONMENT,
        Kind::Deployment => DEPLOYMENT,
        Kind::Policy => POLICY,
        Kind::Notifier => NOTIFIER,
        Kind::VariableSet => variables::VARIABLE_SET,
        Kind::RelationshipRule => variables::RELATIONSHIP_RULE,
    };
    reader.refuse_unknown(fields, known);
    let metadata = reader.metadata_of(fields);
    let slug = |reader: &mut Reader<'_>| match name {
        Some(name) => reader.slug(fields, name),
        None => String::new(),
    };
    match kind {
        Kind::System => Body::System(SystemDraft {
            slug: slug(reader),
            description: reader.text_of(fields, "description").unwrap_or_default(),
            metadata,
        }),
        Kind::JobAgent => Body::JobAgent(JobAgentDraft {
            kind: named(reader, fields, "agentType", "exec"),
            config: reader.object_of(fields, "config"),
            limits: job_limits(reader, fields, AGENT_LIMITS),
            metadata,
        }),
        Kind::Resource => Body::Resource(ResourceDraft {
            identifier: identifier(reader, fields, name),
            kind: named(reader, fields, "kind", "ProcessHost"),
            version: named(reader, fields, "version", "stagegate/v1"),
            metadata,
            config: reader.object_of(fields, "config"),
            variables: variables::own(reader, fields),
        }),
        Kind::Environment => Body::Environment(EnvironmentDraft {
            description: reader.text_of(fields, "description").unwrap_or_default(),
            metadata,
            resource_selector: reader
                .expression_of(fields, "resourceSelector")
                .unwrap_or_else(|| "false".to_owned()),
            systems: links(reader, fields),
        }),
        Kind::Deployment => {
            let (agent, agent_config) = job_agent(reader, fields);
            Body::Deployment(DeploymentDraft {
                slug: slug(reader),
                description: reader.text_of(fields, "description").unwrap_or_default(),
                metadata,
                resource_selector: reader
                    .expression_of(fields, "resourceSelector")
                    .unwrap_or_else(|| "true".to_owned()),
                agent,
                agent_config,
                limits: job_limits(reader, fields, DEPLOYMENT_LIMITS),
                redeploys: reader.boolean_of(fields, "redeployOnVariableChange", false),
                variables: variables::declared(reader, fields),
                systems: links(reader, fields),
            })
        }
        Kind::Policy => Body::Policy(PolicyDraft {
            description: reader.text_of(fields, "description").unwrap_or_default(),
            metadata,
            enabled: reader.boolean_of(fields, "enabled", true),
            priority: reader.integer_of(fields, "priority"),
            selector: selector(reader, fields),
            replaces: references(reader, fields, "replaces"),
            rules: rules(reader, fields),
        }),
        Kind::Notifier => Body::Notifier(NotifierDraft {
            kind: named(reader, fields, "notifierType", "webhook"),
            config: reader.object_of(fields, "config"),
            events: references(reader, fields, "events"),
            environments: references(reader, fields, "environments"),
            selector: reader.expression_of(fields, "selector").unwrap_or_default(),
            metadata,
        }),
        Kind::VariableSet => Body::VariableSet(variables::set(reader, fields)),
        Kind::RelationshipRule => {
            Body::RelationshipRule(variables::relationship_rule(reader, fields, metadata))
        }
    }
}

/// A required word that is held to what names are held to.
fn named(reader: &mut Reader<'_>, fields: Fields<'_>, key: &str, example: &str) -> String {
    let word = reader.required(fields, key, example);
    if let (Some(word), Some(node)) = (&word, fields.get(key)) {
        reader.checked_name(word, node.at, key, NAME_CHARS_MAX);
    }
    word.unwrap_or_default()
}

fn identifier(reader: &mut Reader<'_>, fields: Fields<'_>, name: Option<&str>) -> String {
    let Some(node) = fields.get("identifier") else {
        return name.unwrap_or_default().to_owned();
    };
    let identifier = reader.text(node, "identifier");
    if let Some(identifier) = &identifier {
        reader.checked_name(identifier, node.at, "identifier", IDENTIFIER_CHARS_MAX);
    }
    identifier.unwrap_or_default()
}

/// A list of names; one name alone is a list of one.
fn references(reader: &mut Reader<'_>, fields: Fields<'_>, key: &str) -> Vec<Reference> {
    let path = fields.path_of(key);
    let Some(node) = fields.get(key) else {
        return Vec::new();
    };
    if matches!(node.value, Value::Scalar(_)) {
        return reference(reader, node, path).into_iter().collect();
    }
    let items = reader.list(node, &path);
    let items = items.iter().enumerate();
    items
        .filter_map(|(index, item)| reference(reader, item, join_index(&path, index)))
        .collect()
}

fn reference(reader: &mut Reader<'_>, node: &Node, field: String) -> Option<Reference> {
    let name = reader.text(node, &field)?;
    let at = node.at;
    Some(Reference { name, at, field })
}

fn links(reader: &mut Reader<'_>, fields: Fields<'_>) -> Links {
    reader.refuse_both(fields, "system", "systems");
    let one = fields
        .get("system")
        .map(|node| reference(reader, node, "system".to_owned()));
    match (one, fields.get("systems")) {
        (Some(one), _) => Links::Named(one.into_iter().collect()),
        (None, Some(_)) => Links::Named(references(reader, fields, "systems")),
        (None, None) => Links::Absent,
    }
}

fn job_agent(reader: &mut Reader<'_>, fields: Fields<'_>) -> (AgentChoice, Json) {
    reader.refuse_both(fields, "jobAgent", "jobAgentSelector");
    reader.refuse_both(fields, "jobAgent", "jobAgentConfig");
    let nobody = AgentChoice::Selector("false".to_owned());
    let Some(node) = fields.get("jobAgent") else {
        // Without a word about the agent there is none: better a visible block than a job on the wrong machine.
        let selector = reader.expression_of(fields, "jobAgentSelector");
        let choice = selector.map_or(nobody, AgentChoice::Selector);
        return (choice, reader.object_of(fields, "jobAgentConfig"));
    };
    if matches!(node.value, Value::Scalar(_)) {
        let name = reference(reader, node, "jobAgent".to_owned());
        let empty = Json::Object(serde_json::Map::new());
        return (name.map_or(nobody, AgentChoice::Named), empty);
    }
    let Some(agent) = reader.fields(node, "jobAgent") else {
        return (nobody, Json::Null);
    };
    reader.refuse_unknown(agent, &["name", "config"]);
    let name = reader.required(agent, "name", "…");
    let choice = match (name, agent.get("name")) {
        (Some(name), Some(node)) => AgentChoice::Named(Reference {
            name,
            at: node.at,
            field: "jobAgent.name".to_owned(),
        }),
        _ => nobody,
    };
    (choice, reader.object_of(agent, "config"))
}

/// Limits of jobs; their bounds are the engine's to check.
fn job_limits(reader: &mut Reader<'_>, fields: Fields<'_>, known: &[&str]) -> JobLimitsSpec {
    let mut limits = JobLimitsSpec::default();
    let Some(said) = fields
        .get("jobLimits")
        .and_then(|node| reader.fields(node, "jobLimits"))
    else {
        return limits;
    };
    reader.refuse_unknown(said, known);
    let mut seconds = |key: &str| {
        let node = said.get(key)?;
        let value = reader.integer_of(said, key);
        if value < 0 {
            let field = said.path_of(key);
            let message = format!("`{value}` is less than nothing");
            let hint = "write a number of seconds";
            reader.refuse(node.at, &field, code::WRONG_TYPE, message, hint);
        }
        u64::try_from(value).ok()
    };
    limits.start_deadline_seconds = seconds("startDeadlineSeconds");
    limits.run_timeout_seconds = seconds("runTimeoutSeconds");
    limits.lease_seconds = seconds("leaseSeconds");
    limits.grace_seconds = seconds("graceSeconds");
    if let (Some(text), Some(node)) = (reader.text_of(said, "onLostLease"), said.get("onLostLease"))
    {
        limits.on_lost_lease = OnLostLease::parse(&text);
        if limits.on_lost_lease.is_none() {
            let field = said.path_of("onLostLease");
            let message = format!("`{}` is not known here", clip(&text));
            let hint = "write `requeue` or `fail`";
            reader.refuse(node.at, &field, code::WRONG_TYPE, message, hint);
        }
    }
    limits
}

fn selector(reader: &mut Reader<'_>, fields: Fields<'_>) -> String {
    reader.refuse_both(fields, "selector", "selectors");
    if let Some(selector) = reader.expression_of(fields, "selector") {
        return selector;
    }
    let items = match fields.get("selectors") {
        Some(node) => reader.list(node, "selectors"),
        None => &[],
    };
    let mut found: Vec<(String, Position, String)> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = join_index("selectors", index);
        let Some(entry) = reader.fields(item, &path) else {
            continue;
        };
        reader.refuse_unknown(entry, SELECTORS);
        if entry.entries().is_empty() {
            let hint = format!("write one of {}", quoted_list(SELECTORS));
            reader.refuse(
                item.at,
                &path,
                code::MISSING_FIELD,
                "this selects nothing",
                hint,
            );
        }
        for part in entry.entries() {
            let path = join(&path, &part.key);
            if SELECTORS.contains(&&*part.key)
                && let Some(expression) = reader.expression(&part.value, &path)
            {
                found.push((expression, part.value.at, path));
            }
        }
    }
    let expressions: Vec<&str> = found.iter().map(|(text, ..)| text.as_str()).collect();
    match all_of(&expressions) {
        Ok(selector) => selector,
        Err((index, message)) => {
            if let Some((text, at, path)) = found.get(index) {
                let message = format!("{message} in `{}`", clip(text));
                let hint = "each selector must be a whole expression";
                reader.refuse(*at, path, code::INVALID_SELECTOR, message, hint);
            }
            "false".to_owned()
        }
    }
}

fn rules(reader: &mut Reader<'_>, fields: Fields<'_>) -> Vec<RuleDraft> {
    let items = match fields.get("rules") {
        Some(node) => reader.list(node, "rules"),
        None => &[],
    };
    let mut rules = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        rules.extend(rule(reader, item, &join_index("rules", index)));
    }
    rules
}

fn rule(reader: &mut Reader<'_>, item: &Node, path: &str) -> Option<RuleDraft> {
    let fields = reader.fields(item, path)?;
    let id = fields.get("id").and_then(|node| {
        let field = fields.path_of("id");
        let text = reader.text(node, &field)?;
        let id = text.parse::<RuleId>();
        if id.is_err() {
            let message = format!("`{}` is not the id of a rule", clip(&text));
            let hint = "ids are UUIDs; leave `id` out and the rule keeps the one it has";
            reader.refuse(node.at, &field, code::WRONG_TYPE, message, hint);
        }
        id.ok().map(|id| (id, node.at))
    });
    let mut kinds = fields.entries().iter().filter(|entry| &*entry.key != "id");
    let Some(entry) = kinds.next() else {
        let hint = "write `- anyApproval: { minApprovals: 1 }` or another kind of rule";
        reader.refuse(
            item.at,
            path,
            code::INVALID_RULE,
            "this rule has no kind",
            hint,
        );
        return None;
    };
    for extra in kinds {
        let field = join(path, &clip(&extra.key));
        let message = format!(
            "a rule has one kind; `{}` stands beside `{}`",
            clip(&extra.key),
            clip(&entry.key)
        );
        let hint = "begin each rule with `- `, and indent what belongs to its kind";
        reader.refuse(extra.at, &field, code::INVALID_RULE, message, hint);
    }
    // `- rollback:` alone asks for the kind's defaults.
    let spec = match entry.value.is_null() {
        true => Json::Object(serde_json::Map::new()),
        false => reader.object(&entry.value, &join(path, &entry.key)),
    };
    let persons = persons_in(&entry.key, &spec).into_iter();
    Some(RuleDraft {
        id,
        kind: entry.key.to_string(),
        persons: persons
            .map(|(place, name)| Reference {
                name,
                at: entry.value.locate(&place).0,
                field: format!("{}.{place}", join(path, &entry.key)),
            })
            .collect(),
        spec,
    })
}
