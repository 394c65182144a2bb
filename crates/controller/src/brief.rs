//! Very large entries as the audit lists them: who looks for one among fifty need not read ten thousand jobs.
//!
//! Kept in the archive beside the log, as the text that is answered; the log has the whole. An entry without one is
//! told as it is.

use crate::abridged::{WHOLE_BYTES_MAX, first_jobs};
use stagegate_model::{Entry, Fact};
use stagegate_store::{ArchiveRecord, Hash, Row};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use uuid::Uuid;

/// Facts that are kept…
const FACTS_KEPT: usize = 20;
/// …as long as they have no more bytes than this together; the first is kept in any case.
const BYTES_KEPT: usize = 32 * 1024;
/// What is kept of a list in a fact.
const LISTED: usize = 3;

/// The short form of a very large entry for the audit: an entry's JSON with `leftOut`, `hash` and `prevHash`.
pub struct Brief;

impl Brief {
    /// What the archive calls it.
    pub const KIND: &str = "brief";

    /// Under which id the archive has it.
    #[must_use]
    pub fn id(seq: u64) -> Uuid {
        Uuid::from_u128(u128::from(seq))
    }

    /// That of an entry, whose record in the log is `row`; `None` where it would not be short.
    pub(crate) fn record(entry: &Entry, row: &Row) -> Option<ArchiveRecord> {
        if row.body.len() <= WHOLE_BYTES_MAX {
            return None;
        }
        let body = text(entry, row).filter(|body| body.len() * 2 <= row.body.len())?;
        Some(ArchiveRecord {
            kind: Self::KIND.to_owned(),
            id: Self::id(row.seq),
            target: None,
            number: None,
            parent: None,
            seq: row.seq,
            body: body.into_bytes(),
        })
    }
}

fn text(entry: &Entry, row: &Row) -> Option<String> {
    let without = Entry {
        workspace: entry.workspace,
        seq: entry.seq,
        id: entry.id,
        time: entry.time,
        actor: entry.actor,
        cause: entry.cause.clone(),
        semantics: entry.semantics,
        facts: Vec::new(),
    };
    let without = serde_json::to_string(&without).ok()?;
    // The facts are an entry's last member.
    let mut text = without.strip_suffix("]}")?.to_owned();
    let mut shortened: BTreeMap<usize, usize> = BTreeMap::new();
    let mut kept = 0;
    for (place, fact) in entry.facts.iter().take(FACTS_KEPT).enumerate() {
        let (told, left_out) = match shorten(fact) {
            Some((short, left_out)) => (serde_json::to_string(&short).ok()?, left_out),
            None => (serde_json::to_string(fact).ok()?, 0),
        };
        if place > 0 && text.len() + told.len() > BYTES_KEPT {
            break;
        }
        if place > 0 {
            text.push(',');
        }
        text.push_str(&told);
        if left_out > 0 {
            shortened.insert(place, left_out);
        }
        kept = place + 1;
    }
    let shortened = serde_json::to_string(&shortened).ok()?;
    let facts = entry.facts.len() - kept;
    text.push_str(&format!(
        "],\"leftOut\":{{\"facts\":{facts},\"listed\":{shortened}}},\"hash\":\"{}\",\"prevHash\":\"{}\"}}",
        hex(&row.hash),
        hex(&row.prev_hash)
    ));
    Some(text)
}

fn hex(hash: &Hash) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A fact whose list is long, with only its first members, and how many are left out.
fn shorten(fact: &Fact) -> Option<(Fact, usize)> {
    let mut left_out = 0;
    let short = match fact {
        Fact::JobsCreated { .. } => return first_jobs(fact),
        Fact::TargetsJoined {
            deployment,
            environment,
            resources,
        } => Fact::TargetsJoined {
            deployment: *deployment,
            environment: *environment,
            resources: first(resources, &mut left_out),
        },
        Fact::TargetsLeft {
            deployment,
            environment,
            resources,
        } => Fact::TargetsLeft {
            deployment: *deployment,
            environment: *environment,
            resources: first(resources, &mut left_out),
        },
        Fact::RolloutStarted {
            version,
            environment,
            rule,
            started_at,
            waves,
        } => Fact::RolloutStarted {
            version: *version,
            environment: *environment,
            rule: *rule,
            started_at: *started_at,
            waves: waves.iter().map(|it| first(it, &mut left_out)).collect(),
        },
        _ => return None,
    };
    (left_out > 0).then_some((short, left_out))
}

fn first<T: Clone>(all: &[T], left_out: &mut usize) -> Vec<T> {
    let kept = all.get(..LISTED).unwrap_or(all);
    *left_out += all.len() - kept.len();
    kept.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use stagegate_model::{
        Actor, Cause, DeploymentId, EntryId, EnvironmentId, ResourceId, Timestamp, WorkspaceId,
    };

    fn entry(facts: Vec<Fact>) -> (Entry, Row) {
        let workspace = WorkspaceId(Uuid::from_u128(1));
        let (id, time) = (EntryId(Uuid::from_u128(2)), Timestamp(3));
        let entry = Entry {
            workspace,
            seq: 1,
            id,
            time,
            actor: Actor::System,
            cause: Cause::Timer,
            semantics: 1,
            facts,
        };
        let row = Row::following(None, workspace, id, time, entry.to_bytes());
        (entry, row)
    }

    fn joined(count: u128) -> Fact {
        Fact::TargetsJoined {
            deployment: DeploymentId(Uuid::from_u128(4)),
            environment: EnvironmentId(Uuid::from_u128(5)),
            resources: (0..count).map(|n| ResourceId(Uuid::from_u128(n))).collect(),
        }
    }

    fn told(facts: Vec<Fact>) -> Option<(Value, Value)> {
        let (entry, row) = entry(facts);
        let record = Brief::record(&entry, &row)?;
        assert_eq!(
            (record.seq, record.id, record.kind.as_str()),
            (1, Brief::id(1), Brief::KIND)
        );
        let whole = serde_json::from_slice(&row.body).unwrap();
        Some((serde_json::from_slice(&record.body).unwrap(), whole))
    }

    #[test]
    fn of_a_long_list_the_beginning_is_told_and_how_much_is_left_out() {
        let (brief, whole) = told(vec![joined(1), joined(10_000), joined(2)]).unwrap();
        for member in ["workspace", "seq", "id", "time", "actor", "cause"] {
            assert_eq!(brief[member], whole[member], "{member}");
        }
        assert_eq!(brief["facts"][0], whole["facts"][0]);
        assert_eq!(brief["facts"][1]["resources"].as_array().unwrap().len(), 3);
        assert_eq!(brief["facts"][2], whole["facts"][2]);
        let left_out = serde_json::json!({"facts": 0, "listed": {"1": 9_997}});
        assert_eq!(brief["leftOut"], left_out);
        assert_eq!(brief["hash"].as_str().unwrap().len(), 64);
    }

    #[test]
    fn of_many_facts_the_first_are_told() {
        let (brief, whole) = told((0..5_000).map(|_| joined(2)).collect()).unwrap();
        assert_eq!(brief["facts"].as_array().unwrap().len(), FACTS_KEPT);
        assert_eq!(brief["facts"][7], whole["facts"][7]);
        let left_out = serde_json::json!({"facts": 4_980, "listed": {}});
        assert_eq!(brief["leftOut"], left_out);
    }

    #[test]
    fn what_is_short_or_would_not_become_short_is_told_as_it_is() {
        assert!(told(vec![joined(3)]).is_none());
        let long = Fact::PromotionEnded {
            id: Uuid::from_u128(1).into(),
            status: stagegate_model::PromotionStatus::Failed,
            reason: "x".repeat(2 * WHOLE_BYTES_MAX),
            by: None,
        };
        assert!(told(vec![long.clone()]).is_none());
        let (brief, _) = told(vec![long.clone(), long.clone(), long]).unwrap();
        assert_eq!(brief["leftOut"]["facts"], 2);
    }
}
