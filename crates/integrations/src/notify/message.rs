//! What is told: one message about one promotion, or about a version as a whole.

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// `approvalNeeded`, `promotionFailed`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// One line for people.
    pub message: String,
}

/// Something with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    pub id: String,
    pub name: String,
}
