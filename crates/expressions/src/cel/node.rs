//! The compiled form of an expression.

use std::sync::Arc;

use jiff::SignedDuration;
use regex::Regex;

use super::time::Moment;

/// A value that is known when the expression is compiled.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Const {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(Box<str>),
    Timestamp(Moment),
    Duration(SignedDuration),
}

/// A root and the fields selected from it, all known when the expression is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) root: Box<str>,
    pub(super) steps: Vec<Box<str>>,
}

impl Path {
    /// `resource.metadata.env`, cut after `steps` steps; keys that are no plain words as `["a/b"]`.
    pub(super) fn spelled(&self, steps: usize) -> String {
        let mut spelled = self.root.to_string();
        for step in self.steps.iter().take(steps) {
            push_step(&mut spelled, step);
        }
        spelled
    }
}

/// Appends one selected field or key in its shortest spelling.
pub(crate) fn push_step(path: &mut String, step: &str) {
    let plain = step.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && step.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if plain {
        path.push('.');
        path.push_str(step);
    } else {
        path.push('[');
        path.push_str(&serde_json::Value::from(step).to_string());
        path.push(']');
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Comparison {
    pub(super) fn spelled(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterEqual => ">=",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Arithmetic {
    pub(super) fn spelled(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Remainder => "%",
        }
    }
}

/// A test of one text against another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

#[derive(Debug)]
pub(super) enum Pattern {
    Fixed(Regex),
    Given(Box<Node>),
}

#[derive(Debug)]
pub(super) enum Node {
    Const(Const),
    Path(Path),
    /// A comprehension's variable, by its place on the evaluator's stack.
    Local(usize),
    Field(Box<Node>, Box<str>),
    Index(Box<Node>, Box<Node>),
    /// `has(of.name)`.
    Has(Box<Node>, Box<str>),
    Not(Box<Node>),
    Negate(Box<Node>),
    /// At least two terms. Shared, because each is also a program of its own.
    And(Vec<Arc<Node>>),
    /// At least two terms.
    Or(Vec<Node>),
    If(Box<[Node; 3]>),
    Compare(Comparison, Box<[Node; 2]>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    /// `in` a list of which every element is known.
    InKnown(Box<Node>, Vec<Const>),
    TextTest(TextTest, Box<[Node; 2]>),
    Matches(Box<Node>, Pattern),
    LowerAscii(Box<Node>),
    UpperAscii(Box<Node>),
    Size(Box<Node>),
    Timestamp(Box<Node>),
    Duration(Box<Node>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Fold {
        fold: Fold,
        range: Box<Node>,
        /// Place of the variable on the evaluator's stack.
        slot: usize,
        /// The test; for `map` only with three arguments.
        test: Option<Box<Node>>,
        /// What `map` makes of each element.
        mapped: Option<Box<Node>>,
    },
}

impl Node {
    /// Whether the value can never be true or false, whatever the data.
    pub(super) fn never_bool(&self) -> bool {
        match self {
            Node::Const(constant) => !matches!(constant, Const::Bool(_)),
            Node::Negate(_)
            | Node::Arithmetic(..)
            | Node::LowerAscii(_)
            | Node::UpperAscii(_)
            | Node::Size(_)
            | Node::Timestamp(_)
            | Node::Duration(_)
            | Node::List(_)
            | Node::Map(_) => true,
            Node::Fold { fold, .. } => matches!(fold, Fold::Filter | Fold::Map),
            Node::If(parts) => parts[1].never_bool() && parts[2].never_bool(),
            _ => false,
        }
    }
}
