//! Parser events to trees: keys checked, aliases expanded within bounds, every syntax error collected.

use super::scalar::meaning;
use super::{Entry, Meaning, Node, Position, Scalar, Value, join, join_index};
use crate::error::{ERRORS_KEPT_MAX, code};
use crate::limits::{ALIAS_EXPANSION_MAX, DEPTH_MAX, NODES_MAX};
use crate::wording::clip;
use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};
use std::collections::BTreeMap;

/// What a text held.
pub(crate) struct Loaded {
    /// Documents that hold something, each with its number from 1 among all of the text's.
    pub documents: Vec<(usize, Node)>,
    pub faults: Vec<Fault>,
    /// A document could not be read, so what the text declares is not known in full.
    pub incomplete: bool,
}

/// Something wrong with the text itself.
pub(crate) struct Fault {
    pub document: usize,
    pub at: Position,
    pub field: String,
    pub code: &'static str,
    pub message: String,
    pub hint: String,
}

/// Past so many unreadable documents the rest of the text is not looked at.
const SYNTAX_ERRORS_MAX: usize = 100;

/// Reads all documents of a text. A syntax error costs the document it is in; the next ones are still read.
pub(crate) fn parse(text: &str) -> Loaded {
    let mut options = granit_parser::options! {
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    options.set_emit_comments(false);
    let mut parser =
        Parser::new_from_str_with_options(text.strip_prefix('\u{feff}').unwrap_or(text), options);
    let mut builder = Builder::default();
    let mut syntax_errors = 0;
    loop {
        let event = match parser.next_event() {
            None => break,
            Some(Ok((event, span))) => builder.take(event, span),
            Some(Err(error)) => Err(Stop::Document(Fault {
                document: builder.ordinal.max(1),
                at: position(*error.marker()),
                field: builder.path(),
                code: code::YAML_SYNTAX,
                message: format!("not valid YAML: {}", error.info()),
                hint: String::new(),
            })),
        };
        let fault = match event {
            Ok(()) => continue,
            Err(Stop::Everything(fault)) => {
                builder.abandon(fault);
                break;
            }
            Err(Stop::Document(fault)) => fault,
        };
        builder.abandon(fault);
        syntax_errors += 1;
        if syntax_errors >= SYNTAX_ERRORS_MAX || !matches!(parser.proceed_next_document(), Ok(true))
        {
            break;
        }
    }
    Loaded {
        documents: builder.documents,
        faults: builder.faults,
        incomplete: builder.incomplete,
    }
}

/// Why reading cannot go on with this document, or at all.
enum Stop {
    Document(Fault),
    Everything(Fault),
}

#[derive(Default)]
struct Builder {
    documents: Vec<(usize, Node)>,
    faults: Vec<Fault>,
    incomplete: bool,
    /// The number of the document being read.
    ordinal: usize,
    stack: Vec<Frame>,
    anchors: BTreeMap<usize, Anchored>,
    nodes: usize,
    expanded: usize,
}

/// A collection that is being read.
struct Frame {
    at: Position,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<Entry>,
        key: Option<Key>,
    },
}

/// A key whose value is still to come; without text where the key was refused.
struct Key {
    text: Option<Box<str>>,
    at: Position,
}

/// A finished node with a name, and what copying it costs.
struct Anchored {
    node: Node,
    weight: usize,
    depth: usize,
}

fn position(marker: Marker) -> Position {
    Position {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let at = position(span.start);
        match event {
            Event::DocumentStart(..) => {
                self.ordinal += 1;
                self.anchors.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let meaning = meaning(&text, style, tag.as_deref()).map_err(|message| {
                    Stop::Document(
                        self.fault(at, code::YAML_SYNTAX, message)
                            .hint("leave the tag out, or quote the value to make it text"),
                    )
                })?;
                let merge = &*text == "<<" && style == ScalarStyle::Plain;
                if merge && self.expects_key() {
                    let fault =
                        self.fault(at, code::YAML_SYNTAX, "merge keys are not part of YAML 1.2");
                    return Err(Stop::Document(
                        fault.hint("write the fields out, or give the whole value an alias"),
                    ));
                }
                let scalar = Scalar {
                    text: text.into(),
                    meaning,
                };
                let value = Value::Scalar(scalar);
                self.finish(Node { at, value }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.collection_tag(at, tag.as_deref(), "seq")?;
                self.open(at, anchor, Content::Sequence(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.collection_tag(at, tag.as_deref(), "map")?;
                let entries = Vec::new();
                self.open(at, anchor, Content::Mapping { entries, key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.expand(at, anchor),
            _ => Ok(()),
        }
    }

    fn fault(&self, at: Position, code: &'static str, message: impl Into<String>) -> Fault {
        Fault {
            document: self.ordinal.max(1),
            at,
            field: self.path(),
            code,
            message: message.into(),
            hint: String::new(),
        }
    }

    fn abandon(&mut self, fault: Fault) {
        self.faults.push(fault);
        self.incomplete = true;
        self.stack.clear();
        self.anchors.clear();
    }

    /// The field being read.
    fn path(&self) -> String {
        self.stack
            .iter()
            .fold(String::new(), |path, frame| match &frame.content {
                Content::Sequence(items) => join_index(&path, items.len()),
                Content::Mapping { key: Some(key), .. } => match &key.text {
                    Some(text) => join(&path, &clip(text)),
                    None => path,
                },
                Content::Mapping { key: None, .. } => path,
            })
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Frame {
                content: Content::Mapping { key: None, .. },
                ..
            })
        )
    }

    fn collection_tag(&self, at: Position, tag: Option<&Tag>, wanted: &str) -> Result<(), Stop> {
        match tag {
            Some(tag) if tag.core_suffix() != Some(wanted) && tag.original() != "!" => {
                let message = format!("tag `{}` does not fit here", tag.original());
                let fault = self.fault(at, code::YAML_SYNTAX, message);
                Err(Stop::Document(fault.hint("leave the tag out")))
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, at: Position, anchor: usize, content: Content) -> Result<(), Stop> {
        self.check_depth(at, 1)?;
        self.stack.push(Frame {
            at,
            anchor,
            content,
        });
        Ok(())
    }

    fn check_depth(&self, at: Position, more: usize) -> Result<(), Stop> {
        if self.stack.len() + more <= DEPTH_MAX {
            return Ok(());
        }
        let message = format!("nested deeper than {DEPTH_MAX} levels");
        Err(Stop::Document(self.fault(at, code::TOO_LARGE, message)))
    }

    fn close(&mut self) -> Result<(), Stop> {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        let value = match frame.content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { entries, .. } => Value::Mapping(self.without_repeats(entries)),
        };
        let at = frame.at;
        self.finish(Node { at, value }, frame.anchor)
    }

    /// Drops keys that were there before, and says so.
    fn without_repeats(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let path = self.path();
        let mut first: BTreeMap<&str, Position> = BTreeMap::new();
        let mut repeats = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            match first.get(&*entry.key) {
                None => {
                    first.insert(&entry.key, entry.at);
                }
                Some(earlier) => {
                    repeats.push(index);
                    if self.faults.len() >= ERRORS_KEPT_MAX {
                        continue;
                    }
                    self.faults.push(Fault {
                        document: self.ordinal.max(1),
                        at: entry.at,
                        field: join(&path, &clip(&entry.key)),
                        code: code::DUPLICATE_KEY,
                        message: format!(
                            "key `{}` stands here for the second time; the first is on line {}",
                            clip(&entry.key),
                            earlier.line
                        ),
                        hint: "remove one of them".to_owned(),
                    });
                }
            }
        }
        if repeats.is_empty() {
            return entries;
        }
        let mut repeats = repeats.into_iter().peekable();
        let kept = entries.into_iter().enumerate();
        kept.filter(|(index, _)| repeats.next_if_eq(index).is_none())
            .map(|(_, entry)| entry)
            .collect()
    }

    /// A node is complete: it may have a name, and goes where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let message = format!("more than {NODES_MAX} values in one text");
            let fault = self.fault(node.at, code::TOO_LARGE, message);
            return Err(Stop::Everything(fault.hint("split it into several files")));
        }
        if anchor != 0 {
            let (weight, depth) = measure(&node);
            let node = node.clone();
            // The copy kept for aliases is a copy like any other.
            self.spend(node.at, weight)?;
            self.anchors.insert(
                anchor,
                Anchored {
                    node,
                    weight,
                    depth,
                },
            );
        }
        self.place(node)
    }

    /// Counts a copy of something this heavy. Without a bound, a few lines of aliases to aliases would fill
    /// the memory.
    fn spend(&mut self, at: Position, weight: usize) -> Result<(), Stop> {
        self.expanded = self.expanded.saturating_add(weight);
        if self.expanded <= ALIAS_EXPANSION_MAX {
            return Ok(());
        }
        let message = "aliases make this text many times larger than it is written";
        let fault = self.fault(at, code::TOO_LARGE, message);
        Err(Stop::Everything(fault.hint("write the values out")))
    }

    fn expand(&mut self, at: Position, anchor: usize) -> Result<(), Stop> {
        let Some((weight, depth)) = self.anchors.get(&anchor).map(|a| (a.weight, a.depth)) else {
            let fault = self.fault(
                at,
                code::YAML_SYNTAX,
                "alias to a value that it is itself part of",
            );
            return Err(Stop::Document(fault.hint("write the value out")));
        };
        self.check_depth(at, depth)?;
        self.spend(at, weight)?;
        match self.anchors.get(&anchor) {
            Some(anchored) => {
                let node = anchored.node.clone();
                self.place(node)
            }
            None => Ok(()),
        }
    }

    /// Puts a node where the reading stands.
    fn place(&mut self, node: Node) -> Result<(), Stop> {
        let at = node.at;
        match self.stack.last_mut().map(|frame| &mut frame.content) {
            None => {
                if !node.is_null() {
                    self.documents.push((self.ordinal, node));
                }
            }
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, key }) => {
                match key.take() {
                    Some(Key { text, at }) => {
                        if let Some(key) = text {
                            entries.push(Entry {
                                key,
                                at,
                                value: node,
                            });
                        }
                    }
                    None => match node.value {
                        Value::Scalar(scalar)
                            if scalar.meaning != Meaning::Null || !scalar.text.is_empty() =>
                        {
                            *key = Some(Key {
                                text: Some(scalar.text),
                                at,
                            });
                        }
                        _ => {
                            *key = Some(Key { text: None, at });
                            if self.faults.len() >= ERRORS_KEPT_MAX {
                                return Ok(());
                            }
                            let fault = self.fault(at, code::YAML_SYNTAX, "a key must be text");
                            self.faults.push(fault.hint(
                                "a value that starts with `{` or `[` needs quotes: \"{{ … }}\"",
                            ));
                        }
                    },
                }
            }
        }
        Ok(())
    }
}

impl Fault {
    fn hint(mut self, hint: &str) -> Self {
        hint.clone_into(&mut self.hint);
        self
    }
}

/// What a copy of a node costs in memory, and how many levels of collections it has.
fn measure(node: &Node) -> (usize, usize) {
    const NODE: usize = size_of::<Entry>();
    match &node.value {
        Value::Scalar(scalar) => (NODE + scalar.text.len(), 0),
        Value::Sequence(items) => items.iter().fold((NODE, 1), |(weight, depth), item| {
            let (more, below) = measure(item);
            (weight + more, depth.max(below + 1))
        }),
        Value::Mapping(entries) => entries.iter().fold((NODE, 1), |(weight, depth), entry| {
            let (more, below) = measure(&entry.value);
            (weight + more + entry.key.len(), depth.max(below + 1))
        }),
    }
}
