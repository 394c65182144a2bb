//! The template engine as we set it up: strict, bounded, nothing from outside.

use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{
    Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, filters, tests,
};

/// Most instructions of one rendering.
const FUEL: u64 = 50_000;
/// Longest result, in bytes; also of a single filter.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Every filter there is.
pub(super) const FILTERS: [&str; 18] = [
    "abs",
    "capitalize",
    "default",
    "first",
    "float",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lower",
    "replace",
    "round",
    "split",
    "string",
    "tojson",
    "trim",
    "upper",
];
/// Every test there is, after `is` or `is not`.
pub(super) const TESTS: [&str; 9] = [
    "defined",
    "undefined",
    "none",
    "boolean",
    "number",
    "string",
    "sequence",
    "mapping",
    "in",
];

/// Marks a message of ours that a null was to be written.
pub(super) const NULL: &str = "a null cannot be written";

pub(super) fn environment() -> Environment<'static> {
    let mut env = Environment::empty();
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        env.set_syntax(syntax);
    }
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    env.set_fuel(Some(FUEL));
    // Errors then name what was undefined, and where.
    env.set_debug(true);
    env.set_formatter(write);
    env.add_filter("abs", filters::abs);
    env.add_filter("capitalize", filters::capitalize);
    env.add_filter("default", filters::default);
    env.add_filter("first", filters::first);
    env.add_filter("float", filters::float);
    env.add_filter("int", filters::int);
    env.add_filter("items", filters::items);
    env.add_filter("join", join);
    env.add_filter("last", filters::last);
    env.add_filter("length", filters::length);
    env.add_filter("lower", filters::lower);
    env.add_filter("replace", replace);
    env.add_filter("round", filters::round);
    env.add_filter("split", filters::split);
    env.add_filter("string", string);
    env.add_filter("tojson", json);
    env.add_filter("trim", filters::trim);
    env.add_filter("upper", filters::upper);
    env.add_test("defined", tests::is_defined);
    env.add_test("undefined", tests::is_undefined);
    env.add_test("none", tests::is_none);
    env.add_test("boolean", tests::is_boolean);
    env.add_test("number", tests::is_number);
    env.add_test("string", tests::is_string);
    env.add_test("sequence", tests::is_sequence);
    env.add_test("mapping", tests::is_mapping);
    env.add_test("in", tests::is_in);
    env
}

/// Writes a value into the result: lists and maps as JSON, never a null.
fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::Invalid | ValueKind::String => {
            minijinja::escape_formatter(out, state, value)
        }
        _ => out.write_str(&spelled(value)?).map_err(Error::from),
    }
}

/// The value as it stands in a text.
fn spelled(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::None => Err(Error::new(ErrorKind::InvalidOperation, NULL)),
        ValueKind::Bool => Ok(value.is_true().to_string()),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => json(value),
        ValueKind::Undefined => Err(undefined(value)),
        _ => Ok(value.to_string()),
    }
}

fn string(value: &Value) -> Result<String, Error> {
    spelled(value)
}

/// The engine's own error, which names what was undefined.
fn undefined(value: &Value) -> Error {
    value
        .get_attr("")
        .err()
        .unwrap_or_else(|| Error::from(ErrorKind::UndefinedError))
}

fn json(value: &Value) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(undefined(value));
    }
    serde_json::to_string(value).map_err(|error| {
        Error::new(
            ErrorKind::BadSerialization,
            format!("the value cannot be written as JSON: {error}"),
        )
    })
}

fn too_long() -> Error {
    Error::new(
        ErrorKind::WriteFailure,
        format!("the result is longer than {OUTPUT_BYTES_MAX} bytes"),
    )
}

/// The library's `join` has no bound, and spells booleans its own way.
fn join(list: &Value, between: Option<String>) -> Result<String, Error> {
    let between = between.unwrap_or_default();
    let mut joined = String::new();
    for (i, item) in list.try_iter()?.enumerate() {
        if i > 0 {
            joined.push_str(&between);
        }
        joined.push_str(&spelled(&item)?);
        if joined.len() > OUTPUT_BYTES_MAX {
            return Err(too_long());
        }
    }
    Ok(joined)
}

/// The library's `replace` has no bound: a chain of them grows exponentially.
fn replace(text: String, from: String, to: String) -> Result<String, Error> {
    let found = text.matches(&from).count();
    let length = text.len().saturating_add(found.saturating_mul(to.len()));
    if length > OUTPUT_BYTES_MAX {
        return Err(too_long());
    }
    Ok(text.replace(&from, &to))
}

/// Takes the result up to its bound.
#[derive(Default)]
pub(super) struct Bounded {
    pub(super) bytes: Vec<u8>,
    pub(super) full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > OUTPUT_BYTES_MAX {
            self.full = true;
            return Err(io::Error::other("the result is too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
