//! What departs from the ordinary course: orders, retries, holds, quarantines, pauses.

use super::Violation;
use super::follow::{Auditor, Checked, require};
use super::ledger::{Ledger, RetryRecord, RolloutRecord, Tried};
use stagegate_model::*;

impl Auditor {
    pub(super) fn order(&mut self, fact: &Fact) -> Checked {
        let ledger = &mut self.ledger;
        let now = ledger.now;
        match fact {
            Fact::RetryScheduled {
                release,
                job,
                attempt,
                at,
            } => ledger.retry_scheduled(*release, *job, *attempt, *at),
            Fact::TargetOrdered { target, order } => ledger.ordered(*target, order),
            Fact::OrderDropped { target, .. } => {
                ledger.targets.entry(*target).or_default().order = None;
                Ok(())
            }
            Fact::HoldReleased { target, .. } => {
                let record = ledger.targets.entry(*target).or_default();
                record.held = None;
                record.floor = record.latest;
                Ok(())
            }
            Fact::Quarantined {
                version,
                environment,
                ..
            } => {
                ledger.stops_mut(*version, *environment).quarantined = true;
                Ok(())
            }
            Fact::QuarantineCleared {
                version,
                environment,
                ..
            } => {
                let stops = ledger.stops_mut(*version, *environment);
                stops.quarantined = false;
                stops.failed.clear();
                stops.failures.clear();
                Ok(())
            }
            Fact::PromotionCancelRequested { id, .. } => {
                let of = ledger.promotions.get(id);
                if let Some((version, environment)) = of.map(|it| (it.version, it.environment)) {
                    ledger.stops_mut(version, environment).cancelled = true;
                }
                Ok(())
            }
            Fact::PromotionReopened {
                version,
                environment,
                ..
            } => {
                let stops = ledger.stops_mut(*version, *environment);
                stops.cancelled = false;
                stops.expired = false;
                ledger.let_cancelled_start(*version, *environment);
                Ok(())
            }
            Fact::RolloutStarted {
                version,
                environment,
                rule,
                started_at,
                waves,
            } => {
                require(*started_at <= now, "rollout", || {
                    format!(
                        "the rollout of {} began in the future",
                        ledger.tag(*version)
                    )
                })?;
                let rollout = RolloutRecord {
                    waves: waves.clone(),
                    begun: vec![*started_at],
                };
                let key = (*version, *environment, *rule);
                ledger.rollouts.insert(key, rollout);
                Ok(())
            }
            Fact::RolloutWaveStarted {
                version,
                environment,
                rule,
                wave,
            } => ledger.wave_begins(*version, *environment, *rule, *wave),
            Fact::RolloutPaused {
                version,
                environment,
                ..
            } => {
                ledger.stops_mut(*version, *environment).paused = true;
                Ok(())
            }
            Fact::RolloutResumed {
                version,
                environment,
                ..
            } => {
                let stops = ledger.stops_mut(*version, *environment);
                stops.paused = false;
                stops.failures.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Ledger {
    fn retry_scheduled(
        &mut self,
        release: ReleaseId,
        id: JobId,
        attempt: u32,
        at: Timestamp,
    ) -> Checked {
        let Some(job) = self.jobs.get(&id).cloned() else {
            return Err(Violation::new("retry", "a try after an unknown job"));
        };
        let (name, tag) = (self.name(job.target), self.tag(job.version));
        let over = job.status.is_terminal() && job.ended.is_none() && !job.retried;
        let sound = over && job.release == release && attempt == job.attempt + 1;
        require(sound, "retry", || {
            format!(
                "try {attempt} of {tag} on {name} follows try {}",
                job.attempt
            )
        })?;
        require(job.kind != StartKind::BreakGlass, "retry", || {
            format!("{tag} was forced on {name} and is tried again")
        })?;
        let pause = self.versions.get(&job.version).and_then(|version| {
            let rules = self.rules_for("retry", version, job.target);
            pause_after(rules, job.status, job.attempt)
        });
        let Some(pause) = pause else {
            let what = format!(
                "no rule has {tag} tried again on {name} after try {} ended {}",
                job.attempt, job.status
            );
            return Err(Violation::new("retry", what));
        };
        require(at == self.now.plus_seconds(pause), "retry", || {
            format!("{tag} is tried again on {name} at {at}, not after {pause} s")
        })?;
        if let Some(job) = self.jobs.get_mut(&id) {
            job.retried = true;
        }
        if let Some(record) = self.targets.get_mut(&job.target) {
            record.active = record.active.filter(|active| *active != id);
            record.retry = Some(RetryRecord {
                release,
                version: job.version,
                attempt,
                at,
            });
        }
        Ok(())
    }

    fn ordered(&mut self, target: TargetKey, order: &Order) -> Checked {
        let record = self.targets.entry(target).or_default().clone();
        let before = record.order.as_ref();
        if order.cause == OrderCause::ConfigurationChanged {
            let deployment = self.deployments.get(&target.deployment);
            let asks = deployment.is_some_and(|it| it.redeploy_on_variable_change);
            let same = record.current.map(|(_, version)| version) == Some(order.version);
            require(
                asks && same && order.kind == StartKind::Redeploy,
                "variables",
                || format!("{} is redeployed, unasked", self.name(target)),
            )?;
        }
        if order.kind == StartKind::Rollback {
            require(self.was_good(&record, order), "rollback", || {
                let (name, tag) = (self.name(target), self.tag(order.version));
                format!("{name} is to go back to {tag}, which never succeeded there")
            })?;
            self.undone.extend(order.of);
            let further =
                before.is_some_and(|it| it.kind == StartKind::Rollback && it.of == order.of);
            let undone = order.of.and_then(|release| self.releases.get(&release));
            let undone = undone.and_then(|job| self.jobs.get(job));
            let undone = undone.map(|job| job.version).filter(|_| !further);
            if let Some(undone) = undone {
                let held = self.versions.get(&undone).map(Version::order);
                self.targets.entry(target).or_default().held = held;
                let tried = self.attempts.entry((undone, target)).or_default();
                tried.push(Tried::Undone);
            }
        }
        self.targets.entry(target).or_default().order = Some(order.clone());
        Ok(())
    }

    /// Targets whose job of the version was cancelled may start it again, and nothing older.
    fn let_cancelled_start(&mut self, version: VersionId, environment: EnvironmentId) {
        let Some(version) = self.versions.get(&version).cloned() else {
            return;
        };
        let all = self.versions_of(version.deployment);
        let mut older = all.iter().filter(|it| it.order() < version.order());
        let before = older.next().map(|it| it.order());
        let cancelled: Vec<TargetKey> = self
            .targets
            .iter()
            .filter(|(key, record)| {
                let latest = record.latest_release.and_then(|it| self.releases.get(&it));
                let latest = latest.and_then(|job| self.jobs.get(job));
                let was = latest.and_then(|job| job.ended).map(|(status, _)| status);
                (key.deployment, key.environment) == (version.deployment, environment)
                    && record.active.is_none()
                    && record.floor == Some(version.order())
                    && latest.is_some_and(|job| job.version == version.id)
                    && was == Some(ReleaseStatus::Cancelled)
            })
            .map(|(key, _)| *key)
            .collect();
        for key in cancelled {
            self.targets.entry(key).or_default().floor = before;
        }
    }
}

/// After how many seconds a job that was the n-th of its release is tried again, by the strictest of the rules;
/// `None` when it is not.
fn pause_after<'a>(
    rules: impl Iterator<Item = &'a Rule>,
    status: JobStatus,
    attempt: u32,
) -> Option<i64> {
    let mut longest = None;
    for rule in rules {
        let number = |name: &str| rule.spec.get(name).and_then(Json::as_i64);
        let named = rule.spec.get("retryOnStatuses").and_then(Json::as_array);
        let takes = match named {
            Some(named) => named.iter().any(|it| it.as_str() == Some(status.as_str())),
            None => matches!(
                status,
                JobStatus::Failure
                    | JobStatus::InvalidIntegration
                    | JobStatus::InvalidJobAgent
                    | JobStatus::ExternalRunNotFound
            ),
        };
        if !takes || i64::from(attempt) > number("maxRetries").unwrap_or(0) {
            return None;
        }
        let base = number("backoffSeconds").unwrap_or(0);
        let strategy = rule.spec.get("backoffStrategy").and_then(Json::as_str);
        let pause = match strategy {
            Some("exponential") => base << (attempt - 1),
            _ => base * i64::from(attempt),
        };
        let pause = pause.min(number("maxBackoffSeconds").unwrap_or(i64::MAX));
        longest = longest.max(Some(pause));
    }
    longest
}
