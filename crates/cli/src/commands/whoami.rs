//! `stagegate whoami`

use crate::Answer;
use crate::output::{Cell, Table};
use crate::session::Session;
use anyhow::Result;

/// Say who the key acts as, what it may do, and where.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate whoami")]
pub struct Args {}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let me = session.client.me().await?;
        session.out.show(&me, |me, paint| {
            let mut table = Table::with_heading(Vec::new());
            let mut row = |label: &str, value: &str| {
                table.row([Cell::dim(label), Cell::from(value)]);
            };
            row("user", &format!("{} ({})", me.user_name, me.user_id));
            row("role", &me.role);
            row("key", &me.key_id);
            row("server", session.client.url());
            for workspace in &me.workspaces {
                row(
                    "workspace",
                    &format!("{} ({})", workspace.slug, workspace.id),
                );
            }
            table.render(paint).trim_start().to_owned()
        })?;
        Ok(Answer::Yes)
    }
}
