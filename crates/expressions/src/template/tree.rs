//! A JSON tree whose texts are templates, compiled once for many renderings.

use super::{TREE_DEPTH_MAX, Template, TemplateError, has_tags};
use crate::data::Roots;
use crate::schema::Schema;
use serde_json::Value;
use std::sync::Arc;

/// What most configurations have room in.
const TEXT_BYTES_GUESSED: usize = 256;

/// A configuration ready to be rendered; cheap to clone.
#[derive(Clone, Debug)]
pub struct JsonTemplate(Arc<Node>);

#[derive(Debug)]
enum Node {
    /// Nothing in it is a template.
    Plain {
        value: Value,
        written: Box<str>,
    },
    Text(Template),
    /// What cannot be compiled fails when it is rendered, in its turn.
    Broken(TemplateError),
    List(Vec<Node>),
    Fields(Vec<Field>),
}

#[derive(Debug)]
struct Field {
    name: String,
    /// The name as JSON.
    written: Box<str>,
    node: Node,
}

impl JsonTemplate {
    /// Compiles every text of a tree. What is wrong with one is told by [`Self::render`].
    #[must_use]
    pub fn compile(tree: &Value, schema: &Schema) -> Self {
        Self(Arc::new(Node::compile(tree, schema, 0)))
    }

    /// Renders every text; keys, numbers and the rest stay as they are.
    ///
    /// # Errors
    /// The first one in the order of the tree; it says where it arose, as a JSON pointer such as
    /// `/headers/authorization`.
    pub fn render(&self, roots: &Roots<'_>) -> Result<Value, TemplateError> {
        self.0.render(roots).map_err(|error| error.told())
    }

    /// Writes what [`Self::render`] gives as JSON text, without making the value.
    ///
    /// # Errors
    /// Those of [`Self::render`].
    pub fn render_text(&self, roots: &Roots<'_>) -> Result<String, TemplateError> {
        let mut text = String::with_capacity(TEXT_BYTES_GUESSED);
        self.0
            .write(roots, &mut text)
            .map_err(|error| error.told())?;
        Ok(text)
    }

    /// What is wrong with its first text that does not compile.
    ///
    /// # Errors
    /// That, with its place as in [`Self::render`].
    pub fn check(&self) -> Result<(), TemplateError> {
        self.0.check().map_err(|error| error.told())
    }
}

/// An error in a tree.
struct Misplaced {
    error: TemplateError,
    /// The steps to where it arose, the last one first.
    steps: Vec<String>,
}

impl Misplaced {
    fn of(error: TemplateError) -> Box<Self> {
        let steps = Vec::new();
        Box::new(Self { error, steps })
    }

    fn below(mut self: Box<Self>, step: impl ToString) -> Box<Self> {
        self.steps.push(step.to_string());
        self
    }

    /// The error with its place, as a JSON pointer.
    fn told(self) -> TemplateError {
        let mut path = String::new();
        for step in self.steps.iter().rev() {
            path.push('/');
            path.push_str(&step.replace('~', "~0").replace('/', "~1"));
        }
        self.error.at(&path)
    }
}

type Placed<T> = Result<T, Box<Misplaced>>;

impl Node {
    fn compile(tree: &Value, schema: &Schema, depth: usize) -> Self {
        if depth > TREE_DEPTH_MAX {
            let why = format!("the configuration is nested more than {TREE_DEPTH_MAX} deep");
            return Self::Broken(TemplateError::new("template_data", why, "", 0, 0));
        }
        let is_plain = |node: &Self| matches!(node, Self::Plain { .. });
        match tree {
            // The limits are for templates; a long plain text is none.
            Value::String(text) if has_tags(text) => match Template::compile(text, schema) {
                Ok(template) => Self::Text(template),
                Err(error) => Self::Broken(error),
            },
            Value::Array(items) => {
                let nodes = items.iter().map(|it| Self::compile(it, schema, depth + 1));
                let nodes: Vec<Self> = nodes.collect();
                match nodes.iter().all(is_plain) {
                    true => Self::plain(tree),
                    false => Self::List(nodes),
                }
            }
            Value::Object(fields) => {
                let nodes = fields.iter().map(|(name, value)| Field {
                    name: name.clone(),
                    written: written(name).into(),
                    node: Self::compile(value, schema, depth + 1),
                });
                let nodes: Vec<Field> = nodes.collect();
                match nodes.iter().all(|it| is_plain(&it.node)) {
                    true => Self::plain(tree),
                    false => Self::Fields(nodes),
                }
            }
            plain => Self::plain(plain),
        }
    }

    fn plain(value: &Value) -> Self {
        Self::Plain {
            value: value.clone(),
            written: value.to_string().into(),
        }
    }

    fn render(&self, roots: &Roots<'_>) -> Placed<Value> {
        Ok(match self {
            Self::Plain { value, .. } => value.clone(),
            Self::Text(template) => Value::String(template.render(roots).map_err(Misplaced::of)?),
            Self::Broken(error) => return Err(Misplaced::of(error.clone())),
            Self::List(nodes) => {
                let nodes = nodes.iter().enumerate();
                let rendered = nodes.map(|(index, node)| {
                    let rendered = node.render(roots);
                    rendered.map_err(|error| error.below(index))
                });
                Value::Array(rendered.collect::<Placed<_>>()?)
            }
            Self::Fields(fields) => {
                let rendered = fields.iter().map(|Field { name, node, .. }| {
                    let rendered = node.render(roots);
                    let rendered = rendered.map_err(|error| error.below(name))?;
                    Ok((name.clone(), rendered))
                });
                Value::Object(rendered.collect::<Placed<_>>()?)
            }
        })
    }

    /// Writes, as JSON, what [`Self::render`] gives.
    fn write(&self, roots: &Roots<'_>, into: &mut String) -> Placed<()> {
        match self {
            Self::Plain { written, .. } => into.push_str(written),
            Self::Text(template) => {
                let text = template.render(roots).map_err(Misplaced::of)?;
                push_text(into, &text);
            }
            Self::Broken(error) => return Err(Misplaced::of(error.clone())),
            Self::List(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    into.push(if index == 0 { '[' } else { ',' });
                    let written = node.write(roots, into);
                    written.map_err(|error| error.below(index))?;
                }
                into.push(']');
            }
            Self::Fields(fields) => {
                for (index, field) in fields.iter().enumerate() {
                    into.push(if index == 0 { '{' } else { ',' });
                    into.push_str(&field.written);
                    into.push(':');
                    let written = field.node.write(roots, into);
                    written.map_err(|error| error.below(&field.name))?;
                }
                into.push('}');
            }
        }
        Ok(())
    }

    fn check(&self) -> Placed<()> {
        match self {
            Self::Plain { .. } | Self::Text(_) => Ok(()),
            Self::Broken(error) => Err(Misplaced::of(error.clone())),
            Self::List(nodes) => nodes
                .iter()
                .enumerate()
                .try_for_each(|(index, node)| node.check().map_err(|error| error.below(index))),
            Self::Fields(fields) => fields
                .iter()
                .try_for_each(|it| it.node.check().map_err(|error| error.below(&it.name))),
        }
    }
}

/// A text as JSON.
fn written(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 2);
    push_text(&mut written, text);
    written
}

/// Writes a text as JSON.
fn push_text(into: &mut String, text: &str) {
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    match text.bytes().all(is_plain) {
        true => {
            into.push('"');
            into.push_str(text);
            into.push('"');
        }
        false => into.push_str(&Value::from(text).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::View;
    use crate::schema::Shape;
    use serde_json::json;

    fn schema() -> Schema {
        Schema {
            roots: vec![("at", Shape::Any)],
        }
    }

    #[test]
    fn what_is_written_is_the_value_as_text() {
        let schema = schema();
        let data = json!({"host": "h\"1\"\n\u{1}é", "port": 8080});
        let roots = Roots::new().with("at", View::Json(&data));
        for tree in [
            json!("{{ at.host }}"),
            json!({"z": "{{ at.host }}", "a": [1.5, null, "{{ at.port }}", {}], "q\"\t": {"k": ["{{ at.port }}"]}}),
            json!(["plain", {"text": "\u{7f}\u{1f}\\"}]),
            json!([]),
            json!(-1.797_693_134_862_315_7e308),
        ] {
            let template = JsonTemplate::compile(&tree, &schema);
            let value = template.render(&roots).unwrap();
            assert_eq!(template.render_text(&roots).unwrap(), value.to_string());
        }
    }

    #[test]
    fn both_ways_fail_alike_and_say_where() {
        let schema = schema();
        let data = json!({});
        let roots = Roots::new().with("at", View::Json(&data));
        let tree = json!({"a": "plain", "b/c": [0, {"~": "{{ at.host }}"}]});
        let template = JsonTemplate::compile(&tree, &schema);
        let error = template.render(&roots).unwrap_err().to_string();
        assert!(error.contains("`/b~1c/1/~0`"), "{error}");
        assert_eq!(template.render_text(&roots).unwrap_err().to_string(), error);
    }
}
