//! Which lanes wait, and until when, so that not each has to be asked.

use super::{Lane, LaneKey};
use stagegate_model::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Follows from what the lanes say of themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Waiting {
    by_time: BTreeSet<(Timestamp, LaneKey)>,
    /// Those that wait for jobs elsewhere to end.
    pub for_others: BTreeSet<LaneKey>,
    /// Those that asked what other deployments have on some resource.
    pub asking: BTreeSet<LaneKey>,
}

impl Waiting {
    pub fn of(lanes: &BTreeMap<LaneKey, Lane>) -> Self {
        let mut waiting = Self::default();
        for (key, lane) in lanes {
            waiting.put(*key, lane);
        }
        waiting
    }

    pub fn put(&mut self, key: LaneKey, lane: &Lane) {
        self.by_time.extend(lane.next_at.map(|at| (at, key)));
        if lane.waits_for_others {
            self.for_others.insert(key);
        }
        if !lane.asked_about.is_empty() {
            self.asking.insert(key);
        }
    }

    pub fn remove(&mut self, key: LaneKey, lane: &Lane) {
        if let Some(at) = lane.next_at {
            self.by_time.remove(&(at, key));
        }
        if lane.waits_for_others {
            self.for_others.remove(&key);
        }
        if !lane.asked_about.is_empty() {
            self.asking.remove(&key);
        }
    }

    pub fn retain(&mut self, keep: impl Fn(&LaneKey) -> bool) {
        self.by_time.retain(|(_, key)| keep(key));
        self.for_others.retain(&keep);
        self.asking.retain(keep);
    }

    /// The earliest moment at which time alone may change a decision.
    pub fn first(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// The lanes in which time may have changed a decision by `now`.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = LaneKey> {
        let due = self.by_time.iter().take_while(move |(at, _)| *at <= now);
        due.map(|(_, key)| *key)
    }
}
