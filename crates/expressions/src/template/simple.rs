//! Templates of texts and plain paths only, which is what most are: written without the template engine.

use super::engine::OUTPUT_BYTES_MAX;
use crate::data::{Roots, View};
use serde_json::Value;

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
        let json: Value = serde_json::from_str(json).ok()?;
        return push(text, &View::Json(&json), fields);
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
