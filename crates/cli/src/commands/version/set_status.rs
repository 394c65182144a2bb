//! `stagegate version set-status`

use crate::Answer;
use crate::failure::Failure;
use crate::output::{counted, one_line};
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::client::Workspace;
use stagegate_api::{DeploymentVersion, UpdateVersion};
use std::io::{self, IsTerminal as _, Write as _};

/// Say that a version is good, or no longer.
///
/// Only `ready` versions go anywhere. `paused` ones stay where they are and go nowhere new; `rejected` ones are
/// stopped on their way.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate version set-status v1.2.3 ready --deployment api
  stagegate version set-status v1.2.3 rejected --deployment api --message 'loses orders'")]
pub struct Args {
    /// The version's tag or id
    tag: String,
    /// `ready`, `building`, `failed`, `paused` or `rejected`
    status: String,
    /// The deployment's slug, name or id; may be left out when there is only one
    #[arg(long, short, value_name = "DEPLOYMENT")]
    deployment: Option<String>,
    /// Why
    #[arg(long, short)]
    message: Option<String>,
    /// Do not ask before rejecting a version that runs somewhere
    #[arg(long, short)]
    yes: bool,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let out = &session.out;
        let workspace = session.workspace().await?;
        let deployment = resolve::deployment(&workspace, self.deployment.as_deref()).await?;
        let version = resolve::version(&workspace, &deployment, &self.tag).await?;
        if self.status == "rejected" && !self.yes && !confirmed(&workspace, &version).await? {
            out.note("nothing was changed");
            return Ok(Answer::No);
        }
        let body = UpdateVersion {
            status: Some(self.status.clone()),
            message: self.message.clone(),
            ..UpdateVersion::default()
        };
        let changed = workspace.update_version(&version.id, &body).await?;
        out.show(&changed, |changed, _| {
            let tag = one_line(&changed.tag);
            format!(
                "version {tag} of {} is {}",
                one_line(&deployment.slug),
                changed.status
            )
        })?;
        Ok(Answer::Yes)
    }
}

/// Says where the version runs and asks; without targets that run it there is nothing to ask.
async fn confirmed(workspace: &Workspace, version: &DeploymentVersion) -> Result<bool> {
    let status = workspace.status(Some(&version.deployment_id)).await?;
    let running: Vec<(String, usize)> = status
        .deployments
        .iter()
        .flat_map(|it| &it.environments)
        .flat_map(|it| it.current.iter().map(move |current| (it, current)))
        .filter(|(_, current)| current.tag == version.tag && current.count > 0)
        .map(|(environment, current)| (environment.name.clone(), current.count))
        .collect();
    if running.is_empty() {
        return Ok(true);
    }
    let places: Vec<String> = running
        .iter()
        .map(|(environment, count)| {
            format!("{} in {}", counted(*count, "target"), one_line(environment))
        })
        .collect();
    let what = format!("{} runs on {}", one_line(&version.tag), places.join(", "));
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "missing_field",
            format!("{what}; rejecting it needs a person's yes"),
        )
        .hint("add `--yes`")
        .into());
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{what}. Reject it? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
