//! `stagegate skip list`

use super::{scope, until, what};
use crate::Answer;
use crate::output::{Cell, Table};
use crate::session::Session;
use anyhow::Result;

/// List what is set aside, the newest first.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate skip list")]
pub struct Args {}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let skips = session.workspace().await?.policy_skips().all().await?;
        session.out.show(&skips, |skips, paint| {
            let mut table = Table::new(["RULE", "FOR", "TIME", "BY", "REASON", "ID"]);
            for skip in skips {
                table.row([
                    Cell::strong(what(skip)),
                    Cell::from(scope(skip)),
                    Cell::from(until(skip)),
                    Cell::from(skip.created_by_name.as_deref().unwrap_or_default()),
                    Cell::from(&skip.reason),
                    Cell::dim(&skip.id),
                ]);
            }
            table.render(paint)
        })?;
        Ok(Answer::Yes)
    }
}
