//! `cargo xtask test`: everything that must hold before a change goes in.

use crate::needs::{self, Plan};
use crate::steps::{Steps, execute, seconds};
use crate::tidy;
use anyhow::{Result, bail};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

/// How to run the tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Leave the machine as it is, even when programs are missing.
    pub skip_install: bool,
    /// CI's settings: the lock file as committed, every failure shown, no incremental builds.
    pub ci: bool,
    /// Run only tests whose names contain one of these; all when empty.
    pub filters: Vec<String>,
}

impl Options {
    /// Reads what follows `test` or `ci`; `CI` in the environment turns CI's settings on.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            ci: std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false"),
            ..Self::default()
        };
        for argument in arguments {
            match argument.as_str() {
                "--skip-install" => options.skip_install = true,
                flag if flag.starts_with('-') => {
                    bail!(
                        "`{flag}` is no option of `test`; it takes `--skip-install` and names of tests"
                    )
                }
                filter => options.filters.push(filter.to_owned()),
            }
        }
        Ok(options)
    }
}

/// The cargo commands, as (step, arguments), in the order in which they run after `needs`.
/// `tidy` has no arguments: it runs in this process.
pub fn cargo_steps(options: &Options) -> Vec<(&'static str, Vec<String>)> {
    // The lock file decides what is built; CI must not quietly choose other versions.
    let locked = if options.ci { &["--locked"][..] } else { &[] };
    let mut test = vec!["test", "--workspace"];
    test.extend(locked);
    if options.ci {
        test.push("--no-fail-fast");
    }
    if !options.filters.is_empty() {
        test.push("--");
        test.extend(options.filters.iter().map(String::as_str));
    }
    // More seeds than the tests run, built for speed; a person who checks a change calls `cargo xtask sim`.
    let simulate = ["run", "--release", "--locked", "-p", "stagegate-sim", "--"];
    let simulate = [&simulate[..], &["--seeds", "2000"]].concat();
    let simulates = options.ci && options.filters.is_empty();
    let mut steps = vec![
        ("format", vec!["fmt", "--all", "--check"]),
        ("tidy", vec![]),
        (
            "clippy",
            [
                &["clippy", "--workspace", "--all-targets"],
                locked,
                &["--", "-D", "warnings"],
            ]
            .concat(),
        ),
        // Tests drive the real binary, and `cargo test` alone does not build it for every crate.
        (
            "build",
            [&["build", "--workspace", "--bins"], locked].concat(),
        ),
        ("test", test),
    ];
    // That every benchmark still runs, and that the hot paths take no more instructions than is written down.
    let bench = [
        "run",
        "--release",
        "--locked",
        "-p",
        "stagegate-bench",
        "--",
    ];
    let smoke = [&bench[..], &["--quick"]].concat();
    let instructions = [&bench[..], &["--instructions"]].concat();
    if simulates {
        steps.push(("simulate", simulate));
        steps.push(("bench", smoke));
        steps.push(("instructions", instructions));
    }
    steps
        .into_iter()
        .map(|(name, arguments)| (name, arguments.into_iter().map(String::from).collect()))
        .collect()
}

/// Runs all steps in the repository at `root`.
pub fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let environment: &[(&str, &str)] = if options.ci {
        // `CI` also stops snapshot tests from writing new snapshots beside the old.
        &[
            ("CI", "true"),
            ("CARGO_INCREMENTAL", "0"),
            ("RUST_BACKTRACE", "1"),
        ]
    } else {
        &[]
    };
    let mut steps = Steps::default();
    steps.run("needs", || ensure_needs(root, &cargo, options))?;
    for (name, arguments) in cargo_steps(options) {
        steps.run(name, || {
            if name == "tidy" {
                run_tidy(root)
            } else {
                execute(root, &cargo, &arguments, environment)
            }
        })?;
    }
    eprintln!("xtask: {}", steps.summary());
    eprintln!("xtask: all passed in {}", seconds(steps.total()));
    Ok(ExitCode::SUCCESS)
}

fn run_tidy(root: &Path) -> Result<()> {
    let problems = tidy::check(root)?;
    tidy::report(&problems);
    match problems.len() {
        0 => Ok(()),
        count => bail!("{count} found, listed above"),
    }
}

/// Installs what is missing where that is possible; says what to run where it is not.
fn ensure_needs(root: &Path, cargo: &OsStr, options: &Options) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing = needs::missing(needs::NEEDS, &path);
    if options.skip_install {
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
            eprintln!(
                "xtask: not installed, and left so: {}; tests that need them will say so",
                names.join(", ")
            );
        }
        return Ok(());
    }
    let components = needs::missing_components(cargo);
    let plans = [
        needs::plan_components(&components, needs::on_path("rustup", &path)),
        needs::plan(&missing, needs::is_root(), needs::on_path("apt-get", &path)),
    ];
    for plan in plans {
        match plan {
            Plan::Ready => {}
            Plan::Run(commands) => {
                for command in commands {
                    let (program, arguments) = command
                        .split_first()
                        .expect("a planned command has a program");
                    // No package may stop to ask a question: nobody is there to answer.
                    let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
                    execute(root, OsStr::new(program), arguments, &quiet)?;
                }
            }
            Plan::Tell(text) => bail!(text),
        }
    }
    let still = needs::missing(needs::NEEDS, &path);
    if !still.is_empty() {
        let names: Vec<&str> = still.iter().map(|need| need.package).collect();
        bail!(
            "{} installed, but not found on PATH afterwards",
            names.join(", ")
        );
    }
    Ok(())
}
