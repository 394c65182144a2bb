//! Which lanes have a target on which resource.

use super::LaneKey;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Lanes in order. Many resources are in the same few, so each such set is kept once.
type Lanes = Arc<[LaneKey]>;

/// Where a resource's lanes are found in [`Presence`]; the default is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place(u32);

impl Place {
    /// 0 is for none.
    fn index(self) -> Option<usize> {
        usize::try_from(self.0).ok()?.checked_sub(1)
    }
}

/// The sets of lanes that resources are in; each resource has the place of its own. What has come to be in a lane, or no
/// longer is, gives its place back and takes another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presence {
    /// By place, with how many resources have it; nobody has those in `vacant`.
    sets: Vec<(Lanes, u32)>,
    places: BTreeMap<Lanes, Place>,
    vacant: Vec<Place>,
    /// What came of the last that joined: whole fleets join alike.
    last: Option<(Place, LaneKey, Place)>,
}

impl Presence {
    pub fn lanes(&self, place: Place) -> &[LaneKey] {
        let set = place.index().and_then(|index| self.sets.get(index));
        set.map_or(&[], |(lanes, _)| lanes)
    }

    /// A resource with that place is in the lane too.
    pub fn add(&mut self, place: Place, lane: LaneKey) -> Place {
        if let Some((before, joined, after)) = self.last
            && (before, joined) == (place, lane)
        {
            self.take(after);
            self.give_back(place);
            return after;
        }
        let known = self.lanes(place);
        let Err(at) = known.binary_search(&lane) else {
            return place;
        };
        let mut lanes = known.to_vec();
        lanes.insert(at, lane);
        let after = self.place_of(&lanes);
        self.last = Some((place, lane, after));
        self.give_back(place);
        after
    }

    /// A resource with that place is in the lane no longer.
    pub fn remove(&mut self, place: Place, lane: LaneKey) -> Place {
        let known = self.lanes(place);
        if known.binary_search(&lane).is_err() {
            return place;
        }
        let rest = known.iter().copied().filter(|known| *known != lane);
        let lanes: Vec<LaneKey> = rest.collect();
        let after = match lanes.as_slice() {
            [] => Place::default(),
            lanes => self.place_of(lanes),
        };
        self.give_back(place);
        after
    }

    /// A place for one more resource that is in these lanes.
    fn place_of(&mut self, lanes: &[LaneKey]) -> Place {
        if let Some(place) = self.places.get(lanes).copied() {
            self.take(place);
            return place;
        }
        let lanes = Lanes::from(lanes);
        let entry = (Arc::clone(&lanes), 1);
        let vacant = self.vacant.pop();
        let known = vacant.and_then(Place::index);
        let place = match known.and_then(|index| self.sets.get_mut(index)) {
            Some(known) => {
                *known = entry;
                vacant.unwrap_or_default()
            }
            None => {
                self.sets.push(entry);
                // There are no more sets than resources, and of those no more than fit in memory.
                Place(u32::try_from(self.sets.len()).unwrap_or_default())
            }
        };
        self.places.insert(lanes, place);
        place
    }

    fn take(&mut self, place: Place) {
        let set = place.index().and_then(|index| self.sets.get_mut(index));
        if let Some((_, users)) = set {
            *users += 1;
        }
    }

    /// A resource has that place no longer.
    pub fn give_back(&mut self, place: Place) {
        let set = place.index().and_then(|index| self.sets.get_mut(index));
        let Some((lanes, users)) = set else {
            return;
        };
        *users = users.saturating_sub(1);
        if *users == 0 {
            self.places.remove(lanes);
            *lanes = Lanes::default();
            self.vacant.push(place);
            self.last = None;
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.places.len()
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
        let mut resources = [Place::default(); 1_000];
        for place in &mut resources {
            for number in [3, 2, 2] {
                *place = presence.add(*place, lane(number));
            }
            assert_eq!(presence.lanes(*place), [lane(2), lane(3)]);
        }
        assert_eq!(presence.len(), 1);
        for place in &mut resources {
            *place = presence.remove(*place, lane(3));
            *place = presence.remove(*place, lane(4));
            assert_eq!(presence.lanes(*place), [lane(2)]);
            *place = presence.remove(*place, lane(2));
            assert_eq!(presence.lanes(*place), []);
        }
        assert_eq!(presence.len(), 0);
        for number in 0..1_000 {
            let [first, ..] = &mut resources;
            *first = presence.add(*first, lane(number));
            *first = presence.remove(*first, lane(number));
        }
        assert_eq!(presence.sets.len(), presence.vacant.len());
        assert!(presence.sets.len() <= 3);
    }

    #[test]
    fn what_many_joined_alike_is_not_taken_for_another_set() {
        let mut presence = Presence::default();
        let (none, one) = (Place::default(), lane(1));
        let first = presence.add(none, one);
        let second = presence.add(none, one);
        assert_eq!(first, second);
        // Nobody is in the set any more; another takes its place.
        presence.give_back(first);
        presence.give_back(second);
        let other = presence.add(none, lane(2));
        let again = presence.add(none, one);
        assert_eq!(presence.lanes(other), [lane(2)]);
        assert_eq!(presence.lanes(again), [one]);
    }
}
