//! `stagegate key list`

use crate::Answer;
use crate::output::{Cell, Table, when};
use crate::session::Session;
use anyhow::Result;

/// List keys, without their secrets.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate key list")]
pub struct Args {}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let keys = session.workspace().await?.keys().all().await?;
        session.out.show(&keys, |keys, paint| {
            let now = when::now();
            let mut table = Table::new(["NAME", "OF", "ROLE", "CREATED", "", "ID"]);
            for key in keys {
                let created = key.created_at.as_deref();
                let revoked = key.revoked_at.as_deref();
                table.row([
                    Cell::strong(&key.name),
                    Cell::from(key.user_name.as_ref().unwrap_or(&key.user_id)),
                    Cell::from(&key.role),
                    Cell::dim(created.map_or(String::new(), |at| when::distance(at, now))),
                    Cell::new(
                        revoked.map_or(String::new(), |at| {
                            format!("revoked {}", when::distance(at, now))
                        }),
                        crate::output::Tone::Bad,
                    ),
                    Cell::dim(&key.id),
                ]);
            }
            table.render(paint)
        })?;
        Ok(Answer::Yes)
    }
}
