//! Notifiers: who is told what happened.

use crate::{Json, JsonMap, Metadata};
use serde::{Deserialize, Serialize};

/// Who is told what happened, and how that goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notifier {
    pub id: String,
    pub name: String,
    /// Which integration: `webhook`, `slack`, `email`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Names secrets and holds none.
    pub config: Json,
    /// `approvalNeeded`, `promotionFailed`, …; all when empty.
    #[serde(default)]
    pub events: Vec<String>,
    /// Names; everywhere when empty.
    #[serde(default)]
    pub environments: Vec<String>,
    /// CEL over `deployment`, `environment` and `version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    pub metadata: Metadata,
    pub created_at: String,
    pub status: NotifierStatus,
}

/// How a notifier's deliveries go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotifierStatus {
    /// Messages that have still to be delivered.
    pub pending: u64,
    /// Messages that were delivered so far.
    pub delivered: u64,
    /// Messages that were refused for good or given up.
    pub given_up: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivered_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<DeliveryFailure>,
    /// The last message that will not be delivered any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_given_up: Option<DeliveryFailure>,
}

/// A delivery that did not go well.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryFailure {
    pub at: String,
    /// Stable: `timeout`, `refused`, …
    pub code: String,
    pub message: String,
    /// The entry of the log the message was about.
    pub sequence: u64,
}

/// The body of `PUT …/notifiers/{notifierId}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertNotifier {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, deserialize_with = "crate::null::as_default")]
    pub config: JsonMap,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    /// Names or ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environments: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// What became of a test message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotifierTest {
    pub delivered: bool,
    /// Stable name of the kind of error; absent when it was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
