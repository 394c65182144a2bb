//! JSON that is kept and seldom looked at.

use crate::Json;
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::sync::Arc;

/// What most texts have room in.
const TEXT_BYTES_GUESSED: usize = 128;

/// A JSON value as its text, which takes a tenth of the memory; cheap to clone. In JSON it is written and read as the value
/// itself, elsewhere as the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedJson(Arc<str>);

impl PackedJson {
    /// The value that a text is.
    ///
    /// # Errors
    /// When the text is no JSON value, or more than one.
    pub fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<IgnoredAny>(text)?;
        Ok(Self(text.trim_ascii().into()))
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The value; `null` should the text be none, which nothing here makes.
    #[must_use]
    pub fn json(&self) -> Json {
        Self::read(&self.0)
    }

    /// The value that a text is; `null` should it be none.
    #[must_use]
    pub fn read(text: &str) -> Json {
        serde_json::from_str(text).unwrap_or_default()
    }
}

impl From<&Json> for PackedJson {
    fn from(json: &Json) -> Self {
        Self(json.to_string().into())
    }
}

impl From<Json> for PackedJson {
    fn from(json: Json) -> Self {
        Self::from(&json)
    }
}

impl Serialize for PackedJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_str(&self.0);
        }
        // Part by part, without making the value.
        serde_transcode::transcode(&mut serde_json::Deserializer::from_str(&self.0), serializer)
    }
}

impl<'de> Deserialize<'de> for PackedJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let text = Cow::<'de, str>::deserialize(deserializer)?;
            return Self::from_text(&text).map_err(D::Error::custom);
        }
        let mut text = Vec::with_capacity(TEXT_BYTES_GUESSED);
        let writer = &mut serde_json::Serializer::new(&mut text);
        serde_transcode::transcode(deserializer, writer).map_err(D::Error::custom)?;
        let text = std::str::from_utf8(&text).map_err(D::Error::custom)?;
        Ok(Self(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Around {
        value: PackedJson,
    }

    #[test]
    fn a_packed_value_is_written_as_the_value() {
        let value = json!({"b": [1, 2.5, null], "a": {"text": "\"é\n"}});
        let around = Around {
            value: PackedJson::from(&value),
        };
        assert_eq!(around.value.json(), value);
        let written = serde_json::to_string(&around).unwrap();
        assert_eq!(written, json!({ "value": value }).to_string());
        assert_eq!(serde_json::from_str::<Around>(&written).unwrap(), around);
        let whole = serde_json::to_value(&around).unwrap();
        assert_eq!(whole, json!({ "value": value }));
        assert_eq!(serde_json::from_value::<Around>(whole).unwrap(), around);
    }

    #[test]
    fn a_text_that_is_no_value_is_refused() {
        for text in ["", "{", "{} {}", "nul", "{\"a\": }"] {
            assert!(PackedJson::from_text(text).is_err(), "{text}");
        }
        assert_eq!(PackedJson::from_text(" [1] ").unwrap().text(), "[1]");
    }

    #[test]
    fn spaces_make_no_difference() {
        let spaced = r#"{"value": {"a \" b" : [1,  2], "c":"\\"} }"#;
        let plain = r#"{"value":{"a \" b":[1,2],"c":"\\"}}"#;
        let read = |text| serde_json::from_str::<Around>(text).unwrap();
        assert_eq!(read(spaced), read(plain));
        assert_eq!(read(spaced).value.text(), r#"{"a \" b":[1,2],"c":"\\"}"#);
        assert!(serde_json::from_str::<Around>(r#"{"value":[1e400]}"#).is_err());
    }
}
