//! Deliveries to notifiers: kept beside the log, because an attempt is no fact.

use stagegate_model::{NotifierId, Timestamp, WorkspaceId};
use uuid::Uuid;

/// A message that has still to be delivered. What it says follows from the entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whose log.
    pub workspace: WorkspaceId,
    /// To whom.
    pub notifier: NotifierId,
    /// The entry it tells of.
    pub seq: u64,
    /// What of that entry it tells of: a promotion, a version, a freeze…
    pub subject: Uuid,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is to be tried next.
    pub due: Timestamp,
    /// Since when it waits.
    pub since: Timestamp,
}

/// What came of a notifier's deliveries so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Whose log.
    pub workspace: WorkspaceId,
    /// To whom.
    pub notifier: NotifierId,
    /// Messages that arrived.
    pub delivered: u64,
    /// Messages that will not arrive.
    pub given_up: u64,
    /// When the last one arrived.
    pub delivered_at: Option<Timestamp>,
    /// The last attempt that failed.
    pub error: Option<DeliveryFault>,
    /// The last message that will not arrive.
    pub last_given_up: Option<DeliveryFault>,
}

impl DeliveryRecord {
    /// The record of a notifier that nothing was delivered to.
    #[must_use]
    pub fn new(workspace: WorkspaceId, notifier: NotifierId) -> Self {
        Self {
            workspace,
            notifier,
            delivered: 0,
            given_up: 0,
            delivered_at: None,
            error: None,
            last_given_up: None,
        }
    }
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryFault {
    /// When.
    pub at: Timestamp,
    /// Stable name of the kind of error.
    pub code: String,
    /// What happened; holds no secret.
    pub message: String,
    /// The entry that was to be told of.
    pub seq: u64,
}
