//! For a person: what failed, with everything needed to see why; then one line.

use super::{Failure, Outcome, Report, ScenarioResult};

/// Lines of a timeline that are shown; the last ones.
const TIMELINE_LINES_MAX: usize = 60;

pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    for scenario in &report.scenarios {
        match &scenario.outcome {
            Outcome::Passed => {}
            Outcome::Failed(failures) => {
                text.push_str(&format!("FAILED {}: {}\n", scenario.file, scenario.name));
                text.push_str(&all(scenario, failures));
                text.push_str(&timeline(scenario));
                text.push('\n');
            }
            Outcome::Invalid(errors) => {
                text.push_str(&format!("INVALID {}\n", scenario.file));
                for error in errors {
                    text.push_str(&indented(error, "  "));
                }
                text.push('\n');
            }
        }
    }
    let mut counts = vec![format!("{} passed", report.passed)];
    if report.failed > 0 {
        counts.push(format!("{} failed", report.failed));
    }
    if report.invalid > 0 {
        counts.push(format!("{} invalid", report.invalid));
    }
    if report.skipped > 0 {
        let files = if report.skipped == 1 { "file" } else { "files" };
        counts.push(format!("{} {files} skipped", report.skipped));
    }
    text.push_str(&format!("{}\n", counts.join(", ")));
    if report.scenarios.is_empty() {
        text.push_str("no scenario was found: a scenario is a `.yaml` file with `steps:`\n");
    }
    text
}

/// Expectations that do not hold, in the words that all outputs share; the same `why` is not told twice in a row.
pub(super) fn all(scenario: &ScenarioResult, failures: &[Failure]) -> String {
    let mut text = String::new();
    let mut told: &[String] = &[];
    for failure in failures {
        let repeated = !failure.why.is_empty() && failure.why == told;
        text.push_str(&one(scenario, failure, repeated));
        told = &failure.why;
    }
    text
}

fn one(scenario: &ScenarioResult, failure: &Failure, repeated: bool) -> String {
    let step = match failure.step {
        0 => String::new(),
        step => format!(", step {step}"),
    };
    let mut text = format!(
        "  at {}{step} ({}:{}:{})\n",
        failure.at, scenario.file, failure.line, failure.column
    );
    for (label, value) in [("expected", &failure.expected), ("got", &failure.got)] {
        text.push_str(&labelled(label, value.lines()));
    }
    if repeated {
        text.push_str(&labelled("why", ["as above"].into_iter()));
    } else if !failure.why.is_empty() {
        text.push_str(&labelled("why", failure.why.iter().map(String::as_str)));
    }
    text
}

fn labelled<'a>(label: &str, lines: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for (index, line) in lines.enumerate() {
        let label = if index == 0 { label } else { "" };
        text.push_str(format!("    {label:<9} {line}").trim_end());
        text.push('\n');
    }
    text
}

pub(super) fn timeline(scenario: &ScenarioResult) -> String {
    let lines: Vec<&str> = scenario.timeline.lines().collect();
    if lines.is_empty() {
        return String::new();
    }
    let hidden = lines.len().saturating_sub(TIMELINE_LINES_MAX);
    let mut text = "  timeline\n".to_owned();
    if hidden > 0 {
        text.push_str(&format!("    ({hidden} earlier lines)\n"));
    }
    for line in lines.iter().skip(hidden) {
        text.push_str(&format!("    {line}\n"));
    }
    text
}

fn indented(text: &str, indent: &str) -> String {
    text.lines()
        .map(|line| format!("{indent}{line}\n"))
        .collect()
}
