//! Reading members of the wanted kinds. What is wrong is noted and reading goes on, so that one pass finds all.

use crate::format::members::Object;
use crate::yaml::{Entry, Node, Position, Value, clip};
use serde_json::Value as Json;
use stagegate_model::Timestamp;

/// One thing wrong with a scenario file, where it stands and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FormatError {
    pub at: Position,
    pub message: String,
    pub hint: String,
}

impl FormatError {
    /// `file:line:column: message`, and the hint on a line of its own.
    pub fn rendered(&self, file: &str) -> String {
        let mut text = format!(
            "{file}:{}:{}: {}",
            self.at.line, self.at.column, self.message
        );
        if !self.hint.is_empty() {
            text.push_str(&format!("\n  hint: {}", self.hint));
        }
        text
    }
}

/// A moment: counted from the scenario's start, or absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Offset(i64),
    Absolute(Timestamp),
}

impl Moment {
    pub fn after(self, start: Timestamp) -> Timestamp {
        match self {
            Self::Offset(millis) => start.plus_millis(millis),
            Self::Absolute(at) => at,
        }
    }
}

/// Notes what is wrong with a file.
#[derive(Default)]
pub(crate) struct Reader {
    pub errors: Vec<FormatError>,
}

/// The members of a mapping.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'n> {
    pub at: Position,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// The member, unless it is absent or empty.
    pub fn get(self, key: &str) -> Option<&'n Node> {
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.key == key && !entry.value.is_null());
        entry.map(|entry| &entry.value)
    }

    pub fn entries(self) -> &'n [Entry] {
        self.entries
    }
}

impl Reader {
    pub fn refuse(&mut self, at: Position, message: impl Into<String>, hint: impl Into<String>) {
        self.errors.push(FormatError {
            at,
            message: message.into(),
            hint: hint.into(),
        });
    }

    pub fn expected(&mut self, node: &Node, what: &str, hint: &str) {
        let message = format!("expected {what}, got {}", node.described());
        self.refuse(node.at, message, hint);
    }

    /// A mapping, whatever its keys are.
    pub fn mapping<'n>(&mut self, node: &'n Node) -> Option<Fields<'n>> {
        match &node.value {
            Value::Mapping(entries) => Some(Fields {
                at: node.at,
                entries,
            }),
            _ => {
                self.expected(node, "a mapping", "write `key: value` members");
                None
            }
        }
    }

    /// A mapping with these members and no others.
    pub fn object<'n>(&mut self, node: &'n Node, object: &Object) -> Option<Fields<'n>> {
        let fields = self.mapping(node)?;
        for entry in fields.entries {
            if !object.members.iter().any(|member| member.name == entry.key) {
                let known: Vec<&str> = object.members.iter().map(|member| member.name).collect();
                self.refuse(
                    entry.at,
                    format!("unknown member `{}` of {}", clip(&entry.key), object.name),
                    known_hint(&entry.key, &known),
                );
            }
        }
        Some(fields)
    }

    /// A list, or one item alone.
    pub fn one_or_many<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(node),
        }
    }

    /// Text; numbers and booleans are what they are written as.
    pub fn text(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Scalar(scalar) if !node.is_null() => Some(scalar.text.clone()),
            _ => {
                self.expected(node, "text", "");
                None
            }
        }
    }

    pub fn text_of(&mut self, fields: Fields<'_>, key: &str) -> Option<String> {
        self.text(fields.get(key)?)
    }

    pub fn texts_of(&mut self, fields: Fields<'_>, key: &str) -> Vec<String> {
        let Some(node) = fields.get(key) else {
            return Vec::new();
        };
        let items = self.one_or_many(node);
        items.iter().filter_map(|item| self.text(item)).collect()
    }

    /// Text that must be there.
    pub fn required(&mut self, fields: Fields<'_>, key: &str, example: &str) -> String {
        match fields.get(key) {
            Some(node) => self.text(node).unwrap_or_default(),
            None => {
                self.missing(fields.at, key, example);
                String::new()
            }
        }
    }

    pub fn missing(&mut self, at: Position, key: &str, example: &str) {
        let (message, hint) = (
            format!("`{key}` is missing"),
            format!("add `{key}: {example}`"),
        );
        self.refuse(at, message, hint);
    }

    pub fn boolean_of(&mut self, fields: Fields<'_>, key: &str) -> Option<bool> {
        let node = fields.get(key)?;
        match node.to_json() {
            Json::Bool(value) => Some(value),
            _ => {
                self.expected(node, "a boolean", "write `true` or `false`");
                None
            }
        }
    }

    pub fn count(&mut self, node: &Node) -> Option<u64> {
        let count = node.to_json().as_u64();
        if count.is_none() {
            self.expected(node, "a whole number", "");
        }
        count
    }

    pub fn count_of(&mut self, fields: Fields<'_>, key: &str) -> Option<u64> {
        self.count(fields.get(key)?)
    }

    /// One of the words that `parse` knows.
    pub fn word<T>(
        &mut self,
        node: &Node,
        known: &[&str],
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(node)?;
        let found = parse(&text);
        if found.is_none() {
            let message = format!("unknown word `{}`", clip(&text));
            self.refuse(node.at, message, known_hint(&text, known));
        }
        found
    }

    pub fn word_of<T>(
        &mut self,
        fields: Fields<'_>,
        key: &str,
        known: &[&str],
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        self.word(fields.get(key)?, known, parse)
    }

    /// A duration in milliseconds: `10s`, `1h30m`, `500ms`, `-2d`.
    pub fn duration(&mut self, node: &Node) -> Option<i64> {
        let text = self.text(node)?;
        let duration = duration(&text);
        if duration.is_none() {
            self.expected(
                node,
                "a duration",
                "write `10s`, `5m`, `2h`, `1d`, `1h30m` or `500ms`",
            );
        }
        duration
    }

    pub fn duration_of(&mut self, fields: Fields<'_>, key: &str) -> Option<i64> {
        self.duration(fields.get(key)?)
    }

    /// A duration since the scenario's start, or an RFC 3339 time.
    pub fn moment(&mut self, node: &Node) -> Option<Moment> {
        let text = self.text(node)?;
        if let Some(millis) = duration(&text) {
            return Some(Moment::Offset(millis));
        }
        match text.parse() {
            Ok(at) => Some(Moment::Absolute(at)),
            Err(_) => {
                let hint = "write a time since the start such as `10s`, or one such as 2026-01-31T09:00:00Z";
                self.expected(node, "a time", hint);
                None
            }
        }
    }

    pub fn moment_of(&mut self, fields: Fields<'_>, key: &str) -> Option<Moment> {
        self.moment(fields.get(key)?)
    }
}

/// Milliseconds of `10s`, `1h30m`, `500ms`, `-2d` or a bare `0`.
pub(crate) fn duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut millis = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let amount: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|letter: char| letter.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        rest = &rest[letters..];
        millis = millis.checked_add(amount.checked_mul(unit)?)?;
    }
    Some(sign * millis)
}

/// Milliseconds as [`duration`] reads them.
pub(crate) fn spelled(millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    if millis < 0 {
        text.push('-');
    }
    let mut rest = millis.unsigned_abs();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ] {
        let amount = rest / size;
        rest %= size;
        if amount > 0 {
            text.push_str(&format!("{amount}{unit}"));
        }
    }
    text
}

/// `did you mean X? known: A, B, C`.
pub(crate) fn known_hint(given: &str, known: &[&str]) -> String {
    let list: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
    let list = format!("known: {}", list.join(", "));
    // A third of the letters may be wrong: more would suggest words that have nothing in common.
    let allowed = (given.chars().count() / 3).max(1);
    let lower = given.to_lowercase();
    let nearest = known
        .iter()
        .map(|word| (strsim::osa_distance(&lower, &word.to_lowercase()), word))
        .filter(|(distance, _)| *distance <= allowed && given.len() <= 64)
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, word)) => format!("did you mean `{word}`? {list}"),
        None => list,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_spelled() {
        for (text, millis) in [
            ("10s", 10_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("-2d", -172_800_000),
            ("0", 0),
            ("1m1s1ms", 61_001),
        ] {
            assert_eq!(duration(text), Some(millis), "{text}");
        }
        for text in ["", "10", "s", "1x", "1.5h", "--1s", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(spelled(5_400_000), "1h30m");
        assert_eq!(spelled(-61_001), "-1m1s1ms");
        assert_eq!(spelled(0), "0s");
    }
}
