//! `stagegate lint`

use crate::Answer;
use crate::commands::Asking;
use crate::documents::Files;
use crate::failure::{self, Failure};
use crate::output::{Format, Output, Paint, Tone, counted, one_line, when};
use anyhow::Result;
use clap::ValueEnum;
use stagegate_api::{DocumentProblem, Lint, LintFinding};
use stagegate_documents::{DocumentError, Linted};
use stagegate_engine::lint::{LINTS, Severity, find};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Find what is legal but unwise: gates that never open, approvals that nobody can give, environments that wait for each
/// other, a production without gates.
///
/// With files, they are looked at by themselves, as a whole, without a server; what they cannot tell (who is in a group,
/// which versions there are) is not judged. Without files, the server's workspace is looked at.
///
/// docs/lint.md lists all findings. The exit code is 1 when there are findings at or above the threshold, errors when
/// nothing else is said; 2 when a file cannot be read.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate lint -f stagegate.yaml
  stagegate lint -f policies/ environments/ --deny warnings --allow approval_without_expiry
  stagegate lint --workspace shop --json")]
pub struct Args {
    /// A file, a folder (its `.yaml` and `.yml` files, those of its folders too) or `-` for standard input; may be
    /// given several times
    #[arg(long = "file", short = 'f', num_args = 1.., value_name = "FILE|DIR|-")]
    paths: Vec<PathBuf>,
    /// The mildest findings that make the exit code 1
    #[arg(long, value_enum, default_value_t = Threshold::Errors, value_name = "WHAT")]
    deny: Threshold,
    /// A finding that is fine here, by its code; may be given several times
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    allow: Vec<String>,
    /// The same as `--output json`
    #[arg(long)]
    json: bool,
    /// Look at windows, freezes and skips as of this time instead of now; only with files
    #[arg(long, value_name = "TIME", requires = "paths")]
    at: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Threshold {
    /// Only what can never work
    Errors,
    /// Also what is hardly meant so
    Warnings,
    /// Everything
    Notes,
}

impl Threshold {
    fn mildest(self) -> Severity {
        match self {
            Self::Errors => Severity::Error,
            Self::Warnings => Severity::Warning,
            Self::Notes => Severity::Note,
        }
    }
}

impl Args {
    pub fn run(self, mut asking: Asking) -> Result<Answer> {
        let allowed = allowed(&self.allow)?;
        if self.json {
            asking.out = Output::new(Format::Json);
        }
        let deny = self.deny.mildest();
        if !self.paths.is_empty() {
            let lint = lint_files(&Files::of(self.paths), self.at.as_deref())?;
            return show(lint, &allowed, deny, &asking.out);
        }
        asking.ask(|session| async move {
            let workspace = session.workspace().await?;
            let lint = workspace.lint().await?;
            show(lint, &allowed, deny, &session.out)
        })
    }
}

/// The codes that are fine; one that is not known is a slip.
fn allowed(codes: &[String]) -> Result<BTreeSet<&str>> {
    for code in codes {
        if find(code).is_none() {
            let known: Vec<&str> = LINTS.iter().map(|lint| lint.code).collect();
            let what = format!("--allow: there is no finding `{code}`");
            let hint = format!("the findings are: {}", known.join(", "));
            return Err(Failure::usage("invalid_value", what).hint(hint).into());
        }
    }
    Ok(codes.iter().map(String::as_str).collect())
}

fn lint_files(files: &Files, at: Option<&str>) -> Result<Lint> {
    let now = match at {
        None => when::now(),
        Some(text) => text.parse().map_err(|_| {
            let what = format!("--at: `{text}` is no time");
            Failure::usage("invalid_time", what).hint("write it like `2026-01-31T09:00:00Z`")
        })?,
    };
    let files = files.read()?;
    let texts: Vec<(&str, &str)> = files
        .iter()
        .map(|file| (file.name.as_str(), file.text.as_str()))
        .collect();
    let linted = stagegate_documents::lint(&texts, now).map_err(refused)?;
    Ok(Lint::of(linted.into_iter().map(finding).collect()))
}

/// Documents that could not even be applied are wrong input here.
fn refused(errors: Vec<DocumentError>) -> Failure {
    let code = errors.first().map_or("invalid_body", |it| &it.code);
    let what = match errors.len() {
        1 => "the documents hold a mistake".to_owned(),
        many => format!("the documents hold {many} mistakes"),
    };
    let mut failure = Failure::new(code, failure::USAGE, what);
    failure.problem.errors = errors.into_iter().map(problem).collect();
    failure
}

fn problem(error: DocumentError) -> DocumentProblem {
    DocumentProblem {
        file: error.file,
        document: error.document,
        line: error.line,
        column: error.column,
        field: error.field,
        code: error.code,
        message: error.message,
        hint: error.hint,
    }
}

fn finding(linted: Linted) -> LintFinding {
    let Linted {
        finding,
        file,
        line,
        column,
        ..
    } = linted;
    LintFinding {
        code: finding.code.to_owned(),
        severity: finding.severity.to_string(),
        kind: finding.object.kind.to_owned(),
        name: finding.object.name,
        id: None,
        field: finding.field,
        file: Some(file),
        line: Some(line),
        column: Some(column),
        message: finding.message,
        why: finding.why.to_owned(),
        mend: finding.mend.to_owned(),
        doc: format!("docs/lint/{}.md", finding.code),
    }
}

fn show(lint: Lint, allowed: &BTreeSet<&str>, deny: Severity, out: &Output) -> Result<Answer> {
    let all = lint.findings.len();
    let left = lint.findings.into_iter();
    let left: Vec<LintFinding> = left
        .filter(|finding| !allowed.contains(finding.code.as_str()))
        .collect();
    let hidden = all - left.len();
    let lint = Lint::of(left);
    out.show(&lint, |lint, paint| render(lint, hidden, paint))?;
    // A severity that is not known, from a newer server, is as bad as can be.
    let denied = lint
        .findings
        .iter()
        .any(|it| severity(&it.severity).is_none_or(|severity| severity >= deny));
    Ok(if denied { Answer::No } else { Answer::Yes })
}

fn severity(text: &str) -> Option<Severity> {
    let all = [Severity::Note, Severity::Warning, Severity::Error];
    all.into_iter().find(|severity| severity.as_str() == text)
}

fn render(lint: &Lint, hidden: usize, paint: Paint) -> String {
    let mut text = String::new();
    for finding in &lint.findings {
        text.push_str(&render_finding(finding, paint));
    }
    let mut counts: Vec<String> = [
        (lint.errors, "error"),
        (lint.warnings, "warning"),
        (lint.notes, "note"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, noun)| counted(count, noun))
    .collect();
    if counts.is_empty() {
        counts.push("nothing found".to_owned());
    }
    if hidden > 0 {
        counts.push(format!("{hidden} allowed"));
    }
    text.push_str(&counts.join(", "));
    text.push('\n');
    text
}

/// Place, severity and what is the case; then why it matters, how to mend it and where to read more.
fn render_finding(finding: &LintFinding, paint: Paint) -> String {
    let tone = match severity(&finding.severity) {
        Some(Severity::Error) | None => Tone::Bad,
        Some(Severity::Warning) => Tone::Open,
        Some(Severity::Note) => Tone::Dim,
    };
    let object = format!("{} {}", finding.kind, finding.name);
    let place = match (&finding.file, finding.line, finding.column) {
        (Some(file), Some(line), Some(column)) => format!("{file}:{line}:{column}: "),
        _ => String::new(),
    };
    let field = match finding.field.as_str() {
        "" => String::new(),
        field => format!("{field}: "),
    };
    format!(
        "{}{}: {}: {}{} {}\n    why:  {}\n    mend: {}\n    {}\n\n",
        paint.strong(&one_line(&place)),
        paint.tone(tone, &one_line(&finding.severity)),
        one_line(&object),
        one_line(&field),
        one_line(&finding.message),
        paint.dim(&format!("[{}]", one_line(&finding.code))),
        one_line(&finding.why),
        one_line(&finding.mend),
        paint.dim(&one_line(&finding.doc)),
    )
}
