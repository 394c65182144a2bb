//! The first page: for each deployment its versions as rows and its environments as columns.

use super::failure::{Rendered, render};
use super::session::Session;
use super::view::{Chip, Frame, may_vote, short_time, standing_vote};
use crate::answer::Answer;
use crate::overview::{Need, Overview, overview};
use askama::Template;
use axum::response::Html;
use stagegate_api::{DeploymentStatus, EnvironmentStatus, StatusCell, VersionStatusRow};
use std::collections::BTreeMap;

#[derive(Template)]
#[template(path = "board.html")]
struct BoardPage {
    frame: Frame,
    board: Board,
}

#[derive(Template)]
#[template(path = "board_fragment.html")]
struct BoardFragment {
    board: Board,
}

struct Board {
    deployments: Vec<Table>,
    /// What is told to who cannot see the page change.
    summary: String,
    token: String,
}

struct Table {
    name: String,
    slug: String,
    environments: Vec<Column>,
    rows: Vec<Row>,
}

struct Column {
    name: String,
    /// What runs there: `v1.2 on 3 of 5`.
    current: String,
    /// What is not as usual there.
    unusual: Vec<Chip>,
}

struct Row {
    tag: String,
    /// Where the version is not simply ready.
    chip: Option<Chip>,
    created: String,
    created_at: String,
    cells: Vec<Cell>,
}

struct Cell {
    chip: Chip,
    marks: Vec<Chip>,
    /// `3/5 targets`; empty where there is nothing to count.
    counts: String,
    reason: String,
    /// Who can do something about it; empty where nobody needs to.
    who: String,
    /// When time alone lets it in; empty where it does not.
    opens: String,
    promotion: Option<String>,
    environment: String,
    environment_id: String,
    version_id: String,
    tag: String,
    vote: bool,
    /// How the person's own vote stands; empty without one.
    cast: &'static str,
}

pub(super) async fn page(session: Session) -> Rendered<Html<String>> {
    let frame = Frame::of(&session).await?;
    let board = board(&session).await?;
    render(&BoardPage { frame, board })
}

pub(super) async fn fragment(session: Session) -> Rendered<Html<String>> {
    let board = board(&session).await?;
    render(&BoardFragment { board })
}

async fn board(session: &Session) -> Answer<Board> {
    let now = session.scope.now();
    let user = session.scope.caller.user;
    let may_vote = may_vote(session);
    let (overview, cast) = session
        .scope
        .read(move |engine| {
            let overview = overview(engine, None, now);
            let cast: BTreeMap<_, _> = overview
                .needs
                .keys()
                .map(|(version, environment)| {
                    let vote = standing_vote(engine.state(), user, *version, *environment);
                    ((*version, *environment), vote)
                })
                .collect();
            (overview, cast)
        })
        .await?;
    let Overview { status, needs } = overview;
    let need_of = |row: &VersionStatusRow, cell: &StatusCell| {
        let key = row.id.parse().ok().zip(cell.environment_id.parse().ok());
        key.and_then(|key| Some((needs.get(&key)?, *cast.get(&key)?)))
    };
    let votable = needs.values().filter(|need| need.vote).count();
    let summary = summary(&status.deployments, votable);
    let deployments = status
        .deployments
        .iter()
        .map(|deployment| table(deployment, may_vote, &need_of))
        .collect();
    Ok(Board {
        deployments,
        summary,
        token: session.form_token.clone(),
    })
}

fn table<'n>(
    it: &DeploymentStatus,
    may_vote: bool,
    need_of: &impl Fn(&VersionStatusRow, &StatusCell) -> Option<(&'n Need, &'static str)>,
) -> Table {
    let cell = |row: &VersionStatusRow, it: &StatusCell, environment: &EnvironmentStatus| {
        let (need, cast) = need_of(row, it).unzip();
        let opens = need.and_then(|need| need.earliest);
        Cell {
            chip: Chip::of(&it.status),
            marks: it.marks.iter().map(|mark| Chip::of_mark(mark)).collect(),
            counts: counts(it),
            reason: it.reason.clone(),
            who: need.map(|need| need.who.join("; ")).unwrap_or_default(),
            opens: opens.map_or_else(String::new, |at| short_time(&at.to_string())),
            promotion: it.promotion_id.clone(),
            environment: environment.name.clone(),
            environment_id: it.environment_id.clone(),
            version_id: row.id.clone(),
            tag: row.tag.clone(),
            vote: may_vote && need.is_some_and(|need| need.vote),
            cast: cast.unwrap_or_default(),
        }
    };
    let row = |row: &VersionStatusRow| Row {
        tag: row.tag.clone(),
        chip: (row.status != "ready").then(|| Chip::of_version(&row.status)),
        created: short_time(&row.created_at),
        created_at: row.created_at.clone(),
        cells: row
            .cells
            .iter()
            .zip(&it.environments)
            .map(|(it, environment)| cell(row, it, environment))
            .collect(),
    };
    Table {
        name: it.deployment.name.clone(),
        slug: it.deployment.slug.clone(),
        environments: it.environments.iter().map(column).collect(),
        rows: it.versions.iter().map(row).collect(),
    }
}

fn column(it: &EnvironmentStatus) -> Column {
    let current = match (it.targets, &it.current[..]) {
        (0, _) => "no targets".to_owned(),
        (_, []) => "nothing runs here yet".to_owned(),
        (targets, [only]) if only.count == targets => format!("runs {}", only.tag),
        (targets, tags) => {
            let each: Vec<String> = tags
                .iter()
                .map(|it| format!("{} on {} of {targets}", it.tag, it.count))
                .collect();
            format!("runs {}", each.join(", "))
        }
    };
    Column {
        name: it.name.clone(),
        current,
        unusual: unusual(it),
    }
}

fn unusual(it: &EnvironmentStatus) -> Vec<Chip> {
    let mut unusual = Vec::new();
    for (count, what, mark) in [
        (it.break_glass, "break-glass", "breakGlass"),
        (it.held, "held after rollback", "held"),
    ] {
        if count > 0 {
            let mut chip = Chip::of_mark(mark);
            chip.word = format!("{count} {what}");
            unusual.push(chip);
        }
    }
    unusual
}

fn counts(cell: &StatusCell) -> String {
    if cell.status.is_empty() || cell.targets.total == 0 {
        return String::new();
    }
    let noun = if cell.targets.total == 1 {
        "target"
    } else {
        "targets"
    };
    format!("{}/{} {noun}", cell.targets.succeeded, cell.targets.total)
}

/// One sentence about what is on its way.
fn summary(deployments: &[DeploymentStatus], votable: usize) -> String {
    let cells = || {
        let rows = deployments.iter().flat_map(|it| &it.versions);
        rows.flat_map(|row| &row.cells)
    };
    let on_their_way = cells()
        .filter(|cell| matches!(cell.status.as_str(), "waiting" | "deploying" | "verifying"))
        .count();
    let newest = deployments.iter().filter_map(|it| it.versions.first());
    let failed = newest
        .flat_map(|row| &row.cells)
        .filter(|cell| matches!(cell.status.as_str(), "failed" | "rolledBack"))
        .count();
    let promotions = match on_their_way {
        0 => "Nothing is on its way".to_owned(),
        1 => "1 promotion is on its way".to_owned(),
        many => format!("{many} promotions are on their way"),
    };
    let votes = match votable {
        0 => String::new(),
        1 => ", 1 waits for an approval".to_owned(),
        many => format!(", {many} wait for approvals"),
    };
    let failures = match failed {
        0 => String::new(),
        1 => "; the newest version failed in 1 place".to_owned(),
        many => format!("; the newest versions failed in {many} places"),
    };
    format!("{promotions}{votes}{failures}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_api::{TagCount, TargetCounts};

    #[test]
    fn columns_say_what_runs() {
        let of = |targets, current: &[(&str, usize)]| {
            column(&EnvironmentStatus {
                targets,
                current: current
                    .iter()
                    .map(|(tag, count)| TagCount {
                        tag: (*tag).to_owned(),
                        count: *count,
                    })
                    .collect(),
                ..Default::default()
            })
            .current
        };
        assert_eq!(of(0, &[]), "no targets");
        assert_eq!(of(2, &[]), "nothing runs here yet");
        assert_eq!(of(2, &[("v2", 2)]), "runs v2");
        assert_eq!(
            of(3, &[("v2", 1), ("v1", 2)]),
            "runs v2 on 1 of 3, v1 on 2 of 3"
        );
    }

    #[test]
    fn the_summary_counts() {
        let cell = |status: &str| StatusCell {
            status: status.to_owned(),
            targets: TargetCounts {
                total: 1,
                ..Default::default()
            },
            ..Default::default()
        };
        let deployment = DeploymentStatus {
            versions: vec![VersionStatusRow {
                cells: vec![cell("succeeded"), cell("waiting"), cell("failed")],
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(
            summary(&[deployment], 1),
            "1 promotion is on its way, 1 waits for an approval; \
             the newest version failed in 1 place."
        );
    }
}
