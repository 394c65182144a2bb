//! Quarantine: versions with which nothing new starts in an environment.

mod clear;
mod list;

use crate::Answer;
use crate::session::Session;
use anyhow::Result;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    List(list::Args),
    Clear(clear::Args),
}

impl Command {
    pub async fn run(self, session: Session) -> Result<Answer> {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Clear(args) => args.run(session).await,
        }
    }
}
