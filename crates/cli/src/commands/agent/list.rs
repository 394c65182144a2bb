//! `stagegate agent list`

use crate::Answer;
use crate::commands::get::rows;
use crate::session::Session;
use anyhow::Result;

/// List job agents.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate agent list")]
pub struct Args {}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let agents = session.workspace().await?.job_agents().all().await?;
        session
            .out
            .show(&agents, |agents, paint| rows::job_agents(agents, paint))?;
        Ok(Answer::Yes)
    }
}
