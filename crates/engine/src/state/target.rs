//! Release targets, one by one.

use super::ended::{Brief, Kept};
use super::targets::{Fresh, Idle};
use serde::{Deserialize, Serialize};
use stagegate_model::{Block, JobId, ReleaseId, Timestamp, VersionId, VersionOrder};

/// A release that succeeded on a target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Good {
    pub release: ReleaseId,
    pub number: u64,
    pub version: VersionId,
}

/// One release target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "TargetRow", into = "TargetRow")]
pub struct Target {
    pub joined_at: Timestamp,
    /// The number of the latest release, 0 before the first.
    pub number: u64,
    pub latest: Option<ReleaseId>,
    pub latest_order: Option<VersionOrder>,
    /// Only what is newer starts here by itself: the newest version that was brought here, also when it was rolled
    /// back since.
    pub floor: Option<VersionOrder>,
    /// The latest [`Target::GOOD_KEPT`] releases that succeeded and were not rolled back, of different versions,
    /// oldest first.
    pub good: Vec<Good>,
    /// The last release that succeeded.
    pub current: Option<ReleaseId>,
    /// What is kept of that release once it has left memory.
    pub(crate) kept: Option<Box<Kept>>,
    /// The version whose job was the last to succeed here, whatever its verification said.
    pub deployed: Option<VersionId>,
    /// What was deployed here last before it left and came back, until something else is.
    pub before: Option<VersionId>,
    /// The release whose job was the last to succeed here, whatever its verification said.
    pub brought: Option<ReleaseId>,
    /// The job that keeps the target busy, until it and its verifications ended.
    pub active: Option<JobId>,
    /// Why what should start here cannot.
    pub block: Option<Box<Block>>,
    /// Its selectors no longer match; it leaves when it is free.
    pub leaving: bool,
}

impl Target {
    /// How many good releases a target keeps for going back; older ones are in the archive.
    pub const GOOD_KEPT: usize = 5;

    /// One that has had nothing.
    pub(super) fn new(joined_at: Timestamp, number: u64, before: Option<VersionId>) -> Self {
        Self {
            joined_at,
            number,
            latest: None,
            latest_order: None,
            floor: None,
            good: Vec::new(),
            current: None,
            kept: None,
            deployed: None,
            before,
            brought: None,
            active: None,
            block: None,
            leaving: false,
        }
    }
}

/// A target as it is to be read, however it is kept; what each member means is said at [`Target`].
#[derive(Clone, Copy)]
pub struct TargetView<'t>(pub(super) Seen<'t>);

#[derive(Clone, Copy)]
pub(super) enum Seen<'t> {
    Fresh(&'t Fresh),
    Idle(&'t Idle),
    Whole(&'t Target),
}

impl<'t> From<&'t Target> for TargetView<'t> {
    fn from(target: &'t Target) -> Self {
        Self(Seen::Whole(target))
    }
}

impl<'t> TargetView<'t> {
    #[must_use]
    pub fn joined_at(self) -> Timestamp {
        match self.0 {
            Seen::Fresh(it) => it.joined_at,
            Seen::Idle(it) => it.joined_at.at(),
            Seen::Whole(it) => it.joined_at,
        }
    }

    #[must_use]
    pub fn number(self) -> u64 {
        match self.0 {
            Seen::Fresh(it) => it.number,
            Seen::Idle(it) => it.number.get(),
            Seen::Whole(it) => it.number,
        }
    }

    #[must_use]
    pub fn latest(self) -> Option<ReleaseId> {
        match self.0 {
            Seen::Fresh(_) => None,
            Seen::Idle(it) => Some(it.release),
            Seen::Whole(it) => it.latest,
        }
    }

    #[must_use]
    pub fn latest_order(self) -> Option<VersionOrder> {
        match self.0 {
            Seen::Fresh(_) => None,
            Seen::Idle(it) => it.shape.latest_order,
            Seen::Whole(it) => it.latest_order,
        }
    }

    #[must_use]
    pub fn floor(self) -> Option<VersionOrder> {
        match self.0 {
            Seen::Fresh(_) => None,
            Seen::Idle(it) => it.shape.floor,
            Seen::Whole(it) => it.floor,
        }
    }

    /// Oldest first.
    pub fn good(self) -> impl DoubleEndedIterator<Item = Good> + 't {
        let (whole, idle) = match self.0 {
            Seen::Fresh(_) => (&[][..], None),
            Seen::Idle(it) => (&[][..], Some(it)),
            Seen::Whole(it) => (it.good.as_slice(), None),
        };
        let idle = idle.into_iter().flat_map(Idle::good);
        whole.iter().copied().chain(idle)
    }

    #[must_use]
    pub fn current(self) -> Option<ReleaseId> {
        match self.0 {
            Seen::Fresh(_) => None,
            Seen::Idle(it) => Some(it.release),
            Seen::Whole(it) => it.current,
        }
    }

    #[must_use]
    pub fn deployed(self) -> Option<VersionId> {
        match self.0 {
            Seen::Fresh(_) => None,
            Seen::Idle(it) => it.shape.deployed,
            Seen::Whole(it) => it.deployed,
        }
    }

    #[must_use]
    pub fn before(self) -> Option<VersionId> {
        match self.0 {
            Seen::Fresh(it) => it.before,
            Seen::Idle(it) => it.shape.before,
            Seen::Whole(it) => it.before,
        }
    }

    #[must_use]
    pub fn brought(self) -> Option<ReleaseId> {
        match self.0 {
            Seen::Fresh(_) => None,
            Seen::Idle(it) => Some(it.release),
            Seen::Whole(it) => it.brought,
        }
    }

    #[must_use]
    pub fn active(self) -> Option<JobId> {
        match self.0 {
            Seen::Fresh(_) | Seen::Idle(_) => None,
            Seen::Whole(it) => it.active,
        }
    }

    #[must_use]
    pub fn block(self) -> Option<&'t Block> {
        match self.0 {
            Seen::Fresh(_) | Seen::Idle(_) => None,
            Seen::Whole(it) => it.block.as_deref(),
        }
    }

    #[must_use]
    pub fn leaving(self) -> bool {
        match self.0 {
            Seen::Fresh(_) | Seen::Idle(_) => false,
            Seen::Whole(it) => it.leaving,
        }
    }

    /// The current release, where it has left memory.
    pub(super) fn left(self) -> Option<Brief> {
        match self.0 {
            Seen::Fresh(_) => None,
            Seen::Idle(it) => Some(it.kept().brief(it.release)),
            Seen::Whole(it) => Some(it.kept.as_ref()?.brief(it.current?)),
        }
    }
}

/// A target in a snapshot: its members in their order, without their names.
#[derive(Serialize, Deserialize)]
struct TargetRow(
    Timestamp,
    u64,
    Option<ReleaseId>,
    Option<VersionOrder>,
    Option<VersionOrder>,
    Vec<Good>,
    Option<ReleaseId>,
    Option<Box<Kept>>,
    Option<VersionId>,
    Option<VersionId>,
    Option<ReleaseId>,
    Option<JobId>,
    Option<Box<Block>>,
    bool,
);

impl From<Target> for TargetRow {
    fn from(it: Target) -> Self {
        Self(
            it.joined_at,
            it.number,
            it.latest,
            it.latest_order,
            it.floor,
            it.good,
            it.current,
            it.kept,
            it.deployed,
            it.before,
            it.brought,
            it.active,
            it.block,
            it.leaving,
        )
    }
}

impl From<TargetRow> for Target {
    fn from(row: TargetRow) -> Self {
        let TargetRow(
            joined_at,
            number,
            latest,
            latest_order,
            floor,
            good,
            current,
            kept,
            deployed,
            before,
            brought,
            active,
            block,
            leaving,
        ) = row;
        Self {
            joined_at,
            number,
            latest,
            latest_order,
            floor,
            good,
            current,
            kept,
            deployed,
            before,
            brought,
            active,
            block,
            leaving,
        }
    }
}
