//! `stagegate skip delete`

use super::what;
use crate::Answer;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::ReasonQuery;

/// End a skip: the rule counts again. What began under it goes on.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate skip delete 0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10 --reason 'incident 42 is over'")]
pub struct Args {
    /// The skip's id, as `stagegate skip list` shows it
    id: String,
    /// Why
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let skip = workspace.policy_skip(&self.id).await?;
        let why = ReasonQuery {
            reason: self.reason,
        };
        workspace.delete_policy_skip(&self.id, &why).await?;
        let text = |skip: &_, _| format!("{} counts again", what(skip));
        session.out.show(&skip, text)?;
        Ok(Answer::Yes)
    }
}
