//! One scenario from its file to its outcome.

use crate::check::check;
use crate::format::{self, Refused, Scenario, Step};
use crate::reader::spelled;
use crate::report::{Failure, Outcome, ScenarioResult};
use crate::why;
use crate::world::{Refusal, Trouble, World};
use crate::yaml::{self, Position};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bytes of a scenario file.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What became of a file.
pub(crate) enum FileOutcome {
    Ran(Box<ScenarioResult>),
    /// It holds no scenario; a file of documents that scenarios name, say.
    NoScenario,
    /// Its name does not contain what was asked for.
    FilteredOut,
}

/// Runs the scenario in a file. A file that holds none is an error when it was `named` itself.
pub(crate) fn file(path: &Path, named: bool, filter: Option<&str>, update: bool) -> FileOutcome {
    let started = Instant::now();
    let shown = path.display().to_string();
    let mut result = ScenarioResult {
        file: shown.clone(),
        name: String::new(),
        outcome: Outcome::Passed,
        timeline: String::new(),
        steps: 0,
        entries: 0,
        duration: std::time::Duration::ZERO,
    };
    let invalid = |mut result: ScenarioResult, errors: Vec<String>| {
        result.outcome = Outcome::Invalid(errors);
        result.duration = started.elapsed();
        FileOutcome::Ran(Box::new(result))
    };
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => return invalid(result, vec![format!("{shown}: {error}")]),
    };
    // A file of documents may hold what scenarios may not, so what does not look like a scenario is not judged.
    let looks = text.lines().any(|line| line.starts_with("steps:"));
    if !looks && !named {
        return FileOutcome::NoScenario;
    }
    let documents = match yaml::parse(&text) {
        Ok(documents) => documents,
        Err(fault) => {
            let Position { line, column } = fault.at;
            return invalid(
                result,
                vec![format!("{shown}:{line}:{column}: {}", fault.message)],
            );
        }
    };
    if !named && !format::is_scenario(&documents) {
        return FileOutcome::NoScenario;
    }
    let scenario = match format::read(&documents) {
        Ok(scenario) => scenario,
        Err(errors) => {
            let errors = errors.iter().map(|error| error.rendered(&shown)).collect();
            return invalid(result, errors);
        }
    };
    if let Some(filter) = filter {
        let filter = filter.to_lowercase();
        let fits = |text: &str| text.to_lowercase().contains(&filter);
        if !fits(&shown) && !fits(&scenario.name) {
            return FileOutcome::FilteredOut;
        }
    }
    result.name.clone_from(&scenario.name);
    result.steps = scenario.steps.len();
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    play(&scenario, &shown, &folder, &mut result);
    if scenario.golden && matches!(result.outcome, Outcome::Passed) {
        result.outcome = golden(path, &result.timeline, update);
    }
    result.duration = started.elapsed();
    FileOutcome::Ran(Box::new(result))
}

fn read(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path)
        .map_err(|error| format!("cannot be read: {error}"))?
        .len();
    if size > FILE_BYTES_MAX {
        return Err(format!("it has more than {FILE_BYTES_MAX} bytes"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}

fn play(scenario: &Scenario, file: &str, folder: &Path, result: &mut ScenarioResult) {
    let mut world = match prepare(scenario, file, folder) {
        Ok(world) => world,
        Err(trouble) => {
            let errors = match trouble {
                Trouble::Refused(refusals) => refusals.iter().map(Refusal::rendered).collect(),
                Trouble::Wrong(message) => vec![message],
            };
            result.outcome = Outcome::Invalid(errors);
            return;
        }
    };
    for (index, step) in scenario.steps.iter().enumerate() {
        let failures = play_step(&mut world, step, index + 1);
        if !failures.is_empty() {
            result.outcome = Outcome::Failed(failures);
            break;
        }
    }
    result.timeline = world.timeline.rendered();
    result.entries = world.entries_len();
}

/// A world with what is given.
fn prepare(scenario: &Scenario, file: &str, folder: &Path) -> Result<World, Trouble> {
    let mut world = World::new(scenario, file, folder.to_path_buf())?;
    // What is in place comes second, so that it can say otherwise than the files.
    let given = world.file_sources(&scenario.given)?;
    let documents = world.inline_sources(&scenario.documents);
    if !given.is_empty() || !documents.is_empty() {
        world.tell("given".to_owned());
    }
    world.apply(&given, stagegate_model::Actor::System)?;
    world.apply(&documents, stagegate_model::Actor::System)?;
    Ok(world)
}

fn play_step(world: &mut World, step: &Step, number: usize) -> Vec<Failure> {
    let to = world.start.plus_millis(step.millis);
    let failure = |world: &World, at: Position, expected: String, got: String| Failure {
        line: at.line,
        column: at.column,
        step: number,
        at: spelled(step.millis),
        expected,
        got,
        why: why::lines(
            world,
            crate::check::About {
                deployment: world.deployment(None).ok(),
                ..Default::default()
            },
        ),
    };
    if let Err(trouble) = world.advance(to) {
        let got = described(&trouble);
        let expected = format!("time passes until {}", spelled(step.millis));
        return vec![failure(world, step.at, expected, got)];
    }
    world.step_facts.clear();
    if !step.note.is_empty() {
        world.tell(format!("# {}", step.note));
    }
    for act in &step.acts {
        let done = world.perform(act);
        let judged = match (&step.refused, done) {
            (None, Ok(())) => Ok(()),
            (Some(refused), Err(Trouble::Refused(refusals))) => {
                let words: Vec<String> = refusals.iter().map(Refusal::rendered).collect();
                world.tell(format!("  refused: {}", words.join("; ")));
                match refusals.iter().any(|refusal| fits(refused, refusal)) {
                    true => Ok(()),
                    false => Err((refused.at, wanted(refused), words.join("\n"))),
                }
            }
            (Some(refused), Ok(())) => {
                Err((refused.at, wanted(refused), "it was accepted".to_owned()))
            }
            (_, Err(trouble)) => {
                let expected = "this can be done".to_owned();
                Err((act.at, expected, described(&trouble)))
            }
        };
        if let Err((at, expected, got)) = judged {
            return vec![failure(world, at, expected, got)];
        }
    }
    // What follows at this very moment: agents that answer at once, measurements that are due.
    if let Err(trouble) = world.advance(to) {
        let expected = "what follows can happen".to_owned();
        return vec![failure(world, step.at, expected, described(&trouble))];
    }
    let mut failures = Vec::new();
    for expectation in &step.expect {
        if let Err(mismatch) = check(world, expectation) {
            failures.push(Failure {
                line: expectation.at.line,
                column: expectation.at.column,
                step: number,
                at: spelled(step.millis),
                expected: mismatch.expected,
                got: mismatch.got,
                why: why::lines(world, mismatch.about),
            });
        }
    }
    failures
}

fn described(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Refused(refusals) => {
            let words: Vec<String> = refusals.iter().map(Refusal::rendered).collect();
            format!("it was refused: {}", words.join("\n"))
        }
        Trouble::Wrong(message) => message.clone(),
    }
}

fn fits(wanted: &Refused, refusal: &Refusal) -> bool {
    let contains = |wanted: &Option<String>, text: &str| {
        wanted
            .as_ref()
            .is_none_or(|wanted| text.to_lowercase().contains(&wanted.to_lowercase()))
    };
    wanted
        .code
        .as_ref()
        .is_none_or(|code| *code == refusal.code)
        && contains(&wanted.message, &refusal.message)
        && wanted
            .field
            .as_ref()
            .is_none_or(|field| *field == refusal.field)
        && wanted.line.is_none_or(|line| {
            refusal
                .place
                .as_ref()
                .is_some_and(|place| place.1 as u64 == line)
        })
}

fn wanted(refused: &Refused) -> String {
    let mut parts = Vec::new();
    for (name, value) in [
        ("code", refused.code.clone()),
        (
            "message",
            refused.message.as_ref().map(|it| format!("… {it} …")),
        ),
        ("field", refused.field.clone()),
        ("line", refused.line.map(|line| line.to_string())),
    ] {
        parts.extend(value.map(|value| format!("{name}: {value}")));
    }
    format!("it is refused: {}", parts.join(", "))
}

/// Compares the timeline with the file beside the scenario, or writes that file.
fn golden(path: &Path, timeline: &str, update: bool) -> Outcome {
    let beside = path.with_extension("timeline");
    let shown = beside.display();
    let wrong = |step: usize, line: usize, expected: String, got: String| {
        Outcome::Failed(vec![Failure {
            line,
            column: 1,
            step,
            at: "the end".to_owned(),
            expected,
            got,
            why: vec!["if the timeline is right, run again with --update".to_owned()],
        }])
    };
    if update {
        return match std::fs::write(&beside, timeline) {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Invalid(vec![format!("cannot write {shown}: {error}")]),
        };
    }
    let kept = match std::fs::read_to_string(&beside) {
        Ok(kept) => kept.replace("\r\n", "\n"),
        Err(error) => {
            let got = format!("the file cannot be read: {error}");
            return wrong(0, 1, format!("the timeline in {shown}"), got);
        }
    };
    if kept == timeline {
        return Outcome::Passed;
    }
    let mut kept = kept.lines();
    let mut now = timeline.lines();
    let mut number = 0;
    loop {
        number += 1;
        match (kept.next(), now.next()) {
            (None, None) => {
                return wrong(
                    0,
                    1,
                    format!("{shown} ends with a line break"),
                    String::new(),
                );
            }
            (expected, got) if expected != got => {
                let shown_line =
                    |line: Option<&str>| line.unwrap_or("(the end)").trim_end().to_owned();
                return wrong(
                    0,
                    1,
                    format!("{} ({shown}:{number})", shown_line(expected)),
                    shown_line(got),
                );
            }
            _ => {}
        }
    }
}
