//! A state in parts, as a snapshot has it: the head first, then what there may be a million of, in blocks of some
//! thousands. Each part can be written, and read, without the others.

use super::resource::{Resources, ResourcesPart};
use super::targets::TargetsPart;
use super::{Head, Job, LaneKey, Release, SortedMap, State, Success, Targets};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use stagegate_model::{EnvironmentId, JobId, ReleaseId, ResourceId, VersionId};
use std::fmt;

/// How many entries a part has at most.
const ENTRIES_PER_PART: usize = 4096;

/// A part of a state, to be written.
#[derive(Serialize)]
#[serde(rename = "Part")]
pub enum PartOf<'s> {
    #[serde(serialize_with = "State::serialize")]
    Head(&'s State),
    Resources(ResourcesPart<'s>),
    Identifiers(Block<'s, Box<str>, ResourceId>),
    Targets(LaneKey, TargetsPart<'s>),
    Results((VersionId, EnvironmentId), Block<'s, ResourceId, Success>),
    Releases(Block<'s, ReleaseId, Box<Release>>),
    Jobs(Block<'s, JobId, Box<Job>>),
}

/// A part of a state that was read: to be put in its place, see [`State::add`].
#[derive(Deserialize)]
pub enum Part {
    Head(#[serde(deserialize_with = "head")] Box<State>),
    Resources(Resources),
    Identifiers(SortedMap<Box<str>, ResourceId>),
    Targets(LaneKey, Targets),
    Results((VersionId, EnvironmentId), SortedMap<ResourceId, Success>),
    Releases(SortedMap<ReleaseId, Box<Release>>),
    Jobs(SortedMap<JobId, Box<Job>>),
}

fn head<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<State>, D::Error> {
    State::deserialize(deserializer).map(Box::new)
}

/// A part does not belong where it was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parts of a state are not those of one state in their order")]
pub struct Misfit;

/// Entries of a map that follow each other.
pub struct Block<'s, K, V>(Vec<(&'s K, &'s V)>);

impl<K: Serialize, V: Serialize> Serialize for Block<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

fn blocks<K: Ord, V>(map: &SortedMap<K, V>) -> impl Iterator<Item = Block<'_, K, V>> {
    in_blocks(map.iter()).map(Block)
}

/// What comes one after the other, in blocks; where they are cut does not depend on how it is kept.
pub(super) fn in_blocks<T>(mut entries: impl Iterator<Item = T>) -> impl Iterator<Item = Vec<T>> {
    std::iter::from_fn(move || {
        let block: Vec<T> = entries.by_ref().take(ENTRIES_PER_PART).collect();
        (!block.is_empty()).then_some(block)
    })
}

impl State {
    /// All of it, in the order in which [`State::add`] takes it.
    pub fn parts(&self) -> impl Iterator<Item = PartOf<'_>> {
        let targets = self.lanes.iter().flat_map(|(key, lane)| {
            let targets = lane.targets.parts();
            targets.map(|block| PartOf::Targets(*key, block))
        });
        let results = self.tracks.iter().flat_map(|(key, track)| {
            let results = blocks(&track.results);
            results.map(|block| PartOf::Results(*key, block))
        });
        std::iter::once(PartOf::Head(self))
            .chain(self.resources.parts().map(PartOf::Resources))
            .chain(blocks(&self.identifiers).map(PartOf::Identifiers))
            .chain(targets)
            .chain(results)
            .chain(blocks(&self.releases).map(PartOf::Releases))
            .chain(blocks(&self.jobs).map(PartOf::Jobs))
    }

    /// Puts a part that was read in its place: the head into an empty state, then the others in the order of
    /// [`State::parts`]. What only follows from the rest is left to [`State::reindex`].
    ///
    /// # Errors
    /// When the part is of something that the state does not have, or does not follow what is there.
    pub(crate) fn add(&mut self, part: Part) -> Result<(), Misfit> {
        let fits = match part {
            Part::Head(head) => {
                let is_first = self.head == Head::default() && self.resources.len() == 0;
                if is_first {
                    *self = *head;
                }
                is_first
            }
            Part::Resources(block) => self.resources.join(block),
            Part::Identifiers(block) => self.identifiers.join(block),
            Part::Targets(key, block) => {
                let lane = self.lanes.get_mut(&key).ok_or(Misfit)?;
                lane.targets.join(block)
            }
            Part::Results(key, block) => {
                let track = self.tracks.get_mut(&key).ok_or(Misfit)?;
                track.results.join(block)
            }
            Part::Releases(block) => self.releases.join(block),
            Part::Jobs(block) => self.jobs.join(block),
        };
        fits.then_some(()).ok_or(Misfit)
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts: Vec<PartOf<'_>> = self.parts().collect();
        serializer.collect_seq(parts)
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;

        impl<'de> Visitor<'de> for Parts {
            type Value = State;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the parts of a state")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<State, A::Error> {
                let mut state = State::default();
                while let Some(part) = parts.next_element()? {
                    state.add(part).map_err(A::Error::custom)?;
                }
                Ok(state)
            }
        }

        deserializer.deserialize_seq(Parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_model::Timestamp;
    use uuid::Uuid;

    #[test]
    fn what_does_not_follow_is_refused() {
        let block = |from: u128| {
            let numbers = from..from + 3;
            let entries = numbers.map(|it| (format!("r{it}").into(), Uuid::from_u128(it).into()));
            Part::Identifiers(entries.collect())
        };
        let mut state = State::default();
        state.add(block(1)).unwrap();
        state.add(block(5)).unwrap();
        assert_eq!(state.identifiers.len(), 6);
        assert_eq!(state.add(block(3)), Err(Misfit));
        let lane = LaneKey {
            deployment: Uuid::from_u128(1).into(),
            environment: Uuid::from_u128(2).into(),
        };
        let nobodys = Part::Targets(lane, Targets::default());
        assert_eq!(state.add(nobodys), Err(Misfit));
        let head = || {
            Part::Head(Box::new(State {
                head: Head {
                    seq: 1,
                    ..Head::default()
                },
                ..State::default()
            }))
        };
        let mut state = State::default();
        state.add(head()).unwrap();
        assert_eq!(state.add(head()), Err(Misfit), "there is one head");
    }

    #[test]
    fn a_state_is_the_sum_of_its_parts() {
        let mut state = State::default();
        state.begin(7, Uuid::from_u128(9).into(), Timestamp(11));
        for number in 0..10_000_u128 {
            let id = Uuid::from_u128(number).into();
            state.identifiers.insert(format!("r{number:05}").into(), id);
        }
        assert_eq!(state.parts().count(), 4);
        let bytes = rmp_serde::to_vec_named(&state).unwrap();
        let read: State = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(read.identifiers, state.identifiers);
        assert_eq!(read.head, state.head);
        assert_eq!(rmp_serde::to_vec_named(&read).unwrap(), bytes);
    }
}
