//! `stagegate key revoke`

use crate::Answer;
use crate::session::Session;
use anyhow::Result;
use serde_json::json;

/// Make a key worthless, at once and for good.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate key revoke 0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10")]
pub struct Args {
    /// The key's id, as `stagegate key list` shows it
    id: String,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        session.workspace().await?.revoke_key(&self.id).await?;
        let revoked = json!({"id": self.id, "revoked": true});
        session
            .out
            .show(&revoked, |_, _| format!("key {} is revoked", self.id))?;
        Ok(Answer::Yes)
    }
}
