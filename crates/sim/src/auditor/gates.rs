//! Which gates a version has on a target, and which of them are shut.

use super::ledger::Ledger;
use super::selector::{Subject, holds};
use stagegate_model::*;
use std::collections::BTreeSet;

/// Rules whose passing latches.
pub fn latches(rule: &Rule) -> bool {
    matches!(
        rule.kind.as_str(),
        "anyApproval" | "approval" | "environmentProgression" | "versionSelector"
    )
}

impl Ledger {
    /// The policies in effect for a version on a target.
    pub fn policies_for(&self, version: &Version, target: TargetKey) -> Vec<&Policy> {
        let (Some(environment), Some(deployment)) = (
            self.environments.get(&target.environment),
            self.deployments.get(&target.deployment),
        ) else {
            return Vec::new();
        };
        let matching: Vec<&Policy> = self
            .policies
            .values()
            .filter(|policy| policy.enabled)
            .filter(|policy| {
                self.shared(environment, deployment).any(|system| {
                    let subject = Subject {
                        environment: Some(environment),
                        deployment: Some(deployment),
                        system: Some(system),
                        resource: self.resource(target.resource),
                        version: Some(version),
                    };
                    holds(&policy.selector, subject)
                })
            })
            .collect();
        let mut in_effect: Vec<&Policy> = matching
            .iter()
            .filter(|policy| is_in_effect(policy.id, &matching))
            .copied()
            .collect();
        in_effect.sort_unstable_by_key(|policy| policy.id);
        in_effect
    }

    /// Why a version may not start on a target now; `None` when every gate is open.
    pub fn shut(&self, version: &Version, target: TargetKey) -> Option<String> {
        let tag = &version.tag;
        if version.status != VersionStatus::Ready {
            return Some(format!("{tag} is {}", version.status));
        }
        if let Some(why) = self.stopped(version.id, target.environment) {
            return Some(format!("{why} ({tag})"));
        }
        self.gates_shut(version, target)
    }

    /// Which rule or freeze keeps a version from a target now.
    pub fn gates_shut(&self, version: &Version, target: TargetKey) -> Option<String> {
        let environment = self.environments.get(&target.environment)?;
        let deployment = self.deployments.get(&target.deployment)?;
        let latched = self.latched.get(&(version.id, target.environment));
        for policy in self.policies_for(version, target) {
            for rule in &policy.rules {
                if self.excused(rule.id, version.id, target) {
                    continue;
                }
                let latched = latched.is_some_and(|rules| rules.contains(&rule.id));
                let why = match rule.kind.as_str() {
                    "anyApproval" | "approval" => {
                        self.approval_shut(rule, version, environment, latched)
                    }
                    "environmentProgression" | "versionSelector" if latched => None,
                    "environmentProgression" => {
                        self.progression_shut(rule, version, environment, deployment)
                    }
                    "versionSelector" => self.selector_shut(rule, version),
                    "versionCooldown" => self.cooldown_shut(rule, version, target),
                    _ => None,
                };
                if let Some(why) = why {
                    return Some(format!("`{}`: {why}", policy.name));
                }
            }
        }
        self.windows_shut(version, target)
            .or_else(|| self.frozen_by(version, target, false))
    }

    /// Which freeze keeps anything, or `rollback`s, from a target now.
    pub fn frozen_by(
        &self,
        version: &Version,
        target: TargetKey,
        rollback: bool,
    ) -> Option<String> {
        let frozen = self.freezes.values().find(|freeze| {
            let now = self.now;
            let runs = freeze.starts_at <= now && freeze.ends_at.is_none_or(|at| at > now);
            runs && !(rollback && freeze.allow_rollback)
                && !self.excused(RuleId(freeze.id.0), version.id, target)
                && self.takes(freeze, version, target)
        });
        frozen.map(|freeze| format!("the freeze `{}` holds", freeze.name))
    }

    /// Whether a freeze is for a version on a target, whenever it runs.
    pub(super) fn takes(&self, freeze: &Freeze, version: &Version, target: TargetKey) -> bool {
        let (Some(environment), Some(deployment)) = (
            self.environments.get(&target.environment),
            self.deployments.get(&target.deployment),
        ) else {
            return false;
        };
        self.shared(environment, deployment).any(|system| {
            let subject = Subject {
                environment: Some(environment),
                deployment: Some(deployment),
                system: Some(system),
                resource: self.resource(target.resource),
                version: Some(version),
            };
            holds(&freeze.selector, subject)
        })
    }

    fn selector_shut(&self, rule: &Rule, version: &Version) -> Option<String> {
        let selector = rule.spec.get("selector").and_then(Json::as_str);
        let subject = Subject {
            version: Some(version),
            ..Subject::default()
        };
        let matches = holds(selector.unwrap_or("false"), subject);
        (!matches).then(|| format!("{} does not match", version.tag))
    }

    /// The version that runs on the target, or the one last released there, is the one to keep distance from. A
    /// release that is to be tried again is still in progress, also one that went back without asking.
    fn cooldown_shut(&self, rule: &Rule, version: &Version, target: TargetKey) -> Option<String> {
        let record = self.targets.get(&target)?;
        let retried = record.retry.as_ref().map(|retry| retry.version);
        if retried == Some(version.id) {
            return None;
        }
        let running = record.active.and_then(|id| self.jobs.get(&id));
        let released = record.current.map(|(_, version)| version);
        let reference = running.map(|job| job.version).or(released)?;
        let reference = self.versions.get(&reference)?;
        let seconds = rule.spec.get("intervalSeconds").and_then(Json::as_i64);
        let until = reference.created_at.plus_seconds(seconds.unwrap_or(0));
        let cooling = reference.id != version.id && self.now < until;
        cooling.then(|| format!("{} is too new there until {until}", reference.tag))
    }

    /// One window that denies shuts; of those that allow, any one opens. What is set aside shuts nothing, and opens
    /// nothing that it would not have opened.
    fn windows_shut(&self, version: &Version, target: TargetKey) -> Option<String> {
        let windows: Vec<(bool, bool, bool)> = self
            .rules_for("deploymentWindow", version, target)
            .filter_map(|rule| {
                let (allows, inside) = self.window(rule)?;
                Some((allows, inside, !self.excused(rule.id, version.id, target)))
            })
            .collect();
        let mut asked = windows.iter().filter(|(.., asked)| *asked);
        let denied = asked.clone().any(|(allows, inside, _)| !allows && *inside);
        let wanted = asked.any(|(allows, ..)| *allows);
        let outside = wanted && !windows.iter().any(|(allows, inside, _)| *allows && *inside);
        (denied || outside).then(|| "no window is open".to_owned())
    }

    /// Whether a window allows, and whether it is now. Daily ones from a full hour on, in UTC, are all that the
    /// workload writes.
    fn window(&self, rule: &Rule) -> Option<(bool, bool)> {
        const DAY: i64 = 86_400_000;
        let text = rule.spec.get("rrule").and_then(Json::as_str)?;
        let hour = text.strip_prefix("FREQ=DAILY;BYHOUR=")?;
        let hour: i64 = hour.strip_suffix(";BYMINUTE=0;BYSECOND=0")?.parse().ok()?;
        let minutes = rule.spec.get("durationMinutes").and_then(Json::as_i64);
        let into = (self.now.0 - hour * 3_600_000).rem_euclid(DAY);
        // It is anchored at the midnight before the rule was made: what would have begun before that never did.
        let begun = self.now.0 - into >= rule.created_at.0 - rule.created_at.0.rem_euclid(DAY);
        let inside = begun && into < minutes.unwrap_or(0) * 60_000;
        let allows = rule.spec.get("allowWindow").and_then(Json::as_bool) != Some(false);
        Some((allows, inside))
    }

    /// The rules that latch when a version starts on a target: those that do by nature and were passed, and any that
    /// were set aside for the whole environment. What is set aside for the one resource says nothing of the others.
    pub fn latching(&self, version: &Version, target: TargetKey) -> BTreeSet<RuleId> {
        let policies = self.policies_for(version, target);
        let rules = policies.iter().flat_map(|policy| &policy.rules);
        rules
            .filter(|rule| {
                let (id, version) = (rule.id, version.id);
                let begun = (version, target.environment, id);
                let aside = self.begun_aside.contains(&begun)
                    || self.skipped_everywhere(id, version, target.environment);
                aside || latches(rule) && !self.excused(id, version, target)
            })
            .map(|rule| rule.id)
            .collect()
    }

    /// Whether a verification is wanted at a trigger.
    pub fn wants(
        &self,
        version: &Version,
        target: TargetKey,
        trigger: VerificationTrigger,
    ) -> bool {
        let policies = self.policies_for(version, target);
        let rules = policies.iter().flat_map(|policy| &policy.rules);
        rules
            .filter(|rule| rule.kind == "verification")
            .any(|rule| {
                let on = rule.spec.get("triggerOn").and_then(Json::as_str);
                on.unwrap_or("jobSuccess") == trigger.as_str()
            })
    }

    fn approval_shut(
        &self,
        rule: &Rule,
        version: &Version,
        environment: &Environment,
        latched: bool,
    ) -> Option<String> {
        let votes = self.votes.get(&(version.id, environment.id));
        let counting = |wanted: Vote| {
            let votes = votes.into_iter().flatten();
            votes
                .filter(|(user, cast)| {
                    cast.vote == wanted
                        && cast.digest == version.digest
                        && self.may_approve(rule, version, **user, &cast.groups)
                })
                .count() as u64
        };
        if counting(Vote::Rejected) > 0 {
            return Some(format!("{} was rejected", version.tag));
        }
        let needed = match rule.kind.as_str() {
            "approval" => rule.spec.pointer("/stages/0/minimum"),
            _ => rule.spec.get("minApprovals"),
        };
        let needed = needed.and_then(Json::as_u64);
        let needed = needed.unwrap_or(u64::MAX);
        let approved = counting(Vote::Approved);
        (!latched && approved < needed).then(|| format!("{approved} of {needed} approvals"))
    }
}

impl Ledger {
    /// Whether a person is among those whose vote counts. The workload writes one stage, of roles, persons and groups.
    fn may_approve(
        &self,
        rule: &Rule,
        version: &Version,
        user: UserId,
        groups: &[GroupId],
    ) -> bool {
        if rule.kind != "approval" {
            return true;
        }
        let own = version.created_by == Some(user);
        let may_own = rule.spec.get("requesterMayApprove").and_then(Json::as_bool);
        let named = rule.spec.pointer("/stages/0/approvers");
        let mut named = named.and_then(Json::as_array).into_iter().flatten();
        let among = named.any(|name| {
            let name = name.as_str().unwrap_or_default();
            match name.split_once(':') {
                Some(("user", id)) => id == user.0.to_string(),
                Some(("role", role)) => self.roles.get(&user).map(|it| it.as_str()) == Some(role),
                Some(("group", name)) => groups
                    .iter()
                    .filter_map(|id| self.groups.get(id))
                    .any(|group| group.name == name),
                _ => false,
            }
        });
        among && (!own || may_own == Some(true))
    }
}

/// A policy is in effect unless one that is in effect replaces it.
fn is_in_effect(id: PolicyId, matching: &[&Policy]) -> bool {
    !matching
        .iter()
        .any(|other| other.replaces.contains(&id) && is_in_effect(other.id, matching))
}
