//! What would have been under other policies: the workspace's own history, lived once more.
//!
//! What people, CI, runners and metric providers said happens again at its own time, in entries of the same ids; what
//! was decided is decided anew. While nothing has diverged, decisions have the same ids and times, so that the same
//! policies give the same history, fact by fact. That is checked along the way: beside the changed life goes one under
//! the policies as they were, and what even that one does not reproduce is not blamed on the change.

mod hear;
mod life;
mod origin;
mod past;
mod story;

pub use story::{Attempt, Difference, Effect, Fate, Held};

use crate::engine::Engine;
use life::Life;
use past::Past;
use stagegate_model::{Cause, DeploymentId, Entry, Fact, Policy, PolicyId, Timestamp, VersionId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use story::{Stories, effect};

/// A policy that would have been another.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyChange {
    Put(Policy),
    Delete(PolicyId),
}

impl PolicyChange {
    fn id(&self) -> PolicyId {
        match self {
            Self::Put(policy) => policy.id,
            Self::Delete(id) => *id,
        }
    }
}

/// What had to be assumed where the record does not say what would have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assumed {
    /// Jobs at another time than recorded, that went as they went then.
    pub moved: u64,
    /// Jobs more than recorded of a version on a target, that went as the last recorded one.
    pub repeated: u64,
    /// Jobs of which nothing is recorded, that went well and took as long as jobs there usually do.
    pub outcomes: u64,
    /// Measurements of which nothing is recorded, that passed.
    pub measurements: u64,
    /// What people did that could not have been done.
    pub dropped: u64,
    /// Recorded changes of the changed policies, which were left out.
    pub policy_changes: u64,
}

/// What would have been.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    pub since: Timestamp,
    pub until: Timestamp,
    /// How many entries of the log were lived again.
    pub entries: u64,
    /// How many promotions were open at the beginning or were opened since.
    pub promotions: usize,
    /// Those that would have gone otherwise, in the order in which they were opened.
    pub differences: Vec<Difference>,
    pub assumed: Assumed,
    /// Entries that came out otherwise under the policies as they were, and the first of them: this version of the
    /// engine decides otherwise than the one that wrote them.
    pub unlike: u64,
    pub unlike_from: Option<u64>,
    /// Promotions that differ even under the policies as they were; they are not among the differences.
    pub unexplained: usize,
}

/// A simulation in the making. First [`Self::learn`] of every entry of the log in order, then [`Self::begin`].
pub struct Simulation {
    since: Timestamp,
    changes: Vec<PolicyChange>,
    /// Folds the log up to `since`.
    engine: Engine,
    past: Past,
    deployments: BTreeMap<VersionId, DeploymentId>,
    first: Option<u64>,
}

/// The history lived again under the policies as they were: [`Self::relive`] each entry from [`Simulation::first`] on,
/// and the same in the [`Changed`] life if there is one, here or in another thread; then [`Self::finish`].
pub struct Baseline {
    since: Timestamp,
    past: Arc<Past>,
    deployments: BTreeMap<VersionId, DeploymentId>,
    recorded: Stories,
    life: Life,
    entries: u64,
    unlike: u64,
    unlike_from: Option<u64>,
}

/// The history lived again under other policies.
pub struct Changed {
    past: Arc<Past>,
    life: Life,
}

/// What the life under the policies as they were says of an entry to the other one.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From when on nobody saw to what was due.
    late: Option<Timestamp>,
    /// The engine was just loaded, and looks at everything again.
    loaded: bool,
}

impl Simulation {
    /// A simulation of the changed policies from a moment on.
    #[must_use]
    pub fn new(since: Timestamp, changes: Vec<PolicyChange>) -> Self {
        let measures = |change: &PolicyChange| match change {
            PolicyChange::Put(policy) => policy.rules.iter().any(|it| it.kind == "verification"),
            PolicyChange::Delete(_) => false,
        };
        let past = Past::new(changes.iter().any(measures));
        Self {
            since,
            changes,
            engine: Engine::default(),
            past,
            deployments: BTreeMap::new(),
            first: None,
        }
    }

    /// Takes in the next entry of the log.
    pub fn learn(&mut self, entry: &Entry) {
        let versions = entry.facts.iter().filter_map(|fact| match fact {
            Fact::VersionCreated { version } => Some((version.id, version.deployment)),
            _ => None,
        });
        self.deployments.extend(versions);
        // What an entry left to decide belongs to it.
        let continued = matches!(entry.cause, Cause::Continued { .. });
        if self.first.is_none() && (entry.time < self.since || continued) {
            self.engine.replay(entry);
            return;
        }
        if self.first.is_none() {
            self.first = Some(entry.seq);
            self.past.begin(&self.engine.state);
        }
        self.past.learn(entry, &self.deployments);
    }

    /// The first entry that is lived again; `None` when nothing happened since.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.first
    }

    /// When all is learnt: the life under the policies as they were, and the one under the others. Without a change there
    /// is no other.
    #[must_use]
    pub fn begin(mut self) -> (Baseline, Option<Changed>) {
        self.past.close();
        let past = Arc::new(std::mem::take(&mut self.past));
        let mut engine = std::mem::take(&mut self.engine);
        engine.look_around();
        while let Some(at) = engine.next_wake().filter(|at| *at < self.since) {
            if engine.probe(at) {
                break;
            }
        }
        let changed = (!self.changes.is_empty()).then(|| Changed {
            life: self.change(engine.clone(), &past),
            past: Arc::clone(&past),
        });
        let baseline = Baseline {
            since: self.since,
            past,
            deployments: self.deployments,
            recorded: Stories::begin(&engine.state),
            life: Life::new(engine),
            entries: 0,
            unlike: 0,
            unlike_from: None,
        };
        (baseline, changed)
    }

    /// A life in which the policies are others from now on.
    fn change(&self, engine: Engine, past: &Past) -> Life {
        let mut life = Life::new(engine);
        let replaced: BTreeSet<PolicyId> = self.changes.iter().map(PolicyChange::id).collect();
        life.stories.concerned.clone_from(&replaced);
        life.replaced = replaced;
        let facts = self.changes.iter().map(|change| match change {
            PolicyChange::Put(policy) => Fact::PolicyPut {
                policy: as_of(policy.clone(), self.since),
            },
            PolicyChange::Delete(id) => Fact::PolicyDeleted { id: *id },
        });
        life.put(facts.collect(), self.since, past);
        life
    }
}

/// A policy as if it had been there at `since`: a calendar that says no beginning begins with its rule.
fn as_of(mut policy: Policy, since: Timestamp) -> Policy {
    policy.created_at = policy.created_at.min(since);
    for rule in &mut policy.rules {
        rule.created_at = rule.created_at.min(since);
    }
    policy
}

impl Changed {
    /// Lives an entry again, after the other life has.
    pub fn relive(&mut self, entry: &Entry, pace: Pace) {
        self.advance(entry.time, pace);
        self.life.relive(entry, pace.loaded, &self.past);
    }

    fn advance(&mut self, until: Timestamp, pace: Pace) {
        while let Some(at) = self.life.next().filter(|at| *at <= until) {
            // What was not seen to in the other life was not seen to here either.
            if pace.late.is_some_and(|late| at >= late) {
                break;
            }
            self.life.step(&self.past);
        }
    }
}

impl Baseline {
    /// Lets time pass up to `until` and including it. Gives from when on what was due is not recorded: nobody saw to it,
    /// since the server was not there, or busy with what came before.
    fn advance(&mut self, until: Timestamp) -> Option<Timestamp> {
        while let Some(at) = self.life.next().filter(|at| *at <= until) {
            if !self.life.is_quiet(at) {
                return Some(at);
            }
        }
        None
    }

    /// Lives the next entry again, from [`Simulation::first`] on.
    pub fn relive(&mut self, entry: &Entry) -> Pace {
        let late = self.advance(entry.time);
        self.entries += 1;
        self.recorded.follow(&entry.facts, entry.time);
        // An engine that was just loaded looks at everything again.
        let loaded = matches!(entry.cause, Cause::Continued { .. }) && !self.life.engine.is_dirty();
        let facts = self.life.relive(entry, loaded, &self.past);
        if facts != entry.facts {
            self.unlike += 1;
            self.unlike_from = self.unlike_from.or(Some(entry.seq));
        }
        Pace { late, loaded }
    }

    /// What would have been, up to `until`: by then nothing more is recorded.
    #[must_use]
    pub fn finish(mut self, changed: Option<Changed>, until: Timestamp) -> Report {
        let late = self.advance(until);
        let loaded = false;
        let changed = changed.map(|mut changed| {
            changed.advance(until, Pace { late, loaded });
            (changed.life.stories.fates, changed.life.assumed)
        });
        let (since, deployments) = (self.since, self.deployments);
        let recorded = self.recorded.fates;
        let baseline = self.life.stories.fates;
        let (relived, assumed) = match &changed {
            Some((fates, assumed)) => (fates, *assumed),
            None => (&baseline, self.life.assumed),
        };
        let all: BTreeSet<&Attempt> = recorded.keys().chain(relived.keys()).collect();
        let mut differences = Vec::new();
        let mut unexplained = 0;
        for attempt in all {
            let (was, would) = (recorded.get(attempt), relived.get(attempt));
            let Some(effect) = effect(was, would) else {
                continue;
            };
            let alike = self::effect(was, baseline.get(attempt)).is_none();
            if changed.is_some() && !alike {
                unexplained += 1;
                continue;
            }
            differences.push(Difference {
                promotion: *attempt,
                deployment: deployments.get(&attempt.version).copied(),
                effect,
                recorded: was.cloned(),
                relived: would.cloned(),
            });
        }
        let opened = |it: &Difference| {
            let fate = it.recorded.as_ref().or(it.relived.as_ref());
            fate.map(|fate| fate.opened_at)
        };
        differences.sort_by_key(|it| (opened(it), it.promotion));
        Report {
            since,
            until,
            entries: self.entries,
            promotions: recorded.len(),
            differences,
            assumed,
            unlike: self.unlike,
            unlike_from: self.unlike_from,
            unexplained,
        }
    }
}
