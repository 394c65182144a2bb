//! Runs named steps in order, says how long each took, and stops at the first that fails.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What cargo sets for the program it runs. A nested cargo must not see it: build scripts that
/// watch these variables would run again each time `cargo test` and `cargo xtask test` alternate.
const SET_BY_CARGO_RUN: &[&str] = &[
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
];

/// The steps that have passed so far.
#[derive(Default)]
pub struct Steps {
    passed: Vec<(String, Duration)>,
}

impl Steps {
    /// Runs one step; the error of one that fails names it, its time, and what passed before.
    pub fn run(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        eprintln!("xtask: {name} …");
        let started = Instant::now();
        let outcome = step();
        let took = started.elapsed();
        if let Err(error) = outcome {
            let before = if self.passed.is_empty() {
                String::new()
            } else {
                format!(" (passed before it: {})", self.summary())
            };
            bail!(
                "step `{name}` FAILED after {}: {error:#}{before}",
                seconds(took)
            );
        }
        eprintln!("xtask: {name} ok, {}", seconds(took));
        self.passed.push((name.to_owned(), took));
        Ok(())
    }

    /// Every passed step with its time, in one line.
    pub fn summary(&self) -> String {
        let parts: Vec<String> = self
            .passed
            .iter()
            .map(|(name, took)| format!("{name} {}", seconds(*took)))
            .collect();
        parts.join(", ")
    }

    /// What all passed steps took together.
    pub fn total(&self) -> Duration {
        self.passed.iter().map(|(_, took)| *took).sum()
    }
}

/// A duration as people read it here: `12.3 s`.
pub fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// Runs a program in `root` with its output passed through and no input; an exit status other than
/// zero is an error that shows the command.
pub fn execute(
    root: &Path,
    program: &OsStr,
    arguments: &[String],
    environment: &[(&str, &str)],
) -> Result<()> {
    let shown = format!(
        "{} {}",
        Path::new(program)
            .file_name()
            .unwrap_or(program)
            .to_string_lossy(),
        arguments.join(" ")
    );
    eprintln!("xtask: $ {shown}");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(root)
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if SET_BY_CARGO_RUN
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command.envs(environment.iter().copied());
    let status = command
        .status()
        .with_context(|| format!("`{shown}` could not be started"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}
