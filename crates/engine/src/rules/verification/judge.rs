//! Judging what was measured; the formulas of SEMANTICS "Measuring", on numbers alone.

use crate::state::{MetricRun, Verification};
use stagegate_model::{MeasurementStatus, Metric, Timestamp, VerificationStatus};

/// Seconds after which a measurement that ended in error is tried again, at most.
const AFTER_ERROR_SECONDS_MAX: i64 = 10;

/// Where a metric stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricOutcome {
    Passed,
    Running,
    Inconclusive,
    Error,
    Failed,
}

/// Judges one measurement by its conditions; each is `None` where the metric has none, an error where it could
/// not be evaluated. Gives the status and, unless it passed, why.
#[must_use]
pub fn measurement(
    metric: &Metric,
    success: Option<Result<bool, String>>,
    failure: Option<Result<bool, String>>,
) -> (MeasurementStatus, String) {
    let text = |condition: &Option<String>| condition.clone().unwrap_or_default();
    let (success_text, failure_text) = (
        text(&metric.success_condition),
        text(&metric.failure_condition),
    );
    match (failure, success) {
        (Some(Ok(true)), _) => (MeasurementStatus::Failed, format!("`{failure_text}` holds")),
        (Some(Err(error)), _) => (
            MeasurementStatus::Error,
            format!("`{failure_text}`: {error}"),
        ),
        (_, Some(Err(error))) => (
            MeasurementStatus::Error,
            format!("`{success_text}`: {error}"),
        ),
        (_, Some(Ok(true))) | (Some(Ok(false)), None) => (MeasurementStatus::Passed, String::new()),
        (Some(Ok(false)), Some(Ok(false))) => (
            MeasurementStatus::Inconclusive,
            format!("neither `{success_text}` nor `{failure_text}` holds"),
        ),
        (None, Some(Ok(false))) => (
            MeasurementStatus::Failed,
            format!("`{success_text}` does not hold"),
        ),
        (None, None) => (
            MeasurementStatus::Error,
            "the metric has no condition".to_owned(),
        ),
    }
}

/// Where a metric stands after its measurements so far.
#[must_use]
pub fn metric_outcome(run: &MetricRun) -> MetricOutcome {
    let metric = &run.planned.metric;
    let counted = run.passed + run.failed + run.inconclusive;
    if run.failed > metric.failure_threshold {
        MetricOutcome::Failed
    } else if run.inconclusive > metric.inconclusive_threshold {
        MetricOutcome::Inconclusive
    } else if run.consecutive_errors > metric.consecutive_error_threshold {
        MetricOutcome::Error
    } else if metric
        .success_threshold
        .is_some_and(|threshold| run.consecutive_passes >= threshold)
    {
        MetricOutcome::Passed
    } else if counted < metric.count {
        MetricOutcome::Running
    } else if metric.success_threshold.is_some() {
        MetricOutcome::Inconclusive
    } else {
        MetricOutcome::Passed
    }
}

/// How a verification ends, with the reason, or `None` while it has to go on measuring.
///
/// One failed metric ends it at once; otherwise it waits for all that decide, and the worst counts.
#[must_use]
pub fn verification_outcome(verification: &Verification) -> Option<(VerificationStatus, String)> {
    let deciding: Vec<&MetricRun> = verification
        .metrics
        .iter()
        .filter(|run| !run.planned.metric.dry_run)
        .collect();
    if deciding.is_empty() {
        let running = verification
            .metrics
            .iter()
            .any(|run| metric_outcome(run) == MetricOutcome::Running);
        return (!running).then(|| {
            (
                VerificationStatus::Passed,
                "all metrics are dry runs".to_owned(),
            )
        });
    }
    let first = |wanted: MetricOutcome| deciding.iter().find(|run| metric_outcome(run) == wanted);
    if let Some(run) = first(MetricOutcome::Failed) {
        return Some((VerificationStatus::Failed, reason(run, "failed")));
    }
    if first(MetricOutcome::Running).is_some() {
        return None;
    }
    if let Some(run) = first(MetricOutcome::Error) {
        return Some((
            VerificationStatus::Error,
            reason(run, "could not be measured"),
        ));
    }
    if let Some(run) = first(MetricOutcome::Inconclusive) {
        return Some((
            VerificationStatus::Inconclusive,
            reason(run, "is inconclusive"),
        ));
    }
    Some((VerificationStatus::Passed, String::new()))
}

fn reason(run: &MetricRun, what: &str) -> String {
    let name = &run.planned.metric.name;
    let last = run
        .measurements
        .iter()
        .rev()
        .find(|m| m.status != MeasurementStatus::Passed);
    match last
        .map(|measurement| measurement.message.as_str())
        .filter(|message| !message.is_empty())
    {
        Some(message) => format!("`{name}` {what}: {message}"),
        None => format!("`{name}` {what}"),
    }
}

/// When the next measurement of a metric is due; `None` when it needs no more.
#[must_use]
pub fn next_due(verification: &Verification, run: &MetricRun) -> Option<Timestamp> {
    if verification.status != VerificationStatus::Running
        || metric_outcome(run) != MetricOutcome::Running
    {
        return None;
    }
    let metric = &run.planned.metric;
    let interval = i64::from(metric.interval_seconds);
    Some(match (run.last_at, run.last) {
        (Some(at), Some(MeasurementStatus::Error)) => at.plus_seconds(if interval == 0 {
            AFTER_ERROR_SECONDS_MAX
        } else {
            interval.min(AFTER_ERROR_SECONDS_MAX)
        }),
        (Some(at), _) => at.plus_seconds(interval),
        (None, _) => verification
            .started_at
            .plus_seconds(i64::from(metric.initial_delay_seconds)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use stagegate_model::{PlannedMetric, RuleId, VerificationTrigger};

    fn run(metric: serde_json::Value, statuses: &str) -> MetricRun {
        let mut spec =
            json!({"name": "m", "provider": {"type": "http"}, "successCondition": "true"});
        spec.as_object_mut()
            .unwrap()
            .extend(metric.as_object().unwrap().clone());
        let metric = serde_json::from_value(spec).unwrap();
        let mut run = MetricRun::new(PlannedMetric {
            rule: RuleId(uuid::Uuid::nil()),
            metric,
        });
        for status in statuses.chars() {
            run.consecutive_passes = if status == 'p' {
                run.consecutive_passes + 1
            } else {
                0
            };
            run.consecutive_errors = if status == 'e' {
                run.consecutive_errors + 1
            } else {
                0
            };
            match status {
                'p' => run.passed += 1,
                'f' => run.failed += 1,
                'i' => run.inconclusive += 1,
                _ => run.errors += 1,
            }
        }
        run
    }

    #[test]
    fn metric_table() {
        use MetricOutcome::*;
        let cases = [
            (json!({"count": 3, "intervalSeconds": 1}), "pp", Running),
            (json!({"count": 3, "intervalSeconds": 1}), "ppp", Passed),
            (json!({"count": 3, "intervalSeconds": 1}), "pf", Failed),
            (
                json!({"count": 3, "intervalSeconds": 1, "failureThreshold": 1}),
                "pf",
                Running,
            ),
            (
                json!({"count": 3, "intervalSeconds": 1, "failureThreshold": 1}),
                "pfp",
                Passed,
            ),
            (
                json!({"count": 3, "intervalSeconds": 1, "failureThreshold": 1}),
                "ff",
                Failed,
            ),
            (json!({"count": 3, "intervalSeconds": 1}), "i", Inconclusive),
            (
                json!({"count": 3, "intervalSeconds": 1, "inconclusiveThreshold": 1}),
                "ipp",
                Passed,
            ),
            (json!({"count": 3, "intervalSeconds": 1}), "eeee", Running),
            (json!({"count": 3, "intervalSeconds": 1}), "eeeee", Error),
            (
                json!({"count": 3, "intervalSeconds": 1}),
                "eeeepeeeepp",
                Passed,
            ),
            (
                json!({"count": 5, "intervalSeconds": 1, "successThreshold": 2}),
                "pp",
                Passed,
            ),
            (
                json!({"count": 3, "intervalSeconds": 1, "successThreshold": 2, "failureThreshold": 1}),
                "pfp",
                Inconclusive,
            ),
        ];
        for (metric, statuses, expected) in cases {
            assert_eq!(
                metric_outcome(&run(metric.clone(), statuses)),
                expected,
                "{metric} {statuses}"
            );
        }
    }

    fn verification(runs: Vec<MetricRun>) -> Verification {
        Verification {
            id: uuid::Uuid::nil().into(),
            job: uuid::Uuid::nil().into(),
            trigger: VerificationTrigger::JobSuccess,
            metrics: runs,
            status: VerificationStatus::Running,
            started_at: Timestamp(0),
            ended_at: None,
            reason: String::new(),
            decided_by: None,
            rerun_of: None,
        }
    }

    #[test]
    fn the_worst_metric_decides_and_a_failure_decides_at_once() {
        let outcome =
            |runs: Vec<MetricRun>| verification_outcome(&verification(runs)).map(|it| it.0);
        let one = |statuses| run(json!({}), statuses);
        assert_eq!(outcome(vec![one("p"), one("")]), None);
        assert_eq!(
            outcome(vec![one("f"), one("")]),
            Some(VerificationStatus::Failed)
        );
        assert_eq!(outcome(vec![one("i"), one("")]), None);
        assert_eq!(
            outcome(vec![one("i"), one("p")]),
            Some(VerificationStatus::Inconclusive)
        );
        assert_eq!(
            outcome(vec![one("i"), one("eeeee")]),
            Some(VerificationStatus::Error)
        );
        assert_eq!(
            outcome(vec![one("p"), one("p")]),
            Some(VerificationStatus::Passed)
        );
        let dry = |statuses| run(json!({"dryRun": true}), statuses);
        assert_eq!(
            outcome(vec![one("p"), dry("f")]),
            Some(VerificationStatus::Passed)
        );
        assert_eq!(outcome(vec![dry("")]), None);
        assert_eq!(outcome(vec![dry("f")]), Some(VerificationStatus::Passed));
    }

    #[test]
    fn an_error_is_retried_within_ten_seconds() {
        let mut slow = run(json!({"count": 2, "intervalSeconds": 300}), "p");
        slow.last_at = Some(Timestamp(1000));
        slow.last = Some(MeasurementStatus::Passed);
        let it = verification(vec![slow.clone()]);
        assert_eq!(next_due(&it, &it.metrics[0]), Some(Timestamp(301_000)));
        slow.last = Some(MeasurementStatus::Error);
        let it = verification(vec![slow]);
        assert_eq!(next_due(&it, &it.metrics[0]), Some(Timestamp(11_000)));
    }

    #[test]
    fn measurement_table() {
        let metric: Metric = serde_json::from_value(
            json!({"name": "m", "provider": {}, "successCondition": "s", "failureCondition": "f"}),
        )
        .unwrap();
        let judge = |s: Option<bool>, f: Option<bool>| measurement(&metric, s.map(Ok), f.map(Ok)).0;
        assert_eq!(judge(Some(true), Some(true)), MeasurementStatus::Failed);
        assert_eq!(judge(Some(true), Some(false)), MeasurementStatus::Passed);
        assert_eq!(
            judge(Some(false), Some(false)),
            MeasurementStatus::Inconclusive
        );
        assert_eq!(judge(None, Some(false)), MeasurementStatus::Passed);
        assert_eq!(judge(None, Some(true)), MeasurementStatus::Failed);
        assert_eq!(judge(Some(false), None), MeasurementStatus::Failed);
        let error = measurement(&metric, Some(Err("boom".into())), Some(Ok(false)));
        assert_eq!(error.0, MeasurementStatus::Error);
    }
}
