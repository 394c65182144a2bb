//! `stagegate export`

use crate::Answer;
use crate::session::Session;
use anyhow::Result;

/// Print the workspace's configuration as documents that `apply` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate export > stagegate.yaml")]
pub struct Args {}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let text = session.workspace().await?.export().await?;
        if session.out.is_json() {
            session
                .out
                .json(&serde_json::json!({ "documents": text }))?;
        } else {
            session.out.text(&text)?;
        }
        Ok(Answer::Yes)
    }
}
