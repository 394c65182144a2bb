//! `stagegate version reject`

use super::set_status;
use crate::Answer;
use crate::session::Session;
use anyhow::Result;

/// Say that a version is bad: it is stopped on its way, and targets that run it go back to their last good release.
///
/// To keep it out of one environment only, vote against it there: `stagegate reject`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate version reject v1.2.3 --deployment api --message 'loses orders'")]
pub struct Args {
    /// The version's tag or id
    tag: String,
    /// The deployment's slug, name or id; may be left out when there is only one
    #[arg(long, short, value_name = "DEPLOYMENT")]
    deployment: Option<String>,
    /// Why
    #[arg(long, short, alias = "reason")]
    message: Option<String>,
    /// Do not ask before rolling targets back
    #[arg(long, short)]
    yes: bool,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        set_status::Args {
            tag: self.tag,
            status: "rejected".to_owned(),
            deployment: self.deployment,
            message: self.message,
            yes: self.yes,
        }
        .run(session)
        .await
    }
}
