//! What must hold after the acts of a step.

use super::StandingExpect;
use super::acts::JobFilter;
use super::members::{
    EXPECT, GATE, JOB, NO_JOBS, PROMOTION, VERIFICATION, WHY, action_types, job_statuses,
    promotion_statuses, start_kinds, target_states, triggers, verification_statuses,
    version_statuses,
};
use crate::reader::{Fields, Moment, Reader};
use crate::yaml::{Node, Position, Value};
use serde_json::Value as Json;
use stagegate_model::{
    JobStatus, PromotionStatus, VerificationStatus, VerificationTrigger, VersionStatus,
};
use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct Expectation {
    pub at: Position,
    /// The slug of the deployment it is about; the only one if absent.
    pub deployment: Option<String>,
    pub kind: ExpectKind,
}

#[derive(Debug)]
pub(crate) enum ExpectKind {
    /// What targets have: `released` is what last succeeded, else what they should have.
    Standing {
        released: bool,
        place: String,
        wanted: Wanted,
    },
    Targets {
        environment: String,
        wanted: TargetsWanted,
    },
    Jobs {
        place: String,
        wanted: JobsWanted,
    },
    NoJobs(JobFilter),
    Gate(GateExpect),
    Promotion(PromotionExpect),
    Verification(VerificationExpect),
    Version {
        tag: String,
        status: VersionStatus,
    },
    /// Releases, retries, holds, quarantine, rollouts.
    Departure(StandingExpect),
    Why(WhyExpect),
    /// `None`: it does not look again by itself.
    NextWake(Option<Moment>),
    /// Empty: nothing was written.
    Facts(Vec<String>),
}

#[derive(Debug)]
pub(crate) enum Wanted {
    /// So many targets have something.
    Count(u64),
    /// Every target has this tag.
    All(String),
    /// So many targets have each of these tags.
    ByTag(BTreeMap<String, u64>),
}

#[derive(Debug)]
pub(crate) enum TargetsWanted {
    Count(u64),
    Resources(Vec<String>),
}

#[derive(Debug)]
pub(crate) enum JobsWanted {
    Count(u64),
    ByTag(BTreeMap<String, u64>),
    Each(Vec<JobPattern>),
}

#[derive(Debug)]
pub(crate) struct JobPattern {
    pub resource: Option<String>,
    pub version: Option<String>,
    pub status: Option<JobStatus>,
    pub attempt: Option<u64>,
    pub message: Option<String>,
    pub runner: Option<String>,
    pub config: Option<Json>,
}

#[derive(Debug)]
pub(crate) struct GateExpect {
    pub environment: Option<String>,
    pub version: Option<String>,
    pub rule: Option<String>,
    pub policy: Option<String>,
    pub applies: bool,
    pub allowed: Option<bool>,
    pub action_required: Option<bool>,
    pub action_type: Option<String>,
    pub message: Option<String>,
    pub opens: Option<String>,
    /// A part of who can open it.
    pub who: Option<String>,
    pub code: Option<String>,
    pub satisfied_at: Option<Moment>,
    pub next: Option<Option<Moment>>,
    pub latched: Option<bool>,
}

#[derive(Debug)]
pub(crate) struct PromotionExpect {
    pub environment: Option<String>,
    pub version: Option<String>,
    pub attempt: Option<u64>,
    pub status: Option<PromotionStatus>,
    pub reason: Option<String>,
    pub kind: Option<String>,
    pub superseded_by: Option<String>,
    pub attempts: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct VerificationExpect {
    pub filter: JobFilter,
    pub trigger: Option<VerificationTrigger>,
    /// `Some(None)`: there is none.
    pub status: Option<Option<VerificationStatus>>,
    pub reason: Option<String>,
    pub decided_by: Option<String>,
    pub count: Option<u64>,
    /// `taken`, `passed`… with the number for each metric.
    pub numbers: Vec<(&'static str, BTreeMap<String, u64>)>,
}

#[derive(Debug)]
pub(crate) struct WhyExpect {
    pub environment: Option<String>,
    pub version: Option<String>,
    pub summary: Option<String>,
    /// `Some(None)`: nothing stops it apart from rules.
    pub stopped: Option<Option<String>>,
    pub earliest: Option<Option<Moment>>,
    pub targets: Option<StatesExpect>,
    pub reason: Option<String>,
}

#[derive(Debug)]
pub(crate) enum StatesExpect {
    All(String),
    ByResource(BTreeMap<String, String>),
}

/// The expectations of a step.
pub(super) fn all(reader: &mut Reader, step: Fields<'_>) -> Vec<Expectation> {
    let Some(node) = step.get("expect") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in reader.one_or_many(node) {
        let Some(fields) = reader.object(item, &EXPECT) else {
            continue;
        };
        let deployment = reader.text_of(fields, "deployment");
        for entry in fields.entries() {
            let mut kinds = Vec::new();
            kinds_of(reader, &entry.key, &entry.value, entry.at, &mut kinds);
            found.extend(kinds.into_iter().map(|(at, kind)| Expectation {
                at,
                deployment: deployment.clone(),
                kind,
            }));
        }
    }
    found
}

type Kinds = Vec<(Position, ExpectKind)>;

fn kinds_of(reader: &mut Reader, key: &str, node: &Node, at: Position, kinds: &mut Kinds) {
    match key {
        "released" | "desired" => each(reader, node, |reader, place, node| {
            let (released, place) = (key == "released", place.to_owned());
            let wanted = wanted(reader, node)?;
            kinds.push((
                node.at,
                ExpectKind::Standing {
                    released,
                    place,
                    wanted,
                },
            ));
            Some(())
        }),
        "targets" => each(reader, node, |reader, place, node| {
            let environment = place.to_owned();
            let wanted = targets_wanted(reader, node);
            kinds.push((
                node.at,
                ExpectKind::Targets {
                    environment,
                    wanted,
                },
            ));
            Some(())
        }),
        "jobs" => each(reader, node, |reader, place, node| {
            let place = place.to_owned();
            let wanted = jobs_wanted(reader, node)?;
            kinds.push((node.at, ExpectKind::Jobs { place, wanted }));
            Some(())
        }),
        "promotions" => each(reader, node, |reader, place, node| {
            each(reader, node, |reader, tag, node| {
                let status = reader.word(node, &promotion_statuses(), PromotionStatus::parse)?;
                let expect = PromotionExpect {
                    environment: Some(place.to_owned()),
                    version: Some(tag.to_owned()),
                    attempt: None,
                    status: Some(status),
                    reason: None,
                    kind: None,
                    superseded_by: None,
                    attempts: None,
                };
                kinds.push((node.at, ExpectKind::Promotion(expect)));
                Some(())
            });
            Some(())
        }),
        "versions" => each(reader, node, |reader, tag, node| {
            let status = reader.word(node, &version_statuses(), VersionStatus::parse)?;
            let tag = tag.to_owned();
            kinds.push((node.at, ExpectKind::Version { tag, status }));
            Some(())
        }),
        "nextWake" => {
            // `nextWake:` with nothing behind it says the same as `none`.
            let wanted = or_none(reader, node, Reader::moment);
            kinds.extend(wanted.map(|wanted| (at, ExpectKind::NextWake(wanted))));
        }
        "facts" => {
            let items = reader.one_or_many(node);
            let mut names: Vec<_> = items.iter().filter_map(|item| reader.text(item)).collect();
            names.retain(|name| name != "none");
            kinds.push((at, ExpectKind::Facts(names)));
        }
        "releases" | "variables" | "retry" | "held" | "quarantined" | "rollout" => {
            let found = super::standings::standings(reader, key, node);
            let found = found.into_iter();
            kinds.extend(found.map(|(at, it)| (at, ExpectKind::Departure(it))));
        }
        _ => {
            for item in reader.one_or_many(node) {
                let kind = match key {
                    "noJobs" => reader
                        .object(item, &NO_JOBS)
                        .map(|fields| ExpectKind::NoJobs(JobFilter::read(reader, fields))),
                    "gate" | "gates" => gate(reader, item).map(ExpectKind::Gate),
                    "promotion" => promotion(reader, item).map(ExpectKind::Promotion),
                    "verification" => verification(reader, item).map(ExpectKind::Verification),
                    "why" => why(reader, item).map(ExpectKind::Why),
                    _ => return,
                };
                kinds.extend(kind.map(|kind| (item.at, kind)));
            }
        }
    }
}

/// Each pair of a mapping.
pub(super) fn each(
    reader: &mut Reader,
    node: &Node,
    mut take: impl FnMut(&mut Reader, &str, &Node) -> Option<()>,
) {
    if let Some(fields) = reader.mapping(node) {
        for entry in fields.entries() {
            take(reader, &entry.key, &entry.value);
        }
    }
}

fn counts(reader: &mut Reader, node: &Node) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    each(reader, node, |reader, key, node| {
        counts.insert(key.to_owned(), reader.count(node)?);
        Some(())
    });
    counts
}

/// `none`, or what `read` reads.
pub(super) fn or_none<T>(
    reader: &mut Reader,
    node: &Node,
    read: impl Fn(&mut Reader, &Node) -> Option<T>,
) -> Option<Option<T>> {
    match &node.value {
        Value::Scalar(scalar) if scalar.text == "none" || node.is_null() => Some(None),
        _ => read(reader, node).map(Some),
    }
}

/// How many targets, or which.
pub(super) fn targets_wanted(reader: &mut Reader, node: &Node) -> TargetsWanted {
    match node.to_json().as_u64() {
        Some(count) => TargetsWanted::Count(count),
        None => {
            let items = reader.one_or_many(node).iter();
            TargetsWanted::Resources(items.filter_map(|item| reader.text(item)).collect())
        }
    }
}

fn wanted(reader: &mut Reader, node: &Node) -> Option<Wanted> {
    match &node.value {
        Value::Mapping(_) => Some(Wanted::ByTag(counts(reader, node))),
        Value::Scalar(scalar) if scalar.plain && scalar.text == "none" => Some(Wanted::Count(0)),
        _ => match node.to_json().as_u64() {
            Some(count) => Some(Wanted::Count(count)),
            None => reader.text(node).map(Wanted::All),
        },
    }
}

fn jobs_wanted(reader: &mut Reader, node: &Node) -> Option<JobsWanted> {
    let is_pattern = |node: &Node| match &node.value {
        Value::Mapping(entries) => entries
            .iter()
            .any(|entry| JOB.members.iter().any(|member| member.name == entry.key)),
        _ => false,
    };
    match &node.value {
        Value::Mapping(_) if !is_pattern(node) => Some(JobsWanted::ByTag(counts(reader, node))),
        Value::List(_) | Value::Mapping(_) => {
            let items = reader.one_or_many(node).iter();
            let patterns = items.filter_map(|item| job_pattern(reader, item)).collect();
            Some(JobsWanted::Each(patterns))
        }
        Value::Scalar(scalar) if scalar.text == "none" => Some(JobsWanted::Count(0)),
        Value::Scalar(_) => reader.count(node).map(JobsWanted::Count),
    }
}

fn job_pattern(reader: &mut Reader, node: &Node) -> Option<JobPattern> {
    let fields = reader.object(node, &JOB)?;
    Some(JobPattern {
        resource: reader.text_of(fields, "resource"),
        version: reader.text_of(fields, "version"),
        status: reader.word_of(fields, "status", &job_statuses(), JobStatus::parse),
        attempt: reader.count_of(fields, "attempt"),
        message: reader.text_of(fields, "message"),
        runner: reader.text_of(fields, "runner"),
        config: fields.get("config").map(Node::to_json),
    })
}

pub(super) fn owned(words: &[&str], word: &str) -> Option<String> {
    words.contains(&word).then(|| word.to_owned())
}

fn gate(reader: &mut Reader, node: &Node) -> Option<GateExpect> {
    let fields = reader.object(node, &GATE)?;
    let applies = reader.boolean_of(fields, "applies").unwrap_or(true);
    if fields.get("rule").is_none() && fields.get("policy").is_none() {
        reader.missing(node.at, "rule", "environmentProgression");
    }
    let actions = action_types();
    Some(GateExpect {
        environment: reader.text_of(fields, "environment"),
        version: reader.text_of(fields, "version"),
        rule: reader.text_of(fields, "rule"),
        policy: reader.text_of(fields, "policy"),
        applies,
        allowed: reader.boolean_of(fields, "allowed"),
        action_required: reader.boolean_of(fields, "actionRequired"),
        action_type: reader.word_of(fields, "actionType", &actions, |word| owned(&actions, word)),
        message: reader.text_of(fields, "message"),
        opens: reader.text_of(fields, "opens"),
        who: reader.text_of(fields, "who"),
        code: reader.text_of(fields, "code"),
        satisfied_at: reader.moment_of(fields, "satisfiedAt"),
        next: fields
            .get("nextEvaluationTime")
            .and_then(|node| or_none(reader, node, Reader::moment)),
        latched: reader.boolean_of(fields, "latched"),
    })
}

fn promotion(reader: &mut Reader, node: &Node) -> Option<PromotionExpect> {
    let fields = reader.object(node, &PROMOTION)?;
    Some(PromotionExpect {
        environment: reader.text_of(fields, "environment"),
        version: reader.text_of(fields, "version"),
        attempt: reader.count_of(fields, "attempt"),
        status: reader.word_of(
            fields,
            "status",
            &promotion_statuses(),
            PromotionStatus::parse,
        ),
        reason: reader.text_of(fields, "reason"),
        kind: reader.word_of(fields, "kind", &start_kinds(), |word| {
            owned(&start_kinds(), word)
        }),
        superseded_by: reader.text_of(fields, "supersededBy"),
        attempts: reader.count_of(fields, "attempts"),
    })
}

fn verification(reader: &mut Reader, node: &Node) -> Option<VerificationExpect> {
    let fields = reader.object(node, &VERIFICATION)?;
    let statuses = verification_statuses();
    let status = fields.get("status").and_then(|node| {
        or_none(reader, node, |reader, node| {
            reader.word(node, &statuses, VerificationStatus::parse)
        })
    });
    let mut numbers = Vec::new();
    for key in ["taken", "passed", "failed", "inconclusive", "errors"] {
        if let Some(node) = fields.get(key) {
            numbers.push((key, counts(reader, node)));
        }
    }
    Some(VerificationExpect {
        filter: JobFilter::read(reader, fields),
        trigger: reader.word_of(fields, "trigger", &triggers(), VerificationTrigger::parse),
        status,
        reason: reader.text_of(fields, "reason"),
        decided_by: reader.text_of(fields, "decidedBy"),
        count: reader.count_of(fields, "count"),
        numbers,
    })
}

fn why(reader: &mut Reader, node: &Node) -> Option<WhyExpect> {
    let mut expect = WhyExpect {
        environment: None,
        version: None,
        summary: None,
        stopped: None,
        earliest: None,
        targets: None,
        reason: None,
    };
    if let Value::Scalar(_) = node.value {
        expect.summary = Some(reader.text(node)?);
        return Some(expect);
    }
    let fields = reader.object(node, &WHY)?;
    expect.environment = reader.text_of(fields, "environment");
    expect.version = reader.text_of(fields, "version");
    expect.summary = reader.text_of(fields, "summary");
    expect.reason = reader.text_of(fields, "reason");
    if let Some(node) = fields.get("stopped") {
        expect.stopped = or_none(reader, node, Reader::text);
    }
    if let Some(node) = fields.get("earliest") {
        expect.earliest = or_none(reader, node, Reader::moment);
    }
    if let Some(node) = fields.get("targets") {
        let states = target_states();
        expect.targets = match &node.value {
            Value::Mapping(_) => {
                let mut by_resource = BTreeMap::new();
                each(reader, node, |reader, resource, node| {
                    let state = reader.word(node, &states, |word| owned(&states, word))?;
                    by_resource.insert(resource.to_owned(), state);
                    Some(())
                });
                Some(StatesExpect::ByResource(by_resource))
            }
            _ => reader
                .word(node, &states, |word| owned(&states, word))
                .map(StatesExpect::All),
        };
    }
    Some(expect)
}
