//! `stagegate group delete`

use super::find;
use crate::Answer;
use crate::output::one_line;
use crate::session::Session;
use anyhow::Result;

/// Delete a group that no policy names.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate group delete qa")]
pub struct Args {
    /// The group's name or id
    group: String,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let group = find(&workspace, &self.group).await?;
        workspace.delete_group(&group.id).await?;
        session.out.show(&group, |group, _| {
            format!("group {} was deleted", one_line(&group.name))
        })?;
        Ok(Answer::Yes)
    }
}
