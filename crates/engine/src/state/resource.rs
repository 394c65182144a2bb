//! Resources as a fleet of them is kept: each as one text, with what many have in common kept once.

use super::LaneKey;
use super::parts::in_blocks;
use super::presence::{Place, Presence};
use super::shared::Shared;
use super::sorted::SortedMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use stagegate_expressions::{Object, View};
use stagegate_model::{Json, Metadata, PackedJson, Resource, ResourceId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A resource of a workspace.
#[derive(Clone, Debug, PartialEq)]
pub struct PackedResource {
    pub id: ResourceId,
    pub created_at: Timestamp,
    pub updated_at: Option<Timestamp>,
    words: Words,
}

/// The keys that a resource's metadata has, in order; fleets have few such sets.
pub(crate) type Keys = Arc<[Box<str>]>;

/// Name, identifier, kind, version and configuration, then the metadata's values in the order of their keys.
const NAME: usize = 0;
const IDENTIFIER: usize = 1;
const KIND: usize = 2;
const VERSION: usize = 3;
const CONFIG: usize = 4;
const VALUES: usize = 5;

/// Everything of a resource that is text, in one. As an object it is the metadata.
#[derive(Clone, Debug, PartialEq)]
struct Words {
    keys: Keys,
    /// Where each ends, in digits to the base of 128: two or four bytes each, as the first byte says; then they themselves.
    text: Box<str>,
}

impl Words {
    fn of(keys: Keys, words: &[&str]) -> Self {
        let written: usize = words.iter().map(|word| word.len()).sum();
        let width = if written < 1 << 14 { 2 } else { 4 };
        let mut text = String::with_capacity(1 + words.len() * width + written);
        text.push(if width == 2 { '2' } else { '4' });
        let mut end = 0_usize;
        for word in words {
            end += word.len();
            for digit in (0..width).rev() {
                // Seven bits are a character of one byte.
                let digit = u8::try_from((end >> (7 * digit)) & 0x7f).unwrap_or(0);
                text.push(char::from(digit));
            }
        }
        words.iter().for_each(|word| text.push_str(word));
        Self {
            keys,
            text: text.into(),
        }
    }

    /// Whether as many words are there as the keys say: a snapshot is not made by this process.
    fn is_whole(&self) -> bool {
        let last = VALUES + self.keys.len();
        (0..last).all(|place| {
            self.range(place)
                .is_some_and(|at| self.text.get(at).is_some())
        })
    }

    fn range(&self, place: usize) -> Option<Range<usize>> {
        let bytes = self.text.as_bytes();
        let width = if *bytes.first()? == b'2' { 2 } else { 4 };
        let begin = 1 + (VALUES + self.keys.len()) * width;
        let end_of = |place: usize| -> Option<usize> {
            let digits = bytes.get(1 + place * width..1 + (place + 1) * width)?;
            Some(
                digits
                    .iter()
                    .fold(0, |end, digit| end << 7 | usize::from(*digit)),
            )
        };
        let from = match place.checked_sub(1) {
            Some(before) => end_of(before)?,
            None => 0,
        };
        Some(begin + from..begin + end_of(place)?)
    }

    fn word(&self, place: usize) -> &str {
        let range = self.range(place);
        range
            .and_then(|range| self.text.get(range))
            .unwrap_or_default()
    }

    fn value(&self, key: &str) -> Option<&str> {
        let place = self.keys.binary_search_by(|known| (**known).cmp(key));
        Some(self.word(VALUES + place.ok()?))
    }
}

impl Object for Words {
    fn get(&self, key: &str) -> Option<View<'_>> {
        self.value(key).map(View::Str)
    }

    fn keys(&self) -> Vec<String> {
        self.keys.iter().map(|key| String::from(&**key)).collect()
    }
}

impl PackedResource {
    #[must_use]
    pub fn name(&self) -> &str {
        self.words.word(NAME)
    }

    #[must_use]
    pub fn identifier(&self) -> &str {
        self.words.word(IDENTIFIER)
    }

    #[must_use]
    pub fn kind(&self) -> &str {
        self.words.word(KIND)
    }

    #[must_use]
    pub fn version(&self) -> &str {
        self.words.word(VERSION)
    }

    /// Its configuration, as JSON text.
    #[must_use]
    pub fn config_text(&self) -> &str {
        self.words.word(CONFIG)
    }

    /// Its configuration; read anew with every call.
    #[must_use]
    pub fn config(&self) -> Json {
        PackedJson::read(self.config_text())
    }

    /// A value of its metadata.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.words.value(key)
    }

    /// The keys of its metadata, in order; most resources share them with others.
    pub(crate) fn keys(&self) -> &Keys {
        &self.words.keys
    }

    /// Its metadata, in the order of the keys.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let keys = self.words.keys.iter().enumerate();
        keys.map(|(place, key)| (&**key, self.words.word(VALUES + place)))
    }

    /// Its metadata as expressions see them.
    pub(crate) fn metadata_object(&self) -> &dyn Object {
        &self.words
    }

    /// Whether two differ at most in when they were updated.
    pub(crate) fn is_but_for_time(&self, other: &Self) -> bool {
        (self.id, self.created_at, &self.words) == (other.id, other.created_at, &other.words)
    }

    /// It as it was written.
    #[must_use]
    pub fn whole(&self) -> Resource {
        Resource {
            id: self.id,
            name: self.name().to_owned(),
            identifier: self.identifier().to_owned(),
            kind: self.kind().to_owned(),
            version: self.version().to_owned(),
            metadata: self
                .pairs()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect::<Metadata>(),
            config: self.config(),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    fn of(resource: &Resource, keys: Keys) -> Self {
        let config = resource.config.to_string();
        let mut words = vec![
            resource.name.as_str(),
            &resource.identifier,
            &resource.kind,
            &resource.version,
            &config,
        ];
        words.extend(resource.metadata.values().map(String::as_str));
        Self {
            id: resource.id,
            created_at: resource.created_at,
            updated_at: resource.updated_at,
            words: Words::of(keys, &words),
        }
    }
}

/// One by itself, with keys of its own.
impl From<&Resource> for PackedResource {
    fn from(resource: &Resource) -> Self {
        let keys = resource.metadata.keys().map(|key| key.as_str().into());
        Self::of(resource, keys.collect())
    }
}

/// A resource, kept after its deletion while a target still runs a job there.
#[derive(Clone)]
pub struct StoredResource {
    pub resource: Arc<PackedResource>,
    pub deleted: bool,
    /// The lanes that have a target on it.
    lanes: Place,
}

/// All resources of a workspace.
#[derive(Clone, Default)]
pub struct Resources {
    stored: SortedMap<ResourceId, StoredResource>,
    /// The sets of keys that they have.
    keys: Shared<[Box<str>]>,
    /// The sets of lanes that they are in; follows from the lanes.
    presence: Presence,
}

impl Resources {
    pub fn get(&self, id: &ResourceId) -> Option<&StoredResource> {
        self.stored.get(id)
    }

    pub fn get_mut(&mut self, id: &ResourceId) -> Option<&mut StoredResource> {
        self.stored.get_mut(id)
    }

    pub fn keys(&self) -> impl Iterator<Item = &ResourceId> {
        self.stored.keys()
    }

    pub fn values(&self) -> impl Iterator<Item = &StoredResource> {
        self.stored.values()
    }

    /// Those from that place on, deleted ones included.
    pub fn starting_at(&self, place: usize) -> impl Iterator<Item = &StoredResource> {
        self.stored.starting_at(place).map(|(_, stored)| stored)
    }

    /// How many there are, deleted ones included.
    pub fn len(&self) -> usize {
        self.stored.len()
    }

    pub fn remove(&mut self, id: &ResourceId) {
        if let Some(gone) = self.stored.remove(id) {
            self.presence.give_back(gone.lanes);
        }
    }

    /// The lanes that have a target on a resource, in order.
    pub fn lanes(&self, id: ResourceId) -> &[LaneKey] {
        let stored = self.stored.get(&id);
        stored.map_or(&[], |stored| self.presence.lanes(stored.lanes))
    }

    /// A lane has a target on a resource.
    pub fn enter(&mut self, id: ResourceId, lane: LaneKey) {
        if let Some(stored) = self.stored.get_mut(&id) {
            stored.lanes = self.presence.add(stored.lanes, lane);
        }
    }

    /// A lane no longer has a target on a resource.
    pub fn exit(&mut self, id: ResourceId, lane: LaneKey) {
        if let Some(stored) = self.stored.get_mut(&id) {
            stored.lanes = self.presence.remove(stored.lanes, lane);
        }
    }

    /// As if no lane had a target: they are told anew.
    pub fn exit_all(&mut self) {
        self.presence = Presence::default();
        for stored in self.stored.values_mut() {
            stored.lanes = Place::default();
        }
    }

    /// Whether the same lanes have targets on the same resources.
    pub fn are_in_the_lanes_of(&self, other: &Self) -> bool {
        let lanes = |it: &Self| -> Vec<(ResourceId, Vec<LaneKey>)> {
            let ids = it.stored.keys();
            ids.map(|id| (*id, it.lanes(*id).to_vec())).collect()
        };
        lanes(self) == lanes(other)
    }

    /// A resource comes, comes back or changes; its targets stay.
    pub fn put(&mut self, resource: &Resource) {
        let keys = resource.metadata.keys().map(|key| key.as_str().into());
        let keys = self.keys.share(keys.collect::<Keys>());
        let known = self.stored.get(&resource.id);
        let stored = StoredResource {
            resource: Arc::new(PackedResource::of(resource, keys)),
            deleted: false,
            lanes: known.map_or_else(Place::default, |known| known.lanes),
        };
        self.stored.insert(resource.id, stored);
    }

    /// All of them, in parts.
    pub fn parts(&self) -> impl Iterator<Item = ResourcesPart<'_>> {
        in_blocks(self.stored.values()).map(ResourcesPart)
    }

    /// Takes those that come behind all that are there; `false` when they do not.
    pub fn join(&mut self, mut behind: Self) -> bool {
        // What follows each other mostly has the same keys.
        let mut last: Option<(Keys, Keys)> = None;
        for stored in behind.stored.values_mut() {
            // A part that was just read is nobody else's.
            let Some(resource) = Arc::get_mut(&mut stored.resource) else {
                continue;
            };
            let keys = &mut resource.words.keys;
            let known = last.as_ref().filter(|(read, _)| Arc::ptr_eq(read, keys));
            let shared = match known {
                Some((_, shared)) => Arc::clone(shared),
                None => self.keys.share(Arc::clone(keys)),
            };
            let read = std::mem::replace(keys, Arc::clone(&shared));
            last = Some((read, shared));
        }
        self.stored.join(behind.stored)
    }
}

/// What there is, not how it is kept.
impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stored = self.stored.iter().map(|(id, it)| {
            let lanes = self.presence.lanes(it.lanes);
            (id, (&it.resource, it.deleted, lanes))
        });
        f.debug_map().entries(stored).finish()
    }
}

/// The sets of keys in a snapshot.
type Sets = Vec<Vec<Box<str>>>;

/// A resource in a snapshot: id, place of its keys, times, words, whether it was deleted.
type Row<T> = (ResourceId, u32, Timestamp, Option<Timestamp>, T, bool);

/// Resources that follow each other, with the sets of keys that they have.
pub struct ResourcesPart<'s>(Vec<&'s StoredResource>);

impl Serialize for ResourcesPart<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let used = self.0.iter().map(|it| &it.resource.words.keys);
        let used: BTreeSet<&Keys> = used.collect();
        let places: BTreeMap<&Keys, u32> = used.iter().copied().zip(0..).collect();
        let sets: Vec<Vec<&str>> = used
            .iter()
            .map(|keys| keys.iter().map(|key| &**key).collect())
            .collect();
        let rows = self.0.iter().map(|it| -> Row<&str> {
            let resource = &it.resource;
            let place = places.get(&resource.words.keys).copied();
            (
                resource.id,
                place.unwrap_or(u32::MAX),
                resource.created_at,
                resource.updated_at,
                &resource.words.text,
                it.deleted,
            )
        });
        (sets, rows.collect::<Vec<_>>()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Resources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (sets, rows): (Sets, Vec<Row<Box<str>>>) = Deserialize::deserialize(deserializer)?;
        let mut resources = Self::default();
        let sets = sets.into_iter();
        let sets: Vec<Keys> = sets
            .map(|keys| resources.keys.share(Keys::from(keys)))
            .collect();
        for (id, place, created_at, updated_at, text, deleted) in rows {
            let keys = usize::try_from(place)
                .ok()
                .and_then(|place| sets.get(place));
            let words = keys.map(|keys| Words {
                keys: Arc::clone(keys),
                text,
            });
            let words = words.filter(Words::is_whole);
            let words = words.ok_or_else(|| serde::de::Error::custom("a resource is not whole"))?;
            let resource = PackedResource {
                id,
                created_at,
                updated_at,
                words,
            };
            let stored = StoredResource {
                resource: Arc::new(resource),
                deleted,
                lanes: Place::default(),
            };
            resources.stored.insert(id, stored);
        }
        Ok(resources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use uuid::Uuid;

    fn resource(number: u128, pairs: &[(&str, &str)], config: Json) -> Resource {
        Resource {
            id: Uuid::from_u128(number).into(),
            name: format!("höst-{number}"),
            identifier: format!("hosts/{number}"),
            kind: "Host".to_owned(),
            version: String::new(),
            metadata: pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            config,
            created_at: Timestamp(5),
            updated_at: Some(Timestamp(7)),
        }
    }

    fn all() -> Vec<Resource> {
        let long = "x".repeat(20_000);
        vec![
            resource(
                1,
                &[("env", "prod"), ("zone", "")],
                json!({"a": [1, null, "é"]}),
            ),
            resource(2, &[], Json::Null),
            resource(3, &[("env", "prod"), ("zone", "eu")], json!({})),
            resource(4, &[("long", &long)], json!({"b": long})),
        ]
    }

    #[test]
    fn what_is_packed_is_what_was_put() {
        for whole in all() {
            let packed = PackedResource::from(&whole);
            assert_eq!(packed.whole(), whole);
            assert_eq!(
                packed.metadata("env"),
                whole.metadata.get("env").map(String::as_str)
            );
            assert_eq!(packed.metadata("nothing"), None);
        }
    }

    #[test]
    fn a_snapshot_has_them_as_they_are_and_keys_are_kept_once() {
        let mut resources = Resources::default();
        all().iter().for_each(|it| resources.put(it));
        let written = |of: &Resources| {
            let parts: Vec<ResourcesPart<'_>> = of.parts().collect();
            assert_eq!(parts.len(), 1);
            rmp_serde::to_vec_named(&parts[0]).unwrap()
        };
        let bytes = written(&resources);
        let read: Resources = rmp_serde::from_slice(&bytes).unwrap();
        let wholes: Vec<Resource> = read.values().map(|it| it.resource.whole()).collect();
        assert_eq!(wholes, all());
        assert_eq!(written(&read), bytes);
        for resources in [resources, read] {
            assert_eq!(resources.keys.values().len(), 3);
            let mut sets = resources.keys.values();
            let env = sets.find(|keys| keys.len() == 2).unwrap();
            assert_eq!(Arc::strong_count(env), 3);
        }
    }

    #[test]
    fn what_joins_shares_its_keys() {
        let part = |numbers: [u128; 2]| {
            let mut part = Resources::default();
            for number in numbers {
                part.put(&resource(number, &[("env", "prod")], Json::Null));
            }
            part
        };
        let mut resources = part([1, 2]);
        assert!(resources.join(part([3, 4])));
        assert_eq!(resources.keys.values().len(), 1);
        let env = resources.keys.values().next().unwrap();
        assert_eq!(Arc::strong_count(env), 5);
        assert!(!resources.join(part([4, 5])));
        assert_eq!(resources.stored.len(), 4);
    }

    #[test]
    fn keys_that_nobody_has_any_more_are_forgotten() {
        let mut resources = Resources::default();
        for number in 0..1_000 {
            resources.put(&resource(1, &[(&format!("k{number}"), "v")], Json::Null));
        }
        assert!(resources.keys.values().len() <= 2 * Shared::<[Box<str>]>::FORGOTTEN_AT);
    }
}
