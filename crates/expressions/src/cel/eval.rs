//! Evaluates nodes over the caller's data.
//!
//! Two things may go wrong beside each other: data that is missing, which makes
//! a selector false, and everything else, which is an error. `&&`, `||`, `all`
//! and `exists` absorb both where CEL says so; running out of steps is absorbed
//! by nothing.

use std::rc::Rc;

use super::error::EvalError;
use super::node::{Arithmetic, Comparison, Const, Fold, Node, Path, Pattern, TextTest, push_step};
use super::value::{self, Budget, Val};
use super::{arithmetic, lower, time};
use crate::data::Roots;

/// What stands in the way of a value.
pub(super) enum Fault<'a> {
    /// A field or key that does not exist.
    Missing(Missing<'a>),
    Failed(Box<EvalError>),
}

/// What is missing, told only when somebody asks.
pub(super) enum Missing<'a> {
    /// A path, up to and including one of its steps.
    Path(&'a Path, usize),
    Key(Rc<str>),
    Name(&'a str),
}

impl Missing<'_> {
    pub(super) fn spelled(&self) -> String {
        match self {
            Missing::Path(path, steps) => path.spelled(*steps),
            Missing::Name(name) => {
                let mut spelled = String::from("…");
                push_step(&mut spelled, name);
                spelled
            }
            Missing::Key(key) => {
                let mut spelled = String::from("…");
                push_step(&mut spelled, key);
                spelled
            }
        }
    }
}

impl From<Box<EvalError>> for Fault<'_> {
    fn from(error: Box<EvalError>) -> Self {
        Fault::Failed(error)
    }
}

type Outcome<'a> = Result<Val<'a>, Fault<'a>>;

pub(super) fn failed<'a>(code: &'static str, message: impl Into<String>) -> Fault<'a> {
    Fault::Failed(Box::new(EvalError::new(code, message)))
}

fn is_cost(fault: &Fault<'_>) -> bool {
    matches!(fault, Fault::Failed(error) if error.code == "cel_cost")
}

/// One evaluation.
pub(super) struct Machine<'a> {
    roots: &'a Roots<'a>,
    locals: Vec<Val<'a>>,
    pub(super) budget: Budget,
}

/// Folds the outcomes of terms that one value decides: `false` for `&&` and `all`, `true` for `||` and `exists`.
struct Terms<'a> {
    decides: bool,
    fault: Option<Fault<'a>>,
}

impl<'a> Terms<'a> {
    fn new(decides: bool) -> Self {
        Self {
            decides,
            fault: None,
        }
    }

    /// Takes a term's outcome; gives the value when that decides.
    fn take(&mut self, outcome: Outcome<'a>) -> Result<Option<bool>, Fault<'a>> {
        match outcome {
            Ok(Val::Bool(value)) => Ok((value == self.decides).then_some(value)),
            Ok(other) => {
                let spelled = if self.decides { "||" } else { "&&" };
                self.hold(failed(
                    "cel_type",
                    format!("`{spelled}` joins bools, not {}", other.kind()),
                ));
                Ok(None)
            }
            Err(fault) if is_cost(&fault) => Err(fault),
            Err(fault) => {
                self.hold(fault);
                Ok(None)
            }
        }
    }

    /// INVARIANT: under `&&` missing data outweighs an error, as false outweighs both, so that terms
    /// evaluated one by one, with missing read as false, give what the whole gives. Under `||` the
    /// error outweighs.
    fn hold(&mut self, fault: Fault<'a>) {
        let missing = matches!(fault, Fault::Missing(_));
        let outweighs = match &self.fault {
            None => true,
            Some(Fault::Missing(_)) => self.decides && !missing,
            Some(Fault::Failed(_)) => !self.decides && missing,
        };
        if outweighs {
            self.fault = Some(fault);
        }
    }

    fn end(self) -> Outcome<'a> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(Val::Bool(!self.decides)),
        }
    }
}

impl<'a> Machine<'a> {
    pub(super) fn new(roots: &'a Roots<'a>) -> Self {
        Self {
            roots,
            locals: Vec::new(),
            budget: Budget {
                left: super::COST_MAX,
            },
        }
    }

    // Each arm is a call: what recurses must keep its stack frame small.
    pub(super) fn eval(&mut self, node: &'a Node) -> Outcome<'a> {
        self.budget.spend(1)?;
        match node {
            Node::Const(constant) => Ok(Val::from_const(constant)),
            Node::Path(path) => self.path(path),
            Node::Local(slot) => self.local(*slot),
            Node::Field(of, name) => self.field(of, name),
            Node::Index(of, index) => self.index(of, index),
            Node::Has(of, name) => self.has(of, name),
            Node::Not(of) => self.not(of),
            Node::Negate(of) => self.negate(of),
            Node::And(terms) => self.and(terms),
            Node::Or(terms) => self.or(terms),
            Node::If(parts) => self.conditional(parts),
            Node::Compare(comparison, pair) => self.compare(*comparison, pair),
            Node::Arithmetic(operation, pair) => self.arithmetic(*operation, pair),
            Node::In(pair) => self.membership(pair),
            Node::InKnown(item, known) => self.known_membership(item, known),
            Node::TextTest(test, pair) => self.text_test(*test, pair),
            Node::Matches(text, pattern) => self.matches(text, pattern),
            Node::LowerAscii(of) => self.changed_case(of, "lowerAscii", str::to_ascii_lowercase),
            Node::UpperAscii(of) => self.changed_case(of, "upperAscii", str::to_ascii_uppercase),
            Node::Size(of) => self.size(of),
            Node::Timestamp(of) => self.timestamp(of),
            Node::Duration(of) => self.duration(of),
            Node::List(items) => self.list(items),
            Node::Map(entries) => self.map(entries),
            Node::Fold {
                fold,
                range,
                slot,
                test,
                mapped,
            } => self.fold(*fold, range, *slot, test.as_deref(), mapped.as_deref()),
        }
    }

    fn path(&mut self, path: &'a Path) -> Outcome<'a> {
        let Some(root) = self.roots.get(&path.root) else {
            return Err(Fault::Missing(Missing::Path(path, 0)));
        };
        let mut value = Val::from_root(root)?;
        for (i, step) in path.steps.iter().enumerate() {
            value = match value.field(step) {
                Ok(Some(value)) => value,
                Ok(None) => return Err(Fault::Missing(Missing::Path(path, i + 1))),
                Err(mut error) => {
                    error.message = format!("`{}`: {}", path.spelled(i), error.message);
                    return Err(Fault::Failed(error));
                }
            };
        }
        Ok(value)
    }

    fn local(&mut self, slot: usize) -> Outcome<'a> {
        match self.locals.get(slot) {
            Some(value) => Ok(value.clone()),
            None => Err(failed(
                "cel_type",
                "a variable is used outside of its scope",
            )),
        }
    }

    fn field(&mut self, of: &'a Node, name: &'a str) -> Outcome<'a> {
        let of = self.eval(of)?;
        of.field(name)?.ok_or(Fault::Missing(Missing::Name(name)))
    }

    fn index(&mut self, of: &'a Node, index: &'a Node) -> Outcome<'a> {
        let of = self.eval(of)?;
        let index = self.eval(index)?;
        of.at(&index)?.ok_or_else(|| {
            Fault::Missing(Missing::Key(index.as_str().unwrap_or(index.kind()).into()))
        })
    }

    fn has(&mut self, of: &'a Node, name: &'a str) -> Outcome<'a> {
        let of = self.eval(of)?;
        Ok(Val::Bool(of.field(name)?.is_some()))
    }

    fn not(&mut self, of: &'a Node) -> Outcome<'a> {
        match self.eval(of)? {
            Val::Bool(value) => Ok(Val::Bool(!value)),
            other => Err(failed(
                "cel_type",
                format!("`!` negates a bool, not {}", other.kind()),
            )),
        }
    }

    fn negate(&mut self, of: &'a Node) -> Outcome<'a> {
        let value = self.eval(of)?;
        Ok(arithmetic::negate(&value)?)
    }

    fn and(&mut self, terms: &'a [std::sync::Arc<Node>]) -> Outcome<'a> {
        let mut all = Terms::new(false);
        for term in terms {
            let outcome = self.eval(term);
            if let Some(value) = all.take(outcome)? {
                return Ok(Val::Bool(value));
            }
        }
        all.end()
    }

    fn or(&mut self, terms: &'a [Node]) -> Outcome<'a> {
        let mut any = Terms::new(true);
        for term in terms {
            let outcome = self.eval(term);
            if let Some(value) = any.take(outcome)? {
                return Ok(Val::Bool(value));
            }
        }
        any.end()
    }

    fn conditional(&mut self, parts: &'a [Node; 3]) -> Outcome<'a> {
        let [test, yes, no] = parts;
        match self.eval(test)? {
            Val::Bool(true) => self.eval(yes),
            Val::Bool(false) => self.eval(no),
            other => Err(failed(
                "cel_type",
                format!("`?` tests a bool, not {}", other.kind()),
            )),
        }
    }

    fn pair(&mut self, pair: &'a [Node; 2]) -> Result<(Val<'a>, Val<'a>), Fault<'a>> {
        let [left, right] = pair;
        let left = self.eval(left)?;
        let right = self.eval(right)?;
        Ok((left, right))
    }

    fn compare(&mut self, comparison: Comparison, pair: &'a [Node; 2]) -> Outcome<'a> {
        let (left, right) = self.pair(pair)?;
        Ok(Val::Bool(match comparison {
            Comparison::Equal => value::equal(&left, &right, &mut self.budget)?,
            Comparison::NotEqual => !value::equal(&left, &right, &mut self.budget)?,
            ordered => {
                let bytes = left.as_str().map_or(0, str::len);
                self.budget.spend(bytes / 64)?;
                let Some(order) = value::order(&left, &right) else {
                    return Err(not_ordered(ordered, &left, &right));
                };
                order.is_some_and(|order| match ordered {
                    Comparison::Less => order.is_lt(),
                    Comparison::LessEqual => order.is_le(),
                    Comparison::Greater => order.is_gt(),
                    _ => order.is_ge(),
                })
            }
        }))
    }

    fn arithmetic(&mut self, operation: Arithmetic, pair: &'a [Node; 2]) -> Outcome<'a> {
        let (left, right) = self.pair(pair)?;
        Ok(arithmetic::apply(
            operation,
            &left,
            &right,
            &mut self.budget,
        )?)
    }

    fn membership(&mut self, pair: &'a [Node; 2]) -> Outcome<'a> {
        let (item, container) = self.pair(pair)?;
        Ok(Val::Bool(match &container {
            Val::JsonList(_) | Val::List(_) => {
                self.budget.spend(container.len().unwrap_or(0))?;
                let mut found = false;
                for element in container.items().iter().flat_map(|items| items.iter()) {
                    if value::equal(&item, element, &mut self.budget)? {
                        found = true;
                        break;
                    }
                }
                found
            }
            Val::Map(_) | Val::JsonMap(_) | Val::Object(_) => {
                if matches!(container, Val::Map(_)) {
                    self.budget.spend(container.len().unwrap_or(0))?;
                }
                container.at(&item)?.is_some()
            }
            other => {
                return Err(failed(
                    "cel_type",
                    format!("`in` looks into a list or a map, not into {}", other.kind()),
                ));
            }
        }))
    }

    fn known_membership(&mut self, item: &'a Node, known: &'a [Const]) -> Outcome<'a> {
        let item = self.eval(item)?;
        self.budget.spend(known.len())?;
        let mut found = false;
        for constant in known {
            if value::equal(&item, &Val::from_const(constant), &mut self.budget)? {
                found = true;
                break;
            }
        }
        Ok(Val::Bool(found))
    }

    fn text_test(&mut self, test: TextTest, pair: &'a [Node; 2]) -> Outcome<'a> {
        let (text, part) = self.pair(pair)?;
        let name = match test {
            TextTest::StartsWith => "startsWith",
            TextTest::EndsWith => "endsWith",
            TextTest::Contains => "contains",
        };
        let (text, part) = (string(&text, name)?, string(&part, name)?);
        self.budget.spend((text.len() + part.len()) / 64)?;
        Ok(Val::Bool(match test {
            TextTest::StartsWith => text.starts_with(part),
            TextTest::EndsWith => text.ends_with(part),
            TextTest::Contains => text.contains(part),
        }))
    }

    fn matches(&mut self, text: &'a Node, pattern: &'a Pattern) -> Outcome<'a> {
        let text = self.eval(text)?;
        let given = match pattern {
            Pattern::Fixed(_) => None,
            Pattern::Given(node) => Some(self.eval(node)?),
        };
        let text = string(&text, "matches")?;
        self.budget.spend(text.len() / 16)?;
        Ok(Val::Bool(match (pattern, &given) {
            (Pattern::Fixed(regex), _) => regex.is_match(text),
            (Pattern::Given(_), Some(given)) => {
                let given = string(given, "matches")?;
                // Compiling costs far more than a step; it is what the bound is for.
                self.budget.spend(2_000 + 20 * given.len())?;
                lower::regex(given)
                    .map_err(|message| failed("cel_bad_regex", message))?
                    .is_match(text)
            }
            (Pattern::Given(_), None) => false,
        }))
    }

    fn changed_case(
        &mut self,
        of: &'a Node,
        name: &str,
        change: fn(&str) -> String,
    ) -> Outcome<'a> {
        let of = self.eval(of)?;
        let text = string(&of, name)?;
        self.budget.spend(text.len() / 32)?;
        Ok(Val::Text(change(text).into()))
    }

    fn size(&mut self, of: &'a Node) -> Outcome<'a> {
        let of = self.eval(of)?;
        let size = match of.as_str() {
            Some(text) => {
                self.budget.spend(text.len() / 32)?;
                text.chars().count()
            }
            None => of.len().ok_or_else(|| {
                failed(
                    "cel_type",
                    format!("`size` takes a string, a list or a map, not {}", of.kind()),
                )
            })?,
        };
        Ok(Val::Int(i64::try_from(size).unwrap_or(i64::MAX)))
    }

    fn timestamp(&mut self, of: &'a Node) -> Outcome<'a> {
        let of = self.eval(of)?;
        let wrong = |message: String| failed("cel_bad_time", message);
        match &of {
            Val::Timestamp(_) => Ok(of),
            Val::Int(seconds) => time::Moment::from_seconds(*seconds)
                .map(Val::Timestamp)
                .ok_or_else(|| wrong(format!("{seconds} s is no instant of the years 1 to 9999"))),
            other => match other.as_str() {
                Some(text) => time::timestamp(&shortened(text))
                    .map(Val::Timestamp)
                    .map_err(wrong),
                None => Err(failed(
                    "cel_type",
                    format!("`timestamp` takes a string, not {}", other.kind()),
                )),
            },
        }
    }

    fn duration(&mut self, of: &'a Node) -> Outcome<'a> {
        let of = self.eval(of)?;
        match (&of, of.as_str()) {
            (Val::Duration(_), _) => Ok(of),
            (_, Some(text)) => time::duration(&shortened(text))
                .map(Val::Duration)
                .map_err(|message| failed("cel_bad_time", message)),
            (other, None) => Err(failed(
                "cel_type",
                format!("`duration` takes a string, not {}", other.kind()),
            )),
        }
    }

    fn list(&mut self, items: &'a [Node]) -> Outcome<'a> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.eval(item)?);
        }
        Ok(Val::List(values.into()))
    }

    fn map(&mut self, entries: &'a [(Node, Node)]) -> Outcome<'a> {
        let mut pairs: Vec<(Val<'a>, Val<'a>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = self.eval(key)?;
            let value = self.eval(value)?;
            let keyed = matches!(key, Val::Bool(_) | Val::Int(_) | Val::UInt(_));
            if !keyed && key.as_str().is_none() {
                return Err(failed(
                    "cel_type",
                    format!(
                        "a map's key is a string, an int or a bool, not {}",
                        key.kind()
                    ),
                ));
            }
            self.budget.spend(pairs.len())?;
            for (known, _) in &pairs {
                if value::equal(known, &key, &mut self.budget)? {
                    return Err(failed("cel_type", "a map has the same key twice"));
                }
            }
            pairs.push((key, value));
        }
        Ok(Val::Map(pairs.into()))
    }

    fn fold(
        &mut self,
        fold: Fold,
        range: &'a Node,
        slot: usize,
        test: Option<&'a Node>,
        mapped: Option<&'a Node>,
    ) -> Outcome<'a> {
        let range = self.eval(range)?;
        self.budget.spend(range.len().unwrap_or(0))?;
        let Some(items) = range.items() else {
            return Err(failed(
                "cel_type",
                format!(
                    "only a list or a map has elements to look at, not {}",
                    range.kind()
                ),
            ));
        };
        let outcome = self.folded(fold, &items, slot, test, mapped);
        // Also on the way out of an error: an enclosing `all` goes on with its next element.
        self.locals.truncate(slot);
        outcome
    }

    fn folded(
        &mut self,
        fold: Fold,
        items: &[Val<'a>],
        slot: usize,
        test: Option<&'a Node>,
        mapped: Option<&'a Node>,
    ) -> Outcome<'a> {
        let mut terms = Terms::new(fold == Fold::Exists);
        let mut hits = 0;
        let mut kept = Vec::new();
        for item in items {
            self.locals.truncate(slot);
            self.locals.push(item.clone());
            let tested = test.map(|test| self.eval(test));
            if matches!(fold, Fold::All | Fold::Exists) {
                if let Some(outcome) = tested
                    && let Some(value) = terms.take(outcome)?
                {
                    return Ok(Val::Bool(value));
                }
                continue;
            }
            let hit = match tested.transpose()? {
                None => true,
                Some(Val::Bool(hit)) => hit,
                Some(other) => {
                    return Err(failed(
                        "cel_type",
                        format!("the test gives {}, not a bool", other.kind()),
                    ));
                }
            };
            if hit {
                hits += 1;
                match (fold, mapped) {
                    (Fold::Filter, _) => kept.push(item.clone()),
                    (Fold::Map, Some(mapped)) => kept.push(self.eval(mapped)?),
                    _ => {}
                }
            }
        }
        match fold {
            Fold::All | Fold::Exists => terms.end(),
            Fold::ExistsOne => Ok(Val::Bool(hits == 1)),
            Fold::Filter | Fold::Map => Ok(Val::List(kept.into())),
        }
    }
}

/// Enough of a text to be a time, or to be shown as none.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

fn string<'v>(value: &'v Val<'_>, function: &str) -> Result<&'v str, Box<EvalError>> {
    value.as_str().ok_or_else(|| {
        Box::new(EvalError::new(
            "cel_type",
            format!("`{function}` works on strings, not on {}", value.kind()),
        ))
    })
}

fn not_ordered<'a>(comparison: Comparison, left: &Val<'_>, right: &Val<'_>) -> Fault<'a> {
    let timed = |value: &Val<'_>| matches!(value, Val::Timestamp(_));
    let way_out =
        if timed(left) && right.as_str().is_some() || timed(right) && left.as_str().is_some() {
            "; write `timestamp(\"…\")` around the text"
        } else {
            ""
        };
    failed(
        "cel_type",
        format!(
            "`{}` cannot compare {} with {}{way_out}",
            comparison.spelled(),
            left.kind(),
            right.kind()
        ),
    )
}
