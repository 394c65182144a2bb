//! From news to a message: subject, text, link and the key by which receivers know it again.

use super::events::{News, Told};
use super::names::Names;
use super::words::{headline, is_reasoned, line};
use stagegate_integrations::notify::{self, BODY_VERSION, Event, Message, Named};
use stagegate_model::{
    Deployment, Environment, Freeze, NotificationEvent, Notifier, PromotionId, Timestamp, Version,
    WorkspaceId,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Characters of one event's line.
const LINE_CHARS_MAX: usize = 500;
/// Events told of in one message.
const EVENTS_MAX: usize = 20;
/// Targets, and environments, listed for one event.
const TARGETS_MAX: usize = 100;

/// What a subject is, with everything it is named by.
#[derive(Clone)]
pub(crate) struct About {
    pub workspace: Named,
    pub what: What,
    pub environment: Option<Arc<Environment>>,
    pub promotion: Option<PromotionId>,
    /// Whether a person put the version somewhere past every gate.
    pub break_glass: bool,
    pub names: Names,
}

/// What it is about in the end.
#[derive(Clone)]
pub(crate) enum What {
    Version {
        deployment: Arc<Deployment>,
        version: Arc<Version>,
    },
    Freeze {
        freeze: Freeze,
        /// Whether it was there before.
        is_known: bool,
        /// Whether it had begun by then.
        is_begun: bool,
        /// What it may hold.
        places: Vec<Place>,
    },
}

/// A deployment in an environment.
#[derive(Clone)]
pub(crate) struct Place {
    pub deployment: Arc<Deployment>,
    pub environment: Arc<Environment>,
}

impl About {
    /// Whether the notifier is to tell of what happens there, its events apart.
    fn concerns(&self, notifier: &Notifier) -> bool {
        match &self.what {
            What::Version {
                deployment,
                version,
            } => {
                let environment = self.environment.as_deref();
                stagegate_engine::concerns(notifier, deployment, environment, version)
            }
            What::Freeze { places, .. } => {
                let anywhere = notifier.environments.is_empty() && notifier.selector.is_empty();
                anywhere
                    || places.iter().any(|it| {
                        let (deployment, environment) = (&it.deployment, &it.environment);
                        stagegate_engine::concerns_place(notifier, deployment, environment)
                    })
            }
        }
    }
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
    if !about.concerns(notifier) {
        return None;
    }
    let wanted: Vec<&Told> = news
        .events
        .iter()
        .filter(|told| wants(notifier, told.event))
        .collect();
    let first = wanted.first()?;
    let subject = headline(first.event, about);
    let mut lines: Vec<String> = Vec::new();
    let mut events = Vec::new();
    for told in wanted.iter().take(EVENTS_MAX) {
        let line = clipped(&line(told, about));
        if !lines.contains(&line) {
            lines.push(line.clone());
        }
        events.push(event(told, line, &about.names));
    }
    if wanted.len() > EVENTS_MAX {
        lines.push(format!("and {} more", wanted.len() - EVENTS_MAX));
    }
    let base_url = base_url.map(|url| url.trim_end_matches('/'));
    let link = base_url.map(|url| match about.promotion {
        Some(id) => format!("{url}/promotions/{id}"),
        None => format!("{url}/"),
    });
    let (deployment, version, freeze) = match &about.what {
        What::Version {
            deployment,
            version,
        } => (Some(deployment), Some(version), None),
        What::Freeze { freeze, places, .. } => (None, None, Some(frozen(freeze, places))),
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
        break_glass: about.break_glass,
        freeze,
        promotion: about.promotion.map(|id| id.to_string()),
        deployment: deployment.map(|it| named(it.id.0, &it.name)),
        deployed_version: version.map(|it| named(it.id.0, &it.tag)),
        environment: about
            .environment
            .as_ref()
            .map(|it| named(it.id.0, &it.name)),
    })
}

fn event(told: &Told, line: String, names: &Names) -> Event {
    let targets = told.targets.iter().take(TARGETS_MAX);
    let has_reason = is_reasoned(told.event) && !told.words.is_empty();
    Event {
        kind: told.event.as_str().to_owned(),
        message: line,
        reason: has_reason.then(|| clipped(&told.words)),
        person: told.person.map(|id| named(id.0, &names.person(id))),
        targets: targets
            .map(|id| named(id.0, &names.resource(*id)))
            .collect(),
        target_count: Some(told.targets.len()).filter(|count| *count > 0),
    }
}

fn frozen(freeze: &Freeze, places: &[Place]) -> notify::Freeze {
    let environments: BTreeMap<Uuid, &str> = places
        .iter()
        .map(|it| (it.environment.id.0, it.environment.name.as_str()))
        .collect();
    let environments = environments.into_iter().take(TARGETS_MAX);
    notify::Freeze {
        id: freeze.id.to_string(),
        name: freeze.name.clone(),
        reason: clipped(&freeze.reason),
        starts_at: freeze.starts_at.to_string(),
        ends_at: freeze.ends_at.map(|at| at.to_string()),
        allow_rollback: freeze.allow_rollback,
        environments: environments.map(|(id, name)| named(id, name)).collect(),
    }
}

fn named(id: Uuid, name: &str) -> Named {
    Named {
        id: id.to_string(),
        name: name.to_owned(),
    }
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
            ..Event::default()
        }],
        subject: format!("Test of the notifier {}", notifier.name),
        text: "This message was sent on request. Nothing happened, and nothing is to be done."
            .to_owned(),
        link: base_url.map(str::to_owned),
        workspace: Named {
            id: workspace.to_string(),
            name: slug.to_owned(),
        },
        break_glass: false,
        freeze: None,
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
