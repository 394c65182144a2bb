//! `stagegate status`

use crate::Answer;
use crate::output::{
    Cell, Output, Paint, Table, Tone, one_line, status_mark, status_tone, status_word, when,
};
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::client::Workspace;
use stagegate_api::{DeploymentStatus, Status, StatusCell};
use std::time::Duration;
use tokio::time::sleep;

/// Events come in bursts; one redraw serves them all.
const BURST: Duration = Duration::from_millis(150);

/// Clears the terminal and goes to its first line.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// Show what runs where, and what is on its way: environments side by side, versions below each other.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate status
  stagegate status --deployment api --watch")]
pub struct Args {
    /// Only this deployment: its slug, name or id
    #[arg(long, short, value_name = "DEPLOYMENT")]
    deployment: Option<String>,
    /// Show it again whenever something changed, until interrupted
    #[arg(long, short)]
    watch: bool,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let only = match &self.deployment {
            Some(name) => Some(resolve::deployment(&workspace, Some(name)).await?.id),
            None => None,
        };
        if self.watch {
            watch(&workspace, only.as_deref(), &session.out).await?;
            return Ok(Answer::Yes);
        }
        let status = workspace.status(only.as_deref()).await?;
        session.out.show(&status, render)?;
        Ok(Answer::Yes)
    }
}

async fn watch(workspace: &Workspace, only: Option<&str>, out: &Output) -> Result<()> {
    let mut status = workspace.status(only).await?;
    let mut events = workspace.events(status.seq);
    loop {
        if out.is_json() {
            out.json_line(&status)?;
        } else if out.is_live() {
            out.text(&format!("{CLEAR}{}", render(&status, out.paint())))?;
        } else {
            out.text(&format!("{}\n", render(&status, out.paint())))?;
        }
        loop {
            let event = tokio::select! {
                event = events.next() => event?,
                _ = tokio::signal::ctrl_c() => return Ok(()),
            };
            if event.seq > status.seq {
                break;
            }
        }
        sleep(BURST).await;
        status = workspace.status(only).await?;
    }
}

fn render(status: &Status, paint: Paint) -> String {
    if status.deployments.is_empty() {
        return "no deployments yet; `stagegate apply -f` creates them\n".to_owned();
    }
    let boards: Vec<String> = status
        .deployments
        .iter()
        .map(|it| board(it, paint))
        .collect();
    boards.join("\n")
}

fn board(deployment: &DeploymentStatus, paint: Paint) -> String {
    let name = &deployment.deployment;
    let mut title = paint.strong(&one_line(&name.name));
    if name.name != name.slug {
        title.push_str(&paint.dim(&format!(" ({})", one_line(&name.slug))));
    }
    let mut heading = vec![Cell::dim("VERSION"), Cell::dim("")];
    heading.extend(
        deployment
            .environments
            .iter()
            .map(|it| Cell::strong(&it.name)),
    );
    let mut table = Table::with_heading(heading).indent(2);
    let mut runs = vec![Cell::dim("runs now"), Cell::dim("")];
    runs.extend(deployment.environments.iter().map(|it| {
        if it.targets == 0 {
            return Cell::dim("no targets");
        }
        let tags: Vec<String> = it
            .current
            .iter()
            .map(|current| match it.current.len() {
                1 if current.count == it.targets => current.tag.clone(),
                _ => format!("{} on {}/{}", current.tag, current.count, it.targets),
            })
            .collect();
        let mut text = if tags.is_empty() {
            "nothing".to_owned()
        } else {
            tags.join(", ")
        };
        for (count, what) in [(it.break_glass, "BREAK-GLASS"), (it.held, "held")] {
            if count > 0 {
                text.push_str(&format!(" ({count} {what})"));
            }
        }
        Cell::from(text)
    }));
    table.row(runs);
    let now = when::now();
    let mut reasons = Vec::new();
    for version in &deployment.versions {
        let standing = if version.status == "ready" {
            when::distance(&version.created_at, now)
        } else {
            version.status.clone()
        };
        let mut row = vec![Cell::from(&version.tag), Cell::dim(standing)];
        for (environment, cell) in deployment.environments.iter().zip(&version.cells) {
            row.push(standing_of(cell));
            if worth_a_line(cell) {
                let tone = status_tone(&cell.status);
                reasons.push(format!(
                    "  {} {} → {}: {}\n",
                    paint.tone(tone, status_mark(&cell.status)),
                    one_line(&version.tag),
                    one_line(&environment.name),
                    one_line(&cell.reason)
                ));
            }
        }
        table.row(row);
    }
    let empty = if deployment.versions.is_empty() {
        "  no versions yet; `stagegate version create` announces one\n"
    } else {
        ""
    };
    let gap = if reasons.is_empty() { "" } else { "\n" };
    format!(
        "{title}\n{}{empty}{gap}{}",
        table.render(paint),
        reasons.concat()
    )
}

fn standing_of(cell: &StatusCell) -> Cell {
    if cell.status.is_empty() {
        return Cell::new("·", Tone::Dim);
    }
    let targets = &cell.targets;
    let progress = if targets.total > 0 && cell.status != "superseded" {
        format!(" {}/{}", targets.succeeded, targets.total)
    } else {
        String::new()
    };
    let failed = if targets.failed > 0 {
        format!(", {} failed", targets.failed)
    } else {
        String::new()
    };
    let marks: String = cell
        .marks
        .iter()
        .map(|mark| match mark.as_str() {
            "breakGlass" => ", BREAK-GLASS".to_owned(),
            "retrying" => ", tried again".to_owned(),
            mark => format!(", {mark}"),
        })
        .collect();
    let text = format!(
        "{} {}{progress}{failed}{marks}",
        status_mark(&cell.status),
        status_word(&cell.status)
    );
    Cell::new(text, status_tone(&cell.status))
}

/// Whether the reason says more than the mark.
fn worth_a_line(cell: &StatusCell) -> bool {
    !cell.reason.is_empty() && !matches!(cell.status.as_str(), "" | "succeeded" | "superseded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_api::{
        DeploymentRef, EnvironmentStatus, TagCount, TargetCounts, VersionStatusRow,
    };

    #[test]
    fn the_board_has_environments_as_columns_and_reasons_below() {
        let environment = |name: &str, current: &[(&str, usize)]| EnvironmentStatus {
            name: name.to_owned(),
            targets: 2,
            current: current
                .iter()
                .map(|(tag, count)| TagCount {
                    tag: (*tag).to_owned(),
                    count: *count,
                })
                .collect(),
            ..EnvironmentStatus::default()
        };
        let cell = |status: &str, reason: &str, succeeded| StatusCell {
            status: status.to_owned(),
            reason: reason.to_owned(),
            targets: TargetCounts {
                total: 2,
                succeeded,
                ..TargetCounts::default()
            },
            ..StatusCell::default()
        };
        let status = Status {
            deployments: vec![DeploymentStatus {
                deployment: DeploymentRef {
                    name: "API".to_owned(),
                    slug: "api".to_owned(),
                    ..DeploymentRef::default()
                },
                environments: vec![
                    environment("staging", &[("v2", 2)]),
                    environment("production", &[("v1", 1)]),
                ],
                versions: vec![VersionStatusRow {
                    tag: "v2".to_owned(),
                    status: "paused".to_owned(),
                    cells: vec![
                        cell("succeeded", "all there", 2),
                        cell("waiting", "waits for 1 approval", 0),
                    ],
                    ..VersionStatusRow::default()
                }],
            }],
            seq: 9,
        };
        assert_eq!(
            render(&status, Paint::none()),
            "API (api)\n  \
             VERSION           staging          production\n  \
             runs now          v2               v1 on 1/2\n  \
             v2        paused  ✓ succeeded 2/2  ○ waiting 0/2\n\n  \
             ○ v2 → production: waits for 1 approval\n"
        );
    }
}
