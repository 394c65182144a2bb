//! The log, as audit.

mod describe;
mod list;
mod verify;

use crate::Answer;
use crate::commands::Asking;
use anyhow::Result;

/// Read the log: who did what when, and what was decided because of it.
#[derive(clap::Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  stagegate audit --limit 20
  stagegate audit --environment production --user alice
  stagegate audit --after 120 --follow
  stagegate audit verify
  stagegate audit verify --data ./data       without a server, from the database alone"
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: list::Filter,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(verify::Args),
}

impl Args {
    pub fn run(self, asking: Asking) -> Result<Answer> {
        match self.command {
            None => asking.ask(|session| self.list.run(session)),
            Some(Command::Verify(args)) => args.run(asking),
        }
    }
}
