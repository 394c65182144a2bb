//! CEL selectors and conditions.
//!
//! A text is scanned (bounds), parsed by the `cel` crate on a thread of its own,
//! checked against the schema and compiled to nodes that are evaluated in place
//! over the caller's data.
//!
//! Where CEL leaves room, this is what holds here:
//!
//! - A missing field or map key makes a whole selector false; `&&`, `||`, `all`
//!   and `exists` absorb it first, so `missing || true` is true and
//!   `missing && false` is false. A null has no fields. A list's element that
//!   does not exist is an error.
//! - Numbers compare by value whatever their types, and add up across them.
//!   JSON numbers without fraction are ints.
//! - `&&` with both missing data and an error counts as missing: evaluating the
//!   [conjuncts](Program::conjuncts) one by one gives what the whole gives.

mod arithmetic;
mod constant;
mod error;
mod eval;
mod lower;
mod node;
mod parse;
mod scan;
mod time;
mod value;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

pub(crate) use error::position;
pub use error::{CompileError, EvalError};
pub use lower::COMPREHENSIONS_NESTED_MAX;
pub(crate) use node::push_step;
pub use parse::{DEPTH_MAX, NODES_MAX};
pub use scan::{CHAIN_MAX, NESTING_MAX, TERMS_MAX, TEXT_BYTES_MAX};

use eval::{Fault, Machine, Missing};
use node::{Comparison, Const, Node, Path, TextTest};
use value::Val;

use crate::data::Roots;
use crate::schema::Schema;

/// Most steps of one evaluation: about one for each operation, element and 64 bytes of text looked at.
pub const COST_MAX: u32 = 100_000;

/// A compiled expression; cheap to clone and to share between threads.
#[derive(Clone)]
pub struct Program {
    inner: Arc<Inner>,
}

struct Inner {
    text: String,
    node: Arc<Node>,
    roots: BTreeSet<Box<str>>,
    conjuncts: Vec<Program>,
}

/// A conjunct of the form `path == "value"`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Equality {
    /// The path in its shortest spelling, whatever way it was written: `resource.metadata.env`,
    /// `resource.metadata["app/name"]`.
    pub path: String,
    /// The root and the fields or keys selected from it: `["resource", "metadata", "env"]`.
    pub steps: Vec<String>,
    /// The text it is compared with.
    pub value: String,
}

/// A conjunct that can be answered from an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The root and the fields or keys selected from it: `["resource", "metadata", "env"]`.
    pub steps: Vec<String>,
    /// What must hold of the text there.
    pub test: Test,
}

/// What must hold of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// It is one of these.
    OneOf(Vec<String>),
    /// It starts like this.
    StartsWith(String),
}

impl Requirement {
    fn of(term: &Node) -> Option<Self> {
        let (path, test) = match term {
            Node::Compare(..) => {
                let (path, value) = equal_text(term)?;
                (path, Test::OneOf(vec![value.to_owned()]))
            }
            Node::TextTest(TextTest::StartsWith, pair) => match &**pair {
                [Node::Path(path), Node::Const(Const::Text(prefix))] => {
                    (path, Test::StartsWith(prefix.to_string()))
                }
                _ => return None,
            },
            Node::InKnown(of, known) => {
                let Node::Path(path) = &**of else {
                    return None;
                };
                let texts = known.iter().map(|it| match it {
                    Const::Text(text) => Some(text.to_string()),
                    _ => None,
                });
                (path, Test::OneOf(texts.collect::<Option<_>>()?))
            }
            _ => return None,
        };
        let steps = std::iter::once(&path.root).chain(&path.steps);
        Some(Self {
            steps: steps.map(|step| step.to_string()).collect(),
            test,
        })
    }
}

impl Program {
    /// Compiles an expression of any type.
    ///
    /// Bounded in time and memory whatever the text; refuses what the schema has not.
    pub fn compile(text: &str, schema: &Schema) -> Result<Program, CompileError> {
        let lowered = parse::parse(text, schema)?;
        let conjuncts = lowered
            .conjuncts
            .into_iter()
            .map(|conjunct| Program {
                inner: Arc::new(Inner {
                    text: conjunct.text,
                    node: conjunct.node,
                    roots: conjunct.roots,
                    conjuncts: Vec::new(),
                }),
            })
            .collect();
        Ok(Program {
            inner: Arc::new(Inner {
                text: text.to_owned(),
                node: lowered.node,
                roots: lowered.roots,
                conjuncts,
            }),
        })
    }

    /// Compiles a selector or condition: also refuses what can never be true or false, such as `1 + 1`.
    pub fn compile_condition(text: &str, schema: &Schema) -> Result<Program, CompileError> {
        let program = Self::compile(text, schema)?;
        if program.inner.node.never_bool() {
            let trimmed = text.trim();
            let start = text.len() - text.trim_start().len();
            return Err(CompileError::new(
                "cel_not_bool",
                "the expression never gives true or false",
                text,
                start,
                start + trimmed.len(),
            )
            .hint(Some("compare it with something, as in `a == b`".to_owned())));
        }
        Ok(program)
    }

    /// Whether the expression holds. Missing data makes it false; any other trouble is an error.
    pub fn eval(&self, roots: &Roots<'_>) -> Result<bool, EvalError> {
        self.answer(roots, |_| ()).map(|(value, _)| value)
    }

    /// As [`Program::eval`], but tells what was missing when that made it false.
    pub fn eval_explained(&self, roots: &Roots<'_>) -> Result<Answer, EvalError> {
        self.answer(roots, |missing| missing.spelled())
            .map(|(value, missing)| Answer { value, missing })
    }

    /// The answer, and what `told` makes of the path that was missing.
    fn answer<T>(
        &self,
        roots: &Roots<'_>,
        told: impl FnOnce(&Missing<'_>) -> T,
    ) -> Result<(bool, Option<T>), EvalError> {
        let mut machine = Machine::new(roots);
        match machine.eval(&self.inner.node) {
            Ok(Val::Bool(value)) => Ok((value, None)),
            Ok(other) => Err(EvalError::new(
                "cel_not_bool",
                format!("the expression gives {}, not true or false", other.kind()),
            )),
            Err(Fault::Missing(missing)) => Ok((false, Some(told(&missing)))),
            Err(Fault::Failed(error)) => Err(*error),
        }
    }

    /// The expression's value as JSON; timestamps and durations as text. Missing data is the error `cel_missing`.
    pub fn eval_value(&self, roots: &Roots<'_>) -> Result<serde_json::Value, EvalError> {
        let mut machine = Machine::new(roots);
        match machine.eval(&self.inner.node) {
            Ok(value) => value::to_json(&value, &mut machine.budget).map_err(|error| *error),
            Err(Fault::Failed(error)) => Err(*error),
            Err(Fault::Missing(missing)) => Err(EvalError::new(
                "cel_missing",
                format!("`{}` does not exist", missing.spelled()),
            )),
        }
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// The roots it mentions.
    pub fn roots(&self) -> BTreeSet<&str> {
        self.inner.roots.iter().map(|root| &**root).collect()
    }

    /// The terms of the outermost `&&`, in order, each a program with its own text and roots;
    /// the program itself when there is only one.
    ///
    /// Where no conjunct is an error, the program holds exactly when all conjuncts do; where one is
    /// false, the program is false whatever the others are.
    pub fn conjuncts(&self) -> Vec<Program> {
        if self.inner.conjuncts.is_empty() {
            vec![self.clone()]
        } else {
            self.inner.conjuncts.clone()
        }
    }

    /// The conjuncts that compare a path with a literal text for equality, for an inverted index.
    pub fn equalities(&self) -> Vec<Equality> {
        let pairs = self.terms().filter_map(equal_text);
        pairs
            .map(|(path, value)| Equality::new(path, value))
            .collect()
    }

    fn terms(&self) -> impl Iterator<Item = &Node> {
        let (one, all) = match &*self.inner.node {
            Node::And(terms) => (None, terms.as_slice()),
            node => (Some(node), &[][..]),
        };
        all.iter().map(|term| &**term).chain(one)
    }

    /// What must hold of the data for the program to hold, as far as an index can say: conjuncts that test a path for
    /// one of several texts, or for how it starts.
    pub fn requirements(&self) -> Vec<Requirement> {
        self.terms().filter_map(Requirement::of).collect()
    }

    /// When the whole expression is one comparison `path == "value"`: that.
    pub fn as_equality(&self) -> Option<Equality> {
        match &*self.inner.node {
            Node::And(_) => None,
            _ => self.equalities().pop(),
        }
    }
}

/// A comparison of a path with a literal text for equality, whichever stands first.
fn equal_text(term: &Node) -> Option<(&Path, &str)> {
    let Node::Compare(Comparison::Equal, pair) = term else {
        return None;
    };
    match &**pair {
        [Node::Path(path), Node::Const(Const::Text(value))]
        | [Node::Const(Const::Text(value)), Node::Path(path)] => Some((path, value)),
        _ => None,
    }
}

/// A selector's answer with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it holds.
    pub value: bool,
    /// The path that does not exist, when that made it false.
    pub missing: Option<String>,
}

impl Equality {
    fn new(path: &Path, value: &str) -> Self {
        Self {
            path: path.spelled(path.steps.len()),
            steps: std::iter::once(&path.root)
                .chain(&path.steps)
                .map(|step| step.to_string())
                .collect(),
            value: value.to_owned(),
        }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Program").field(&self.inner.text).finish()
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.text)
    }
}

/// What a view shows, as JSON; for templates, which cannot borrow it.
pub(crate) fn view_to_json(view: crate::View<'_>) -> Result<serde_json::Value, EvalError> {
    let mut budget = value::Budget { left: u32::MAX };
    Val::from_view(view)
        .and_then(|value| value::to_json(&value, &mut budget))
        .map_err(|error| *error)
}
