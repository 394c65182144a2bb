//! `stagegate group list`

use super::members;
use crate::Answer;
use crate::output::{Cell, Table};
use crate::session::Session;
use anyhow::Result;

/// List groups and who is in them.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate group list")]
pub struct Args {}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let groups = session.workspace().await?.groups().all().await?;
        session.out.show(&groups, |groups, paint| {
            let mut table = Table::new(["NAME", "MEMBERS", "ID"]);
            for group in groups {
                table.row([
                    Cell::strong(&group.name),
                    Cell::from(members(group)),
                    Cell::dim(&group.id),
                ]);
            }
            table.render(paint)
        })?;
        Ok(Answer::Yes)
    }
}
