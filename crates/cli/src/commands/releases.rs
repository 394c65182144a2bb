//! `stagegate releases`

use super::ordering;
use crate::Answer;
use crate::failure::Failure;
use crate::output::{Cell, Paint, Table, one_line, status_word, when};
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::client::Workspace;
use stagegate_api::{
    Json, LIMIT_MAX, Page, ReleaseDiff, ReleaseRecord, ReleaseTarget, ReleasesQuery,
};
use stagegate_model::TargetKey;

/// List what targets were given, newest first: numbered, with how each release came about and how it ended.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate releases api --environment production
  stagegate releases api -e production -R host-3 --diff 4     what release 4 changed")]
pub struct Args {
    /// A deployment's slug, name or id, or a release target (`resourceId-environmentId-deploymentId`)
    #[arg(value_name = "TARGET|DEPLOYMENT")]
    of: String,
    /// Only in this environment: its name or id
    #[arg(long, short, value_name = "ENVIRONMENT")]
    environment: Option<String>,
    /// Only on this resource: its identifier or id
    #[arg(long, short = 'R', value_name = "RESOURCE")]
    resource: Option<String>,
    /// Show what this release of a target changed, compared with the one before it
    #[arg(long, value_name = "NUMBER")]
    diff: Option<u64>,
    /// How many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=LIMIT_MAX as i64))]
    limit: u16,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        if let Some(number) = self.diff {
            let id = self.release(&workspace, number).await?;
            let diff = workspace.release_diff(&id).await?;
            session.out.show(&diff, render_diff)?;
            return Ok(Answer::Yes);
        }
        let page = self.page(&workspace, self.limit.into(), 0).await?;
        session
            .out
            .show(&page.items, |items, paint| render(items, paint))?;
        if page.total > page.items.len() {
            session.out.note("there are more; see --limit");
        }
        Ok(Answer::Yes)
    }

    async fn page(
        &self,
        workspace: &Workspace,
        limit: usize,
        offset: usize,
    ) -> Result<Page<ReleaseRecord>> {
        if let Ok(key) = self.of.parse::<TargetKey>() {
            let target = ReleaseTarget {
                resource_id: key.resource.to_string(),
                environment_id: key.environment.to_string(),
                deployment_id: key.deployment.to_string(),
            };
            return Ok(workspace.target_releases(&target, limit, offset).await?);
        }
        let deployment = resolve::deployment(workspace, Some(&self.of)).await?;
        let environment = match &self.environment {
            Some(name) => Some(resolve::environment(workspace, name).await?.id),
            None => None,
        };
        let query = ReleasesQuery {
            environment,
            resource: self.resource.clone(),
            limit: Some(limit),
            offset: Some(offset),
        };
        Ok(workspace
            .deployment_releases(&deployment.id, &query)
            .await?)
    }

    /// The id of the release with that number, of the one target that is meant.
    async fn release(&self, workspace: &Workspace, number: u64) -> Result<String> {
        let mut found: Vec<ReleaseRecord> = Vec::new();
        let mut offset = 0;
        loop {
            let page = self.page(workspace, LIMIT_MAX, offset).await?;
            offset += page.items.len();
            let ended = page.items.is_empty() || offset >= page.total;
            found.extend(page.items.into_iter().filter(|it| it.number == number));
            if ended || found.len() > 1 {
                break;
            }
        }
        match &found[..] {
            [only] => Ok(only.id.clone()),
            [] => Err(Failure::refused(
                "release_not_found",
                format!("`{}` has no release {number} there", self.of),
            )
            .hint("`stagegate releases` lists them")
            .into()),
            _ => Err(Failure::usage(
                "missing_field",
                format!("several targets of `{}` have a release {number}", self.of),
            )
            .hint("name one with `--environment` and `--resource`")
            .into()),
        }
    }
}

fn render(releases: &[ReleaseRecord], paint: Paint) -> String {
    if releases.is_empty() {
        return "no releases\n".to_owned();
    }
    let now = when::now();
    let mut table = Table::new([
        "#",
        "RESOURCE",
        "ENVIRONMENT",
        "VERSION",
        "STATUS",
        "KIND",
        "BY",
        "WHEN",
        "WHY",
    ]);
    for it in releases {
        let current = if it.current { " ←" } else { "" };
        table.row([
            Cell::from(format!("{}{current}", it.number)),
            Cell::from(&it.resource),
            Cell::from(&it.environment.name),
            Cell::strong(&it.version.tag),
            Cell::status(&it.status),
            Cell::from(kind(it)),
            Cell::from(&it.by),
            Cell::dim(when::distance(&it.created_at, now)),
            Cell::from(why(it)),
        ]);
    }
    table.render(paint)
}

fn kind(it: &ReleaseRecord) -> String {
    match (it.kind.as_str(), &it.rollback_of) {
        ("rollback", Some(undone)) => format!("rollback of {}", ordering::release(undone)),
        ("breakGlass", _) => "BREAK-GLASS".to_owned(),
        (kind, _) => kind.to_owned(),
    }
}

fn why(it: &ReleaseRecord) -> String {
    let reasons = [it.order_reason.as_deref(), it.reason.as_deref()];
    let told: Vec<&str> = reasons
        .into_iter()
        .flatten()
        .filter(|reason| !reason.is_empty())
        .collect();
    told.join("; ")
}

fn render_diff(diff: &ReleaseDiff, paint: Paint) -> String {
    let it = &diff.release;
    let name = |it: &ReleaseRecord| {
        format!(
            "#{} {} ({})",
            it.number,
            it.version.tag,
            status_word(&it.status)
        )
    };
    let mut text = format!(
        "{} in {}: {}\n",
        paint.strong(&one_line(&it.resource)),
        one_line(&it.environment.name),
        match &diff.before {
            Some(before) => one_line(&format!("{} → {}", name(before), name(it))),
            None => one_line(&format!("{}, the first", name(it))),
        }
    );
    if diff.changes.is_empty() {
        text.push_str("nothing differs\n");
    }
    let value = |it: &Option<Json>| match it {
        Some(Json::String(text)) => one_line(text),
        Some(other) => one_line(&other.to_string()),
        None => "–".to_owned(),
    };
    for change in &diff.changes {
        text.push_str(&format!(
            "  {}\n    {}\n    {}\n",
            paint.dim(&one_line(&change.path)),
            paint.bad(&format!("- {}", value(&change.before))),
            paint.good(&format!("+ {}", value(&change.after)))
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_api::{ConfigChange, ReleaseRef, VersionRef};

    fn record(number: u64, tag: &str) -> ReleaseRecord {
        ReleaseRecord {
            number,
            resource: "host-1".to_owned(),
            version: VersionRef {
                tag: tag.to_owned(),
                ..VersionRef::default()
            },
            status: "succeeded".to_owned(),
            kind: "forward".to_owned(),
            by: "stagegate".to_owned(),
            created_at: "long ago".to_owned(),
            ..ReleaseRecord::default()
        }
    }

    #[test]
    fn a_rollback_says_what_it_undid_by_whom_and_why() {
        let rollback = ReleaseRecord {
            kind: "rollback".to_owned(),
            by: "alice".to_owned(),
            order_reason: Some("orders are lost".to_owned()),
            current: true,
            rollback_of: Some(ReleaseRef {
                number: Some(2),
                version: VersionRef {
                    tag: "v2".to_owned(),
                    ..VersionRef::default()
                },
                ..ReleaseRef::default()
            }),
            ..record(3, "v1")
        };
        assert_eq!(
            render(&[rollback], Paint::none()),
            "#    RESOURCE  ENVIRONMENT  VERSION  STATUS       KIND                 BY     WHEN      WHY\n\
             3 ←  host-1                 v1       ✓ succeeded  rollback of v2 (#2)  alice  long ago  orders are lost\n"
        );
    }

    #[test]
    fn a_diff_shows_both_sides() {
        let diff = ReleaseDiff {
            release: record(2, "v2"),
            before: Some(record(1, "v1")),
            changes: vec![ConfigChange {
                path: "version.tag".to_owned(),
                before: Some("v1".into()),
                after: Some("v2".into()),
            }],
        };
        assert_eq!(
            render_diff(&diff, Paint::none()),
            "host-1 in : #1 v1 (succeeded) → #2 v2 (succeeded)\n  version.tag\n    - v1\n    + v2\n"
        );
    }
}
