//! Which gates a version has on a target, and which of them are shut.

use super::ledger::Ledger;
use super::selector::{Subject, holds};
use stagegate_model::*;
use std::collections::BTreeSet;

/// Rules whose passing latches.
pub fn latches(rule: &Rule) -> bool {
    matches!(rule.kind.as_str(), "anyApproval" | "environmentProgression")
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
        if self.failed.contains(&(version.id, target.environment)) {
            return Some(format!("a verification of {tag} failed there"));
        }
        let environment = self.environments.get(&target.environment)?;
        let deployment = self.deployments.get(&target.deployment)?;
        let latched = self.latched.get(&(version.id, target.environment));
        for policy in self.policies_for(version, target) {
            for rule in &policy.rules {
                let latched = latched.is_some_and(|rules| rules.contains(&rule.id));
                let why = match rule.kind.as_str() {
                    "anyApproval" => self.approval_shut(rule, version, environment, latched),
                    "environmentProgression" if latched => None,
                    "environmentProgression" => {
                        self.progression_shut(rule, version, environment, deployment)
                    }
                    _ => None,
                };
                if let Some(why) = why {
                    return Some(format!("`{}`: {why}", policy.name));
                }
            }
        }
        None
    }

    /// The latching rules under which a version starts on a target.
    pub fn latching(&self, version: &Version, target: TargetKey) -> BTreeSet<RuleId> {
        let policies = self.policies_for(version, target);
        let rules = policies.iter().flat_map(|policy| &policy.rules);
        rules
            .filter(|rule| latches(rule))
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
                .filter(|(_, (vote, digest))| *vote == wanted && *digest == version.digest)
                .count() as u64
        };
        if counting(Vote::Rejected) > 0 {
            return Some(format!("{} was rejected", version.tag));
        }
        let needed = rule.spec.get("minApprovals").and_then(Json::as_u64);
        let needed = needed.unwrap_or(u64::MAX);
        let approved = counting(Vote::Approved);
        (!latched && approved < needed).then(|| format!("{approved} of {needed} approvals"))
    }
}

/// A policy is in effect unless one that is in effect replaces it.
fn is_in_effect(id: PolicyId, matching: &[&Policy]) -> bool {
    !matching
        .iter()
        .any(|other| other.replaces.contains(&id) && is_in_effect(other.id, matching))
}
