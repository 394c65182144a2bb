//! Why a job was started, from the log alone: the entries about its version are folded up to the one that created it.
//! What is on record is told, and nothing is evaluated again: policies and people may have changed since.

use serde::Serialize;
use stagegate_model::{
    Actor, Cause, Entry, EntryId, EnvironmentId, Fact, GateRecord, GateState, JobId, NewJob, Order,
    PromotionId, ReleaseId, ResourceId, RuleId, StartKind, Timestamp, UserId, VersionId, Vote,
};
use std::collections::{BTreeMap, BTreeSet};

/// Which job it is about.
#[derive(Clone, Copy, Debug)]
pub struct PastJob {
    pub job: JobId,
    pub release: ReleaseId,
    pub promotion: PromotionId,
    pub version: VersionId,
    pub environment: EnvironmentId,
    pub resource: ResourceId,
}

/// What is on record of the moment at which a job was created.
#[derive(Clone, Debug)]
pub struct Beginning {
    pub at: Stamp,
    pub actor: Actor,
    pub cause: Cause,
    pub kind: StartKind,
    /// Which try of its release it is, from 1.
    pub attempt: u32,
    /// The release's number on its target.
    pub number: u64,
    /// The try before, of one that is tried again.
    pub tried_before: Option<JobId>,
    /// The order it carries out, of one that was not begun in the ordinary course.
    pub order: Option<(Stamp, Order)>,
    /// The gates as they were on record, in the order of their rules.
    pub gates: Vec<PastGate>,
    /// The latest vote of each person on the version there, the oldest first.
    pub votes: Vec<PastVote>,
    /// Where the target stood in the gradual rollouts that had begun.
    pub turns: Vec<PastTurn>,
}

/// Where in the log something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Stamp {
    pub seq: u64,
    pub entry: EntryId,
    pub time: Timestamp,
}

/// A gate as it was on record.
#[derive(Clone, Debug, PartialEq)]
pub struct PastGate {
    pub record: GateRecord,
    /// Since when it stood so, for that reason.
    pub since: Timestamp,
    /// The entry that has it so.
    pub recorded: Stamp,
    /// It had passed for good before, or did with this start.
    pub latched: bool,
}

/// A vote as it was on record.
#[derive(Clone, Debug, PartialEq)]
pub struct PastVote {
    pub user: UserId,
    pub vote: Vote,
    pub reason: String,
    pub at: Stamp,
}

/// Where a target stood in a gradual rollout, all from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastTurn {
    pub rule: RuleId,
    pub wave: usize,
    pub waves: usize,
    pub position: usize,
    /// How many targets the wave has.
    pub size: usize,
    pub started_at: Timestamp,
}

/// Follows the entries about a version, oldest first, up to the creation of a job.
pub struct Past {
    of: PastJob,
    /// The promotions of the version into the environment.
    promotions: BTreeSet<PromotionId>,
    gates: BTreeMap<RuleId, PastGate>,
    latched: BTreeSet<RuleId>,
    votes: BTreeMap<UserId, PastVote>,
    order: Option<(Stamp, Order)>,
    turns: BTreeMap<RuleId, PastTurn>,
    tried_before: Option<JobId>,
}

impl Past {
    #[must_use]
    pub fn new(of: PastJob) -> Self {
        Self {
            of,
            promotions: BTreeSet::from([of.promotion]),
            gates: BTreeMap::new(),
            latched: BTreeSet::new(),
            votes: BTreeMap::new(),
            order: None,
            turns: BTreeMap::new(),
            tried_before: None,
        }
    }

    /// Takes the next entry; gives the beginning if it is the one that created the job.
    pub fn follow(&mut self, entry: &Entry) -> Option<Beginning> {
        let stamp = Stamp {
            seq: entry.seq,
            entry: entry.id,
            time: entry.time,
        };
        for fact in &entry.facts {
            if let Fact::JobsCreated {
                kind,
                latches,
                jobs,
                version,
                environment,
                ..
            } = fact
            {
                if (*version, *environment) == (self.of.version, self.of.environment) {
                    self.latched.extend(latches);
                }
                if let Some(job) = jobs.iter().find(|it| it.job == self.of.job) {
                    return Some(self.beginning(stamp, entry, *kind, job));
                }
                let before = jobs.iter().find(|it| it.release == self.of.release);
                self.tried_before = before.map(|it| it.job).or(self.tried_before);
            }
            self.take(stamp, fact);
        }
        None
    }

    fn is_here(&self, version: VersionId, environment: EnvironmentId) -> bool {
        (version, environment) == (self.of.version, self.of.environment)
    }

    fn take(&mut self, stamp: Stamp, fact: &Fact) {
        match fact {
            Fact::PromotionOpened {
                id,
                version,
                environment,
                ..
            } if self.is_here(*version, *environment) => {
                self.promotions.insert(*id);
            }
            Fact::GateChanged { promotion, gate } if self.promotions.contains(promotion) => {
                self.record(stamp, gate);
            }
            Fact::VoteCast {
                version,
                environment,
                user,
                vote,
                reason,
                ..
            } if self.is_here(*version, *environment) => {
                let vote = PastVote {
                    user: *user,
                    vote: *vote,
                    reason: reason.clone(),
                    at: stamp,
                };
                self.votes.insert(*user, vote);
            }
            Fact::TargetOrdered { target, order }
                if self.is_here(order.version, target.environment)
                    && target.resource == self.of.resource =>
            {
                self.order = Some((stamp, order.clone()));
            }
            Fact::RolloutStarted {
                version,
                environment,
                rule,
                started_at,
                waves,
            } if self.is_here(*version, *environment) => {
                let place = waves.iter().enumerate().find_map(|(wave, targets)| {
                    let position = targets.iter().position(|it| *it == self.of.resource)?;
                    Some((wave, position, targets.len()))
                });
                self.turns.remove(rule);
                self.turns.extend(place.map(|(wave, position, size)| {
                    let turn = PastTurn {
                        rule: *rule,
                        wave: wave + 1,
                        waves: waves.len(),
                        position: position + 1,
                        size,
                        started_at: *started_at,
                    };
                    (*rule, turn)
                }));
            }
            _ => {}
        }
    }

    fn record(&mut self, recorded: Stamp, record: &GateRecord) {
        if record.state == GateState::Gone {
            self.gates.remove(&record.rule);
            return;
        }
        let known = self.gates.get(&record.rule).filter(|known| {
            (known.record.state, &known.record.code) == (record.state, &record.code)
        });
        let gate = PastGate {
            record: record.clone(),
            since: known.map_or(recorded.time, |known| known.since),
            recorded,
            latched: false,
        };
        self.gates.insert(record.rule, gate);
    }

    fn beginning(&self, at: Stamp, entry: &Entry, kind: StartKind, job: &NewJob) -> Beginning {
        let gates = self.gates.values().cloned().map(|gate| PastGate {
            latched: self.latched.contains(&gate.record.rule),
            ..gate
        });
        let mut votes: Vec<PastVote> = self.votes.values().cloned().collect();
        votes.sort_by_key(|vote| (vote.at, vote.user));
        let order = self.order.clone().filter(|(_, order)| order.kind == kind);
        Beginning {
            at,
            actor: entry.actor,
            cause: entry.cause.clone(),
            kind,
            attempt: job.attempt,
            number: job.number,
            tried_before: self.tried_before.filter(|_| kind == StartKind::Retry),
            order,
            gates: gates.collect(),
            votes,
            turns: self.turns.values().copied().collect(),
        }
    }
}
