//! `stagegate release-hold`

use super::ordering::{self, Where};
use crate::Answer;
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::OrderTargets;

/// Let targets that were rolled back take part in automatic deployments again.
///
/// After a rollback a target takes nothing by itself that is not newer than what failed. Released, it gets what its
/// gates let in, unless that is quarantined.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate release-hold api --environment production --reason 'it was the database, not the version'")]
pub struct Args {
    /// The deployment's slug, name or id
    deployment: String,
    #[command(flatten)]
    at: Where,
    /// Say what would happen and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Why
    #[arg(
        long,
        short,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let deployment = resolve::deployment(&workspace, Some(&self.deployment)).await?;
        let environment = resolve::environment(&workspace, &self.at.environment).await?;
        let body = OrderTargets {
            deployment: Some(deployment.id),
            environment: Some(environment.id),
            resources: self.at.resources,
            reason: self.reason,
            dry_run: self.dry_run,
            ..OrderTargets::default()
        };
        let report = workspace.release_hold(&body).await?;
        session.out.show(&report, |report, paint| {
            ordering::render(report, "let go", paint)
        })?;
        Ok(ordering::answer(&report))
    }
}
