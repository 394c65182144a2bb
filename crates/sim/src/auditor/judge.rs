//! The auditor's own judgement of measurements: conditions of the form `result.v <= N` and `result.v > N`.

use super::ledger::RunRecord;
use stagegate_model::{Json, MeasurementStatus, Metric, VerificationStatus};

/// How a measurement must have been judged. One that could not be taken is an error.
pub fn measurement(metric: &Metric, data: &Json) -> MeasurementStatus {
    let Some(value) = data.get("v").and_then(Json::as_i64) else {
        return MeasurementStatus::Error;
    };
    let failed = metric
        .failure_condition
        .as_deref()
        .map(|it| compare(it, value));
    let passed = metric
        .success_condition
        .as_deref()
        .map(|it| compare(it, value));
    match (failed, passed) {
        (Some(true), _) => MeasurementStatus::Failed,
        (_, Some(true)) | (Some(false), None) => MeasurementStatus::Passed,
        (Some(false), Some(false)) => MeasurementStatus::Inconclusive,
        (None, Some(false)) => MeasurementStatus::Failed,
        (None, None) => MeasurementStatus::Error,
    }
}

fn compare(condition: &str, value: i64) -> bool {
    let bound = |text: &str| text.trim().parse::<i64>().unwrap_or(0);
    match (condition.split_once("<="), condition.split_once('>')) {
        (Some((_, to)), _) => value <= bound(to),
        (None, Some((_, over))) => value > bound(over),
        _ => panic!("the auditor does not know `{condition}`"),
    }
}

/// How a verification must end by its measurements so far; `None` while it has to go on.
pub fn outcome(run: &RunRecord) -> Option<VerificationStatus> {
    let of_all = |dry: bool| {
        let metrics = run.metrics.iter();
        metrics
            .filter(move |(planned, _)| planned.metric.dry_run == dry)
            .map(|(planned, statuses)| metric(&planned.metric, statuses))
            .collect::<Vec<_>>()
    };
    let deciding = of_all(false);
    if deciding.is_empty() {
        let running = of_all(true).contains(&None);
        return (!running).then_some(VerificationStatus::Passed);
    }
    if deciding.contains(&Some(VerificationStatus::Failed)) {
        return Some(VerificationStatus::Failed);
    }
    let worst: Option<Vec<VerificationStatus>> = deciding.into_iter().collect();
    let worst = worst?;
    [VerificationStatus::Error, VerificationStatus::Inconclusive]
        .into_iter()
        .find(|status| worst.contains(status))
        .or(Some(VerificationStatus::Passed))
}

/// Where a metric stands; `None` while it has to go on.
fn metric(metric: &Metric, statuses: &[MeasurementStatus]) -> Option<VerificationStatus> {
    let count = |wanted: MeasurementStatus| {
        u32::try_from(statuses.iter().filter(|it| **it == wanted).count()).unwrap_or(u32::MAX)
    };
    let trailing = |wanted: MeasurementStatus| {
        let run = statuses.iter().rev().take_while(|it| **it == wanted);
        u32::try_from(run.count()).unwrap_or(u32::MAX)
    };
    let counted =
        u32::try_from(statuses.len()).unwrap_or(u32::MAX) - count(MeasurementStatus::Error);
    if count(MeasurementStatus::Failed) > metric.failure_threshold {
        Some(VerificationStatus::Failed)
    } else if count(MeasurementStatus::Inconclusive) > metric.inconclusive_threshold {
        Some(VerificationStatus::Inconclusive)
    } else if trailing(MeasurementStatus::Error) > metric.consecutive_error_threshold {
        Some(VerificationStatus::Error)
    } else if metric
        .success_threshold
        .is_some_and(|needed| trailing(MeasurementStatus::Passed) >= needed)
    {
        Some(VerificationStatus::Passed)
    } else if counted < metric.count {
        None
    } else if metric.success_threshold.is_some() {
        Some(VerificationStatus::Inconclusive)
    } else {
        Some(VerificationStatus::Passed)
    }
}
