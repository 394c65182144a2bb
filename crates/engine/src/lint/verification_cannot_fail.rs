//! A verification that can never fail.

use super::sight::Sight;
use super::{Found, Lint, Severity};
use crate::expressions::condition_schema;
use stagegate_expressions::cel::Program;
use stagegate_model::Metric;

pub(super) const LINT: Lint = Lint {
    code: "verification_cannot_fail",
    severity: Severity::Warning,
    title: "A verification that can never fail",
    why: "whatever is measured, the version counts as verified and goes on",
    mend: "give a condition over `result` that can be false, a `failureThreshold` below `count`, and at least one metric without `dryRun`",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for rule in sight.rules() {
        let evaluator = rule.compiled.evaluator.as_ref().ok();
        let Some(spec) = evaluator.and_then(|it| it.verification()) else {
            continue;
        };
        let deciding = spec.metrics.iter().any(|metric| !metric.dry_run);
        if !deciding {
            let message = "all metrics are dry runs, so none decides";
            found.add(rule.object(), rule.field("metrics"), message);
        }
        for (index, metric) in spec.metrics.iter().enumerate() {
            if let Some((member, why)) = never_fails(metric) {
                let message = format!("the metric `{}` can never fail: {why}", metric.name);
                let field = format!("metrics[{index}].{member}");
                found.add(rule.object(), rule.field(&field), message);
            }
        }
    }
}

/// The member at fault, and why no measurements make the metric fail.
fn never_fails(metric: &Metric) -> Option<(&'static str, String)> {
    if metric.failure_threshold >= metric.count {
        let why = format!(
            "it may fail {} times, and is measured {} times",
            metric.failure_threshold, metric.count
        );
        return Some(("failureThreshold", why));
    }
    let constant = |condition: &Option<String>| {
        let text = condition.as_ref()?;
        let program = Program::compile_condition(text, condition_schema()).ok()?;
        Some((text.clone(), program.constant()?))
    };
    match (&metric.failure_condition, &metric.success_condition) {
        (Some(_), _) => match constant(&metric.failure_condition)? {
            (text, false) => Some(("failureCondition", format!("`{text}` is always false"))),
            _ => None,
        },
        (None, _) => match constant(&metric.success_condition)? {
            (text, true) => Some(("successCondition", format!("`{text}` is always true"))),
            _ => None,
        },
    }
}
