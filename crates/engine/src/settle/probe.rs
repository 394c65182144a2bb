//! Whether time would decide anything, without deciding it.

use super::Turn;
use crate::engine::Engine;
use crate::state::{Dirty, LaneKey};
use stagegate_model::Timestamp;
use std::collections::BTreeSet;

/// How a lane is looked at again, as settling left it.
type Looked = (
    LaneKey,
    Option<Timestamp>,
    bool,
    BTreeSet<stagegate_model::ResourceId>,
);

impl Engine {
    /// Whether anything would be decided if it woke at `now`. If nothing would, it has woken: what is due is looked at
    /// again later. Else it is as it was before.
    pub(crate) fn probe(&mut self, now: Timestamp) -> bool {
        if self.is_dirty() {
            return true;
        }
        // A job whose time has come never stays as it is.
        if self.state.wakes.first().is_some_and(|(at, _)| *at <= now) {
            return true;
        }
        let due: Vec<LaneKey> = self.state.waiting.due(now).collect();
        !self.loud(&due, now).is_empty()
    }

    /// Looks at every lane as of its last entry, after its log was folded without deciding: those where nothing would
    /// be decided know from then on when they are to be looked at again. The others are due at once.
    pub(crate) fn look_around(&mut self) {
        self.state.dirty = Dirty::default();
        let now = self.state.head.time;
        let lanes: Vec<LaneKey> = self.state.lanes.keys().copied().collect();
        for key in lanes {
            let loud = self.loud(&[key], now);
            if !loud.is_empty() {
                self.state
                    .change_waiting(key, |lane| lane.next_at = Some(now));
            }
        }
    }

    /// Those of the lanes in which something would be decided. If there are any, no lane is changed.
    fn loud(&mut self, lanes: &[LaneKey], now: Timestamp) -> Vec<LaneKey> {
        let head = self.state.head;
        self.state.head.time = head.time.max(now);
        let configured = std::mem::take(&mut self.state.dirty.configured);
        let before: Vec<Looked> = lanes
            .iter()
            .filter_map(|key| {
                let lane = self.state.lanes.get(key)?;
                let asked_about = lane.asked_about.clone();
                Some((*key, lane.next_at, lane.waits_for_others, asked_about))
            })
            .collect();
        let mut loud = Vec::new();
        for key in lanes {
            self.state.dirty.lanes = [*key].into();
            let mut turn = Turn::new(self, head.entry, crate::SETTLE_TARGETS_MAX);
            turn.probed = Some(false);
            turn.settle_lane();
            if turn.probed == Some(true) || configured.contains(key) {
                loud.push(*key);
            }
            self.state.dirty = Dirty::default();
        }
        self.state.head = head;
        self.state.dirty.configured = configured;
        if !loud.is_empty() {
            for (key, next_at, waits_for_others, asked_about) in before {
                self.state.change_waiting(key, |lane| {
                    lane.next_at = next_at;
                    lane.waits_for_others = waits_for_others;
                    lane.asked_about = asked_about;
                });
            }
        }
        loud
    }
}
