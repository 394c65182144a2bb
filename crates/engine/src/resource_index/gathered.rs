//! The index of many resources at once: values are told apart by their hashes while they are gathered, and put in order when
//! all are there, which takes a third of the time of putting each in its place.

use super::{Holders, ResourceIndex, Values};
use crate::state::{MetadataKeys, PackedResource, SortedMap};
use hashbrown::HashTable;
use roaring::RoaringBitmap;
use stagegate_model::ResourceId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is gathered of resources.
#[derive(Default)]
pub(crate) struct Gathered {
    numbers: SortedMap<ResourceId, u32>,
    ids: Vec<Option<ResourceId>>,
    kinds: Column,
    /// By metadata key.
    columns: Vec<(Box<str>, Column)>,
    /// Where the columns of a set of keys are, in the order of the keys.
    places: Vec<(MetadataKeys, Vec<usize>)>,
}

/// With so many sets of keys they are looked for by key again.
const PLACES_MAX: usize = 64;

impl Gathered {
    /// Takes a resource that was not taken before.
    pub fn add(&mut self, resource: &PackedResource) {
        let number = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        self.ids.push(Some(resource.id));
        self.numbers.insert(resource.id, number);
        self.kinds.add(resource.kind(), number);
        let place = self.place_of(resource.keys());
        let Some((_, columns)) = self.places.get(place) else {
            return;
        };
        for ((_, value), column) in resource.pairs().zip(columns) {
            if let Some((_, column)) = self.columns.get_mut(*column) {
                column.add(value, number);
            }
        }
    }

    fn place_of(&mut self, keys: &MetadataKeys) -> usize {
        let known = self.places.iter();
        if let Some(place) = known.map(|it| &it.0).position(|it| Arc::ptr_eq(it, keys)) {
            return place;
        }
        if self.places.len() >= PLACES_MAX {
            self.places.clear();
        }
        let columns = keys.iter().map(|key| self.column_of(key)).collect();
        self.places.push((Arc::clone(keys), columns));
        self.places.len() - 1
    }

    fn column_of(&mut self, key: &str) -> usize {
        if let Some(place) = self.columns.iter().position(|(known, _)| **known == *key) {
            return place;
        }
        self.columns.push((key.into(), Column::default()));
        self.columns.len() - 1
    }

    /// The index of what was gathered.
    pub fn index(self) -> ResourceIndex {
        let columns = self.columns.into_iter();
        ResourceIndex {
            numbers: self.numbers,
            ids: self.ids,
            unused: Vec::new(),
            kinds: self.kinds.values(),
            metadata: columns.map(|(key, it)| (key, it.values())).collect(),
            is_put_off: false,
        }
    }
}

/// Who has which value of a key.
#[derive(Default)]
struct Column {
    values: Vec<(Box<str>, Numbers)>,
    /// Places in `values`, by the values' hashes.
    places: HashTable<u32>,
}

/// Rising numbers.
enum Numbers {
    One(u32),
    Many(Vec<u32>),
}

impl Column {
    fn add(&mut self, value: &str, number: u32) {
        let values = &self.values;
        let of = |place: u32| values.get(place as usize).map_or("", |(value, _)| &**value);
        let hash = hash(value);
        if let Some(place) = self.places.find(hash, |place| of(*place) == value) {
            let place = *place as usize;
            match self.values.get_mut(place).map(|(_, numbers)| numbers) {
                Some(Numbers::Many(numbers)) => numbers.push(number),
                Some(one) => {
                    if let Numbers::One(first) = *one {
                        *one = Numbers::Many(vec![first, number]);
                    }
                }
                None => {}
            }
            return;
        }
        let place = u32::try_from(values.len()).unwrap_or(u32::MAX);
        self.places
            .insert_unique(hash, place, |place| self::hash(of(*place)));
        self.values.push((value.into(), Numbers::One(number)));
    }

    fn values(self) -> Values {
        let values = self.values.into_iter();
        let values: BTreeMap<Box<str>, Holders> = values
            .map(|(value, numbers)| (value, numbers.into()))
            .collect();
        values
    }
}

impl From<Numbers> for Holders {
    fn from(numbers: Numbers) -> Self {
        match numbers {
            Numbers::One(number) => Self::One(number),
            Numbers::Many(numbers) => {
                let bitmap = RoaringBitmap::from_sorted_iter(numbers.iter().copied());
                let bitmap = bitmap.unwrap_or_else(|_| numbers.into_iter().collect());
                Self::Many(Box::new(bitmap))
            }
        }
    }
}

/// FNV-1a, eight bytes at a time. What is decided does not depend on it: values are put in order.
fn hash(value: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ value.len() as u64;
    let mut take = |word: u64| {
        hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        hash ^= hash >> 29;
    };
    let (words, rest) = value.as_bytes().as_chunks();
    for word in words {
        take(u64::from_le_bytes(*word));
    }
    for byte in rest {
        take(u64::from(*byte));
    }
    hash
}
