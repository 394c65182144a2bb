//! How the gates of a lane stand for a version: shared by deciding and by explaining, so that both say the same.

use super::applicable::LaneView;
use crate::rules::{GateContext, Reason, Verdict};
use crate::state::Track;
use stagegate_model::{PolicyId, Resource, RuleId, Timestamp, Version, VersionStatus};
use std::collections::BTreeMap;

/// One rule as it stands for a version.
#[derive(Clone, Debug)]
pub(crate) struct GateStanding {
    pub policy: PolicyId,
    pub rule: RuleId,
    pub kind: &'static str,
    pub verdict: Verdict,
    /// Whether its passing stays passed once a job was created under it.
    pub latches: bool,
    pub latched: bool,
}

/// Verdicts already given in this lane, by version and rule: no rule is asked twice.
pub(crate) type Asked = BTreeMap<(stagegate_model::VersionId, RuleId), GateStanding>;

impl LaneView<'_> {
    /// Every gate of the policies that apply to the version on targets like `resource`.
    pub fn gates(
        &self,
        version: &Version,
        resource: Option<&Resource>,
        now: Timestamp,
        asked: &mut Asked,
    ) -> Vec<GateStanding> {
        let state = &self.engine.state;
        let track = state.track(version.id, self.environment.id);
        let mut gates = Vec::new();
        for applicable in self.applicable(version, resource) {
            let policy = &applicable.policy.policy;
            for rule in &applicable.policy.rules {
                let shut = |verdict| GateStanding {
                    policy: policy.id,
                    rule: rule.id,
                    kind: rule.kind,
                    verdict,
                    latches: false,
                    latched: false,
                };
                if let Some(error) = &applicable.error {
                    gates.push(shut(unevaluable(
                        "selector_error",
                        "the policy's selector",
                        error,
                    )));
                    continue;
                }
                let evaluator = match &rule.evaluator {
                    Ok(evaluator) => evaluator,
                    Err(error) => {
                        gates.push(shut(unevaluable("rule_error", "the rule", error)));
                        continue;
                    }
                };
                if let Some(known) = asked.get(&(version.id, rule.id)) {
                    gates.push(known.clone());
                    continue;
                }
                let latched = track.and_then(|track| track.latched.get(&rule.id)).copied();
                let context = GateContext {
                    state,
                    version,
                    environment: self.environment,
                    deployment: self.deployment,
                    latched,
                    now,
                };
                if let Some(verdict) = evaluator.evaluate(&context) {
                    let gate = GateStanding {
                        policy: policy.id,
                        rule: rule.id,
                        kind: rule.kind,
                        verdict,
                        latches: evaluator.latches(),
                        latched: latched.is_some(),
                    };
                    asked.insert((version.id, rule.id), gate.clone());
                    gates.push(gate);
                }
            }
        }
        gates
    }

    /// What stops a version in this environment apart from rules.
    pub fn stopped(&self, version: &Version) -> Option<Reason> {
        stopped(
            version,
            &self.environment.name,
            self.engine.state.track(version.id, self.environment.id),
        )
    }
}

impl LaneView<'_> {
    /// What ends the tries of a version in this environment for good; one that is merely paused goes on later.
    pub fn stopped_for_good(&self, version: &Version) -> Option<Reason> {
        self.stopped(version)
            .filter(|_| version.status != VersionStatus::Paused)
    }
}

fn stopped(version: &Version, place: &str, track: Option<&Track>) -> Option<Reason> {
    let tag = &version.tag;
    if version.status != VersionStatus::Ready {
        let message = format!("{tag} has the status {}", version.status);
        let reason = Reason::new("version_not_ready", message).who("whoever may create versions");
        return Some(match version.status {
            VersionStatus::Building | VersionStatus::Unspecified => {
                reason.opens("CI reports the version as ready")
            }
            VersionStatus::Failed => reason.opens("a newer version is created"),
            _ => reason.opens("its status is set to ready again"),
        });
    }
    if let Some(cancelled) = track.and_then(|track| track.cancelled.as_ref()) {
        let message = match cancelled.reason.as_str() {
            "" => format!("the promotion of {tag} into {place} was cancelled"),
            why => format!("the promotion of {tag} into {place} was cancelled: {why}"),
        };
        return Some(
            Reason::new("promotion_cancelled", message)
                .opens("the promotion is reopened, or a newer version is created")
                .who("whoever may deploy there"),
        );
    }
    if let Some(quarantined) = track.and_then(|track| track.quarantined.as_ref()) {
        let message = format!(
            "{tag} is quarantined in {place} since {}: {}",
            quarantined.since, quarantined.reason
        );
        return Some(
            Reason::new("version_quarantined", message)
                .opens("the quarantine is cleared, or a newer version is created")
                .who("whoever may deploy there"),
        );
    }
    let failed = track.is_some_and(|track| !track.failed_verifications.is_empty());
    failed.then(|| {
        Reason::new(
            "verification_failed",
            format!("a verification of {tag} failed in {place}; nothing else starts with it there"),
        )
        .opens("it is deployed there again and passes, or a newer version is created")
        .who("whoever may deploy there or create versions")
    })
}

fn unevaluable(code: &'static str, what: &str, error: &str) -> Verdict {
    let why = Reason::new(code, format!("{what} cannot be evaluated: {error}"))
        .opens("the policy is corrected")
        .who("whoever may edit policies");
    Verdict::Deny { why }
}
