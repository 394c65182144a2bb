//! Which resources have which kind and metadata: what a selector over all of them is answered from. A cache, made anew
//! from the state and kept by every fact that changes a resource.

mod gathered;

pub(crate) use gathered::Gathered;

use crate::state::{PackedResource, SortedMap};
use roaring::RoaringBitmap;
use stagegate_expressions::cel::{Program, Requirement, Test};
use stagegate_model::{Resource, ResourceId};
use std::collections::BTreeMap;
use std::ops::Bound;

/// The index. Resources have small numbers in it, which are given again when one is deleted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ResourceIndex {
    numbers: SortedMap<ResourceId, u32>,
    ids: Vec<Option<ResourceId>>,
    unused: Vec<u32>,
    kinds: Values,
    metadata: BTreeMap<Box<str>, Values>,
    /// It is made once all resources are there; until then nothing is known.
    is_put_off: bool,
}

/// By value, who has it.
type Values = BTreeMap<Box<str>, Holders>;

/// Many values are held by one resource alone.
#[derive(Clone, Debug, PartialEq)]
enum Holders {
    One(u32),
    Many(Box<RoaringBitmap>),
}

/// What is indexed of a resource.
pub(crate) struct Seen<'r> {
    id: ResourceId,
    kind: &'r str,
    /// In the order of the keys.
    pairs: Vec<(&'r str, &'r str)>,
}

impl<'r> From<&'r Resource> for Seen<'r> {
    fn from(resource: &'r Resource) -> Self {
        let pairs = resource.metadata.iter();
        Self {
            id: resource.id,
            kind: &resource.kind,
            pairs: pairs
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect(),
        }
    }
}

impl<'r> From<&'r PackedResource> for Seen<'r> {
    fn from(resource: &'r PackedResource) -> Self {
        Self {
            id: resource.id,
            kind: resource.kind(),
            pairs: resource.pairs().collect(),
        }
    }
}

impl Seen<'_> {
    fn has(&self, pair: (&str, &str)) -> bool {
        self.pairs.binary_search(&pair).is_ok()
    }
}

impl ResourceIndex {
    /// One that is not kept while a log is read: of it nothing is asked but by who decides.
    pub fn put_off() -> Self {
        Self {
            is_put_off: true,
            ..Self::default()
        }
    }

    pub fn is_put_off(&self) -> bool {
        self.is_put_off
    }

    /// A resource is created, or is no longer what it was `before`.
    pub fn put(&mut self, before: Option<&Seen<'_>>, resource: &Seen<'_>) {
        if self.is_put_off {
            return;
        }
        let number = self.number_of(resource.id);
        let before = before.filter(|it| it.id == resource.id);
        if before.is_none_or(|before| before.kind != resource.kind) {
            if let Some(before) = before {
                take(&mut self.kinds, before.kind, number);
            }
            give(&mut self.kinds, resource.kind, number);
        }
        for (key, value) in before
            .iter()
            .flat_map(|before| before.pairs.iter().copied())
        {
            if !resource.has((key, value)) {
                self.take_pair(key, value, number);
            }
        }
        for (key, value) in resource.pairs.iter().copied() {
            if before.is_some_and(|before| before.has((key, value))) {
                continue;
            }
            match self.metadata.get_mut(key) {
                Some(values) => give(values, value, number),
                None => {
                    let values = self.metadata.entry(key.into()).or_default();
                    give(values, value, number);
                }
            }
        }
    }

    /// A resource is deleted.
    pub fn remove(&mut self, resource: &Seen<'_>) {
        let Some(number) = self.numbers.remove(&resource.id) else {
            return;
        };
        take(&mut self.kinds, resource.kind, number);
        for (key, value) in resource.pairs.iter().copied() {
            self.take_pair(key, value, number);
        }
        if let Some(id) = self.ids.get_mut(number as usize) {
            *id = None;
        }
        self.unused.push(number);
    }

    fn take_pair(&mut self, key: &str, value: &str, number: u32) {
        if let Some(values) = self.metadata.get_mut(key) {
            take(values, value, number);
            if values.is_empty() {
                self.metadata.remove(key);
            }
        }
    }

    fn number_of(&mut self, id: ResourceId) -> u32 {
        if let Some(number) = self.numbers.get(&id) {
            return *number;
        }
        let number = self.unused.pop().unwrap_or_else(|| {
            self.ids.push(None);
            u32::try_from(self.ids.len() - 1).unwrap_or(u32::MAX)
        });
        self.ids[number as usize] = Some(id);
        self.numbers.insert(id, number);
        number
    }

    /// The resources that selectors over them may take, in the order of their ids: all that they take are among them.
    /// `None` when the selectors say nothing that is indexed.
    pub fn candidates(&self, selectors: &[&Program]) -> Option<Vec<ResourceId>> {
        if self.is_put_off {
            return None;
        }
        let mut found: Option<RoaringBitmap> = None;
        for selector in selectors {
            for requirement in selector.requirements() {
                let Some(holders) = self.holders(&requirement) else {
                    continue;
                };
                found = Some(match found {
                    Some(found) => found & holders,
                    None => holders,
                });
            }
        }
        let ids = |number: u32| self.ids.get(number as usize).copied().flatten();
        let mut found: Vec<ResourceId> = found?.into_iter().filter_map(ids).collect();
        found.sort_unstable();
        Some(found)
    }

    /// Who meets a requirement; `None` when that is not indexed.
    fn holders(&self, requirement: &Requirement) -> Option<RoaringBitmap> {
        let steps: Vec<&str> = requirement.steps.iter().map(String::as_str).collect();
        let values = match steps.as_slice() {
            ["resource", "kind"] => Some(&self.kinds),
            // Nobody has a key that is not there.
            ["resource", "metadata", key] => self.metadata.get(*key),
            _ => return None,
        };
        let mut holders = RoaringBitmap::new();
        let Some(values) = values else {
            return Some(holders);
        };
        match &requirement.test {
            Test::OneOf(wanted) => {
                for value in wanted {
                    if let Some(having) = values.get(value.as_str()) {
                        having.add_to(&mut holders);
                    }
                }
            }
            Test::StartsWith(prefix) => {
                let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
                let starting = values.range::<str, _>(from);
                for (_, having) in starting.take_while(|(value, _)| value.starts_with(prefix)) {
                    having.add_to(&mut holders);
                }
            }
        }
        Some(holders)
    }
}

impl Holders {
    fn add_to(&self, all: &mut RoaringBitmap) {
        match self {
            Self::One(number) => {
                all.insert(*number);
            }
            Self::Many(numbers) => *all |= &**numbers,
        }
    }
}

fn give(values: &mut Values, value: &str, number: u32) {
    match values.get_mut(value) {
        None => {
            values.insert(value.into(), Holders::One(number));
        }
        Some(Holders::Many(numbers)) => {
            numbers.insert(number);
        }
        Some(one) => {
            if let Holders::One(first) = *one
                && first != number
            {
                *one = Holders::Many(Box::new(RoaringBitmap::from_iter([first, number])));
            }
        }
    }
}

fn take(values: &mut Values, value: &str, number: u32) {
    let gone = match values.get_mut(value) {
        None => false,
        Some(Holders::One(holder)) => *holder == number,
        Some(Holders::Many(numbers)) => {
            numbers.remove(number);
            numbers.is_empty()
        }
    };
    if gone {
        values.remove(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expressions::check_resource_selector;
    use stagegate_model::Timestamp;
    use uuid::Uuid;

    fn resource(number: u128, kind: &str, pairs: &[(&str, &str)]) -> Resource {
        let pairs = pairs.iter();
        Resource {
            id: Uuid::from_u128(number).into(),
            name: String::new(),
            identifier: String::new(),
            kind: kind.to_owned(),
            version: String::new(),
            metadata: pairs
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            config: serde_json::Value::Null,
            created_at: Timestamp(0),
            updated_at: None,
        }
    }

    fn found(index: &ResourceIndex, selector: &str) -> Option<Vec<u128>> {
        let program = check_resource_selector(selector, "selector").unwrap();
        let found = index.candidates(&[&program]);
        found.map(|ids| ids.into_iter().map(|id| id.0.as_u128()).collect())
    }

    #[test]
    fn candidates_are_those_that_meet_what_is_indexed() {
        let all = [
            resource(3, "Host", &[("env", "prod"), ("zone", "eu-1")]),
            resource(1, "Host", &[("env", "prod"), ("zone", "us-1")]),
            resource(2, "Host", &[("env", "test"), ("zone", "eu-2")]),
            resource(4, "Cluster", &[]),
        ];
        let mut gathered = Gathered::default();
        let mut index = ResourceIndex::default();
        for resource in &all {
            gathered.add(&resource.into());
            index.put(None, &resource.into());
        }
        assert_eq!(gathered.index(), index);
        let mut put_off = ResourceIndex::put_off();
        put_off.put(None, &(&all[0]).into());
        assert_eq!(found(&put_off, "resource.kind == \"Host\""), None);
        let expect = [
            ("resource.metadata[\"env\"] == \"prod\"", Some(vec![1, 3])),
            (
                "\"prod\" == resource.metadata.env && resource.kind == \"Host\"",
                Some(vec![1, 3]),
            ),
            (
                "resource.metadata.zone.startsWith(\"eu-\")",
                Some(vec![2, 3]),
            ),
            (
                "resource.metadata.env in [\"test\", \"prod\"] && resource.metadata.zone == \"us-1\"",
                Some(vec![1]),
            ),
            (
                "resource.kind == \"Cluster\" && size(resource.name) == 0",
                Some(vec![4]),
            ),
            ("resource.metadata.nowhere == \"x\"", Some(vec![])),
            ("resource.kind == \"Nothing\"", Some(vec![])),
            // What is not indexed is looked at one by one.
            ("resource.name == \"x\"", None),
            (
                "resource.kind == \"Host\" || resource.kind == \"Cluster\"",
                None,
            ),
            ("!(resource.kind == \"Host\")", None),
            ("true", None),
        ];
        for (selector, ids) in expect {
            assert_eq!(found(&index, selector), ids, "{selector}");
        }
        // One moves, one goes, one comes and takes its number.
        let moved = resource(1, "Host", &[("env", "test"), ("rack", "r1")]);
        index.put(Some(&(&all[1]).into()), &(&moved).into());
        index.remove(&(&all[0]).into());
        index.put(None, &(&resource(9, "Host", &[("env", "prod")])).into());
        assert_eq!(
            found(&index, "resource.metadata.env == \"prod\""),
            Some(vec![9])
        );
        assert_eq!(
            found(&index, "resource.metadata.env == \"test\""),
            Some(vec![1, 2])
        );
        assert_eq!(
            found(&index, "resource.metadata.zone == \"us-1\""),
            Some(vec![])
        );
        assert_eq!(
            found(&index, "resource.metadata.rack == \"r1\""),
            Some(vec![1])
        );
    }
}
