//! `{{ }}` templates in agents' and providers' configurations.
//!
//! `{{ resource.config.host }}` and `{{ .resource.config.host }}` mean the
//! same. What does not exist is an error that names it, never an empty text;
//! so is a null. Lists and maps are written as JSON. There are `if`, `for`,
//! `raw` and a handful of filters; nothing is included, assigned or escaped.

mod engine;
mod error;
mod scan;
mod simple;
mod tree;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, Value as Rendered};
use serde_json::Value;

pub use engine::OUTPUT_BYTES_MAX;
pub use error::TemplateError;
pub use scan::{NESTING_MAX, TAG_TOKENS_MAX, TEXT_BYTES_MAX};
pub use tree::JsonTemplate;

use engine::Bounded;
use scan::{Kind, Scanned, Token};

use crate::cel::{push_step, view_to_json};
use crate::data::{Roots, View};
use crate::schema::{Schema, suggest};

/// Deepest JSON tree whose texts are rendered.
const TREE_DEPTH_MAX: usize = 128;

/// The name under which the one template of an environment is kept.
const NAME: &str = "template";

/// A compiled template; cheap to clone and to share between threads.
#[derive(Clone)]
pub struct Template {
    inner: Arc<Inner>,
}

struct Inner {
    text: String,
    /// `None` when the text has no tags: it stands for itself.
    env: Option<Environment<'static>>,
    /// Its pieces, when it needs no engine for data that is there.
    simple: Option<Vec<simple::Piece>>,
    /// The roots that are mentioned, with the fields selected from them; `None` when a root is used as a whole.
    mentioned: BTreeMap<String, Option<Vec<String>>>,
}

impl Template {
    /// Compiles a template; refuses what the schema has not, and filters that do not exist.
    pub fn compile(text: &str, schema: &Schema) -> Result<Template, TemplateError> {
        let scanned = scan::scan(text)?;
        if !text.contains('{') || !has_tags(text) {
            return Ok(Self::new(text, None, BTreeMap::new()));
        }
        for tag in &scanned.tags {
            check_names(&scanned.text, tag)?;
        }
        let mut env = engine::environment();
        env.add_template_owned(NAME, scanned.text.clone())
            .map_err(|error| told(text, &error))?;
        let variables = env
            .get_template(NAME)
            .map_err(|error| told(text, &error))?
            .undeclared_variables(false);
        let mut mentioned = BTreeMap::new();
        for tag in &scanned.tags {
            for chain in chains(&scanned, tag) {
                if variables.contains(chain.root) {
                    chain.check(&scanned.text, schema)?;
                    chain.mention(&mut mentioned);
                }
            }
        }
        // Whatever the scan did not place is still checked, and given as a whole.
        for root in variables {
            if let Entry::Vacant(place) = mentioned.entry(root) {
                schema.check(place.key(), &[]).map_err(|misfit| {
                    TemplateError::new("template_unknown_root", misfit.message, text, 0, 0)
                        .hint(misfit.hint)
                })?;
                place.insert(None);
            }
        }
        Ok(Self::new(text, Some(env), mentioned))
    }

    fn new(
        text: &str,
        env: Option<Environment<'static>>,
        mentioned: BTreeMap<String, Option<Vec<String>>>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                text: text.to_owned(),
                simple: simple::pieces(text),
                env,
                mentioned,
            }),
        }
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// The roots it mentions.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        self.inner.mentioned.keys().map(String::as_str)
    }

    /// Renders it over the data; at most [`OUTPUT_BYTES_MAX`] bytes.
    pub fn render(&self, roots: &Roots<'_>) -> Result<String, TemplateError> {
        let text = &self.inner.text;
        let Some(env) = &self.inner.env else {
            return Ok(text.clone());
        };
        let simple = self.inner.simple.as_deref();
        if let Some(written) = simple.and_then(|pieces| simple::write(pieces, roots)) {
            return Ok(written);
        }
        self.render_with_engine(env, roots)
    }

    fn render_with_engine(
        &self,
        env: &Environment<'static>,
        roots: &Roots<'_>,
    ) -> Result<String, TemplateError> {
        let text = &self.inner.text;
        let context = self.context(roots)?;
        let template = env.get_template(NAME).map_err(|error| told(text, &error))?;
        let mut out = Bounded::default();
        if let Err(error) = template.render_captured_to(context, &mut out) {
            if out.full {
                return Err(TemplateError::new(
                    "template_output_too_long",
                    format!("the result is longer than {OUTPUT_BYTES_MAX} bytes"),
                    text,
                    0,
                    0,
                ));
            }
            return Err(told(text, &error));
        }
        String::from_utf8(out.bytes)
            .map_err(|_| TemplateError::new("template_value", "the result is no text", text, 0, 0))
    }

    /// The data that the template mentions, and no more.
    fn context(&self, roots: &Roots<'_>) -> Result<Rendered, TemplateError> {
        let mut context = serde_json::Map::new();
        for (root, fields) in &self.inner.mentioned {
            let Some(view) = roots.get(root) else {
                continue;
            };
            let value = match (fields, view) {
                (Some(fields), View::Object(object)) => {
                    let mut kept = serde_json::Map::new();
                    for field in fields {
                        if let Some(value) = object.get(field) {
                            kept.insert(field.clone(), self.converted(value, root)?);
                        }
                    }
                    Value::Object(kept)
                }
                (_, view) => self.converted(view.clone(), root)?,
            };
            context.insert(root.clone(), value);
        }
        Ok(Rendered::from(Serde(Value::Object(context))))
    }

    fn converted(&self, view: View<'_>, root: &str) -> Result<Value, TemplateError> {
        view_to_json(view).map_err(|error| {
            TemplateError::new(
                "template_data",
                format!("`{root}` cannot be read: {}", error.message),
                &self.inner.text,
                0,
                0,
            )
        })
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.inner.text).finish()
    }
}

fn has_tags(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|tag| text.contains(tag))
}

/// Refuses filters and tests that do not exist: the engine would only say so when it meets them.
fn check_names(text: &str, tag: &[Token]) -> Result<(), TemplateError> {
    let spelled = |i: usize| tag.get(i).map_or("", |token| &text[token.start..token.end]);
    for (i, token) in tag.iter().enumerate() {
        if token.kind != Kind::Word || i == 0 {
            continue;
        }
        let after_is =
            spelled(i - 1) == "is" || spelled(i - 1) == "not" && i >= 2 && spelled(i - 2) == "is";
        let (what, known): (_, &[&str]) = match spelled(i - 1) {
            "|" => ("filter", &engine::FILTERS),
            _ if after_is && spelled(i) != "not" => ("test", &engine::TESTS),
            _ => continue,
        };
        let name = spelled(i);
        if !known.contains(&name) {
            return Err(TemplateError::new(
                "template_unknown_filter",
                format!("there is no {what} `{name}`"),
                text,
                token.start,
                token.end,
            )
            .hint(
                suggest(name, known.iter().copied())
                    .or_else(|| Some(format!("available: `{}`", known.join("`, `")))),
            ));
        }
    }
    Ok(())
}

/// A name with the fields selected from it, as it stands in a tag.
struct Chain<'t> {
    root: &'t str,
    /// Each field with the place of its token; `None` when it is only known at run time.
    steps: Vec<Option<String>>,
    tokens: Vec<Token>,
}

/// Every name of a tag that is no field, filter, test or argument's name.
fn chains<'t>(scanned: &'t Scanned, tag: &[Token]) -> Vec<Chain<'t>> {
    let text = &scanned.text;
    let spelled = |i: usize| tag.get(i).map_or("", |token| &text[token.start..token.end]);
    let mut found = Vec::new();
    for (i, token) in tag.iter().enumerate() {
        let before = i.checked_sub(1).map_or("", spelled);
        let argument = spelled(i + 1) == "=" && spelled(i + 2) != "=";
        if token.kind != Kind::Word || matches!(before, "." | "|") || argument {
            continue;
        }
        let mut chain = Chain {
            root: &text[token.start..token.end],
            steps: Vec::new(),
            tokens: vec![*token],
        };
        let mut at = i + 1;
        loop {
            let inside = tag.get(at + 1).copied();
            match (spelled(at), inside) {
                (".", Some(name)) if matches!(name.kind, Kind::Word | Kind::Number) => {
                    chain.steps.push(Some(spelled(at + 1).to_owned()));
                    chain.tokens.push(name);
                    at += 2;
                }
                ("[", Some(key)) if key.kind == Kind::Text && spelled(at + 2) == "]" => {
                    let quoted = spelled(at + 1);
                    let plain = &quoted[1..quoted.len() - 1];
                    // What an escape stands for is left to the engine.
                    let known = (!plain.contains('\\')).then(|| plain.to_owned());
                    chain.steps.push(known);
                    chain.tokens.push(key);
                    at += 3;
                }
                ("[", Some(key)) => {
                    chain.steps.push(None);
                    chain.tokens.push(key);
                    break;
                }
                _ => break,
            }
        }
        found.push(chain);
    }
    found
}

impl Chain<'_> {
    fn check(&self, text: &str, schema: &Schema) -> Result<(), TemplateError> {
        let steps: Vec<Option<&str>> = self.steps.iter().map(Option::as_deref).collect();
        schema.check(self.root, &steps).map_err(|misfit| {
            let code = if misfit.step == 0 {
                "template_unknown_root"
            } else {
                "template_unknown_field"
            };
            let token = self.tokens.get(misfit.step);
            let (start, end) = token.map_or((0, 0), |token| (token.start, token.end));
            TemplateError::new(code, misfit.message, text, start, end).hint(misfit.hint)
        })
    }

    fn mention(&self, mentioned: &mut BTreeMap<String, Option<Vec<String>>>) {
        let fields = mentioned
            .entry(self.root.to_owned())
            .or_insert_with(|| Some(Vec::new()));
        match (self.steps.first(), &mut *fields) {
            (Some(Some(field)), Some(fields)) => {
                if !fields.contains(field) {
                    fields.push(field.clone());
                }
            }
            // Used as a whole, or by a field that is only known at run time.
            (Some(None) | None, _) => *fields = None,
            (Some(Some(_)), None) => {}
        }
    }
}

/// The engine's error in our words.
fn told(text: &str, error: &minijinja::Error) -> TemplateError {
    let mut range = error.range().unwrap_or(0..0);
    let detail = error.detail().unwrap_or_default();
    let undefined = detail.strip_suffix(" is undefined").or_else(|| {
        let (_, origin) = detail.strip_suffix(" is undefined)")?.rsplit_once('(')?;
        Some(origin)
    });
    // The engine points at the selections without the root that they start from.
    if let Some((before, rest)) = text.split_at_checked(range.start)
        && rest.starts_with(['.', '['])
    {
        let root = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        range.start = root.len();
    }
    let (code, message) = match error.kind() {
        _ if undefined.is_some() => (
            "template_unresolved",
            format!(
                "{} does not exist",
                straightened(undefined.unwrap_or_default())
            ),
        ),
        ErrorKind::UndefinedError => (
            "template_unresolved",
            "a value that is used here does not exist".to_owned(),
        ),
        ErrorKind::OutOfFuel => (
            "template_cost",
            "the template takes too many steps; loop over less".to_owned(),
        ),
        ErrorKind::WriteFailure => ("template_output_too_long", detail.to_owned()),
        ErrorKind::SyntaxError | ErrorKind::BadEscape => ("template_syntax", detail.to_owned()),
        _ if detail == engine::NULL => (
            "template_null",
            format!(
                "`{}` is null",
                text.get(range.clone()).unwrap_or_default().trim()
            ),
        ),
        kind if detail.is_empty() => ("template_value", kind.to_string()),
        _ => ("template_value", detail.to_owned()),
    };
    let hint = (code == "template_unresolved")
        .then(|| "give a fallback with `| default(\"…\")` if it may be absent".to_owned());
    TemplateError::new(code, message, text, range.start, range.end).hint(hint)
}

/// The engine spells `a['b-c']`; ours is `a["b-c"]`.
fn straightened(path: &str) -> String {
    let mut spelled = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once("['") {
        let Some((key, after)) = after.split_once("']") else {
            break;
        };
        spelled.push_str(before);
        push_step(&mut spelled, key);
        rest = after;
    }
    spelled.push_str(rest);
    spelled
}

/// Renders every text of a JSON tree; keys, numbers and the rest stay as they are.
///
/// An error says where in the tree it arose, as a JSON pointer such as `/headers/authorization`. For several renderings
/// of one tree see [`JsonTemplate`].
pub fn render_json(
    tree: &Value,
    schema: &Schema,
    roots: &Roots<'_>,
) -> Result<Value, TemplateError> {
    JsonTemplate::compile(tree, schema).render(roots)
}

/// Compiles every text of a JSON tree, for the time when a configuration is written.
pub fn check_json(tree: &Value, schema: &Schema) -> Result<(), TemplateError> {
    JsonTemplate::compile(tree, schema).check()
}
