//! `stagegate verification pass` and `fail`

use super::show::render;
use crate::Answer;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::DecideVerification;

/// Decide a verification that was inconclusive or could not measure. The decision is on record.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate verification pass 0193e5a2-7c1f-8d3e-8a44-0f8e2b6c9d10 --reason 'checked by hand; the metrics server was down'
  stagegate verification fail 0193e5a2-7c1f-8d3e-8a44-0f8e2b6c9d10 --reason 'error rate doubled'")]
pub struct Args {
    /// The verification's id, as `stagegate promotion show` lists it
    id: String,
    /// Why
    #[arg(long, short, value_name = "TEXT")]
    reason: String,
}

impl Args {
    pub async fn run(self, session: Session, pass: bool) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let body = DecideVerification {
            pass,
            reason: self.reason.clone(),
        };
        let decided = workspace.decide_verification(&self.id, &body).await?;
        session.out.show(&decided, render)?;
        Ok(Answer::Yes)
    }
}
