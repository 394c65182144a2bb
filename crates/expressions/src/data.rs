//! How expressions see the caller's data.

use std::fmt;

use serde_json::Value;

/// One value as an expression sees it, borrowed from whoever owns it.
#[derive(Clone)]
pub enum View<'a> {
    /// No value; selecting a field of it counts as a missing field.
    Null,
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer; compares with the other number types by value.
    UInt(u64),
    /// A floating-point number.
    Float(f64),
    /// Text that lives in the caller's data.
    Str(&'a str),
    /// Text that was made for this look-up.
    OwnedStr(String),
    /// An instant, in milliseconds since 1970-01-01T00:00:00Z.
    TimestampMillis(i64),
    /// Something with named fields.
    Object(&'a dyn Object),
    /// A JSON value, read in place.
    Json(&'a Value),
    /// A JSON value that is kept as text, and read when it is asked for; a text that is none is null.
    JsonText(&'a str),
}

/// Something with named fields: a struct or a map of the caller.
pub trait Object {
    /// The field's value; `None` when there is no such field or key.
    fn get(&self, key: &str) -> Option<View<'_>>;

    /// The names for which [`Object::get`] gives a value, sorted.
    fn keys(&self) -> Vec<String>;
}

/// Text by key, such as an entity's metadata.
impl Object for std::collections::BTreeMap<String, String> {
    fn get(&self, key: &str) -> Option<View<'_>> {
        std::collections::BTreeMap::get(self, key).map(|value| View::Str(value))
    }

    fn keys(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            View::Null => f.write_str("Null"),
            View::Bool(value) => write!(f, "Bool({value})"),
            View::Int(value) => write!(f, "Int({value})"),
            View::UInt(value) => write!(f, "UInt({value})"),
            View::Float(value) => write!(f, "Float({value})"),
            View::Str(value) => write!(f, "Str({value:?})"),
            View::OwnedStr(value) => write!(f, "OwnedStr({value:?})"),
            View::TimestampMillis(value) => write!(f, "TimestampMillis({value})"),
            View::Object(object) => f.debug_tuple("Object").field(&object.keys()).finish(),
            View::Json(value) => f.debug_tuple("Json").field(value).finish(),
            View::JsonText(text) => f.debug_tuple("JsonText").field(text).finish(),
        }
    }
}

/// How many roots fit without an allocation; no context of ours has more.
const INLINE: usize = 8;

/// The named values that one evaluation starts from.
///
/// ```
/// use stagegate_expressions::{Roots, View};
/// let result = serde_json::json!({"value": 3});
/// let roots = Roots::new().with("result", View::Json(&result));
/// assert!(roots.get("result").is_some());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Roots<'a> {
    inline: [Option<(&'a str, View<'a>)>; INLINE],
    len: usize,
    spilled: Vec<(&'a str, View<'a>)>,
}

impl<'a> Roots<'a> {
    /// No roots.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a root. Of two with one name the first counts.
    #[must_use]
    pub fn with(mut self, name: &'a str, view: View<'a>) -> Self {
        match self.inline.get_mut(self.len) {
            Some(place) => {
                *place = Some((name, view));
                self.len += 1;
            }
            None => self.spilled.push((name, view)),
        }
        self
    }

    /// The root of that name.
    pub fn get(&self, name: &str) -> Option<&View<'a>> {
        self.inline[..self.len]
            .iter()
            .flatten()
            .chain(&self.spilled)
            .find(|(known, _)| *known == name)
            .map(|(_, view)| view)
    }

    /// The names of all roots, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.inline[..self.len]
            .iter()
            .flatten()
            .chain(&self.spilled)
            .map(|(name, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_roots_than_fit_inline_are_kept() {
        let names: Vec<String> = (0..20).map(|i| format!("r{i}")).collect();
        let mut roots = Roots::new();
        for (i, name) in names.iter().enumerate() {
            roots = roots.with(name, View::Int(i64::try_from(i).unwrap()));
        }
        for (i, name) in names.iter().enumerate() {
            assert!(matches!(roots.get(name), Some(View::Int(n)) if *n == i as i64));
        }
        assert!(roots.get("r20").is_none());
        assert_eq!(roots.names().count(), 20);
    }

    #[test]
    fn of_two_roots_with_one_name_the_first_counts() {
        let roots = Roots::new().with("a", View::Int(1)).with("a", View::Int(2));
        assert!(matches!(roots.get("a"), Some(View::Int(1))));
    }
}
