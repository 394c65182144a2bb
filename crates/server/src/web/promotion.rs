//! One promotion: its gates, its jobs, its measurements, its history.

use super::failure::{Rendered, render};
use super::inbox::{ShownVote, note};
use super::session::Session;
use super::view::{
    Chip, Frame, PathText, exact_time, in_words, may_vote, short_time, standing_vote,
    unreadable_path,
};
use crate::answer::Answer;
use crate::body::Query;
use crate::routes::{JobsPage, Told, told};
use crate::scope::parse_id;
use askama::Template;
use axum::extract::Path;
use axum::response::Html;
use stagegate_api as api;
use stagegate_api::PromotionQuery;
use stagegate_model::PromotionId;

/// How much of a job's output is shown, in bytes from its end.
const OUTPUT_SHOWN: usize = 4000;

#[derive(Template)]
#[template(path = "promotion.html")]
struct PromotionPage {
    frame: Frame,
    it: Shown,
}

#[derive(Template)]
#[template(path = "promotion_fragment.html")]
struct PromotionFragment {
    it: Shown,
}

struct Shown {
    id: String,
    tag: String,
    version_id: String,
    deployment: String,
    environment: String,
    environment_id: String,
    attempt: u32,
    chip: Chip,
    marks: Vec<Chip>,
    /// Since when and why it stands still, in sentences.
    standstills: Vec<String>,
    rollouts: Vec<ShownRollout>,
    /// What the person may do to it.
    acts: Vec<ShownAct>,
    reason: String,
    opened: String,
    ended: String,
    counts: api::TargetCounts,
    gates: Vec<ShownGate>,
    jobs: Vec<ShownJob>,
    /// Behind which job the next page of jobs begins; empty where there is none.
    next_job: String,
    /// Behind which job this page of jobs begins; empty at the first.
    after: String,
    metrics: Vec<ShownMetric>,
    timeline: Vec<ShownEvent>,
    vote: bool,
    /// How the person's own vote stands; empty without one.
    cast: &'static str,
    token: String,
    summary: String,
}

struct ShownRollout {
    released: usize,
    total: usize,
    /// `wave 2 of 3`; empty when there is one.
    wave: String,
    next: String,
    failures: usize,
}

struct ShownAct {
    verb: &'static str,
    label: &'static str,
}

struct ShownGate {
    chip: Chip,
    kind: String,
    policy: String,
    message: String,
    opens: String,
    who: String,
    since: String,
    next: String,
    stages: Vec<ShownStage>,
    votes: Vec<ShownVote>,
}

struct ShownStage {
    chip: Chip,
    name: String,
    /// `1 of 2`.
    count: String,
    /// Who approved.
    given: String,
    /// Who may approve.
    who: String,
    asked: String,
    escalates: String,
}

struct ShownJob {
    chip: Chip,
    place: String,
    mark: Option<Chip>,
    attempt: u32,
    message: String,
    /// That it was asked to stop, or how its process ended.
    notes: Vec<String>,
    /// Label and address.
    links: Vec<(String, String)>,
    runner: String,
    started: String,
    ended: String,
    output: String,
}

struct ShownMetric {
    chip: Chip,
    name: String,
    verification: Chip,
    taken: usize,
    wanted: u32,
    last: String,
}

struct ShownEvent {
    at: String,
    at_full: String,
    actor: String,
    text: String,
}

pub(super) async fn page(
    session: Session,
    path: PathText,
    query: Answer<Query<PromotionQuery>>,
) -> Rendered<Html<String>> {
    let frame = Frame::of(&session).await?;
    let it = shown(&session, path, query?.0).await?;
    render(&PromotionPage { frame, it })
}

pub(super) async fn fragment(
    session: Session,
    path: PathText,
    query: Answer<Query<PromotionQuery>>,
) -> Rendered<Html<String>> {
    let it = shown(&session, path, query?.0).await?;
    render(&PromotionFragment { it })
}

async fn shown(session: &Session, path: PathText, query: PromotionQuery) -> Answer<Shown> {
    let Path(id) = path.map_err(|_| unreadable_path())?;
    let id: PromotionId = parse_id(&id, "promotionId")?;
    let page = JobsPage::of(&query)?;
    let Told { detail, places } = told(&session.scope, id, page).await?;
    let promotion = detail.promotion;
    let vote = may_vote(session)
        && promotion.is_open()
        && promotion.gates.iter().any(|gate| gate.action_required);
    let ids = promotion
        .version
        .id
        .parse()
        .ok()
        .zip(promotion.environment.id.parse().ok());
    let user = session.scope.caller.user;
    let cast = match ids {
        Some((version, environment)) => {
            let read = session
                .scope
                .read(move |engine| standing_vote(engine.state(), user, version, environment));
            read.await?
        }
        None => "",
    };
    let time = |at: &Option<String>| at.as_deref().map(short_time).unwrap_or_default();
    let chip = Chip::of(&promotion.status);
    Ok(Shown {
        summary: format!(
            "{} in {}: {}. {}",
            promotion.version.tag,
            promotion.environment.name,
            chip.word,
            promotion.reason.as_deref().unwrap_or_default()
        ),
        marks: marks(&promotion),
        standstills: standstills(&promotion),
        rollouts: promotion.rollouts.iter().map(rollout).collect(),
        acts: if may_vote(session) {
            acts(&promotion)
        } else {
            Vec::new()
        },
        id: promotion.id,
        tag: promotion.version.tag,
        version_id: promotion.version.id,
        deployment: promotion.deployment.name,
        environment: promotion.environment.name,
        environment_id: promotion.environment.id,
        attempt: promotion.attempt,
        chip,
        reason: promotion.reason.unwrap_or_default(),
        opened: short_time(&promotion.opened_at),
        ended: time(&promotion.ended_at),
        counts: promotion.targets,
        gates: promotion.gates.iter().map(gate).collect(),
        jobs: detail
            .jobs
            .iter()
            .zip(places)
            .map(|(job, place)| ShownJob {
                chip: Chip::of(&job.status),
                place,
                mark: job.kind.as_deref().map(Chip::of_mark),
                attempt: job.attempt.unwrap_or(1),
                message: job.message.clone().unwrap_or_default(),
                notes: notes(job),
                links: job.links.clone().into_iter().collect(),
                runner: job.runner.clone().unwrap_or_default(),
                started: time(&job.started_at),
                ended: time(&job.completed_at),
                output: tail(job.output_tail.as_deref().unwrap_or_default()).to_owned(),
            })
            .collect(),
        next_job: detail.next_job.unwrap_or_default(),
        after: query.after.unwrap_or_default(),
        metrics: detail.verifications.iter().flat_map(metrics).collect(),
        timeline: detail
            .timeline
            .into_iter()
            .map(|event| ShownEvent {
                at: exact_time(&event.at),
                at_full: event.at,
                actor: event.actor,
                text: event.text,
            })
            .collect(),
        vote,
        cast,
        token: session.form_token.clone(),
    })
}

/// What is to be known of a job beside its status and message.
fn notes(job: &api::Job) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(cancel) = job.cancel.as_ref().filter(|_| !job.has_ended()) {
        let at = short_time(cancel.requested_at.as_deref().unwrap_or_default());
        let why = match cancel.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        notes.push(format!("asked to stop at {at}{why}"));
    }
    match &job.exit {
        Some(api::JobExit {
            signal: Some(signal),
            ..
        }) => notes.push(format!("its process was ended by the signal {signal}")),
        Some(api::JobExit {
            code: Some(code), ..
        }) if *code != 0 => notes.push(format!("its process ended with the code {code}")),
        _ => {}
    }
    notes
}

fn marks(promotion: &api::Promotion) -> Vec<Chip> {
    let glass = promotion.break_glass.then_some("breakGlass");
    let kind = promotion.kind.as_deref().filter(|it| *it != "breakGlass");
    let quarantined = promotion.quarantined.as_ref().map(|_| "quarantined");
    let paused = promotion.paused.as_ref().map(|_| "paused");
    let all = [glass, kind, quarantined, paused].into_iter().flatten();
    all.map(Chip::of_mark).collect()
}

fn standstills(promotion: &api::Promotion) -> Vec<String> {
    let told = |it: &Option<api::Standstill>, what: &str| {
        let it = it.as_ref()?;
        let reason = if it.reason.is_empty() {
            String::new()
        } else {
            format!(": {}", it.reason)
        };
        Some(format!("{what} since {}{reason}", short_time(&it.since)))
    };
    let paused = told(&promotion.paused, "The rollout is paused");
    let place = &promotion.environment.name;
    let quarantined = format!("Nothing new starts with it in {place}, quarantined");
    let all = [paused, told(&promotion.quarantined, &quarantined)];
    all.into_iter().flatten().collect()
}

fn rollout(it: &api::RolloutProgress) -> ShownRollout {
    ShownRollout {
        released: it.released,
        total: it.total,
        wave: if it.waves > 1 {
            format!("wave {} of {}", it.wave, it.waves)
        } else {
            String::new()
        },
        next: it.next_at.as_deref().map(exact_time).unwrap_or_default(),
        failures: it.failures,
    }
}

fn acts(promotion: &api::Promotion) -> Vec<ShownAct> {
    let act = |verb, label| ShownAct { verb, label };
    if promotion.status == "cancelled" {
        return vec![act("reopen", "Reopen the promotion")];
    }
    if !promotion.is_open() {
        return Vec::new();
    }
    let pause = if promotion.paused.is_some() {
        act("resume", "Resume the rollout")
    } else {
        act("pause", "Pause the rollout")
    };
    vec![pause, act("cancel", "Cancel the promotion")]
}

fn gate(gate: &api::Gate) -> ShownGate {
    ShownGate {
        chip: Chip::of_gate(gate),
        kind: in_words(&gate.kind),
        policy: gate.policy_name.clone(),
        message: gate.message.clone(),
        opens: gate.opens.clone(),
        who: gate.who.join(", "),
        since: gate.since.as_deref().map(short_time).unwrap_or_default(),
        next: gate
            .next_evaluation_time
            .as_deref()
            .map(short_time)
            .unwrap_or_default(),
        stages: list(&gate.details, "stages").map(stage).collect(),
        votes: list(&gate.details, "votes").map(vote).collect(),
    }
}

fn list<'d>(details: &'d api::Json, member: &str) -> impl Iterator<Item = &'d api::Json> {
    details[member].as_array().into_iter().flatten()
}

fn text<'d>(details: &'d api::Json, member: &str) -> &'d str {
    details[member].as_str().unwrap_or_default()
}

/// A stage of an approval, as the rule's details tell it.
fn stage(it: &api::Json) -> ShownStage {
    let given: Vec<&str> = list(it, "approvals")
        .map(|it| text(it, "userName"))
        .collect();
    let who: Vec<&str> = list(it, "approvers")
        .filter_map(api::Json::as_str)
        .collect();
    let minimum = it["minimum"].as_u64().unwrap_or(1);
    let (sign, word, class) = match (given.len() as u64 >= minimum, text(it, "openedAt")) {
        (true, _) => ("✓", "approved", "good"),
        (false, "") => ("·", "not asked yet", "quiet"),
        (false, _) if it["escalated"] == true => ("◷", "asked, escalated", "wait"),
        (false, _) => ("◷", "asked", "wait"),
    };
    let time = |member: &str| match text(it, member) {
        "" => String::new(),
        at => short_time(at),
    };
    ShownStage {
        chip: Chip {
            sign,
            word: word.to_owned(),
            class,
        },
        name: text(it, "name").to_owned(),
        count: format!("{} of {minimum}", given.len()),
        given: given.join(", "),
        who: who.join(", "),
        asked: time("openedAt"),
        escalates: match class {
            "wait" if it["escalated"] == false => time("escalatesAt"),
            _ => String::new(),
        },
    }
}

fn vote(it: &api::Json) -> ShownVote {
    ShownVote {
        who: text(it, "userName").to_owned(),
        vote: text(it, "vote").to_owned(),
        at: short_time(text(it, "at")),
        reason: text(it, "reason").to_owned(),
        note: note(it["void"] == true, it["changedSince"] == true),
    }
}

fn metrics(verification: &api::Verification) -> impl Iterator<Item = ShownMetric> {
    verification.metrics.iter().map(|metric| ShownMetric {
        chip: Chip::of(match metric.status.as_deref() {
            Some("running") | None => "verifying",
            Some(status) => status,
        }),
        name: metric.name.clone(),
        verification: Chip::of(match verification.status.as_str() {
            "running" => "verifying",
            status => status,
        }),
        taken: metric.measurements.len(),
        wanted: metric.count,
        last: metric
            .measurements
            .last()
            .map(|last| match &last.message {
                Some(message) => format!("{}: {message}", last.status),
                None => last.status.clone(),
            })
            .unwrap_or_default(),
    })
}

/// The end of an output, from the start of a line where there is one.
fn tail(output: &str) -> &str {
    let mut start = output.len().saturating_sub(OUTPUT_SHOWN);
    while !output.is_char_boundary(start) {
        start += 1;
    }
    let end = &output[start..];
    match end.split_once('\n') {
        Some((_, rest)) if start > 0 => rest,
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_output_is_shown_from_its_end() {
        assert_eq!(tail("a\nb"), "a\nb");
        let long = format!("{}\nlast line", "ä".repeat(OUTPUT_SHOWN));
        assert_eq!(tail(&long), "last line");
    }
}
