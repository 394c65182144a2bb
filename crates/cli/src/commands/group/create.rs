//! `stagegate group create`

use super::told;
use crate::Answer;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::UpsertGroup;

/// Create a group. Policies name it among approvers as `group:NAME`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate group create qa alice bob")]
pub struct Args {
    /// How it is called
    name: String,
    /// Who is in it: users by name or id
    #[arg(value_name = "USER")]
    members: Vec<String>,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let body = UpsertGroup {
            name: self.name,
            members: self.members,
        };
        let group = workspace.create_group(&body).await?;
        session.out.show(&group, told)?;
        Ok(Answer::Yes)
    }
}
