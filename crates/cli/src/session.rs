//! The server, the key and the workspace that a command works with.

use crate::arguments::Global;
use crate::failure::Failure;
use crate::output::Output;
use anyhow::Result;
use stagegate_api::client::{Client, ClientError, Workspace};
use stagegate_model::WorkspaceId;

/// What a command that talks to a server needs.
#[derive(Clone, Debug)]
pub struct Session {
    pub client: Client,
    pub out: Output,
    workspace: Option<String>,
}

impl Session {
    /// A session with the server and key that were given. Nothing is sent yet.
    ///
    /// # Errors
    /// When there is no key, or the URL is none.
    pub fn new(global: &Global, out: Output) -> Result<Self> {
        let client = Client::new(&global.server, key(global)?)?;
        Ok(Self {
            client,
            out,
            workspace: global.workspace.clone().filter(|name| !name.is_empty()),
        })
    }

    /// The workspace that was named, or the only one there is for the key.
    ///
    /// # Errors
    /// When there is no such one, or not exactly one; and as every call.
    pub async fn workspace(&self) -> Result<Workspace> {
        let Some(name) = &self.workspace else {
            return self.only_workspace().await;
        };
        if name.parse::<WorkspaceId>().is_ok() {
            return Ok(self.client.workspace(name));
        }
        match self.client.workspace_by_slug(name).await {
            Ok(found) => Ok(self.client.workspace(found.id)),
            Err(ClientError::Problem(problem)) if problem.status == 404 => {
                let hint = known(&self.slugs().await?);
                let what = format!("there is no workspace `{name}` for this key");
                Err(Failure::refused("workspace_not_found", what)
                    .hint(hint)
                    .into())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn only_workspace(&self) -> Result<Workspace> {
        let mut workspaces = self.client.me().await?.workspaces;
        match (workspaces.pop(), workspaces.is_empty()) {
            (Some(only), true) => Ok(self.client.workspace(only.id)),
            (None, _) => Err(Failure::refused(
                "workspace_not_found",
                "this key may not see any workspace",
            )
            .into()),
            (Some(last), false) => {
                let mut slugs: Vec<String> = workspaces.into_iter().map(|it| it.slug).collect();
                slugs.push(last.slug);
                Err(
                    Failure::usage("missing_field", "which workspace? This key may see several")
                        .hint(format!(
                            "name it with `--workspace` or in STAGEGATE_WORKSPACE; {}",
                            known(&slugs)
                        ))
                        .into(),
                )
            }
        }
    }

    async fn slugs(&self) -> Result<Vec<String>> {
        let workspaces = self.client.me().await?.workspaces;
        Ok(workspaces.into_iter().map(|it| it.slug).collect())
    }
}

/// The key that was given.
///
/// # Errors
/// When none was.
pub fn key(global: &Global) -> Result<&str> {
    match global.api_key.as_deref().map(str::trim) {
        Some(key) if !key.is_empty() => Ok(key),
        _ => Err(Failure::usage("unauthorized", "there is no API key to act with")
            .hint("set STAGEGATE_API_KEY; `stagegate serve` prints the first key when it starts for the first time")
            .into()),
    }
}

fn known(slugs: &[String]) -> String {
    let slugs: Vec<String> = slugs.iter().map(|slug| format!("`{slug}`")).collect();
    format!("there are {}", slugs.join(", "))
}
