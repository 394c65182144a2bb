//! `stagegate why`

mod chain;
mod past;

use super::variables;
use crate::Answer;
use crate::output::{
    Cell, Paint, Table, gates, one_line, status_mark, status_tone, status_word, when,
};
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::{Why, WhyChainQuery, WhyQuery, WhyTarget};

/// Say why a version is, or is not, in an environment, and when it will be.
///
/// Without an environment: in all of its deployment, and who waits for whom. With `--job`: why that job was started,
/// whenever that was.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate why production
  stagegate why production --deployment api --version v1.2.3
  stagegate why production --resource cluster-1
  stagegate why --version v1.2.3
  stagegate why --job 0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10")]
pub struct Args {
    /// The environment's name or id; all of them when left out
    environment: Option<String>,
    /// Only what is asked of this target: its resource's identifier, name or id
    #[arg(long, short, value_name = "RESOURCE", requires = "environment")]
    resource: Option<String>,
    /// Why this job was started: its id
    #[arg(long, short, value_name = "ID", conflicts_with_all = ["environment", "deployment", "version"])]
    job: Option<String>,
    /// The deployment's slug, name or id; may be left out when there is only one
    #[arg(long, short, value_name = "DEPLOYMENT")]
    deployment: Option<String>,
    /// The version's tag or id; the newest when left out
    #[arg(long, short, value_name = "TAG")]
    version: Option<String>,
    /// How many targets are told, 1 to 1000; 50 when left out
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only targets behind this one: a resource's id, as the answer before names it
    #[arg(long, value_name = "ID", requires = "environment")]
    after: Option<String>,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        if let Some(job) = &self.job {
            let why = workspace.job_why(job).await?;
            session.out.show(&why, past::render)?;
            return Ok(Answer::Yes);
        }
        let deployment = resolve::deployment(&workspace, self.deployment.as_deref()).await?;
        let environment = match &self.environment {
            Some(name) => Some(resolve::environment(&workspace, name).await?.id),
            None => None,
        };
        let version = match &self.version {
            Some(tag) => Some(resolve::version(&workspace, &deployment, tag).await?.id),
            None => None,
        };
        let Some(environment) = environment else {
            let query = WhyChainQuery {
                deployment: deployment.id,
                version,
                limit: self.limit,
            };
            let chain = workspace.why_chain(&query).await?;
            session.out.show(&chain, chain::render)?;
            return Ok(Answer::Yes);
        };
        let query = WhyQuery {
            deployment: deployment.id,
            environment,
            version,
            resource: self.resource,
            limit: self.limit,
            after: self.after,
        };
        let why = workspace.why(&query).await?;
        session.out.show(&why, render)?;
        Ok(Answer::Yes)
    }
}

fn render(why: &Why, paint: Paint) -> String {
    let tone = status_tone(&why.status);
    let mut text = format!(
        "{} → {}: {}\n",
        paint.strong(&one_line(&format!(
            "{} {}",
            why.deployment.slug, why.version.tag
        ))),
        paint.strong(&one_line(&why.environment.name)),
        paint.tone(
            tone,
            &one_line(&format!(
                "{} {}",
                status_mark(&why.status),
                status_word(&why.status)
            ))
        )
    );
    if let Some(promotion) = &why.promotion {
        text.push_str(&paint.dim(&format!("promotion {}", one_line(promotion))));
        text.push('\n');
    }
    text.push_str(&format!("\n{}\n", paint.dim("GATES")));
    if why.gates.is_empty() {
        text.push_str("  no rule applies here\n");
    } else {
        text.push_str(&gates::render(&why.gates, paint));
    }
    text.push_str(&format!("\n{}\n", paint.dim("TARGETS")));
    if why.targets.is_empty() {
        text.push_str(
            "  none: no resource matches both the environment's and the deployment's selector\n",
        );
    } else {
        let mut table = Table::new(["RESOURCE", "STATE", "RUNS", "LAST GIVEN", "WHY"]).indent(2);
        for target in &why.targets {
            table.row([
                Cell::from(&target.resource),
                Cell::status(&target.state),
                Cell::from(target.current.as_deref().unwrap_or("–")),
                Cell::dim(last_given(target)),
                Cell::from(target.reason.as_deref().unwrap_or_default()),
            ]);
        }
        text.push_str(&table.render(paint));
        text.push_str(&rest(why));
        text.push_str(&told(&why.targets, paint));
    }
    text.push('\n');
    if let Some(earliest) = &why.earliest {
        text.push_str(&format!(
            "{} {}\n",
            paint.dim("at the earliest:"),
            when::both(earliest, when::now())
        ));
    }
    text.push_str(&format!("{}\n", paint.strong(&one_line(&why.summary))));
    if !why.waits_for.is_empty() {
        text.push_str(&format!("{}\n", one_line(&why.story)));
    }
    text
}

/// How all targets stand, where not all are told, and how to see the others.
fn rest(why: &Why) -> String {
    let total: usize = why.target_counts.values().sum();
    if total <= why.targets.len() {
        return String::new();
    }
    let counts = why.target_counts.iter();
    let counts: Vec<String> = counts
        .map(|(state, count)| format!("{count} {}", one_line(status_word(state))))
        .collect();
    let next = match &why.next_target {
        Some(next) => format!("; `--after {}` shows those behind", one_line(next)),
        None => String::new(),
    };
    format!("  of {total} in all: {}{next}\n", counts.join(", "))
}

/// What the latest releases were told, as long as that can be taken in.
fn told(targets: &[WhyTarget], paint: Paint) -> String {
    const SHOWN_MAX: usize = 3;
    let having = targets.iter().filter(|it| !it.variables.is_empty());
    let having: Vec<&WhyTarget> = having.collect();
    if having.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", paint.dim("VARIABLES"));
    for it in having.iter().take(SHOWN_MAX) {
        text.push_str(&format!(
            "  {} {}\n",
            paint.strong(&one_line(&it.resource)),
            paint.dim(&one_line(it.latest.as_deref().unwrap_or_default()))
        ));
        text.push_str(&variables::table(&it.variables).indent(4).render(paint));
    }
    if having.len() > SHOWN_MAX {
        let rest = having.len() - SHOWN_MAX;
        text.push_str(&format!("  and {rest} more; see `--output json`\n"));
    }
    text
}

/// `v1`, `v1 (rollback)`.
fn last_given(target: &WhyTarget) -> String {
    let latest = target.latest.as_deref().unwrap_or("–");
    match target.kind.as_deref() {
        Some("breakGlass") => format!("{latest} (BREAK-GLASS)"),
        Some(kind) => format!("{latest} ({kind})"),
        None => latest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_api::{DeploymentRef, EnvironmentRef, Gate, Need, VersionRef};

    #[test]
    fn gates_targets_and_summary_are_told() {
        let why = Why {
            deployment: DeploymentRef {
                slug: "api".to_owned(),
                ..DeploymentRef::default()
            },
            environment: EnvironmentRef {
                name: "production".to_owned(),
                ..EnvironmentRef::default()
            },
            version: VersionRef {
                tag: "v2".to_owned(),
                ..VersionRef::default()
            },
            promotion: Some("p".to_owned()),
            status: "waiting".to_owned(),
            summary: "waits for one approval".to_owned(),
            gates: vec![Gate {
                kind: "anyApproval".to_owned(),
                policy_name: "prod".to_owned(),
                action_type: "approval".to_owned(),
                message: "0 of 1".to_owned(),
                ..Gate::default()
            }],
            targets: vec![WhyTarget {
                resource: "host-1".to_owned(),
                current: Some("v1".to_owned()),
                state: "waiting".to_owned(),
                ..WhyTarget::default()
            }],
            target_counts: [("pending".to_owned(), 1), ("failed".to_owned(), 2)].into(),
            next_target: Some("r1".to_owned()),
            earliest: None,
            story: "production waits for approval by role:admin; nothing else is missing"
                .to_owned(),
            waits_for: vec![Need::default()],
        };
        assert_eq!(
            render(&why, Paint::none()),
            "api v2 → production: ○ waiting\npromotion p\n\nGATES\n  \
             ○ anyApproval waits (policy `prod`)\n      0 of 1\n\nTARGETS\n  \
             RESOURCE  STATE      RUNS  LAST GIVEN  WHY\n  \
             host-1    ○ waiting  v1    –\n  \
             of 3 in all: 2 failed, 1 pending; `--after r1` shows those behind\n\nwaits for one approval\n\
             production waits for approval by role:admin; nothing else is missing\n"
        );
    }
}
