//! Which lanes have a target on which resource.

use super::{LaneKey, SortedMap};
use stagegate_model::ResourceId;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Lanes in order. Many resources are in the same few, so each such set is kept once.
type Lanes = Arc<[LaneKey]>;

/// By resource, the lanes that have a target there; follows from the lanes.
#[derive(Clone, Default)]
pub(crate) struct Presence {
    of: SortedMap<ResourceId, Lanes>,
    /// The sets that there are, and some that there were.
    sets: BTreeSet<Lanes>,
    /// With so many sets, those that nobody is in any more are forgotten.
    crowded: usize,
}

impl Presence {
    const FORGOTTEN_AT: usize = 64;

    /// The lanes that have a target on a resource.
    pub fn lanes(&self, resource: ResourceId) -> &[LaneKey] {
        self.of.get(&resource).map_or(&[], |lanes| lanes)
    }

    pub fn add(&mut self, resource: ResourceId, lane: LaneKey) {
        let known = self.lanes(resource);
        if let Err(place) = known.binary_search(&lane) {
            let mut lanes = known.to_vec();
            lanes.insert(place, lane);
            self.put(resource, &lanes);
        }
    }

    pub fn remove(&mut self, resource: ResourceId, lane: LaneKey) {
        let known = self.lanes(resource).iter().copied();
        let lanes: Vec<LaneKey> = known.filter(|known| *known != lane).collect();
        match lanes.as_slice() {
            [] => drop(self.of.remove(&resource)),
            lanes => self.put(resource, lanes),
        }
    }

    fn put(&mut self, resource: ResourceId, lanes: &[LaneKey]) {
        let shared = match self.sets.get(lanes) {
            Some(known) => Arc::clone(known),
            None => self.begin(lanes),
        };
        self.of.insert(resource, shared);
    }

    fn begin(&mut self, lanes: &[LaneKey]) -> Lanes {
        if self.sets.len() >= self.crowded.max(Self::FORGOTTEN_AT) {
            self.sets.retain(|lanes| Arc::strong_count(lanes) > 1);
            self.crowded = 2 * self.sets.len();
        }
        let lanes = Lanes::from(lanes);
        self.sets.insert(Arc::clone(&lanes));
        lanes
    }
}

/// What it says, not how it is kept.
impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.of.fmt(f)
    }
}

impl PartialEq for Presence {
    fn eq(&self, other: &Self) -> bool {
        self.of == other.of
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn lane(number: u128) -> LaneKey {
        LaneKey {
            deployment: Uuid::from_u128(number).into(),
            environment: Uuid::from_u128(1).into(),
        }
    }

    #[test]
    fn who_comes_and_goes_is_known_and_sets_are_kept_once() {
        let mut presence = Presence::default();
        let resources: Vec<ResourceId> = (0..1_000).map(|it| Uuid::from_u128(it).into()).collect();
        for resource in &resources {
            for number in [3, 2, 2] {
                presence.add(*resource, lane(number));
            }
            assert_eq!(presence.lanes(*resource), [lane(2), lane(3)]);
        }
        assert_eq!(presence.sets.len(), 2);
        for resource in &resources {
            presence.remove(*resource, lane(3));
            presence.remove(*resource, lane(4));
            assert_eq!(presence.lanes(*resource), [lane(2)]);
            presence.remove(*resource, lane(2));
            assert_eq!(presence.lanes(*resource), []);
        }
        assert!(presence.of.is_empty());
        for number in 0..1_000 {
            presence.add(resources[0], lane(number));
            presence.remove(resources[0], lane(number));
        }
        assert!(presence.sets.len() <= 2 * Presence::FORGOTTEN_AT);
    }
}
