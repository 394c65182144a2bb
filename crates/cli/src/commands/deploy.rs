//! `stagegate deploy --break-glass`

use super::confirm::confirmed;
use super::ordering::{self, Where};
use crate::Answer;
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::BreakGlass;

/// In an emergency, put a version on targets past every gate. Otherwise versions go where their gates let them.
///
/// Only a job that still runs on a target is waited for. It needs the role admin and a reason, is marked as
/// break-glass everywhere, and its success lets nothing else through.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate deploy v1.2.5 --deployment api --environment production --break-glass --reason 'INC-42: fix for the outage'")]
pub struct Args {
    /// The version's tag or id
    tag: String,
    /// The deployment's slug, name or id; may be left out when there is only one
    #[arg(long, short, value_name = "DEPLOYMENT")]
    deployment: Option<String>,
    #[command(flatten)]
    at: Where,
    /// Past every gate; there is no other way to deploy by hand
    #[arg(long, required = true)]
    break_glass: bool,
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
        let deployment = resolve::deployment(&workspace, self.deployment.as_deref()).await?;
        let environment = resolve::environment(&workspace, &self.at.environment).await?;
        let version = resolve::version(&workspace, &deployment, &self.tag).await?;
        let body = BreakGlass {
            version: version.id,
            deployment: Some(deployment.id),
            environment: Some(environment.id),
            resources: self.at.resources.clone(),
            reason: self.reason.clone(),
            dry_run: true,
            ..BreakGlass::default()
        };
        let forced = |report: &_, paint| {
            ordering::render(report, "deployed to past every gate (BREAK-GLASS)", paint)
        };
        if self.dry_run || !self.yes {
            let preview = workspace.break_glass(&body).await?;
            if self.dry_run {
                out.show(&preview, forced)?;
                return Ok(ordering::answer(&preview));
            }
            let what = ordering::subject(&preview, &deployment.slug, &environment.name);
            let what = format!("{} goes to {what} past every gate", version.tag);
            if !confirmed(&what, "Break the glass?")? {
                out.note("nothing was changed");
                return Ok(Answer::No);
            }
        }
        let report = workspace
            .break_glass(&BreakGlass {
                dry_run: false,
                ..body
            })
            .await?;
        out.show(&report, forced)?;
        Ok(Answer::Yes)
    }
}
