//! `retry`: a release whose job failed is tried again, a bounded number of times, after a pause.

use super::{GateContext, RuleEvaluator, RuleKind, Verdict, read_spec};
use crate::catalog::Draft;
use serde::Deserialize;
use stagegate_model::{JobStatus, Json, Rejection};
use std::sync::Arc;

pub(super) const KIND: RuleKind = RuleKind {
    kind: "retry",
    doc: include_str!("doc.md"),
    schema: include_str!("schema.json"),
    check,
    compile,
};

/// How often a release may be tried again, at most.
const RETRIES_MAX: u32 = 100;
/// The longest pause, in seconds.
const BACKOFF_SECONDS_MAX: u32 = 7 * 24 * 3600;

/// The rule as users write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Spec {
    /// How many jobs may follow the first one.
    max_retries: u32,
    /// After which ends a job is tried again.
    retry_on_statuses: Option<Vec<JobStatus>>,
    /// The pause before the first retry, in seconds.
    #[serde(default)]
    backoff_seconds: u32,
    #[serde(default)]
    backoff_strategy: Strategy,
    /// No pause is longer, in seconds.
    max_backoff_seconds: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Strategy {
    /// `b·n` before the n-th retry.
    #[default]
    Linear,
    /// `b·2^(n−1)` before the n-th retry.
    Exponential,
}

/// What is tried again when a rule does not say.
const RETRIED: &[JobStatus] = &[
    JobStatus::Failure,
    JobStatus::InvalidIntegration,
    JobStatus::InvalidJobAgent,
    JobStatus::ExternalRunNotFound,
];

fn check(spec: &Json, _: &Draft<'_>) -> Result<(), Rejection> {
    let spec: Spec = read_spec(spec)?;
    let invalid = |message: String| Rejection::invalid("invalid_rule", message);
    if spec.max_retries > RETRIES_MAX {
        return Err(invalid(format!("at most {RETRIES_MAX} retries are allowed")).at("maxRetries"));
    }
    for (index, status) in spec.retry_on_statuses.iter().flatten().enumerate() {
        if !RETRIED.contains(status) {
            let known: Vec<_> = RETRIED.iter().map(|it| it.as_str()).collect();
            return Err(
                invalid(format!("a job that ended `{status}` is never tried again"))
                    .at(format!("retryOnStatuses[{index}]"))
                    .hint(format!("possible are: {}", known.join(", "))),
            );
        }
    }
    let seconds = [
        ("backoffSeconds", Some(spec.backoff_seconds)),
        ("maxBackoffSeconds", spec.max_backoff_seconds),
    ];
    for (field, seconds) in seconds {
        if seconds.is_some_and(|it| it > BACKOFF_SECONDS_MAX) {
            let message = format!("at most {BACKOFF_SECONDS_MAX} seconds are allowed");
            return Err(invalid(message).at(field));
        }
    }
    Ok(())
}

fn compile(spec: &Json) -> Result<Arc<dyn RuleEvaluator>, Rejection> {
    Ok(Arc::new(read_spec::<Spec>(spec)?))
}

impl RuleEvaluator for Spec {
    fn evaluate(&self, _: &GateContext<'_>) -> Option<Verdict> {
        None
    }

    fn retry(&self) -> Option<&Spec> {
        Some(self)
    }
}

impl Spec {
    fn takes(&self, status: JobStatus) -> bool {
        match &self.retry_on_statuses {
            Some(statuses) => statuses.contains(&status),
            None => RETRIED.contains(&status),
        }
    }

    /// The pause before the n-th retry, in seconds.
    fn backoff_seconds(&self, n: u32) -> u32 {
        let pause = match self.backoff_strategy {
            Strategy::Linear => self.backoff_seconds.saturating_mul(n),
            Strategy::Exponential => {
                let factor = 1u32.checked_shl(n.saturating_sub(1)).unwrap_or(u32::MAX);
                self.backoff_seconds.saturating_mul(factor)
            }
        };
        pause
            .min(self.max_backoff_seconds.unwrap_or(BACKOFF_SECONDS_MAX))
            .min(BACKOFF_SECONDS_MAX)
    }
}

/// After how many seconds a job that was the `attempt`-th of its release (from 1) and ended with `status` is tried
/// again; `None` when it is not. Of several rules the strictest holds: all must allow it, the longest pause counts.
pub(crate) fn next<'s>(
    specs: impl IntoIterator<Item = &'s Spec>,
    status: JobStatus,
    attempt: u32,
) -> Option<u32> {
    let mut pause = None;
    for spec in specs {
        if !spec.takes(status) || attempt > spec.max_retries {
            return None;
        }
        pause = pause.max(Some(spec.backoff_seconds(attempt)));
    }
    pause
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(json: Json) -> Spec {
        read_spec(&json).unwrap()
    }

    fn pauses(spec: &Spec) -> Vec<Option<u32>> {
        (1..=5)
            .map(|attempt| next([spec], JobStatus::Failure, attempt))
            .collect()
    }

    #[test]
    fn backs_off_linearly_or_by_doubling_up_to_the_cap() {
        let linear = spec(json!({"maxRetries": 4, "backoffSeconds": 10}));
        assert_eq!(
            pauses(&linear),
            [Some(10), Some(20), Some(30), Some(40), None]
        );
        let doubling = spec(json!({
            "maxRetries": 9, "backoffSeconds": 10, "backoffStrategy": "exponential", "maxBackoffSeconds": 50
        }));
        assert_eq!(
            pauses(&doubling),
            [Some(10), Some(20), Some(40), Some(50), Some(50)]
        );
    }

    #[test]
    fn a_long_way_out_it_does_not_overflow() {
        let spec = spec(
            json!({"maxRetries": 100, "backoffSeconds": 600000, "backoffStrategy": "exponential"}),
        );
        assert_eq!(
            next([&spec], JobStatus::Failure, 90),
            Some(BACKOFF_SECONDS_MAX)
        );
    }

    #[test]
    fn only_the_statuses_named_are_tried_again() {
        let all = spec(json!({"maxRetries": 1}));
        assert_eq!(next([&all], JobStatus::InvalidIntegration, 1), Some(0));
        assert_eq!(next([&all], JobStatus::Cancelled, 1), None);
        assert_eq!(next([&all], JobStatus::Skipped, 1), None);
        let one = spec(json!({"maxRetries": 1, "retryOnStatuses": ["externalRunNotFound"]}));
        assert_eq!(next([&one], JobStatus::Failure, 1), None);
        assert_eq!(next([&one], JobStatus::ExternalRunNotFound, 1), Some(0));
    }

    #[test]
    fn of_several_rules_the_strictest_holds() {
        let (long, few) = (
            spec(json!({"maxRetries": 5, "backoffSeconds": 60})),
            spec(json!({"maxRetries": 1, "backoffSeconds": 5})),
        );
        assert_eq!(next([&long, &few], JobStatus::Failure, 1), Some(60));
        assert_eq!(next([&long, &few], JobStatus::Failure, 2), None);
        assert_eq!(next([], JobStatus::Failure, 1), None);
    }
}
