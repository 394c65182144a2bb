//! The targets of a lane as a fleet of them is kept: those at rest in few bytes, with what many have in common kept once.

mod rows;
#[cfg(test)]
mod tests;

use super::ended::Kept;
use super::moment::Moment;
use super::parts::in_blocks;
use super::shared::Shared;
use super::sorted::{self, SortedMap};
use super::target::{Good, Seen, Target, TargetView};
use stagegate_model::{
    JobId, PromotionId, ReleaseId, ResourceId, StartKind, Timestamp, VersionId, VersionOrder,
};
use std::fmt;
use std::sync::Arc;

pub use rows::TargetsPart;

/// The targets of a lane, in the order of their resources.
#[derive(Clone, Default)]
pub struct Targets {
    slots: SortedMap<ResourceId, Slot>,
    shapes: Shared<Shape>,
}

/// A target. Each is kept in the first of these ways in which it can be, so that equal ones are kept alike.
#[derive(Clone, Debug, PartialEq)]
enum Slot {
    Fresh(Fresh),
    Idle(Idle),
    Whole(Box<Target>),
}

/// One that never had a release since it joined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fresh {
    pub joined_at: Timestamp,
    pub number: u64,
    pub before: Option<VersionId>,
}

/// One whose latest release is the last that succeeded and has left memory, with nothing under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Idle {
    pub shape: Arc<Shape>,
    pub release: ReleaseId,
    job: JobId,
    fingerprint: u64,
    /// The good releases before; their versions are those of the shape.
    earlier: Option<Box<Box<[Earlier]>>>,
    pub number: Number,
    pub joined_at: Moment,
    ended_at: Moment,
    /// Whether the release had variables.
    variables: bool,
}

/// An earlier good release, without its version.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Earlier {
    release: ReleaseId,
    number: Number,
}

/// The number of a release, where it is no larger than most are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number([u8; 3]);

impl Number {
    fn of(number: u64) -> Option<Self> {
        let [a, b, c, 0, 0, 0, 0, 0] = number.to_le_bytes() else {
            return None;
        };
        Some(Self([a, b, c]))
    }

    pub fn get(self) -> u64 {
        let [a, b, c] = self.0;
        u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0])
    }
}

/// What many targets at rest have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub latest_order: Option<VersionOrder>,
    pub floor: Option<VersionOrder>,
    promotion: PromotionId,
    /// That of the release.
    version: VersionId,
    kind: StartKind,
    pub deployed: Option<VersionId>,
    pub before: Option<VersionId>,
    /// Those of the good releases before, oldest first.
    earlier: Box<[VersionId]>,
}

impl Idle {
    /// The target so, if it is at rest.
    fn of(target: &Target, shapes: &mut Shared<Shape>) -> Option<Self> {
        let release = target.current?;
        let busy = target.active.is_some() || target.block.is_some() || target.leaving;
        if busy || target.latest != Some(release) || target.brought != Some(release) {
            return None;
        }
        let kept = target.kept.as_deref()?;
        let (last, earlier) = target.good.split_last()?;
        let good = Good {
            release,
            number: target.number,
            version: kept.version,
        };
        if *last != good || kept.number != target.number || kept.undone {
            return None;
        }
        let before = earlier.iter().map(|good| {
            Some(Earlier {
                release: good.release,
                number: Number::of(good.number)?,
            })
        });
        let before = before.collect::<Option<Box<[Earlier]>>>()?;
        let number = Number::of(target.number)?;
        let joined_at = Moment::exactly(target.joined_at)?;
        let ended_at = Moment::exactly(kept.ended_at)?;
        let shape = Shape {
            latest_order: target.latest_order,
            floor: target.floor,
            promotion: kept.promotion,
            version: kept.version,
            kind: kept.kind,
            deployed: target.deployed,
            before: target.before,
            earlier: earlier.iter().map(|good| good.version).collect(),
        };
        Some(Self {
            shape: shapes.share(shape),
            release,
            job: kept.job,
            fingerprint: kept.fingerprint,
            earlier: (!before.is_empty()).then(|| Box::new(before)),
            number,
            joined_at,
            ended_at,
            variables: kept.variables,
        })
    }

    fn earlier(&self) -> &[Earlier] {
        self.earlier.as_ref().map_or(&[], |earlier| earlier)
    }

    /// Oldest first.
    pub fn good(&self) -> impl DoubleEndedIterator<Item = Good> {
        let earlier = self.earlier().iter().zip(&self.shape.earlier);
        let earlier = earlier.map(|(good, version)| Good {
            release: good.release,
            number: good.number.get(),
            version: *version,
        });
        let last = Good {
            release: self.release,
            number: self.number.get(),
            version: self.shape.version,
        };
        earlier.chain([last])
    }

    pub fn kept(&self) -> Kept {
        Kept {
            number: self.number.get(),
            version: self.shape.version,
            promotion: self.shape.promotion,
            job: self.job,
            kind: self.shape.kind,
            ended_at: self.ended_at.at(),
            undone: false,
            variables: self.variables,
            fingerprint: self.fingerprint,
        }
    }

    fn whole(&self) -> Target {
        Target {
            latest: Some(self.release),
            latest_order: self.shape.latest_order,
            floor: self.shape.floor,
            good: self.good().collect(),
            current: Some(self.release),
            kept: Some(Box::new(self.kept())),
            deployed: self.shape.deployed,
            brought: Some(self.release),
            ..Target::new(self.joined_at.at(), self.number.get(), self.shape.before)
        }
    }
}

impl Fresh {
    /// The target so, if it never had a release and nothing else is to be said of it.
    fn of(target: &Target) -> Option<Self> {
        let Target {
            joined_at,
            number,
            latest: None,
            latest_order: None,
            floor: None,
            good,
            current: None,
            kept: None,
            deployed: None,
            before,
            brought: None,
            active: None,
            block: None,
            leaving: false,
        } = target
        else {
            return None;
        };
        good.is_empty().then_some(Self {
            joined_at: *joined_at,
            number: *number,
            before: *before,
        })
    }

    fn whole(&self) -> Target {
        Target::new(self.joined_at, self.number, self.before)
    }
}

impl Slot {
    fn of(target: Box<Target>, shapes: &mut Shared<Shape>) -> Self {
        match Self::at_rest(&target, shapes) {
            Some(slot) => slot,
            None => Self::Whole(target),
        }
    }

    fn at_rest(target: &Target, shapes: &mut Shared<Shape>) -> Option<Self> {
        if let Some(fresh) = Fresh::of(target) {
            return Some(Self::Fresh(fresh));
        }
        Some(Self::Idle(Idle::of(target, shapes)?))
    }

    fn whole(&self) -> Target {
        match self {
            Self::Fresh(it) => it.whole(),
            Self::Idle(it) => it.whole(),
            Self::Whole(it) => Target::clone(it),
        }
    }

    fn view(&self) -> TargetView<'_> {
        TargetView(match self {
            Self::Fresh(it) => Seen::Fresh(it),
            Self::Idle(it) => Seen::Idle(it),
            Self::Whole(it) => Seen::Whole(it),
        })
    }
}

impl Targets {
    #[must_use]
    pub fn get(&self, resource: &ResourceId) -> Option<TargetView<'_>> {
        self.slots.get(resource).map(Slot::view)
    }

    #[must_use]
    pub fn contains_key(&self, resource: &ResourceId) -> bool {
        self.slots.contains_key(resource)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// In the order of the resources.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.slots.iter())
    }

    /// Those behind a resource, in the order of the resources; all, where there is none.
    #[must_use]
    pub fn behind(&self, resource: Option<&ResourceId>) -> Iter<'_> {
        Iter(self.slots.behind(resource))
    }

    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &ResourceId> + Clone {
        self.slots.keys()
    }

    pub fn values(&self) -> impl DoubleEndedIterator<Item = TargetView<'_>> + Clone {
        self.slots.values().map(Slot::view)
    }

    /// All of them, in parts.
    pub(super) fn parts(&self) -> impl Iterator<Item = TargetsPart<'_>> {
        in_blocks(self.slots.iter()).map(TargetsPart)
    }

    /// Takes those that come behind all that are there; `false` when they do not.
    pub(super) fn join(&mut self, mut behind: Self) -> bool {
        // What follows each other mostly has the same shape.
        let mut last: Option<(Arc<Shape>, Arc<Shape>)> = None;
        for slot in behind.slots.values_mut() {
            let Slot::Idle(Idle { shape, .. }) = slot else {
                continue;
            };
            let known = last.as_ref().filter(|(read, _)| Arc::ptr_eq(read, shape));
            let shared = match known {
                Some((_, shared)) => Arc::clone(shared),
                None => self.shapes.share(Arc::clone(shape)),
            };
            let read = std::mem::replace(shape, Arc::clone(&shared));
            last = Some((read, shared));
        }
        self.slots.join(behind.slots)
    }

    /// Changes a target; gives what `look` sees before and after.
    pub(super) fn change<T, L>(
        &mut self,
        resource: ResourceId,
        look: impl Fn(TargetView<'_>) -> L,
        change: impl FnOnce(&mut Target) -> T,
    ) -> Option<(L, T, L)> {
        let slot = self.slots.get_mut(&resource)?;
        let before = look(slot.view());
        let changed = if let Slot::Whole(target) = slot {
            let changed = change(target);
            if let Some(rest) = Slot::at_rest(target, &mut self.shapes) {
                *slot = rest;
            }
            changed
        } else {
            let mut target = Box::new(slot.whole());
            let changed = change(&mut target);
            *slot = Slot::of(target, &mut self.shapes);
            changed
        };
        Some((before, changed, look(slot.view())))
    }

    pub(super) fn insert(&mut self, resource: ResourceId, target: Target) {
        let slot = match Slot::at_rest(&target, &mut self.shapes) {
            Some(slot) => slot,
            None => Slot::Whole(Box::new(target)),
        };
        self.slots.insert(resource, slot);
    }

    pub(super) fn remove(&mut self, resource: ResourceId) -> Option<Target> {
        self.slots.remove(&resource).map(|slot| match slot {
            Slot::Whole(target) => *target,
            rest => rest.whole(),
        })
    }
}

/// The targets of a lane, each with its resource.
#[derive(Clone)]
pub struct Iter<'t>(sorted::Iter<'t, ResourceId, Slot>);

impl<'t> Iterator for Iter<'t> {
    type Item = (&'t ResourceId, TargetView<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        let (resource, slot) = self.0.next()?;
        Some((resource, slot.view()))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (resource, slot) = self.0.next_back()?;
        Some((resource, slot.view()))
    }
}

impl<'t> IntoIterator for &'t Targets {
    type Item = (&'t ResourceId, TargetView<'t>);
    type IntoIter = Iter<'t>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Equal when the targets are; shapes follow from them.
impl PartialEq for Targets {
    fn eq(&self, other: &Self) -> bool {
        self.slots == other.slots
    }
}

/// What there is, not how it is kept.
impl fmt::Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wholes = self.slots.iter().map(|(id, slot)| (id, slot.whole()));
        f.debug_map().entries(wholes).finish()
    }
}
