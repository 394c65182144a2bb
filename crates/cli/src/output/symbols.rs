//! Statuses as marks and words.

use super::Tone;

/// One mark per kind of standing, so that colour is never needed.
#[must_use]
pub fn status_mark(status: &str) -> &'static str {
    match status {
        "succeeded" | "successful" | "passed" | "ready" | "approved" | "created" | "allow" => "✓",
        "failed"
        | "failure"
        | "rejected"
        | "error"
        | "invalidJobAgent"
        | "invalidIntegration"
        | "externalRunNotFound"
        | "deny" => "✗",
        "deploying" | "running" | "inProgress" | "building" | "retrying" => "●",
        "verifying" => "◐",
        "waiting" | "pending" | "queued" | "wait" => "○",
        "rolledBack" => "↶",
        "superseded" => "»",
        "inconclusive" | "actionRequired" | "blocked" | "paused" | "held" => "!",
        "cancelled" | "expired" | "skipped" | "withdrawn" => "–",
        "newer" => "»",
        "" => "·",
        _ => "○",
    }
}

/// The word for it.
#[must_use]
pub fn status_word(status: &str) -> &str {
    match status {
        "rolledBack" => "rolled back",
        "retrying" => "tried again",
        "inProgress" => "in progress",
        "actionRequired" => "action required",
        "invalidJobAgent" => "invalid job agent",
        "invalidIntegration" => "invalid integration",
        "externalRunNotFound" => "external run not found",
        other => other,
    }
}

/// How it is coloured.
#[must_use]
pub fn status_tone(status: &str) -> Tone {
    match status_mark(status) {
        "✓" => Tone::Good,
        "✗" | "↶" => Tone::Bad,
        "●" | "◐" | "○" | "!" => Tone::Open,
        _ => Tone::Dim,
    }
}
