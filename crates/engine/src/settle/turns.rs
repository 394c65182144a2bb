//! Whose turn it is: rollouts and concurrency, asked for each target once the gates of its environment are open.

use super::applicable::{Class, Conduct, LaneView};
use super::plan::GateStanding;
use super::rollbacks::can_go_back;
use crate::rules::concurrency::Concurrency;
use crate::rules::gradual_rollout::{self, GradualRollout, OnFailure};
use crate::state::{Clock, Lane, LaneKey, PackedResource, Rollout, Track};
use stagegate_model::{ResourceId, RuleId, Timestamp, Version, VersionId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Something that has to be recorded of a rollout before it goes on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RolloutStep {
    Begin {
        version: VersionId,
        rule: RuleId,
        started_at: Timestamp,
        waves: Vec<Vec<ResourceId>>,
    },
    Wave {
        version: VersionId,
        rule: RuleId,
        wave: u32,
    },
    Clock {
        version: VersionId,
        running: bool,
        at: Timestamp,
        until: Option<Timestamp>,
    },
    BudgetSpent {
        version: VersionId,
        failures: usize,
        on_failure: OnFailure,
    },
}

impl RolloutStep {
    /// Whether it says that a budget of failures is spent.
    pub fn is_spent(&self) -> bool {
        matches!(self, Self::BudgetSpent { .. })
    }
}

/// Whether a target may start now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    Due,
    /// Not yet; `until` when time alone brings it.
    Later {
        until: Option<Timestamp>,
        message: String,
    },
}

/// How a rollout stands as a whole.
pub(crate) struct RolloutStanding {
    pub due: usize,
    pub total: usize,
    pub place: Place,
}

/// The turns of one lane, while it is looked at.
pub(crate) struct Turns<'e> {
    view: LaneView<'e>,
    now: Timestamp,
    steps: Vec<RolloutStep>,
    next_at: Option<Timestamp>,
    waits_for_others: bool,
    /// Active targets by concurrency rule and scope, counted when first asked, with what starts now added.
    slots: BTreeMap<RuleId, BTreeMap<String, u32>>,
    /// How far rollouts are, for those who ask for many targets.
    progress: BTreeMap<(VersionId, RuleId), Progress<'e>>,
    /// The versions whose clock was told of: whether it is to run, and until when as far as is known.
    open: BTreeMap<VersionId, Option<Option<Timestamp>>>,
}

impl<'e> Turns<'e> {
    pub fn new(view: &LaneView<'e>, now: Timestamp) -> Self {
        Self {
            view: view.clone(),
            now,
            steps: Vec::new(),
            next_at: None,
            waits_for_others: false,
            slots: BTreeMap::new(),
            progress: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    pub fn next_at(&self) -> Option<Timestamp> {
        self.next_at
    }

    pub fn waits_for_others(&self) -> bool {
        self.waits_for_others
    }

    pub fn into_steps(mut self) -> Vec<RolloutStep> {
        self.turn_clocks();
        self.steps
    }

    fn track(&self, version: VersionId) -> Option<&'e Track> {
        let engine = self.view.engine;
        engine.state.track(version, self.view.environment.id)
    }

    pub fn is_paused(&self, version: VersionId) -> bool {
        self.track(version)
            .is_some_and(|track| track.paused.is_some())
    }

    fn wake_at(&mut self, at: Option<Timestamp>) {
        if let Some(at) = at.filter(|at| *at > self.now) {
            self.next_at = Some(self.next_at.map_or(at, |before| before.min(at)));
        }
    }

    /// Lets the clock of the version's rollouts run exactly while its gates are open, for one class of the targets that
    /// wait for it at least, and nobody paused it. To be told of each class.
    pub fn set_clock(&mut self, version: &Version, allowed: bool, gates: &[GateStanding]) {
        let begun = self.track(version.id).is_some_and(|it| it.clock.is_some());
        if !begun {
            return;
        }
        let passing = gates.iter().filter(|gate| !gate.latches);
        let until = passing.filter_map(|gate| gate.verdict.changes_at()).min();
        let open = (allowed && !self.is_paused(version.id)).then_some(until);
        let known = self.open.entry(version.id).or_insert(open);
        *known = match (*known, open) {
            (Some(known), Some(open)) => Some(known.zip(open).map(|(a, b)| a.max(b))),
            (known, open) => known.or(open),
        };
    }

    /// Sets the clocks that differ from what was said of the classes.
    fn turn_clocks(&mut self) {
        for (version, open) in std::mem::take(&mut self.open) {
            let Some(clock) = self.track(version).and_then(|track| track.clock) else {
                continue;
            };
            let (running, until) = (open.is_some(), open.flatten());
            if clock.running_since.is_some() == running && clock.until == until {
                continue;
            }
            // Found late (nobody was there to see it), it stood still from when the gates were known to close.
            let at = match clock.until {
                Some(until) if !running => until.min(self.now),
                _ => self.now,
            };
            self.steps.push(RolloutStep::Clock {
                version,
                running,
                at,
                until,
            });
        }
    }

    /// Looks whether rollouts that are under way have spent their budget: at once, also while a gate is shut and when
    /// no target waits any more.
    pub fn check_budgets(&mut self, lane: &Lane, classes: &[Class]) {
        let state = &self.view.engine.state;
        let view = self.view.clone();
        for promotion in lane.open.iter().filter_map(|id| state.promotions.get(id)) {
            let (Some(track), Some(version)) = (
                self.track(promotion.version),
                state.versions.get(&promotion.version),
            ) else {
                continue;
            };
            if track.failures.is_empty() || track.rollouts.is_empty() {
                continue;
            }
            let stopped = has_stopped(track);
            for class in classes {
                let conduct = view.conduct(version, class.representative.as_deref());
                for (rule, rollout) in &conduct.rollouts {
                    let begun = track.rollouts.get(rule);
                    let spent = begun.and_then(|begun| self.spent(version.id, rollout, begun));
                    let idle = match rollout.on_failure {
                        // Where nothing waits there is nothing to pause.
                        OnFailure::Pause => stopped || lane.behind(version.order()) == 0,
                        // A rollback rule may have quarantined the version already: its other targets go back too.
                        OnFailure::Rollback => {
                            stopped && !can_go_back(state, self.view.key, version.id)
                        }
                    };
                    let spent = spent.filter(|step| !idle && !self.steps.contains(step));
                    self.steps.extend(spent);
                }
            }
        }
    }

    /// Those of the free targets whose turn it is, in the order of the rollout.
    pub fn admit(
        &mut self,
        version: &Arc<Version>,
        conduct: &Conduct<'e>,
        gates: &[GateStanding],
        free: Vec<ResourceId>,
    ) -> Vec<ResourceId> {
        if self.is_paused(version.id) {
            return Vec::new();
        }
        if free.is_empty() {
            return free;
        }
        let mut free = free;
        for (rule, rollout) in &conduct.rollouts {
            free = self.released(version, *rule, rollout, gates, free);
        }
        let mut admitted = Vec::new();
        for resource in free {
            if self.take_turn(version, conduct, resource) {
                admitted.push(resource);
            }
        }
        admitted
    }

    /// Takes the target its place; `false` when there is none. What cannot start whatever its turn keeps no place from
    /// what can; that it cannot is told all the same.
    pub fn take_turn(
        &mut self,
        version: &Version,
        conduct: &Conduct<'e>,
        resource: ResourceId,
    ) -> bool {
        let idle = !conduct.concurrencies.is_empty() && self.is_blocked(version, resource);
        idle || self.take_slot(conduct, resource)
    }

    /// Whether the target could not start the version when it last should have, and still cannot.
    fn is_blocked(&self, version: &Version, resource: ResourceId) -> bool {
        let lane = self.view.engine.state.lane(self.view.key);
        let target = lane.and_then(|lane| lane.targets.get(&resource));
        let block = target.and_then(|target| target.block());
        block.is_some_and(|block| block.version == version.id)
            && !super::starts::can_start(&self.view, version, resource)
    }

    fn released(
        &mut self,
        version: &Arc<Version>,
        rule: RuleId,
        rollout: &GradualRollout,
        gates: &[GateStanding],
        free: Vec<ResourceId>,
    ) -> Vec<ResourceId> {
        let track = self.track(version.id);
        let Some(begun) = track.and_then(|track| track.rollouts.get(&rule)) else {
            self.begin(version, rule, rollout, gates);
            return Vec::new();
        };
        if let Some(step) = self.spent(version.id, rollout, begun) {
            // One that ended before and waits anew, for a target that has joined, spends it now.
            let stopped = track.is_some_and(has_stopped);
            if !stopped && !self.steps.contains(&step) {
                self.steps.push(step);
            }
            return Vec::new();
        }
        let Some(clock) = track.and_then(|track| track.clock) else {
            return Vec::new();
        };
        let progress = Progress::new(&self.view, version, rollout, begun, clock, self.now);
        if let Some(wave) = progress.next_wave() {
            let step = RolloutStep::Wave {
                version: version.id,
                rule,
                wave,
            };
            if !self.steps.contains(&step) {
                self.steps.push(step);
            }
        }
        let mut due: Vec<((u32, u32), ResourceId)> = Vec::new();
        for resource in free {
            let place = progress.place(resource);
            match progress.standing(place) {
                Place::Due => due.push((place, resource)),
                Place::Later { until, .. } => self.wake_at(until),
            }
        }
        due.sort_unstable();
        due.into_iter().map(|(_, resource)| resource).collect()
    }

    fn begin(
        &mut self,
        version: &Arc<Version>,
        rule: RuleId,
        rollout: &GradualRollout,
        gates: &[GateStanding],
    ) {
        let known = self.steps.iter().any(|step| {
            matches!(step, RolloutStep::Begin { version: of, rule: by, .. } if (*of, *by) == (version.id, rule))
        });
        if known {
            return;
        }
        let state = &self.view.engine.state;
        let Some(lane) = state.lane(self.view.key) else {
            return;
        };
        let targets: Vec<Arc<PackedResource>> = lane
            .targets
            .iter()
            .filter(|(_, target)| !target.leaving())
            .filter_map(|(id, _)| state.resource(*id).cloned())
            .collect();
        let waves = gradual_rollout::plan(
            rollout,
            self.view.environment,
            self.view.deployment,
            version.id,
            &targets,
        );
        self.steps.push(RolloutStep::Begin {
            version: version.id,
            rule,
            started_at: started_at(version, gates).min(self.now),
            waves,
        });
    }

    fn spent(
        &self,
        version: VersionId,
        rollout: &GradualRollout,
        begun: &Rollout,
    ) -> Option<RolloutStep> {
        let failures = self.track(version)?.failures.len();
        let targets = begun.waves.iter().map(Vec::len).sum();
        let budget = rollout.budget(targets)?;
        (failures >= budget).then_some(RolloutStep::BudgetSpent {
            version,
            failures,
            on_failure: rollout.on_failure,
        })
    }

    /// Why a free target waits for its turn; `None` when it does not.
    pub fn wait_of(
        &mut self,
        version: &Version,
        conduct: &Conduct<'e>,
        resource: ResourceId,
    ) -> Option<(Option<Timestamp>, String)> {
        let track = self.track(version.id);
        if let Some(paused) = track.and_then(|track| track.paused.as_ref()) {
            return Some((None, format!("the rollout is paused: {}", paused.reason)));
        }
        for (rule, rollout) in &conduct.rollouts {
            let begun = track.and_then(|track| track.rollouts.get(rule));
            let clock = track.and_then(|track| track.clock);
            let (Some(begun), Some(clock)) = (begun, clock) else {
                continue;
            };
            let known = (version.id, *rule);
            if !self.progress.contains_key(&known) {
                let progress = Progress::new(&self.view, version, rollout, begun, clock, self.now);
                self.progress.insert(known, progress);
            }
            let place = self.progress.get(&known);
            let place = place.map(|progress| progress.standing(progress.place(resource)));
            if let Some(Place::Later { until, message }) = place {
                return Some((until, message));
            }
        }
        let message = self.place_of(conduct, resource)?;
        Some((None, message))
    }

    /// Why a target waits for a place under a concurrency rule; `None` when it does not.
    pub fn place_of(&mut self, conduct: &Conduct<'e>, resource: ResourceId) -> Option<String> {
        let stored = self.view.engine.state.resource(resource)?;
        for (rule, concurrency) in &conduct.concurrencies {
            let (environment, deployment) = (self.view.environment, self.view.deployment);
            let scope = match concurrency.scope_of(environment, deployment, stored) {
                Ok(scope) => scope.to_string(),
                Err(error) => return Some(error),
            };
            let active = self.active(*rule, concurrency, &scope);
            if active >= concurrency.max {
                let among = match scope.as_str() {
                    "null" => String::new(),
                    scope => format!(" for {scope}"),
                };
                let max = concurrency.max;
                return Some(format!(
                    "{active} of at most {max} targets{among} are being worked on"
                ));
            }
        }
        None
    }

    fn active(&mut self, rule: RuleId, concurrency: &Concurrency, scope: &str) -> u32 {
        if !self.slots.contains_key(&rule) {
            let counted = count_active(&self.view, rule, concurrency);
            self.slots.insert(rule, counted);
        }
        let active = self.slots.get(&rule).and_then(|it| it.get(scope));
        active.copied().unwrap_or(0)
    }

    /// Takes the target a place under every concurrency rule that applies to it; `false` when one is full.
    fn take_slot(&mut self, conduct: &Conduct<'e>, resource: ResourceId) -> bool {
        if conduct.concurrencies.is_empty() {
            return true;
        }
        let Some(scopes) = self.scopes(conduct, resource) else {
            // What cannot be said does not start.
            return false;
        };
        for (rule, concurrency, scope) in &scopes {
            if self.active(*rule, concurrency, scope) >= concurrency.max {
                self.waits_for_others = true;
                return false;
            }
        }
        self.count(scopes);
        true
    }

    /// Counts a target that starts whether there is a place or not; one that cannot start takes none.
    pub fn hold_place(&mut self, version: &Version, conduct: &Conduct<'e>, resource: ResourceId) {
        if conduct.concurrencies.is_empty() || self.is_blocked(version, resource) {
            return;
        }
        let scopes = self.scopes(conduct, resource).unwrap_or_default();
        for (rule, concurrency, scope) in &scopes {
            // Those that are active already are counted first.
            self.active(*rule, concurrency, scope);
        }
        self.count(scopes);
    }

    /// What the target has in common with others under each concurrency rule; `None` when that cannot be said.
    fn scopes(
        &self,
        conduct: &Conduct<'e>,
        resource: ResourceId,
    ) -> Option<Vec<(RuleId, &'e Concurrency, String)>> {
        let stored = self.view.engine.state.resource(resource)?;
        let (environment, deployment) = (self.view.environment, self.view.deployment);
        let rules = conduct.concurrencies.iter();
        rules
            .map(|(rule, concurrency)| {
                let scope = concurrency.scope_of(environment, deployment, stored).ok()?;
                Some((*rule, *concurrency, scope.to_string()))
            })
            .collect()
    }

    fn count(&mut self, scopes: Vec<(RuleId, &'e Concurrency, String)>) {
        for (rule, _, scope) in scopes {
            let slots = self.slots.entry(rule).or_default();
            *slots.entry(scope).or_default() += 1;
        }
    }
}

/// Whether a rollout was stopped already, so that no budget has to stop it.
fn has_stopped(track: &Track) -> bool {
    track.paused.is_some() || track.quarantined.is_some()
}

/// When position 0 is due: when the last approval or progression was satisfied, else when the version was created;
/// not before its deployment window opened.
fn started_at(version: &Version, gates: &[GateStanding]) -> Timestamp {
    let satisfied = |latching: bool| {
        let gates = gates.iter().filter(move |gate| gate.latches == latching);
        gates.filter_map(|gate| gate.verdict.satisfied_at()).max()
    };
    let start = satisfied(true).unwrap_or(version.created_at);
    start.max(satisfied(false).unwrap_or(start))
}

/// How many targets are worked on under a concurrency rule, by what they have in common.
pub(super) fn count_active(
    view: &LaneView<'_>,
    rule: RuleId,
    concurrency: &Concurrency,
) -> BTreeMap<String, u32> {
    let engine = view.engine;
    let mut counts = BTreeMap::new();
    let busy = engine
        .state
        .lanes
        .iter()
        .filter(|(_, lane)| !lane.index.active.is_empty());
    for (key, lane) in busy {
        let Some(view) = lane_view(view, *key) else {
            continue;
        };
        for resource in lane.index.active.iter() {
            let target = lane.targets.get(resource);
            let job = target
                .and_then(|target| target.active())
                .and_then(|id| engine.state.jobs.get(&id));
            let (Some(job), Some(stored)) = (job, engine.state.resource(*resource)) else {
                continue;
            };
            let Some(version) = engine.state.versions.get(&job.version) else {
                continue;
            };
            let conduct = view.conduct(version, Some(stored));
            if !conduct.concurrencies.iter().any(|(id, _)| *id == rule) {
                continue;
            }
            if let Ok(scope) = concurrency.scope_of(view.environment, view.deployment, stored) {
                *counts.entry(scope.to_string()).or_default() += 1;
            }
        }
    }
    counts
}

fn lane_view<'e>(view: &LaneView<'e>, key: LaneKey) -> Option<LaneView<'e>> {
    if key == view.key {
        return Some(view.clone());
    }
    LaneView::new(view.engine, key)
}

/// How far a rollout is.
pub(crate) struct Progress<'a> {
    rollout: &'a GradualRollout,
    begun: &'a Rollout,
    clock: Clock,
    now: Timestamp,
    /// Targets that joined after it began, in the order in which they did.
    joiners: BTreeMap<ResourceId, u32>,
    /// When the last wave that has begun was through, and what of it is not.
    through: Result<Timestamp, usize>,
}

impl<'a> Progress<'a> {
    pub fn new(
        view: &LaneView<'_>,
        version: &Version,
        rollout: &'a GradualRollout,
        begun: &'a Rollout,
        clock: Clock,
        now: Timestamp,
    ) -> Self {
        let state = &view.engine.state;
        let lane = state.lane(view.key);
        let mut joined: Vec<(Timestamp, ResourceId)> = lane
            .into_iter()
            .flat_map(|lane| &lane.targets)
            .filter(|(id, _)| !begun.places.contains_key(id))
            .map(|(id, target)| (target.joined_at(), *id))
            .collect();
        joined.sort_unstable();
        let joiners = (0u32..).zip(joined).map(|(place, (_, id))| (id, place));
        let track = state.track(version.id, view.environment.id);
        let last = begun.begun.len().saturating_sub(1);
        let members = begun.waves.get(last).map_or(&[][..], |it| it.as_slice());
        let mut open = 0;
        let mut through_at = begun.started_at;
        for resource in members {
            let Some(target) = lane.and_then(|lane| lane.targets.get(resource)) else {
                continue;
            };
            if target.leaving() || target.floor() > Some(version.order()) {
                continue;
            }
            match track.and_then(|track| track.results.get(resource)?.counts_from()) {
                Some(at) => through_at = through_at.max(at),
                None => open += 1,
            }
        }
        Self {
            rollout,
            begun,
            clock,
            now,
            joiners: joiners.collect(),
            through: if open == 0 { Ok(through_at) } else { Err(open) },
        }
    }

    /// The wave that begins now, if one does.
    fn next_wave(&self) -> Option<u32> {
        let begun = self.begun.begun.len();
        if begun >= self.begun.waves.len() {
            return None;
        }
        let soaked = self.soaked_at()?;
        (soaked <= self.now).then(|| u32::try_from(begun).unwrap_or(u32::MAX))
    }

    /// When the wave that has begun last is through and has soaked.
    fn soaked_at(&self) -> Option<Timestamp> {
        let through = self.through.ok()?;
        let last = self.begun.begun.len().saturating_sub(1);
        Some(through.plus_millis(self.rollout.soak_millis(last)))
    }

    /// Where a target stands in the order: its wave, and its place there.
    pub fn place(&self, resource: ResourceId) -> (u32, u32) {
        if let Some(place) = self.begun.places.get(&resource) {
            return *place;
        }
        let last = self.begun.waves.len().saturating_sub(1);
        let size = self.begun.waves.get(last).map_or(0, Vec::len);
        let numbered = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let joiner = self.joiners.get(&resource).copied().unwrap_or(0);
        (numbered(last), numbered(size).saturating_add(joiner))
    }

    /// Whether the target at that place is due.
    pub fn standing(&self, (wave, place): (u32, u32)) -> Place {
        let Some(offset) = self.begun.begun.get(wave as usize) else {
            let until = self.soaked_at().filter(|at| *at > self.now);
            let before = self.begun.begun.len();
            let next = wave as usize == before;
            let message = match (self.through, until) {
                (Err(open), _) => format!(
                    "wave {} begins when wave {before} is through: {open} of its targets {} not succeeded yet",
                    wave + 1,
                    if open == 1 { "has" } else { "have" }
                ),
                (Ok(_), Some(until)) => {
                    format!("wave {} waits: wave {before} soaks until {until}", wave + 1)
                }
                (Ok(_), None) => format!("wave {} has not begun", wave + 1),
            };
            return Place::Later {
                until: until.filter(|_| next),
                message,
            };
        };
        let size = self.begun.waves.get(wave as usize).map_or(1, Vec::len);
        let due = offset + self.rollout.delay_millis(place, size);
        let missing = due - self.clock.reading(self.now);
        if missing <= 0 {
            return Place::Due;
        }
        let running = self.clock.running_since.is_some();
        let until = running.then(|| self.now.plus_millis(missing));
        let until = until.filter(|at| self.clock.until.is_none_or(|end| *at <= end));
        let when = match until {
            Some(until) => format!("due at {until}"),
            None => "its clock stands still".to_owned(),
        };
        Place::Later {
            until,
            message: format!("position {} of {size} in the rollout, {when}", place + 1),
        }
    }
}

impl LaneView<'_> {
    /// How a rollout that has begun stands, for telling; `None` when it has not.
    pub(crate) fn rollout_standing(
        &self,
        version: &Version,
        rule: RuleId,
        rollout: &GradualRollout,
        now: Timestamp,
    ) -> Option<RolloutStanding> {
        let state = &self.engine.state;
        let track = state.track(version.id, self.environment.id)?;
        let begun = track.rollouts.get(&rule)?;
        let progress = Progress::new(self, version, rollout, begun, track.clock?, now);
        let lane = state.lane(self.key)?;
        let (mut due, mut total) = (0, 0);
        let mut first: Option<((u32, u32), Place)> = None;
        for (resource, target) in &lane.targets {
            if target.leaving() {
                continue;
            }
            total += 1;
            let place = progress.place(*resource);
            match progress.standing(place) {
                Place::Due => due += 1,
                later => {
                    if first.as_ref().is_none_or(|(before, _)| place < *before) {
                        first = Some((place, later));
                    }
                }
            }
        }
        Some(RolloutStanding {
            due,
            total,
            place: first.map_or(Place::Due, |(_, place)| place),
        })
    }
}
