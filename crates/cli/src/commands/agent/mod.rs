//! Job agents, and the runner that works for one.

mod list;
mod run;

use crate::Answer;
use crate::commands::Asking;
use anyhow::Result;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Run(run::Args),
    List(list::Args),
}

impl Command {
    pub fn run(self, asking: Asking) -> Result<Answer> {
        match self {
            Self::Run(args) => args.run(&asking),
            Self::List(args) => asking.ask(|session| args.run(session)),
        }
    }
}
