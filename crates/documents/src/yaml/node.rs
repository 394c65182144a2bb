//! A tree of values with positions.

use super::{Meaning, Scalar};
use crate::wording::clip;
use serde_json::Value as Json;

/// Where something starts; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    pub const START: Self = Self { line: 1, column: 1 };
}

/// A value and where it starts.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub at: Position,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key of a mapping with its value, in the order of the text.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: Box<str>,
    pub at: Position,
    pub value: Node,
}

impl Node {
    pub fn is_null(&self) -> bool {
        matches!(
            self.value,
            Value::Scalar(Scalar {
                meaning: Meaning::Null,
                ..
            })
        )
    }

    /// What stands here, in words: `` number `5` ``, `a list`…
    pub fn described(&self) -> String {
        match &self.value {
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
            Value::Scalar(scalar) => match scalar.meaning {
                Meaning::Null => "nothing".to_owned(),
                Meaning::Bool(_) => format!("boolean `{}`", scalar.text),
                Meaning::Number(_) | Meaning::NotJson => {
                    format!("number `{}`", clip(&scalar.text))
                }
                Meaning::Text => format!("text `{}`", clip(&scalar.text)),
            },
        }
    }

    /// The same as JSON. Numbers that JSON cannot hold are handed to `refuse` and become null.
    pub fn to_json(&self, path: &str, refuse: &mut dyn FnMut(&Node, &str)) -> Json {
        match &self.value {
            Value::Sequence(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| item.to_json(&join_index(path, index), refuse))
                .collect(),
            Value::Mapping(entries) => entries
                .iter()
                .map(|entry| {
                    let path = join(path, &entry.key);
                    (entry.key.to_string(), entry.value.to_json(&path, refuse))
                })
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Value::Scalar(scalar) => match &scalar.meaning {
                Meaning::Null => Json::Null,
                Meaning::Bool(value) => Json::Bool(*value),
                Meaning::Number(number) => Json::Number(number.clone()),
                Meaning::Text => Json::String(scalar.text.to_string()),
                Meaning::NotJson => {
                    refuse(self, path);
                    Json::Null
                }
            },
        }
    }

    /// Where the field `path` is, or else the longest beginning of the path that exists. A value that is a
    /// scalar is pointed at itself, anything else at its key. Also says whether all of the path was found.
    pub fn locate(&self, path: &str) -> (Position, bool) {
        let mut node = self;
        let mut at = self.at;
        let mut rest = path;
        while !rest.is_empty() {
            let (next, key_at, after) = match &node.value {
                Value::Scalar(_) => return (at, false),
                Value::Sequence(items) => {
                    let Some((index, after)) = leading_index(rest) else {
                        return (at, false);
                    };
                    let Some(item) = items.get(index) else {
                        return (at, false);
                    };
                    (item, item.at, after)
                }
                Value::Mapping(entries) => {
                    let Some((entry, after)) = leading_key(rest, entries) else {
                        return (at, false);
                    };
                    (&entry.value, entry.at, after)
                }
            };
            at = match &next.value {
                // An empty value has no text of its own to point at.
                Value::Scalar(scalar) if !scalar.text.is_empty() => next.at,
                _ => key_at,
            };
            node = next;
            rest = after;
        }
        (at, true)
    }
}

/// `[3].name` gives 3 and `name`.
fn leading_index(path: &str) -> Option<(usize, &str)> {
    let (digits, after) = path.strip_prefix('[')?.split_once(']')?;
    Some((
        digits.parse().ok()?,
        after.strip_prefix('.').unwrap_or(after),
    ))
}

/// The entry that `path` begins with. Keys may hold dots themselves, so the longest fitting one is taken.
fn leading_key<'n, 'p>(path: &'p str, entries: &'n [Entry]) -> Option<(&'n Entry, &'p str)> {
    let continued = |after: &'p str| match after.as_bytes().first() {
        None | Some(b'[') => Some(after),
        Some(b'.') => after.get(1..),
        Some(_) => None,
    };
    entries
        .iter()
        .filter_map(|entry| {
            let bare = path.strip_prefix(&*entry.key).and_then(continued);
            let quoted = || {
                let after = path.strip_prefix(quoted_key(&entry.key).as_str())?;
                continued(after)
            };
            Some((entry, bare.or_else(quoted)?))
        })
        .min_by_key(|(_, after)| after.len())
}

fn quoted_key(key: &str) -> String {
    format!("[{}]", Json::String(key.to_owned()))
}

/// `path` continued by a key: `metadata.env`, or `metadata["a.b"]` where a dot would mislead.
pub(crate) fn join(path: &str, key: &str) -> String {
    let simple = !key.is_empty()
        && key
            .chars()
            .all(|letter| letter.is_alphanumeric() || "_-/".contains(letter));
    match (path.is_empty(), simple) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}{}", quoted_key(key)),
    }
}

/// `path` continued by an index: `rules[0]`.
pub(crate) fn join_index(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}
