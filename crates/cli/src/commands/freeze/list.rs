//! `stagegate freeze list`

use super::{places, status, time};
use crate::Answer;
use crate::output::{Cell, Table, Tone};
use crate::session::Session;
use anyhow::Result;

/// List freezes: those in force, those ahead, and those that are over and were not ended.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate freeze list")]
pub struct Args {}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let freezes = session.workspace().await?.freezes().all().await?;
        session.out.show(&freezes, |freezes, paint| {
            let mut table = Table::new([
                "NAME",
                "STATUS",
                "TIME",
                "TAKES",
                "ROLLBACKS",
                "BY",
                "REASON",
            ]);
            for freeze in freezes {
                let tone = match freeze.status.as_str() {
                    "inForce" => Tone::Bad,
                    "ahead" => Tone::Open,
                    _ => Tone::Dim,
                };
                table.row([
                    Cell::strong(&freeze.name),
                    Cell::new(status(freeze), tone),
                    Cell::from(time(freeze)),
                    Cell::from(places(freeze)),
                    Cell::from(if freeze.allow_rollback {
                        "start"
                    } else {
                        "held"
                    }),
                    Cell::from(freeze.created_by_name.as_deref().unwrap_or_default()),
                    Cell::from(&freeze.reason),
                ]);
            }
            table.render(paint)
        })?;
        Ok(Answer::Yes)
    }
}
