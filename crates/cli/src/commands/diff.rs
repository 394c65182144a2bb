//! `stagegate diff`

use crate::Answer;
use crate::commands::effects;
use crate::documents::Files;
use crate::output::{Paint, clean, one_line};
use crate::session::Session;
use anyhow::Result;
use stagegate_api::{AppliedDocument, Apply, ApplyReport, FieldChange, Json};

/// Show, field by field, what applying the documents would change, and what that would do at once: targets joining and
/// leaving, gates opening and shutting, jobs starting. Nothing is changed.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate diff -f stagegate.yaml
  stagegate diff -f policies/ --exit-code    exit with 1 when there are differences")]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// Exit with 1 when there are differences
    #[arg(long)]
    exit_code: bool,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let files = self.files.read()?;
        let workspace = session.workspace().await?;
        let report = workspace.apply(&Apply { files }, true).await?;
        session.out.show(&report, render)?;
        let differs = report.documents.iter().any(differs);
        Ok(if differs && self.exit_code {
            Answer::No
        } else {
            Answer::Yes
        })
    }
}

fn differs(document: &AppliedDocument) -> bool {
    document.action != "unchanged"
}

fn render(report: &ApplyReport, paint: Paint) -> String {
    let mut text = String::new();
    for document in report.documents.iter().filter(|document| differs(document)) {
        let created = document.action == "created";
        let head = format!(
            "{} {} {}",
            if created { "+" } else { "~" },
            document.kind,
            document.name
        );
        let head = one_line(&head);
        let head = if created {
            paint.good(&head)
        } else {
            paint.open(&head)
        };
        let place = one_line(&format!("{}:{}", document.file, document.line));
        text.push_str(&format!("{head}  {}\n", paint.dim(&place)));
        for field in &document.fields {
            text.push_str(&change(field, paint));
        }
    }
    if text.is_empty() {
        return "no differences\n".to_owned();
    }
    text.push_str(&effects::render(report.effects.as_ref(), paint));
    text
}

fn change(field: &FieldChange, paint: Paint) -> String {
    let mut text = String::new();
    let mut side = |value: &Json, sign: &str, painted: fn(Paint, &str) -> String| {
        if value.is_null() {
            return;
        }
        // Text of several lines, such as a script, is shown as such.
        let shown = match value {
            Json::String(string) if string.contains('\n') => {
                format!("|\n{}", clean(string).trim_end())
            }
            other => other.to_string(),
        };
        for (number, line) in shown.lines().enumerate() {
            let line = if number == 0 {
                format!("  {sign} {}: {line}", one_line(&field.path))
            } else {
                format!("  {sign}     {line}")
            };
            text.push_str(&painted(paint, &line));
            text.push('\n');
        }
    };
    side(&field.from, "-", Paint::bad);
    side(&field.to, "+", Paint::good);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_differences_are_shown_field_by_field() {
        let document = |action: &str, fields| AppliedDocument {
            kind: "Policy".to_owned(),
            name: "production".to_owned(),
            file: "a.yaml".to_owned(),
            line: 3,
            action: action.to_owned(),
            fields,
        };
        let field = |path: &str, from, to| FieldChange {
            path: path.to_owned(),
            from,
            to,
        };
        let fields = vec![
            field("rules[0].anyApproval.minApprovals", json!(1), json!(2)),
            field("description", Json::Null, json!("two\nlines")),
        ];
        let mut report = ApplyReport {
            documents: vec![document("changed", fields), document("unchanged", vec![])],
            seq: 1,
            effects: None,
        };
        assert_eq!(
            render(&report, Paint::none()),
            "~ Policy production  a.yaml:3\n  - rules[0].anyApproval.minApprovals: 1\n  \
             + rules[0].anyApproval.minApprovals: 2\n  + description: |\n  +     two\n  +     lines\n"
        );
        report.documents.remove(0);
        assert_eq!(render(&report, Paint::none()), "no differences\n");
    }
}
