//! Jobs.

mod cancel;
mod list;
mod logs;
mod show;

use crate::Answer;
use crate::session::Session;
use anyhow::Result;

/// List jobs, newest first; look into one, watch its output, or cancel it.
#[derive(clap::Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  stagegate jobs --environment production --status failure
  stagegate jobs show 0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10
  stagegate jobs logs -f 0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10
  stagegate jobs cancel 0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10 --reason 'wrong host'"
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: list::Filter,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(visible_alias = "get")]
    Show(show::Args),
    Logs(logs::Args),
    Cancel(cancel::Args),
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        match self.command {
            None => self.list.run(session).await,
            Some(Command::Show(args)) => args.run(session).await,
            Some(Command::Logs(args)) => args.run(session).await,
            Some(Command::Cancel(args)) => args.run(session).await,
        }
    }
}
