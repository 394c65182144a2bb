//! `stagegate notifiers test`

use crate::Answer;
use crate::resolve;
use crate::session::Session;
use anyhow::Result;

/// Send a test message, and see whether it arrives.
///
/// Ends with status 1 when it did not arrive.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate notifiers test releases")]
pub struct Args {
    /// The notifier's name or id
    name: String,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let all = workspace.notifiers().all().await?;
        let found = resolve::pick("notifier", &self.name, &all, |it| {
            vec![it.name.as_str(), it.id.as_str()]
        })?;
        let tested = workspace.test_notifier(&found.id).await?;
        let answer = match tested.delivered {
            true => Answer::Yes,
            false => Answer::No,
        };
        session
            .out
            .show(&tested, |tested, _| match &tested.message {
                None => format!("a test message was delivered to {}", found.name),
                Some(why) => format!(
                    "the test message to {} was not delivered: {why}",
                    found.name
                ),
            })?;
        Ok(answer)
    }
}
