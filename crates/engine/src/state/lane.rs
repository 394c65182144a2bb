//! Lanes: a deployment in an environment, with its targets and how each version stands there.

use super::{SortedMap, SortedSet, Success, Target, TargetView, Targets};
use serde::{Deserialize, Serialize};
use stagegate_model::{
    DeploymentId, EnvironmentId, GateRecord, GateState, Order, PromotionId, ReleaseId, ResourceId,
    RuleId, TargetKey, Timestamp, VersionId, VersionOrder,
};
use std::collections::{BTreeMap, BTreeSet};

/// A deployment in an environment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct LaneKey {
    pub deployment: DeploymentId,
    pub environment: EnvironmentId,
}

impl LaneKey {
    #[must_use]
    pub fn target(self, resource: ResourceId) -> TargetKey {
        TargetKey {
            resource,
            environment: self.environment,
            deployment: self.deployment,
        }
    }
}

impl From<TargetKey> for LaneKey {
    fn from(key: TargetKey) -> Self {
        Self {
            deployment: key.deployment,
            environment: key.environment,
        }
    }
}

/// The targets of a deployment in an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    #[serde(skip)]
    pub targets: Targets,
    /// How many targets have this floor; kept by the fold.
    pub by_floor: BTreeMap<Option<VersionOrder>, u32>,
    /// Where its targets stand, so that not each has to be looked at; follows from them.
    #[serde(skip)]
    pub(crate) index: LaneIndex,
    /// What targets are to be brought to outside the ordinary course, until it has begun.
    pub orders: BTreeMap<ResourceId, Order>,
    /// Targets whose latest release is tried again.
    pub retries: BTreeMap<ResourceId, Retry>,
    /// Targets that were rolled back and take nothing that is not newer than what failed.
    pub held: BTreeMap<ResourceId, Held>,
    /// What is kept of targets that have left, for when they come back.
    pub left: BTreeMap<ResourceId, Left>,
    /// Open promotions of this lane.
    pub open: BTreeSet<PromotionId>,
    /// Ended promotions still in memory, oldest first.
    pub ended: Vec<PromotionId>,
    /// When time alone may change a decision here; set by settling, not by facts.
    pub next_at: Option<Timestamp>,
    /// Whether a target here waits for jobs elsewhere to end; set by settling.
    pub waits_for_others: bool,
    /// Resources of which it was asked here what other deployments have there; set by settling.
    pub asked_about: BTreeSet<ResourceId>,
}

/// Targets of a lane by what is asked of them again and again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LaneIndex {
    /// Those on which something may start, by their floor.
    pub free: BTreeMap<Option<VersionOrder>, SortedSet<ResourceId>>,
    /// Those on which something should start and cannot.
    pub blocked: BTreeSet<ResourceId>,
    /// Those with an active job.
    pub active: SortedSet<ResourceId>,
    /// Those that leave when they are free.
    pub leaving: BTreeSet<ResourceId>,
    /// How many stand so.
    pub standing: BTreeMap<Standing, u32>,
}

/// What says how a target stands towards any version, apart from what stands on few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing {
    pub active: bool,
    pub floor: Option<VersionOrder>,
    pub latest: Option<VersionOrder>,
    /// Its latest release is the one that succeeded last.
    pub good: bool,
}

impl LaneIndex {
    fn of(targets: &Targets) -> Self {
        let mut index = Self::default();
        for (resource, target) in targets {
            index.put(*resource, Mark::of(target));
        }
        index
    }

    fn put(&mut self, resource: ResourceId, mark: Mark) {
        if mark.free {
            self.free.entry(mark.floor).or_default().insert(resource);
        }
        if mark.blocked {
            self.blocked.insert(resource);
        }
        if mark.standing.active {
            self.active.insert(resource);
        }
        if mark.leaving {
            self.leaving.insert(resource);
        }
        *self.standing.entry(mark.standing).or_default() += 1;
    }

    fn remove(&mut self, resource: ResourceId, mark: Mark) {
        if mark.free
            && let Some(free) = self.free.get_mut(&mark.floor)
        {
            free.remove(&resource);
            if free.is_empty() {
                self.free.remove(&mark.floor);
            }
        }
        if mark.blocked {
            self.blocked.remove(&resource);
        }
        if mark.standing.active {
            self.active.remove(&resource);
        }
        if mark.leaving {
            self.leaving.remove(&resource);
        }
        if let Some(count) = self.standing.get_mut(&mark.standing) {
            *count -= 1;
            if *count == 0 {
                self.standing.remove(&mark.standing);
            }
        }
    }
}

/// What the index holds of a target.
#[derive(Clone, Copy, PartialEq)]
struct Mark {
    floor: Option<VersionOrder>,
    free: bool,
    blocked: bool,
    leaving: bool,
    standing: Standing,
}

impl Mark {
    fn of(target: TargetView<'_>) -> Self {
        let active = target.active().is_some();
        let (floor, latest) = (target.floor(), target.latest());
        Self {
            floor,
            free: !active && !target.leaving(),
            blocked: target.block().is_some(),
            leaving: target.leaving(),
            standing: Standing {
                active,
                floor,
                latest: target.latest_order(),
                good: latest.is_some() && latest == target.current(),
            },
        }
    }
}

impl Lane {
    /// Changes a target. This is the one way to do so: what is counted and indexed goes with it.
    pub(crate) fn change<T>(
        &mut self,
        resource: ResourceId,
        change: impl FnOnce(&mut Target) -> T,
    ) -> Option<T> {
        let (before, changed, after) = self.targets.change(resource, Mark::of, change)?;
        if before != after {
            self.index.remove(resource, before);
            self.index.put(resource, after);
        }
        if before.floor != after.floor {
            self.count_down(before.floor);
            *self.by_floor.entry(after.floor).or_default() += 1;
        }
        Some(changed)
    }

    pub(crate) fn add(&mut self, resource: ResourceId, target: Target) {
        let mark = Mark::of((&target).into());
        self.index.put(resource, mark);
        *self.by_floor.entry(mark.floor).or_default() += 1;
        self.targets.insert(resource, target);
    }

    pub(crate) fn remove(&mut self, resource: ResourceId) -> Option<Target> {
        let target = self.targets.remove(resource)?;
        let mark = Mark::of((&target).into());
        self.index.remove(resource, mark);
        self.count_down(mark.floor);
        Some(target)
    }

    fn count_down(&mut self, floor: Option<VersionOrder>) {
        if let Some(count) = self.by_floor.get_mut(&floor) {
            *count -= 1;
            if *count == 0 {
                self.by_floor.remove(&floor);
            }
        }
    }

    /// Whether a resource is a target here that stays.
    pub(crate) fn has(&self, resource: ResourceId) -> bool {
        self.targets.get(&resource).is_some_and(|it| !it.leaving())
    }

    /// Makes the index anew from the targets, as after reading a snapshot.
    pub(crate) fn reindex(&mut self) {
        self.index = LaneIndex::of(&self.targets);
    }

    /// How many targets could still be moved forward to a version of that order.
    #[must_use]
    pub fn behind(&self, order: VersionOrder) -> u32 {
        self.by_floor
            .range(..Some(order))
            .map(|(_, count)| count)
            .sum()
    }
}

/// What is kept of a target that has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// The number of its last release, so that they go on.
    pub number: u64,
    /// What was deployed there last, so that what replaces it is seen to.
    pub deployed: Option<VersionId>,
}

/// A release whose job failed and that is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    pub release: ReleaseId,
    pub version: VersionId,
    pub attempt: u32,
    pub at: Timestamp,
}

/// Why a target takes part in no automatic deployment until something newer comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    pub since: Timestamp,
    /// The version it was rolled back from.
    pub from: VersionId,
    pub reason: String,
}

/// Since when and why something stands still.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standstill {
    pub since: Timestamp,
    pub reason: String,
}

/// A gradual rollout that has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    pub started_at: Timestamp,
    /// What the clock showed when each wave that has begun did, in milliseconds.
    pub begun: Vec<i64>,
    /// By wave, the targets in their order, as they were when it began.
    pub waves: Vec<Vec<ResourceId>>,
    /// Where each of them is: its wave and its place there.
    pub places: BTreeMap<ResourceId, (u32, u32)>,
}

/// Counts the time in which a rollout may go on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// Milliseconds counted before `running_since`.
    pub elapsed: i64,
    pub running_since: Option<Timestamp>,
    /// When the gates that let it run are known to close.
    pub until: Option<Timestamp>,
}

impl Clock {
    /// What it shows, in milliseconds.
    #[must_use]
    pub fn reading(&self, now: Timestamp) -> i64 {
        let running = self.running_since.map_or(0, |since| {
            let end = self.until.map_or(now, |until| until.min(now));
            end.millis_since(since).max(0)
        });
        self.elapsed + running
    }
}

/// When successes came to count, and how many there are: many come in one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counted {
    at: BTreeMap<Timestamp, usize>,
    len: usize,
}

impl Counted {
    /// One that counted from `before` on counts from `after` on.
    fn change(&mut self, before: Option<Timestamp>, after: Option<Timestamp>) {
        if let Some(count) = before.and_then(|at| self.at.get_mut(&at)) {
            self.len -= 1;
            *count -= 1;
        }
        if let Some(at) = before.filter(|at| self.at.get(at) == Some(&0)) {
            self.at.remove(&at);
        }
        if let Some(at) = after {
            self.len += 1;
            *self.at.entry(at).or_default() += 1;
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn newest(&self) -> Option<Timestamp> {
        self.at.keys().next_back().copied()
    }

    /// When there were `count` of them.
    pub fn reached(&self, count: usize) -> Option<Timestamp> {
        let mut left = count.checked_sub(1)?;
        for (at, count) in &self.at {
            match left.checked_sub(*count) {
                Some(still) => left = still,
                None => return Some(*at),
            }
        }
        None
    }
}

/// How a version stands in an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// The latest attempt.
    pub promotion: Option<PromotionId>,
    pub attempts: u32,
    /// Rules that stay passed, with the time at which each was satisfied.
    pub latched: BTreeMap<RuleId, Timestamp>,
    /// Rules that were set aside when the rollout began, with since when.
    pub skipped: BTreeMap<RuleId, Timestamp>,
    /// The gates as last recorded.
    pub gates: BTreeMap<RuleId, GateRecord>,
    /// Since when each of them stands as it does, for the reason that is on record.
    pub gates_since: BTreeMap<RuleId, Timestamp>,
    /// What became of this version on the targets, by resource; also of targets that have left.
    #[serde(skip)]
    pub results: SortedMap<ResourceId, Success>,
    /// Those of the results on targets that stay which count as a success where nothing else is asked for, by when they
    /// came to; follows from them.
    #[serde(skip)]
    pub(crate) counted: Counted,
    /// Targets on which the verification of its latest job failed.
    pub failed_verifications: BTreeSet<ResourceId>,
    /// Targets on which it failed, by whatever way, since the rollout began or was resumed.
    pub failures: BTreeSet<ResourceId>,
    pub quarantined: Option<Standstill>,
    /// A person ended its promotion.
    pub cancelled: Option<Standstill>,
    /// Nobody approved in time.
    pub expired: Option<Standstill>,
    /// No further target is released, until a person resumes it.
    pub paused: Option<Standstill>,
    pub rollouts: BTreeMap<RuleId, Rollout>,
    pub clock: Option<Clock>,
}

impl Track {
    /// Changes what became of the version on a target, if anything did. This is the one way to do so: what is counted
    /// goes with it. `member` says whether the resource is a target that stays.
    pub(crate) fn change_result(
        &mut self,
        resource: ResourceId,
        member: bool,
        change: impl FnOnce(&mut Success),
    ) {
        let Some(result) = self.results.get_mut(&resource) else {
            return;
        };
        let before = result.counts_from().filter(|_| member);
        change(result);
        let after = result.counts_from().filter(|_| member);
        self.counted.change(before, after);
    }

    pub(crate) fn put_result(&mut self, resource: ResourceId, member: bool, result: Success) {
        let after = result.counts_from().filter(|_| member);
        let before = self.results.insert(resource, result);
        let before = before.and_then(|it| it.counts_from());
        self.counted.change(before.filter(|_| member), after);
    }

    /// A target has come (back) that was not there, or leaves that was.
    pub(crate) fn set_member(&mut self, resource: ResourceId, member: bool) {
        let result = self.results.get(&resource);
        if let Some(at) = result.and_then(Success::counts_from) {
            let (before, after) = match member {
                true => (None, Some(at)),
                false => (Some(at), None),
            };
            self.counted.change(before, after);
        }
    }

    /// Counts the results anew, as after reading a snapshot.
    pub(crate) fn recount(&mut self, lane: Option<&Lane>) {
        let results = self.results.iter();
        let mut counted = Counted::default();
        for (id, result) in results {
            let stays = lane.is_some_and(|lane| lane.has(*id));
            counted.change(None, result.counts_from().filter(|_| stays));
        }
        self.counted = counted;
    }

    /// Takes a gate on record as it stands from `now` on.
    pub(crate) fn record(&mut self, gate: &GateRecord, now: Timestamp) {
        if gate.state == GateState::Gone {
            self.gates.remove(&gate.rule);
            self.gates_since.remove(&gate.rule);
            return;
        }
        let known = self.gates.insert(gate.rule, gate.clone());
        let same = |known: &GateRecord| (known.state, &known.code) == (gate.state, &gate.code);
        // When it opens, or whom it waits for, may change while it waits for the same reason.
        if !known.is_some_and(|known| same(&known)) {
            self.gates_since.insert(gate.rule, now);
        }
    }

    /// Since when a rule stands so on record; `None` when what is on record is something else.
    #[must_use]
    pub fn since(&self, rule: RuleId, state: GateState, code: &str) -> Option<Timestamp> {
        let known = self.gates.get(&rule)?;
        let same = (known.state, known.code.as_str()) == (state, code);
        self.gates_since.get(&rule).copied().filter(|_| same)
    }
}
