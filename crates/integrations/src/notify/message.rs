//! What is told: one message about one promotion, about a version as a whole, or about a freeze.

use serde::Serialize;

/// Raised when a member of [`Message`] changes its meaning or goes; new members alone do not raise it.
pub const BODY_VERSION: u32 = 1;

/// A message. As JSON it is the body that a webhook receives (docs/notifications.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// [`BODY_VERSION`].
    pub version: u32,
    /// `stagegate.notification`, or `stagegate.test` for a message sent on request to see whether it arrives.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The same for every attempt to deliver the same message: receivers drop what they have seen.
    pub id: String,
    /// When it happened, RFC 3339.
    pub timestamp: String,
    /// The entry of the workspace's log that says so; 0 for a test.
    pub sequence: u64,
    /// What happened, at least one.
    pub events: Vec<Event>,
    /// One line.
    pub subject: String,
    /// Plain text of a few lines, without the link.
    pub text: String,
    /// Where to look at it, when the server knows its own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    pub workspace: Named,
    /// Whether it is about a version that a person put somewhere past every gate.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
    /// What it is about, if that is a freeze.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Named>,
    /// The version's tag as its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_version: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Named>,
}

/// One thing that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// `approvalNeeded`, `promotionFailed`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// One line for people.
    pub message: String,
    /// Why, as a person or Stagegate said; it is part of `message` too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who did it, if it was a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<Named>,
    /// What it happens to, the first 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Named>,
    /// How many `targets` there are in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_count: Option<usize>,
}

/// A time in which nothing new starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    pub id: String,
    pub name: String,
    /// Why it was set.
    pub reason: String,
    /// RFC 3339.
    pub starts_at: String,
    /// RFC 3339; until a person ends it when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
    /// Whether rollbacks start all the same.
    pub allow_rollback: bool,
    /// Where it takes something, as far as environment, deployment and system say.
    pub environments: Vec<Named>,
}

/// Something with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    pub id: String,
    pub name: String,
}
