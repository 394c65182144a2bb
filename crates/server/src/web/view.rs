//! What templates show, in the words and forms of the pages.

use super::session::Session;
use crate::answer::{Answer, Failure};
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use stagegate_engine::State;
use stagegate_model::{EnvironmentId, Role, UserId, VersionId, Vote};

/// What every page of a session has around it.
pub(super) struct Frame {
    pub workspace: String,
    pub user: String,
    pub role: String,
    pub token: String,
}

impl Frame {
    pub async fn of(session: &Session) -> Answer<Self> {
        let workspace = session
            .scope
            .read(|engine| engine.state().workspace().map(|it| it.name.clone()))
            .await?;
        Ok(Self {
            workspace: workspace.unwrap_or_default(),
            user: session.user_name.clone(),
            role: session.scope.caller.role.to_string(),
            token: session.form_token.clone(),
        })
    }
}

/// Whether the session's key may vote.
pub(super) fn may_vote(session: &Session) -> bool {
    session.scope.caller.role.allows(Role::Approver)
}

/// How a person's vote on a version stands: `approved`, `rejected`, or empty where none counts.
pub(super) fn standing_vote(
    state: &State,
    user: UserId,
    version: VersionId,
    environment: EnvironmentId,
) -> &'static str {
    let digest = state.versions().get(&version).map(|it| it.digest);
    let votes = state.votes(version, environment);
    // A vote on what the version was before its content changed does not count.
    match votes.and_then(|votes| votes.get(&user)) {
        Some(record) if Some(record.digest) != digest => "",
        Some(record) if record.vote != Vote::Withdrawn => record.vote.as_str(),
        _ => "",
    }
}

pub(super) fn unreadable_form() -> Failure {
    Failure::new("invalid_body", "the form cannot be read").hint("reload the page and try again")
}

/// The one variable part of a page's path.
pub(super) type PathText = Result<Path<String>, PathRejection>;

pub(super) fn unreadable_path() -> Failure {
    Failure::new("invalid_id", "the path is not readable as text")
}

/// A status as a chip: a sign, a word and a colour, so that the colour says nothing alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chip {
    pub sign: &'static str,
    pub word: String,
    pub class: &'static str,
}

impl Chip {
    pub fn of(status: &str) -> Self {
        let (sign, word, class) = match status {
            "" => ("·", "none", "quiet"),
            "waiting" => ("◷", "waiting", "wait"),
            "deploying" | "running" | "inProgress" => ("↻", "deploying", "busy"),
            "verifying" => ("◎", "verifying", "busy"),
            "succeeded" | "successful" => ("✓", "succeeded", "good"),
            "passed" => ("✓", "passed", "good"),
            "failed" | "failure" => ("✕", "failed", "bad"),
            "error" => ("✕", "error", "bad"),
            "inconclusive" => ("?", "inconclusive", "wait"),
            "rolledBack" => ("↩", "rolled back", "bad"),
            "superseded" => ("»", "superseded", "quiet"),
            "rejected" => ("⊘", "rejected", "bad"),
            "expired" => ("⌛", "expired", "quiet"),
            "cancelled" | "skipped" => ("–", status, "quiet"),
            "pending" | "queued" => ("◷", status, "wait"),
            "actionRequired" => ("!", "action required", "wait"),
            "invalidJobAgent" | "invalidIntegration" | "externalRunNotFound" => {
                ("✕", "failed to run", "bad")
            }
            other => ("·", other, "quiet"),
        };
        Self {
            sign,
            word: word.to_owned(),
            class,
        }
    }

    /// What a version was declared to be.
    pub fn of_version(status: &str) -> Self {
        let (sign, class) = match status {
            "ready" => ("✓", "good"),
            "building" => ("↻", "busy"),
            "paused" => ("‖", "wait"),
            "failed" => ("✕", "bad"),
            "rejected" => ("⊘", "bad"),
            "unspecified" => ("?", "quiet"),
            _ => ("·", "quiet"),
        };
        Self {
            sign,
            word: status.to_owned(),
            class,
        }
    }

    /// What else is to be known of a promotion.
    pub fn of_mark(mark: &str) -> Self {
        let (sign, word, class) = match mark {
            "breakGlass" => ("⚠", "break-glass", "bad"),
            "quarantined" => ("⊘", "quarantined", "bad"),
            "paused" => ("‖", "paused", "wait"),
            "held" => ("⚓", "held", "wait"),
            "retry" | "retrying" => ("↻", "tried again", "busy"),
            "rollback" => ("↩", "rollback", "wait"),
            "redeploy" => ("↻", "redeploy", "quiet"),
            other => ("·", other, "quiet"),
        };
        Self {
            sign,
            word: word.to_owned(),
            class,
        }
    }

    /// How a gate stands.
    pub fn of_gate(gate: &stagegate_api::Gate) -> Self {
        let (sign, word, class) = match (gate.allowed, gate.action_type.as_str()) {
            (true, _) => ("✓", "open", "good"),
            (false, "approval") => ("◷", "waits for a person", "wait"),
            (false, "wait") => ("◷", "waits", "wait"),
            (false, _) => ("⊘", "closed", "bad"),
        };
        Self {
            sign,
            word: word.to_owned(),
            class,
        }
    }
}

/// A time as people read it: `2026-01-31 09:00 UTC`.
pub(super) fn short_time(rfc3339: &str) -> String {
    match (rfc3339.get(..10), rfc3339.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute} UTC"),
        _ => rfc3339.to_owned(),
    }
}

/// A time where seconds count: `2026-01-31 09:00:05 UTC`.
pub(super) fn exact_time(rfc3339: &str) -> String {
    match (rfc3339.get(..10), rfc3339.get(11..19)) {
        (Some(day), Some(second)) => format!("{day} {second} UTC"),
        _ => rfc3339.to_owned(),
    }
}

/// A rule's kind in words: `environmentProgression` is `environment progression`.
pub(super) fn in_words(kind: &str) -> String {
    let mut words = String::new();
    for letter in kind.chars() {
        if letter.is_uppercase() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_model::{JobStatus, PromotionStatus, VerificationStatus, VersionStatus};

    #[test]
    fn every_status_has_a_word_and_a_sign() {
        let promotions = PromotionStatus::ALL.iter().map(|it| it.as_str());
        let jobs = JobStatus::ALL.iter().map(|it| it.as_str());
        let verifications = VerificationStatus::ALL.iter().map(|it| it.as_str());
        for status in VersionStatus::ALL {
            assert_ne!(Chip::of_version(status.as_str()).sign, "·", "{status}");
        }
        for status in promotions.chain(jobs).chain(verifications) {
            let chip = Chip::of(status);
            assert_ne!(chip.sign, "·", "{status}");
            assert!(!chip.word.contains(char::is_uppercase), "{status}");
        }
    }

    #[test]
    fn words_and_times_are_readable() {
        assert_eq!(in_words("anyApproval"), "any approval");
        assert_eq!(
            short_time("2026-01-31T09:00:05.123Z"),
            "2026-01-31 09:00 UTC"
        );
        assert_eq!(short_time("soon"), "soon");
        assert_eq!(
            exact_time("2026-01-31T09:00:05.123Z"),
            "2026-01-31 09:00:05 UTC"
        );
        assert_eq!(exact_time("soon"), "soon");
    }
}
