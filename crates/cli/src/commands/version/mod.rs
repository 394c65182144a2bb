//! Versions.

mod create;
mod list;
mod reject;
mod set_status;

pub use list::render;

use crate::Answer;
use crate::session::Session;
use anyhow::Result;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Create(Box<create::Args>),
    List(list::Args),
    SetStatus(set_status::Args),
    Reject(reject::Args),
}

impl Command {
    pub async fn run(self, session: Session) -> Result<Answer> {
        match self {
            Self::Create(args) => args.run(session).await,
            Self::List(args) => args.run(session).await,
            Self::SetStatus(args) => args.run(session).await,
            Self::Reject(args) => args.run(session).await,
        }
    }
}
