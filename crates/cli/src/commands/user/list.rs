//! `stagegate user list`

use crate::Answer;
use crate::output::{Cell, Table};
use crate::session::Session;
use anyhow::Result;

/// List users.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate user list")]
pub struct Args {}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let users = session.workspace().await?.users().all().await?;
        session.out.show(&users, |users, paint| {
            let mut table = Table::new(["NAME", "ROLE", "EMAIL", "ID"]);
            for user in users {
                table.row([
                    Cell::strong(&user.name),
                    Cell::from(&user.role),
                    Cell::from(user.email.as_deref().unwrap_or_default()),
                    Cell::dim(&user.id),
                ]);
            }
            table.render(paint)
        })?;
        Ok(Answer::Yes)
    }
}
