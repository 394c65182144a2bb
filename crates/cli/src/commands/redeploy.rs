//! `stagegate redeploy`

use super::ordering::{self, Where};
use crate::Answer;
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::OrderTargets;

/// Deploy what targets have once more. Every gate is asked, as for a new version.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate redeploy api --environment production --reason 'the host was reinstalled'
  stagegate redeploy api -e production -R host-3 --dry-run")]
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
        let report = workspace.redeploy(&body).await?;
        session.out.show(&report, |report, paint| {
            ordering::render(report, "deployed once more", paint)
        })?;
        Ok(ordering::answer(&report))
    }
}
