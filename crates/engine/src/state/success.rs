//! What became of a version on a target; a version has one for each of its targets.

use super::moment::Moment;
use serde::{Deserialize, Serialize};
use stagegate_model::{JobStatus, Timestamp};

/// How the latest job of a version ended on a target, and how long the version has been there since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "SuccessRow", into = "SuccessRow")]
pub struct Success {
    status: JobStatus,
    completed_at: Moment,
    verified: Said,
    replaced_at: Option<Moment>,
    rolled_back: bool,
}

/// What verification said of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verified {
    /// None was configured.
    NotAsked,
    /// Running, or waiting for a person.
    Pending,
    Passed(Timestamp),
    Failed,
}

/// The same in fewer bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Said {
    NotAsked,
    Pending,
    Passed(Moment),
    Failed,
}

impl From<Verified> for Said {
    fn from(verified: Verified) -> Self {
        match verified {
            Verified::NotAsked => Self::NotAsked,
            Verified::Pending => Self::Pending,
            Verified::Passed(at) => Self::Passed(Moment::near(at)),
            Verified::Failed => Self::Failed,
        }
    }
}

impl Success {
    pub(super) fn new(status: JobStatus, completed_at: Timestamp, verified: Verified) -> Self {
        Self {
            status,
            completed_at: Moment::near(completed_at),
            verified: verified.into(),
            replaced_at: None,
            rolled_back: false,
        }
    }

    #[must_use]
    pub fn status(&self) -> JobStatus {
        self.status
    }

    #[must_use]
    pub fn completed_at(&self) -> Timestamp {
        self.completed_at.at()
    }

    #[must_use]
    pub fn verified(&self) -> Verified {
        match self.verified {
            Said::NotAsked => Verified::NotAsked,
            Said::Pending => Verified::Pending,
            Said::Passed(at) => Verified::Passed(at.at()),
            Said::Failed => Verified::Failed,
        }
    }

    /// When another version's job succeeded on the target.
    #[must_use]
    pub fn replaced_at(&self) -> Option<Timestamp> {
        self.replaced_at.map(Moment::at)
    }

    /// Whether it was rolled back since.
    #[must_use]
    pub fn rolled_back(&self) -> bool {
        self.rolled_back
    }

    pub(super) fn set_verified(&mut self, verified: Verified) {
        self.verified = verified.into();
    }

    /// The first that replaces it counts.
    pub(super) fn replace(&mut self, at: Timestamp) {
        self.replaced_at = self.replaced_at.or(Some(Moment::near(at)));
    }

    pub(super) fn roll_back(&mut self) {
        self.rolled_back = true;
    }

    /// Since when it counts as a success where a successful job is asked for, and that its verification passed if it
    /// had any; `None` when it does not.
    pub(crate) fn counts_from(&self) -> Option<Timestamp> {
        if self.status != JobStatus::Successful || self.rolled_back {
            return None;
        }
        match self.verified() {
            Verified::NotAsked => Some(self.completed_at()),
            Verified::Passed(at) => Some(self.completed_at().max(at)),
            Verified::Pending | Verified::Failed => None,
        }
    }
}

/// One in a snapshot: its members in their order, without their names.
#[derive(Serialize, Deserialize)]
struct SuccessRow(JobStatus, Timestamp, Verified, Option<Timestamp>, bool);

impl From<Success> for SuccessRow {
    fn from(it: Success) -> Self {
        Self(
            it.status(),
            it.completed_at(),
            it.verified(),
            it.replaced_at(),
            it.rolled_back(),
        )
    }
}

impl From<SuccessRow> for Success {
    fn from(row: SuccessRow) -> Self {
        let SuccessRow(status, completed_at, verified, replaced_at, rolled_back) = row;
        Self {
            status,
            completed_at: Moment::near(completed_at),
            verified: verified.into(),
            replaced_at: replaced_at.map(Moment::near),
            rolled_back,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_has_it_as_it_is_and_it_is_small() {
        let mut success = Success::new(JobStatus::Successful, Timestamp(7), Verified::Pending);
        let mut seen = vec![success.clone()];
        for verified in [
            Verified::NotAsked,
            Verified::Failed,
            Verified::Passed(Timestamp(9)),
        ] {
            success.set_verified(verified);
            assert_eq!(success.verified(), verified);
            seen.push(success.clone());
        }
        assert_eq!(success.counts_from(), Some(Timestamp(9)));
        success.replace(Timestamp(11));
        success.replace(Timestamp(12));
        assert_eq!(success.replaced_at(), Some(Timestamp(11)));
        success.roll_back();
        assert_eq!(success.counts_from(), None);
        seen.push(success);
        for success in seen {
            let bytes = rmp_serde::to_vec_named(&success).unwrap();
            assert_eq!(rmp_serde::from_slice::<Success>(&bytes).unwrap(), success);
        }
        assert_eq!(size_of::<Success>(), 22);
    }
}
