//! For programs: one JSON object.

use super::{Outcome, Report};
use serde_json::{Value as Json, json};

pub(super) fn text(report: &Report) -> String {
    let scenarios: Vec<Json> = report
        .scenarios
        .iter()
        .map(|scenario| {
            let (status, failures, errors) = match &scenario.outcome {
                Outcome::Passed => ("passed", Vec::new(), Vec::new()),
                Outcome::Failed(failures) => {
                    let failures = failures.iter().map(|failure| {
                        json!({
                            "line": failure.line, "column": failure.column,
                            "step": failure.step, "at": failure.at,
                            "expected": failure.expected, "got": failure.got, "why": failure.why,
                        })
                    });
                    ("failed", failures.collect(), Vec::new())
                }
                Outcome::Invalid(errors) => ("invalid", Vec::new(), errors.clone()),
            };
            json!({
                "file": scenario.file, "name": scenario.name, "status": status,
                "failures": failures, "errors": errors,
                "steps": scenario.steps, "entries": scenario.entries,
                "seconds": scenario.duration.as_secs_f64(),
                "timeline": scenario.timeline.lines().collect::<Vec<_>>(),
            })
        })
        .collect();
    let whole = json!({
        "passed": report.passed, "failed": report.failed,
        "invalid": report.invalid, "skipped": report.skipped,
        "scenarios": scenarios,
    });
    format!("{whole:#}\n")
}
