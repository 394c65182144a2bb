//! Settling: deciding anew exactly what is dirty, until nothing is.
//!
//! Rounds go in the order in which one thing can follow from another: who is a target, what was measured, which
//! jobs ended, what each lane should do.

mod applicable;
mod jobs;
mod lanes;
mod limits;
mod look;
mod membership;
mod plan;
mod probe;
mod promotions;
mod redeploys;
mod rollbacks;
mod starts;
mod turns;
mod variables;
mod verifications;

pub(crate) use applicable::{Applicable, Class, Conduct, LaneView, effective};
pub(crate) use jobs::start_on_trigger;
pub(crate) use plan::{Asked, GateStanding};
pub(crate) use rollbacks::{is_usable, last_good, rollback_order, undo};
pub(crate) use turns::{Place, Turns};
pub use variables::Resolution;

use crate::engine::Engine;
use crate::state::State;
use stagegate_model::{DerivedIds, Entry, EntryId, Fact};
use uuid::Uuid;

/// One entry in the making.
pub(crate) struct Turn<'e> {
    pub engine: &'e mut Engine,
    ids: DerivedIds,
    ordinal: u64,
    /// How many more targets may be decided in this entry.
    pub budget: usize,
    /// Bytes of job configuration that still fit into this entry.
    pub bytes_left: usize,
    facts: Vec<Fact>,
    /// `Some` while it is only asked whether anything would be decided, and the answer so far.
    probed: Option<bool>,
}

/// Whether an entry took everything that there was to decide: it is far from what an entry takes.
pub(crate) fn left_nothing(entry: &Entry) -> bool {
    let (mut targets, mut bytes) = (0, 0);
    for fact in &entry.facts {
        match fact {
            Fact::JobsCreated { jobs, .. } => {
                targets += jobs.len();
                bytes += jobs.iter().map(starts::told_bytes).sum::<usize>();
            }
            Fact::TargetBlocked { .. } | Fact::TargetOrdered { .. } => targets += 1,
            _ => {}
        }
    }
    targets += entry.facts.len();
    targets < crate::SETTLE_TARGETS_MAX / 2 && bytes < CONFIG_BYTES_PER_ENTRY_MAX / 2
}

/// Bytes of job configuration in one entry, at most; an entry must stay well below what the store takes.
const CONFIG_BYTES_PER_ENTRY_MAX: usize = 6 * 1024 * 1024;

impl<'e> Turn<'e> {
    pub fn new(engine: &'e mut Engine, entry: EntryId, budget: usize) -> Self {
        Self {
            engine,
            ids: DerivedIds::of(entry),
            ordinal: 0,
            budget,
            bytes_left: CONFIG_BYTES_PER_ENTRY_MAX,
            facts: Vec::new(),
            probed: None,
        }
    }

    pub fn state(&self) -> &State {
        &self.engine.state
    }

    /// Folds a fact and keeps it for the entry.
    pub fn push(&mut self, fact: Fact) {
        if let Some(would) = &mut self.probed {
            *would = true;
            return;
        }
        self.engine.fold(&fact);
        self.facts.push(fact);
    }

    /// The id of the next thing this entry decides.
    pub fn new_id(&mut self) -> Uuid {
        self.ordinal += 1;
        self.ids.at(self.ordinal)
    }

    pub fn finish(self) -> Vec<Fact> {
        self.facts
    }

    /// Decides until quiet or until the budget is used up; what is left stays dirty.
    pub fn settle(&mut self) {
        // INVARIANT: every round takes something out of the dirty sets, and what a decision marks again is further
        // along a finite path (a release ends once, a promotion ends once), so this terminates; the bound is a net.
        for _ in 0..1_000_000 {
            if self.budget == 0 {
                return;
            }
            let more = self.settle_membership()
                || self.settle_verification()
                || self.settle_job()
                || self.settle_rejected()
                || self.settle_lane();
            if !more {
                return;
            }
        }
    }
}
