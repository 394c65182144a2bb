//! `stagegate skip create`

use super::{scope, until, what};
use crate::Answer;
use crate::failure::Failure;
use crate::output::when;
use crate::resolve;
use crate::session::Session;
use crate::values::time_ahead;
use anyhow::Result;
use stagegate_api::client::Workspace;
use stagegate_api::{CreatePolicySkip, PolicyRule};

/// Set one rule aside, or a freeze: its gate is open in this scope until the skip ends. It is on record.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate skip create --policy 'Four Eyes' --kind approval --version v1.2.4 --environment production \\
    --expires 2h --reason 'incident 42'
  stagegate skip create --freeze Holidays --version v1.2.4 --expires 1h --reason 'security fix'")]
pub struct Args {
    /// The rule's id, as `stagegate why -o json` shows it
    #[arg(long, value_name = "ID", conflicts_with_all = ["policy", "freeze"])]
    rule: Option<String>,
    /// The policy whose rule it is
    #[arg(long, value_name = "POLICY", conflicts_with = "freeze")]
    policy: Option<String>,
    /// The rule's kind; may be left out when the policy has one rule
    #[arg(long, value_name = "KIND", requires = "policy")]
    kind: Option<String>,
    /// A freeze, by name or id
    #[arg(long, value_name = "FREEZE")]
    freeze: Option<String>,
    /// The deployment of the version; may be left out when there is only one
    #[arg(long, short, value_name = "DEPLOYMENT", requires = "version")]
    deployment: Option<String>,
    /// For this version alone, by tag or id
    #[arg(long, short, value_name = "TAG")]
    version: Option<String>,
    /// In this environment alone, by name or id
    #[arg(long, short, value_name = "ENVIRONMENT")]
    environment: Option<String>,
    /// On this resource alone, by identifier or id
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,
    /// How long, like `2h`, or until when, like `2026-12-24T18:00:00Z`; until it is deleted when left out
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// Why
    #[arg(long, short, value_name = "TEXT")]
    reason: String,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let rule_id = self.rule(&workspace).await?;
        let version_id = match &self.version {
            Some(tag) => {
                let deployment = self.deployment.as_deref();
                let deployment = resolve::deployment(&workspace, deployment).await?;
                Some(resolve::version(&workspace, &deployment, tag).await?.id)
            }
            None => None,
        };
        let environment_id = match &self.environment {
            Some(name) => Some(resolve::environment(&workspace, name).await?.id),
            None => None,
        };
        let resource_id = match &self.resource {
            Some(name) => {
                let all = workspace.resources().all().await?;
                let found = resolve::pick("resource", name, &all, |it| {
                    [Some(&it.identifier), Some(&it.name), it.id.as_ref()]
                        .into_iter()
                        .flatten()
                        .map(String::as_str)
                        .collect()
                })?;
                found.id.clone()
            }
            None => None,
        };
        let expires = self.expires.as_deref();
        let expires = expires.map(|text| time_ahead("--expires", text, when::now()));
        let body = CreatePolicySkip {
            rule_id,
            version_id,
            environment_id,
            resource_id,
            reason: self.reason,
            expires_at: expires.transpose()?.map(|at| at.to_string()),
        };
        let skip = workspace.create_policy_skip(&body).await?;
        session.out.show(&skip, |skip, _| {
            format!(
                "{} is set aside for {} {} (id {})",
                what(skip),
                scope(skip),
                until(skip),
                skip.id
            )
        })?;
        Ok(Answer::Yes)
    }

    async fn rule(&self, workspace: &Workspace) -> Result<String> {
        if let Some(id) = &self.rule {
            return Ok(id.clone());
        }
        if let Some(name) = &self.freeze {
            let all = workspace.freezes().all().await?;
            let freeze = resolve::pick("freeze", name, &all, |it| vec![&it.name, &it.id])?;
            return Ok(freeze.id.clone());
        }
        let Some(name) = &self.policy else {
            return Err(Failure::usage("missing_field", "which rule is to be set aside?")
                .hint("name it with `--policy` and `--kind`, with `--rule`, or a freeze with `--freeze`")
                .into());
        };
        let all = workspace.policies().all().await?;
        let policy = resolve::pick("policy", name, &all, |it| vec![&it.name, &it.id])?;
        let kind = self.kind.as_deref();
        let rules = policy.rules.iter();
        let fitting: Vec<&PolicyRule> = rules
            .filter(|it| kind.is_none_or(|kind| it.kind.eq_ignore_ascii_case(kind)))
            .collect();
        match fitting[..] {
            [only] => Ok(only.id.clone()),
            [] => {
                let kinds: Vec<&str> = policy.rules.iter().map(|it| it.kind.as_str()).collect();
                let what = format!("`{}` has no such rule", policy.name);
                Err(Failure::refused("rule_not_found", what)
                    .hint(format!("it has: {}", kinds.join(", ")))
                    .into())
            }
            _ => {
                let ids = fitting.iter().map(|it| format!("{} ({})", it.id, it.kind));
                let ids: Vec<String> = ids.collect();
                let what = format!("`{}` has several such rules", policy.name);
                Err(Failure::usage("missing_field", what)
                    .hint(format!(
                        "say `--kind`, or `--rule` with one of {}",
                        ids.join(", ")
                    ))
                    .into())
            }
        }
    }
}
