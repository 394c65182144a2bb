//! `stagegate verification show`

use crate::Answer;
use crate::output::{Cell, Paint, Table, one_line, when};
use crate::session::Session;
use anyhow::Result;
use stagegate_api::{Verification, VerificationMetric};

/// How much of a measured value a line shows, in characters.
const DATA_CHARS_MAX: usize = 120;

/// Show what was measured, and how it was judged.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate verification show 0193e5a2-7c1f-8d3e-8a44-0f8e2b6c9d10")]
pub struct Args {
    /// The verification's id, as `stagegate promotion show` lists it
    id: String,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let verification = workspace.verification(&self.id).await?;
        session.out.show(&verification, render)?;
        Ok(Answer::Yes)
    }
}

/// A verification with its measurements.
pub fn render(it: &Verification, paint: Paint) -> String {
    let now = when::now();
    let mut table = Table::with_heading(Vec::new());
    let mut row = |label: &str, value: Cell| table.row([Cell::dim(label), value]);
    row("verification", Cell::from(&it.id));
    row("status", Cell::status(&it.status));
    if let Some(message) = it.message.as_deref().filter(|message| !message.is_empty()) {
        row("message", Cell::from(message));
    }
    if let Some(person) = &it.decided_by {
        row("decided by", Cell::from(person));
    }
    row("job", Cell::from(&it.job_id));
    if let Some(promotion) = &it.promotion_id {
        row("promotion", Cell::from(promotion));
    }
    if let Some(before) = &it.rerun_of {
        row("again for", Cell::from(before));
    }
    row("started", Cell::from(when::both(&it.created_at, now)));
    if let Some(ended) = &it.completed_at {
        row("ended", Cell::from(when::both(ended, now)));
    }
    let mut text = table.render(paint).trim_start().to_owned();
    for metric in &it.metrics {
        text.push_str(&render_metric(metric, paint));
    }
    text
}

fn render_metric(metric: &VerificationMetric, paint: Paint) -> String {
    let status = metric.status.as_deref().unwrap_or("running");
    let dry = if metric.dry_run == Some(true) {
        ", dry run: never decides"
    } else {
        ""
    };
    let mut text = format!(
        "\n{} {} ({}/{} measured{dry})\n",
        paint.tone(
            crate::output::status_tone(status),
            crate::output::status_mark(status)
        ),
        paint.strong(&one_line(&metric.name)),
        metric.measurements.len(),
        metric.count
    );
    for (label, condition) in [
        ("passes when", &metric.success_condition),
        ("fails when", &metric.failure_condition),
    ] {
        if let Some(condition) = condition {
            text.push_str(&format!("  {} {}\n", paint.dim(label), one_line(condition)));
        }
    }
    let mut table = Table::with_heading(Vec::new()).indent(2);
    for measurement in &metric.measurements {
        let data = measurement
            .data
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let shown: String = data.chars().take(DATA_CHARS_MAX).collect();
        let cut = if shown.len() < data.len() { "…" } else { "" };
        table.row([
            Cell::dim(when::moment(&measurement.measured_at)),
            Cell::status(&measurement.status),
            Cell::from(measurement.message.as_deref().unwrap_or_default()),
            Cell::dim(format!("{shown}{cut}")),
        ]);
    }
    text.push_str(table.render(paint).trim_start_matches('\n'));
    text
}
