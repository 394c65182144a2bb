//! Templates of texts and plain paths only, which is what most are: written without the template engine.

use super::engine::OUTPUT_BYTES_MAX;
use crate::data::{Roots, View};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// A piece of such a template.
pub(super) enum Piece {
    Text(String),
    /// A root and the fields selected from it.
    Path(Vec<String>),
}

/// The pieces of a template, if it has nothing but `{{ a.b.c }}` among its text.
pub(super) fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, tag) = rest.split_at(open);
        // Any other tag, and a brace that might belong to one, is the engine's.
        let inside = tag.strip_prefix("{{")?;
        let close = inside.find("}}")?;
        let path = inside[..close].trim();
        let path = path.strip_prefix('.').unwrap_or(path);
        let path: Option<Vec<String>> = path.split('.').map(word).collect();
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Path(path?));
        rest = &inside[close + 2..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Some(pieces)
}

fn word(text: &str) -> Option<String> {
    let mut letters = text.chars();
    let first = letters.next()?;
    let fits = (first.is_ascii_alphabetic() || first == '_')
        && letters.all(|it| it.is_ascii_alphanumeric() || it == '_');
    fits.then(|| text.to_owned())
}

/// The text, when every path leads to a text or a whole number; anything else, and every error, is the engine's.
pub(super) fn write(pieces: &[Piece], roots: &Roots<'_>) -> Option<String> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(plain) => text.push_str(plain),
            Piece::Path(path) => {
                let (root, fields) = path.split_first()?;
                push(&mut text, roots.get(root)?, fields)?;
            }
        }
    }
    (text.len() <= OUTPUT_BYTES_MAX).then_some(text)
}

fn push(text: &mut String, view: &View<'_>, fields: &[String]) -> Option<()> {
    if let View::JsonText(json) = view {
        let mut read = serde_json::Deserializer::from_str(json);
        Pick { text, fields }.deserialize(&mut read).ok()?;
        return read.end().ok();
    }
    let Some((field, fields)) = fields.split_first() else {
        match view {
            View::Str(it) => text.push_str(it),
            View::OwnedStr(it) => text.push_str(it),
            View::Int(it) => text.push_str(&it.to_string()),
            View::UInt(it) => text.push_str(&it.to_string()),
            View::Json(Value::String(it)) => text.push_str(it),
            View::Json(Value::Number(it)) if !it.is_f64() => text.push_str(&it.to_string()),
            _ => return None,
        }
        return Some(());
    };
    match view {
        View::Object(object) => push(text, &object.get(field)?, fields),
        View::Json(Value::Object(object)) => push(text, &View::Json(object.get(field)?), fields),
        _ => None,
    }
}

/// Reads a JSON text and adds, of all that is in it, what the fields lead to; anything but a text or a whole number is an
/// error, as is a text that is no JSON.
struct Pick<'p> {
    text: &'p mut String,
    fields: &'p [String],
}

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Pick<'_> {
    fn add<E: Error>(self, found: impl fmt::Display) -> Result<(), E> {
        match self.fields.is_empty() {
            true => write!(self.text, "{found}").map_err(E::custom),
            false => Err(E::custom("it has no fields")),
        }
    }
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a whole number")
    }

    fn visit_str<E: Error>(self, found: &str) -> Result<(), E> {
        self.add(found)
    }

    fn visit_i64<E: Error>(self, found: i64) -> Result<(), E> {
        self.add(found)
    }

    fn visit_u64<E: Error>(self, found: u64) -> Result<(), E> {
        self.add(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Some((field, fields)) = self.fields.split_first() else {
            return Err(A::Error::custom("it is no text"));
        };
        let before = self.text.len();
        let mut found = false;
        while let Some(key) = members.next_key::<Cow<'de, str>>()? {
            if key != field.as_str() {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            // Of two members with one name the last counts.
            self.text.truncate(before);
            found = true;
            let text = &mut *self.text;
            members.next_value_seed(Pick { text, fields })?;
        }
        match found {
            true => Ok(()),
            false => Err(A::Error::custom("there is no such field")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_picked_from_a_text_is_what_the_value_has() {
        let value = json!({
            "a": {"b": "x\"y\n", "c": 1.5, "d": -7, "e": [1], "f": null, "g": true, "h": {}},
            "b": 18_446_744_073_709_551_615_u64,
        });
        let text = value.to_string();
        for path in [
            "", "a", "a.b", "a.c", "a.d", "a.d.e", "a.e", "a.f", "a.g", "a.h", "a.h.i", "b", "c",
            "a.b.c", "c.d",
        ] {
            let fields = path.split('.').filter(|it| !it.is_empty());
            let fields: Vec<String> = fields.map(str::to_owned).collect();
            let pushed = |view: View<'_>| {
                let mut text = String::new();
                push(&mut text, &view, &fields).map(|()| text)
            };
            assert_eq!(
                pushed(View::JsonText(&text)),
                pushed(View::Json(&value)),
                "{path}"
            );
        }
        for broken in ["{", "", "{\"a\": 1} 2", "{\"a\": 1"] {
            let mut text = String::new();
            let pushed = push(&mut text, &View::JsonText(broken), &["a".to_owned()]);
            assert_eq!(pushed, None, "{broken}");
        }
        let twice = r#"{"a": "first", "a": "last"}"#;
        let mut text = String::new();
        push(&mut text, &View::JsonText(twice), &["a".to_owned()]).unwrap();
        assert_eq!(text, "last");
    }
}
