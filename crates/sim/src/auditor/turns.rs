//! Whose turn it is: places under concurrency rules, waves and budgets of rollouts.

use super::Violation;
use super::follow::{Checked, require};
use super::ledger::Ledger;
use stagegate_model::*;

impl Ledger {
    /// The rules of a kind that apply to a version on a target.
    pub(super) fn rules_for<'a>(
        &'a self,
        kind: &'a str,
        version: &Version,
        target: TargetKey,
    ) -> impl Iterator<Item = &'a Rule> {
        let policies = self.policies_for(version, target).into_iter();
        let rules = policies.flat_map(|policy| &policy.rules);
        rules.filter(move |rule| rule.kind == kind)
    }

    /// Whether one more job under the concurrency rules that apply stays within their limits.
    pub(super) fn has_place(&self, version: &Version, target: TargetKey) -> Checked {
        let rules = self.rules_for("concurrency", version, target);
        for rule in rules.filter(|it| !self.excused(it.id, version.id, target)) {
            let max = rule.spec.get("max").and_then(Json::as_u64).unwrap_or(0);
            let scope = rule.spec.get("scope").and_then(Json::as_str);
            let own = self.scope_of(scope, target);
            let busy = self.targets.iter().filter(|(key, record)| {
                let job = record.active.and_then(|id| self.jobs.get(&id));
                let version = job.and_then(|job| self.versions.get(&job.version));
                version.is_some_and(|version| {
                    self.scope_of(scope, **key) == own
                        && self
                            .rules_for("concurrency", version, **key)
                            .any(|it| it.id == rule.id)
                })
            });
            let busy = busy.count() as u64;
            require(busy < max, "concurrency", || {
                let (tag, name) = (&version.tag, self.name(target));
                format!("{tag} started on {name} beside {busy} of at most {max}")
            })?;
        }
        Ok(())
    }

    /// What a target has in common with others, in the words that the workload uses.
    fn scope_of(&self, scope: Option<&str>, target: TargetKey) -> Option<&str> {
        let environment = self.environments.get(&target.environment)?;
        match scope {
            None => Some(""),
            Some("environment.name") => Some(&environment.name),
            Some("resource.kind") => Some(&self.resource(target.resource)?.kind),
            Some(other) => panic!("the auditor does not know the scope `{other}`"),
        }
    }

    /// Whether the rollouts of a version let it go to a target now.
    pub(super) fn is_released(&self, version: &Version, target: TargetKey) -> Checked {
        let environment = target.environment;
        let (tag, name) = (&version.tag, self.name(target));
        let stops = self.stops.get(&(version.id, environment));
        require(stops.is_none_or(|it| !it.paused), "rollout", || {
            format!("{tag} started on {name} while its rollout is paused")
        })?;
        let failures = stops.map_or(0, |stops| stops.failures.len());
        let rules = self.rules_for("gradualRollout", version, target);
        for rule in rules.filter(|it| !self.excused(it.id, version.id, target)) {
            let Some(rollout) = self.rollouts.get(&(version.id, environment, rule.id)) else {
                let what = format!("{tag} started on {name} before its rollout");
                return Err(Violation::new("rollout", what));
            };
            let max = rule.spec.get("maxFailures").and_then(Json::as_u64);
            let spent = max.is_some_and(|max| failures as u64 >= max);
            require(!spent, "budget", || {
                format!("{tag} started on {name} after {failures} targets had failed")
            })?;
            let place = rollout.place(target.resource);
            let (wave, place) = place.unwrap_or((rollout.waves.len().saturating_sub(1), 0));
            let Some(since) = rollout.begun.get(wave) else {
                let what = format!("{tag} started on {name}, whose wave {wave} has not begun");
                return Err(Violation::new("rollout", what));
            };
            let interval = rule.spec.get("timeScaleInterval").and_then(Json::as_i64);
            let interval = interval.unwrap_or(0);
            let count = i64::try_from(place).unwrap_or(i64::MAX);
            let size = rollout.waves.get(wave).map_or(1, Vec::len).max(1);
            let linear = rule.spec.get("rolloutType").and_then(Json::as_str) == Some("linear");
            let delay = match linear {
                true => count * interval,
                false => count * interval / i64::try_from(size).unwrap_or(1),
            };
            // Its clock may stand still, and is never ahead.
            let early = self.now.millis_since(*since) < delay * 1000;
            require(!early, "rollout", || {
                format!("{tag} started on {name} less than {delay} s after its wave began")
            })?;
        }
        Ok(())
    }

    /// A wave begins once that before it is through and has soaked.
    pub(super) fn wave_begins(
        &mut self,
        id: VersionId,
        environment: EnvironmentId,
        rule: RuleId,
        wave: u32,
    ) -> Checked {
        let now = self.now;
        let Some(version) = self.versions.get(&id).cloned() else {
            return Err(Violation::new("rollout", "a wave of an unknown version"));
        };
        let rollout = self.rollouts.get(&(id, environment, rule)).cloned();
        let Some(rollout) = rollout.filter(|it| it.begun.len() == wave as usize && wave > 0) else {
            let what = format!("wave {wave} of {} out of turn", version.tag);
            return Err(Violation::new("rollout", what));
        };
        let before = wave as usize - 1;
        let rules = self.policies.values().flat_map(|policy| &policy.rules);
        let spec = rules.into_iter().find(|it| it.id == rule);
        let soak = spec.and_then(|it| it.spec.pointer(&format!("/waves/{before}/soakMinutes")));
        let soak = soak.and_then(Json::as_i64).unwrap_or(0) * 60_000;
        for resource in rollout.waves.get(before).into_iter().flatten() {
            let key = TargetKey {
                resource: *resource,
                environment,
                deployment: version.deployment,
            };
            let Some(record) = self.targets.get(&key).filter(|it| it.member) else {
                continue;
            };
            if record.floor > Some(version.order()) {
                continue;
            }
            let attempt = self.attempt(id, key).filter(|it| !it.undone);
            let through = attempt.and_then(|it| match it.ended {
                Some((ReleaseStatus::Succeeded, at)) => Some(at),
                // Its job and all that was asked of it are through; its release may end in the next entry.
                _ if it.status == JobStatus::Successful && !it.asked => Some(it.completed_at),
                _ => None,
            });
            require(
                through.is_some_and(|at| now.millis_since(at) >= soak),
                "rollout",
                || {
                    let (tag, name) = (&version.tag, self.name(key));
                    format!("wave {wave} of {tag} began before {name} was through")
                },
            )?;
        }
        if let Some(rollout) = self.rollouts.get_mut(&(id, environment, rule)) {
            rollout.begun.push(now);
        }
        Ok(())
    }
}

impl super::ledger::RolloutRecord {
    fn place(&self, resource: ResourceId) -> Option<(usize, usize)> {
        self.waves.iter().enumerate().find_map(|(wave, members)| {
            let place = members.iter().position(|it| *it == resource)?;
            Some((wave, place))
        })
    }
}
