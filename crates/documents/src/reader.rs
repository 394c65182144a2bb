//! Reading fields of the wanted kinds. What is wrong is noted and reading goes on, so that one pass finds all.

use crate::error::{DocumentError, ERRORS_KEPT_MAX, code};
use crate::limits::NAME_CHARS_MAX;
use crate::wording::{clip, known_hint, quoted_list};
use crate::yaml::{Entry, Meaning, Node, Position, Scalar, Value, join};
use serde_json::Value as Json;
use stagegate_model::Metadata;

/// Notes what is wrong with one document.
pub(crate) struct Reader<'a> {
    pub file: &'a str,
    pub document: usize,
    pub errors: &'a mut Vec<DocumentError>,
}

/// The fields of a mapping, at a path.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'n> {
    pub at: Position,
    pub path: &'n str,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// The field, unless it is absent or empty.
    pub fn get(self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub fn entry(self, key: &str) -> Option<&'n Entry> {
        self.entries
            .iter()
            .find(|entry| &*entry.key == key && !entry.value.is_null())
    }

    pub fn entries(self) -> &'n [Entry] {
        self.entries
    }

    pub fn path_of(self, key: &str) -> String {
        join(self.path, key)
    }
}

impl Reader<'_> {
    pub fn refuse(
        &mut self,
        at: Position,
        field: &str,
        code: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        if self.errors.len() >= ERRORS_KEPT_MAX {
            return;
        }
        self.errors.push(DocumentError {
            file: self.file.to_owned(),
            document: self.document,
            line: at.line,
            column: at.column,
            field: field.to_owned(),
            code: code.to_owned(),
            message: message.into(),
            hint: hint.into(),
        });
    }

    fn expected(&mut self, node: &Node, field: &str, what: &str, hint: impl Into<String>) {
        let message = format!("expected {what}, got {}", node.described());
        self.refuse(node.at, field, code::WRONG_TYPE, message, hint);
    }

    /// The node's fields, when it is a mapping.
    pub fn fields<'n>(&mut self, node: &'n Node, path: &'n str) -> Option<Fields<'n>> {
        match &node.value {
            Value::Mapping(entries) => Some(Fields {
                at: node.at,
                path,
                entries,
            }),
            _ => {
                self.expected(node, path, "a mapping", "write `key: value` lines");
                None
            }
        }
    }

    /// Every field must be one of the known ones.
    pub fn refuse_unknown(&mut self, fields: Fields<'_>, known: &[&str]) {
        for entry in fields.entries {
            if self.errors.len() >= ERRORS_KEPT_MAX {
                return;
            }
            if !known.contains(&&*entry.key) {
                self.refuse(
                    entry.at,
                    &join(fields.path, &clip(&entry.key)),
                    code::UNKNOWN_FIELD,
                    format!("unknown field `{}`", clip(&entry.key)),
                    known_hint(&entry.key, known, "fields"),
                );
            }
        }
    }

    /// Of two ways to say the same, only one may be used.
    pub fn refuse_both(&mut self, fields: Fields<'_>, one: &str, other: &str) {
        if let (Some(first), Some(second)) = (fields.entry(one), fields.entry(other)) {
            let later = match first.at > second.at {
                true => first,
                false => second,
            };
            self.refuse(
                later.at,
                &fields.path_of(&later.key),
                code::CONFLICTING_FIELDS,
                format!("`{one}` and `{other}` say the same in two ways"),
                "keep one of them",
            );
        }
    }

    pub fn list<'n>(&mut self, node: &'n Node, path: &str) -> &'n [Node] {
        match &node.value {
            Value::Sequence(items) => items,
            _ => {
                self.expected(node, path, "a list", "write `- ` before each item");
                &[]
            }
        }
    }

    pub fn text(&mut self, node: &Node, path: &str) -> Option<String> {
        match &node.value {
            Value::Scalar(Scalar {
                text,
                meaning: Meaning::Text,
            }) => Some(text.to_string()),
            Value::Scalar(Scalar { text, meaning }) => {
                let hint = match meaning {
                    Meaning::Null => String::new(),
                    _ => format!("put it in quotes: \"{}\"", clip(text)),
                };
                self.expected(node, path, "text", hint);
                None
            }
            _ => {
                self.expected(node, path, "text", "");
                None
            }
        }
    }

    /// Text of a field, or nothing when the field is absent or wrong.
    pub fn text_of(&mut self, fields: Fields<'_>, key: &str) -> Option<String> {
        self.text(fields.get(key)?, &fields.path_of(key))
    }

    /// Text that must be there.
    pub fn required(&mut self, fields: Fields<'_>, key: &str, example: &str) -> Option<String> {
        match fields.get(key) {
            Some(node) => self.text(node, &fields.path_of(key)),
            None => {
                let at = fields
                    .entries
                    .iter()
                    .find(|entry| &*entry.key == key)
                    .map_or(fields.at, |entry| entry.at);
                self.refuse(
                    at,
                    &fields.path_of(key),
                    code::MISSING_FIELD,
                    format!("`{key}` is missing"),
                    format!("add `{key}: {example}`"),
                );
                None
            }
        }
    }

    /// A name: text, not blank, of bounded length.
    pub fn checked_name(&mut self, name: &str, at: Position, field: &str, chars_max: usize) {
        let wrong = if name.trim().is_empty() {
            "is blank".to_owned()
        } else if name.trim() != name {
            "has blanks at its ends".to_owned()
        } else if name.chars().any(char::is_control) {
            "holds control characters or line breaks".to_owned()
        } else if name.chars().nth(chars_max).is_some() {
            format!("is longer than {chars_max} characters")
        } else {
            return;
        };
        let message = format!("`{}` {wrong}", clip(name));
        self.refuse(at, field, code::INVALID_NAME, message, "");
    }

    /// The slug that is given, or else the one made of the name.
    pub fn slug(&mut self, fields: Fields<'_>, name: &str) -> String {
        let Some(node) = fields.get("slug") else {
            let slug = crate::wording::slugified(name);
            if slug.is_empty() {
                self.refuse(
                    fields
                        .entry("name")
                        .map_or(fields.at, |entry| entry.value.at),
                    "slug",
                    code::INVALID_SLUG,
                    format!("no slug can be made of the name `{}`", clip(name)),
                    "add `slug:` with letters a-z, digits and dashes",
                );
            }
            return slug;
        };
        let slug = self.text(node, &fields.path_of("slug")).unwrap_or_default();
        let allowed = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '-');
        let fits = !slug.is_empty() && slug.len() <= NAME_CHARS_MAX && slug.chars().all(allowed);
        if !fits && matches!(&node.value, Value::Scalar(scalar) if scalar.meaning == Meaning::Text)
        {
            self.refuse(
                node.at,
                "slug",
                code::INVALID_SLUG,
                format!("`{}` is not a slug", clip(&slug)),
                format!("use a-z, 0-9 and `-`, at most {NAME_CHARS_MAX} of them"),
            );
        }
        slug
    }

    pub fn boolean_of(&mut self, fields: Fields<'_>, key: &str, default: bool) -> bool {
        let Some(node) = fields.get(key) else {
            return default;
        };
        if let Value::Scalar(scalar) = &node.value
            && let Meaning::Bool(value) = scalar.meaning
        {
            return value;
        }
        let path = fields.path_of(key);
        self.expected(node, &path, "a boolean", "write `true` or `false`");
        default
    }

    pub fn integer_of(&mut self, fields: Fields<'_>, key: &str) -> i64 {
        let Some(node) = fields.get(key) else {
            return 0;
        };
        if let Value::Scalar(scalar) = &node.value
            && let Meaning::Number(number) = &scalar.meaning
            && let Some(value) = number.as_i64()
        {
            return value;
        }
        let path = fields.path_of(key);
        self.expected(node, &path, "a whole number", "");
        0
    }

    /// An expression: text, or a bare `true` or `false`.
    pub fn expression(&mut self, node: &Node, path: &str) -> Option<String> {
        if let Value::Scalar(scalar) = &node.value
            && let Meaning::Bool(value) = scalar.meaning
        {
            return Some(value.to_string());
        }
        let text = self.text(node, path)?;
        if text.trim().is_empty() {
            self.refuse(
                node.at,
                path,
                code::INVALID_SELECTOR,
                "the expression is blank",
                "leave the field out, or write `true` for everything",
            );
        }
        Some(text.trim().to_owned())
    }

    pub fn expression_of(&mut self, fields: Fields<'_>, key: &str) -> Option<String> {
        self.expression(fields.get(key)?, &fields.path_of(key))
    }

    /// Pairs of text; numbers and booleans become the text they are written as.
    pub fn metadata_of(&mut self, fields: Fields<'_>) -> Metadata {
        let path = fields.path_of("metadata");
        let Some(pairs) = fields
            .get("metadata")
            .and_then(|node| self.fields(node, &path))
        else {
            return Metadata::new();
        };
        let mut metadata = Metadata::new();
        for entry in pairs.entries {
            match &entry.value.value {
                Value::Scalar(scalar) if scalar.meaning != Meaning::Null => {
                    metadata.insert(entry.key.to_string(), scalar.text.to_string());
                }
                _ => {
                    let field = join(&path, &clip(&entry.key));
                    let hint = "metadata is text; write `\"\"` for an empty value";
                    self.expected(&entry.value, &field, "text", hint);
                }
            }
        }
        metadata
    }

    /// Any mapping, as JSON; empty when absent.
    pub fn object_of(&mut self, fields: Fields<'_>, key: &str) -> Json {
        let path = fields.path_of(key);
        match fields.get(key) {
            Some(node) => self.object(node, &path),
            None => Json::Object(serde_json::Map::new()),
        }
    }

    pub fn object(&mut self, node: &Node, path: &str) -> Json {
        if !matches!(node.value, Value::Mapping(_)) {
            self.expected(node, path, "a mapping", "write `key: value` lines");
            return Json::Object(serde_json::Map::new());
        }
        self.json(node, path)
    }

    pub fn json(&mut self, node: &Node, path: &str) -> Json {
        node.to_json(path, &mut |number, path| {
            self.refuse(
                number.at,
                path,
                code::WRONG_TYPE,
                format!("{} cannot be kept exactly", number.described()),
                "put it in quotes if text will do",
            );
        })
    }

    /// The given word is none of the known ones.
    pub fn unknown_type(&mut self, node: &Node, given: &str, known: &[&str]) {
        let hint = match crate::wording::closest(given, known.iter().copied()) {
            Some(candidate) => format!("did you mean `{candidate}`? known: {}", quoted_list(known)),
            None => format!("known: {}", quoted_list(known)),
        };
        let message = format!("unknown type `{}`", clip(given));
        self.refuse(node.at, "type", code::UNKNOWN_TYPE, message, hint);
    }
}
