//! JSON that is kept and seldom looked at.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use stagegate_model::Json;

/// A JSON value as its text, which takes a tenth of the memory. It is written and read as the value itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedJson(Box<str>);

impl PackedJson {
    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The value; `null` should the text be none, which nothing here makes.
    #[must_use]
    pub fn json(&self) -> Json {
        Self::read(&self.0)
    }

    /// The value that a text is; `null` should it be none.
    pub(crate) fn read(text: &str) -> Json {
        serde_json::from_str(text).unwrap_or_default()
    }
}

impl From<&Json> for PackedJson {
    fn from(json: &Json) -> Self {
        Self(json.to_string().into())
    }
}

impl Serialize for PackedJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PackedJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(&Json::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_packed_value_is_written_as_the_value() {
        let value = json!({"b": [1, 2.5, null], "a": {"text": "\"é\n"}});
        let packed = PackedJson::from(&value);
        assert_eq!(packed.json(), value);
        assert_eq!(serde_json::to_value(&packed).unwrap(), value);
        let bytes = rmp_serde::to_vec_named(&packed).unwrap();
        let read: PackedJson = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(read, packed);
    }
}
