//! `stagegate test`

use crate::Answer;
use crate::failure::Failure;
use crate::output::Format;
use anyhow::Result;
use stagegate_scenario::{Options, Output, run_paths};
use std::io::Write as _;
use std::path::PathBuf;

/// Run scenarios: what happens to a workspace, and what must hold then, without a server and without waiting.
///
/// A scenario is a YAML file with documents as for `apply`, steps at relative times, and expectations; see
/// docs/scenarios.md. Folders are searched for `.yaml` and `.yml` files with `steps:`. The exit code is 1 when an
/// expectation does not hold, 2 when a file is no scenario.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate test scenarios/
  stagegate test scenarios/ --filter hotfix
  stagegate test policies/tests --output junit > report.xml
  stagegate test --schema > scenario.schema.json")]
pub struct Args {
    /// Files and folders
    #[arg(required_unless_present = "schema", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only scenarios whose path or name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How many at the same time; as many as there are cores when left out
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<usize>,
    /// Rewrite the timelines that scenarios with `golden: true` are compared with
    #[arg(long)]
    update: bool,
    /// Print the JSON Schema of the format, for editors
    #[arg(long)]
    schema: bool,
}

impl Args {
    pub fn run(self, format: Format) -> Result<Answer> {
        let mut stdout = std::io::stdout().lock();
        if self.schema {
            writeln!(stdout, "{:#}", stagegate_scenario::schema())?;
            return Ok(Answer::Yes);
        }
        let output = match format {
            Format::Text => Output::Human,
            Format::Json => Output::Json,
            Format::Junit => Output::Junit,
        };
        let jobs = self.jobs.unwrap_or_default();
        let report = run_paths(
            &self.paths,
            Options {
                filter: self.filter,
                jobs,
                update: self.update,
                output,
            },
        );
        stdout.write_all(report.text.as_bytes())?;
        if report.invalid > 0 {
            let what = format!("{} files are no scenarios", report.invalid);
            return Err(Failure::usage("invalid_scenario", what).into());
        }
        if report.passed + report.failed == 0 {
            return Err(Failure::usage(
                "invalid_scenario",
                "there are no scenarios in these paths",
            )
            .into());
        }
        Ok(if report.failed == 0 {
            Answer::Yes
        } else {
            Answer::No
        })
    }
}
