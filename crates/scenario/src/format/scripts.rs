//! What agents and metrics do by themselves: rules of which the first that fits counts.

use super::acts::JobFilter;
use super::members::{AGENT, MEASURED_ONE, METRIC, agent_outcomes, measured_words};
use crate::reader::{Fields, Reader};
use crate::yaml::{Node, Value};
use serde_json::Value as Json;
use stagegate_model::{JobStatus, MeasurementStatus};

/// What agents answer for jobs that fit.
#[derive(Clone, Debug)]
pub(crate) struct AgentScript {
    pub filter: JobFilter,
    /// `None`: it never answers.
    pub outcome: Option<JobStatus>,
    /// Since the job's creation.
    pub after_millis: i64,
    /// When it claims the job.
    pub started_millis: Option<i64>,
    pub message: String,
}

/// What is measured for jobs that fit.
#[derive(Clone, Debug)]
pub(crate) struct MetricScript {
    pub metric: Option<String>,
    pub filter: JobFilter,
    /// In order; the last one goes on.
    pub results: Vec<Measured>,
}

/// One result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Measured {
    /// As judged, whatever the metric's conditions are.
    Judged(MeasurementStatus),
    /// What the provider returned; the real conditions judge it.
    Result(Json),
    Error(String),
    Never,
}

/// `successful` · `{default: …, agent: …}` · a list of rules.
pub(super) fn agents(reader: &mut Reader, node: &Node) -> Vec<AgentScript> {
    match &node.value {
        Value::Scalar(_) => agent(reader, node).into_iter().collect(),
        Value::List(items) => items
            .iter()
            .filter_map(|item| agent(reader, item))
            .collect(),
        // One rule alone names its outcome.
        Value::Mapping(entries) if entries.iter().any(|entry| entry.key == "outcome") => {
            agent(reader, node).into_iter().collect()
        }
        Value::Mapping(entries) => {
            let (default, named): (Vec<_>, Vec<_>) =
                entries.iter().partition(|entry| entry.key == "default");
            let mut scripts = Vec::new();
            for entry in named.into_iter().chain(default) {
                if let Some(mut script) = agent(reader, &entry.value) {
                    if entry.key != "default" {
                        script.filter.agent = Some(entry.key.clone());
                    }
                    scripts.push(script);
                }
            }
            scripts
        }
    }
}

fn agent(reader: &mut Reader, node: &Node) -> Option<AgentScript> {
    let outcome = |reader: &mut Reader, node: &Node| {
        reader.word(node, &agent_outcomes(), |word| match word {
            "never" => Some(None),
            _ => JobStatus::parse(word).map(Some),
        })
    };
    if let Value::Scalar(_) = node.value {
        return Some(AgentScript {
            filter: JobFilter::default(),
            outcome: outcome(reader, node)?,
            after_millis: 0,
            started_millis: None,
            message: String::new(),
        });
    }
    let fields = reader.object(node, &AGENT)?;
    let Some(word) = fields.get("outcome") else {
        reader.missing(node.at, "outcome", "successful");
        return None;
    };
    let script = AgentScript {
        filter: JobFilter::read(reader, fields),
        outcome: outcome(reader, word)?,
        after_millis: reader.duration_of(fields, "after").unwrap_or(0),
        started_millis: reader.duration_of(fields, "started"),
        message: reader.text_of(fields, "message").unwrap_or_default(),
    };
    let ordered = script.started_millis.unwrap_or(0) <= script.after_millis;
    if script.after_millis < 0 || script.started_millis.is_some_and(|at| at < 0) {
        reader.refuse(node.at, "an agent cannot answer before the job exists", "");
    } else if script.outcome.is_some() && !ordered {
        let hint = "`after` counts from the job's creation, like `started`";
        reader.refuse(node.at, "it would end before it started", hint);
    }
    Some(script)
}

/// `passed` · `{health-check: …}` · a list of rules.
pub(super) fn metrics(reader: &mut Reader, node: &Node) -> Vec<MetricScript> {
    let named = |metric: Option<&str>, results: Vec<Measured>| MetricScript {
        metric: metric.map(str::to_owned),
        filter: JobFilter::default(),
        results,
    };
    match &node.value {
        Value::Scalar(_) => vec![named(None, results(reader, node))],
        Value::List(items) => items
            .iter()
            .filter_map(|item| {
                let fields = reader.object(item, &METRIC)?;
                let Some(wanted) = fields.get("results") else {
                    reader.missing(item.at, "results", "passed");
                    return None;
                };
                Some(MetricScript {
                    metric: reader.text_of(fields, "metric"),
                    filter: JobFilter::read(reader, fields),
                    results: results(reader, wanted),
                })
            })
            .collect(),
        Value::Mapping(entries) => entries
            .iter()
            .map(|entry| named(Some(&entry.key), results(reader, &entry.value)))
            .collect(),
    }
}

fn results(reader: &mut Reader, node: &Node) -> Vec<Measured> {
    let items = reader.one_or_many(node);
    if items.is_empty() {
        reader.expected(node, "a result", "write `passed`, or `never` for none");
    }
    items
        .iter()
        .filter_map(|item| result(reader, item))
        .collect()
}

fn result(reader: &mut Reader, node: &Node) -> Option<Measured> {
    match &node.value {
        Value::Mapping(_) => {
            let fields = reader.object(node, &MEASURED_ONE)?;
            raw(reader, fields).or_else(|| {
                reader.missing(node.at, "result", "{ statusCode: 200 }");
                None
            })
        }
        _ => reader.word(node, &measured_words(), measured),
    }
}

/// `result:` or `error:`.
pub(super) fn raw(reader: &mut Reader, fields: Fields<'_>) -> Option<Measured> {
    if let Some(error) = fields.get("error") {
        return reader.text(error).map(Measured::Error);
    }
    fields
        .get("result")
        .map(|result| Measured::Result(result.to_json()))
}

pub(super) fn measured(word: &str) -> Option<Measured> {
    match word {
        "never" => Some(Measured::Never),
        "error" => Some(Measured::Error("the scenario says so".to_owned())),
        _ => MeasurementStatus::parse(word).map(Measured::Judged),
    }
}
