//! A map in the order of its keys, for many entries: no node is half empty, as those of a tree to which keys are added in
//! order are, and what follows each other lies beside each other.

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{VecDeque, vec_deque};
use std::fmt;
use std::marker::PhantomData;

/// Chunks in order, none of them empty, each in order. What is worked off from the beginning moves none of the others.
#[derive(Clone)]
pub struct SortedMap<K, V> {
    chunks: VecDeque<Vec<(K, V)>>,
    len: usize,
    /// The chunk and the place there at which something was last changed. What is asked for next is mostly the same or the
    /// next one; wherever this points, it is only tried first.
    near: (usize, usize),
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self {
            chunks: VecDeque::new(),
            len: 0,
            near: (0, 0),
        }
    }
}

impl<K, V> SortedMap<K, V> {
    /// How many entries a chunk has at most.
    const CHUNK: usize = places(size_of::<(K, V)>());
}

/// How many entries of a size a full chunk has: 128, or some more where they fill what an allocator gives for those.
/// Allocators have four sizes from each power of two to the next.
const fn places(size: usize) -> usize {
    let least = 128 * size;
    if least < 4 {
        return 128;
    }
    let step = 1 << (least.ilog2() - 2);
    least.div_ceil(step) * step / size
}

impl<K: Ord, V> SortedMap<K, V> {
    /// The chunk in which the key is, if it is there.
    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        let begins_after =
            |chunk: &Vec<(K, V)>| chunk.first().is_some_and(|(first, _)| first.borrow() > key);
        self.chunks
            .partition_point(|chunk| !begins_after(chunk))
            .checked_sub(1)
    }

    /// The chunk and the place there of a key: `Err` where it would be.
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<(usize, usize), (usize, usize)>
    where
        K: Borrow<Q>,
    {
        if let Some(found) = self.find_near(key) {
            return found;
        }
        let Some(chunk) = self.chunk_of(key) else {
            return Err((0, 0));
        };
        let entries = self.chunks.get(chunk).map_or(&[][..], Vec::as_slice);
        match entries.binary_search_by(|(known, _)| known.borrow().cmp(key)) {
            Ok(place) => Ok((chunk, place)),
            Err(place) => Err((chunk, place)),
        }
    }

    /// The same, if it can be said without a search.
    fn find_near<Q: Ord + ?Sized>(&self, key: &Q) -> Option<Result<(usize, usize), (usize, usize)>>
    where
        K: Borrow<Q>,
    {
        let (at, place) = self.near;
        let chunk = self.chunks.get(at)?;
        let (known, _) = chunk.get(place)?;
        match known.borrow().cmp(key) {
            Ordering::Equal => return Some(Ok((at, place))),
            Ordering::Greater => return None,
            Ordering::Less => {}
        }
        let (next, _) = chunk.get(place + 1)?;
        match next.borrow().cmp(key) {
            Ordering::Equal => Some(Ok((at, place + 1))),
            Ordering::Greater => Some(Err((at, place + 1))),
            Ordering::Less => None,
        }
    }

    /// The end, if the key belongs there: much comes in the order of the keys.
    fn end_before(&self, key: &K) -> Option<(usize, usize)> {
        let chunk = self.chunks.back()?;
        let (last, _) = chunk.last()?;
        (last < key).then_some((self.chunks.len() - 1, chunk.len()))
    }

    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (chunk, place) = self.find(key).ok()?;
        self.chunks.get(chunk)?.get(place).map(|(_, value)| value)
    }

    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (chunk, place) = self.find(key).ok()?;
        self.near = (chunk, place);
        let entry = self.chunks.get_mut(chunk)?.get_mut(place)?;
        Some(&mut entry.1)
    }

    #[must_use]
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Puts in what mostly comes in the order of the keys.
    pub(super) fn append(&mut self, key: K, value: V) {
        match self.chunks.back_mut() {
            Some(last) if last.last().is_none_or(|(known, _)| *known >= key) => {
                self.insert(key, value);
                return;
            }
            Some(last) if last.len() < Self::CHUNK => {
                if last.len() == last.capacity() {
                    last.reserve_exact(Self::CHUNK - last.len());
                }
                last.push((key, value));
            }
            _ => self.chunks.push_back(vec![(key, value)]),
        }
        self.len += 1;
    }

    /// Nothing more comes in order.
    pub(super) fn close(&mut self) {
        self.chunks.shrink_to_fit();
        if let Some(last) = self.chunks.back_mut() {
            last.shrink_to_fit();
        }
    }

    /// A chunk grows by few places at a time: most chunks are full, and those that are not shall not be half empty. One to
    /// whose end is added will soon be full.
    fn make_room(chunk: &mut Vec<(K, V)>, at_end: bool) {
        if chunk.len() == chunk.capacity() {
            let more = if at_end { chunk.len() } else { chunk.len() / 4 };
            chunk.reserve_exact(more.clamp(1, Self::CHUNK - chunk.len()));
        }
    }

    /// Gives what the key had before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (at, place) = match self.end_before(&key).map_or_else(|| self.find(&key), Err) {
            Ok((chunk, place)) => {
                self.near = (chunk, place);
                let known = self.chunks.get_mut(chunk)?.get_mut(place)?;
                return Some(std::mem::replace(&mut known.1, value));
            }
            Err(there) => there,
        };
        self.len += 1;
        self.near = (at, place);
        let last = at + 1 == self.chunks.len();
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push_back(vec![(key, value)]);
            return None;
        };
        if chunk.len() < Self::CHUNK {
            Self::make_room(chunk, last && place == chunk.len());
            chunk.insert(place, (key, value));
        } else if last && place == chunk.len() {
            // What grows at its end leaves full chunks behind.
            self.chunks.push_back(vec![(key, value)]);
            self.near = (at + 1, 0);
        } else {
            let mut upper = chunk.split_off(Self::CHUNK / 2);
            if place <= Self::CHUNK / 2 {
                chunk.insert(place, (key, value));
            } else {
                upper.insert(place - Self::CHUNK / 2, (key, value));
            }
            chunk.shrink_to_fit();
            self.chunks.insert(at + 1, upper);
        }
        None
    }

    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (at, place) = self.find(key).ok()?;
        self.near = (at, place);
        let chunk = self.chunks.get_mut(at)?;
        let (_, value) = chunk.remove(place);
        self.len -= 1;
        if chunk.is_empty() {
            self.chunks.remove(at);
        } else if chunk.len() < Self::CHUNK / 4 {
            self.mend(at);
        }
        Some(value)
    }

    /// Puts a chunk that has become small into the one before it, where both have room in one.
    fn mend(&mut self, at: usize) {
        let small = self.chunks.get(at).map_or(0, Vec::len);
        let Some(before) = at.checked_sub(1) else {
            return;
        };
        if self
            .chunks
            .get(before)
            .is_some_and(|it| it.len() + small <= Self::CHUNK / 2)
        {
            let small = self.chunks.remove(at);
            if let (Some(before), Some(mut small)) = (self.chunks.get_mut(before), small) {
                before.append(&mut small);
            }
        }
    }

    /// Takes entries that come behind all that are there; `false`, and nothing is taken, when they do not.
    pub(super) fn join(&mut self, behind: Self) -> bool {
        let last = self.chunks.back().and_then(|chunk| chunk.last());
        let first = behind.chunks.front().and_then(|chunk| chunk.first());
        if let (Some((last, _)), Some((first, _))) = (last, first)
            && last >= first
        {
            return false;
        }
        self.len += behind.len;
        self.chunks.extend(behind.chunks);
        true
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// In the order of the keys.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter {
            chunks: self.chunks.iter(),
            front: [].iter(),
            back: [].iter(),
        }
    }

    /// Those behind a key, in the order of the keys; all, where there is none.
    #[must_use]
    pub fn behind(&self, key: Option<&K>) -> Iter<'_, K, V> {
        let Some(key) = key else {
            return self.iter();
        };
        let (chunk, place) = match self.find(key) {
            Ok((chunk, place)) => (chunk, place + 1),
            Err(there) => there,
        };
        let mut chunks = self.chunks.range(chunk.min(self.chunks.len())..);
        let rest = chunks.next().and_then(|chunk| chunk.get(place..));
        Iter {
            chunks,
            front: rest.unwrap_or_default().iter(),
            back: [].iter(),
        }
    }

    /// Those from that place on, in the order of the keys: chunks before it are passed over whole.
    #[must_use]
    pub fn starting_at(&self, place: usize) -> Iter<'_, K, V> {
        let mut left = place;
        let mut chunks = self.chunks.iter();
        let front = chunks.find(|chunk| {
            let is_there = left < chunk.len();
            if !is_there {
                left -= chunk.len();
            }
            is_there
        });
        Iter {
            chunks,
            front: front
                .and_then(|chunk| chunk.get(left..))
                .unwrap_or_default()
                .iter(),
            back: [].iter(),
        }
    }

    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.chunks.iter_mut().flatten().map(|(_, value)| value)
    }
}

/// Keys alone, kept as those of a [`SortedMap`] are.
#[derive(Clone)]
pub struct SortedSet<K>(SortedMap<K, ()>);

impl<K> Default for SortedSet<K> {
    fn default() -> Self {
        Self(SortedMap::default())
    }
}

impl<K: Ord> SortedSet<K> {
    pub fn insert(&mut self, key: K) {
        self.0.insert(key, ());
    }

    pub fn remove(&mut self, key: &K) {
        self.0.remove(key);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn first(&self) -> Option<&K> {
        self.iter().next()
    }

    /// In their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.0.keys()
    }

    /// Those behind a key, in their order; all, where there is none.
    pub fn behind<'s>(&'s self, key: Option<&K>) -> impl Iterator<Item = &'s K> + use<'s, K> {
        self.0.behind(key).map(|(key, ())| key)
    }
}

impl<K: Ord> PartialEq for SortedSet<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K: Ord + fmt::Debug> fmt::Debug for SortedSet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The entries of a [`SortedMap`].
pub struct Iter<'m, K, V> {
    chunks: vec_deque::Iter<'m, Vec<(K, V)>>,
    front: std::slice::Iter<'m, (K, V)>,
    back: std::slice::Iter<'m, (K, V)>,
}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self {
            chunks: self.chunks.clone(),
            front: self.front.clone(),
            back: self.back.clone(),
        }
    }
}

impl<'m, K, V> Iterator for Iter<'m, K, V> {
    type Item = (&'m K, &'m V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.front.next() {
                return Some((key, value));
            }
            match self.chunks.next() {
                Some(chunk) => self.front = chunk.iter(),
                None => return self.back.next().map(|(key, value)| (key, value)),
            }
        }
    }
}

impl<K, V> DoubleEndedIterator for Iter<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.back.next_back() {
                return Some((key, value));
            }
            match self.chunks.next_back() {
                Some(chunk) => self.back = chunk.iter(),
                None => return self.front.next_back().map(|(key, value)| (key, value)),
            }
        }
    }
}

impl<'m, K: Ord, V> IntoIterator for &'m SortedMap<K, V> {
    type Item = (&'m K, &'m V);
    type IntoIter = Iter<'m, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        for (key, value) in entries {
            map.append(key, value);
        }
        map.close();
        map
    }
}

/// Of a key that is there.
impl<K: Ord, V> std::ops::Index<&K> for SortedMap<K, V> {
    type Output = V;

    #[expect(
        clippy::expect_used,
        reason = "as of any map: who indexes knows the key"
    )]
    fn index(&self, key: &K) -> &V {
        self.get(key).expect("no entry found for key")
    }
}

/// Equal when the entries are, however they lie.
impl<K: Ord, V: PartialEq> PartialEq for SortedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Ord + fmt::Debug, V: fmt::Debug> fmt::Debug for SortedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<K: Ord + Serialize, V: Serialize> Serialize for SortedMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for SortedMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);

        impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
            type Value = SortedMap<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut map = SortedMap::default();
                while let Some((key, value)) = entries.next_entry()? {
                    map.append(key, value);
                }
                map.close();
                Ok(map)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::ops::Bound;

    /// Puts in and takes out as a tree does, in an order that follows from `seed`.
    fn compared(seed: u64, steps: u32, keys: u64) {
        let mut dice = seed;
        let mut roll = |below: u64| {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % below
        };
        let (mut map, mut tree) = (SortedMap::default(), BTreeMap::new());
        for step in 0..steps {
            let key = roll(keys);
            if roll(3) > 0 {
                assert_eq!(map.insert(key, step), tree.insert(key, step));
            } else {
                assert_eq!(map.remove(&key), tree.remove(&key));
            }
            let key = roll(keys);
            assert_eq!(map.get(&key), tree.get(&key));
            let behind = (Bound::Excluded(key), Bound::Unbounded);
            let both = map.behind(Some(&key)).take(3).zip(tree.range(behind));
            assert!(both.clone().count() == tree.range(behind).take(3).count());
            assert!(both.into_iter().all(|(one, other)| one == other));
        }
        assert_eq!(map.len(), tree.len());
        assert!(map.iter().eq(tree.iter()));
        assert!(map.iter().rev().eq(tree.iter().rev()));
        let copied: SortedMap<u64, u32> = tree.iter().map(|(key, value)| (*key, *value)).collect();
        assert_eq!(map, copied);
        let bytes = rmp_serde::to_vec_named(&map).unwrap();
        assert_eq!(bytes, rmp_serde::to_vec_named(&tree).unwrap());
        let read: SortedMap<u64, u32> = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(read, map);
        for key in 0..keys {
            assert_eq!(map.remove(&key), tree.remove(&key));
        }
        assert!(map.is_empty() && map.chunks.is_empty());
    }

    #[test]
    fn it_is_what_a_tree_is() {
        for (seed, keys) in [(1, 5), (2, 300), (3, 5_000), (4, 100_000)] {
            compared(seed, 8_000, keys);
        }
    }

    #[test]
    fn a_full_chunk_fills_what_allocators_give() {
        for size in 1..200 {
            let (bytes, step) = (places(size) * size, (128 * size).next_power_of_two() / 8);
            assert!(places(size) >= 128 && places(size) <= 160, "{size}");
            assert!(
                (bytes + size - 1) / step > (bytes - 1) / step || bytes % step == 0,
                "{size}"
            );
        }
        assert_eq!([0, 16, 36, 88].map(places), [128, 128, 142, 139]);
    }

    #[test]
    fn what_is_collected_out_of_order_lies_in_order() {
        let keys = [5, 1, 9, 9, 300, 7];
        let many = (0..2_000).rev().chain(keys).chain(1_990..2_300);
        let map: SortedMap<u64, u64> = many.clone().map(|key| (key, key)).collect();
        let tree: BTreeMap<u64, u64> = many.map(|key| (key, key)).collect();
        assert!(map.iter().eq(tree.iter()));
        assert_eq!(map.len(), tree.len());
    }

    #[test]
    fn a_page_begins_at_any_place() {
        let map: SortedMap<u64, u64> = (0..1_000).rev().map(|key| (key, key)).collect();
        for place in [0, 1, 127, 128, 129, 500, 999, 1_000, 5_000] {
            let told: Vec<u64> = map.starting_at(place).take(300).map(|it| *it.0).collect();
            let place = place as u64;
            let expected: Vec<u64> = (place..1_000.min(place + 300)).collect();
            assert_eq!(told, expected, "{place}");
        }
        let none = SortedMap::<u64, u64>::default();
        assert!(none.starting_at(0).next().is_none());
    }

    #[test]
    fn what_is_added_in_order_leaves_no_room_unused() {
        let map: SortedMap<u64, u64> = (0..10_000).map(|key| (key, key)).collect();
        let places: usize = map.chunks.iter().map(Vec::capacity).sum();
        let chunk = SortedMap::<u64, u64>::CHUNK;
        assert!(places < 10_000 + 2 * chunk, "{places}");
        let mut both = map.iter();
        assert_eq!(both.next().map(|it| *it.0), Some(0));
        assert_eq!(both.next_back().map(|it| *it.0), Some(9_999));
        assert_eq!(both.count(), 9_998);
    }
}
