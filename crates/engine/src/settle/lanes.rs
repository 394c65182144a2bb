//! What a lane should do: which promotions are open, how their gates stand, what starts now.

use super::Turn;
use super::look::{Outlook, look};
use super::plan::GateStanding;
use super::promotions::{Next, next_status, waits};
use super::turns::RolloutStep;
use crate::rules::gradual_rollout::OnFailure;
use crate::rules::{Action, Verdict};
use crate::state::{LaneKey, lanes_of};
use stagegate_model::{
    Block, Fact, GateRecord, GateState, OrderCause, ReleaseStatus, ResourceId, StartKind, VersionId,
};
use std::collections::BTreeSet;

impl Turn<'_> {
    /// Decides one dirty lane. Gives whether there was one.
    pub(super) fn settle_lane(&mut self) -> bool {
        let Some(key) = self.engine.state.dirty.lanes.pop_first() else {
            return false;
        };
        let now = self.state().head.time;
        self.engine.know_lane(key);
        if self.engine.state.dirty.configured.remove(&key) {
            self.order_redeploys(key);
        }
        let outlook = look(self.engine, key, now);
        self.open_promotions(key, &outlook);
        self.record_gates(key, &outlook);
        self.abandon_retries(key, &outlook);
        self.hold_back(key, &outlook);
        self.correct_orders(key, &outlook);
        self.take_steps(key, &outlook);
        // A spent budget stops or turns round what was about to start: the lane, dirty again, is looked at anew.
        if outlook.steps.iter().any(RolloutStep::is_spent) {
            return true;
        }
        self.start_jobs(key, &outlook, now);
        if outlook.partial {
            self.engine.state.dirty.lanes.insert(key);
        } else {
            self.clear_blocks(key, &outlook);
        }
        self.move_promotions(key, &outlook);
        self.engine.state.change_waiting(key, |lane| {
            lane.next_at = outlook.next_at;
            lane.waits_for_others = outlook.waits_for_others;
            lane.asked_about = outlook.asked_about;
        });
        true
    }

    /// Says why a rollback does not begin.
    fn hold_back(&mut self, key: LaneKey, outlook: &Outlook) {
        for (resource, (version, message)) in &outlook.held_back {
            let block = Block {
                version: *version,
                code: "rollback_held".to_owned(),
                message: message.clone(),
            };
            let target = self
                .state()
                .lane(key)
                .and_then(|lane| lane.targets.get(resource));
            if target.is_some_and(|target| target.block() != Some(&block)) {
                let target = key.target(*resource);
                self.push(Fact::TargetBlocked {
                    target,
                    block: Some(block),
                });
            }
        }
    }

    /// Ends releases that were to be tried again and cannot be.
    fn abandon_retries(&mut self, key: LaneKey, outlook: &Outlook) {
        for (resource, why) in &outlook.abandoned {
            self.end_retry(key, *resource, &format!("it is not tried again: {why}"));
        }
    }

    /// Takes back orders that cannot be carried out any more; the lane is then looked at again.
    fn correct_orders(&mut self, key: LaneKey, outlook: &Outlook) {
        for (resource, instead) in &outlook.corrected {
            let target = key.target(*resource);
            let instead = instead.clone();
            self.push(match instead {
                Ok(order) => Fact::TargetOrdered { target, order },
                Err(reason) => Fact::OrderDropped { target, reason },
            });
        }
    }

    /// Ends a release that waits to be tried again, for a reason of its own.
    pub(super) fn end_retry(&mut self, key: LaneKey, resource: ResourceId, reason: &str) {
        let retry = self
            .state()
            .lane(key)
            .and_then(|lane| lane.retries.get(&resource))
            .copied();
        let release = retry.and_then(|it| self.state().releases.get(&it.release));
        if let Some(release) = release {
            let (id, job) = (release.id, release.job);
            self.push(Fact::ReleaseEnded {
                id,
                job,
                status: ReleaseStatus::Failed,
                reason: reason.to_owned(),
            });
        }
    }

    /// Records what has to be of rollouts before they go on; the lane is then looked at again.
    fn take_steps(&mut self, key: LaneKey, outlook: &Outlook) {
        let environment = key.environment;
        // What a spent budget stops does not go on besides; whatever else has to be shows when the lane is looked at anew.
        let spent = outlook.steps.iter().any(RolloutStep::is_spent);
        for step in outlook.steps.iter().filter(|it| !spent || it.is_spent()) {
            match step.clone() {
                RolloutStep::Begin {
                    version,
                    rule,
                    started_at,
                    waves,
                } => self.push(Fact::RolloutStarted {
                    version,
                    environment,
                    rule,
                    started_at,
                    waves,
                }),
                RolloutStep::Wave {
                    version,
                    rule,
                    wave,
                } => self.push(Fact::RolloutWaveStarted {
                    version,
                    environment,
                    rule,
                    wave,
                }),
                RolloutStep::Clock {
                    version,
                    running,
                    at,
                    until,
                } => self.push(Fact::RolloutClock {
                    version,
                    environment,
                    running,
                    at,
                    until,
                }),
                RolloutStep::BudgetSpent {
                    version,
                    failures,
                    on_failure,
                } => self.spend_budget(key, version, failures, on_failure),
            }
            self.engine.state.dirty.lanes.insert(key);
        }
    }

    fn spend_budget(
        &mut self,
        key: LaneKey,
        version: VersionId,
        failures: usize,
        on_failure: OnFailure,
    ) {
        let environment = key.environment;
        let reason = format!(
            "its budget of failures is spent: {failures} {} failed",
            if failures == 1 { "target" } else { "targets" }
        );
        match on_failure {
            OnFailure::Pause => self.push(Fact::RolloutPaused {
                version,
                environment,
                reason,
            }),
            OnFailure::Rollback => {
                let track = self.state().track(version, environment);
                if track.is_none_or(|track| track.quarantined.is_none()) {
                    self.push(Fact::Quarantined {
                        version,
                        environment,
                        reason: reason.clone(),
                    });
                }
                self.roll_back_all(key, version, OrderCause::FailureBudget, &reason);
            }
        }
    }

    /// A version's promotion opens when it is first a candidate; again when, after its end, it starts anew or waits
    /// anew (set to ready again, or let through since the newer one was rejected), so that nothing waits unseen.
    fn open_promotions(&mut self, key: LaneKey, outlook: &Outlook) {
        for (version, _) in &outlook.looked_at {
            let track = self.state().track(version.id, key.environment);
            let (previous, attempts) =
                track.map_or((None, 0), |track| (track.promotion, track.attempts));
            let open = previous
                .and_then(|id| self.state().promotions.get(&id))
                .is_some_and(|it| it.status.is_open());
            let starts = outlook.starts_with(version.id);
            let anew = starts || waits(self.state(), key, version, outlook);
            if previous.is_none() || (anew && !open) {
                let id = self.new_id().into();
                let (version, environment, attempt) = (version.id, key.environment, attempts + 1);
                self.push(Fact::PromotionOpened {
                    id,
                    version,
                    environment,
                    attempt,
                    previous,
                    kind: StartKind::Forward,
                });
                if previous.is_some() {
                    self.touch_others(key);
                }
            }
        }
    }

    /// A dependant may be waiting for just what happened to a promotion here.
    pub(super) fn touch_others(&mut self, key: LaneKey) {
        let state = &mut self.engine.state;
        let lanes = lanes_of(&state.lanes, key.deployment).map(|(other, _)| *other);
        state
            .dirty
            .lanes
            .extend(lanes.filter(|other| *other != key));
    }

    /// Records each gate whose standing changed in kind.
    fn record_gates(&mut self, key: LaneKey, outlook: &Outlook) {
        for (version, gates) in &outlook.looked_at {
            let Some(track) = self.state().track(version.id, key.environment) else {
                continue;
            };
            let Some(promotion) = track.promotion else {
                continue;
            };
            let open = self
                .state()
                .promotions
                .get(&promotion)
                .is_some_and(|it| it.status.is_open());
            if !open {
                continue;
            }
            let mut changed: Vec<GateRecord> = Vec::new();
            for gate in gates.values() {
                let record = record(gate);
                if track
                    .gates
                    .get(&gate.rule)
                    .is_none_or(|known| differs(known, &record))
                {
                    changed.push(record);
                }
            }
            // A rule that has latched may hold for targets that have gone past the version and are not looked at.
            for (rule, known) in &track.gates {
                if !gates.contains_key(rule) && !track.latched.contains_key(rule) {
                    changed.push(GateRecord {
                        state: GateState::Gone,
                        code: "not_applicable".to_owned(),
                        message: "its policy no longer applies".to_owned(),
                        who: String::new(),
                        satisfied_at: None,
                        until: None,
                        ..known.clone()
                    });
                }
            }
            for gate in changed {
                self.push(Fact::GateChanged { promotion, gate });
            }
        }
    }

    /// Takes back what was said of targets that are no longer to start that version.
    fn clear_blocks(&mut self, key: LaneKey, outlook: &Outlook) {
        let Some(lane) = self.state().lane(key) else {
            return;
        };
        if lane.index.blocked.is_empty() {
            return;
        }
        let mut wanted: BTreeSet<(ResourceId, VersionId)> = BTreeSet::new();
        for ((_, version), start) in &outlook.starts {
            wanted.extend(start.resources.iter().map(|id| (*id, *version)));
        }
        let held = outlook.held_back.iter();
        wanted.extend(held.map(|(id, (version, _))| (*id, *version)));
        let blocked = lane.index.blocked.iter();
        let stale = blocked.filter(|id| {
            let target = lane.targets.get(id);
            let block = target.and_then(|target| target.block());
            block.is_some_and(|block| !wanted.contains(&(**id, block.version)))
        });
        let stale: Vec<ResourceId> = stale.copied().collect();
        for resource in stale {
            let target = key.target(resource);
            self.push(Fact::TargetBlocked {
                target,
                block: None,
            });
        }
    }

    /// Moves the lane's open promotions on, and ends those that have come to their end.
    fn move_promotions(&mut self, key: LaneKey, outlook: &Outlook) {
        let Some(lane) = self.state().lane(key) else {
            return;
        };
        let open: Vec<_> = lane.open.iter().copied().collect();
        for id in open {
            match next_status(self.state(), key, id, outlook) {
                Some(Next::Move(status)) => self.push(Fact::PromotionMoved { id, status }),
                Some(Next::End { status, reason, by }) => {
                    self.push(Fact::PromotionEnded {
                        id,
                        status,
                        reason,
                        by,
                    });
                    self.touch_others(key);
                }
                None => {}
            }
        }
    }
}

fn record(gate: &GateStanding) -> GateRecord {
    let (state, satisfied_at, until) = match &*gate.verdict {
        Verdict::Allow { satisfied_at, .. } => (GateState::Allow, Some(*satisfied_at), None),
        Verdict::Wait { until, .. } => (GateState::Wait, None, *until),
        Verdict::Deny { .. } => (GateState::Deny, None, None),
    };
    let why = gate.verdict.why();
    GateRecord {
        policy: gate.policy,
        rule: gate.rule,
        kind: gate.kind.to_owned(),
        state,
        code: why.code.to_owned(),
        message: why.message.clone(),
        who: match why.action {
            Action::Approval => why.who.clone(),
            _ => String::new(),
        },
        satisfied_at,
        until,
    }
}

/// Whether a gate stands differently in kind: an approval that now waits for others does. Its message may count things;
/// that alone is no news.
fn differs(a: &GateRecord, b: &GateRecord) -> bool {
    let kind = |it: &GateRecord| (it.state, it.satisfied_at, it.until);
    kind(a) != kind(b) || (&a.code, &a.who) != (&b.code, &b.who)
}
