//! How the targets of a lane stand towards a version, counted by what the lane indexes: what is asked of a lane with a
//! million targets looks at few of them.

use super::{TargetStanding, TargetState};
use crate::engine::Engine;
use crate::settle::LaneView;
use crate::state::{Lane, SortedSet, TargetView};
use stagegate_model::{ResourceId, Timestamp, VerificationStatus, Version};
use std::collections::{BTreeMap, BTreeSet};

/// Lanes of at most so many targets are looked at whole; of larger ones samples are.
const WHOLE_MAX: usize = 100;
/// Targets that are looked at for one that stands in a certain way, at most.
const SAMPLED_MAX: usize = 256;

/// Which targets are told one by one.
#[derive(Clone, Copy, Debug)]
pub enum Shown {
    /// Each.
    All,
    /// So many, by their resources' ids, behind that one.
    Page {
        after: Option<ResourceId>,
        limit: usize,
    },
    /// That of one resource.
    Only(ResourceId),
}

impl Shown {
    /// No target: only how many stand how.
    pub const NONE: Self = Self::Page {
        after: None,
        limit: 0,
    };
}

/// How many targets stand how, with an example of each.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub counts: BTreeMap<TargetState, usize>,
    /// The first of those that stand so, or one of them where there are very many targets.
    pub(super) samples: BTreeMap<TargetState, TargetStanding>,
    /// Of those that were looked at, a verification of one waits for a person.
    pub(super) undecided: bool,
    /// How many of those that were looked at wait for nothing that could be told.
    silent: usize,
}

impl Tally {
    /// All targets.
    #[must_use]
    pub fn total(&self) -> usize {
        self.counts.values().sum()
    }

    /// How many stand so.
    #[must_use]
    pub fn of(&self, state: TargetState) -> usize {
        self.counts.get(&state).copied().unwrap_or(0)
    }

    /// How many stand so for a reason that can be told.
    pub(super) fn reasoned(&self, state: TargetState) -> usize {
        let silent = match state {
            TargetState::Waiting => self.silent,
            _ => 0,
        };
        self.of(state).saturating_sub(silent)
    }

    pub(super) fn sample(&self, state: TargetState) -> Option<&TargetStanding> {
        self.samples.get(&state)
    }

    /// Whether there are targets and all of them stand in one of these ways.
    pub(super) fn all(&self, states: &[TargetState]) -> bool {
        !self.counts.is_empty() && self.counts.keys().all(|it| states.contains(it))
    }

    fn count(&mut self, state: TargetState, more: usize) {
        if more > 0 {
            *self.counts.entry(state).or_default() += more;
        }
    }

    fn count_down(&mut self, state: TargetState) {
        if let Some(count) = self.counts.get_mut(&state) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&state);
            }
        }
    }
}

impl Engine {
    /// These and no others, counted.
    pub(super) fn tally_of(&self, standings: &[TargetStanding]) -> Tally {
        let mut tally = Tally::default();
        for it in standings {
            tally.count(it.state, 1);
            tally.silent += usize::from(it.state == TargetState::Waiting && it.reason.is_empty());
            tally.undecided |= self.is_undecided(it);
            let known = tally.samples.get(&it.state);
            // One that says why says more.
            if known.is_none_or(|known| known.reason.is_empty() && !it.reason.is_empty()) {
                tally.samples.insert(it.state, it.clone());
            }
        }
        tally
    }

    /// Whether a person has to decide what measurements could not.
    fn is_undecided(&self, target: &TargetStanding) -> bool {
        let job = target.job.and_then(|id| self.state.jobs.get(&id));
        let verification =
            job.and_then(|job| self.state.verifications.get(job.verifications.last()?));
        let status = verification.map(|it| it.status);
        target.state == TargetState::Verifying
            && status.is_some_and(|status| status != VerificationStatus::Running)
    }

    /// Those that are shown, and how all stand.
    pub(super) fn standings(
        &self,
        view: &LaneView<'_>,
        version: &Version,
        shown: Shown,
        now: Timestamp,
    ) -> (Vec<TargetStanding>, Tally) {
        let Some(lane) = self.state.lane(view.key) else {
            return (Vec::new(), Tally::default());
        };
        let is_whole = matches!(shown, Shown::All) || lane.targets.len() <= WHOLE_MAX;
        if is_whole {
            let mut all = self.targets(view, version, lane.targets.keys().copied(), now);
            let tally = self.tally_of(&all);
            match shown {
                Shown::All => {}
                Shown::Page { after, limit } => {
                    all.retain(|it| Some(it.resource) > after);
                    all.truncate(limit);
                }
                Shown::Only(resource) => all.retain(|it| it.resource == resource),
            }
            return (all, tally);
        }
        let ids: Vec<ResourceId> = match shown {
            Shown::All => Vec::new(),
            Shown::Page { after, limit } => {
                let behind = lane.targets.behind(after.as_ref());
                behind.take(limit).map(|(id, _)| *id).collect()
            }
            Shown::Only(resource) => vec![resource],
        };
        let told = self.targets(view, version, ids.into_iter(), now);
        (told, self.tally(view, lane, version, now))
    }

    fn tally(&self, view: &LaneView<'_>, lane: &Lane, version: &Version, now: Timestamp) -> Tally {
        let mut tally = self.counts(lane, version);
        let order = Some(version.order());
        let index = &lane.index;
        let mut looked: BTreeSet<ResourceId> =
            index.active.iter().take(SAMPLED_MAX).copied().collect();
        looked.extend(lane.orders.keys().take(SAMPLED_MAX));
        looked.extend(lane.retries.keys().take(SAMPLED_MAX));
        looked.extend(lane.held.keys().take(SAMPLED_MAX));
        looked.extend(index.blocked.iter().take(SAMPLED_MAX));
        looked.extend(
            index
                .free
                .get(&order)
                .into_iter()
                .flat_map(SortedSet::iter)
                .take(SAMPLED_MAX),
        );
        let behind = index.free.range(..order).flat_map(|(_, ids)| ids.iter());
        looked.extend(behind.take(SAMPLED_MAX));
        let mut samples: BTreeMap<TargetState, Vec<ResourceId>> = BTreeMap::new();
        for id in looked {
            if let Some(target) = lane.targets.get(&id) {
                let state = self.target_standing(lane, id, target, version, now).state;
                let known = samples.entry(state).or_default();
                // What a target waits for is asked of rules, which costs more.
                if known.len() < 8 {
                    known.push(id);
                }
            }
        }
        for (_, ids) in samples {
            let told = self.targets(view, version, ids.into_iter(), now);
            let sampled = self.tally_of(&told);
            tally.undecided |= sampled.undecided;
            tally.silent += sampled.silent;
            tally.samples.extend(sampled.samples);
        }
        tally
    }

    /// How many targets stand how, by what is indexed; those on which something stands apart are looked at.
    fn counts(&self, lane: &Lane, version: &Version) -> Tally {
        let order = Some(version.order());
        let mut tally = Tally::default();
        let (mut mine, mut busy) = (0, 0);
        for (standing, count) in &lane.index.standing {
            let count = *count as usize;
            match standing.active {
                true if standing.latest == order => mine += count,
                true => busy += count,
                false => {
                    let state = plain(standing.floor, standing.latest, order, || standing.good);
                    tally.count(state, count);
                }
            }
        }
        tally.count(TargetState::Busy, busy);
        let promotions = lane.open.iter().chain(&lane.ended);
        let promotions = promotions.filter_map(|id| self.state.promotions.get(id));
        let its = promotions.filter(|it| it.version == version.id);
        let verifying: usize = its.map(|it| it.verifying as usize).sum();
        let verifying = verifying.min(mine);
        tally.count(TargetState::Verifying, verifying);
        tally.count(TargetState::Running, mine - verifying);
        let apart = lane.orders.keys().chain(lane.retries.keys());
        let apart = apart.chain(lane.held.keys()).chain(&lane.index.blocked);
        let apart: BTreeSet<ResourceId> = apart.copied().collect();
        for id in apart {
            let target = lane.targets.get(&id);
            let Some(target) = target.filter(|it| it.active().is_none()) else {
                continue;
            };
            let good = || target.latest().is_some() && target.latest() == target.current();
            let without = plain(target.floor(), target.latest_order(), order, good);
            let with = apart_state(lane, id, target, version).unwrap_or(without);
            if with != without {
                tally.count_down(without);
                tally.count(with, 1);
            }
        }
        tally
    }

    /// Whether what is counted by the index is what is counted by looking at each target: for tests.
    #[must_use]
    pub fn is_tallied(&self, now: Timestamp) -> bool {
        let versions = self.state.versions.values();
        let mut pairs = versions.flat_map(|version| {
            let lanes = self.state.lanes.iter();
            let its = lanes.filter(|(key, _)| key.deployment == version.deployment);
            its.map(move |(_, lane)| (lane, version))
        });
        pairs.all(|(lane, version)| {
            let mut each: BTreeMap<TargetState, usize> = BTreeMap::new();
            for (id, target) in &lane.targets {
                let state = self.target_standing(lane, *id, target, version, now).state;
                *each.entry(state).or_default() += 1;
            }
            each == self.counts(lane, version).counts
        })
    }
}

/// How a free target stands on which nothing stands apart.
fn plain<T: Ord + Copy>(
    floor: Option<T>,
    latest: Option<T>,
    order: Option<T>,
    good: impl FnOnce() -> bool,
) -> TargetState {
    if latest == order && floor >= latest {
        match good() {
            true => TargetState::Succeeded,
            false => TargetState::Failed,
        }
    } else if latest > order {
        TargetState::Newer
    } else {
        TargetState::Waiting
    }
}

/// How a free target stands by what stands on it apart from jobs; see [`Engine::departure`].
fn apart_state(
    lane: &Lane,
    resource: ResourceId,
    target: TargetView<'_>,
    version: &Version,
) -> Option<TargetState> {
    let order = Some(version.order());
    if let Some(it) = lane.orders.get(&resource) {
        return Some(match it.version == version.id {
            true => TargetState::Waiting,
            false => TargetState::Busy,
        });
    }
    let retry = lane.retries.get(&resource);
    if retry.is_some_and(|it| it.version == version.id) {
        return Some(TargetState::Retrying);
    }
    if lane.held.contains_key(&resource)
        && target.floor() >= order
        && target.latest_order() != order
    {
        return Some(TargetState::Held);
    }
    let block = target.block();
    let blocked = block.is_some_and(|it| it.version == version.id);
    let waits =
        plain(target.floor(), target.latest_order(), order, || true) == TargetState::Waiting;
    (blocked && waits).then_some(TargetState::Blocked)
}
