//! Side tables: what must be changeable or erasable and therefore is not in the log.

use crate::{Delivery, DeliveryRecord, Hash};
use stagegate_model::{KeyId, NotifierId, Timestamp, UserId, WorkspaceId};
use uuid::Uuid;

/// An API key. The key itself is never stored, only the SHA-256 of its random text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, which may be shown.
    pub id: KeyId,
    /// Where it is valid.
    pub workspace: WorkspaceId,
    /// For whom it acts.
    pub owner: UserId,
    /// The role it grants.
    pub role: String,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the key; unique.
    pub hash: Hash,
    /// When it was created.
    pub created: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// A person. The log knows the id only, so that erasing this forgets the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id that the log carries.
    pub id: UserId,
    /// The workspace that knows the person.
    pub workspace: WorkspaceId,
    /// Display name.
    pub name: String,
    /// Email address, if known.
    pub email: Option<String>,
}

/// A session of the web pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the session's random token.
    pub hash: Hash,
    /// The key it acts with.
    pub key_id: KeyId,
    /// When it ends.
    pub expires: Timestamp,
}

/// A change to a side table; alone or in the transaction of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SideWrite {
    /// Creates or replaces a key (by id).
    PutKey(ApiKey),
    /// Revokes a key and ends its sessions. A key that is revoked already keeps its first time; an
    /// unknown one is no error.
    RevokeKey {
        /// Whose key.
        workspace: WorkspaceId,
        /// Which.
        id: KeyId,
        /// Since when.
        at: Timestamp,
    },
    /// Creates or replaces a person (by workspace and id).
    PutUser(User),
    /// Erases a person's name and address, on the disk too. An unknown one is no error.
    EraseUser {
        /// In which workspace.
        workspace: WorkspaceId,
        /// Whom.
        id: UserId,
    },
    /// Creates or replaces a session (by hash).
    PutSession(Session),
    /// Says up to which entry the log was looked through for what is to be told.
    MoveNotifyCursor {
        /// Whose log.
        workspace: WorkspaceId,
        /// The last entry that was looked at.
        seq: u64,
    },
    /// Creates or replaces a delivery (by notifier, entry and subject).
    PutDelivery(Delivery),
    /// Forgets a delivery. An unknown one is no error.
    EndDelivery {
        /// Whose log.
        workspace: WorkspaceId,
        /// To whom.
        notifier: NotifierId,
        /// The entry it tells of.
        seq: u64,
        /// What of that entry it tells of.
        subject: Uuid,
    },
    /// Creates or replaces a notifier's record.
    PutDeliveryRecord(DeliveryRecord),
    /// Forgets a notifier's deliveries and its record. An unknown one is no error.
    ForgetNotifier {
        /// Whose log.
        workspace: WorkspaceId,
        /// Which.
        notifier: NotifierId,
    },
    /// Ends a session. An unknown one is no error.
    DeleteSession {
        /// Its hash.
        hash: Hash,
    },
}
