//! How the gates of a lane stand for a version: shared by deciding and by explaining, so that both say the same.

use super::applicable::{Applicable, LaneView};
use crate::rules::deployment_window::{Question, judge};
use crate::rules::{GateContext, Reason, Verdict, freeze};
use crate::state::{PackedResource, Track};
use stagegate_model::{PolicyId, RuleId, Timestamp, Version, VersionId, VersionStatus};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One rule as it stands for a version.
#[derive(Clone, Debug)]
pub(crate) struct GateStanding {
    pub policy: PolicyId,
    pub rule: RuleId,
    pub kind: &'static str,
    /// Shared: it is kept by version, by rule and by class.
    pub verdict: Arc<Verdict>,
    /// Whether its passing stays passed once a job was created under it.
    pub latches: bool,
    pub latched: bool,
}

impl GateStanding {
    /// Whether it, rather than `other`, says how the rule stands for the environment as a whole: what is shut for
    /// some targets is not open, and what is set aside for one resource alone speaks for nothing else.
    pub fn speaks_before(&self, other: &Self) -> bool {
        let rank = |gate: &Self| match &*gate.verdict {
            Verdict::Allow { why, .. } => u8::from(why.code != "skipped" || gate.latches),
            Verdict::Wait { .. } => 2,
            Verdict::Deny { .. } => 3,
        };
        rank(self) > rank(other)
    }
}

/// What is asked of rules in one lane at one time.
#[derive(Default)]
pub(crate) struct Asked {
    /// Verdicts already given, by version and rule: no rule is asked twice.
    known: BTreeMap<(VersionId, RuleId), GateStanding>,
    tells: bool,
}

impl Asked {
    /// For those who tell, in details, how rules stand; deciding needs none.
    pub fn telling() -> Self {
        Self {
            tells: true,
            ..Self::default()
        }
    }
}

impl LaneView<'_> {
    /// Every gate of the policies that apply to the version on targets like `resource`.
    pub fn gates(
        &self,
        version: &Version,
        resource: Option<&PackedResource>,
        now: Timestamp,
        asked: &mut Asked,
    ) -> Vec<GateStanding> {
        let state = &self.engine.state;
        let track = state.track(version.id, self.environment.id);
        let mut gates = Vec::new();
        let applicable = self.applicable(version, resource);
        let mut windows = self.judge_windows(version, resource, &applicable, now, false);
        for applicable in applicable {
            let policy = &applicable.policy.policy;
            for rule in &applicable.policy.rules {
                let shut = |verdict| GateStanding {
                    policy: policy.id,
                    rule: rule.id,
                    kind: rule.kind,
                    verdict: Arc::new(verdict),
                    latches: false,
                    latched: false,
                };
                let latched = track.and_then(|track| track.latched.get(&rule.id)).copied();
                let context = GateContext {
                    state,
                    policy,
                    rule: rule.id,
                    version,
                    environment: self.environment,
                    deployment: self.deployment,
                    latched,
                    tells: asked.tells,
                    now,
                };
                // A person who set it aside knows more than what cannot be evaluated.
                if let Some(skipped) =
                    self.set_aside(version, track, rule.id, rule.kind, resource, now)
                {
                    // What is asked of each target, or is no gate, does not stand here as one.
                    let gate = match &rule.evaluator {
                        Ok(evaluator) => {
                            evaluator.window().is_some() || evaluator.evaluate(&context).is_some()
                        }
                        Err(_) => true,
                    };
                    if gate || skipped.latches || applicable.error.is_some() {
                        gates.push(GateStanding {
                            policy: policy.id,
                            ..skipped
                        });
                    }
                    continue;
                }
                if let Some(error) = &applicable.error {
                    let what = "the policy's selector";
                    let broken = unevaluable("selector_error", what, error);
                    let known = state.freezes.get(&policy.id.0.into());
                    gates.push(shut(match known {
                        Some(known) => freeze::shut(known, version, broken, now),
                        None => broken,
                    }));
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
                if let Some(known) = asked.known.get(&(version.id, rule.id)) {
                    gates.push(known.clone());
                    continue;
                }
                if let Some(verdict) = evaluator.evaluate(&context) {
                    let gate = GateStanding {
                        policy: policy.id,
                        rule: rule.id,
                        kind: rule.kind,
                        verdict: Arc::new(verdict),
                        latches: evaluator.latches(),
                        latched: latched.is_some(),
                    };
                    asked.known.insert((version.id, rule.id), gate.clone());
                    gates.push(gate);
                }
            }
        }
        gates
    }

    /// A rule that was set aside, as an open gate; what began under a skip goes on when the skip ends.
    pub(super) fn skipped(
        &self,
        version: &Version,
        rule: RuleId,
        kind: &'static str,
        resource: Option<&PackedResource>,
        now: Timestamp,
    ) -> Option<GateStanding> {
        let track = self.engine.state.track(version.id, self.environment.id);
        self.set_aside(version, track, rule, kind, resource, now)
    }

    /// The same, for those who have the version's track here.
    fn set_aside(
        &self,
        version: &Version,
        track: Option<&Track>,
        rule: RuleId,
        kind: &'static str,
        resource: Option<&PackedResource>,
        now: Timestamp,
    ) -> Option<GateStanding> {
        let state = &self.engine.state;
        let gate = |satisfied_at, lapses_at, why, latches, latched| GateStanding {
            policy: PolicyId(uuid::Uuid::nil()),
            rule,
            kind,
            verdict: Arc::new(Verdict::Allow {
                satisfied_at,
                lapses_at,
                why,
            }),
            latches,
            latched,
        };
        if let Some(since) = track.and_then(|track| track.skipped.get(&rule)) {
            let skips = state.skips.values();
            let reason = skips
                .filter(|skip| skip.rule == rule && skip.resource.is_none())
                .filter(|skip| skip.version.is_none_or(|id| id == version.id))
                .find(|skip| {
                    let environment = skip.environment;
                    environment.is_none_or(|id| id == self.environment.id)
                })
                .map(|skip| format!(": {}", skip.reason));
            let began = "it was set aside when the rollout began";
            let why = Reason::new("skipped", format!("{began}{}", reason.unwrap_or_default()));
            return Some(gate(*since, None, why, true, true));
        }
        let skip = state.set_aside(
            rule,
            version.id,
            self.environment.id,
            resource.map(|it| it.id),
            now,
        )?;
        let mut message = "it is set aside".to_owned();
        if let Some(expires) = skip.expires_at {
            message = format!("{message} until {expires}");
        }
        if !skip.reason.is_empty() {
            message = format!("{message}: {}", skip.reason);
        }
        let why = Reason::new("skipped", message)
            .details(serde_json::json!({ "skipId": skip.id, "createdBy": skip.created_by }));
        let since = skip.created_at.max(version.created_at);
        // One for a single resource says nothing of the others, so it does not go on for them.
        Some(gate(
            since,
            skip.expires_at,
            why,
            skip.resource.is_none(),
            false,
        ))
    }

    /// Whether a rollback to the version must wait, by what few rules may hold one.
    pub fn holds_rollback(
        &self,
        version: &Version,
        resource: Option<&PackedResource>,
        now: Timestamp,
    ) -> Option<Verdict> {
        let applicable = self.applicable(version, resource);
        let mut windows = self.judge_windows(version, resource, &applicable, now, true);
        for applicable in applicable {
            for rule in &applicable.policy.rules {
                let Ok(evaluator) = &rule.evaluator else {
                    continue;
                };
                let context = GateContext {
                    state: &self.engine.state,
                    policy: &applicable.policy.policy,
                    rule: rule.id,
                    version,
                    environment: self.environment,
                    deployment: self.deployment,
                    latched: None,
                    tells: true,
                    now,
                };
                let window = windows.remove(&rule.id);
                let verdict = window.or_else(|| evaluator.on_rollback(&context));
                let skipped = || self.skipped(version, rule.id, rule.kind, resource, now);
                if let Some(verdict) = verdict.filter(|it| !it.is_allowed())
                    && skipped().is_none()
                {
                    return Some(verdict);
                }
            }
        }
        None
    }

    /// The windows of the policies that apply, judged together.
    fn judge_windows(
        &self,
        version: &Version,
        resource: Option<&PackedResource>,
        applicable: &[Applicable<'_>],
        now: Timestamp,
        rollback: bool,
    ) -> BTreeMap<RuleId, Verdict> {
        let sound = applicable.iter().filter(|it| it.error.is_none());
        let rules = sound.flat_map(|it| &it.policy.rules);
        let (ids, windows): (Vec<RuleId>, Vec<_>) = rules
            .filter_map(|rule| Some((rule.id, rule.evaluator.as_ref().ok()?.window()?)))
            .unzip();
        if windows.is_empty() {
            return BTreeMap::new();
        }
        let lane = self.engine.state.lane(self.key);
        let targets = lane.map(|lane| &lane.targets);
        let question = Question {
            now,
            version_created_at: version.created_at,
            // Where that matters, targets that have had a release are looked at apart from the others.
            first_release: targets.is_some_and(|targets| match resource {
                Some(resource) => targets
                    .get(&resource.id)
                    .is_some_and(|it| it.latest().is_none()),
                None => targets.values().all(|it| it.latest().is_none()),
            }),
            rollback,
        };
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
    if let Some(expired) = track.and_then(|track| track.expired.as_ref()) {
        let message = format!(
            "the promotion of {tag} into {place} expired at {}: {}",
            expired.since, expired.reason
        );
        return Some(
            Reason::new("promotion_expired", message)
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
