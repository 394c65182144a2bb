//! API keys.

mod create;
mod list;
mod revoke;

use crate::Answer;
use crate::session::Session;
use anyhow::Result;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Create(create::Args),
    List(list::Args),
    Revoke(revoke::Args),
}

impl Command {
    pub async fn run(self, session: Session) -> Result<Answer> {
        match self {
            Self::Create(args) => args.run(session).await,
            Self::List(args) => args.run(session).await,
            Self::Revoke(args) => args.run(session).await,
        }
    }
}
