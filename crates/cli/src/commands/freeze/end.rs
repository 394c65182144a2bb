//! `stagegate freeze end`

use crate::Answer;
use crate::output::one_line;
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::ReasonQuery;

/// End a freeze, or take back one that has not begun.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate freeze end Incident --reason 'incident 42 is over'")]
pub struct Args {
    /// The freeze's name or id
    freeze: String,
    /// Why
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let all = workspace.freezes().all().await?;
        let freeze = resolve::pick("freeze", &self.freeze, &all, |it| vec![&it.name, &it.id])?;
        let why = ReasonQuery {
            reason: self.reason,
        };
        workspace.delete_freeze(&freeze.id, &why).await?;
        session.out.show(freeze, |freeze, _| {
            format!("freeze {} was ended", one_line(&freeze.name))
        })?;
        Ok(Answer::Yes)
    }
}
