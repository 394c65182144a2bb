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
            .any(|(_, target)| target.latest < Some(version.order()))
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
            let over = matches!(
                version.status,
                VersionStatus::Rejected | VersionStatus::Failed
            );
            let members = self
                .ledger
                .members(version.deployment, promotion.environment);
            if over || (members.count() > 0 && !self.is_behind(promotion)) {
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
        let candidates = ledger.versions_of(key.deployment);
        let newer = candidates
            .iter()
            .take_while(|version| Some(version.order()) > target.latest);
        for version in newer {
            if version.status != VersionStatus::Ready {
                continue;
            }
            if ledger.shut(version, key).is_none() {
                let blocked = target
                    .block
                    .as_ref()
                    .is_some_and(|it| it.version == version.id);
                if blocked && ledger.cannot_be_rendered(key) {
                    return Ok(());
                }
                let what = format!("{} could go to {name} and does not", version.tag);
                return Err(Violation::new("stuck", what));
            }
            let failed = ledger.failed.contains(&(version.id, key.environment));
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
                .any(|(_, other)| other.latest > Some(version.order()));
            if !failed && !waits && !superseded {
                let what = format!("{} waits for {name} without a promotion", version.tag);
                return Err(Violation::new("unseen", what));
            }
        }
        Ok(())
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
    /// Whether a job's configuration cannot be made for the target: its resource has no host to name.
    fn cannot_be_rendered(&self, key: TargetKey) -> bool {
        let resource = self.resources.get(&key.resource);
        resource.is_some_and(|it| it.config.get("host").is_none())
    }
}
