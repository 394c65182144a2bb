//! Writing YAML that reads back as the same values, here and with parsers of YAML 1.1.

use crate::form::Form;
use crate::yaml::{Meaning, plain_meaning};
use serde_json::{Map, Value as Json};

/// Appends a document of the given type.
pub(crate) fn document(out: &mut String, kind: &str, form: &Form) {
    if !out.is_empty() {
        out.push_str("---\n");
    }
    out.push_str("type: ");
    out.push_str(kind);
    out.push('\n');
    for (key, value) in form {
        entry(out, 0, key, value);
    }
}

const STEP: usize = 2;

fn indent(out: &mut String, width: usize) {
    out.extend(std::iter::repeat_n(' ', width));
}

/// `key: value`, the cursor standing at the key's column, and the line's end.
fn entry(out: &mut String, column: usize, key: &str, value: &Json) {
    // Longer keys may not stand before a colon on their own (YAML 1.2.2, section 7.4.2).
    const IMPLICIT_KEY_CHARS_MAX: usize = 500;
    if key.chars().nth(IMPLICIT_KEY_CHARS_MAX).is_some() {
        out.push_str("? ");
        out.push_str(&quoted(key));
        out.push('\n');
        indent(out, column);
        out.push(':');
    } else {
        out.push_str(&one_line(key));
        out.push(':');
    }
    match value {
        Json::Object(entries) if !entries.is_empty() => {
            out.push('\n');
            for (key, value) in in_reading_order(entries) {
                indent(out, column + STEP);
                entry(out, column + STEP, key, value);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                indent(out, column + STEP);
                self::item(out, column + STEP, item);
            }
        }
        value => {
            out.push(' ');
            leaf(out, column + STEP, value);
        }
    }
}

/// What says what a mapping is comes first; maps themselves have no order worth keeping.
fn in_reading_order(entries: &Map<String, Json>) -> impl Iterator<Item = (&String, &Json)> {
    const FIRST: [&str; 2] = ["name", "type"];
    let leads = |entry: &(&String, &Json)| FIRST.contains(&entry.0.as_str());
    let first = entries.iter().filter(leads);
    first.chain(entries.iter().filter(move |entry| !leads(entry)))
}

/// `- value`, the cursor standing at the dash's column, and the line's end.
fn item(out: &mut String, column: usize, value: &Json) {
    out.push_str("- ");
    let inner = column + STEP;
    match value {
        Json::Object(entries) if !entries.is_empty() => {
            for (index, (key, value)) in in_reading_order(entries).enumerate() {
                if index > 0 {
                    indent(out, inner);
                }
                entry(out, inner, key, value);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                if index > 0 {
                    indent(out, inner);
                }
                item(out, inner, value);
            }
        }
        value => leaf(out, inner, value),
    }
}

fn leaf(out: &mut String, column: usize, value: &Json) {
    match value {
        Json::Object(_) => out.push_str("{}"),
        Json::Array(_) => out.push_str("[]"),
        Json::String(text) => {
            if let Some(header) = block_header(text) {
                block(out, column, header, text);
                return;
            }
            out.push_str(&one_line(text));
        }
        other => out.push_str(&other.to_string()),
    }
    out.push('\n');
}

/// The header with which this text of several lines can stand as a literal block.
fn block_header(text: &str) -> Option<&'static str> {
    let plain = |letter: char| letter == '\n' || letter == '\t' || is_printable(letter);
    if !text.contains('\n') || text.starts_with([' ', '\t', '\n']) || !text.chars().all(plain) {
        return None;
    }
    let body = text.strip_suffix('\n').unwrap_or(text);
    match (body.ends_with('\n'), body.len() == text.len()) {
        (true, _) => None,
        (false, true) => Some("|-\n"),
        (false, false) => Some("|\n"),
    }
}

fn block(out: &mut String, column: usize, header: &str, text: &str) {
    out.push_str(header);
    let body = text.strip_suffix('\n').unwrap_or(text);
    for line in body.split('\n') {
        if !line.is_empty() {
            indent(out, column);
            out.push_str(line);
        }
        out.push('\n');
    }
}

fn one_line(text: &str) -> String {
    match may_be_plain(text) {
        true => text.to_owned(),
        false => quoted(text),
    }
}

/// Whether the text can stand without quotes. Says no more often than needed.
fn may_be_plain(text: &str) -> bool {
    // Booleans to parsers of YAML 1.1.
    const OLD_BOOLEANS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
    let starts_well =
        text.starts_with(|letter: char| letter.is_ascii_alphabetic() || "_/$(".contains(letter));
    starts_well
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(is_printable)
        && plain_meaning(text) == Meaning::Text
        && !OLD_BOOLEANS.contains(&text.to_ascii_lowercase().as_str())
}

/// Printable by YAML 1.2.2, section 5.1, less what looks like a line break or like nothing.
fn is_printable(letter: char) -> bool {
    !letter.is_control()
        && !matches!(
            letter,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            letter if is_printable(letter) => out.push(letter),
            letter => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
        }
    }
    out.push('"');
    out
}
