//! Identifiers: one newtype per noun, so that a job can never be passed where a release is meant.
//!
//! Ids of what a person or a program creates are UUIDv7, made in the shell. Ids of what the engine
//! decides derive from the log entry that decided them ([`derive_id`]), so that folding the same log
//! always yields the same ids.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(s).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )*};
}

ids! {
    /// A tenant; owns one log.
    WorkspaceId,
    /// A group of deployments and environments that belong together.
    SystemId,
    /// A named stage.
    EnvironmentId,
    /// A thing that is deployed.
    DeploymentId,
    /// A place something can run.
    ResourceId,
    /// What carries out jobs.
    JobAgentId,
    /// Who is told what happened.
    NotifierId,
    /// A selector and its rules.
    PolicyId,
    /// One rule of a policy; a changed spec is a new rule with a new id.
    RuleId,
    /// A build of a deployment.
    VersionId,
    /// A version with its variables on one target, numbered per target.
    ReleaseId,
    /// One attempt to bring a target to a release.
    JobId,
    /// One version moving into one environment; the correlation id of everything that follows.
    PromotionId,
    /// One run of measurements for one job.
    VerificationId,
    /// A person.
    UserId,
    /// Persons who may do something together.
    GroupId,
    /// One rule set aside in a scope.
    SkipId,
    /// A time in which nothing new starts.
    FreezeId,
    /// A key that a deployment declares.
    VariableId,
    /// One value of a deployment's variable.
    VariableValueId,
    /// Values for many deployments.
    VariableSetId,
    /// From which resources a reference leads to which.
    RelationshipRuleId,
    /// An API key; acts for its owner.
    KeyId,
    /// One entry of a workspace's log.
    EntryId,
}

/// Derives the id of the `ordinal`-th thing decided in the entry `entry` (UUID version 8, RFC 9562).
///
/// The first 48 bits are those of the entry's id (its milliseconds, when that is a UUIDv7), the last 24 the ordinal, those
/// between SHA-256 of the entry's id: so ids sort in the order in which things were decided, and what is kept by id grows
/// at its end. An entry decides fewer than 2^24 things.
#[must_use]
pub fn derive_id(entry: EntryId, ordinal: u64) -> Uuid {
    DerivedIds::of(entry).at(ordinal)
}

/// The ids of what one entry decides; see [`derive_id`].
#[derive(Clone, Copy, Debug)]
pub struct DerivedIds([u8; 16]);

impl DerivedIds {
    #[must_use]
    pub fn of(entry: EntryId) -> Self {
        let hash = Sha256::digest(entry.0.as_bytes());
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&hash[..16]);
        bytes[..6].copy_from_slice(&entry.0.as_bytes()[..6]);
        Self(bytes)
    }

    /// The id of the `ordinal`-th thing.
    #[must_use]
    pub fn at(self, ordinal: u64) -> Uuid {
        let mut bytes = self.0;
        bytes[13..].copy_from_slice(&ordinal.to_be_bytes()[5..]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_are_stable_distinct_and_time_ordered() {
        let early = EntryId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
        let late = EntryId(Uuid::from_u128(0x0190_0000_0001_7000_8000_0000_0000_0001));
        assert_eq!(derive_id(early, 1), derive_id(early, 1));
        assert_ne!(derive_id(early, 1), derive_id(early, 2));
        assert!(derive_id(early, 99) < derive_id(late, 0));
        assert!(derive_id(early, 255) < derive_id(early, 256));
        let sibling = EntryId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002));
        assert_ne!(derive_id(early, 1), derive_id(sibling, 1));
        assert_eq!(derive_id(early, 1).get_version_num(), 8);
    }
}
