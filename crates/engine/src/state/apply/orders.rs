//! Folding what departs from the ordinary course: orders, holds, quarantine, retries, rollouts.

use super::super::{Clock, Held, LaneKey, Retry, Rollout, Standstill, State, Success, Track};
use stagegate_model::{
    EnvironmentId, Fact, Order, PromotionId, ReleaseId, ReleaseStatus, ResourceId, StartKind,
    TargetKey, Timestamp, VersionId, VersionOrder,
};

impl State {
    pub(super) fn apply_order(&mut self, fact: &Fact) {
        let now = self.head.time;
        match fact {
            Fact::RetryScheduled {
                release,
                job: _,
                attempt,
                at,
            } => self.schedule_retry(*release, *attempt, *at),
            Fact::TargetOrdered { target, order } => self.order(*target, order),
            Fact::OrderDropped { target, reason: _ } => {
                let key = LaneKey::from(*target);
                if let Some(lane) = self.lanes.get_mut(&key) {
                    lane.orders.remove(&target.resource);
                }
                self.dirty.lanes.insert(key);
            }
            Fact::HoldReleased { target, reason: _ } => self.release_hold(*target),
            Fact::Quarantined {
                version,
                environment,
                reason,
            } => {
                let track = self.touched_track(*version, *environment);
                track.quarantined = Some(standstill(now, reason));
                self.touch_neighbours_of_version(*version, Some(*environment));
            }
            Fact::QuarantineCleared {
                version,
                environment,
                reason: _,
            } => {
                let track = self.touched_track(*version, *environment);
                track.quarantined = None;
                track.failed_verifications.clear();
                track.failures.clear();
                self.touch_neighbours_of_version(*version, Some(*environment));
            }
            Fact::PromotionCancelRequested { id, reason } => {
                if let Some((version, environment)) = self.promotion_of(*id) {
                    let track = self.touched_track(version, environment);
                    track.cancelled = Some(standstill(now, reason));
                }
            }
            Fact::PromotionReopened {
                version,
                environment,
                reason: _,
            } => {
                let track = self.touched_track(*version, *environment);
                track.cancelled = None;
                track.expired = None;
                self.let_cancelled_start(*version, *environment);
            }
            Fact::RolloutStarted {
                version,
                environment,
                rule,
                started_at,
                waves,
            } => {
                let track = self.touched_track(*version, *environment);
                let clock = track.clock.get_or_insert(Clock {
                    elapsed: 0,
                    running_since: Some(now),
                    until: None,
                });
                let rollout = Rollout {
                    started_at: *started_at,
                    begun: vec![clock.reading(now) - now.millis_since(*started_at)],
                    places: places(waves),
                    waves: waves.clone(),
                };
                track.rollouts.insert(*rule, rollout);
            }
            Fact::RolloutWaveStarted {
                version,
                environment,
                rule,
                wave: _,
            } => {
                let track = self.touched_track(*version, *environment);
                let reading = track.clock.map_or(0, |clock| clock.reading(now));
                if let Some(rollout) = track.rollouts.get_mut(rule) {
                    rollout.begun.push(reading);
                }
            }
            Fact::RolloutClock {
                version,
                environment,
                running,
                at,
                until,
            } => {
                let track = self.touched_track(*version, *environment);
                if let Some(clock) = &mut track.clock {
                    *clock = Clock {
                        elapsed: clock.reading(*at),
                        running_since: running.then_some(*at),
                        until: *until,
                    };
                }
            }
            Fact::RolloutPaused {
                version,
                environment,
                reason,
            } => {
                let track = self.touched_track(*version, *environment);
                track.paused = Some(standstill(now, reason));
            }
            Fact::RolloutResumed {
                version,
                environment,
                reason: _,
            } => {
                let track = self.touched_track(*version, *environment);
                track.paused = None;
                // What had failed is forgiven: the budget counts anew.
                track.failures.clear();
            }
            _ => {}
        }
    }

    /// A version's standing in an environment, its deployment marked: others may depend on it.
    fn touched_track(&mut self, version: VersionId, environment: EnvironmentId) -> &mut Track {
        if let Some(deployment) = self.versions.get(&version).map(|it| it.deployment) {
            self.touch_deployment(deployment);
        }
        self.tracks.entry((version, environment)).or_default()
    }

    fn promotion_of(&self, id: PromotionId) -> Option<(VersionId, EnvironmentId)> {
        let promotion = self.promotions.get(&id)?;
        Some((promotion.version, promotion.environment))
    }

    fn schedule_retry(&mut self, id: ReleaseId, attempt: u32, at: Timestamp) {
        let Some(release) = self.releases.get(&id) else {
            return;
        };
        let (target, version, promotion) = (release.target, release.version, release.promotion);
        if let Some(promotion) = self.promotions.get_mut(&promotion) {
            promotion.verifying = promotion.verifying.saturating_sub(1);
            promotion.retrying += 1;
        }
        let key = LaneKey::from(target);
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        let leaving = lane.change(target.resource, |free| {
            free.active = None;
            free.leaving
        });
        if leaving == Some(true) {
            self.dirty.resources.insert(target.resource);
        }
        let retry = Retry {
            release: id,
            version,
            attempt,
            at,
        };
        lane.retries.insert(target.resource, retry);
        self.touch_deployment(target.deployment);
        self.touch_waiting();
    }

    /// Somewhere a job ended: others may have waited for that.
    pub(super) fn touch_waiting(&mut self) {
        self.dirty.lanes.extend(&self.waiting.for_others);
    }

    fn order(&mut self, key: TargetKey, order: &Order) {
        let now = self.head.time;
        let lane_key = LaneKey::from(key);
        self.dirty.lanes.insert(lane_key);
        let Some(lane) = self.lanes.get_mut(&lane_key) else {
            return;
        };
        let before = lane.orders.insert(key.resource, order.clone());
        if order.kind != StartKind::Rollback {
            return;
        }
        // The same release is undone, by going further back.
        if before.is_some_and(|it| it.kind == StartKind::Rollback && it.of == order.of) {
            return;
        }
        // What runs there is not waited for longer than it must be.
        let active = lane.targets.get(&key.resource).and_then(|it| it.active());
        // Nor is what waits to be tried again, whether or not the log was just read.
        let retried = lane.retries.get(&key.resource).map(|it| it.release);
        let retried = retried.and_then(|id| self.releases.get(&id));
        self.dirty.jobs.extend(retried.map(|it| it.job));
        self.dirty.jobs.extend(active);
        let Some(undone) = order.of else {
            return;
        };
        let lane = self.lanes.get(&lane_key);
        let there = lane.and_then(|lane| lane.targets.get(&key.resource));
        let Some(release) = there.and_then(|target| self.brief(target, undone)) else {
            return;
        };
        let (version, promotion) = (release.version, release.promotion);
        if release.status == ReleaseStatus::Succeeded {
            match self.releases.get_mut(&undone) {
                Some(release) => release.status = ReleaseStatus::RolledBack,
                None => self.undo_left(key, release),
            }
        }
        if let Some(promotion) = self.promotions.get_mut(&promotion) {
            promotion.rolled_back += 1;
        }
        if let Some(lane) = self.lanes.get_mut(&lane_key) {
            let held = Held {
                since: now,
                from: version,
                reason: order.reason.clone(),
            };
            lane.held.insert(key.resource, held);
            lane.change(key.resource, |target| {
                target.good.retain(|good| good.release != undone);
            });
        }
        let member = self.is_member(lane_key, key.resource);
        let track = self.tracks.entry((version, key.environment)).or_default();
        track.change_result(key.resource, member, Success::roll_back);
        self.touch_deployment(key.deployment);
        self.touch_neighbours(key.deployment, key.resource);
    }

    /// Targets whose job of the version was cancelled may start it again, and nothing older.
    fn let_cancelled_start(&mut self, version: VersionId, environment: EnvironmentId) {
        let Some(version) = self.versions.get(&version).cloned() else {
            return;
        };
        let order = version.order();
        let older = self.version_order.get(&version.deployment);
        let before = older.and_then(|orders| orders.range(..order).next_back().copied());
        let key = LaneKey {
            deployment: version.deployment,
            environment,
        };
        let releases = &self.releases;
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        let cancelled: Vec<ResourceId> = lane
            .targets
            .iter()
            .filter(|(_, target)| target.active().is_none() && target.floor() == Some(order))
            .filter(|(_, target)| {
                let latest = target.latest().and_then(|id| releases.get(&id));
                latest.is_some_and(|it| {
                    it.version == version.id && it.status == ReleaseStatus::Cancelled
                })
            })
            .map(|(resource, _)| *resource)
            .collect();
        for resource in cancelled {
            set_floor(lane, resource, before);
        }
    }

    fn release_hold(&mut self, key: TargetKey) {
        let lane_key = LaneKey::from(key);
        self.dirty.lanes.insert(lane_key);
        if let Some(lane) = self.lanes.get_mut(&lane_key) {
            lane.held.remove(&key.resource);
            let latest = lane
                .targets
                .get(&key.resource)
                .and_then(|it| it.latest_order());
            set_floor(lane, key.resource, latest);
        }
    }

    /// A verification failed on a target: nothing else starts with the version there. One of a rollback says
    /// nothing of the version that was good before.
    pub(super) fn fail_verification(
        &mut self,
        release: ReleaseId,
        version: VersionId,
        target: TargetKey,
    ) {
        let undoing = self
            .releases
            .get(&release)
            .is_some_and(|it| it.kind == StartKind::Rollback);
        if !undoing {
            let track = self.tracks.entry((version, target.environment));
            track
                .or_default()
                .failed_verifications
                .insert(target.resource);
        }
    }
}

fn standstill(since: Timestamp, reason: &str) -> Standstill {
    Standstill {
        since,
        reason: reason.to_owned(),
    }
}

fn places(waves: &[Vec<ResourceId>]) -> std::collections::BTreeMap<ResourceId, (u32, u32)> {
    let numbered = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let mut places = std::collections::BTreeMap::new();
    for (wave, resources) in waves.iter().enumerate() {
        for (place, resource) in resources.iter().enumerate() {
            places.insert(*resource, (numbered(wave), numbered(place)));
        }
    }
    places
}

pub(super) fn set_floor(
    lane: &mut super::super::Lane,
    resource: ResourceId,
    floor: Option<VersionOrder>,
) {
    lane.change(resource, |target| target.floor = floor);
}
