//! What came of running scenarios, for people, programs and CI servers.

mod human;
mod json;
mod junit;

use crate::suite::Output;
use std::time::Duration;

/// What came of all scenarios.
#[derive(Clone, Debug)]
pub struct Report {
    pub passed: usize,
    pub failed: usize,
    /// Files that could not be run: unreadable, not the format, documents refused.
    pub invalid: usize,
    /// Files without a scenario, and scenarios that the filter left out.
    pub skipped: usize,
    /// In the order of their files.
    pub scenarios: Vec<ScenarioResult>,
    /// The report in the form that was asked for; ends with a line break.
    pub text: String,
}

/// What came of one scenario.
#[derive(Clone, Debug)]
pub struct ScenarioResult {
    pub file: String,
    /// Empty when the file could not be read so far.
    pub name: String,
    pub outcome: Outcome,
    /// What happened, in words, as far as it ran.
    pub timeline: String,
    pub steps: usize,
    /// How many entries the log had in the end.
    pub entries: usize,
    pub duration: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Passed,
    /// The expectations of one step that do not hold; nothing after that step was run.
    Failed(Vec<Failure>),
    /// Why it could not be run, each with its place.
    Invalid(Vec<String>),
}

/// An expectation that does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Where it stands in the file, from 1.
    pub line: usize,
    pub column: usize,
    /// Which step, from 1; 0 when the whole is meant.
    pub step: usize,
    /// When, since the start.
    pub at: String,
    pub expected: String,
    pub got: String,
    /// What `why` says at that moment, a line each.
    pub why: Vec<String>,
}

impl Report {
    /// 0: all passed; 1: some failed; 2: some could not be run, or there was none.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self { invalid: 1.., .. } => 2,
            Self { failed: 1.., .. } => 1,
            Self { passed: 0, .. } => 2,
            _ => 0,
        }
    }
}

pub(crate) fn report(scenarios: Vec<ScenarioResult>, skipped: usize, output: Output) -> Report {
    let count =
        |wanted: fn(&Outcome) -> bool| scenarios.iter().filter(|it| wanted(&it.outcome)).count();
    let mut report = Report {
        passed: count(|outcome| matches!(outcome, Outcome::Passed)),
        failed: count(|outcome| matches!(outcome, Outcome::Failed(_))),
        invalid: count(|outcome| matches!(outcome, Outcome::Invalid(_))),
        skipped,
        scenarios,
        text: String::new(),
    };
    report.text = match output {
        Output::Human => human::text(&report),
        Output::Json => json::text(&report),
        Output::Junit => junit::text(&report),
    };
    report
}
