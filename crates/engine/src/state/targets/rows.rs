//! Targets in a snapshot: what many have in common once, then each in its place. What is read is not trusted.

use super::{Earlier, Fresh, Idle, Number, Shape, Slot, Targets};
use crate::state::moment::Moment;
use crate::state::shared::Shared;
use crate::state::{SortedMap, Target};
use serde::de::{DeserializeSeed, Error, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, SerializeTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use stagegate_model::{
    JobId, PromotionId, ReleaseId, ResourceId, StartKind, Timestamp, VersionId, VersionOrder,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// A shape in a snapshot: its members in their order, without their names.
#[derive(Serialize, Deserialize)]
struct ShapeRow(
    Option<VersionOrder>,
    Option<VersionOrder>,
    PromotionId,
    VersionId,
    StartKind,
    Option<VersionId>,
    Option<VersionId>,
    Vec<VersionId>,
);

impl From<&Shape> for ShapeRow {
    fn from(it: &Shape) -> Self {
        Self(
            it.latest_order,
            it.floor,
            it.promotion,
            it.version,
            it.kind,
            it.deployed,
            it.before,
            it.earlier.to_vec(),
        )
    }
}

impl From<ShapeRow> for Shape {
    fn from(row: ShapeRow) -> Self {
        let ShapeRow(latest_order, floor, promotion, version, kind, deployed, before, earlier) =
            row;
        Self {
            latest_order,
            floor,
            promotion,
            version,
            kind,
            deployed,
            before,
            earlier: earlier.into(),
        }
    }
}

/// A target in a snapshot, after its resource.
#[derive(Serialize, Deserialize)]
enum Row<T> {
    /// When it joined, its number, what was there before.
    #[serde(rename = "f")]
    Fresh(Timestamp, u64, Option<VersionId>),
    #[serde(rename = "i")]
    Idle(IdleRow),
    #[serde(rename = "w")]
    Whole(T),
}

/// The place of its shape; release, job, number; when it joined and the release ended; fingerprint, whether there were
/// variables; the good releases before.
#[derive(Serialize, Deserialize)]
struct IdleRow(
    u32,
    ReleaseId,
    JobId,
    u64,
    Timestamp,
    Timestamp,
    u64,
    bool,
    Vec<(ReleaseId, u64)>,
);

impl IdleRow {
    fn of(it: &Idle, shape: u32) -> Self {
        let earlier = it.earlier().iter();
        Self(
            shape,
            it.release,
            it.job,
            it.number.get(),
            it.joined_at.at(),
            it.ended_at.at(),
            it.fingerprint,
            it.variables,
            earlier.map(|it| (it.release, it.number.get())).collect(),
        )
    }

    /// `None` where it makes no sense.
    fn read(self, shapes: &[Arc<Shape>]) -> Option<Idle> {
        let Self(shape, release, job, number, joined_at, ended_at, fingerprint, variables, earlier) =
            self;
        let shape = shapes.get(usize::try_from(shape).ok()?)?;
        if earlier.len() != shape.earlier.len() {
            return None;
        }
        let earlier = earlier.into_iter().map(|(release, number)| {
            Some(Earlier {
                release,
                number: Number::of(number)?,
            })
        });
        let earlier = earlier.collect::<Option<Box<[Earlier]>>>()?;
        Some(Idle {
            shape: Arc::clone(shape),
            release,
            job,
            fingerprint,
            earlier: (!earlier.is_empty()).then(|| Box::new(earlier)),
            number: Number::of(number)?,
            joined_at: Moment::exactly(joined_at)?,
            ended_at: Moment::exactly(ended_at)?,
            variables,
        })
    }
}

/// Targets that follow each other, with the shapes that they have.
pub struct TargetsPart<'t>(pub(super) Vec<(&'t ResourceId, &'t Slot)>);

impl Serialize for TargetsPart<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let used = self.0.iter().filter_map(|(_, slot)| match slot {
            Slot::Idle(idle) => Some(&*idle.shape),
            Slot::Fresh(_) | Slot::Whole(_) => None,
        });
        let used: BTreeSet<&Shape> = used.collect();
        let shapes: Vec<ShapeRow> = used.iter().map(|shape| ShapeRow::from(*shape)).collect();
        let places: BTreeMap<&Shape, u32> = used.into_iter().zip(0..).collect();
        let mut parts = serializer.serialize_tuple(2)?;
        parts.serialize_element(&shapes)?;
        parts.serialize_element(&Rows {
            slots: &self.0,
            places,
        })?;
        parts.end()
    }
}

struct Rows<'t> {
    slots: &'t [(&'t ResourceId, &'t Slot)],
    places: BTreeMap<&'t Shape, u32>,
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.slots.len()))?;
        // What follows each other mostly has the same shape.
        let mut last: Option<(&Arc<Shape>, u32)> = None;
        for (resource, slot) in self.slots {
            let row = match slot {
                Slot::Fresh(it) => Row::Fresh(it.joined_at, it.number, it.before),
                Slot::Whole(it) => Row::Whole(&**it),
                Slot::Idle(it) => {
                    let known = last.filter(|(shape, _)| Arc::ptr_eq(shape, &it.shape));
                    let place = known.map(|(_, place)| place);
                    let place = place.or_else(|| self.places.get(&*it.shape).copied());
                    let place = place.unwrap_or(u32::MAX);
                    last = Some((&it.shape, place));
                    Row::Idle(IdleRow::of(it, place))
                }
            };
            rows.serialize_element(&(resource, row))?;
        }
        rows.end()
    }
}

impl<'de> Deserialize<'de> for Targets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;

        impl<'de> Visitor<'de> for Parts {
            type Value = Targets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("shapes and targets")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Targets, A::Error> {
                let rows: Option<Vec<ShapeRow>> = parts.next_element()?;
                let rows = rows.ok_or_else(|| Error::invalid_length(0, &self))?;
                let mut shared = Shared::default();
                let shapes = rows.into_iter().map(|row| shared.share(Shape::from(row)));
                let shapes: Vec<Arc<Shape>> = shapes.collect();
                let targets = parts.next_element_seed(RowsOf { shapes, shared })?;
                targets.ok_or_else(|| Error::invalid_length(1, &self))
            }
        }

        deserializer.deserialize_tuple(2, Parts)
    }
}

/// Reads targets of these shapes.
struct RowsOf {
    shapes: Vec<Arc<Shape>>,
    shared: Shared<Shape>,
}

impl<'de> DeserializeSeed<'de> for RowsOf {
    type Value = Targets;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Targets, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowsOf {
    type Value = Targets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("targets")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut rows: A) -> Result<Targets, A::Error> {
        let mut slots = SortedMap::default();
        let mut last = None;
        while let Some((resource, row)) = rows.next_element::<(ResourceId, Row<Box<Target>>)>()? {
            let ill = || Error::custom(format_args!("the target on {resource} makes no sense"));
            if last.replace(resource) >= Some(resource) {
                return Err(ill());
            }
            let slot = match row {
                Row::Fresh(joined_at, number, before) => Slot::Fresh(Fresh {
                    joined_at,
                    number,
                    before,
                }),
                Row::Idle(row) => Slot::Idle(row.read(&self.shapes).ok_or_else(ill)?),
                Row::Whole(target) => Slot::of(target, &mut self.shared),
            };
            slots.append(resource, slot);
        }
        slots.close();
        Ok(Targets {
            slots,
            shapes: self.shared,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id<T: From<Uuid>>(number: u128) -> T {
        Uuid::from_u128(number).into()
    }

    #[test]
    fn a_row_that_makes_no_sense_is_refused() {
        let shape = || {
            ShapeRow(
                None,
                None,
                id(3),
                id(2),
                StartKind::Forward,
                None,
                None,
                vec![],
            )
        };
        let row = |place, number, earlier| {
            let at = Timestamp(9);
            let row = IdleRow(place, id(1), id(4), number, at, at, 5, true, earlier);
            Row::<Target>::Idle(row)
        };
        let read = |rows: Vec<(ResourceId, Row<Target>)>| {
            let bytes = rmp_serde::to_vec_named(&(vec![shape()], rows)).unwrap();
            rmp_serde::from_slice::<Targets>(&bytes).map(|it| it.len())
        };
        assert_eq!(read(vec![(id(1), row(0, 1, vec![]))]).unwrap(), 1);
        for ill in [
            row(1, 1, vec![]),
            row(0, 1 << 24, vec![]),
            row(0, 1, vec![(id(9), 0)]),
        ] {
            let told = read(vec![(id(1), ill)]).unwrap_err().to_string();
            assert!(told.contains("makes no sense"), "{told}");
        }
        for second in [1, 2] {
            let rows = vec![(id(2), row(0, 1, vec![])), (id(second), row(0, 1, vec![]))];
            assert!(read(rows).is_err());
        }
    }
}
