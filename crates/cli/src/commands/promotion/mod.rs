//! One promotion.

mod show;

use crate::Answer;
use crate::session::Session;
use anyhow::Result;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Show(show::Args),
}

impl Command {
    pub async fn run(self, session: Session) -> Result<Answer> {
        match self {
            Self::Show(args) => args.run(session).await,
        }
    }
}
