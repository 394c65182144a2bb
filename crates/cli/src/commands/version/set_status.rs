//! `stagegate version set-status`

use crate::Answer;
use crate::commands::confirm;
use crate::output::{counted, one_line};
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::client::Workspace;
use stagegate_api::{DeploymentVersion, UpdateVersion};
use std::collections::BTreeMap;

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
    pub(super) tag: String,
    /// `ready`, `building`, `failed`, `paused` or `rejected`
    pub(super) status: String,
    /// The deployment's slug, name or id; may be left out when there is only one
    #[arg(long, short, value_name = "DEPLOYMENT")]
    pub(super) deployment: Option<String>,
    /// Why
    #[arg(long, short)]
    pub(super) message: Option<String>,
    /// Do not ask before rejecting a version that runs somewhere
    #[arg(long, short)]
    pub(super) yes: bool,
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
            let tag = one_line(&changed.version.tag);
            let back = match changed.rolled_back_targets {
                Some(count @ 1..) => format!("; {} rolled back", counted(count, "target")),
                _ => String::new(),
            };
            format!(
                "version {tag} of {} is {}{back}",
                one_line(&deployment.slug),
                changed.version.status
            )
        })?;
        Ok(Answer::Yes)
    }
}

/// Says what would be rolled back and asks; where the version runs nowhere there is nothing to ask.
async fn confirmed(workspace: &Workspace, version: &DeploymentVersion) -> Result<bool> {
    let preview = workspace.rejection_preview(&version.id).await?;
    if preview.targets.is_empty() && preview.left.is_empty() {
        return Ok(true);
    }
    let tag = one_line(&version.tag);
    let mut parts = Vec::new();
    let back = places(preview.targets.iter().map(|it| &it.environment.name));
    if !back.is_empty() {
        parts.push(format!(
            "{back} would be rolled back to the last good release"
        ));
    }
    let stuck = places(preview.left.iter().map(|it| &it.environment.name));
    if !stuck.is_empty() {
        parts.push(format!(
            "{stuck} would keep it: there is no earlier good release"
        ));
    }
    let what = format!("{tag} is in use; {}", parts.join(", and "));
    confirm::confirmed(&what, "Reject it?")
}

/// `2 targets in Staging, 1 target in Production`.
fn places<'a>(environments: impl Iterator<Item = &'a String>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for environment in environments {
        *counts.entry(environment).or_default() += 1;
    }
    let told: Vec<String> = counts
        .into_iter()
        .map(|(environment, count)| {
            format!("{} in {}", counted(count, "target"), one_line(environment))
        })
        .collect();
    told.join(", ")
}
