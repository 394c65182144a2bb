//! A JSON tree whose texts are templates, compiled once for many renderings.

use super::{TREE_DEPTH_MAX, Template, TemplateError, has_tags};
use crate::data::Roots;
use crate::schema::Schema;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A configuration ready to be rendered; cheap to clone.
#[derive(Clone, Debug)]
pub struct JsonTemplate(Arc<Node>);

#[derive(Debug)]
enum Node {
    /// Nothing in it is a template.
    Plain(Value),
    Text(Template),
    /// What cannot be compiled fails when it is rendered, in its turn.
    Broken(TemplateError),
    List(Vec<Node>),
    Fields(Vec<(String, Node)>),
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
        self.0.render(roots, &mut String::new())
    }

    /// What is wrong with its first text that does not compile.
    ///
    /// # Errors
    /// That, with its place as in [`Self::render`].
    pub fn check(&self) -> Result<(), TemplateError> {
        self.0.check(&mut String::new())
    }
}

impl Node {
    fn compile(tree: &Value, schema: &Schema, depth: usize) -> Self {
        if depth > TREE_DEPTH_MAX {
            let why = format!("the configuration is nested more than {TREE_DEPTH_MAX} deep");
            return Self::Broken(TemplateError::new("template_data", why, "", 0, 0));
        }
        let plain = |node: &Self| matches!(node, Self::Plain(_));
        match tree {
            // The limits are for templates; a long plain text is none.
            Value::String(text) if has_tags(text) => match Template::compile(text, schema) {
                Ok(template) => Self::Text(template),
                Err(error) => Self::Broken(error),
            },
            Value::Array(items) => {
                let nodes = items.iter().map(|it| Self::compile(it, schema, depth + 1));
                let nodes: Vec<Self> = nodes.collect();
                match nodes.iter().all(plain) {
                    true => Self::Plain(tree.clone()),
                    false => Self::List(nodes),
                }
            }
            Value::Object(fields) => {
                let nodes = fields.iter().map(|(name, value)| {
                    let node = Self::compile(value, schema, depth + 1);
                    (name.clone(), node)
                });
                let nodes: Vec<(String, Self)> = nodes.collect();
                match nodes.iter().all(|(_, node)| plain(node)) {
                    true => Self::Plain(tree.clone()),
                    false => Self::Fields(nodes),
                }
            }
            plain => Self::Plain(plain.clone()),
        }
    }

    fn render(&self, roots: &Roots<'_>, path: &mut String) -> Result<Value, TemplateError> {
        let length = path.len();
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => {
                Value::String(template.render(roots).map_err(|error| error.at(path))?)
            }
            Self::Broken(error) => return Err(error.clone().at(path)),
            Self::List(nodes) => {
                let mut rendered = Vec::with_capacity(nodes.len());
                for (index, node) in nodes.iter().enumerate() {
                    step(path, &index.to_string());
                    rendered.push(node.render(roots, path)?);
                    path.truncate(length);
                }
                Value::Array(rendered)
            }
            Self::Fields(nodes) => {
                let mut rendered = Map::new();
                for (name, node) in nodes {
                    step(path, name);
                    rendered.insert(name.clone(), node.render(roots, path)?);
                    path.truncate(length);
                }
                Value::Object(rendered)
            }
        })
    }

    fn check(&self, path: &mut String) -> Result<(), TemplateError> {
        let length = path.len();
        match self {
            Self::Plain(_) | Self::Text(_) => {}
            Self::Broken(error) => return Err(error.clone().at(path)),
            Self::List(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    step(path, &index.to_string());
                    node.check(path)?;
                    path.truncate(length);
                }
            }
            Self::Fields(nodes) => {
                for (name, node) in nodes {
                    step(path, name);
                    node.check(path)?;
                    path.truncate(length);
                }
            }
        }
        Ok(())
    }
}

/// One step further in a JSON pointer.
fn step(path: &mut String, name: &str) {
    path.push('/');
    if name.contains(['~', '/']) {
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
    } else {
        path.push_str(name);
    }
}
