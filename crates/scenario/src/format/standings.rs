//! What must hold of releases, retries, holds, quarantine and rollouts.

use super::expectations::{TargetsWanted, each, or_none, owned, targets_wanted};
use super::members::{RELEASE, RETRY, ROLLOUT, release_statuses, start_kinds};
use crate::reader::{Moment, Reader};
use crate::yaml::{Node, Position, Value};
use serde_json::Value as Json;
use stagegate_model::ReleaseStatus;

#[derive(Debug)]
pub(crate) enum StandingExpect {
    Releases {
        place: String,
        wanted: ReleasesWanted,
    },
    /// `None`: the target waits for none.
    Retry {
        place: String,
        wanted: Option<RetryExpect>,
    },
    Held {
        environment: String,
        wanted: TargetsWanted,
    },
    Quarantined {
        environment: String,
        tags: Vec<String>,
    },
    Rollout(RolloutExpect),
    /// What variables come out as now.
    Variables {
        place: String,
        wanted: Json,
    },
}

#[derive(Debug)]
pub(crate) enum ReleasesWanted {
    Count(u64),
    Each(Vec<ReleasePattern>),
}

#[derive(Debug, Default)]
pub(crate) struct ReleasePattern {
    pub number: Option<u64>,
    pub version: Option<String>,
    pub status: Option<ReleaseStatus>,
    pub kind: Option<String>,
    /// `Some(None)`: it undoes none.
    pub rollback_of: Option<Option<u64>>,
    pub reason: Option<String>,
    pub variables: Option<Json>,
}

#[derive(Debug)]
pub(crate) struct RetryExpect {
    pub version: Option<String>,
    pub attempt: Option<u64>,
    pub at: Option<Moment>,
}

#[derive(Debug)]
pub(crate) struct RolloutExpect {
    pub environment: Option<String>,
    pub version: Option<String>,
    pub policy: Option<String>,
    pub begun: bool,
    pub started_at: Option<Moment>,
    pub due: Option<u64>,
    pub total: Option<u64>,
    pub wave: Option<u64>,
    pub waves: Option<u64>,
    pub paused: Option<PausedWanted>,
    pub next: Option<Option<Moment>>,
}

#[derive(Debug)]
pub(crate) enum PausedWanted {
    Is(bool),
    /// It is, and this is a part of why.
    For(String),
}

/// Reads the expectation `key`.
pub(super) fn standings(
    reader: &mut Reader,
    key: &str,
    node: &Node,
) -> Vec<(Position, StandingExpect)> {
    let mut found = Vec::new();
    if key == "rollout" {
        for item in reader.one_or_many(node) {
            let rollout = rollout(reader, item);
            found.extend(rollout.map(|it| (item.at, StandingExpect::Rollout(it))));
        }
        return found;
    }
    each(reader, node, |reader, place, node| {
        let place = place.to_owned();
        let expect = match key {
            "releases" => StandingExpect::Releases {
                place,
                wanted: releases(reader, node),
            },
            "variables" => StandingExpect::Variables {
                place,
                wanted: node.to_json(),
            },
            "retry" => StandingExpect::Retry {
                place,
                wanted: or_none(reader, node, retry)?,
            },
            "held" => StandingExpect::Held {
                environment: place,
                wanted: targets_wanted(reader, node),
            },
            _ => {
                let items = reader.one_or_many(node).iter();
                let mut tags: Vec<_> = items.filter_map(|item| reader.text(item)).collect();
                tags.retain(|tag| tag != "none");
                tags.sort_unstable();
                StandingExpect::Quarantined {
                    environment: place,
                    tags,
                }
            }
        };
        found.push((node.at, expect));
        Some(())
    });
    found
}

fn releases(reader: &mut Reader, node: &Node) -> ReleasesWanted {
    let plain = match &node.value {
        Value::Scalar(scalar) if scalar.plain && scalar.text == "none" => Some(0),
        Value::Scalar(scalar) if scalar.plain => node.to_json().as_u64(),
        _ => None,
    };
    if let Some(count) = plain {
        return ReleasesWanted::Count(count);
    }
    let items = reader.one_or_many(node).iter();
    let patterns = items.filter_map(|item| release(reader, item)).collect();
    ReleasesWanted::Each(patterns)
}

fn release(reader: &mut Reader, node: &Node) -> Option<ReleasePattern> {
    if let Value::Scalar(_) = node.value {
        return Some(ReleasePattern {
            version: Some(reader.text(node)?),
            ..ReleasePattern::default()
        });
    }
    let fields = reader.object(node, &RELEASE)?;
    let kinds = start_kinds();
    Some(ReleasePattern {
        number: reader.count_of(fields, "number"),
        version: reader.text_of(fields, "version"),
        status: reader.word_of(fields, "status", &release_statuses(), ReleaseStatus::parse),
        kind: reader.word_of(fields, "kind", &kinds, |word| owned(&kinds, word)),
        rollback_of: fields
            .get("rollbackOf")
            .and_then(|node| or_none(reader, node, Reader::count)),
        reason: reader.text_of(fields, "reason"),
        variables: fields.get("variables").map(Node::to_json),
    })
}

fn retry(reader: &mut Reader, node: &Node) -> Option<RetryExpect> {
    let fields = reader.object(node, &RETRY)?;
    Some(RetryExpect {
        version: reader.text_of(fields, "version"),
        attempt: reader.count_of(fields, "attempt"),
        at: reader.moment_of(fields, "at"),
    })
}

fn rollout(reader: &mut Reader, node: &Node) -> Option<RolloutExpect> {
    let fields = reader.object(node, &ROLLOUT)?;
    let paused = fields.get("paused").and_then(|node| match node.to_json() {
        serde_json::Value::Bool(is) => Some(PausedWanted::Is(is)),
        _ => reader.text(node).map(PausedWanted::For),
    });
    Some(RolloutExpect {
        environment: reader.text_of(fields, "environment"),
        version: reader.text_of(fields, "version"),
        policy: reader.text_of(fields, "policy"),
        begun: reader.boolean_of(fields, "begun").unwrap_or(true),
        started_at: reader.moment_of(fields, "startedAt"),
        due: reader.count_of(fields, "due"),
        total: reader.count_of(fields, "total"),
        wave: reader.count_of(fields, "wave"),
        waves: reader.count_of(fields, "waves"),
        paused,
        next: fields
            .get("next")
            .and_then(|node| or_none(reader, node, Reader::moment)),
    })
}
