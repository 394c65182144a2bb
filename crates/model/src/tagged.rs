//! Enums that say in their body what they are, read in one pass.
//!
//! Serde keeps the whole body of such an enum in memory until it knows the variant, then reads it again from there; a
//! log consists of nothing else. We write the tag first, so what follows it can be read as it comes.

use serde::Deserializer;
use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{
    DeserializeSeed, EnumAccess, Error, IgnoredAny, IntoDeserializer, MapAccess, VariantAccess,
    Visitor,
};
use serde_json::{Map, Value};

/// The field that says which variant it is.
pub(crate) const TAG: &str = "type";

/// A body behind its tag, as serde reads an enum whose tag stands outside.
pub(crate) struct AfterTagOf<A> {
    pub tag: String,
    pub map: A,
}

/// A body whose tag does not come first; `first` is the key that does.
pub(crate) fn sorted_out<'de, A: MapAccess<'de>>(
    first: Option<String>,
    mut map: A,
) -> Result<
    (
        String,
        MapDeserializer<'de, serde_json::map::IntoIter, serde_json::Error>,
    ),
    A::Error,
> {
    let (mut tag, mut rest) = (None, Map::new());
    let mut next = first;
    while let Some(key) = next {
        if key == TAG {
            tag = Some(map.next_value()?);
        } else {
            rest.insert(key, map.next_value::<Value>()?);
        }
        next = map.next_key()?;
    }
    let tag = tag.ok_or_else(|| A::Error::missing_field(TAG))?;
    Ok((tag, MapDeserializer::new(rest.into_iter())))
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for AfterTagOf<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for AfterTagOf<A> {
    type Error = A::Error;
    type Variant = Body<A>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Body<A>), A::Error> {
        let variant = seed.deserialize(self.tag.into_deserializer())?;
        Ok((variant, Body(self.map)))
    }
}

/// What follows the tag.
pub(crate) struct Body<A>(A);

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Body<A> {
    type Error = A::Error;

    fn unit_variant(mut self) -> Result<(), A::Error> {
        while self.0.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        seed.deserialize(MapAccessDeserializer::new(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("a body with a tag has named fields"))
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
    use crate::Fact;
    use serde_json::json;

    const ID: &str = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";

    #[test]
    fn the_order_of_the_fields_does_not_matter() {
        let texts = [
            format!(r#"{{"type":"keyCreated","id":"{ID}","owner":"{ID}","role":"admin"}}"#),
            format!(
                r#"{{"id":"{ID}","more":[{{}}],"role":"admin","type":"keyCreated","owner":"{ID}"}}"#
            ),
        ];
        let [first, second] = texts.map(|it| serde_json::from_str::<Fact>(&it).unwrap());
        assert_eq!(first, second);
        let value = serde_json::to_value(&first).unwrap();
        assert_eq!(value["type"], json!("keyCreated"));
        assert_eq!(serde_json::from_value::<Fact>(value).unwrap(), first);
    }

    #[test]
    fn what_is_no_fact_is_refused() {
        let cases = [
            ("{}", "missing field `type`"),
            (r#"{"id":1}"#, "missing field `type`"),
            (r#"{"type":"keyForged"}"#, "unknown variant `keyForged`"),
            (r#"{"type":"keyRevoked"}"#, "missing field `id`"),
            (r#"{"type":"keyRevoked","id":7}"#, "UUID"),
            ("[]", "a fact with its `type`"),
        ];
        for (text, said) in cases {
            let error = serde_json::from_str::<Fact>(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
