//! `stagegate verification rerun`

use super::show::render;
use crate::Answer;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::RerunVerification;

/// Measure again, where a verification was inconclusive, could not measure or was cancelled; the latest run counts.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate verification rerun 0193e5a2-7c1f-8d3e-8a44-0f8e2b6c9d10 --reason 'the metrics server is back'")]
pub struct Args {
    /// The verification's id, as `stagegate promotion show` lists it
    id: String,
    /// Why
    #[arg(long, short, value_name = "TEXT")]
    reason: String,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let body = RerunVerification {
            reason: self.reason.clone(),
        };
        let again = workspace.rerun_verification(&self.id, &body).await?;
        session.out.show(&again, render)?;
        Ok(Answer::Yes)
    }
}
