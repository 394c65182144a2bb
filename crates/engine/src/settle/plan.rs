//! How the gates of a lane stand for a version: shared by deciding and by explaining, so that both say the same.

use super::applicable::{Applicable, LaneView};
use crate::rules::deployment_window::{Question, judge};
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
        let applicable = self.applicable(version, resource);
        let mut windows = self.judge_windows(version, &applicable, now);
        for applicable in applicable {
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
                // A window stands as all that apply stand, and those may differ from target to target.
                if let Some(verdict) = windows.remove(&rule.id) {
                    gates.push(shut(verdict));
                    continue;
                }
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

    /// The windows of the policies that apply, judged together.
    fn judge_windows(
        &self,
        version: &Version,
        applicable: &[Applicable<'_>],
        now: Timestamp,
    ) -> BTreeMap<RuleId, Verdict> {
        let sound = applicable.iter().filter(|it| it.error.is_none());
        let rules = sound.flat_map(|it| &it.policy.rules);
        let (ids, windows): (Vec<RuleId>, Vec<_>) = rules
            .filter_map(|rule| Some((rule.id, rule.evaluator.as_ref().ok()?.window()?)))
            .unzip();
        if windows.is_empty() {
            return BTreeMap::new();
        }
        let question = Question::of(&GateContext {
            state: &self.engine.state,
            version,
            environment: self.environment,
            deployment: self.deployment,
            latched: None,
            now,
        });
        ids.into_iter().zip(judge(&windows, &question)).collect()
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
    let failed = track.map_or(0, |track| track.failed_verifications);
    (failed > 0).then(|| {
        Reason::new(
            "verification_failed",
            format!("a verification of {tag} failed in {place}; nothing else starts with it there"),
        )
        .opens("a newer version is created")
        .who("whoever may create versions")
    })
}

fn unevaluable(code: &'static str, what: &str, error: &str) -> Verdict {
    let why = Reason::new(code, format!("{what} cannot be evaluated: {error}"))
        .opens("the policy is corrected")
        .who("whoever may edit policies");
    Verdict::Deny { why }
}
