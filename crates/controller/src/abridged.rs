//! Very large entries in short: who tells a promotion's story need not read the ten thousand jobs that one entry made.
//!
//! The short form is in the archive beside the log; the log has the whole. An entry without one is read as it is.

use serde::{Deserialize, Serialize};
use stagegate_model::{Entry, Fact};
use stagegate_store::ArchiveRecord;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Entries whose bodies have at most so many bytes are read as they are.
pub(crate) const WHOLE_BYTES_MAX: usize = 64 * 1024;
/// Jobs of one fact that are kept.
const JOBS_KEPT: usize = 3;

/// A fact that made many jobs with only the first of them, and how many are left out; `None` of any other.
pub(crate) fn first_jobs(fact: &Fact) -> Option<(Fact, usize)> {
    let Fact::JobsCreated {
        promotion,
        version,
        environment,
        agent,
        latches,
        kind,
        limits,
        jobs,
    } = fact
    else {
        return None;
    };
    let kept = jobs.get(..JOBS_KEPT)?;
    let left_out = jobs.len() - kept.len();
    let short = Fact::JobsCreated {
        promotion: *promotion,
        version: *version,
        environment: *environment,
        agent: *agent,
        latches: latches.clone(),
        kind: *kind,
        limits: *limits,
        jobs: kept.to_vec(),
    };
    (left_out > 0).then_some((short, left_out))
}

/// An entry whose facts name only some of their jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Abridged {
    /// The entry without those jobs.
    pub entry: Entry,
    /// By a fact's place, how many of its jobs are left out.
    left_out: BTreeMap<usize, usize>,
}

impl Abridged {
    /// What the archive calls it.
    pub const KIND: &str = "abridged";

    /// Under which id the archive has it.
    #[must_use]
    pub fn id(seq: u64) -> Uuid {
        Uuid::from_u128(u128::from(seq))
    }

    /// An entry of which nothing is left out.
    #[must_use]
    pub fn whole(entry: Entry) -> Self {
        Self {
            entry,
            left_out: BTreeMap::new(),
        }
    }

    /// The short form of an entry whose body has so many bytes; `None` where it would not be short.
    pub(crate) fn of(entry: &Entry, bytes: usize) -> Option<Self> {
        let is_long =
            |fact: &Fact| matches!(fact, Fact::JobsCreated { jobs, .. } if jobs.len() > JOBS_KEPT);
        if bytes <= WHOLE_BYTES_MAX || !entry.facts.iter().any(is_long) {
            return None;
        }
        let mut left_out = BTreeMap::new();
        let mut facts = Vec::with_capacity(entry.facts.len());
        for (index, fact) in entry.facts.iter().enumerate() {
            facts.push(match first_jobs(fact) {
                Some((short, jobs)) => {
                    left_out.insert(index, jobs);
                    short
                }
                None => fact.clone(),
            });
        }
        let entry = Entry {
            workspace: entry.workspace,
            seq: entry.seq,
            id: entry.id,
            time: entry.time,
            actor: entry.actor,
            cause: entry.cause.clone(),
            semantics: entry.semantics,
            facts,
        };
        Some(Self { entry, left_out })
    }

    /// As the archive has it.
    pub(crate) fn record(&self) -> serde_json::Result<ArchiveRecord> {
        Ok(ArchiveRecord {
            kind: Self::KIND.to_owned(),
            id: Self::id(self.entry.seq),
            target: None,
            number: None,
            parent: None,
            seq: self.entry.seq,
            body: serde_json::to_vec(self)?,
        })
    }

    /// Whether anything is left out.
    #[must_use]
    pub fn is_abridged(&self) -> bool {
        !self.left_out.is_empty()
    }

    /// How many jobs of that fact are left out.
    #[must_use]
    pub fn left_out(&self, fact: usize) -> usize {
        self.left_out.get(&fact).copied().unwrap_or(0)
    }
}
