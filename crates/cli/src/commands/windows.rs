//! `stagegate windows`

use crate::Answer;
use crate::failure::Failure;
use crate::output::{Cell, Paint, Table, Tone, counted, one_line, when};
use crate::resolve;
use crate::session::Session;
use crate::values::duration;
use anyhow::Result;
use stagegate_api::{Freeze, Window, Windows, WindowsQuery};

/// Stretches shown of each window, at most.
const SHOWN_MAX: usize = 40;

/// Show the calendar of deployment windows: what is open now, and the next openings.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate windows
  stagegate windows --environment production --next 4w")]
pub struct Args {
    /// Only windows that may hold deployments in this environment, by name or id
    #[arg(long, short, value_name = "ENVIRONMENT")]
    environment: Option<String>,
    /// How far to look ahead, like `2d` or `4w`
    #[arg(long, default_value = "4w", value_name = "TIME")]
    next: String,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let environment = match &self.environment {
            Some(name) => Some(resolve::environment(&workspace, name).await?.id),
            None => None,
        };
        let ahead = duration(&self.next)
            .map_err(|form| Failure::usage("invalid_value", format!("--next: {form}")))?;
        let seconds = i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX);
        let from = when::now();
        let query = WindowsQuery {
            environment,
            from: Some(from.to_string()),
            to: Some(from.plus_seconds(seconds).to_string()),
        };
        let windows = workspace.windows(&query).await?;
        session.out.show(&windows, render)?;
        Ok(Answer::Yes)
    }
}

fn render(it: &Windows, paint: Paint) -> String {
    let mut text = String::new();
    if it.windows.is_empty() {
        text.push_str("no window holds deployments here\n");
    }
    for window in &it.windows {
        text.push_str(&render_window(window, paint));
    }
    if !it.freezes.is_empty() {
        text.push_str(&format!("{}\n", paint.dim("FREEZES")));
        let mut table = Table::with_heading(Vec::new()).indent(2);
        for freeze in &it.freezes {
            table.row(freeze_row(freeze));
        }
        text.push_str(table.render(paint).trim_start_matches('\n'));
    }
    text
}

fn freeze_row(freeze: &Freeze) -> [Cell; 4] {
    let ends = freeze.ends_at.as_deref();
    [
        Cell::strong(&freeze.name),
        Cell::from(when::moment(&freeze.starts_at)),
        Cell::from(ends.map_or("until a person ends it".to_owned(), when::moment)),
        Cell::from(&freeze.reason),
    ]
}

fn render_window(it: &Window, paint: Paint) -> String {
    let now = when::now();
    let (mark, word, tone) = if it.open {
        ("✓", "open", Tone::Good)
    } else {
        ("✗", "closed", Tone::Bad)
    };
    let next = match (&it.until, it.open) {
        (Some(at), true) => format!("closes {}", when::both(at, now)),
        (Some(at), false) => format!("opens {}", when::both(at, now)),
        (None, _) => "and stays so".to_owned(),
    };
    let places: Vec<&str> = it.environments.iter().map(|it| it.name.as_str()).collect();
    let what = if it.allow_window {
        "deployments start only inside"
    } else {
        "nothing starts inside"
    };
    let rollbacks = if it.holds_rollbacks {
        "; rollbacks too"
    } else {
        ""
    };
    let mut text = format!(
        "{} {} {}, {next}\n  {}\n  {what}{rollbacks}; {}\n",
        paint.tone(tone, mark),
        paint.strong(&one_line(&it.policy_name)),
        paint.tone(tone, word),
        paint.dim(&one_line(&format!(
            "{} for {} ({})",
            it.rrule.replace(['\r', '\n'], " "),
            when::length(u64::try_from(it.duration_minutes * 60).unwrap_or(0)),
            it.timezone
        ))),
        match places[..] {
            [] => "applies nowhere at present".to_owned(),
            _ => format!("in {}", one_line(&places.join(", "))),
        }
    );
    let mut table = Table::with_heading(Vec::new()).indent(4);
    for span in it.spans.iter().take(SHOWN_MAX) {
        // The day is said once where a window ends on the day on which it begins.
        let (day, _) = span.from_local.rsplit_once(' ').unwrap_or_default();
        let to = span.to_local.strip_prefix(day).unwrap_or(&span.to_local);
        table.row([
            Cell::from(&span.from_local),
            Cell::from(format!("to {}", to.trim())),
            Cell::dim(when::distance(&span.from, now)),
        ]);
    }
    text.push_str(table.render(paint).trim_start_matches('\n'));
    let hidden = it.spans.len().saturating_sub(SHOWN_MAX);
    if hidden > 0 || it.more {
        let beyond = if it.more { ", and more" } else { "" };
        let hidden = counted(hidden, "further window");
        text.push_str(&format!("    and {hidden}{beyond}\n"));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_api::{EnvironmentRef, WindowSpan};

    #[test]
    fn a_window_says_how_it_stands_and_when_it_opens() {
        let window = Window {
            policy_name: "office hours".to_owned(),
            allow_window: true,
            timezone: "Europe/Berlin".to_owned(),
            rrule: "FREQ=DAILY".to_owned(),
            duration_minutes: 480,
            environments: vec![EnvironmentRef {
                name: "production".to_owned(),
                ..EnvironmentRef::default()
            }],
            spans: vec![WindowSpan {
                from: "soon".to_owned(),
                from_local: "Mon 2026-01-05 20:00".to_owned(),
                to_local: "Mon 2026-01-05 21:00".to_owned(),
                ..WindowSpan::default()
            }],
            ..Window::default()
        };
        assert_eq!(
            render_window(&window, Paint::none()),
            "✗ office hours closed, and stays so\n  FREQ=DAILY for 8 h (Europe/Berlin)\n  \
             deployments start only inside; in production\n    \
             Mon 2026-01-05 20:00  to 21:00  soon\n\n"
        );
    }
}
