//! Reading enums whose variants are told apart by a member `type` that stands first.
//!
//! The rest of the object is read as it comes. Where the member stands elsewhere, the members before it are kept until it
//! is found.

use serde::de::value::{MapDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, EnumAccess, Error, MapAccess, VariantAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

const TAG: &str = "type";

/// Reads an object as the variant that its tag names.
pub(crate) struct Tagged<D>(pub D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Tagged<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Object(visitor))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Hands the members of an object on to those who want an enum.
struct Object<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Object<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an object with a member `{TAG}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<V::Value, A::Error> {
        let mut before: Vec<(String, Value)> = Vec::new();
        while let Some(key) = members.next_key::<Cow<'de, str>>()? {
            if key != TAG {
                before.push((key.into_owned(), members.next_value()?));
                continue;
            }
            let tag = members.next_value()?;
            if before.is_empty() {
                return self.0.visit_enum(Variant { tag, members });
            }
            while let Some(member) = members.next_entry()? {
                before.push(member);
            }
            let members = MapDeserializer::new(before.into_iter());
            let variant = Variant { tag, members };
            let read: Result<V::Value, serde_json::Error> = self.0.visit_enum(variant);
            return read.map_err(A::Error::custom);
        }
        Err(A::Error::missing_field(TAG))
    }
}

/// A variant by its name, and its members.
struct Variant<A> {
    tag: String,
    members: A,
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Variant<A> {
    type Error = A::Error;
    type Variant = Members<A>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Members<A>), A::Error> {
        let name = StringDeserializer::new(self.tag);
        Ok((seed.deserialize(name)?, Members(self.members)))
    }
}

/// The members of a variant.
struct Members<A>(A);

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Members<A> {
    type Error = A::Error;

    fn unit_variant(mut self) -> Result<(), A::Error> {
        while self
            .0
            .next_entry::<Cow<'de, str>, serde::de::IgnoredAny>()?
            .is_some()
        {}
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, A::Error> {
        Err(A::Error::custom("a tagged variant has named members"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("a tagged variant has named members"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Fact, JobId, ReleaseId, ReleaseStatus};
    use serde_json::json;

    fn ended() -> Fact {
        Fact::ReleaseEnded {
            id: ReleaseId(uuid::Uuid::from_u128(1)),
            job: JobId(uuid::Uuid::from_u128(2)),
            status: ReleaseStatus::Failed,
            reason: "it \"broke\"".to_owned(),
        }
    }

    #[test]
    fn a_fact_is_read_wherever_its_type_stands() {
        let written = serde_json::to_string(&ended()).unwrap();
        assert!(
            written.starts_with(r#"{"type":"releaseEnded","id":"#),
            "{written}"
        );
        assert_eq!(serde_json::from_str::<Fact>(&written).unwrap(), ended());
        let value = serde_json::to_value(ended()).unwrap();
        assert_eq!(serde_json::from_value::<Fact>(value).unwrap(), ended());
        let last = written.replacen(r#""type":"releaseEnded","#, "", 1);
        let last = last.replace('}', r#","type":"releaseEnded"}"#);
        assert_eq!(serde_json::from_str::<Fact>(&last).unwrap(), ended());
    }

    #[test]
    fn what_is_no_fact_is_refused_with_what_is_wrong() {
        let refused = |value| {
            serde_json::from_value::<Fact>(value)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(refused(json!({"id": 1})), "missing field `type`");
        let unknown = refused(json!({"type": "somethingElse"}));
        assert!(
            unknown.starts_with("unknown variant `somethingElse`"),
            "{unknown}"
        );
        let missing = refused(json!({"type": "keyRevoked"}));
        assert_eq!(missing, "missing field `id`");
        let none = refused(json!("keyRevoked"));
        assert!(none.contains("an object with a member `type`"), "{none}");
    }
}
