//! Notifiers.

mod list;
mod test;

use crate::Answer;
use crate::session::Session;
use anyhow::Result;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    List(list::Args),
    Test(test::Args),
}

impl Command {
    pub async fn run(self, session: Session) -> Result<Answer> {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Test(args) => args.run(session).await,
        }
    }
}
