//! `stagegate quarantine clear`

use crate::Answer;
use crate::output::one_line;
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::ClearQuarantine;

/// Let a version start in an environment again where it had failed.
///
/// Targets that were rolled back stay held: `stagegate release-hold` lets them take it.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate quarantine clear v1.2.4 --deployment api --environment production --reason 'the database was down'")]
pub struct Args {
    /// The version's tag or id
    tag: String,
    /// The deployment's slug, name or id; may be left out when there is only one
    #[arg(long, short, value_name = "DEPLOYMENT")]
    deployment: Option<String>,
    /// The environment's name or id
    #[arg(long, short, value_name = "ENVIRONMENT")]
    environment: String,
    /// Why
    #[arg(long, short, value_name = "TEXT")]
    reason: String,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let deployment = resolve::deployment(&workspace, self.deployment.as_deref()).await?;
        let environment = resolve::environment(&workspace, &self.environment).await?;
        let version = resolve::version(&workspace, &deployment, &self.tag).await?;
        let body = ClearQuarantine {
            deployment: deployment.id,
            environment: environment.id,
            version: version.id,
            reason: self.reason,
        };
        let accepted = workspace.clear_quarantine(&body).await?;
        session.out.show(&accepted, |_, _| {
            format!(
                "{} of {} may start in {} again",
                one_line(&version.tag),
                one_line(&deployment.slug),
                one_line(&environment.name)
            )
        })?;
        Ok(Answer::Yes)
    }
}
