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

/// A simulation in the making. First [`Self::learn`] of every entry of the log in order, then [`Self::relive`] those
/// from [`Self::first`] on, then [`Self::finish`].
pub struct Simulation {
    since: Timestamp,
    changes: Vec<PolicyChange>,
    /// Folds the log up to `since`.
    engine: Engine,
    past: Past,
    deployments: BTreeMap<VersionId, DeploymentId>,
    first: Option<u64>,
    run: Option<Run>,
}

struct Run {
    recorded: Stories,
    baseline: Life,
    /// Absent when nothing is changed: the baseline is all there is.
    changed: Option<Life>,
    entries: u64,
    unlike: u64,
    unlike_from: Option<u64>,
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
            run: None,
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

    /// Lives the next entry again, from [`Self::first`] on.
    pub fn relive(&mut self, entry: &Entry) {
        let mut run = match self.run.take() {
            Some(run) => run,
            None => self.begin(),
        };
        run.relive(entry, &self.past);
        self.run = Some(run);
    }

    fn begin(&mut self) -> Run {
        self.past.close();
        let mut engine = std::mem::take(&mut self.engine);
        engine.look_around();
        while let Some(at) = engine.next_wake().filter(|at| *at < self.since) {
            if engine.probe(at) {
                break;
            }
        }
        let recorded = Stories::begin(&engine.state);
        let changed = (!self.changes.is_empty()).then(|| self.change(engine.clone()));
        Run {
            recorded,
            baseline: Life::new(engine),
            changed,
            entries: 0,
            unlike: 0,
            unlike_from: None,
        }
    }

    /// A life in which the policies are others from now on.
    fn change(&mut self, engine: Engine) -> Life {
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
        life.put(facts.collect(), self.since, &self.past);
        life
    }

    /// What would have been, up to `until`: by then nothing more is recorded.
    #[must_use]
    pub fn finish(mut self, until: Timestamp) -> Report {
        let mut run = match self.run.take() {
            Some(run) => run,
            None => self.begin(),
        };
        run.advance(until, &self.past);
        run.report(self.since, until, &self.deployments)
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

impl Run {
    /// Lets time pass in both lives, up to `until` and including it.
    fn advance(&mut self, until: Timestamp, past: &Past) {
        // What was due and is not recorded was not seen in time: the server was not there, or busy with what came
        // before. The other life was not seen to either.
        let mut late = None;
        while let Some(at) = self.baseline.next().filter(|at| *at <= until) {
            if self.baseline.is_quiet(at) {
                continue;
            }
            late = Some(at);
            break;
        }
        let Some(changed) = &mut self.changed else {
            return;
        };
        while let Some(at) = changed.next().filter(|at| *at <= until) {
            if late.is_some_and(|late| at >= late) {
                break;
            }
            changed.step(past);
        }
    }

    fn relive(&mut self, entry: &Entry, past: &Past) {
        self.advance(entry.time, past);
        self.entries += 1;
        self.recorded.follow(&entry.facts, entry.time);
        // An engine that was just loaded looks at everything again.
        let loaded =
            matches!(entry.cause, Cause::Continued { .. }) && !self.baseline.engine.is_dirty();
        let facts = self.baseline.relive(entry, loaded, past);
        if facts != entry.facts {
            self.unlike += 1;
            self.unlike_from = self.unlike_from.or(Some(entry.seq));
        }
        if let Some(changed) = &mut self.changed {
            changed.relive(entry, loaded, past);
        }
    }

    fn report(
        self,
        since: Timestamp,
        until: Timestamp,
        deployments: &BTreeMap<VersionId, DeploymentId>,
    ) -> Report {
        let recorded = self.recorded.fates;
        let baseline = self.baseline.stories.fates;
        let changed = self.changed.map(|life| (life.stories.fates, life.assumed));
        let (relived, assumed) = match &changed {
            Some((fates, assumed)) => (fates, *assumed),
            None => (&baseline, self.baseline.assumed),
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
