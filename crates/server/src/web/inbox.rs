//! What waits for the person who signed in, with the means to answer.

use super::failure::{Rendered, render};
use super::session::Session;
use super::view::{Chip, Frame, may_vote, short_time};
use crate::answer::Answer;
use crate::routes::inbox;
use askama::Template;
use axum::response::Html;
use stagegate_api as api;

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage {
    frame: Frame,
    it: Shown,
}

#[derive(Template)]
#[template(path = "inbox_fragment.html")]
struct InboxFragment {
    it: Shown,
}

struct Shown {
    approvals: Vec<ShownApproval>,
    verifications: Vec<ShownVerification>,
    /// What is told to who cannot see the page change.
    summary: String,
    vote: bool,
    token: String,
}

struct ShownApproval {
    promotion: String,
    deployment: String,
    environment: String,
    environment_id: String,
    tag: String,
    version_id: String,
    message: String,
    policy: String,
    since: String,
    escalates: String,
    expires: String,
    created: String,
    also_asked: Vec<String>,
    also: Vec<String>,
    /// Label and value.
    facts: Vec<(String, String)>,
    upstream: Vec<ShownUpstream>,
    votes: Vec<ShownVote>,
}

struct ShownUpstream {
    place: String,
    promotion: String,
    chip: Chip,
    told: String,
}

/// A vote, as pages show it.
pub(super) struct ShownVote {
    pub who: String,
    pub vote: String,
    pub at: String,
    pub reason: String,
    /// What takes from its weight; empty when nothing does.
    pub note: &'static str,
}

struct ShownVerification {
    promotion: String,
    deployment: String,
    environment: String,
    tag: String,
    resource: String,
    chip: Chip,
    since: String,
    reason: String,
}

pub(super) async fn page(session: Session) -> Rendered<Html<String>> {
    let frame = Frame::of(&session).await?;
    let it = shown(&session).await?;
    render(&InboxPage { frame, it })
}

pub(super) async fn fragment(session: Session) -> Rendered<Html<String>> {
    let it = shown(&session).await?;
    render(&InboxFragment { it })
}

async fn shown(session: &Session) -> Answer<Shown> {
    let inbox = inbox(&session.scope).await?;
    let waiting = inbox.approvals.len() + inbox.verifications.len();
    Ok(Shown {
        summary: match waiting {
            0 => "Nothing waits for you.".to_owned(),
            1 => "1 thing waits for you.".to_owned(),
            many => format!("{many} things wait for you."),
        },
        approvals: inbox.approvals.into_iter().map(approval).collect(),
        verifications: inbox.verifications.into_iter().map(verification).collect(),
        vote: may_vote(session),
        token: session.form_token.clone(),
    })
}

fn approval(it: api::InboxApproval) -> ShownApproval {
    let time = |at: &Option<String>| at.as_deref().map(short_time).unwrap_or_default();
    let by = it.version_created_by.as_deref();
    let by = by.map_or_else(String::new, |by| format!(" by {by}"));
    let mut facts: Vec<(String, String)> = Vec::new();
    if it.version_name != it.version.tag {
        facts.push(("name".to_owned(), it.version_name.clone()));
    }
    if !it.version_message.is_empty() {
        facts.push(("message".to_owned(), it.version_message.clone()));
    }
    facts.extend(it.version_metadata.clone());
    ShownApproval {
        escalates: time(&it.escalates_at),
        expires: time(&it.expires_at),
        since: short_time(&it.since),
        created: format!("{}{by}", short_time(&it.version_created_at)),
        promotion: it.promotion_id,
        deployment: it.deployment.name,
        environment: it.environment.name,
        environment_id: it.environment.id,
        tag: it.version.tag,
        version_id: it.version.id,
        message: it.message,
        policy: it.policy_name,
        also_asked: it.also_asked_by,
        also: it.also_waits_for,
        facts,
        upstream: it.upstream.into_iter().map(upstream).collect(),
        votes: it.votes.into_iter().map(vote).collect(),
    }
}

fn upstream(it: api::InboxUpstream) -> ShownUpstream {
    let mut told = vec![format!(
        "{} of {} targets",
        it.targets.succeeded, it.targets.total
    )];
    if it.verified > 0 {
        told.push(format!("verified on {}", it.verified));
    }
    if it.verification_failed > 0 {
        told.push(format!("verification failed on {}", it.verification_failed));
    }
    told.extend(it.results);
    ShownUpstream {
        place: it.environment.name,
        promotion: it.promotion_id,
        chip: Chip::of(&it.status),
        told: told.join(", "),
    }
}

fn vote(it: api::InboxVote) -> ShownVote {
    ShownVote {
        note: note(it.void, it.changed_since),
        who: it.user_name,
        vote: it.status,
        at: short_time(&it.at),
        reason: it.reason.unwrap_or_default(),
    }
}

/// What takes from a vote's weight.
pub(super) fn note(void: bool, changed_since: bool) -> &'static str {
    match (void, changed_since) {
        (true, _) => "given for other content; it does not count",
        (false, true) => "the version\u{2019}s metadata was changed since",
        (false, false) => "",
    }
}

fn verification(it: api::InboxVerification) -> ShownVerification {
    ShownVerification {
        promotion: it.promotion_id,
        deployment: it.deployment.name,
        environment: it.environment.name,
        tag: it.version.tag,
        resource: it.resource,
        chip: Chip::of(&it.status),
        since: short_time(&it.since),
        reason: it.reason,
    }
}
