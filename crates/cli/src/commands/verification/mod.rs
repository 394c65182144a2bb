//! Verifications.

mod decide;
mod rerun;
mod show;

use crate::Answer;
use crate::session::Session;
use anyhow::Result;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Show(show::Args),
    /// Decide that it passed, where measurements could not decide
    Pass(decide::Args),
    /// Decide that it failed, where measurements could not decide
    Fail(decide::Args),
    Rerun(rerun::Args),
}

impl Command {
    pub async fn run(self, session: Session) -> Result<Answer> {
        match self {
            Self::Show(args) => args.run(session).await,
            Self::Pass(args) => args.run(session, true).await,
            Self::Fail(args) => args.run(session, false).await,
            Self::Rerun(args) => args.run(session).await,
        }
    }
}
