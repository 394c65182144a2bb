//! `stagegate quarantine list`

use crate::Answer;
use crate::output::{Cell, Paint, Table, when};
use crate::session::Session;
use anyhow::Result;
use stagegate_api::Quarantine;

/// List the versions that failed somewhere and with which nothing new starts there.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate quarantine list")]
pub struct Args {}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let all = workspace.quarantine().all().await?;
        session.out.show(&all, |all, paint| render(all, paint))?;
        Ok(Answer::Yes)
    }
}

fn render(all: &[Quarantine], paint: Paint) -> String {
    if all.is_empty() {
        return "nothing is quarantined\n".to_owned();
    }
    let now = when::now();
    let mut table = Table::new([
        "DEPLOYMENT",
        "VERSION",
        "ENVIRONMENT",
        "SINCE",
        "STILL ON",
        "WHY",
    ]);
    for it in all {
        table.row([
            Cell::from(&it.deployment.slug),
            Cell::strong(&it.version.tag),
            Cell::from(&it.environment.name),
            Cell::dim(when::distance(&it.since, now)),
            Cell::from(crate::output::counted(it.targets, "target")),
            Cell::from(&it.reason),
        ]);
    }
    table.render(paint)
}
