//! News in words: a headline, and a line for each thing that happened.

use super::compose::{About, What};
use super::events::Told;
use super::names::Names;
use stagegate_model::{Freeze, NotificationEvent, ResourceId};

/// Targets, and environments, that a line names before it only counts.
const NAMED_MAX: usize = 3;
/// What begins every headline about a version that a person put somewhere past every gate.
const MARK: &str = "BREAK-GLASS: ";

/// One line that says what happened, to what and where.
pub(super) fn headline(event: NotificationEvent, about: &About) -> String {
    let (deployment, version) = match &about.what {
        What::Version {
            deployment,
            version,
        } => (&deployment.name, &version.tag),
        What::Freeze {
            freeze, is_known, ..
        } => {
            let what = match (event, is_known) {
                (NotificationEvent::FreezeEnded, _) => "has ended",
                (_, true) => "was changed",
                (_, false) => "was set",
            };
            return format!("The freeze {} {what}", freeze.name);
        }
    };
    let what = format!("{deployment} {version}");
    let (verb, place) = match event {
        NotificationEvent::ApprovalNeeded => ("waits for approval", "in"),
        NotificationEvent::ApprovalEscalated => ("still waits for approval", "in"),
        NotificationEvent::DecisionNeeded => ("needs a decision", "in"),
        NotificationEvent::PromotionSucceeded => ("was promoted", "to"),
        NotificationEvent::PromotionFailed => ("failed", "in"),
        NotificationEvent::PromotionRolledBack => ("was rolled back", "in"),
        NotificationEvent::PromotionExpired => ("expired", "in"),
        NotificationEvent::VersionRejected => ("was rejected", "in"),
        NotificationEvent::JobLost => ("has a lost job", "in"),
        NotificationEvent::BreakGlass => ("goes past every gate", "into"),
        NotificationEvent::RolloutPaused => ("is paused", "in"),
        NotificationEvent::RolloutResumed => ("goes on", "in"),
        NotificationEvent::RollbackStarted => ("is being rolled back", "in"),
        NotificationEvent::VersionQuarantined => ("is quarantined", "in"),
        NotificationEvent::QuarantineCleared => ("is no longer quarantined", "in"),
        // Both are of a freeze alone.
        NotificationEvent::FreezeSet | NotificationEvent::FreezeEnded => ("is affected", "in"),
    };
    let mark = if about.break_glass { MARK } else { "" };
    match &about.environment {
        Some(environment) => format!("{mark}{what} {verb} {place} {}", environment.name),
        None => format!("{mark}{what} {verb}"),
    }
}

/// What happened, in as many words as there are to say.
pub(super) fn line(told: &Told, about: &About) -> String {
    let names = &about.names;
    let words = names.shown_in(&told.words);
    let who = told.person.map(|user| names.person(user));
    let what = match told.event {
        NotificationEvent::BreakGlass => {
            let places = targets(&told.targets, names);
            match &who {
                Some(who) => format!("{who} puts it on {places} past every gate"),
                None => format!("it is put on {places} past every gate"),
            }
        }
        NotificationEvent::RollbackStarted => {
            let places = targets(&told.targets, names);
            let verb = match told.targets.len() {
                1 => "goes",
                _ => "go",
            };
            let tag = told.back_to.map(|version| names.version(version));
            let back = tag.map_or_else(|| "back".to_owned(), |tag| format!("back to {tag}"));
            format!("{places} {verb} {back}{}", by(", ordered", who.as_deref()))
        }
        NotificationEvent::RolloutPaused => match &who {
            Some(who) => format!("paused by {who}"),
            None => String::new(),
        },
        NotificationEvent::RolloutResumed => format!("resumed{}", by("", who.as_deref())),
        NotificationEvent::QuarantineCleared => format!("cleared{}", by("", who.as_deref())),
        NotificationEvent::FreezeSet | NotificationEvent::FreezeEnded => match &about.what {
            What::Freeze {
                freeze,
                places,
                is_begun,
                ..
            } => match told.event {
                NotificationEvent::FreezeSet => {
                    format!("{}{}", extent(freeze, places), by(", set", who.as_deref()))
                }
                _ if *is_begun => format!("ended{}", by("", who.as_deref())),
                _ => format!("taken back before it began{}", by("", who.as_deref())),
            },
            What::Version { .. } => String::new(),
        },
        _ => String::new(),
    };
    match (what.is_empty(), words.is_empty()) {
        (true, true) => plain(told.event).to_owned(),
        (true, false) => words,
        (false, true) => what,
        (false, false) => format!("{what}: {words}"),
    }
}

/// Whether the words of such news are a reason that someone gave, rather than the whole of what is to be said.
pub(super) fn is_reasoned(event: NotificationEvent) -> bool {
    match event {
        NotificationEvent::BreakGlass
        | NotificationEvent::RolloutPaused
        | NotificationEvent::RolloutResumed
        | NotificationEvent::RollbackStarted
        | NotificationEvent::VersionQuarantined
        | NotificationEvent::QuarantineCleared
        | NotificationEvent::FreezeSet
        | NotificationEvent::FreezeEnded => true,
        NotificationEvent::ApprovalNeeded
        | NotificationEvent::ApprovalEscalated
        | NotificationEvent::DecisionNeeded
        | NotificationEvent::PromotionSucceeded
        | NotificationEvent::PromotionFailed
        | NotificationEvent::PromotionRolledBack
        | NotificationEvent::PromotionExpired
        | NotificationEvent::VersionRejected
        | NotificationEvent::JobLost => false,
    }
}

/// Where the log gives no reason.
fn plain(event: NotificationEvent) -> &'static str {
    match event {
        NotificationEvent::ApprovalNeeded => "An approval is missing.",
        NotificationEvent::ApprovalEscalated => "Nobody answered in time; more people are asked.",
        NotificationEvent::DecisionNeeded => {
            "The verification could not decide; a person passes it, fails it or runs it again."
        }
        NotificationEvent::PromotionSucceeded => "Every target has it, verified.",
        NotificationEvent::PromotionFailed => "It cannot go on without a person.",
        NotificationEvent::PromotionRolledBack => "The targets are back at what they had before.",
        NotificationEvent::PromotionExpired => "Nobody answered in time.",
        NotificationEvent::VersionRejected => "The version was rejected.",
        NotificationEvent::JobLost => "Nobody knows what became of a job.",
        NotificationEvent::BreakGlass => "A person puts it past every gate.",
        NotificationEvent::RolloutPaused => "No further target starts until a person resumes it.",
        NotificationEvent::RolloutResumed => "Further targets may start.",
        NotificationEvent::RollbackStarted => "Targets go back to an earlier release.",
        NotificationEvent::VersionQuarantined => "Nothing new starts with it there.",
        NotificationEvent::QuarantineCleared => "It may start there again.",
        NotificationEvent::FreezeSet => "Nothing new starts on what it takes.",
        NotificationEvent::FreezeEnded => "What it took may start again.",
    }
}

/// From when until when nothing starts, and where.
fn extent(freeze: &Freeze, places: &[super::compose::Place]) -> String {
    let mut environments: Vec<&str> = places
        .iter()
        .map(|it| it.environment.name.as_str())
        .collect();
    environments.sort_unstable();
    environments.dedup();
    let place = match environments.len() {
        0 => "nothing there is now".to_owned(),
        _ => some(environments.iter().copied()),
    };
    let until = match freeze.ends_at {
        Some(at) => format!("until {at}"),
        None => "until a person ends it".to_owned(),
    };
    let rollbacks = match freeze.allow_rollback {
        true => "",
        false => ", rollbacks included",
    };
    let from = freeze.starts_at;
    format!("from {from} on, {until}, it holds {place}{rollbacks}")
}

fn by(verb: &str, who: Option<&str>) -> String {
    who.map_or_else(String::new, |who| format!("{verb} by {who}"))
}

fn targets(targets: &[ResourceId], names: &Names) -> String {
    some(targets.iter().map(|id| names.resource(*id)))
}

/// The first few, and how many more there are.
fn some(items: impl ExactSizeIterator<Item = impl Into<String>>) -> String {
    let more = match items.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named: Vec<String> = items.take(NAMED_MAX).map(Into::into).collect();
    format!("{}{more}", named.join(", "))
}
