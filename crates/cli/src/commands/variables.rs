//! `stagegate variables`

use crate::Answer;
use crate::failure::Failure;
use crate::output::{Cell, Paint, Table, one_line};
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::client::Workspace;
use stagegate_api::{ResolvedVariable, TargetVariables};
use stagegate_model::TargetKey;

/// Say what the variables of a target would come out as now, and where each comes from. What a release was told
/// stays with it: `stagegate releases --output json` has that.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate variables api/production/host-1
  stagegate variables api/production/host-1 --output json")]
pub struct Args {
    /// Which target: the deployment's slug, the environment's name and the resource's identifier; or its key
    #[arg(value_name = "DEPLOYMENT/ENVIRONMENT/RESOURCE")]
    target: String,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let target = target(&workspace, &self.target).await?;
        let variables = workspace.target_variables(&target).await?;
        session.out.show(&variables, render)?;
        let unresolved = variables.variables.iter().any(|it| it.error.is_some());
        Ok(if unresolved { Answer::No } else { Answer::Yes })
    }
}

/// The key of a release target that a person named.
async fn target(workspace: &Workspace, text: &str) -> Result<String> {
    if text.parse::<TargetKey>().is_ok() {
        return Ok(text.to_owned());
    }
    // An identifier may have slashes of its own.
    let parts: Vec<&str> = text.splitn(3, '/').collect();
    let [deployment, environment, resource] = parts[..] else {
        let message = format!("`{text}` does not name a release target");
        return Err(Failure::usage("invalid_value", message)
            .hint("write DEPLOYMENT/ENVIRONMENT/RESOURCE, such as `api/production/host-1`")
            .into());
    };
    let deployment = resolve::deployment(workspace, Some(deployment)).await?;
    let environment = resolve::environment(workspace, environment).await?;
    let found = workspace.resource(resource).await?;
    let id = found.id.unwrap_or_else(|| resource.to_owned());
    Ok(format!("{id}-{}-{}", environment.id, deployment.id))
}

fn render(it: &TargetVariables, paint: Paint) -> String {
    if it.variables.is_empty() {
        return "the deployment declares no variables\n".to_owned();
    }
    table(&it.variables).render(paint)
}

/// Variables with where each comes from.
pub fn table(variables: &[ResolvedVariable]) -> Table {
    let mut table = Table::new(["KEY", "VALUE", "FROM", "NOTE"]);
    for it in variables {
        let note = it.error.as_deref().or(it.note.as_deref());
        table.row([
            Cell::strong(&it.key),
            Cell::from(value(it)),
            Cell::dim(it.source.as_deref().unwrap_or("–")),
            Cell::from(one_line(note.unwrap_or_default())),
        ]);
    }
    table
}

fn value(it: &ResolvedVariable) -> String {
    const SHOWN_MAX: usize = 60;
    let text = match (&it.value, &it.secret) {
        (Some(stagegate_api::Json::String(text)), _) => text.clone(),
        (Some(json), _) => json.to_string(),
        (None, Some(secret)) => format!("(secret {secret})"),
        (None, None) => return "none".to_owned(),
    };
    let text = one_line(&text);
    match text.chars().nth(SHOWN_MAX) {
        Some(_) => text.chars().take(SHOWN_MAX).chain(['…']).collect(),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_says_what_it_is_and_where_from() {
        let of = |key: &str| ResolvedVariable {
            key: key.to_owned(),
            ..ResolvedVariable::default()
        };
        let variables = vec![
            ResolvedVariable {
                value: Some(3.into()),
                source: Some("default".to_owned()),
                ..of("replicas")
            },
            ResolvedVariable {
                secret: Some("DB".to_owned()),
                source: Some("resource".to_owned()),
                ..of("password")
            },
            ResolvedVariable {
                error: Some("nothing sets it".to_owned()),
                ..of("zone")
            },
        ];
        assert_eq!(
            table(&variables).render(Paint::none()),
            "KEY       VALUE        FROM      NOTE\n\
             replicas  3            default\n\
             password  (secret DB)  resource\n\
             zone      none         –         nothing sets it\n"
        );
    }
}
