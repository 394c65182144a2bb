//! `stagegate rollback`

use super::confirm::confirmed;
use super::ordering::{self, Where};
use crate::Answer;
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::{Rollback, RollbackTo};

/// Bring targets back to an earlier release, at once: approvals, windows and queues are not asked.
///
/// Without `--to`, what is undone is the newest version in the environment, and each target that has it goes back to
/// its own last good release; targets that do not have it stay. The targets are held afterwards: nothing is deployed to
/// them by itself until something newer comes, or `stagegate release-hold` lets them go.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate rollback api --environment production --dry-run
  stagegate rollback api --environment production --reason 'orders are lost'
  stagegate rollback api -e production -R host-3 --to v1.2.2 --reason 'wrong image' --yes")]
pub struct Args {
    /// The deployment's slug, name or id
    deployment: String,
    #[command(flatten)]
    at: Where,
    /// To this version's tag or this release's number (`#3`), if it succeeded on the target
    #[arg(long, value_name = "TAG|NUMBER")]
    to: Option<String>,
    /// Say what would happen and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask first
    #[arg(long, short)]
    yes: bool,
    /// Why; kept in the log
    #[arg(
        long,
        short,
        value_name = "TEXT",
        required_unless_present = "dry_run",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let out = &session.out;
        let workspace = session.workspace().await?;
        let deployment = resolve::deployment(&workspace, Some(&self.deployment)).await?;
        let environment = resolve::environment(&workspace, &self.at.environment).await?;
        let body = Rollback {
            deployment: Some(deployment.id.clone()),
            environment: Some(environment.id.clone()),
            resources: self.at.resources.clone(),
            reason: self.reason.clone(),
            dry_run: true,
            to: self.to.clone().map(RollbackTo::Named),
            ..Rollback::default()
        };
        let rolled_back = |report: &_, paint| ordering::render(report, "rolled back", paint);
        if self.dry_run || !self.yes {
            let preview = workspace.roll_back(&body).await?;
            if self.dry_run {
                out.show(&preview, rolled_back)?;
                return Ok(ordering::answer(&preview));
            }
            // Where nothing can go back the server says why.
            if !preview.targets.is_empty() {
                if !out.is_json() {
                    out.note(&rolled_back(&preview, out.paint()));
                }
                let what = ordering::subject(&preview, &deployment.slug, &environment.name);
                if !confirmed(&format!("{what} would go back"), "Roll back?")? {
                    out.note("nothing was changed");
                    return Ok(Answer::No);
                }
            }
        }
        let report = workspace
            .roll_back(&Rollback {
                dry_run: false,
                ..body
            })
            .await?;
        out.show(&report, rolled_back)?;
        Ok(Answer::Yes)
    }
}
