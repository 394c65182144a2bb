//! `stagegate apply`

use crate::Answer;
use crate::documents::Files;
use crate::output::{Cell, Paint, Table, Tone, counted};
use crate::session::Session;
use anyhow::Result;
use stagegate_api::{Apply, ApplyReport};

/// Create or change what the documents describe; all of it, or nothing when anything is wrong.
///
/// Applying the same again changes nothing. What no document names is left alone.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate apply -f stagegate.yaml
  stagegate apply -f environments/ -f policies/ --dry-run
  stagegate export | stagegate apply -f -")]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let files = self.files.read()?;
        let workspace = session.workspace().await?;
        let report = workspace.apply(&Apply { files }, self.dry_run).await?;
        let dry_run = self.dry_run;
        session
            .out
            .show(&report, |report, paint| render(report, dry_run, paint))?;
        Ok(Answer::Yes)
    }
}

fn render(report: &ApplyReport, dry_run: bool, paint: Paint) -> String {
    let mut table = Table::new(["TYPE", "NAME", "", "FROM"]);
    let mut counts = [("created", 0), ("changed", 0), ("unchanged", 0)];
    for document in &report.documents {
        for (action, count) in &mut counts {
            *count += usize::from(document.action == *action);
        }
        let tone = match document.action.as_str() {
            "created" => Tone::Good,
            "changed" => Tone::Open,
            _ => Tone::Dim,
        };
        table.row([
            Cell::from(&document.kind),
            Cell::strong(&document.name),
            Cell::new(&document.action, tone),
            Cell::dim(format!("{}:{}", document.file, document.line)),
        ]);
    }
    let [created, changed, unchanged] = counts.map(|(action, count)| format!("{count} {action}"));
    let total = counted(report.documents.len(), "document");
    let dry = if dry_run {
        " (dry run: nothing was done)"
    } else {
        ""
    };
    format!(
        "{}{total}: {created}, {changed}, {unchanged}{dry}\n",
        table.render(paint)
    )
}
