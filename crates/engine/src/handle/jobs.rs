//! Jobs: who claims them, who still has them, what is said of them, and that they are to stop.

use super::{TEXT_BYTES_MAX, too_large};
use crate::engine::{Context, Engine};
use crate::limits;
use crate::state::{Job, State};
use stagegate_model::{
    Actor, CancelCause, Fact, JobId, JobReport, JobStatus, Rejection, Role, Timestamp,
    VerificationTrigger, derive_id,
};
use std::collections::BTreeMap;

/// Bytes of a job's output kept with it.
const OUTPUT_TAIL_BYTES_MAX: usize = 64 * 1024;
/// Links of a job, at most.
const LINKS_MAX: usize = 20;
/// How long a job waits for a runner before that is worth a word.
const LONG_WAIT_MILLIS: i64 = 5 * 60_000;
/// Bytes of a link's address, at most.
const LINK_BYTES_MAX: usize = 2048;
/// Bytes of a link's label or of a signal's name, at most.
const LABEL_BYTES_MAX: usize = 200;

pub(super) fn claim(
    engine: &Engine,
    id: JobId,
    runner: String,
    lease: bool,
    context: Context,
) -> Result<Vec<Fact>, Rejection> {
    let job = job_of(&engine.state, id)?;
    match (job.status, &job.runner) {
        (JobStatus::Pending | JobStatus::Queued, _) if job.cancel.is_some() => Err(
            Rejection::conflict("job_claimed", "the job is to be stopped; nobody starts it"),
        ),
        (JobStatus::Pending | JobStatus::Queued, _) => {
            let claimed = Fact::JobClaimed {
                id,
                runner,
                epoch: job.epoch + 1,
                lease,
            };
            // A claimed job is in progress; no report will say that it has started. One that was started before by
            // a runner that was lost is measured already.
            let started = (job.started_at.is_none())
                .then(|| on_trigger(engine, job, VerificationTrigger::JobStarted, context))
                .flatten();
            Ok(std::iter::once(claimed).chain(started).collect())
        }
        (status, Some(holder)) if *holder == runner && !status.is_terminal() => Ok(found(job)),
        (status, _) if status.is_terminal() => Err(ended(status)),
        _ => Err(Rejection::conflict(
            "job_claimed",
            "another runner has claimed the job",
        )),
    }
}

fn job_of(state: &State, id: JobId) -> Result<&Job, Rejection> {
    state
        .jobs
        .get(&id)
        .map(|job| &**job)
        .ok_or_else(|| Rejection::not_found("job_not_found", format!("there is no job `{id}`")))
}

fn ended(status: JobStatus) -> Rejection {
    Rejection::conflict("job_ended", format!("the job has ended: {status}"))
}

/// That a job's runner was heard of, if it was lost.
fn found(job: &Job) -> Vec<Fact> {
    let found = job.lost.as_ref().map(|_| Fact::JobFound {
        id: job.id,
        epoch: job.epoch,
    });
    found.into_iter().collect()
}

impl Job {
    /// Refuses whoever does not have this job (any more); what is `None` was not said.
    ///
    /// # Errors
    /// `job_ended` when it has ended, `lease_lost` when another runner or a later claim has it, or nobody.
    pub fn check_holder(&self, runner: Option<&str>, epoch: Option<u64>) -> Result<(), Rejection> {
        if self.status.is_terminal() {
            return Err(ended(self.status));
        }
        if let Some(epoch) = epoch.filter(|epoch| *epoch != self.epoch) {
            let message = format!(
                "the claim with epoch {epoch} no longer holds; the job's epoch is {}",
                self.epoch
            );
            return Err(Rejection::conflict("lease_lost", message));
        }
        let Some(runner) = runner else {
            return Ok(());
        };
        match &self.runner {
            Some(holder) if holder == runner => Ok(()),
            Some(holder) => {
                let message =
                    format!("the job is held by the runner `{holder}`, not by `{runner}`");
                Err(Rejection::conflict("lease_lost", message))
            }
            // It was never claimed: some agents only report.
            None if self.epoch == 0 => Ok(()),
            None => {
                let message = format!(
                    "the job was taken from `{runner}`, which was not heard of, and waits to be claimed"
                );
                Err(Rejection::conflict("lease_lost", message))
            }
        }
    }

    /// How it stands at `now`, to follow its name: `is inProgress`, `is pending: no runner has claimed it since …`.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> String {
        if let (Some(cancel), false) = (&self.cancel, self.status.is_terminal()) {
            let why = match cancel.reason.as_str() {
                "" => String::new(),
                reason => format!(" ({reason})"),
            };
            return format!(
                "is {} and was asked to stop at {}{why}",
                self.status, cancel.at
            );
        }
        match self.status {
            _ if self.lost.is_some() => {
                format!("is {}, but {}", self.status, self.standing_message())
            }
            JobStatus::Pending if now.millis_since(self.waiting_since) >= LONG_WAIT_MILLIS => {
                format!(
                    "is pending: no runner has claimed it since {}",
                    self.waiting_since
                )
            }
            status => format!("is {status}"),
        }
    }

    /// What is to be said of it: what was last reported, or that nothing is heard of its runner.
    #[must_use]
    pub fn standing_message(&self) -> String {
        match &self.lost {
            Some(lost) => format!(
                "the runner `{}` was not heard of since {}; whether the job still runs is unknown",
                self.runner.as_deref().unwrap_or("?"),
                lost.since
            ),
            None => self.message.clone(),
        }
    }
}

/// The shell found that a lease has lapsed. What has changed meanwhile makes it void.
pub(super) fn lose(state: &State, id: JobId, epoch: u64, since: Timestamp) -> Vec<Fact> {
    let lost = state.jobs.get(&id).filter(|job| {
        job.lease && job.epoch == epoch && job.lost.is_none() && !job.status.is_terminal()
    });
    lost.map(|_| Fact::JobLost { id, epoch, since })
        .into_iter()
        .collect()
}

pub(super) fn renew(
    state: &State,
    id: JobId,
    runner: &str,
    epoch: u64,
) -> Result<Vec<Fact>, Rejection> {
    let job = job_of(state, id)?;
    job.check_holder(Some(runner), Some(epoch))?;
    Ok(found(job))
}

pub(super) fn cancel(
    engine: &Engine,
    id: JobId,
    reason: String,
    context: Context,
) -> Result<Vec<Fact>, Rejection> {
    let job = job_of(&engine.state, id)?;
    too_large("reason", reason.len(), TEXT_BYTES_MAX)?;
    if job.status.is_terminal() {
        return Err(ended(job.status));
    }
    if job.cancel.is_some() {
        return Ok(Vec::new());
    }
    if job.status != JobStatus::Pending {
        return Ok(vec![Fact::JobCancelRequested {
            id,
            cause: CancelCause::Person,
            reason,
            by: context.actor.user(),
        }]);
    }
    let message = match reason.is_empty() {
        true => "it was cancelled before any runner had it".to_owned(),
        false => format!("it was cancelled before any runner had it: {reason}"),
    };
    let ended = Fact::JobChanged {
        id,
        status: JobStatus::Cancelled,
        message,
        external_id: None,
        output_tail: None,
        exit: None,
        links: BTreeMap::new(),
    };
    let measured = on_trigger(engine, job, VerificationTrigger::JobFailure, context);
    Ok(std::iter::once(ended).chain(measured).collect())
}

/// Whether the key that acts is a runner's, not a person's.
fn is_agent(state: &State, actor: Actor) -> bool {
    let Actor::User { key, .. } = actor else {
        return false;
    };
    state
        .keys
        .get(&key)
        .is_some_and(|key| key.role == Role::Agent)
}

/// Refuses reports of those who have lost the job; `true` when the report is its runner's own.
fn check_reporter(
    state: &State,
    job: &Job,
    report: &JobReport,
    actor: Actor,
) -> Result<bool, Rejection> {
    job.check_holder(report.runner.as_deref(), report.epoch)?;
    let named = report.runner.is_some() || report.epoch.is_some();
    // Claimed with a lease, or taken from a runner that was lost: only who has it says how it stands.
    let held = job.lease || (job.runner.is_none() && job.epoch > 0);
    if held && !named && is_agent(state, actor) {
        return Err(Rejection::conflict(
            "lease_lost",
            "the report does not say which claim it is of",
        )
        .hint("name the `runner` and the `epoch` of the claim"));
    }
    Ok(named)
}

fn check_said(report: &JobReport) -> Result<(), Rejection> {
    too_large("message", report.message.len(), TEXT_BYTES_MAX * 4)?;
    let signal = report.exit.as_ref().and_then(|exit| exit.signal.as_ref());
    too_large(
        "exit.signal",
        signal.map_or(0, String::len),
        LABEL_BYTES_MAX,
    )?;
    if report.links.len() > LINKS_MAX {
        let message = format!(
            "it has {} links; {LINKS_MAX} are allowed",
            report.links.len()
        );
        return Err(Rejection::invalid("too_large", message).at("links"));
    }
    for (label, address) in &report.links {
        if label.trim().is_empty() || label.len() > LABEL_BYTES_MAX {
            let message = format!("a link's label is empty or longer than {LABEL_BYTES_MAX} bytes");
            return Err(Rejection::invalid("invalid_name", message).at("links"));
        }
        let field = format!("links.{label}");
        too_large(&field, address.len(), LINK_BYTES_MAX)?;
        // Shown as something to click on: no address that runs anything.
        let lower = address.to_ascii_lowercase();
        let web = ["http://", "https://"].iter().any(|scheme| {
            lower
                .strip_prefix(scheme)
                .is_some_and(|rest| !rest.is_empty())
        });
        if !web
            || address
                .chars()
                .any(|it| it.is_control() || it.is_whitespace())
        {
            let message = format!("`{address}` is no address that begins with http:// or https://");
            return Err(Rejection::invalid("invalid_value", message).at(field));
        }
    }
    Ok(())
}

pub(super) fn report(
    engine: &Engine,
    report: JobReport,
    context: Context,
) -> Result<Vec<Fact>, Rejection> {
    let state = &engine.state;
    let job = job_of(state, report.job)?;
    check_said(&report)?;
    let ignored = || Fact::ReportIgnored {
        job: job.id,
        status: report.status,
        standing: job.status,
    };
    if job.status.is_terminal() {
        return Ok(vec![ignored()]);
    }
    let its_runner = check_reporter(state, job, &report, context.actor)?;
    let again = job.status == report.status;
    let known = (report.external_id.is_none() || report.external_id == job.external_id)
        && (report.exit.is_none() || report.exit.as_ref() == job.exit.as_deref())
        && (report.links.is_empty() || report.links == *job.links());
    if again && known {
        // Nothing new, but its runner was heard of.
        return Ok(if its_runner { found(job) } else { Vec::new() });
    }
    if !again && !job.status.may_become(report.status) {
        let found = if its_runner { found(job) } else { Vec::new() };
        return Ok(std::iter::once(ignored()).chain(found).collect());
    }
    let (status, message) = outcome(job, report.status, report.message);
    let mut facts = vec![Fact::JobChanged {
        id: job.id,
        status,
        message,
        external_id: report.external_id,
        output_tail: report
            .output_tail
            .filter(|_| status.is_terminal())
            .map(|text| tail(&text, OUTPUT_TAIL_BYTES_MAX)),
        exit: report.exit,
        links: report.links,
    }];
    let trigger = trigger_of(job, status);
    facts.extend(trigger.and_then(|trigger| on_trigger(engine, job, trigger, context)));
    Ok(facts)
}

/// What a report sets off that is not the job's success: that is decided in the entry of its cause, and never again.
pub(crate) fn trigger_of(job: &Job, status: JobStatus) -> Option<VerificationTrigger> {
    match status {
        JobStatus::InProgress | JobStatus::ActionRequired if job.started_at.is_none() => {
            Some(VerificationTrigger::JobStarted)
        }
        status if status.is_terminal() && status != JobStatus::Successful => {
            Some(VerificationTrigger::JobFailure)
        }
        _ => None,
    }
}

/// What a report means for a job that was asked to stop: stopped since it ran too long is failed. Whatever else the
/// agent says counts, also that it has succeeded after all.
fn outcome(job: &Job, status: JobStatus, message: String) -> (JobStatus, String) {
    let Some(cancel) = job
        .cancel
        .as_ref()
        .filter(|_| status == JobStatus::Cancelled)
    else {
        return (status, message);
    };
    match cancel.cause {
        CancelCause::Timeout => (
            JobStatus::Failure,
            format!(
                "it ran longer than its limit of {}; it was stopped",
                limits::told(job.limits.run_timeout_seconds)
            ),
        ),
        CancelCause::Person | CancelCause::Rollback
            if message.is_empty() && !cancel.reason.is_empty() =>
        {
            (status, format!("it was cancelled: {}", cancel.reason))
        }
        CancelCause::Person | CancelCause::Rollback => (status, message),
    }
}

/// A report for a job that the engine does not know any more, of which the shell knows how it ended.
pub(super) fn report_archived(
    state: &State,
    job: JobId,
    status: JobStatus,
    standing: JobStatus,
) -> Result<Vec<Fact>, Rejection> {
    if state.jobs.contains_key(&job) || !standing.is_terminal() {
        let message = format!("the job `{job}` has not left memory");
        return Err(Rejection::conflict("invalid_status", message));
    }
    Ok(vec![Fact::ReportIgnored {
        job,
        status,
        standing,
    }])
}

/// The verification that is wanted at a trigger, if any; at most one for an entry.
fn on_trigger(
    engine: &Engine,
    job: &Job,
    trigger: VerificationTrigger,
    context: Context,
) -> Option<Fact> {
    let id = derive_id(context.entry, 0).into();
    crate::settle::start_on_trigger(engine, job, trigger, id)
}

/// The last `max` bytes of a text, at a character's boundary.
fn tail(text: &str, max: usize) -> String {
    let mut start = text.len().saturating_sub(max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}
