//! What must hold when nothing is under way: no wait is overdue, nothing that could go on stands still.

use super::Violation;
use super::follow::Auditor;
use super::ledger::Ledger;
use stagegate_model::*;

type Checked = Result<(), Violation>;

impl Auditor {
    /// No gate that was to be looked at again by `now` still stands as it was.
    ///
    /// # Errors
    /// The first that was forgotten.
    pub fn waits(&self, now: Timestamp) -> Checked {
        let ledger = &self.ledger;
        for (key, target) in &ledger.targets {
            let job = target.active.and_then(|id| ledger.jobs.get(&id));
            let overdue = job.and_then(|job| job.decided_at());
            if let Some(at) = overdue.filter(|at| *at <= now) {
                let name = ledger.name(*key);
                let what = format!("time should have decided of the job on {name} at {at}");
                return Err(Violation::new("waits", what));
            }
        }
        for promotion in ledger.promotions.values() {
            let ready = ledger
                .versions
                .get(&promotion.version)
                .is_some_and(|version| version.status == VersionStatus::Ready);
            if !promotion.status.is_open() || !ready || !self.is_behind(promotion) {
                continue;
            }
            for gate in promotion.gates.values() {
                let overdue =
                    gate.state == GateState::Wait && gate.until.is_some_and(|at| at <= now);
                if overdue {
                    let what = format!(
                        "{} waits for a time that has passed: {}",
                        ledger.tag(promotion.version),
                        gate.message
                    );
                    return Err(Violation::new("waits", what));
                }
            }
        }
        Ok(())
    }

    /// Whether a member of the promotion's environment could still be brought to its version.
    fn is_behind(&self, promotion: &super::ledger::PromotionRecord) -> bool {
        let Some(version) = self.ledger.versions.get(&promotion.version) else {
            return false;
        };
        self.ledger
            .members(version.deployment, promotion.environment)
            .any(|(_, target)| target.floor < Some(version.order()))
    }

    /// At rest, with all agents and meters heard: every target has what it should have.
    ///
    /// # Errors
    /// The first that stands still though it could go on.
    pub fn at_rest(&mut self, now: Timestamp) -> Checked {
        // Time has passed since the last entry.
        let last = self.ledger.now;
        self.ledger.now = last.max(now);
        let checked = self.rests(now);
        self.ledger.now = last;
        checked
    }

    fn rests(&self, now: Timestamp) -> Checked {
        self.waits(now)?;
        for (key, target) in &self.ledger.targets {
            let name = self.ledger.name(*key);
            if let Some(job) = target.active {
                let what = format!("{name} is busy with {job} for ever");
                return Err(Violation::new("stuck", what));
            }
            if target.member != self.ledger.should_be_member(*key) {
                let what = format!("{name} is a member: {}, and should not", target.member);
                return Err(Violation::new("membership", what));
            }
            if target.member {
                self.target_rests(*key)?;
            }
        }
        self.members_joined()?;
        for promotion in self.ledger.promotions.values() {
            let Some(version) = self.ledger.versions.get(&promotion.version) else {
                continue;
            };
            if !promotion.status.is_open() {
                continue;
            }
            let (tag, status) = (&version.tag, promotion.status);
            let ordered = self.ledger.targets.iter().any(|(key, target)| {
                let order = target.order.as_ref().map(|order| order.version);
                let retried = target.retry.map(|retry| retry.version);
                key.environment == promotion.environment
                    && (order == Some(version.id) || retried == Some(version.id))
            });
            if ordered {
                continue;
            }
            let over = matches!(
                version.status,
                VersionStatus::Rejected | VersionStatus::Failed
            );
            let members = self
                .ledger
                .members(version.deployment, promotion.environment);
            let special = promotion.kind != StartKind::Forward && !promotion.jobs.is_empty();
            if over || special || (members.count() > 0 && !self.is_behind(promotion)) {
                let what = format!("the promotion of {tag} stays {status} with nothing to do");
                return Err(Violation::new("stuck", what));
            }
        }
        Ok(())
    }

    fn target_rests(&self, key: TargetKey) -> Checked {
        let ledger = &self.ledger;
        let Some(target) = ledger.targets.get(&key) else {
            return Ok(());
        };
        let name = ledger.name(key);
        if self.waits_outside(key)? {
            return Ok(());
        }
        let candidates = ledger.versions_of(key.deployment);
        let newer = candidates
            .iter()
            .take_while(|version| Some(version.order()) > target.floor);
        for version in newer {
            if version.status != VersionStatus::Ready {
                continue;
            }
            if ledger.shut(version, key).is_none() && ledger.lacks(version, key).is_none() {
                let blocked = target
                    .block
                    .as_ref()
                    .is_some_and(|it| it.version == version.id);
                if blocked && ledger.cannot_be_rendered(key) || ledger.stands_still(version, key) {
                    return Ok(());
                }
                let what = format!("{} could go to {name} and does not", version.tag);
                return Err(Violation::new("stuck", what).about(version.id, key));
            }
            let failed = ledger.stopped(version.id, key.environment).is_some();
            // A newer one that some target should have supersedes it; then that one is what is waited for.
            let waits = ledger.promotions.values().any(|it| {
                let order = ledger.versions.get(&it.version).map(Version::order);
                it.status.is_open()
                    && it.environment == key.environment
                    && ledger.versions.get(&it.version).map(|it| it.deployment)
                        == Some(key.deployment)
                    && order >= Some(version.order())
            });
            // A newer one that some other target of the environment has taken is waited for there.
            let superseded = ledger
                .members(key.deployment, key.environment)
                .any(|(_, other)| other.floor > Some(version.order()));
            if !failed && !waits && !superseded {
                let what = format!("{} waits for {name} without a promotion", version.tag);
                return Err(Violation::new("unseen", what));
            }
        }
        Ok(())
    }

    /// Whether something outside of the ordinary course is what a target waits for, and rightly.
    fn waits_outside(&self, key: TargetKey) -> Result<bool, Violation> {
        let ledger = &self.ledger;
        let Some(target) = ledger.targets.get(&key) else {
            return Ok(false);
        };
        let name = ledger.name(key);
        let stuck = |what: String| Err(Violation::new("stuck", what));
        let still =
            |version: &Version| ledger.stands_still(version, key) || ledger.cannot_be_rendered(key);
        if let Some(retry) = target.retry
            && let Some(version) = ledger.versions.get(&retry.version)
            && ledger.shut(version, key).is_none()
            && !still(version)
        {
            return stuck(format!("{} is not tried again on {name}", version.tag));
        }
        let Some(order) = &target.order else {
            return Ok(false);
        };
        let Some(version) = ledger.versions.get(&order.version) else {
            return Ok(false);
        };
        let shut = match order.kind {
            StartKind::Rollback => ledger.frozen_by(version, key, true),
            StartKind::BreakGlass => None,
            _ => ledger
                .gates_shut(version, key)
                .or_else(|| ledger.lacks(version, key)),
        };
        let gives_way = order.kind == StartKind::Redeploy
            && ledger
                .versions_of(key.deployment)
                .iter()
                .take_while(|newer| newer.order() > version.order())
                .any(|newer| {
                    ledger.shut(newer, key).is_none() && ledger.lacks(newer, key).is_none()
                });
        if shut.is_none() && !gives_way && !still(version) {
            let kind = order.kind.as_str();
            return stuck(format!(
                "the {kind} of {} on {name} is forgotten",
                version.tag
            ));
        }
        Ok(order.kind != StartKind::Redeploy)
    }

    fn members_joined(&self) -> Checked {
        let ledger = &self.ledger;
        for resource in ledger.resources.keys() {
            for deployment in ledger.deployments.keys() {
                for environment in ledger.environments.keys() {
                    let key = TargetKey {
                        resource: *resource,
                        environment: *environment,
                        deployment: *deployment,
                    };
                    let member = ledger.targets.get(&key).is_some_and(|it| it.member);
                    if member != ledger.should_be_member(key) {
                        let what = format!("{} is a member: {member}", ledger.name(key));
                        return Err(Violation::new("membership", what));
                    }
                }
            }
        }
        Ok(())
    }
}

impl Ledger {
    /// Whether a rollout of the version stands still in the target's environment: paused, or a wave not through.
    fn stands_still(&self, version: &Version, key: TargetKey) -> bool {
        let stops = self.stops.get(&(version.id, key.environment));
        if stops.is_some_and(|stops| stops.paused) {
            return true;
        }
        let failed = stops.is_some_and(|stops| !stops.failures.is_empty());
        let rules = self.rules_for("gradualRollout", version, key);
        let mut rules = rules.filter(|it| !self.excused(it.id, version.id, key));
        rules.any(|rule| {
            let begun = self.rollouts.get(&(version.id, key.environment, rule.id));
            let unfinished = begun.is_some_and(|it| it.begun.len() < it.waves.len());
            unfinished && (failed || self.is_hampered(version, key))
        })
    }

    /// Whether a target of the same lane may not come to the version now, or has something else to come to: no wave
    /// goes past it.
    fn is_hampered(&self, version: &Version, key: TargetKey) -> bool {
        let mut members = self.members(key.deployment, key.environment);
        members.any(|(key, target)| {
            let attempt = self.attempt(version.id, *key);
            let good = attempt.is_some_and(|it| {
                !it.undone && matches!(it.ended, Some((ReleaseStatus::Succeeded, _)))
            });
            let elsewhere = target.floor >= Some(version.order());
            // It takes that one, be it only when its turn comes.
            let newer = || {
                let all = self.versions_of(key.deployment);
                let mut newer = all.iter().take_while(|it| it.order() > version.order());
                newer.any(|it| {
                    it.status == VersionStatus::Ready
                        && self.shut(it, *key).is_none()
                        && self.lacks(it, *key).is_none()
                })
            };
            !good
                && (elsewhere
                    || newer()
                    || self.cannot_be_rendered(*key)
                    || self.lacks(version, *key).is_some()
                    || self.shut(version, *key).is_some())
        })
    }

    /// Whether a job's configuration cannot be made for the target: its resource has no host to name.
    fn cannot_be_rendered(&self, key: TargetKey) -> bool {
        let resource = self.resources.get(&key.resource);
        resource.is_some_and(|it| it.config.get("host").is_none())
    }
}
