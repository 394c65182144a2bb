//! The format: what a scenario file says, read and checked before anything runs.

mod acts;
mod expectations;
pub(crate) mod members;
mod orders;
mod schema;
mod scripts;
mod standings;

pub(crate) use acts::{
    Act, ActKind, Decision, Deletion, JobFilter, MeasureAct, NewVersionAct, Report, Restart,
    UpdateAct, VoteAct,
};
pub(crate) use expectations::{
    ExpectKind, Expectation, GateExpect, JobPattern, JobsWanted, PromotionExpect, StatesExpect,
    TargetsWanted, VerificationExpect, Wanted, WhyExpect,
};
pub(crate) use orders::{Earlier, Order, OrderAct, TargetChoice};
pub use schema::schema;
pub(crate) use scripts::{AgentScript, Measured, MetricScript};
pub(crate) use standings::{
    PausedWanted, ReleasePattern, ReleasesWanted, RetryExpect, RolloutExpect, StandingExpect,
};

use crate::reader::{Fields, FormatError, Moment, Reader};
use crate::yaml::{Node, Position, Value};
use members::{PERSON_KEYS, REFUSED, SCENARIO, STEP};
use stagegate_model::{Role, Timestamp};

/// A Monday morning, so that what depends on the day of the week reads naturally.
pub(crate) const START: Timestamp = Timestamp(1_767_603_600_000);

/// Steps in a file, at most.
const STEPS_MAX: usize = 10_000;

/// A scenario as its file says it.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub name: String,
    pub start: Timestamp,
    pub golden: bool,
    /// Files of documents, relative to the scenario's.
    pub given: Vec<(String, Position)>,
    pub documents: Vec<Inline>,
    pub people: Vec<Person>,
    pub agents: Vec<AgentScript>,
    pub metrics: Vec<MetricScript>,
    pub steps: Vec<Step>,
}

/// Documents in place, and where their text stands in the file.
#[derive(Clone, Debug)]
pub(crate) struct Inline {
    pub text: String,
    pub at: Position,
    /// Whether the text's lines are the file's, from the line after `at` on.
    pub literal: bool,
}

#[derive(Debug)]
pub(crate) struct Person {
    pub name: String,
    /// The role of each key, by the key's name; one without a name is the person's only one.
    pub keys: Vec<(String, Role)>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub at: Position,
    /// Since the scenario's start.
    pub millis: i64,
    pub note: String,
    pub acts: Vec<Act>,
    pub refused: Option<Refused>,
    pub expect: Vec<Expectation>,
}

#[derive(Debug)]
pub(crate) struct Refused {
    pub at: Position,
    pub code: Option<String>,
    pub message: Option<String>,
    pub field: Option<String>,
    pub line: Option<u64>,
}

/// Whether a parsed file means to be a scenario.
pub(crate) fn is_scenario(documents: &[Node]) -> bool {
    documents.first().is_some_and(|root| match &root.value {
        Value::Mapping(entries) => entries.iter().any(|entry| entry.key == "steps"),
        _ => false,
    })
}

/// Reads a scenario.
///
/// # Errors
/// All that is wrong with it, in the order of the text.
pub(crate) fn read(documents: &[Node]) -> Result<Scenario, Vec<FormatError>> {
    let mut reader = Reader::default();
    let scenario = documents
        .first()
        .and_then(|root| read_scenario(&mut reader, root));
    if let Some(second) = documents.get(1) {
        let hint = "put documents of entities under `documents: |`, or in a file named by `given:`";
        reader.refuse(second.at, "a scenario is one YAML document", hint);
    }
    if documents.is_empty() {
        reader.refuse(
            Position::START,
            "the file is empty",
            "start with `name:` and `steps:`",
        );
    }
    match scenario {
        Some(scenario) if reader.errors.is_empty() => Ok(scenario),
        _ => {
            reader.errors.sort_by_key(|error| error.at);
            Err(reader.errors)
        }
    }
}

fn read_scenario(reader: &mut Reader, root: &Node) -> Option<Scenario> {
    let fields = reader.object(root, &SCENARIO)?;
    let start = match reader.moment_of(fields, "start") {
        None => START,
        Some(Moment::Absolute(at)) => at,
        Some(Moment::Offset(_)) => {
            reader.refuse(
                fields.get("start").map_or(root.at, |node| node.at),
                "the start is an absolute time",
                "write one such as 2026-01-31T09:00:00Z",
            );
            START
        }
    };
    let name = reader.required(fields, "name", "production waits for staging");
    let golden = reader.boolean_of(fields, "golden").unwrap_or(false);
    let given = files(reader, fields, "given");
    let documents = fields
        .get("documents")
        .map(|node| inline(reader, node))
        .unwrap_or_default();
    let people = people(reader, fields);
    let agents = fields
        .get("agents")
        .map(|node| scripts::agents(reader, node))
        .unwrap_or_default();
    let metrics = fields
        .get("metrics")
        .map(|node| scripts::metrics(reader, node))
        .unwrap_or_default();
    let steps = steps(reader, fields, start);
    Some(Scenario {
        name,
        start,
        golden,
        given,
        documents,
        people,
        agents,
        metrics,
        steps,
    })
}

pub(crate) fn files(reader: &mut Reader, fields: Fields<'_>, key: &str) -> Vec<(String, Position)> {
    let Some(node) = fields.get(key) else {
        return Vec::new();
    };
    files_at(reader, node)
}

pub(crate) fn files_at(reader: &mut Reader, node: &Node) -> Vec<(String, Position)> {
    let items = reader.one_or_many(node);
    items
        .iter()
        .filter_map(|item| Some((reader.text(item)?, item.at)))
        .collect()
}

/// Texts of documents, and documents written as mappings.
pub(crate) fn inline(reader: &mut Reader, node: &Node) -> Vec<Inline> {
    let items = reader.one_or_many(node);
    let mut documents = Vec::new();
    for item in items {
        match &item.value {
            Value::Scalar(scalar) if !item.is_null() => documents.push(Inline {
                text: scalar.text.clone(),
                at: item.at,
                literal: scalar.literal,
            }),
            // JSON is YAML: the document is handed on as one line.
            Value::Mapping(_) => documents.push(Inline {
                text: item.to_json().to_string(),
                at: item.at,
                literal: false,
            }),
            _ => reader.expected(
                item,
                "a document",
                "write `documents: |` and the documents below",
            ),
        }
    }
    documents
}

fn people(reader: &mut Reader, fields: Fields<'_>) -> Vec<Person> {
    let Some(people) = fields.get("people").and_then(|node| reader.mapping(node)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in people.entries() {
        if entry.key == "system" || entry.key.contains('/') {
            let hint = "`system` is Stagegate itself, and `/` separates a person from a key";
            reader.refuse(
                entry.at,
                format!("a person cannot be called `{}`", entry.key),
                hint,
            );
        }
        let role =
            |reader: &mut Reader, node: &Node| reader.word(node, &members::roles(), Role::parse);
        let keys = match &entry.value.value {
            Value::Mapping(_) => {
                let Some(person) = reader.object(&entry.value, &PERSON_KEYS) else {
                    continue;
                };
                let Some(keys) = person.get("keys").and_then(|node| reader.mapping(node)) else {
                    reader.missing(entry.value.at, "keys", "{ laptop: approver }");
                    continue;
                };
                let keys = keys.entries().iter();
                keys.filter_map(|key| Some((key.key.clone(), role(reader, &key.value)?)))
                    .collect()
            }
            _ => match role(reader, &entry.value) {
                Some(role) => vec![(String::new(), role)],
                None => continue,
            },
        };
        let name = entry.key.clone();
        found.push(Person { name, keys });
    }
    found
}

fn steps(reader: &mut Reader, fields: Fields<'_>, start: Timestamp) -> Vec<Step> {
    let Some(node) = fields.get("steps") else {
        let hint = "`- at: 0s`, below it what happens and `expect:`";
        reader.refuse(fields.at, "`steps` is missing", hint);
        return Vec::new();
    };
    let items = reader.one_or_many(node);
    if items.len() > STEPS_MAX {
        let message = format!("more than {STEPS_MAX} steps");
        reader.refuse(node.at, message, "split the scenario");
        return Vec::new();
    }
    let mut millis = 0;
    let mut steps = Vec::new();
    for item in items {
        let Some(fields) = reader.object(item, &STEP) else {
            continue;
        };
        let before = millis;
        if let (Some(_), Some(after)) = (fields.get("at"), fields.get("after")) {
            reader.refuse(
                after.at,
                "`at` and `after` exclude each other",
                "keep one of them",
            );
        }
        if let Some(moment) = reader.moment_of(fields, "at") {
            millis = moment.after(start).millis_since(start);
        } else if let Some(after) = reader.duration_of(fields, "after") {
            millis = before.saturating_add(after);
        }
        if millis < before {
            let at = fields
                .get("at")
                .or(fields.get("after"))
                .map_or(item.at, |node| node.at);
            let message = format!(
                "this is earlier than the step before, which is at {}",
                crate::reader::spelled(before)
            );
            reader.refuse(at, message, "put the steps in the order of time");
            millis = before;
        }
        let acts = acts::acts(reader, fields);
        let refused = fields.get("refused").map(|node| refused(reader, node));
        if let Some(refused) = &refused
            && acts.len() != 1
        {
            let message = format!("`refused` is about one act; this step has {}", acts.len());
            reader.refuse(refused.at, message, "give each act a step of its own");
        }
        let note = reader.text_of(fields, "note").unwrap_or_default();
        let expect = expectations::all(reader, fields);
        steps.push(Step {
            at: item.at,
            millis,
            note,
            acts,
            refused,
            expect,
        });
    }
    steps
}

fn refused(reader: &mut Reader, node: &Node) -> Refused {
    let mut refused = Refused {
        at: node.at,
        code: None,
        message: None,
        field: None,
        line: None,
    };
    if let Value::Mapping(_) = node.value
        && let Some(fields) = reader.object(node, &REFUSED)
    {
        refused.code = reader.text_of(fields, "code");
        refused.message = reader.text_of(fields, "message");
        refused.field = reader.text_of(fields, "field");
        refused.line = reader.count_of(fields, "line");
        if fields.entries().is_empty() {
            reader.missing(node.at, "code", "version_exists");
        }
    } else {
        refused.code = reader.text(node);
    }
    refused
}
