//! What happens in a step, in the order in which it is written there.

use super::members::{
    CLAIM, DECIDE, DELETE, MEASURE, NEW_VERSION, REPORT, RERUN, RESTART, UPDATE, VOTE,
    job_statuses, measured_words, version_statuses,
};
use super::{
    AgentScript, Inline, Measured, MetricScript, OrderAct, PeopleAct, files_at, inline, orders,
    people, scripts,
};
use crate::reader::{Fields, Moment, Reader};
use crate::yaml::{Entry, Node, Position, Value};
use serde_json::Value as Json;
use stagegate_model::{JobStatus, Metadata, VersionStatus, Vote};

/// Something that happens.
#[derive(Debug)]
pub(crate) struct Act {
    pub at: Position,
    pub kind: ActKind,
}

#[derive(Debug)]
pub(crate) enum ActKind {
    Version(NewVersionAct),
    Update(UpdateAct),
    Apply(Vec<Inline>),
    ApplyFiles(Vec<(String, Position)>),
    Delete(Deletion),
    Vote(VoteAct),
    Report(Report),
    Claim {
        filter: JobFilter,
        runner: String,
    },
    Measure(MeasureAct),
    Decide {
        pass: bool,
        decision: Decision,
    },
    Rerun(Decision),
    /// A person departs from the ordinary course.
    Order(OrderAct),
    /// Groups, skips, freezes.
    People(PeopleAct),
    RevokeKey(String),
    Agents(Vec<AgentScript>),
    Metrics(Vec<MetricScript>),
    Restart(Restart),
}

#[derive(Debug)]
pub(crate) struct NewVersionAct {
    pub deployment: Option<String>,
    pub tag: String,
    pub name: String,
    pub config: Json,
    pub job_agent_config: Json,
    /// Selectors by slugs.
    pub dependencies: Vec<(String, String)>,
    pub status: VersionStatus,
    pub message: String,
    pub metadata: Metadata,
    pub created_at: Option<Moment>,
    pub by: Option<String>,
}

#[derive(Debug)]
pub(crate) struct UpdateAct {
    pub deployment: Option<String>,
    pub version: String,
    pub tag: Option<String>,
    pub name: Option<String>,
    pub config: Option<Json>,
    pub job_agent_config: Option<Json>,
    /// Selectors by slugs; `none` takes one out.
    pub dependencies: Vec<(String, String)>,
    pub status: Option<VersionStatus>,
    pub message: Option<String>,
    pub metadata: Option<Metadata>,
    pub by: Option<String>,
}

/// Kinds with the names of what goes.
#[derive(Debug)]
pub(crate) struct Deletion {
    pub names: Vec<(&'static str, String)>,
    pub by: Option<String>,
}

#[derive(Debug)]
pub(crate) struct VoteAct {
    pub vote: Vote,
    pub deployment: Option<String>,
    pub version: String,
    pub environments: Vec<String>,
    pub by: String,
    pub reason: String,
}

/// Which jobs are meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobFilter {
    pub agent: Option<String>,
    pub deployment: Option<String>,
    pub environment: Option<String>,
    pub resource: Option<String>,
    pub version: Option<String>,
    pub attempt: Option<u64>,
    /// Empty: those that have not ended.
    pub statuses: Vec<JobStatus>,
    pub first: Option<u64>,
    pub last: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Report {
    pub filter: JobFilter,
    pub outcome: JobStatus,
    pub message: String,
    pub runner: Option<String>,
    pub external_id: Option<String>,
    pub times: u64,
}

#[derive(Debug)]
pub(crate) struct MeasureAct {
    pub filter: JobFilter,
    pub metric: Option<String>,
    pub measured: Measured,
    pub ordinal: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Decision {
    pub filter: JobFilter,
    pub by: String,
    pub reason: String,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Restart {
    /// From the first entry on.
    Log,
    /// From the first entry, and from a snapshot after each.
    Snapshots,
    /// From a snapshot after this entry; negative counts from the end.
    SnapshotAt(i64),
}

impl JobFilter {
    /// The members that say which jobs; those that an object does not have are absent anyway.
    pub fn read(reader: &mut Reader, fields: Fields<'_>) -> Self {
        let statuses = fields.get("is").map(|node| {
            let items = reader.one_or_many(node);
            items
                .iter()
                .filter_map(|item| reader.word(item, &job_statuses(), JobStatus::parse))
                .collect()
        });
        Self {
            agent: reader.text_of(fields, "agent"),
            deployment: reader.text_of(fields, "deployment"),
            environment: reader.text_of(fields, "environment"),
            resource: reader.text_of(fields, "resource"),
            version: reader.text_of(fields, "version"),
            attempt: reader.count_of(fields, "attempt"),
            statuses: statuses.unwrap_or_default(),
            first: reader.count_of(fields, "first"),
            last: reader.count_of(fields, "last"),
        }
    }
}

/// The acts of a step.
pub(super) fn acts(reader: &mut Reader, fields: Fields<'_>) -> Vec<Act> {
    let mut acts = Vec::new();
    for entry in fields.entries() {
        if !entry.value.is_null() {
            read_act(reader, entry, &mut acts);
        }
    }
    acts
}

fn read_act(reader: &mut Reader, entry: &Entry, acts: &mut Vec<Act>) {
    let node = &entry.value;
    let mut push = |at: Position, kind: Option<ActKind>| {
        acts.extend(kind.map(|kind| Act { at, kind }));
    };
    // These take a list as a whole; the others are done once for each item.
    match entry.key.as_str() {
        "apply" => return push(entry.at, Some(ActKind::Apply(inline(reader, node)))),
        "applyFiles" => return push(entry.at, Some(ActKind::ApplyFiles(files_at(reader, node)))),
        "agents" => {
            return push(
                entry.at,
                Some(ActKind::Agents(scripts::agents(reader, node))),
            );
        }
        "metrics" => {
            return push(
                entry.at,
                Some(ActKind::Metrics(scripts::metrics(reader, node))),
            );
        }
        "delete" => return push(entry.at, deletion(reader, node).map(ActKind::Delete)),
        "restart" => return push(entry.at, restart(reader, node).map(ActKind::Restart)),
        _ => {}
    }
    for item in reader.one_or_many(node) {
        let kind = match entry.key.as_str() {
            "version" => new_version(reader, item).map(ActKind::Version),
            "update" => update(reader, item).map(ActKind::Update),
            "approve" => vote(reader, item, Vote::Approved).map(ActKind::Vote),
            "reject" => vote(reader, item, Vote::Rejected).map(ActKind::Vote),
            "withdraw" => vote(reader, item, Vote::Withdrawn).map(ActKind::Vote),
            "jobs" => report(reader, item).map(ActKind::Report),
            "claim" => claim(reader, item),
            "measure" => measure(reader, item).map(ActKind::Measure),
            "decide" => decide(reader, item),
            "rerun" => reader.object(item, &RERUN).map(|fields| {
                let decision = decision(reader, fields);
                ActKind::Rerun(decision)
            }),
            "revokeKey" => reader.text(item).map(ActKind::RevokeKey),
            name => match orders::order(reader, name, item) {
                Some(order) => order.map(ActKind::Order),
                None => match people::act(reader, name, item) {
                    Some(act) => act.map(ActKind::People),
                    None => return,
                },
            },
        };
        push(item.at, kind);
    }
}

fn metadata(reader: &mut Reader, fields: Fields<'_>) -> Option<Metadata> {
    Some(pairs(reader, fields, "metadata")?.into_iter().collect())
}

/// Pairs of text.
fn pairs(reader: &mut Reader, fields: Fields<'_>, key: &str) -> Option<Vec<(String, String)>> {
    let pairs = reader.mapping(fields.get(key)?)?;
    let pairs = pairs.entries().iter();
    Some(
        pairs
            .filter_map(|pair| Some((pair.key.clone(), reader.text(&pair.value)?)))
            .collect(),
    )
}

fn json_object(reader: &mut Reader, fields: Fields<'_>, key: &str) -> Option<Json> {
    let node = fields.get(key)?;
    match node.value {
        Value::Mapping(_) => Some(node.to_json()),
        _ => {
            reader.expected(node, "a mapping", "");
            None
        }
    }
}

fn new_version(reader: &mut Reader, node: &Node) -> Option<NewVersionAct> {
    let empty = || Json::Object(serde_json::Map::new());
    if let Value::Scalar(_) = node.value {
        return Some(NewVersionAct {
            deployment: None,
            tag: reader.text(node)?,
            name: String::new(),
            config: empty(),
            job_agent_config: empty(),
            dependencies: Vec::new(),
            status: VersionStatus::Ready,
            message: String::new(),
            metadata: Metadata::new(),
            created_at: None,
            by: None,
        });
    }
    let fields = reader.object(node, &NEW_VERSION)?;
    Some(NewVersionAct {
        deployment: reader.text_of(fields, "deployment"),
        tag: reader.required(fields, "tag", "v1"),
        name: reader.text_of(fields, "name").unwrap_or_default(),
        config: json_object(reader, fields, "config").unwrap_or_else(empty),
        job_agent_config: json_object(reader, fields, "jobAgentConfig").unwrap_or_else(empty),
        dependencies: pairs(reader, fields, "dependencies").unwrap_or_default(),
        status: reader
            .word_of(fields, "status", &version_statuses(), VersionStatus::parse)
            .unwrap_or(VersionStatus::Ready),
        message: reader.text_of(fields, "message").unwrap_or_default(),
        metadata: metadata(reader, fields).unwrap_or_default(),
        created_at: reader.moment_of(fields, "createdAt"),
        by: reader.text_of(fields, "by"),
    })
}

fn update(reader: &mut Reader, node: &Node) -> Option<UpdateAct> {
    let fields = reader.object(node, &UPDATE)?;
    Some(UpdateAct {
        deployment: reader.text_of(fields, "deployment"),
        version: reader.required(fields, "version", "v1"),
        tag: reader.text_of(fields, "tag"),
        name: reader.text_of(fields, "name"),
        config: json_object(reader, fields, "config"),
        job_agent_config: json_object(reader, fields, "jobAgentConfig"),
        dependencies: pairs(reader, fields, "dependencies").unwrap_or_default(),
        status: reader.word_of(fields, "status", &version_statuses(), VersionStatus::parse),
        message: reader.text_of(fields, "message"),
        metadata: metadata(reader, fields),
        by: reader.text_of(fields, "by"),
    })
}

fn deletion(reader: &mut Reader, node: &Node) -> Option<Deletion> {
    let fields = reader.object(node, &DELETE)?;
    let mut names = Vec::new();
    for kind in [
        "policy",
        "resource",
        "environment",
        "deployment",
        "jobAgent",
        "system",
        "variableSet",
        "relationshipRule",
    ] {
        let found = reader.texts_of(fields, kind);
        names.extend(found.into_iter().map(|name| (kind, name)));
    }
    if names.is_empty() {
        reader.missing(node.at, "resource", "staging-1");
    }
    let by = reader.text_of(fields, "by");
    Some(Deletion { names, by })
}

fn vote(reader: &mut Reader, node: &Node, vote: Vote) -> Option<VoteAct> {
    let fields = reader.object(node, &VOTE)?;
    Some(VoteAct {
        vote,
        deployment: reader.text_of(fields, "deployment"),
        version: reader.required(fields, "version", "v1"),
        environments: reader.texts_of(fields, "environment"),
        by: reader.required(fields, "by", "alice"),
        reason: reader.text_of(fields, "reason").unwrap_or_default(),
    })
}

fn report(reader: &mut Reader, node: &Node) -> Option<Report> {
    let fields = reader.object(node, &REPORT)?;
    let filter = JobFilter::read(reader, fields);
    if fields.get("outcome").is_none() {
        reader.missing(node.at, "outcome", "successful");
    }
    Some(Report {
        filter,
        outcome: reader.word_of(fields, "outcome", &job_statuses(), JobStatus::parse)?,
        message: reader.text_of(fields, "message").unwrap_or_default(),
        runner: reader.text_of(fields, "runner"),
        external_id: reader.text_of(fields, "externalId"),
        times: reader.count_of(fields, "times").unwrap_or(1),
    })
}

fn claim(reader: &mut Reader, node: &Node) -> Option<ActKind> {
    let fields = reader.object(node, &CLAIM)?;
    let filter = JobFilter::read(reader, fields);
    let runner = reader.required(fields, "runner", "runner-1");
    Some(ActKind::Claim { filter, runner })
}

fn measure(reader: &mut Reader, node: &Node) -> Option<MeasureAct> {
    let fields = reader.object(node, &MEASURE)?;
    let filter = JobFilter::read(reader, fields);
    let judged = reader.word_of(fields, "outcome", &measured_words(), scripts::measured);
    let Some(measured) = judged.or_else(|| scripts::raw(reader, fields)) else {
        reader.missing(node.at, "outcome", "passed");
        return None;
    };
    Some(MeasureAct {
        filter,
        metric: reader.text_of(fields, "metric"),
        measured,
        ordinal: reader.count_of(fields, "ordinal"),
    })
}

fn decision(reader: &mut Reader, fields: Fields<'_>) -> Decision {
    Decision {
        filter: JobFilter::read(reader, fields),
        by: reader.required(fields, "by", "alice"),
        reason: reader.text_of(fields, "reason").unwrap_or_default(),
    }
}

fn decide(reader: &mut Reader, node: &Node) -> Option<ActKind> {
    let fields = reader.object(node, &DECIDE)?;
    let decision = decision(reader, fields);
    if fields.get("pass").is_none() {
        reader.missing(node.at, "pass", "true");
    }
    let pass = reader.boolean_of(fields, "pass")?;
    Some(ActKind::Decide { pass, decision })
}

fn restart(reader: &mut Reader, node: &Node) -> Option<Restart> {
    if let Value::Mapping(_) = node.value {
        let fields = reader.object(node, &RESTART)?;
        let at = fields.get("snapshotAt");
        let entry = at.and_then(|node| node.to_json().as_i64());
        if entry.is_none() {
            let message = "`snapshotAt` is the number of an entry";
            reader.refuse(
                at.map_or(node.at, |at| at.at),
                message,
                "write `snapshotAt: -1` for the last",
            );
        }
        return entry.map(Restart::SnapshotAt);
    }
    reader.word(node, &["log", "snapshots"], |word| match word {
        "log" => Some(Restart::Log),
        "snapshots" => Some(Restart::Snapshots),
        _ => None,
    })
}
