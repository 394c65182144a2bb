//! What was said in an entry of the record, as another life hears it: of its own jobs, promotions and verifications.
//! What makes no sense there is not heard, and counted.

use super::life::Life;
use super::origin::said;
use super::past::Past;
use crate::engine::Context;
use crate::handle::jobs::trigger_of;
use crate::handle::{check_paused, orders};
use crate::rules::verification::{MetricOutcome, metric_outcome};
use crate::settle::{last_good, rollback_order};
use crate::state::{Job, LaneKey, Promotion};
use stagegate_model::{
    Actor, Entry, EnvironmentId, Fact, JobId, JobStatus, Order, PromotionId, PromotionStatus,
    RollbackTarget, StartKind, TargetKey, VerificationStatus, VerificationTrigger, VersionId,
};

impl Life {
    /// The facts that an entry's said facts come to here.
    pub fn hear(&mut self, entry: &Entry, past: &Past) -> Vec<Fact> {
        let mut heard = Vec::new();
        for fact in said(entry) {
            let before = heard.len();
            let whole = matches!(fact, Fact::PromotionCancelRequested { .. });
            let of_person = self.hear_one(fact, entry, past, &mut heard);
            if of_person && heard.len() == before {
                self.assumed.dropped += 1;
            }
            // It names all that a cancelled promotion takes with it, which may be others here.
            if whole {
                break;
            }
        }
        heard
    }

    /// Gives whether a person did it, so that it is missed if nothing is heard.
    fn hear_one(&mut self, fact: &Fact, entry: &Entry, past: &Past, heard: &mut Vec<Fact>) -> bool {
        let state = &self.engine.state;
        let person = matches!(entry.actor, Actor::User { .. });
        match fact {
            Fact::PolicyPut { policy } if self.replaced.contains(&policy.id) => {
                self.assumed.policy_changes += 1;
                return false;
            }
            Fact::PolicyDeleted { id } if self.replaced.contains(id) => {
                self.assumed.policy_changes += 1;
                return false;
            }
            // What is left in lanes here, after what the record says of its own, goes too.
            Fact::EnvironmentDeleted { id } => {
                self.close(|key| key.environment == *id, heard);
                heard.push(fact.clone());
            }
            Fact::DeploymentDeleted { id } => {
                self.close(|key| key.deployment == *id, heard);
                heard.push(fact.clone());
            }
            Fact::PromotionEnded {
                id,
                status,
                reason,
                by,
            } => {
                if let Some(own) = self.own_promotion(*id, past) {
                    heard.push(Fact::PromotionEnded {
                        id: own.id,
                        status: *status,
                        reason: reason.clone(),
                        by: *by,
                    });
                }
                return false;
            }
            Fact::TargetsLeft {
                deployment,
                environment,
                ..
            } => {
                let key = LaneKey {
                    deployment: *deployment,
                    environment: *environment,
                };
                heard.extend(self.leaving(key));
                return false;
            }
            Fact::VersionChanged { id, digest, .. } => {
                let known = state.versions.get(id);
                let changed = known.is_some_and(|known| known.digest != *digest);
                if !(changed && state.is_frozen(*id)) {
                    heard.push(fact.clone());
                }
            }
            Fact::JobClaimed {
                id, runner, lease, ..
            } => {
                if let Some(job) = self.own_job(*id)
                    && matches!(job.status, JobStatus::Pending | JobStatus::Queued)
                    && job.cancel.is_none()
                {
                    let claimed = Fact::JobClaimed {
                        id: job.id,
                        runner: runner.clone(),
                        epoch: job.epoch + 1,
                        lease: *lease,
                    };
                    let trigger = Some(VerificationTrigger::JobStarted);
                    heard.extend(self.with_trigger(claimed, job.id, trigger, entry.id));
                }
                return false;
            }
            Fact::JobLost { id, since, .. } => {
                if let Some(job) = self.own_job(*id)
                    && job.lease
                    && job.lost.is_none()
                {
                    heard.push(Fact::JobLost {
                        id: job.id,
                        epoch: job.epoch,
                        since: *since,
                    });
                }
                return false;
            }
            Fact::JobFound { id, .. } => {
                if let Some(job) = self.own_job(*id)
                    && job.lost.is_some()
                {
                    heard.push(Fact::JobFound {
                        id: job.id,
                        epoch: job.epoch,
                    });
                }
                return false;
            }
            Fact::JobChanged {
                id,
                status,
                message,
                external_id,
                output_tail,
                exit,
                links,
            } => {
                if let Some(job) = self.own_job(*id)
                    && (job.status == *status || job.status.may_become(*status))
                {
                    let changed = Fact::JobChanged {
                        id: job.id,
                        status: *status,
                        message: message.clone(),
                        external_id: external_id.clone(),
                        output_tail: output_tail.clone(),
                        exit: exit.clone(),
                        links: links.clone(),
                    };
                    let trigger = trigger_of(job, *status);
                    let trigger = trigger.filter(|_| !is(entry, "cancelPromotion"));
                    heard.extend(self.with_trigger(changed, job.id, trigger, entry.id));
                }
                return person && !is(entry, "reportJob");
            }
            Fact::JobCancelRequested {
                id,
                cause,
                reason,
                by,
            } => {
                if let Some(job) = self.own_job(*id)
                    && job.cancel.is_none()
                {
                    heard.push(Fact::JobCancelRequested {
                        id: job.id,
                        cause: *cause,
                        reason: reason.clone(),
                        by: *by,
                    });
                }
            }
            // It changes nothing.
            Fact::ReportIgnored { .. } => heard.push(fact.clone()),
            Fact::VerificationStarted {
                id,
                trigger,
                rerun_of,
                ..
            } => {
                // What begins with a job is decided with what is heard of it.
                let Some(before) = rerun_of else {
                    return false;
                };
                let own = self.own_verification.get(before);
                let own = own.and_then(|id| state.verifications.get(id));
                if let Some(own) = own.filter(|own| check_paused(state, own).is_ok()) {
                    let metrics = own.metrics.iter().map(|run| run.planned.clone());
                    heard.push(Fact::VerificationStarted {
                        id: *id,
                        job: own.job,
                        trigger: *trigger,
                        metrics: metrics.collect(),
                        rerun_of: Some(own.id),
                    });
                }
            }
            Fact::VerificationEnded {
                id,
                status,
                reason,
                decided_by,
            } => {
                let own = self.own_verification.get(id);
                let own = own.and_then(|id| state.verifications.get(id));
                if let Some(own) = own.filter(|own| check_paused(state, own).is_ok()) {
                    heard.push(Fact::VerificationEnded {
                        id: own.id,
                        status: *status,
                        reason: reason.clone(),
                        decided_by: *decided_by,
                    });
                }
            }
            Fact::Measured {
                verification,
                metric,
                ordinal,
                status,
                message,
                data,
            } => {
                let own = self.own_verification.get(verification);
                let own = own.and_then(|id| state.verifications.get(id));
                let run = own.and_then(|own| own.metrics.get(*metric));
                if let (Some(own), Some(run)) = (own, run)
                    && own.status == VerificationStatus::Running
                    && metric_outcome(run) == MetricOutcome::Running
                    && run.taken == *ordinal
                {
                    heard.push(Fact::Measured {
                        verification: own.id,
                        metric: *metric,
                        ordinal: *ordinal,
                        status: *status,
                        message: message.clone(),
                        data: data.clone(),
                    });
                }
                return false;
            }
            Fact::TargetOrdered { target, order } => {
                let own = self.own_order(*target, order, past);
                heard.extend(own.map(|order| Fact::TargetOrdered {
                    target: *target,
                    order,
                }));
            }
            Fact::OrderDropped { target, reason } => {
                let lane = state.lane((*target).into());
                if lane.is_some_and(|lane| lane.orders.contains_key(&target.resource)) {
                    heard.push(Fact::OrderDropped {
                        target: *target,
                        reason: reason.clone(),
                    });
                }
                return false;
            }
            Fact::HoldReleased { target, .. } => {
                let lane = state.lane((*target).into());
                if lane.is_some_and(|lane| lane.held.contains_key(&target.resource)) {
                    heard.push(fact.clone());
                }
            }
            Fact::QuarantineCleared {
                version,
                environment,
                ..
            } => {
                let track = state.track(*version, *environment);
                let stopped = track.is_some_and(|track| {
                    track.quarantined.is_some() || !track.failed_verifications.is_empty()
                });
                if stopped {
                    heard.push(fact.clone());
                }
            }
            Fact::PromotionCancelRequested { id, reason } => {
                if let Some(own) = self.own_promotion(*id, past) {
                    let context = Context {
                        entry: entry.id,
                        now: entry.time,
                        actor: entry.actor,
                    };
                    heard.extend(orders::cancelling(state, own, reason, context));
                }
            }
            Fact::PromotionReopened {
                version,
                environment,
                ..
            } => {
                let track = state.track(*version, *environment);
                if track.is_some_and(|it| it.cancelled.is_some() || it.expired.is_some()) {
                    heard.push(fact.clone());
                }
            }
            Fact::RolloutPaused {
                version,
                environment,
                ..
            } => {
                if self.is_open(*version, *environment) && !self.is_paused(*version, *environment) {
                    heard.push(fact.clone());
                }
            }
            Fact::RolloutResumed {
                version,
                environment,
                ..
            } => {
                if self.is_open(*version, *environment) && self.is_paused(*version, *environment) {
                    heard.push(fact.clone());
                }
            }
            _ => heard.push(fact.clone()),
        }
        person
    }

    /// The job of this life that follows one of the record, while it has not ended.
    fn own_job(&self, id: JobId) -> Option<&Job> {
        let job = self.engine.state.jobs.get(self.own_job.get(&id)?)?;
        (!job.status.is_terminal()).then_some(job)
    }

    /// The open promotion here of what a promotion of the record is about.
    fn own_promotion(&self, id: PromotionId, past: &Past) -> Option<&Promotion> {
        let state = &self.engine.state;
        let (version, environment) = past.promotions.get(&id)?;
        let own = state.track(*version, *environment)?.promotion?;
        let own = state.promotions.get(&own)?;
        own.status.is_open().then_some(own)
    }

    fn is_open(&self, version: VersionId, environment: EnvironmentId) -> bool {
        let state = &self.engine.state;
        let track = state.track(version, environment);
        let own = track.and_then(|track| state.promotions.get(&track.promotion?));
        own.is_some_and(|own| own.status.is_open())
    }

    fn is_paused(&self, version: VersionId, environment: EnvironmentId) -> bool {
        let track = self.engine.state.track(version, environment);
        track.is_some_and(|track| track.paused.is_some())
    }

    /// A person's order, as far as it can be given here: a rollback undoes the version that it undid, or nothing.
    fn own_order(&self, target: TargetKey, order: &Order, past: &Past) -> Option<Order> {
        let state = &self.engine.state;
        let there = state.lane(target.into())?.targets.get(&target.resource)?;
        let own = match order.kind {
            StartKind::Rollback => {
                let latest = state.latest(there)?;
                if past.releases.get(&order.of?) != Some(&latest.version) {
                    return None;
                }
                if order.of == Some(latest.id) {
                    // The release that it goes back to may have left memory.
                    order.clone()
                } else {
                    let one = RollbackTarget { target, to: None };
                    orders::manual_rollback(state, &one, &order.reason, order.by).ok()?;
                    let to = last_good(state, target.environment, there, latest.version)?;
                    rollback_order(to, latest.id, order.cause, &order.reason, order.by)
                }
            }
            StartKind::Redeploy => {
                orders::manual_redeploy(state, target, &order.reason, order.by).ok()?
            }
            StartKind::BreakGlass => {
                orders::manual_break_glass(state, order.version, target, &order.reason, order.by)
                    .ok()?
            }
            StartKind::Forward | StartKind::Retry => return None,
        };
        let stands = orders::stands_already(state, target, &own).unwrap_or(true);
        (!stands).then_some(own)
    }

    /// Ends what is open in lanes that go, beyond what was heard already.
    fn close(&self, goes: impl Fn(&LaneKey) -> bool, heard: &mut Vec<Fact>) {
        let lanes = self.engine.state.lanes.iter();
        for (key, lane) in lanes.filter(|(key, _)| goes(key)) {
            for id in &lane.open {
                let known = heard.iter().any(
                    |fact| matches!(fact, Fact::PromotionEnded { id: ended, .. } if ended == id),
                );
                if !known {
                    heard.push(Fact::PromotionEnded {
                        id: *id,
                        status: PromotionStatus::Cancelled,
                        reason: "where it went was deleted".to_owned(),
                        by: None,
                    });
                }
            }
            let known = heard.iter().any(|fact| {
                matches!(fact, Fact::TargetsLeft { deployment, environment, .. }
                    if (*deployment, *environment) == (key.deployment, key.environment))
            });
            if !known {
                heard.extend(self.leaving(*key));
            }
        }
    }

    fn leaving(&self, key: LaneKey) -> Option<Fact> {
        let lane = self.engine.state.lane(key)?;
        (!lane.targets.is_empty()).then(|| Fact::TargetsLeft {
            deployment: key.deployment,
            environment: key.environment,
            resources: lane.targets.keys().copied().collect(),
        })
    }
}

fn is(entry: &Entry, command: &str) -> bool {
    matches!(&entry.cause, stagegate_model::Cause::Command { name } if name == command)
}
