//! Looking at a lane: which version each target should have and what may start now. Nothing is written here.

use super::Class;
use super::applicable::{Conduct, LaneView};
use super::plan::{Asked, GateStanding};
use super::rollbacks::{is_usable, last_good};
use super::turns::{RolloutStep, Turns};
use crate::engine::{Engine, SETTLE_TARGETS_MAX};
use crate::state::{Lane, LaneKey, TargetView};
use stagegate_model::{
    EnvironmentId, Order, ResourceId, RuleId, StartKind, Timestamp, Version, VersionId,
    VersionOrder, VersionStatus,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What looking at a lane found.
#[derive(Default)]
pub(super) struct Outlook {
    /// Candidates that were looked at, newest first, with their gates over all classes.
    pub looked_at: Vec<(Arc<Version>, BTreeMap<RuleId, GateStanding>)>,
    /// What should start now, the most urgent first.
    pub starts: BTreeMap<(Urgency, VersionId), Start>,
    /// Every version that is desired by some target.
    pub desired: BTreeSet<VersionId>,
    /// What has to happen to rollouts before anything of theirs starts.
    pub steps: Vec<RolloutStep>,
    /// Rollbacks that must wait, and why.
    pub held_back: BTreeMap<ResourceId, (VersionId, String)>,
    /// Retries that will not be, and why.
    pub abandoned: Vec<(ResourceId, String)>,
    /// Orders that cannot be carried out as they are: what takes their place, or why nothing does.
    pub corrected: Vec<(ResourceId, Result<Order, String>)>,
    pub next_at: Option<Timestamp>,
    /// Whether a target waits for jobs elsewhere to end.
    pub waits_for_others: bool,
    /// More could start at once than was looked at.
    pub partial: bool,
    /// Resources of which it was asked what other deployments have there.
    pub asked_about: BTreeSet<ResourceId>,
}

/// In which order what may start does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    Rollback,
    BreakGlass,
    Retry,
    Redeploy,
    Forward,
}

impl Urgency {
    pub fn kind(self) -> StartKind {
        match self {
            Self::Rollback => StartKind::Rollback,
            Self::BreakGlass => StartKind::BreakGlass,
            Self::Retry => StartKind::Retry,
            Self::Redeploy => StartKind::Redeploy,
            Self::Forward => StartKind::Forward,
        }
    }

    fn of(kind: StartKind) -> Self {
        match kind {
            StartKind::Rollback => Self::Rollback,
            StartKind::BreakGlass => Self::BreakGlass,
            StartKind::Retry => Self::Retry,
            StartKind::Redeploy => Self::Redeploy,
            StartKind::Forward => Self::Forward,
        }
    }
}

pub(super) struct Start {
    pub version: Arc<Version>,
    pub resources: Vec<ResourceId>,
    /// The rules that latch with a job for a resource, from this index of `resources` on; classes follow each other.
    pub latches: Vec<(usize, Vec<RuleId>)>,
}

impl Outlook {
    fn start(
        &mut self,
        urgency: Urgency,
        version: &Arc<Version>,
        resources: Vec<ResourceId>,
        gates: &[GateStanding],
    ) {
        if resources.is_empty() {
            return;
        }
        let start = self
            .starts
            .entry((urgency, version.id))
            .or_insert_with(|| Start {
                version: Arc::clone(version),
                resources: Vec::new(),
                latches: Vec::new(),
            });
        let latching = gates.iter().filter(|gate| gate.latches);
        let latching = latching.map(|gate| gate.rule).collect();
        start.latches.push((start.resources.len(), latching));
        start.resources.extend(resources);
    }

    /// The gates of one target for a version; when they may change is kept, and what they look at.
    fn ask_target(
        &mut self,
        view: &LaneView<'_>,
        conduct: &Conduct<'_>,
        version: &Version,
        resource: ResourceId,
        now: Timestamp,
    ) -> Vec<GateStanding> {
        if conduct.asks_about_others() {
            self.asked_about.insert(resource);
        }
        let gates = view.target_gates(conduct, version, resource, now);
        for gate in &gates {
            self.wake_at(gate.verdict.changes_at(), now);
        }
        gates
    }

    /// Whether something starts with the version.
    pub fn starts_with(&self, version: VersionId) -> bool {
        self.starts.keys().any(|(_, id)| *id == version)
    }

    fn wake_at(&mut self, at: Option<Timestamp>, now: Timestamp) {
        let Some(at) = at.filter(|at| *at > now) else {
            return;
        };
        self.next_at = Some(self.next_at.map_or(at, |before| before.min(at)));
    }
}

type LookedAt = BTreeMap<VersionOrder, (Arc<Version>, BTreeMap<RuleId, GateStanding>)>;

/// Looks at a lane: what each class of targets should have.
pub(super) fn look(engine: &Engine, key: LaneKey, now: Timestamp) -> Outlook {
    let mut outlook = Outlook::default();
    let Some(lane) = engine.state.lane(key) else {
        return outlook;
    };
    if is_at_rest(engine, key, lane) {
        return outlook;
    }
    let Some(view) = LaneView::new(engine, key) else {
        return outlook;
    };
    let mut asked = Asked::default();
    let mut looked_at = LookedAt::new();
    let mut turns = Turns::new(&view, now);
    let classes = view.classes();
    turns.check_budgets(lane, &classes);
    // Orders come first: what goes back is not to be counted upon by anything else.
    let mut taken: BTreeSet<ResourceId> = BTreeSet::new();
    look_at_orders(
        &view,
        lane,
        now,
        &mut asked,
        &mut turns,
        &mut taken,
        &mut outlook,
    );
    for class in classes {
        let mut look = ClassLook {
            view: &view,
            class: &class,
            now,
            asked: &mut asked,
            turns: &mut turns,
            taken: &mut taken,
        };
        look.run(&mut looked_at, &mut outlook);
    }
    look_at_retries(
        &view,
        lane,
        now,
        &mut asked,
        &mut turns,
        &taken,
        &mut outlook,
    );
    outlook.wake_at(turns.next_at(), now);
    outlook.waits_for_others = turns.waits_for_others();
    outlook.steps = turns.into_steps();
    outlook.looked_at = looked_at.into_values().rev().collect();
    outlook
}

/// Whether every target has the newest version or one that took its place, and nothing is under way or ordered: then
/// there is nothing to ask anybody about.
fn is_at_rest(engine: &Engine, key: LaneKey, lane: &Lane) -> bool {
    let newest = engine.state.versions_of(key.deployment).next();
    let lowest = lane.by_floor.keys().next().copied().flatten();
    let is_current = match lane.targets.is_empty() {
        true => true,
        false => newest.map(|version| version.order()) <= lowest,
    };
    is_current
        && lane.open.is_empty()
        && lane.orders.is_empty()
        && lane.retries.is_empty()
        && lane.index.blocked.is_empty()
}

/// One class of targets being looked at.
struct ClassLook<'l, 'e> {
    view: &'l LaneView<'e>,
    class: &'l Class,
    now: Timestamp,
    asked: &'l mut Asked,
    turns: &'l mut Turns<'e>,
    /// Targets of which it is decided already what starts there.
    taken: &'l mut BTreeSet<ResourceId>,
}

impl ClassLook<'_, '_> {
    fn run(&mut self, looked_at: &mut LookedAt, outlook: &mut Outlook) {
        let state = &self.view.engine.state;
        let Some(lane) = state.lane(self.view.key) else {
            return;
        };
        // Nothing moves backwards: what is not newer than the lowest floor is no candidate here.
        let listed = self.class.resources.as_deref();
        let floor = match listed {
            None => lane.by_floor.keys().next().copied(),
            Some(resources) => {
                let targets = resources.iter().filter_map(|id| lane.targets.get(id));
                targets.map(|target| target.floor()).min()
            }
        };
        let Some(floor) = floor else {
            return;
        };
        let mut seen = None;
        // Targets that no newer version may have; the others have theirs, or wait for their turn with it.
        let mut among: Option<BTreeSet<ResourceId>> = None;
        for version in state.versions_of(self.view.key.deployment) {
            if Some(version.order()) <= floor {
                break;
            }
            seen = Some(version.order());
            if version.status != VersionStatus::Ready {
                self.turns.set_clock(version, false, &[]);
                continue;
            }
            let gates = self.judge(version, looked_at, outlook);
            let stopped = self.view.stopped(version).is_some();
            let allowed = !stopped && gates.iter().all(|gate| gate.verdict.is_allowed());
            let resource = self.class.representative.as_deref();
            self.turns.set_clock(version, allowed, &gates);
            if !allowed {
                continue;
            }
            let conduct = self.view.conduct_at(version, resource, self.now);
            let in_turn = conduct.asks_for_turns() || self.turns.is_paused(version.id);
            // What starts at once starts as an entry takes it; the rest is looked at again then.
            let most = match in_turn || among.is_some() {
                true => usize::MAX,
                false => SETTLE_TARGETS_MAX,
            };
            let (mut free, partial) = self.startable(lane, listed, version.order(), most);
            outlook.partial |= partial;
            if let Some(among) = &among {
                free.retain(|resource| among.contains(resource));
            }
            let mut denied = Vec::new();
            if conduct.asks_targets() {
                (free, denied) = self.eligible(&conduct, version, free, outlook);
            }
            let all_denied = !denied.is_empty() && free.is_empty();
            if !all_denied {
                outlook.desired.insert(version.id);
            }
            let free = if in_turn {
                self.turns.admit(version, &conduct, &gates, free)
            } else {
                free
            };
            self.taken.extend(&free);
            outlook.start(Urgency::Forward, version, free, &gates);
            // Targets that this version may not have may have an older one; those that wait for their turn may not.
            if denied.is_empty() {
                break;
            }
            among = Some(denied.into_iter().collect());
        }
        self.look_at_unfinished(lane, seen, looked_at, outlook);
    }

    /// The gates of a version for this class, kept with those of the other classes.
    fn judge(
        &mut self,
        version: &Arc<Version>,
        looked_at: &mut LookedAt,
        outlook: &mut Outlook,
    ) -> Vec<GateStanding> {
        let resource = self.class.representative.as_deref();
        let gates = self.view.gates(version, resource, self.now, self.asked);
        let entry = looked_at
            .entry(version.order())
            .or_insert_with(|| (Arc::clone(version), BTreeMap::new()));
        for gate in &gates {
            // Each class wakes at its own time, whichever of them speaks for the environment.
            outlook.wake_at(gate.verdict.changes_at(), self.now);
            let known = entry.1.get(&gate.rule);
            if known.is_none_or(|known| gate.speaks_before(known)) {
                entry.1.insert(gate.rule, gate.clone());
            }
        }
        gates
    }

    /// Promotions that a newer version has overtaken while they still had something to do: nothing starts with them
    /// here, but what is said of their gates stays true.
    fn look_at_unfinished(
        &mut self,
        lane: &Lane,
        seen: Option<VersionOrder>,
        looked_at: &mut LookedAt,
        outlook: &mut Outlook,
    ) {
        let state = &self.view.engine.state;
        for promotion in lane.open.iter().filter_map(|id| state.promotions.get(id)) {
            let Some(version) = state.versions.get(&promotion.version) else {
                continue;
            };
            let order = version.order();
            let unseen = seen.is_none_or(|seen| order < seen);
            let waiting = promotion.retrying > 0 || lane.behind(order) > 0;
            if unseen && waiting && version.status == VersionStatus::Ready {
                self.judge(version, looked_at, outlook);
            }
        }
    }

    /// The free targets that may have the version, and those that may not, by rules that look at what they have.
    fn eligible(
        &self,
        conduct: &Conduct<'_>,
        version: &Version,
        free: Vec<ResourceId>,
        outlook: &mut Outlook,
    ) -> (Vec<ResourceId>, Vec<ResourceId>) {
        free.into_iter().partition(|resource| {
            let gates = outlook.ask_target(self.view, conduct, version, *resource, self.now);
            gates.iter().all(|gate| gate.verdict.is_allowed())
        })
    }

    /// The free targets that do not have the version, in their order; no more than `most` of those that are not known to
    /// be blocked, where all of the lane are asked for. Gives whether that many there were.
    fn startable(
        &self,
        lane: &Lane,
        listed: Option<&[ResourceId]>,
        order: VersionOrder,
        most: usize,
    ) -> (Vec<ResourceId>, bool) {
        if let Some(resources) = listed {
            let startable = |target: TargetView<'_>| {
                target.active().is_none() && !target.leaving() && target.floor() < Some(order)
            };
            let resources = resources.iter().copied();
            let free = resources
                .filter(|id| lane.targets.get(id).is_some_and(&startable))
                .filter(|id| !self.taken.contains(id));
            return (free.collect(), false);
        }
        let free = lane.index.free.range(..Some(order));
        let free = free.flat_map(|(_, resources)| resources.iter());
        let free = free.filter(|id| !self.taken.contains(id));
        // A known block costs nothing: many of them must not keep the rest from its turn.
        let is_blocked = |id: &&ResourceId| lane.index.blocked.contains(id);
        let unblocked = free.clone().filter(|id| !is_blocked(id)).take(most);
        let mut all: Vec<ResourceId> = unblocked.copied().collect();
        let partial = all.len() == most;
        if !lane.index.blocked.is_empty() {
            all.extend(free.filter(is_blocked));
        }
        all.sort_unstable();
        (all, partial)
    }
}

/// Rollbacks, redeploys and what was forced.
fn look_at_orders<'e>(
    view: &LaneView<'e>,
    lane: &Lane,
    now: Timestamp,
    asked: &mut Asked,
    turns: &mut Turns<'e>,
    taken: &mut BTreeSet<ResourceId>,
    outlook: &mut Outlook,
) {
    let state = &view.engine.state;
    // What waits for no place takes its own before any redeploy asks for one.
    let urgent = |it: &(&ResourceId, &Order)| it.1.kind != StartKind::Redeploy;
    let redeploys = lane.orders.iter().filter(|it| !urgent(it));
    for (resource, order) in lane.orders.iter().filter(urgent).chain(redeploys) {
        if let Some(instead) = corrected(state, view.key, lane, *resource, order) {
            taken.insert(*resource);
            outlook.corrected.push((*resource, instead));
            continue;
        }
        // A redeploy gives way to something newer; nothing else does.
        if order.kind != StartKind::Redeploy {
            taken.insert(*resource);
        }
        let free = lane
            .targets
            .get(resource)
            .is_some_and(|target| target.active().is_none() && !target.leaving());
        let Some(version) = state.versions.get(&order.version).filter(|_| free) else {
            continue;
        };
        let urgency = Urgency::of(order.kind);
        let stored = state.resource(*resource).map(|it| &**it);
        if order.kind == StartKind::Rollback
            && let Some(held) = view.holds_rollback(version, stored, now)
        {
            outlook.wake_at(held.changes_at(), now);
            outlook
                .held_back
                .insert(*resource, (version.id, held.why().message.clone()));
            continue;
        }
        if order.kind != StartKind::Redeploy {
            // It waits for no place under a concurrency rule, and takes one from those that do.
            turns.hold_place(version, &view.conduct(version, stored), *resource);
            outlook.start(urgency, version, vec![*resource], &[]);
            continue;
        }
        let gates = view.gates(version, stored, now, asked);
        for gate in &gates {
            outlook.wake_at(gate.verdict.changes_at(), now);
        }
        let floor = lane.targets.get(resource).and_then(|target| target.floor());
        let above = floor.max(Some(version.order()));
        let newer = newer_desired(view, above, *resource, now, asked, outlook);
        if newer || !gates.iter().all(|gate| gate.verdict.is_allowed()) {
            continue;
        }
        let conduct = view.conduct_at(version, stored, now);
        let asked = outlook.ask_target(view, &conduct, version, *resource, now);
        let allowed = asked.iter().all(|gate| gate.verdict.is_allowed());
        if allowed && turns.take_turn(version, &conduct, *resource) {
            taken.insert(*resource);
            outlook.start(urgency, version, vec![*resource], &gates);
        }
    }
}

/// What becomes of an order whose version has been rejected, or quarantined, since it was given: a rollback goes
/// further back, anything else is dropped. `None` when the order stands.
fn corrected(
    state: &crate::State,
    key: LaneKey,
    lane: &Lane,
    resource: ResourceId,
    order: &Order,
) -> Option<Result<Order, String>> {
    let version = state.versions.get(&order.version)?;
    let tag = &version.tag;
    match order.kind {
        StartKind::Rollback if is_usable(state, key.environment, version.id) => None,
        StartKind::Rollback => {
            let target = lane.targets.get(&resource)?;
            let of = order.of.and_then(|id| state.brief(target, id));
            let from = of.map_or(order.version, |release| release.version);
            Some(match last_good(state, key.environment, target, from) {
                Some(good) => Ok(Order {
                    version: good.version,
                    to: Some(good.release),
                    ..order.clone()
                }),
                None => Err(format!(
                    "{tag} may not be used any more, and there is nothing else good to go back to"
                )),
            })
        }
        _ if !matches!(version.status, VersionStatus::Ready | VersionStatus::Paused) => {
            Some(Err(format!("{tag} has the status {}", version.status)))
        }
        StartKind::Redeploy if !is_usable(state, key.environment, version.id) => {
            Some(Err(format!("{tag} is quarantined there")))
        }
        _ => None,
    }
}

/// Whether something newer than `above` may start on a target.
fn newer_desired(
    view: &LaneView<'_>,
    above: Option<VersionOrder>,
    resource: ResourceId,
    now: Timestamp,
    asked: &mut Asked,
    outlook: &mut Outlook,
) -> bool {
    let stored = view.engine.state.resource(resource).map(|it| &**it);
    let candidates = view.engine.state.versions_of(view.key.deployment);
    candidates
        .take_while(|candidate| Some(candidate.order()) > above)
        .filter(|candidate| candidate.status == VersionStatus::Ready)
        .any(|candidate| {
            if view.stopped(candidate).is_some() {
                return false;
            }
            let gates = view.gates(candidate, stored, now, asked);
            if !gates.iter().all(|gate| gate.verdict.is_allowed()) {
                return false;
            }
            let conduct = view.conduct_at(candidate, stored, now);
            let gates = outlook.ask_target(view, &conduct, candidate, resource, now);
            gates.iter().all(|gate| gate.verdict.is_allowed())
        })
}

/// Releases that are tried again, unless something else starts on their targets.
fn look_at_retries<'e>(
    view: &LaneView<'e>,
    lane: &Lane,
    now: Timestamp,
    asked: &mut Asked,
    turns: &mut Turns<'e>,
    taken: &BTreeSet<ResourceId>,
    outlook: &mut Outlook,
) {
    let state = &view.engine.state;
    for (resource, retry) in &lane.retries {
        let leaving = lane.targets.get(resource).is_none_or(|it| it.leaving());
        if taken.contains(resource) || leaving {
            continue;
        }
        let Some(version) = state.versions.get(&retry.version) else {
            continue;
        };
        if let Some(stopped) = view.stopped_for_good(version) {
            outlook.abandoned.push((*resource, stopped.message));
            continue;
        }
        if version.status == VersionStatus::Paused {
            continue;
        }
        let stored = state.resource(*resource).map(|it| &**it);
        let gates = view.gates(version, stored, now, asked);
        for gate in &gates {
            outlook.wake_at(gate.verdict.changes_at(), now);
        }
        if retry.at > now {
            outlook.wake_at(Some(retry.at), now);
            continue;
        }
        let allowed = gates.iter().all(|gate| gate.verdict.is_allowed());
        if !allowed || turns.is_paused(version.id) {
            continue;
        }
        let conduct = view.conduct_at(version, stored, now);
        if turns.take_turn(version, &conduct, *resource) {
            outlook.start(Urgency::Retry, version, vec![*resource], &gates);
        }
    }
}

/// Whether a version failed, was quarantined or cancelled in an environment or expired there, so that nothing goes on by itself.
pub(super) fn is_stopped_here(
    state: &crate::State,
    environment: EnvironmentId,
    version: VersionId,
) -> bool {
    state.track(version, environment).is_some_and(|track| {
        !track.failed_verifications.is_empty()
            || track.quarantined.is_some()
            || track.cancelled.is_some()
            || track.expired.is_some()
    })
}
