//! `verification`: measurements after (or during) a job. No gate itself; the release succeeds only after it passed.

mod judge;

pub use judge::{MetricOutcome, measurement, metric_outcome, next_due, verification_outcome};

use super::{GateContext, RuleEvaluator, RuleKind, Verdict, read_spec};
use crate::catalog::Draft;
use crate::expressions::{check_cel, condition_schema, template_rejection, template_schema};
use serde::Deserialize;
use stagegate_expressions::template::{self, JsonTemplate};
use stagegate_model::{Json, Metric, Rejection, VerificationTrigger};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) const KIND: RuleKind = RuleKind {
    kind: "verification",
    doc: include_str!("doc.md"),
    schema: include_str!("schema.json"),
    check,
    compile,
};

/// How many metrics a rule may have.
const METRICS_MAX: usize = 50;

/// The rule as users write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    pub metrics: Vec<Metric>,
    #[serde(default = "job_success")]
    pub trigger_on: VerificationTrigger,
    /// Of each metric, its provider's configuration.
    #[serde(skip)]
    pub providers: Vec<JsonTemplate>,
}

fn job_success() -> VerificationTrigger {
    VerificationTrigger::JobSuccess
}

impl RuleEvaluator for Spec {
    fn evaluate(&self, _: &GateContext<'_>) -> Option<Verdict> {
        None
    }

    fn verification(&self) -> Option<&Spec> {
        Some(self)
    }
}

fn compile(spec: &Json) -> Result<Arc<dyn RuleEvaluator>, Rejection> {
    let mut spec: Spec = read_spec(spec)?;
    let providers = spec.metrics.iter().map(|metric| &metric.provider);
    spec.providers = providers
        .map(|provider| JsonTemplate::compile(provider, template_schema()))
        .collect();
    Ok(Arc::new(spec))
}

fn check(spec: &Json, _: &Draft<'_>) -> Result<(), Rejection> {
    let spec: Spec = read_spec(spec)?;
    if spec.metrics.is_empty() || spec.metrics.len() > METRICS_MAX {
        let message = format!(
            "it has {} metrics; 1 to {METRICS_MAX} are allowed",
            spec.metrics.len()
        );
        return Err(Rejection::invalid("invalid_rule", message).at("metrics"));
    }
    let mut names = BTreeSet::new();
    for (index, metric) in spec.metrics.iter().enumerate() {
        check_metric(metric).map_err(|rejection| rejection.at(format!("metrics[{index}]")))?;
        if !names.insert(&metric.name) {
            let message = format!("there are two metrics with the name `{}`", metric.name);
            return Err(Rejection::invalid("invalid_rule", message)
                .at("name")
                .at(format!("metrics[{index}]")));
        }
    }
    Ok(())
}

fn check_metric(metric: &Metric) -> Result<(), Rejection> {
    let refuse = |field: &str, message: &str, hint: &str| {
        Err(Rejection::invalid("invalid_rule", message)
            .at(field)
            .hint(hint))
    };
    if metric.name.trim().is_empty() {
        return refuse("name", "a metric needs a name", "");
    }
    if metric.count == 0 {
        return refuse(
            "count",
            "with a count of 0 nothing is ever measured",
            "give at least 1",
        );
    }
    if metric.count > 1 && metric.interval_seconds == 0 {
        return refuse(
            "intervalSeconds",
            "several measurements need an interval",
            "give `intervalSeconds` of at least 1",
        );
    }
    if metric.success_condition.is_none() && metric.failure_condition.is_none() {
        return refuse(
            "successCondition",
            "there is no condition at all",
            "give `successCondition`, `failureCondition` or both",
        );
    }
    for (field, condition) in [
        ("successCondition", &metric.success_condition),
        ("failureCondition", &metric.failure_condition),
    ] {
        if let Some(condition) = condition {
            check_cel(condition, condition_schema(), field)?;
        }
    }
    if metric
        .success_threshold
        .is_some_and(|threshold| threshold == 0 || threshold > metric.count)
    {
        return refuse(
            "successThreshold",
            "it can never be reached, or is reached by nothing",
            "give 1 to `count`",
        );
    }
    if metric.failure_threshold >= metric.count {
        return refuse(
            "failureThreshold",
            "with it the metric can never fail",
            "give less than `count`",
        );
    }
    if metric.provider.get("type").and_then(Json::as_str).is_none() {
        return refuse(
            "provider.type",
            "the provider has no type",
            "give `type: http` or another provider's",
        );
    }
    template::check_json(&metric.provider, template_schema())
        .map_err(|error| template_rejection(&error, "provider"))
}
