//! One promotion.

mod act;
mod show;

use crate::Answer;
use crate::session::Session;
use anyhow::Result;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Show(show::Args),
    /// Stop a promotion: nothing starts for it any more, and what waits for an agent is cancelled
    Cancel(act::Args),
    /// Let a promotion that was cancelled go on, as a new attempt
    Reopen(act::Args),
    /// Let no further target start until it is resumed
    Pause(act::Args),
    /// Go on with a rollout that was paused
    Resume(act::Args),
}

impl Command {
    pub async fn run(self, session: Session) -> Result<Answer> {
        match self {
            Self::Show(args) => args.run(session).await,
            Self::Cancel(args) => args.run(session, act::Act::Cancel).await,
            Self::Reopen(args) => args.run(session, act::Act::Reopen).await,
            Self::Pause(args) => args.run(session, act::Act::Pause).await,
            Self::Resume(args) => args.run(session, act::Act::Resume).await,
        }
    }
}
