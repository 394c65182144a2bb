//! `stagegate get`

pub mod rows;

use crate::Answer;
use crate::commands::version;
use crate::output::{Output, Paint};
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;
use stagegate_api::PromotionsQuery;
use stagegate_api::client::Workspace;

/// List what there is. With a name, only that; `--output json` shows every field.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate get environments
  stagegate get policies production --output json
  stagegate get versions --deployment api")]
pub struct Args {
    /// What to list
    #[arg(value_enum)]
    kind: Kind,
    /// Only this one: its name, slug, identifier, tag or id
    name: Option<String>,
    /// With versions and promotions: the deployment's slug, name or id
    #[arg(long, short, value_name = "DEPLOYMENT")]
    deployment: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    #[value(alias = "system")]
    Systems,
    #[value(alias = "environment", alias = "env")]
    Environments,
    #[value(alias = "deployment")]
    Deployments,
    #[value(alias = "resource")]
    Resources,
    #[value(alias = "agent", alias = "job-agents")]
    Agents,
    #[value(alias = "policy")]
    Policies,
    #[value(alias = "notifier")]
    Notifiers,
    #[value(alias = "variable-set")]
    VariableSets,
    #[value(alias = "relationship-rule")]
    RelationshipRules,
    #[value(alias = "version")]
    Versions,
    #[value(alias = "promotion")]
    Promotions,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        self.list(&workspace, &session.out).await?;
        Ok(Answer::Yes)
    }

    async fn list(&self, workspace: &Workspace, out: &Output) -> Result<()> {
        match self.kind {
            Kind::Systems => {
                let all = workspace.systems().all().await?;
                self.show(
                    out,
                    "system",
                    &all,
                    |it| vec![&it.name, &it.slug, &it.id],
                    rows::systems,
                )
            }
            Kind::Environments => {
                let all = workspace.environments().all().await?;
                self.show(
                    out,
                    "environment",
                    &all,
                    |it| vec![&it.name, &it.id],
                    rows::environments,
                )
            }
            Kind::Deployments => {
                let all = workspace.deployments().all().await?;
                self.show(
                    out,
                    "deployment",
                    &all,
                    |it| vec![&it.deployment.slug, &it.deployment.name, &it.deployment.id],
                    rows::deployments,
                )
            }
            Kind::Resources => {
                let all = workspace.resources().all().await?;
                self.show(
                    out,
                    "resource",
                    &all,
                    |it| {
                        let id = it.id.as_deref().unwrap_or(&it.identifier);
                        vec![&it.identifier, &it.name, id]
                    },
                    rows::resources,
                )
            }
            Kind::Agents => {
                let all = workspace.job_agents().all().await?;
                self.show(
                    out,
                    "job agent",
                    &all,
                    |it| vec![&it.name, &it.id],
                    rows::job_agents,
                )
            }
            Kind::Policies => {
                let all = workspace.policies().all().await?;
                self.show(
                    out,
                    "policy",
                    &all,
                    |it| vec![&it.name, &it.id],
                    rows::policies,
                )
            }
            Kind::Notifiers => {
                let all = workspace.notifiers().all().await?;
                self.show(
                    out,
                    "notifier",
                    &all,
                    |it| vec![&it.name, &it.id],
                    rows::notifiers,
                )
            }
            Kind::VariableSets => {
                let all = workspace.variable_sets().all().await?;
                self.show(
                    out,
                    "variable set",
                    &all,
                    |it| vec![&it.name, &it.id],
                    rows::variable_sets,
                )
            }
            Kind::RelationshipRules => {
                let all = workspace.relationship_rules().all().await?;
                self.show(
                    out,
                    "relationship rule",
                    &all,
                    |it| vec![&it.name, &it.reference, &it.id],
                    rows::relationship_rules,
                )
            }
            Kind::Versions => {
                let deployment = resolve::deployment(workspace, self.deployment.as_deref()).await?;
                let all = workspace.versions(&deployment.id).all().await?;
                self.show(
                    out,
                    "version",
                    &all,
                    |it| vec![&it.version.tag, &it.version.id],
                    version::render,
                )
            }
            Kind::Promotions => {
                let deployment = match &self.deployment {
                    Some(name) => Some(resolve::deployment(workspace, Some(name)).await?.id),
                    None => None,
                };
                let query = PromotionsQuery {
                    deployment,
                    ..PromotionsQuery::default()
                };
                let all = workspace.all_promotions(&query).all().await?;
                self.show(
                    out,
                    "promotion",
                    &all,
                    |it| vec![&it.id],
                    super::promotions::render,
                )
            }
        }
    }

    /// All of them as a list, or the one that was named.
    fn show<T: Serialize>(
        &self,
        out: &Output,
        noun: &str,
        all: &[T],
        names: impl Fn(&T) -> Vec<&str>,
        render: impl Fn(&[T], Paint) -> String,
    ) -> Result<()> {
        let Some(name) = &self.name else {
            return out.show(all, |all, paint| render(all, paint));
        };
        let found = resolve::pick(noun, name, all, names)?;
        out.show(found, |found, paint| {
            render(std::slice::from_ref(found), paint)
        })
    }
}
