//! From news to a message: subject, text, link and the key by which receivers know it again.

use super::events::{News, Subject};
use stagegate_integrations::notify::{BODY_VERSION, Event, Message, Named};
use stagegate_model::{
    Deployment, Environment, NotificationEvent, Notifier, PromotionId, Timestamp, Version,
    WorkspaceId,
};
use std::sync::Arc;
use uuid::Uuid;

/// Characters of one event's line.
const LINE_CHARS_MAX: usize = 500;
/// Events told of in one message.
const EVENTS_MAX: usize = 20;

/// What a subject is, with everything it is named by.
#[derive(Clone)]
pub(crate) struct About {
    pub workspace: Named,
    pub deployment: Arc<Deployment>,
    pub version: Arc<Version>,
    pub environment: Option<Arc<Environment>>,
    pub promotion: Option<PromotionId>,
}

/// The key of a message: the same whenever and however often it is sent, and no other's.
pub(crate) fn message_id(seq: u64, subject: Uuid) -> String {
    format!("msg_{seq}_{}", subject.simple())
}

/// What of the news the notifier wants to be told, as a message; nothing when it wants none of it.
pub(crate) fn message(
    news: &News,
    about: &About,
    notifier: &Notifier,
    seq: u64,
    time: Timestamp,
    base_url: Option<&str>,
) -> Option<Message> {
    let environment = about.environment.as_deref();
    if !stagegate_engine::concerns(notifier, &about.deployment, environment, &about.version) {
        return None;
    }
    let wanted: Vec<&(NotificationEvent, String)> = news
        .events
        .iter()
        .filter(|(event, _)| wants(notifier, *event))
        .collect();
    let (first, _) = wanted.first()?;
    let subject = headline(*first, about);
    let mut lines: Vec<String> = Vec::new();
    let mut events = Vec::new();
    for (event, words) in wanted.iter().take(EVENTS_MAX) {
        let line = clipped(if words.is_empty() {
            plain(*event)
        } else {
            words
        });
        if !lines.contains(&line) {
            lines.push(line.clone());
        }
        events.push(Event {
            kind: event.as_str().to_owned(),
            message: line,
        });
    }
    if wanted.len() > EVENTS_MAX {
        lines.push(format!("and {} more", wanted.len() - EVENTS_MAX));
    }
    let base_url = base_url.map(|url| url.trim_end_matches('/'));
    let link = base_url.map(|url| match news.subject {
        Subject::Promotion(id) => format!("{url}/promotions/{id}"),
        Subject::Version(_) => format!("{url}/"),
    });
    let named = |id: Uuid, name: &str| Named {
        id: id.to_string(),
        name: name.to_owned(),
    };
    Some(Message {
        version: BODY_VERSION,
        kind: "stagegate.notification",
        id: message_id(seq, news.subject.id()),
        timestamp: time.to_string(),
        sequence: seq,
        events,
        subject,
        text: lines.join("\n"),
        link,
        workspace: about.workspace.clone(),
        promotion: about.promotion.map(|id| id.to_string()),
        deployment: Some(named(about.deployment.id.0, &about.deployment.name)),
        deployed_version: Some(named(about.version.id.0, &about.version.tag)),
        environment: environment.map(|it| named(it.id.0, &it.name)),
    })
}

/// A message that says only that it arrives.
pub(crate) fn test_message(
    workspace: WorkspaceId,
    slug: &str,
    notifier: &Notifier,
    now: Timestamp,
    base_url: Option<&str>,
) -> Message {
    Message {
        version: BODY_VERSION,
        kind: "stagegate.test",
        id: format!("msg_test_{}", Uuid::now_v7().simple()),
        timestamp: now.to_string(),
        sequence: 0,
        events: vec![Event {
            kind: "test".to_owned(),
            message: "this is a test".to_owned(),
        }],
        subject: format!("Test of the notifier {}", notifier.name),
        text: "This message was sent on request. Nothing happened, and nothing is to be done."
            .to_owned(),
        link: base_url.map(str::to_owned),
        workspace: Named {
            id: workspace.to_string(),
            name: slug.to_owned(),
        },
        promotion: None,
        deployment: None,
        deployed_version: None,
        environment: None,
    }
}

/// Whether the notifier is to tell of such events.
pub(crate) fn wants(notifier: &Notifier, event: NotificationEvent) -> bool {
    notifier.events.is_empty() || notifier.events.contains(event.as_str())
}

fn headline(event: NotificationEvent, about: &About) -> String {
    let what = format!("{} {}", about.deployment.name, about.version.tag);
    let (verb, place) = match event {
        NotificationEvent::ApprovalNeeded => ("waits for approval", "in"),
        NotificationEvent::DecisionNeeded => ("needs a decision", "in"),
        NotificationEvent::PromotionSucceeded => ("was promoted", "to"),
        NotificationEvent::PromotionFailed => ("failed", "in"),
        NotificationEvent::PromotionRolledBack => ("was rolled back", "in"),
        NotificationEvent::PromotionExpired => ("expired", "in"),
        NotificationEvent::VersionRejected => ("was rejected", "in"),
        NotificationEvent::JobLost => ("has a lost job", "in"),
    };
    match &about.environment {
        Some(environment) => format!("{what} {verb} {place} {}", environment.name),
        None => format!("{what} {verb}"),
    }
}

/// Where the log gives no reason.
fn plain(event: NotificationEvent) -> &'static str {
    match event {
        NotificationEvent::ApprovalNeeded => "An approval is missing.",
        NotificationEvent::DecisionNeeded => {
            "The verification could not decide; a person passes it, fails it or runs it again."
        }
        NotificationEvent::PromotionSucceeded => "Every target has it, verified.",
        NotificationEvent::PromotionFailed => "It cannot go on without a person.",
        NotificationEvent::PromotionRolledBack => "The targets are back at what they had before.",
        NotificationEvent::PromotionExpired => "Nobody answered in time.",
        NotificationEvent::VersionRejected => "The version was rejected.",
        NotificationEvent::JobLost => "Nobody knows what became of a job.",
    }
}

fn clipped(text: &str) -> String {
    let words: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match words.char_indices().nth(LINE_CHARS_MAX) {
        None => words,
        Some((end, _)) => format!("{}…", &words[..end]),
    }
}
