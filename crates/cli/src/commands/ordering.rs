//! What the commands that give orders for targets share.

use crate::Answer;
use crate::output::{Cell, Paint, Table, counted, one_line};
use stagegate_api::{OrderReport, OrderedTarget, ReleaseRef};

/// Which targets.
#[derive(clap::Args, Clone, Debug)]
pub struct Where {
    /// The environment's name or id
    #[arg(long, short, value_name = "ENVIRONMENT")]
    pub environment: String,
    /// Only on this resource: its identifier or id; may be given several times
    #[arg(long = "resource", short = 'R', value_name = "RESOURCE")]
    pub resources: Vec<String>,
}

/// `v1.2.3 (#4)`.
pub fn release(it: &ReleaseRef) -> String {
    match it.number {
        Some(number) => format!("{} (#{number})", it.version.tag),
        None => it.version.tag.clone(),
    }
}

/// What an order did or would do. `moved` says it of one target, such as `goes back`.
pub fn render(report: &OrderReport, moved: &str, paint: Paint) -> String {
    let mut text = String::new();
    if report.dry_run {
        text.push_str(&paint.dim("a dry run: nothing was done"));
        text.push('\n');
    }
    if report.targets.is_empty() {
        text.push_str("no target is moved\n");
    } else {
        let count = counted(report.targets.len(), "target");
        let tense = if report.dry_run {
            "would be"
        } else {
            "is to be"
        };
        text.push_str(&format!("{count} {tense} {moved}\n"));
        let mut table = Table::new(["RESOURCE", "ENVIRONMENT", "HAS", "GETS"]).indent(2);
        for it in &report.targets {
            table.row(row(it));
        }
        text.push_str(&table.render(paint));
    }
    if !report.left.is_empty() {
        let count = counted(report.left.len(), "target");
        text.push_str(&format!("{count} left as it is\n"));
        for it in &report.left {
            text.push_str(&format!(
                "  {} {}: {}\n",
                paint.open("!"),
                one_line(&it.resource),
                one_line(&it.message)
            ));
        }
    }
    text
}

fn row(it: &OrderedTarget) -> [Cell; 4] {
    let told = |it: &Option<ReleaseRef>| it.as_ref().map_or_else(|| "–".to_owned(), release);
    [
        Cell::from(&it.resource),
        Cell::from(&it.environment.name),
        Cell::dim(told(&it.from)),
        Cell::strong(told(&it.to)),
    ]
}

/// Whether anything was, or would be, moved.
pub fn answer(report: &OrderReport) -> Answer {
    if report.targets.is_empty() {
        Answer::No
    } else {
        Answer::Yes
    }
}

/// `3 targets of api in Production`.
pub fn subject(report: &OrderReport, deployment: &str, environment: &str) -> String {
    format!(
        "{} of {} in {}",
        counted(report.targets.len(), "target"),
        one_line(deployment),
        one_line(environment)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_api::{LeftTarget, VersionRef};

    #[test]
    fn what_moves_and_what_stays_is_told() {
        let of = |tag: &str, number| {
            Some(ReleaseRef {
                number,
                version: VersionRef {
                    tag: tag.to_owned(),
                    ..VersionRef::default()
                },
                ..ReleaseRef::default()
            })
        };
        let report = OrderReport {
            dry_run: true,
            targets: vec![OrderedTarget {
                resource: "host-1".to_owned(),
                from: of("v2", Some(4)),
                to: of("v1", Some(3)),
                ..OrderedTarget::default()
            }],
            left: vec![LeftTarget {
                resource: "host-2".to_owned(),
                message: "nothing was ever deployed to `host-2`".to_owned(),
                ..LeftTarget::default()
            }],
        };
        assert_eq!(
            render(&report, "rolled back", Paint::none()),
            "a dry run: nothing was done\n1 target would be rolled back\n  \
             RESOURCE  ENVIRONMENT  HAS      GETS\n  \
             host-1                 v2 (#4)  v1 (#3)\n1 target left as it is\n  \
             ! host-2: nothing was ever deployed to `host-2`\n"
        );
        assert_eq!(answer(&report), Answer::Yes);
        assert_eq!(answer(&OrderReport::default()), Answer::No);
    }
}
