//! Rules that people set aside: what a skip excuses, and until when.

use super::ledger::Ledger;
use stagegate_model::*;
use std::collections::BTreeSet;

impl Ledger {
    /// Whether a rule, or a freeze by its id, keeps nothing from a target: a skip of just that holds there now, or the
    /// version's rollout in the environment began under one.
    pub(super) fn excused(&self, rule: RuleId, version: VersionId, target: TargetKey) -> bool {
        self.begun_aside
            .contains(&(version, target.environment, rule))
            || self.skipped(rule, version, target.environment, Some(target.resource))
    }

    fn skipped(
        &self,
        rule: RuleId,
        version: VersionId,
        environment: EnvironmentId,
        resource: Option<ResourceId>,
    ) -> bool {
        let now = self.now;
        let mut skips = self.skips.values().filter(|skip| skip.rule == rule);
        skips.any(|skip| {
            // Not being asked about one resource, one for a resource says nothing.
            let there = skip.resource.is_none() || skip.resource == resource;
            let lasts = skip.expires_at.is_none_or(|end| now < end);
            let of = skip.version.unwrap_or(version) == version;
            there && lasts && of && skip.environment.unwrap_or(environment) == environment
        })
    }

    /// Whether a skip for the whole environment holds now: what starts under it is not stopped midway by its end.
    pub(super) fn skipped_everywhere(
        &self,
        rule: RuleId,
        version: VersionId,
        environment: EnvironmentId,
    ) -> bool {
        self.skipped(rule, version, environment, None)
    }

    /// Freezes that are set aside for the whole of a target's environment.
    pub(super) fn freezes_aside(&self, version: &Version, target: TargetKey) -> BTreeSet<RuleId> {
        let freezes = self.freezes.values();
        let frozen = freezes.filter(|freeze| self.takes(freeze, version, target));
        let rules = frozen.map(|freeze| RuleId(freeze.id.0));
        rules
            .filter(|rule| {
                let begun = (version.id, target.environment, *rule);
                self.begun_aside.contains(&begun)
                    || self.skipped_everywhere(*rule, version.id, target.environment)
            })
            .collect()
    }

    /// What a start owes to skips, as it is counted; `None` when it would have been without any.
    pub(super) fn owes(
        &mut self,
        kind: StartKind,
        version: &Version,
        key: TargetKey,
    ) -> Option<&'static str> {
        if self.skips.is_empty() && self.begun_aside.is_empty() {
            return None;
        }
        let begun = std::mem::take(&mut self.begun_aside);
        let lasting = self.is_kept(kind, version, key);
        let skips = std::mem::take(&mut self.skips);
        let at_all = self.is_kept(kind, version, key);
        (self.begun_aside, self.skips) = (begun, skips);
        match (at_all, lasting) {
            (false, _) => None,
            (true, false) => Some("skip: a start through one"),
            (true, true) => Some("skip: a start through one that was over"),
        }
    }

    /// Whether any rule or freeze keeps a start of a kind from a target.
    fn is_kept(&self, kind: StartKind, version: &Version, key: TargetKey) -> bool {
        let gates = || self.gates_shut(version, key).is_some();
        let lacks = || self.lacks(version, key).is_some();
        let place = || self.has_place(version, key).is_err();
        match kind {
            StartKind::Forward => {
                gates() || lacks() || place() || self.is_released(version, key).is_err()
            }
            StartKind::Redeploy => gates() || lacks() || place(),
            StartKind::Retry => gates() || place(),
            StartKind::Rollback => self.frozen_by(version, key, true).is_some(),
            StartKind::BreakGlass => false,
        }
    }
}
