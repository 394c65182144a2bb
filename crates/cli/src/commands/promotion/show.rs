//! `stagegate promotion show`

use crate::Answer;
use crate::output::{
    Cell, Paint, Table, gates, one_line, status_mark, status_tone, status_word, when,
};
use crate::session::Session;
use anyhow::Result;
use stagegate_api::{Job, Promotion, PromotionDetail, PromotionQuery};

/// Tell a promotion's story: what happened when, who did it, and why.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate promotion show 0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10")]
pub struct Args {
    /// The promotion's id, as `stagegate promotions` lists it
    id: String,
    /// How many jobs are shown, 1 to 1000; 50 when left out
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only jobs behind this one: its id, as the answer before names it
    #[arg(long, value_name = "ID")]
    after: Option<String>,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let query = PromotionQuery {
            limit: self.limit,
            after: self.after,
        };
        let promotion = workspace.promotion_page(&self.id, &query).await?;
        session.out.show(&promotion, render)?;
        Ok(Answer::Yes)
    }
}

/// What is not in the ordinary course, and how far rollouts are.
fn departures(it: &Promotion, paint: Paint) -> String {
    let mut text = String::new();
    if it.break_glass {
        let what = "BREAK-GLASS: it went past every gate";
        text.push_str(&format!("{}\n", paint.bad(what)));
    } else if let Some(kind) = &it.kind {
        text.push_str(&format!("opened by a {}\n", one_line(kind)));
    }
    for (what, since) in [("paused", &it.paused), ("quarantined", &it.quarantined)] {
        if let Some(since) = since {
            text.push_str(&one_line(&format!(
                "{what} since {}: {}",
                when::moment(&since.since),
                since.reason
            )));
            text.push('\n');
        }
    }
    for rollout in &it.rollouts {
        let mut parts = vec![format!(
            "rollout: {} of {} targets released",
            rollout.released, rollout.total
        )];
        if rollout.waves > 1 {
            parts.push(format!("wave {} of {}", rollout.wave, rollout.waves));
        }
        if let Some(next) = &rollout.next_at {
            parts.push(format!("next at {}", when::both(next, when::now())));
        }
        if rollout.failures > 0 {
            parts.push(format!("{} failed", rollout.failures));
        }
        text.push_str(&format!("{}\n", parts.join(", ")));
    }
    let counts = [
        (it.targets.retrying, "tried again"),
        (it.targets.rolled_back, "rolled back"),
        (it.targets.held, "held"),
    ];
    let told = counts.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = told
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if !told.is_empty() {
        text.push_str(&format!("targets: {}\n", told.join(", ")));
    }
    text
}

fn render(detail: &PromotionDetail, paint: Paint) -> String {
    let it = &detail.promotion;
    let now = when::now();
    let attempt = if it.attempt > 1 {
        format!(", attempt {}", it.attempt)
    } else {
        String::new()
    };
    let standing = format!(
        "{} {}{attempt}",
        status_mark(&it.status),
        status_word(&it.status)
    );
    let mut text = format!(
        "{} → {}: {}\n{}\n",
        paint.strong(&one_line(&format!(
            "{} {}",
            it.deployment.slug, it.version.tag
        ))),
        paint.strong(&one_line(&it.environment.name)),
        paint.tone(status_tone(&it.status), &standing),
        paint.dim(&format!("promotion {}", it.id))
    );
    if let Some(reason) = it.reason.as_deref().filter(|reason| !reason.is_empty()) {
        text.push_str(&format!("{}\n", one_line(reason)));
    }
    text.push_str(&departures(it, paint));
    if let Some(tag) = &it.superseded_by {
        text.push_str(&format!("superseded by {}\n", one_line(tag)));
    }
    if !it.gates.is_empty() {
        text.push_str(&format!(
            "\n{}\n{}",
            paint.dim("GATES"),
            gates::render(&it.gates, paint)
        ));
    }
    if !detail.timeline.is_empty() {
        let mut table = Table::new(["TIME", "ENTRY", "BY", "WHAT"]).indent(2);
        for event in &detail.timeline {
            table.row([
                Cell::dim(when::moment(&event.at)),
                Cell::dim(event.seq.to_string()),
                Cell::from(&event.actor),
                Cell::from(&event.text),
            ]);
        }
        text.push_str(&format!(
            "\n{}\n{}",
            paint.dim("TIMELINE"),
            table.render(paint)
        ));
    }
    if !detail.jobs.is_empty() {
        let mut table =
            Table::new(["ID", "STATUS", "ATTEMPT", "RUNNER", "UPDATED", "MESSAGE"]).indent(2);
        for job in &detail.jobs {
            table.row([
                Cell::from(&job.id),
                Cell::status(&job.status),
                Cell::from(attempt_of(job)),
                Cell::from(job.runner.as_deref().unwrap_or("–")),
                Cell::dim(when::distance(&job.updated_at, now)),
                Cell::from(job.message.as_deref().unwrap_or_default()),
            ]);
        }
        text.push_str(&format!("\n{}\n{}", paint.dim("JOBS"), table.render(paint)));
        if let Some(next) = &detail.next_job {
            let next = one_line(next);
            text.push_str(&format!("  `--after {next}` shows those behind\n"));
        }
    }
    if !detail.verifications.is_empty() {
        let mut table = Table::new(["ID", "STATUS", "METRICS", "MESSAGE"]).indent(2);
        for verification in &detail.verifications {
            let metrics: Vec<&str> = verification
                .metrics
                .iter()
                .map(|metric| metric.name.as_str())
                .collect();
            table.row([
                Cell::from(&verification.id),
                Cell::status(&verification.status),
                Cell::from(metrics.join(", ")),
                Cell::from(verification.message.as_deref().unwrap_or_default()),
            ]);
        }
        text.push_str(&format!(
            "\n{}\n{}",
            paint.dim("VERIFICATIONS"),
            table.render(paint)
        ));
    }
    text
}

/// `2`, `1, rollback`.
fn attempt_of(job: &Job) -> String {
    let attempt = job.attempt.unwrap_or(1);
    match job.kind.as_deref() {
        Some("breakGlass") => format!("{attempt}, BREAK-GLASS"),
        Some("retry") | None => attempt.to_string(),
        Some(kind) => format!("{attempt}, {kind}"),
    }
}
