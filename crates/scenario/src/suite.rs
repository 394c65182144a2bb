//! Many scenarios: found under paths, run in parallel, reported in the order of their names.

use crate::report::{self, Outcome, Report, ScenarioResult};
use crate::run::{self, FileOutcome};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Folders within folders that are looked into.
const DEPTH_MAX: usize = 32;
/// The engine's expressions may go deep; scenarios run on threads of this size.
const STACK_BYTES: usize = 16 << 20;

/// How scenarios are run and reported.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only scenarios whose path or name contains this, whatever the case of its letters.
    pub filter: Option<String>,
    /// How many run at the same time; 0: as many as the machine has cores.
    pub jobs: usize,
    /// Rewrite the timelines that `golden: true` scenarios are compared with.
    pub update: bool,
    pub output: Output,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    #[default]
    Human,
    Json,
    /// JUnit XML, as CI servers read it.
    Junit,
}

/// Runs every scenario in the files and folders. In folders, files that end in `.yaml` or `.yml` and have `steps:`
/// are scenarios; a file that is named itself must be one.
#[must_use]
pub fn run_paths(paths: &[PathBuf], options: Options) -> Report {
    let mut results = Vec::new();
    let mut files = BTreeSet::new();
    for path in paths {
        if let Err(error) = find(path, true, 0, &mut files) {
            let file = path.display().to_string();
            results.push(ScenarioResult {
                name: String::new(),
                outcome: Outcome::Invalid(vec![format!("{file}: {error}")]),
                file,
                timeline: String::new(),
                steps: 0,
                entries: 0,
                duration: std::time::Duration::ZERO,
            });
        }
    }
    // A file that is both named and found in a folder runs once, as a named one.
    let named: BTreeSet<PathBuf> = files
        .iter()
        .filter(|(_, named)| *named)
        .map(|(path, _)| path.clone())
        .collect();
    files.retain(|(path, is_named)| *is_named || !named.contains(path));
    let files: Vec<(PathBuf, bool)> = files.into_iter().collect();
    let mut skipped = 0;
    for outcome in run_all(&files, &options) {
        match outcome {
            FileOutcome::Ran(result) => results.push(*result),
            FileOutcome::NoScenario | FileOutcome::FilteredOut => skipped += 1,
        }
    }
    results.sort_by(|a, b| a.file.cmp(&b.file));
    report::report(results, skipped, options.output)
}

fn find(
    path: &Path,
    named: bool,
    depth: usize,
    files: &mut BTreeSet<(PathBuf, bool)>,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    let kind = std::fs::metadata(path).map_err(failed)?;
    if !kind.is_dir() {
        let yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if named || yaml {
            files.insert((path.to_path_buf(), named));
        }
        return Ok(());
    }
    if depth >= DEPTH_MAX {
        return Err(format!("folders are nested deeper than {DEPTH_MAX} levels"));
    }
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // A link may lead back; what is meant to be tested is there itself.
        let link = entry.file_type().map_err(failed)?.is_symlink();
        if !link && !entry.file_name().to_string_lossy().starts_with('.') {
            find(&entry.path(), false, depth + 1, files)?;
        }
    }
    Ok(())
}

fn run_all(files: &[(PathBuf, bool)], options: &Options) -> Vec<FileOutcome> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = match options.jobs {
        0 => cores,
        jobs => jobs,
    };
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let work = || {
        while let Some((path, named)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let filter = options.filter.as_deref();
            // A defect in one scenario's run must not take the others with it.
            let run = || run::file(path, *named, filter, options.update);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
            let outcome = outcome.unwrap_or_else(|_| broken(path));
            outcomes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(outcome);
        }
    };
    std::thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..jobs.min(files.len()) {
            let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
            started += usize::from(builder.spawn_scoped(scope, work).is_ok());
        }
        // Without a single thread to be had, this one does it.
        if started == 0 {
            work();
        }
    });
    outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

fn broken(path: &Path) -> FileOutcome {
    let file = path.display().to_string();
    FileOutcome::Ran(Box::new(ScenarioResult {
        name: String::new(),
        outcome: Outcome::Invalid(vec![format!(
            "{file}: running it failed inside Stagegate; please report this with the file"
        )]),
        file,
        timeline: String::new(),
        steps: 0,
        entries: 0,
        duration: std::time::Duration::ZERO,
    }))
}
