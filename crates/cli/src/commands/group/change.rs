//! `stagegate group add` and `remove`

use super::{find, told};
use crate::Answer;
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::UpsertGroup;

/// Change who is in a group. It takes effect for votes that are not cast yet.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate group add qa carol
  stagegate group remove qa bob")]
pub struct Args {
    /// The group's name or id
    group: String,
    /// Users by name or id
    #[arg(required = true, value_name = "USER")]
    users: Vec<String>,
}

impl Args {
    pub async fn run(self, session: Session, add: bool) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let group = find(&workspace, &self.group).await?;
        let users = workspace.users().all().await?;
        let mut members: Vec<String> = group.members.iter().map(|it| it.id.clone()).collect();
        for name in &self.users {
            let user = resolve::pick("user", name, &users, |it| vec![&it.name, &it.id])?;
            members.retain(|id| *id != user.id);
            if add {
                members.push(user.id.clone());
            }
        }
        let body = UpsertGroup {
            name: group.name,
            members,
        };
        let group = workspace.put_group(&group.id, &body).await?;
        session.out.show(&group, told)?;
        Ok(Answer::Yes)
    }
}
