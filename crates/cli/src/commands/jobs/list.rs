//! `stagegate jobs`

use crate::Answer;
use crate::output::{Cell, Paint, Table, when};
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::JobWithRelease;

#[derive(clap::Args, Debug)]
pub struct Filter {
    /// Only this deployment's: its slug, name or id
    #[arg(long, short, value_name = "DEPLOYMENT")]
    deployment: Option<String>,
    /// Only in this environment: its name or id
    #[arg(long, short, value_name = "ENVIRONMENT")]
    environment: Option<String>,
    /// Only with this status, such as `inProgress` or `failure`
    #[arg(long, short)]
    status: Option<String>,
    /// How many
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

impl Filter {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let deployment = match &self.deployment {
            Some(name) => Some(resolve::deployment(&workspace, Some(name)).await?.id),
            None => None,
        };
        let environment = match &self.environment {
            Some(name) => Some(resolve::environment(&workspace, name).await?.id),
            None => None,
        };
        let status = self.status.as_deref().map(folded);
        let mut all = workspace.jobs();
        let mut jobs = Vec::new();
        while jobs.len() < self.limit
            && let Some(job) = all.next().await?
        {
            let target = &job.release.release_target;
            let fits = |wanted: &Option<String>, is: &str| {
                wanted.as_deref().is_none_or(|wanted| wanted == is)
            };
            if fits(&deployment, &target.deployment_id)
                && fits(&environment, &target.environment_id)
                && status
                    .as_ref()
                    .is_none_or(|status| *status == folded(&job.job.status))
            {
                jobs.push(job);
            }
        }
        session.out.show(&jobs, |jobs, paint| render(jobs, paint))?;
        Ok(Answer::Yes)
    }
}

/// `in progress`, `in-progress` and `inProgress` are the same.
fn folded(status: &str) -> String {
    status
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

fn render(jobs: &[JobWithRelease], paint: Paint) -> String {
    if jobs.is_empty() {
        return "no jobs\n".to_owned();
    }
    let now = when::now();
    let mut table = Table::new([
        "ID",
        "DEPLOYMENT",
        "VERSION",
        "ENVIRONMENT",
        "RESOURCE",
        "STATUS",
        "UPDATED",
        "MESSAGE",
    ]);
    for JobWithRelease {
        job,
        release,
        deployment,
        environment,
        resource,
    } in jobs
    {
        let target = &release.release_target;
        table.row([
            Cell::from(&job.id),
            Cell::from(
                deployment
                    .as_ref()
                    .map_or(&target.deployment_id, |it| &it.slug),
            ),
            Cell::strong(&release.version.tag),
            Cell::from(
                environment
                    .as_ref()
                    .map_or(&target.environment_id, |it| &it.name),
            ),
            Cell::from(resource.as_ref().map_or(&target.resource_id, |it| &it.name)),
            Cell::status(&job.status),
            Cell::dim(when::distance(&job.updated_at, now)),
            Cell::from(job.message.as_deref().unwrap_or_default()),
        ]);
    }
    table.render(paint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_recognised_however_they_are_spelled() {
        assert_eq!(folded("inProgress"), folded("in-progress"));
        assert_ne!(folded("failure"), folded("failed"));
    }
}
