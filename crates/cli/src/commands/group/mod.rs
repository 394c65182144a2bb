//! Groups of persons, named together as approvers.

mod change;
mod create;
mod delete;
mod list;

use crate::Answer;
use crate::output::{Paint, one_line};
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::Group;
use stagegate_api::client::Workspace;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Create(create::Args),
    List(list::Args),
    /// Take users into a group
    Add(change::Args),
    /// Take users out of a group
    Remove(change::Args),
    Delete(delete::Args),
}

impl Command {
    pub async fn run(self, session: Session) -> Result<Answer> {
        match self {
            Self::Create(args) => args.run(session).await,
            Self::List(args) => args.run(session).await,
            Self::Add(args) => args.run(session, true).await,
            Self::Remove(args) => args.run(session, false).await,
            Self::Delete(args) => args.run(session).await,
        }
    }
}

/// The group of that name or id.
async fn find(workspace: &Workspace, name: &str) -> Result<Group> {
    let all = workspace.groups().all().await?;
    resolve::pick("group", name, &all, |it| vec![&it.name, &it.id]).cloned()
}

fn members(group: &Group) -> String {
    let names: Vec<String> = group.members.iter().map(|it| one_line(&it.name)).collect();
    match names[..] {
        [] => "nobody".to_owned(),
        _ => names.join(", "),
    }
}

fn told(group: &Group, paint: Paint) -> String {
    let name = paint.strong(&one_line(&group.name));
    format!("group {name}: {}", members(group))
}
