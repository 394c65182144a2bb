//! `stagegate version list`

use crate::Answer;
use crate::output::{Cell, Paint, Table, when};
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::{DeploymentVersionWithDependencies, LIMIT_MAX};

/// List a deployment's versions, newest first.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate version list --deployment api --limit 20")]
pub struct Args {
    /// The deployment's slug, name or id; may be left out when there is only one
    #[arg(long, short, value_name = "DEPLOYMENT")]
    deployment: Option<String>,
    /// How many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=LIMIT_MAX as i64))]
    limit: u16,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let deployment = resolve::deployment(&workspace, self.deployment.as_deref()).await?;
        let versions = workspace.versions(&deployment.id);
        let page = versions.page(usize::from(self.limit), 0).await?;
        session
            .out
            .show(&page.items, |items, paint| render(items, paint))?;
        let more = page.total.saturating_sub(page.items.len());
        if more > 0 {
            session.out.note(&format!("{more} more; see --limit"));
        }
        Ok(Answer::Yes)
    }
}

/// Versions as a table.
pub fn render(versions: &[DeploymentVersionWithDependencies], paint: Paint) -> String {
    if versions.is_empty() {
        return "no versions\n".to_owned();
    }
    let now = when::now();
    let mut table = Table::new(["TAG", "STATUS", "CREATED", "NAME", "METADATA"]);
    for version in versions.iter().map(|it| &it.version) {
        let metadata: Vec<String> = version
            .metadata
            .iter()
            .flatten()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let name = Some(&*version.name).filter(|name| **name != version.tag);
        table.row([
            Cell::strong(&version.tag),
            Cell::status(&version.status),
            Cell::dim(when::distance(&version.created_at, now)),
            Cell::from(name.unwrap_or_default()),
            Cell::dim(metadata.join(" ")),
        ]);
    }
    table.render(paint)
}
