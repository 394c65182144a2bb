//! `stagegate notifiers list`

use crate::Answer;
use crate::commands::get::rows;
use crate::session::Session;
use anyhow::Result;

/// List notifiers and how their deliveries go.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate notifiers list")]
pub struct Args {}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let all = session.workspace().await?.notifiers().all().await?;
        session
            .out
            .show(&all, |all, paint| rows::notifiers(all, paint))?;
        Ok(Answer::Yes)
    }
}
