//! `stagegate approve`, `reject` and `withdraw`

use crate::Answer;
use crate::failure::Failure;
use crate::output::{Paint, clean, gates, one_line, when};
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use serde::Serialize;
use stagegate_api::client::Workspace;
use stagegate_api::{
    CastVotes, Deployment, DeploymentVersion, Environment, Promotion, PromotionsQuery, Why,
    WhyQuery,
};

/// How many waiting versions a hint lists.
const LISTED_MAX: usize = 10;

/// What votes need to know.
#[derive(clap::Args, Debug)]
struct Ballot {
    /// The version's tag or id; may be left out when exactly one waits for approval there
    #[arg(value_name = "TAG")]
    tag: Option<String>,
    /// The deployment's slug, name or id; may be left out when there is only one
    #[arg(long, short, value_name = "DEPLOYMENT")]
    deployment: Option<String>,
    /// Where the vote counts; may be given several times
    #[arg(long, short, required = true, value_name = "ENVIRONMENT")]
    environment: Vec<String>,
    /// Why
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
}

/// Vote for a version in environments. The latest vote of a person counts.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate approve v1.2.3 --deployment api --environment production --reason 'looks good'
  stagegate approve --environment production     the only version that waits there")]
pub struct Approve {
    #[command(flatten)]
    ballot: Ballot,
}

/// Vote against a version in environments: it stays out until the vote is withdrawn.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate reject v1.2.3 --deployment api --environment production --reason 'wrong migration'")]
pub struct Reject {
    #[command(flatten)]
    ballot: Ballot,
}

/// Take your vote back.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate withdraw v1.2.3 --deployment api --environment production")]
pub struct Withdraw {
    #[command(flatten)]
    ballot: Ballot,
}

impl Approve {
    pub async fn run(self, session: Session) -> Result<Answer> {
        self.ballot.cast("approved", session).await
    }
}

impl Reject {
    pub async fn run(self, session: Session) -> Result<Answer> {
        self.ballot.cast("rejected", session).await
    }
}

impl Withdraw {
    pub async fn run(self, session: Session) -> Result<Answer> {
        self.ballot.cast("withdrawn", session).await
    }
}

/// What programs see.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Voted<'a> {
    vote: &'a str,
    version: &'a DeploymentVersion,
    /// How it stands after the vote, in each of the environments.
    environments: Vec<Why>,
}

impl Ballot {
    async fn cast(self, vote: &str, session: Session) -> Result<Answer> {
        let out = &session.out;
        let workspace = session.workspace().await?;
        let deployment = resolve::deployment(&workspace, self.deployment.as_deref()).await?;
        let environments = resolve::environments(&workspace, &self.environment).await?;
        let version = match &self.tag {
            Some(tag) => resolve::version(&workspace, &deployment, tag).await?,
            None => {
                let tag = only_waiting(&workspace, &deployment, &environments, vote).await?;
                resolve::version(&workspace, &deployment, &tag).await?
            }
        };
        if !out.is_json() {
            out.text(&subject(&deployment, &version, &environments, out.paint()))?;
        }
        let body = CastVotes {
            environment_ids: environments.iter().map(|it| it.id.clone()).collect(),
            status: vote.to_owned(),
            reason: self.reason.clone().filter(|reason| !reason.is_empty()),
        };
        workspace.vote(&version.id, &body).await?;
        let mut after = Vec::new();
        for environment in &environments {
            let query = WhyQuery {
                deployment: deployment.id.clone(),
                environment: environment.id.clone(),
                version: Some(version.id.clone()),
                ..WhyQuery::default()
            };
            after.push(workspace.why(&query).await?);
        }
        if out.is_json() {
            let version = &version;
            out.json(&Voted {
                vote,
                version,
                environments: after,
            })?;
        } else {
            out.text(&outcome(vote, &after, out.paint()))?;
        }
        Ok(Answer::Yes)
    }
}

/// The tag of the only version whose vote is awaited in all of the environments.
async fn only_waiting(
    workspace: &Workspace,
    deployment: &Deployment,
    environments: &[Environment],
    vote: &str,
) -> Result<String> {
    let query = PromotionsQuery {
        deployment: Some(deployment.id.clone()),
        open: Some(true),
        ..PromotionsQuery::default()
    };
    let open = workspace.all_promotions(&query).all().await?;
    let awaited = |promotion: &Promotion| {
        let here = environments
            .iter()
            .any(|it| it.id == promotion.environment.id);
        let votable = promotion.gates.iter().any(|gate| {
            // What is open already can still be voted against, and an approval be taken back.
            let undecided = vote != "approved" || !gate.allowed;
            undecided && gate.kind.to_lowercase().contains("approval")
        });
        here && votable
    };
    let mut tags: Vec<&str> = Vec::new();
    for promotion in open.iter().filter(|promotion| awaited(promotion)) {
        if !tags.contains(&promotion.version.tag.as_str()) {
            tags.push(&promotion.version.tag);
        }
    }
    let places: Vec<&str> = environments.iter().map(|it| it.name.as_str()).collect();
    match tags[..] {
        [only] => Ok(only.to_owned()),
        [] => Err(Failure::refused(
            "version_not_found",
            format!(
                "no version of `{}` waits for approval in {}",
                deployment.slug,
                places.join(", ")
            ),
        )
        .hint("name the version, or ask `stagegate status` what is on its way")
        .into()),
        _ => {
            let listed: Vec<String> = tags
                .iter()
                .take(LISTED_MAX)
                .map(|tag| format!("`{tag}`"))
                .collect();
            Err(Failure::usage(
                "missing_field",
                format!(
                    "which version? {} wait in {}",
                    tags.len(),
                    places.join(", ")
                ),
            )
            .hint(format!("name one of {}", listed.join(", ")))
            .into())
        }
    }
}

/// What is being voted on.
fn subject(
    deployment: &Deployment,
    version: &DeploymentVersion,
    environments: &[Environment],
    paint: Paint,
) -> String {
    let places: Vec<String> = environments.iter().map(|it| one_line(&it.name)).collect();
    let mut text = format!(
        "{} of {} → {}\n",
        paint.strong(&one_line(&version.tag)),
        one_line(&deployment.slug),
        places.join(", ")
    );
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("  {} {}\n", paint.dim(label), clean(value)));
        }
    };
    if version.name != version.tag {
        line("name:", &version.name);
    }
    line("created:", &when::both(&version.created_at, when::now()));
    line("message:", version.message.as_deref().unwrap_or_default());
    for (label, config) in [
        ("config:", &version.config),
        ("job agent config:", &version.job_agent_config),
    ] {
        let empty = config.as_object().is_none_or(serde_json::Map::is_empty);
        line(
            label,
            &if empty {
                String::new()
            } else {
                config.to_string()
            },
        );
    }
    for (key, value) in version.metadata.iter().flatten() {
        line(&format!("{}:", one_line(key)), value);
    }
    text
}

fn outcome(vote: &str, after: &[Why], paint: Paint) -> String {
    let mut text = String::new();
    for why in after {
        text.push_str(&format!(
            "{vote} in {}: {}\n",
            paint.strong(&one_line(&why.environment.name)),
            one_line(&why.summary)
        ));
        for gate in why.gates.iter().filter(|gate| !gate.allowed) {
            for line in gates::stages(gate) {
                text.push_str(&format!("  {} {line}\n", paint.dim("·")));
            }
        }
        // The summary often is one of the reasons.
        let reasons = gates::reasons(&why.gates).into_iter();
        for reason in reasons.filter(|reason| !why.summary.contains(reason.as_str())) {
            text.push_str(&format!("  {} {reason}\n", paint.open("○")));
        }
    }
    text
}
