//! Folding what happens to lanes: targets, promotions, latches.

use super::super::Ended;
use super::super::{Clock, LaneKey, Left, Promotion, Standstill, State, Target, lanes_of};
use stagegate_model::{
    DeploymentId, EnvironmentId, PromotionId, PromotionStatus, ResourceId, RuleId, StartKind,
    VersionId, VersionOrder,
};

/// How many ended promotions a lane keeps in memory.
const ENDED_PROMOTIONS_KEPT: usize = 50;

impl State {
    /// What happens to a deployment in one environment may matter in its others.
    pub(super) fn touch_deployment(&mut self, id: DeploymentId) {
        let lanes = lanes_of(&self.lanes, id).map(|(key, _)| *key);
        self.dirty.lanes.extend(lanes);
    }

    /// Lanes without targets go, their ended promotions into the archive.
    pub(super) fn remove_lanes(&mut self, gone: impl Fn(&LaneKey) -> bool) {
        let ended: Vec<PromotionId> = self
            .lanes
            .iter()
            .filter(|(key, _)| gone(key))
            .flat_map(|(_, lane)| lane.ended.iter().copied())
            .collect();
        for id in ended {
            if let Some(promotion) = self.promotions.remove(&id) {
                self.archive.push(Ended::Promotion(Box::new(promotion)));
            }
        }
        self.lanes.retain(|key, _| !gone(key));
        self.waiting.retain(|key| !gone(key));
    }

    /// Changes a target, if there is such a one.
    pub(super) fn change_target<T>(
        &mut self,
        lane: LaneKey,
        resource: ResourceId,
        change: impl FnOnce(&mut Target) -> T,
    ) -> Option<T> {
        self.lanes.get_mut(&lane)?.change(resource, change)
    }

    /// Whether a resource is a target of a lane that stays.
    pub(super) fn is_member(&self, key: LaneKey, resource: ResourceId) -> bool {
        self.lanes.get(&key).is_some_and(|lane| lane.has(resource))
    }

    /// Counts what became of versions on targets that have come (back), or no longer does.
    fn set_members(&mut self, key: LaneKey, resources: &[ResourceId], member: bool) {
        let versions = self.version_order.get(&key.deployment);
        for VersionOrder(_, version) in versions.into_iter().flatten() {
            if let Some(track) = self.tracks.get_mut(&(*version, key.environment))
                && !track.results.is_empty()
            {
                for resource in resources {
                    track.set_member(*resource, member);
                }
            }
        }
    }

    pub(super) fn join(&mut self, key: LaneKey, resources: &[ResourceId]) {
        let now = self.head.time;
        let lane = self.lanes.entry(key).or_default();
        let (mut stayed, mut returned) = (Vec::new(), Vec::new());
        for resource in resources {
            let was_leaving = lane.change(*resource, |it| std::mem::take(&mut it.leaving));
            if let Some(was_leaving) = was_leaving {
                returned.extend(was_leaving.then_some(*resource));
                stayed.push(*resource);
                continue;
            }
            let left = lane.left.remove(resource);
            returned.extend(left.as_ref().map(|_| *resource));
            let left = left.unwrap_or_default();
            lane.add(*resource, Target::new(now, left.number, left.deployed));
            self.resources.enter(*resource, key);
        }
        self.set_members(key, &returned, true);
        for resource in stayed {
            self.touch_neighbours(key.deployment, resource);
        }
        self.touch_deployment(key.deployment);
    }

    /// Targets leave at once when they are free, else when what runs there has ended.
    pub(super) fn leave(&mut self, key: LaneKey, resources: &[ResourceId]) {
        let there = resources.iter().copied();
        let there: Vec<_> = there.filter(|id| self.is_member(key, *id)).collect();
        self.set_members(key, &there, false);
        for resource in resources {
            let Some(lane) = self.lanes.get_mut(&key) else {
                return;
            };
            let busy = lane.change(*resource, |target| {
                target.leaving = target.active.is_some();
                target.leaving
            });
            if busy == Some(true) {
                self.touch_neighbours(key.deployment, *resource);
                continue;
            }
            let Some(target) = lane.remove(*resource) else {
                continue;
            };
            lane.orders.remove(resource);
            lane.retries.remove(resource);
            lane.held.remove(resource);
            if lane.asked_about.remove(resource) && lane.asked_about.is_empty() {
                self.waiting.asking.remove(&key);
            }
            if target.number > 0 {
                let left = Left {
                    number: target.number,
                    deployed: target.deployed.or(target.before),
                };
                lane.left.insert(*resource, left);
            }
            self.touch_neighbours(key.deployment, *resource);
            self.resources.exit(*resource, key);
            for release in [target.latest, target.current].into_iter().flatten() {
                self.archive_release(release);
            }
            let deleted = self.resources.get(resource).is_some_and(|it| it.deleted);
            if deleted && self.resources.lanes(*resource).is_empty() {
                self.resources.remove(resource);
                for lane in self.lanes.values_mut() {
                    lane.left.remove(resource);
                }
            }
        }
        self.touch_deployment(key.deployment);
    }

    pub(super) fn open_promotion(
        &mut self,
        id: PromotionId,
        version: VersionId,
        environment: EnvironmentId,
        attempt: u32,
        previous: Option<PromotionId>,
        kind: StartKind,
    ) {
        let Some(deployment) = self
            .versions
            .get(&version)
            .map(|version| version.deployment)
        else {
            return;
        };
        let promotion = Promotion {
            id,
            version,
            deployment,
            environment,
            attempt,
            previous,
            status: PromotionStatus::Waiting,
            opened_at: self.head.time,
            ended_at: None,
            reason: String::new(),
            superseded_by: None,
            kind,
            break_glass: false,
            running: 0,
            verifying: 0,
            retrying: 0,
            rolled_back: 0,
            succeeded: 0,
            failed: 0,
            cancelled: 0,
        };
        self.promotions.insert(id, promotion);
        let track = self.tracks.entry((version, environment)).or_default();
        track.promotion = Some(id);
        track.attempts = attempt;
        let key = LaneKey {
            deployment,
            environment,
        };
        self.lanes.entry(key).or_default().open.insert(id);
    }

    pub(super) fn end_promotion(
        &mut self,
        id: PromotionId,
        status: PromotionStatus,
        reason: &str,
        by: Option<VersionId>,
    ) {
        let now = self.head.time;
        let open = self.promotions.get_mut(&id);
        let Some(promotion) = open.filter(|it| it.status.is_open()) else {
            return;
        };
        promotion.status = status;
        promotion.ended_at = Some(now);
        reason.clone_into(&mut promotion.reason);
        promotion.superseded_by = by;
        let key = LaneKey {
            deployment: promotion.deployment,
            environment: promotion.environment,
        };
        if status == PromotionStatus::Expired {
            let track = self
                .tracks
                .entry((promotion.version, promotion.environment));
            track.or_default().expired = Some(Standstill {
                since: now,
                reason: reason.to_owned(),
            });
            // It goes nowhere any more, and may let an older one through.
            self.dirty.lanes.insert(key);
        }
        // What took its place may fail: its rollout then goes on where it was, and not with all that time would have
        // released since.
        if status == PromotionStatus::Superseded {
            let track = self
                .tracks
                .get_mut(&(promotion.version, promotion.environment));
            if let Some(clock) = track.and_then(|track| track.clock.as_mut()) {
                *clock = Clock {
                    elapsed: clock.reading(now),
                    running_since: None,
                    until: None,
                };
            }
        }
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        lane.open.remove(&id);
        lane.ended.push(id);
        if lane.ended.len() > ENDED_PROMOTIONS_KEPT {
            let oldest = lane.ended.remove(0);
            if let Some(promotion) = self.promotions.remove(&oldest) {
                self.archive.push(Ended::Promotion(Box::new(promotion)));
            }
        }
    }

    pub(super) fn latch(
        &mut self,
        version: VersionId,
        environment: EnvironmentId,
        rules: &[RuleId],
    ) {
        let now = self.head.time;
        self.frozen.insert(version);
        let created_at = self.versions.get(&version).map(|it| it.created_at);
        // What is set aside now, by the skips themselves: what was recorded of the gates may be of another time.
        let aside = |rule| {
            let skip = self.set_aside(rule, version, environment, None, now)?;
            Some(skip.created_at.max(created_at?))
        };
        let aside: Vec<_> = rules.iter().map(|rule| aside(*rule)).collect();
        let track = self.tracks.entry((version, environment)).or_default();
        for (rule, aside) in rules.iter().zip(aside) {
            let gate = track.gates.get(rule);
            let satisfied_at = aside.or_else(|| gate?.satisfied_at).unwrap_or(now);
            track.latched.entry(*rule).or_insert(satisfied_at);
            if let Some(since) = aside {
                track.skipped.entry(*rule).or_insert(since);
            }
        }
    }
}
