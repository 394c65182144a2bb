//! `stagegate version create`

use crate::Answer;
use crate::commands::waiting::{Arrival, Arrived};
use crate::failure::Failure;
use crate::output::one_line;
use crate::session::Session;
use crate::{resolve, values};
use anyhow::Result;
use serde::Serialize;
use stagegate_api::client::Workspace;
use stagegate_api::{CreateVersion, Deployment, DeploymentVersion, Environment, VersionDependency};
use std::collections::BTreeMap;
use std::time::Duration;

/// Announce a build. Sending the same again gives the version that is there.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate version create --deployment api --tag v1.2.3
  stagegate version create --deployment api --tag v1.2.3 --metadata commit=9f2c1e --config '{\"image\": \"api:v1.2.3\"}'
  stagegate version create --deployment api --tag v1.2.3 --depends-on database='version.metadata[\"schema\"] == \"7\"'
  stagegate version create --deployment api --tag v1.2.3 --wait=staging --timeout 15m

With --wait the exit code is 1 when the version did not arrive.")]
pub struct Args {
    /// The deployment's slug, name or id; may be left out when there is only one
    #[arg(long, short, value_name = "DEPLOYMENT")]
    deployment: Option<String>,
    /// What the build is called; unique in the deployment
    #[arg(long, short)]
    tag: String,
    /// A name for people; the tag when left out
    #[arg(long)]
    name: Option<String>,
    /// `ready`, `building`, `failed`, `paused` or `rejected`
    #[arg(long, default_value = "ready")]
    status: String,
    /// Facts about the build, such as `commit=9f2c1e`; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::pair)]
    metadata: Vec<(String, String)>,
    /// What is deployed, for templates and agents: a JSON object, or `@file`
    #[arg(long, value_name = "JSON|@FILE")]
    config: Option<String>,
    /// Laid over the deployment's configuration of its agent: a JSON object, or `@file`
    #[arg(long, value_name = "JSON|@FILE")]
    job_agent_config: Option<String>,
    /// What must run on the same resource, as `database='version.tag == "v2"'` (CEL over `version`); may be given several times
    #[arg(long, value_name = "DEPLOYMENT=CEL", value_parser = values::pair)]
    depends_on: Vec<(String, String)>,
    /// Wait until it has arrived in this environment, or wherever the deployment has targets
    #[arg(long, value_name = "ENVIRONMENT", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    wait: Option<String>,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = values::duration)]
    timeout: Duration,
}

/// What programs see.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created<'a> {
    #[serde(flatten)]
    version: &'a DeploymentVersion,
    #[serde(skip_serializing_if = "Option::is_none")]
    arrived: Option<&'a [Arrived]>,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let out = &session.out;
        let config = |flag, text: &Option<String>| {
            text.as_deref()
                .map(|text| values::json_object(flag, text))
                .transpose()
        };
        let mut body = CreateVersion {
            tag: self.tag.clone(),
            name: self.name.clone().unwrap_or_default(),
            status: self.status.clone(),
            config: config("--config", &self.config)?,
            job_agent_config: config("--job-agent-config", &self.job_agent_config)?,
            metadata: Some(self.metadata.iter().cloned().collect())
                .filter(|_| !self.metadata.is_empty()),
            ..CreateVersion::default()
        };
        let workspace = session.workspace().await?;
        let deployment = resolve::deployment(&workspace, self.deployment.as_deref()).await?;
        let mut dependencies = BTreeMap::new();
        for (name, version_selector) in self.depends_on {
            let needed = resolve::deployment(&workspace, Some(&name)).await?;
            let dependency = VersionDependency { version_selector };
            if dependencies.insert(needed.id, dependency).is_some() {
                let message = format!("--depends-on: `{name}` is given twice");
                return Err(Failure::usage("invalid_value", message)
                    .hint("join what is needed of it with `&&`")
                    .into());
            }
        }
        body.dependencies = Some(dependencies).filter(|it| !it.is_empty());
        // Before anything is created: a mistyped environment must not leave a version behind.
        let environments = match self.wait.as_deref() {
            None => None,
            Some("") => Some(with_targets(&workspace, &deployment).await?),
            Some(name) => Some(vec![resolve::environment(&workspace, name).await?]),
        };
        let version = workspace.create_version(&deployment.id, &body).await?;
        if !out.is_json() {
            out.text(&format!(
                "version {} of {} is {} (id {})",
                one_line(&version.tag),
                one_line(&deployment.slug),
                version.status,
                version.id
            ))?;
        }
        let Some(environments) = environments else {
            if out.is_json() {
                out.json(&version)?;
            }
            return Ok(Answer::Yes);
        };
        let arrival = Arrival {
            workspace: &workspace,
            deployment: &deployment,
            version: &version,
            environments: &environments,
            timeout: self.timeout,
        };
        let (answer, arrived) = arrival.wait(out).await?;
        if out.is_json() {
            let arrived = Some(&arrived[..]);
            let version = &version;
            out.json(&Created { version, arrived })?;
        }
        Ok(answer)
    }
}

/// The environments where the deployment has something to run on.
async fn with_targets(workspace: &Workspace, deployment: &Deployment) -> Result<Vec<Environment>> {
    let status = workspace.status(Some(&deployment.id)).await?;
    let ids: Vec<String> = status
        .deployments
        .into_iter()
        .filter(|it| it.deployment.id == deployment.id)
        .flat_map(|it| it.environments)
        .filter(|it| it.targets > 0)
        .map(|it| it.id)
        .collect();
    if ids.is_empty() {
        return Err(Failure::refused(
            "release_target_not_found",
            format!(
                "`{}` has no targets in any environment to wait for",
                deployment.slug
            ),
        )
        .hint(
            "a target is a resource that both the deployment's and an environment's selector match",
        )
        .into());
    }
    resolve::environments(workspace, &ids).await
}
