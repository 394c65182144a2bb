//! `environmentProgression`: the version must have succeeded in another environment first.

mod soak;

use super::{Action, GateContext, Reason, RuleEvaluator, RuleKind, Verdict, read_spec, siblings};
use crate::catalog::Draft;
use crate::expressions::{EnvironmentView, check_cel, environment_schema};
use crate::state::{Lane, LaneKey, State, Success, Track, Verified, same_name};
use serde::Deserialize;
use soak::Soak;
use stagegate_expressions::cel::Program;
use stagegate_expressions::{Roots, View};
use stagegate_model::{Environment, JobStatus, Json, Rejection, Timestamp};
use std::sync::Arc;

pub(super) const KIND: RuleKind = RuleKind {
    kind: "environmentProgression",
    doc: include_str!("doc.md"),
    schema: include_str!("schema.json"),
    check,
    compile,
};

/// The rule as users write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    depends_on_environment_selector: Option<String>,
    wait_for: Option<String>,
    minimum_success_percentage: Option<f64>,
    success_statuses: Option<Vec<JobStatus>>,
    minimum_soak_time_minutes: Option<u32>,
    maximum_age_hours: Option<u32>,
    require_verification_passed: Option<bool>,
    #[serde(default)]
    allow_no_targets: bool,
}

/// The rule with its selector compiled.
pub(crate) struct Progression {
    spec: Spec,
    upstream: Upstream,
}

enum Upstream {
    Named(String),
    Selected(Program),
}

fn check(spec: &Json, draft: &Draft<'_>) -> Result<(), Rejection> {
    let Progression { spec, upstream } = read(spec)?;
    let invalid =
        |field: &str, message: &str| Err(Rejection::invalid("invalid_rule", message).at(field));
    if let Upstream::Named(name) = &upstream
        && draft.environment_by_name(name).is_none()
    {
        let known = draft.environment_names();
        let rejection = Rejection::invalid(
            "unknown_environment",
            format!("there is no environment `{name}`"),
        );
        return Err(rejection.at("waitFor").hint(if known.is_empty() {
            "there are no environments yet".to_owned()
        } else {
            format!("the environments are: {}", known.join(", "))
        }));
    }
    if spec
        .minimum_success_percentage
        .is_some_and(|percentage| !(0.0..=100.0).contains(&percentage))
    {
        return invalid("minimumSuccessPercentage", "a percentage is from 0 to 100");
    }
    let statuses = spec.success_statuses.iter().flatten();
    if let Some(status) = statuses.clone().find(|status| !status.is_terminal()) {
        return invalid(
            "successStatuses",
            &format!("a job does not end in `{status}`"),
        );
    }
    if spec.success_statuses.is_some() && statuses.count() == 0 {
        return invalid(
            "successStatuses",
            "with no status nothing can ever succeed; leave it out for `successful`",
        );
    }
    if spec.maximum_age_hours == Some(0) {
        return invalid(
            "maximumAgeHours",
            "an age of 0 hours can never hold; leave it out for no limit",
        );
    }
    Ok(())
}

fn compile(spec: &Json) -> Result<Arc<dyn RuleEvaluator>, Rejection> {
    Ok(Arc::new(read(spec)?))
}

fn read(spec: &Json) -> Result<Progression, Rejection> {
    let spec: Spec = read_spec(spec)?;
    let upstream = match (&spec.wait_for, &spec.depends_on_environment_selector) {
        (Some(name), None) => Upstream::Named(name.clone()),
        (None, Some(selector)) => Upstream::Selected(check_cel(
            selector,
            environment_schema(),
            "dependsOnEnvironmentSelector",
        )?),
        (None, None) => {
            return Err(Rejection::invalid(
                "invalid_rule",
                "it does not say which environment to wait for",
            )
            .hint("give `waitFor: NAME` or `dependsOnEnvironmentSelector: CEL`"));
        }
        (Some(_), Some(_)) => {
            return Err(Rejection::invalid(
                "invalid_rule",
                "`waitFor` and `dependsOnEnvironmentSelector` exclude each other",
            )
            .at("waitFor")
            .hint("keep one of them"));
        }
    };
    Ok(Progression { spec, upstream })
}

impl RuleEvaluator for Progression {
    fn evaluate(&self, context: &GateContext<'_>) -> Option<Verdict> {
        if let Some(satisfied_at) = context.latched {
            return Some(Verdict::allow(
                satisfied_at,
                Reason::new("progressed", "passed when the rollout began"),
            ));
        }
        Some(self.verdict(context))
    }

    fn latches(&self) -> bool {
        true
    }

    fn progression(&self) -> Option<&Progression> {
        Some(self)
    }
}

/// How the version stands in one environment it must have succeeded in.
struct Standing {
    environment: String,
    verdict: Verdict,
}

/// What there is of successes in an environment.
#[derive(Default)]
struct Found {
    count: usize,
    /// When enough of them were.
    reached: Option<Timestamp>,
    /// When the last came to count.
    newest: Option<Timestamp>,
    /// From when to when each was current, for the soak.
    stays: Vec<(Timestamp, Option<Timestamp>)>,
}

impl Progression {
    fn verdict(&self, context: &GateContext<'_>) -> Verdict {
        let upstreams: Vec<_> = self.upstreams(context.state, context.environment).collect();
        if upstreams.is_empty() {
            let why = Reason::new(
                "no_dependency_environment",
                match &self.upstream {
                    Upstream::Named(name) => {
                        format!(
                            "no environment `{name}` shares a system with {}",
                            context.environment.name
                        )
                    }
                    Upstream::Selected(program) => {
                        format!(
                            "no environment that shares a system with {} matches `{}`",
                            context.environment.name,
                            program.text()
                        )
                    }
                },
            );
            let why = why
                .opens("an environment to wait for is linked to the same system")
                .who("whoever may edit environments");
            return Verdict::Deny { why };
        }
        let standings: Vec<Standing> = upstreams
            .iter()
            .filter_map(|environment| self.standing(context, environment))
            .collect();
        if standings.is_empty() {
            return self.no_targets(context, &upstreams);
        }
        best(standings)
    }

    /// The environments of which one must have succeeded first.
    pub fn upstreams<'a>(
        &'a self,
        state: &'a State,
        environment: &'a Environment,
    ) -> impl Iterator<Item = &'a Arc<Environment>> {
        siblings(state, environment).filter(|environment| self.matches(environment))
    }

    /// Whether it passes where the deployment has no targets in any of them.
    pub fn allows_no_targets(&self) -> bool {
        self.spec.allow_no_targets
    }

    /// Whether anything has to succeed.
    pub fn asks_for_success(&self) -> bool {
        let percentage = self.spec.minimum_success_percentage;
        percentage.is_none_or(|percentage| percentage > 0.0)
    }

    /// Whether a success counts although its verification did not pass.
    pub fn ignores_verification(&self) -> bool {
        self.spec.require_verification_passed == Some(false)
    }

    /// What is waited for, as it is written.
    pub fn upstream_text(&self) -> &str {
        match &self.upstream {
            Upstream::Named(name) => name,
            Upstream::Selected(program) => program.text(),
        }
    }

    /// The member of the spec that says so.
    pub fn upstream_field(&self) -> &'static str {
        match &self.upstream {
            Upstream::Named(_) => "waitFor",
            Upstream::Selected(_) => "dependsOnEnvironmentSelector",
        }
    }

    fn matches(&self, environment: &Environment) -> bool {
        match &self.upstream {
            Upstream::Named(name) => same_name(&environment.name, name),
            Upstream::Selected(program) => {
                let view = EnvironmentView(environment);
                program
                    .eval(&Roots::new().with("environment", View::Object(&view)))
                    .unwrap_or(false)
            }
        }
    }

    fn no_targets(&self, context: &GateContext<'_>, upstreams: &[&Arc<Environment>]) -> Verdict {
        let names: Vec<_> = upstreams
            .iter()
            .map(|environment| environment.name.as_str())
            .collect();
        let message = format!(
            "{} has no targets in {}",
            context.deployment.name,
            names.join(" or ")
        );
        if self.spec.allow_no_targets {
            return Verdict::allow(
                context.version.created_at,
                Reason::new("no_targets_allowed", message),
            );
        }
        let why = Reason::new("no_dependency_targets", message)
            .opens("a resource there is matched by the selectors, or the rule sets `allowNoTargets: true`")
            .who("whoever may edit resources or policies");
        Verdict::Deny { why }
    }

    /// `None` when the deployment has no targets there.
    fn standing(&self, context: &GateContext<'_>, upstream: &Environment) -> Option<Standing> {
        let key = LaneKey {
            deployment: context.deployment.id,
            environment: upstream.id,
        };
        let lane = context.state.lane(key)?;
        // What is leaving is no target any more; it only waits for its job to end.
        let targets = lane.targets.len() - lane.index.leaving.len();
        if targets == 0 {
            return None;
        }
        let track = context.state.track(context.version.id, upstream.id);
        let percentage = self.spec.minimum_success_percentage.unwrap_or(100.0);
        let required = required(targets, percentage);
        let counted = self.counted(track, required);
        let found = counted.unwrap_or_else(|| {
            let mut successes = self.successes(lane, track);
            successes.sort_unstable_by_key(|success| success.0);
            let last = required.checked_sub(1);
            Found {
                count: successes.len(),
                reached: last.and_then(|last| successes.get(last)).map(|it| it.0),
                newest: successes.last().map(|it| it.0),
                stays: successes,
            }
        });
        let verdict = self.judge(context, upstream, track, &found, required, targets);
        Some(Standing {
            environment: upstream.name.clone(),
            verdict,
        })
    }

    /// How many successes there are, when enough of them were, and when the last was: as the fold has counted them, where
    /// that is what is asked. `None` when each has to be looked at.
    fn counted(&self, track: Option<&Track>, required: usize) -> Option<Found> {
        let plain = self.spec.success_statuses.is_none() && !self.ignores_verification();
        let Some(track) = track.filter(|track| track.quarantined.is_none()) else {
            return Some(Found::default());
        };
        if !plain {
            return None;
        }
        let count = track.counted.len();
        let soaks = self.spec.minimum_soak_time_minutes.unwrap_or(0) > 0;
        if soaks && count >= required {
            return None;
        }
        let newest = track.counted.newest();
        let reached = match required == count {
            true => newest,
            false => track.counted.reached(required),
        };
        Some(Found {
            count,
            reached,
            newest,
            stays: Vec::new(),
        })
    }

    /// When each success came to count, and when the version was replaced there.
    fn successes(&self, lane: &Lane, track: Option<&Track>) -> Vec<(Timestamp, Option<Timestamp>)> {
        // What was quarantined counts for nothing until the quarantine is cleared.
        let track = track.filter(|track| track.quarantined.is_none());
        let results = track.into_iter().flat_map(|track| &track.results);
        results
            .filter(|(resource, _)| lane.targets.get(resource).is_some_and(|it| !it.leaving()))
            .filter_map(|(_, result)| Some((self.counts_from(result)?, result.replaced_at())))
            .collect()
    }

    fn counts_from(&self, result: &Success) -> Option<Timestamp> {
        let counts = match &self.spec.success_statuses {
            Some(statuses) => statuses.contains(&result.status()),
            None => result.status() == JobStatus::Successful,
        };
        if !counts || result.rolled_back() {
            return None;
        }
        let required = self.spec.require_verification_passed.unwrap_or(true);
        match result.verified() {
            Verified::NotAsked => Some(result.completed_at()),
            Verified::Passed(at) if required => Some(result.completed_at().max(at)),
            _ => (!required).then_some(result.completed_at()),
        }
    }

    fn judge(
        &self,
        context: &GateContext<'_>,
        upstream: &Environment,
        track: Option<&Track>,
        found: &Found,
        required: usize,
        targets: usize,
    ) -> Verdict {
        let (tag, place) = (&context.version.tag, &upstream.name);
        let details = context.details(|| {
            serde_json::json!({
                "environmentId": upstream.id, "environment": place,
                "successes": found.count, "required": required, "targets": targets,
            })
        });
        let count = format!(
            "{tag} succeeded on {} of {targets} targets in {place}",
            found.count
        );
        let reached = match (required, found.reached) {
            (0, _) => context.version.created_at,
            (_, Some(reached)) => reached,
            (_, None) => return missing(context, track, &count, place, required, details),
        };
        let minutes = self.spec.minimum_soak_time_minutes.unwrap_or(0);
        let soak = soak::soak(
            &found.stays,
            reached,
            required,
            i64::from(minutes) * 60_000,
            context.now,
        );
        let open_at = match soak {
            Soak::Done { .. } => Some(context.now),
            Soak::Running { until, .. } => Some(until),
            Soak::Broken { .. } => None,
        };
        // The first moment at which the most recent success is older than allowed.
        let newest = found.newest.unwrap_or(reached);
        let age = self.spec.maximum_age_hours;
        let lapses_at =
            age.map(|hours| newest.plus_seconds(i64::from(hours) * 3600).plus_millis(1));
        if let (Some(hours), Some(lapses_at), Some(open_at)) = (age, lapses_at, open_at)
            && open_at >= lapses_at
        {
            let message = if context.now >= lapses_at {
                format!("the last success in {place} is more than {hours} h old")
            } else {
                format!(
                    "the last success in {place} will be more than {hours} h old before it has soaked for {minutes} min"
                )
            };
            let why = Reason::new("success_too_old", message)
                .opens(format!("{tag} is deployed to {place} again"))
                .who("whoever may deploy there")
                .details(details);
            return Verdict::Deny { why };
        }
        match soak {
            Soak::Done { at } => Verdict::Allow {
                satisfied_at: at,
                lapses_at,
                why: Reason::new("progressed", count).details(details),
            },
            Soak::Running { since, until } => {
                let why = Reason::new(
                    "soaking",
                    format!("{count}; it soaks for {minutes} min since {since}"),
                )
                .opens(format!("{tag} stays in {place} until {until}"))
                .action(Action::Wait)
                .details(details);
                Verdict::Wait {
                    until: Some(until),
                    why,
                }
            }
            Soak::Broken { longest_millis } => {
                let stayed = longest_millis / 60_000;
                let why = Reason::new("soak_interrupted", format!("{tag} stayed in {place} for {stayed} of {minutes} min before another version took its place"))
                    .opens(format!("{tag} is deployed to {place} again and stays"))
                    .who("whoever may deploy there")
                    .details(details);
                Verdict::Deny { why }
            }
        }
    }
}

/// ⌈targets · percentage / 100⌉.
fn required(targets: usize, percentage: f64) -> usize {
    // A fleet is far below 2^52 targets and the result is never above `targets`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let required = (targets as f64 * percentage / 100.0 - 1e-9).ceil().max(0.0) as usize;
    required.min(targets)
}

fn missing(
    context: &GateContext<'_>,
    track: Option<&Track>,
    count: &str,
    place: &str,
    required: usize,
    details: Json,
) -> Verdict {
    let tag = &context.version.tag;
    let message = format!("{count}, {required} needed");
    let promotion = track
        .and_then(|track| track.promotion)
        .and_then(|id| context.state.promotions.get(&id));
    let verification_failed = track.is_some_and(|track| !track.failed_verifications.is_empty());
    let ended = promotion.is_some_and(|promotion| !promotion.status.is_open());
    if verification_failed || ended {
        let how = match promotion {
            _ if verification_failed => format!("its verification failed in {place}"),
            Some(promotion) => format!("its promotion into {place} ended: {}", promotion.status),
            None => String::new(),
        };
        let why = Reason::new("dependency_failed", format!("{message}; {how}"))
            .opens(format!(
                "a newer version succeeds in {place}, or {tag} is deployed there again and succeeds"
            ))
            .who("whoever may create versions")
            .details(details);
        return Verdict::Deny { why };
    }
    let why = Reason::new("dependency_pending", message)
        .opens(format!("{tag} succeeds in {place}"))
        .action(Action::Wait)
        .details(details);
    Verdict::Wait { until: None, why }
}

/// Of several environments any one suffices: the earliest that allows, else the most hopeful.
fn best(standings: Vec<Standing>) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Allow { satisfied_at, .. } => (0, Some(*satisfied_at)),
        Verdict::Wait {
            until: Some(until), ..
        } => (1, Some(*until)),
        Verdict::Wait { until: None, .. } => (2, None),
        Verdict::Deny { .. } => (3, None),
    };
    let several = standings.len() > 1;
    // Allowed now but lapsing, while another would allow later: ask again when the first lapses.
    let others: Vec<String> = standings.iter().map(|s| s.environment.clone()).collect();
    let mut best = standings
        .into_iter()
        .min_by_key(|standing| rank(&standing.verdict))
        .map_or_else(
            || Verdict::Deny {
                why: Reason::new("no_dependency_environment", ""),
            },
            |standing| standing.verdict,
        );
    if several && let Verdict::Wait { why, .. } | Verdict::Deny { why } = &mut best {
        why.opens = format!("{} (any one of {} suffices)", why.opens, others.join(", "));
    }
    best
}
