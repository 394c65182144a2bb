//! `stagegate jobs show`

use crate::Answer;
use crate::output::{Cell, Paint, Table, Tone, clean, when};
use crate::session::Session;
use anyhow::Result;
use stagegate_api::{Job, JobLimits, JobWithRelease};
use stagegate_model::Timestamp;

/// Look into a job: what it is about, how it stands, the end of its output.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate jobs show 0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10")]
pub struct Args {
    /// The job's id
    id: String,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let job = workspace.job_with_release(&self.id).await?;
        session.out.show(&job, render)?;
        Ok(Answer::Yes)
    }
}

fn render(it: &JobWithRelease, paint: Paint) -> String {
    let now = when::now();
    let (job, release) = (&it.job, &it.release);
    let target = &release.release_target;
    let mut table = Table::with_heading(Vec::new());
    let mut row = |label: &str, value: Cell| table.row([Cell::dim(label), value]);
    row("job", Cell::from(&job.id));
    row("status", Cell::status(&job.status));
    if let Some(message) = job.message.as_deref().filter(|message| !message.is_empty()) {
        row("message", Cell::from(message));
    }
    let deployment = it
        .deployment
        .as_ref()
        .map_or(&target.deployment_id, |it| &it.slug);
    row("deployment", Cell::from(deployment));
    let number = release
        .number
        .map_or(String::new(), |number| format!(" (release {number})"));
    row(
        "version",
        Cell::from(format!("{}{number}", release.version.tag)),
    );
    let environment = it
        .environment
        .as_ref()
        .map_or(&target.environment_id, |it| &it.name);
    row("environment", Cell::from(environment));
    let resource = it
        .resource
        .as_ref()
        .map_or(&target.resource_id, |it| &it.name);
    row("resource", Cell::from(resource));
    if let Some(promotion) = &job.promotion_id {
        row("promotion", Cell::from(promotion));
    }
    if let Some(attempt) = job.attempt {
        row("attempt", Cell::from(attempt.to_string()));
    }
    if let Some(runner) = &job.runner {
        row("runner", Cell::from(runner));
    }
    if let Some(external) = &job.external_id {
        row("external id", Cell::from(external));
    }
    if let Some(limits) = &job.limits {
        row("limits", Cell::from(limits_said(limits)));
    }
    for (label, time) in [
        ("created", Some(&job.created_at)),
        ("started", job.started_at.as_ref()),
        ("ended", job.completed_at.as_ref()),
    ] {
        if let Some(time) = time {
            row(label, Cell::from(when::both(time, now)));
        }
    }
    standing(job, now, &mut row);
    let mut text = table.render(paint).trim_start().to_owned();
    if let Some(tail) = job.output_tail.as_deref().filter(|tail| !tail.is_empty()) {
        text.push_str(&format!(
            "\n{}\n{}\n",
            paint.dim("OUTPUT"),
            clean(tail).trim_end()
        ));
    }
    text
}

/// What a person may have to act on, and how it ended.
fn standing(job: &Job, now: Timestamp, row: &mut impl FnMut(&str, Cell)) {
    if let Some(lost) = &job.lost_at {
        let since = format!(
            "nothing is heard of the runner since {}; the outcome is unknown",
            when::both(lost, now)
        );
        row("lost", Cell::new(since, Tone::Open));
    }
    if let Some(cancel) = &job.cancel {
        let mut said = match (cancel.cause.as_str(), &cancel.requested_by) {
            ("timeout", _) => "it ran longer than it may".to_owned(),
            (_, Some(person)) => format!("asked for by {person}"),
            _ => "asked for".to_owned(),
        };
        if let Some(at) = &cancel.requested_at {
            said += &format!(", {}", when::both(at, now));
        }
        if !cancel.reason.is_empty() {
            said += &format!(": {}", cancel.reason);
        }
        row("cancel", Cell::from(said));
    }
    if let Some(exit) = &job.exit {
        let said = match (&exit.signal, exit.code) {
            (Some(signal), _) => format!("ended by {signal}"),
            (None, Some(code)) => format!("code {code}"),
            (None, None) => return,
        };
        row("exit", Cell::from(said));
    }
    for (label, url) in &job.links {
        row(label, Cell::from(url));
    }
}

fn limits_said(limits: &JobLimits) -> String {
    let then = if limits.on_lost_lease == "requeue" {
        "another runner gets it"
    } else {
        "it fails"
    };
    format!(
        "claimed within {}, runs {} at most; a runner silent for {} and {} more has lost it: {then}",
        when::length(limits.start_deadline_seconds),
        when::length(limits.run_timeout_seconds),
        when::length(limits.lease_seconds),
        when::length(limits.grace_seconds),
    )
}
