//! YAML text to a tree of values with positions, so that everything can be refused where it stands.

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Number, Value as Json};
use std::collections::BTreeMap;

/// Levels of mappings and lists within each other.
const DEPTH_MAX: usize = 64;
/// Scalars, mappings and lists in one file, copies by aliases included.
const NODES_MAX: usize = 200_000;

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
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub text: String,
    /// Written as it is, so that it may mean a number, a boolean or nothing.
    pub plain: bool,
    /// A `|` block: its lines are the lines of the file.
    pub literal: bool,
}

/// A key of a mapping with its value, in the order of the text.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub at: Position,
    pub value: Node,
}

/// What is wrong with a text.
pub(crate) struct Fault {
    pub at: Position,
    pub message: String,
}

impl Scalar {
    /// The value as JSON, by the core schema of YAML 1.2: `yes` and `no` are text.
    pub fn to_json(&self) -> Json {
        if !self.plain {
            return Json::String(self.text.clone());
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Json::Null,
            "true" | "True" | "TRUE" => Json::Bool(true),
            "false" | "False" | "FALSE" => Json::Bool(false),
            text => number(text).map_or_else(|| Json::String(text.to_owned()), Json::Number),
        }
    }
}

fn number(text: &str) -> Option<Number> {
    let first = text.trim_start_matches(['-', '+']).chars().next()?;
    if !first.is_ascii_digit() && first != '.' {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    if let Ok(whole) = text.parse::<u64>() {
        return Some(whole.into());
    }
    let digits = |letter: char| letter.is_ascii_digit() || "+-.eE".contains(letter);
    text.chars()
        .all(digits)
        .then(|| text.parse().ok().and_then(Number::from_f64))
        .flatten()
}

impl Node {
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.to_json().is_null())
    }

    /// What stands here, in words: `` number `5` ``, `a list`…
    pub fn described(&self) -> String {
        match &self.value {
            Value::List(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
            Value::Scalar(scalar) => match scalar.to_json() {
                Json::Null => "nothing".to_owned(),
                Json::Bool(value) => format!("boolean `{value}`"),
                Json::Number(value) => format!("number `{value}`"),
                _ => format!("text `{}`", clip(&scalar.text)),
            },
        }
    }

    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Scalar(scalar) => scalar.to_json(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Mapping(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

/// The user's text on one line, cut where it is too long for a message.
pub(crate) fn clip(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    let mut shown: String = text
        .chars()
        .take(SHOWN_MAX)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// A collection that is being read.
enum Open {
    List(Vec<Node>),
    Mapping {
        entries: Vec<Entry>,
        key: Option<(String, Position)>,
    },
}

struct Frame {
    at: Position,
    anchor: usize,
    open: Open,
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    stack: Vec<Frame>,
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
}

/// Reads every document of a text.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, Fault> {
    let mut options = granit_parser::options! {
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    options.set_emit_comments(false);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder::default();
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => {
                let at = Position {
                    line: span.start.line().max(1),
                    column: span.start.col() + 1,
                };
                builder
                    .take(event, at)
                    .map_err(|message| Fault { at, message })?;
            }
            Err(error) => {
                return Err(Fault {
                    at: Position {
                        line: error.marker().line().max(1),
                        column: error.marker().col() + 1,
                    },
                    message: format!("not valid YAML: {}", error.info()),
                });
            }
        }
    }
    Ok(builder.documents)
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), String> {
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some() {
                    return Err("tags are not part of the format; leave it out".to_owned());
                }
                let scalar = Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                    literal: style == ScalarStyle::Literal,
                };
                let value = Value::Scalar(scalar);
                self.finish(Node { at, value }, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => self.open(at, anchor, Open::List(Vec::new()))?,
            Event::MappingStart(_, anchor, _) => {
                let entries = Vec::new();
                self.open(at, anchor, Open::Mapping { entries, key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(frame) = self.stack.pop() {
                    let value = match frame.open {
                        Open::List(items) => Value::List(items),
                        Open::Mapping { entries, .. } => Value::Mapping(entries),
                    };
                    let at = frame.at;
                    self.finish(Node { at, value }, frame.anchor)?;
                }
            }
            Event::Alias(anchor) => {
                let Some((node, weight)) = self.anchors.get(&anchor) else {
                    return Err("alias to a value that it is itself part of".to_owned());
                };
                let (node, weight) = (node.clone(), *weight);
                self.count(weight)?;
                self.place(node)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, at: Position, anchor: usize, open: Open) -> Result<(), String> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX} levels"));
        }
        self.stack.push(Frame { at, anchor, open });
        Ok(())
    }

    fn count(&mut self, more: usize) -> Result<(), String> {
        self.nodes += more;
        match self.nodes > NODES_MAX {
            true => Err(format!("more than {NODES_MAX} values in one file")),
            false => Ok(()),
        }
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        self.count(1)?;
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), weight(&node)));
        }
        self.place(node)
    }

    /// Puts a node where the reading stands.
    fn place(&mut self, node: Node) -> Result<(), String> {
        let at = node.at;
        match self.stack.last_mut().map(|frame| &mut frame.open) {
            None => self.documents.push(node),
            Some(Open::List(items)) => items.push(node),
            Some(Open::Mapping { entries, key }) => match key.take() {
                Some((key, at)) => {
                    if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                        return Err(format!(
                            "key `{}` on line {} stands here for the second time; the first is on line {}",
                            clip(&key),
                            at.line,
                            first.at.line
                        ));
                    }
                    let value = node;
                    entries.push(Entry { key, at, value });
                }
                None => match node.value {
                    Value::Scalar(scalar) => *key = Some((scalar.text, at)),
                    _ => return Err("a key must be text".to_owned()),
                },
            },
        }
        Ok(())
    }
}

fn weight(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar(_) => 0,
        Value::List(items) => items.iter().map(weight).sum(),
        Value::Mapping(entries) => entries.iter().map(|entry| weight(&entry.value)).sum(),
    }
}
