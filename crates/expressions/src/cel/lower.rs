//! From the parser's syntax tree to our nodes, refusing what we do not evaluate.

use std::collections::BTreeSet;
use std::sync::Arc;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};
use regex::{Regex, RegexBuilder};

use super::error::CompileError;
use super::node::{Arithmetic, Comparison, Const, Fold, Node, Path, Pattern, TextTest};
use super::scan::{self, Token};
use super::time;
use crate::schema::{Schema, suggest};

/// Deepest nesting of `all`, `exists`, `filter`, `map` and `exists_one`.
pub const COMPREHENSIONS_NESTED_MAX: usize = 2;
/// Longest regular expression, in bytes.
pub(super) const PATTERN_BYTES_MAX: usize = 1024;

/// Every function there is, for the hint after a misspelt one.
const FUNCTIONS: [&str; 15] = [
    "startsWith",
    "endsWith",
    "contains",
    "matches",
    "lowerAscii",
    "upperAscii",
    "size",
    "has",
    "timestamp",
    "duration",
    "exists",
    "all",
    "filter",
    "map",
    "exists_one",
];

/// A compiled text.
#[derive(Debug)]
pub(super) struct Lowered {
    pub(super) node: Arc<Node>,
    pub(super) roots: BTreeSet<Box<str>>,
    /// The terms of the outermost `&&`, each with its own text; empty when there is only one.
    pub(super) conjuncts: Vec<Conjunct>,
}

#[derive(Debug)]
pub(super) struct Conjunct {
    pub(super) text: String,
    pub(super) node: Arc<Node>,
    pub(super) roots: BTreeSet<Box<str>>,
}

pub(super) fn lower(
    text: &str,
    tokens: &[Token],
    tree: &IdedExpr,
    source: &SourceInfo,
    schema: &Schema,
) -> Result<Lowered, CompileError> {
    let mut lowering = Lowering {
        text,
        tokens,
        source,
        schema,
        locals: Vec::new(),
        roots: BTreeSet::new(),
    };
    let mut terms = Vec::new();
    flatten(tree, operators::LOGICAL_AND, &mut terms);
    let mut nodes = Vec::with_capacity(terms.len());
    let mut roots_of_all = BTreeSet::new();
    for term in terms {
        let node = Arc::new(lowering.expr(term)?);
        let roots = std::mem::take(&mut lowering.roots);
        roots_of_all.extend(roots.iter().cloned());
        nodes.push((node, roots));
    }
    if nodes.len() == 1
        && let Some((node, roots)) = nodes.pop()
    {
        return Ok(Lowered {
            node,
            roots,
            conjuncts: Vec::new(),
        });
    }
    let node = Arc::new(Node::And(
        nodes.iter().map(|(node, _)| Arc::clone(node)).collect(),
    ));
    let ranges = scan::conjuncts(text, tokens);
    // Both sides split at the same operators; were they ever to differ, the whole is one conjunct.
    let conjuncts = if ranges.len() == nodes.len() {
        nodes
            .into_iter()
            .zip(ranges)
            .map(|((node, roots), (start, end))| Conjunct {
                text: text[start..end].to_owned(),
                node,
                roots,
            })
            .collect()
    } else {
        Vec::new()
    };
    Ok(Lowered {
        node,
        roots: roots_of_all,
        conjuncts,
    })
}

/// The terms that a chain of one operator joins, in order.
fn flatten<'e>(expr: &'e IdedExpr, operator: &str, terms: &mut Vec<&'e IdedExpr>) {
    match &expr.expr {
        Expr::Call(call) if call.func_name == operator && call.target.is_none() => {
            for arg in &call.args {
                flatten(arg, operator, terms);
            }
        }
        _ => terms.push(expr),
    }
}

/// Where a node's token begins. The parser counts in characters.
pub(super) fn byte_offset(text: &str, source: &SourceInfo, id: u64) -> usize {
    let start = source.offset_for(id).map_or(0, |(start, _)| start);
    usize::try_from(start)
        .ok()
        .and_then(|start| text.char_indices().nth(start))
        .map_or(text.len(), |(at, _)| at)
}

struct Lowering<'l> {
    text: &'l str,
    tokens: &'l [Token],
    source: &'l SourceInfo,
    schema: &'l Schema,
    locals: Vec<&'l str>,
    roots: BTreeSet<Box<str>>,
}

/// One selection below a root, as far as it is known.
enum Step<'l> {
    Known(&'l str),
    Computed(&'l IdedExpr),
}

impl<'l> Lowering<'l> {
    /// An error at the word that a node is about.
    fn error(&self, code: &'static str, message: impl Into<String>, id: u64) -> CompileError {
        let at = byte_offset(self.text, self.source, id);
        let i = self.tokens.partition_point(|token| token.end <= at);
        let here = self.tokens.get(i);
        let spelled = here.map_or("", |token| &self.text[token.start..token.end]);
        // A selection's token is its `.` or `[`, a call's its `(`; the name is beside it.
        let named = match spelled {
            "." | "[" => self.tokens.get(i + 1),
            "(" => i.checked_sub(1).and_then(|i| self.tokens.get(i)),
            _ => here,
        };
        let (start, end) = named.map_or((at, at), |token| (token.start, token.end));
        CompileError::new(code, message, self.text, start, end)
    }

    fn boxed(&mut self, expr: &'l IdedExpr) -> Result<Box<Node>, CompileError> {
        self.expr(expr).map(Box::new)
    }

    fn pair(&mut self, args: &'l [IdedExpr], id: u64) -> Result<Box<[Node; 2]>, CompileError> {
        match args {
            [left, right] => Ok(Box::new([self.expr(left)?, self.expr(right)?])),
            _ => Err(self.error("cel_arguments", "two operands are expected", id)),
        }
    }

    fn expr(&mut self, expr: &'l IdedExpr) -> Result<Node, CompileError> {
        match &expr.expr {
            Expr::Literal(literal) => self.literal(literal, expr.id),
            Expr::Ident(_) | Expr::Select(_) => self.selection(expr),
            Expr::Call(call) if call.target.is_none() => self.call(call, expr),
            Expr::Call(call) => self.method(call, expr.id),
            Expr::List(list) => Ok(Node::List(
                list.elements
                    .iter()
                    .map(|item| self.expr(item))
                    .collect::<Result<_, _>>()?,
            )),
            Expr::Map(map) => {
                let mut entries = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err(self.unsupported("a typed literal", expr.id));
                    };
                    entries.push((self.expr(&entry.key)?, self.expr(&entry.value)?));
                }
                Ok(Node::Map(entries))
            }
            Expr::Struct(_) => Err(self.unsupported("a typed literal", expr.id)),
            Expr::Comprehension(_) | Expr::Unspecified => {
                Err(self.unsupported("this expression", expr.id))
            }
        }
    }

    fn unsupported(&self, what: &str, id: u64) -> CompileError {
        self.error(
            "cel_unsupported",
            format!("{what} is not available here"),
            id,
        )
    }

    fn literal(&self, literal: &LiteralValue, id: u64) -> Result<Node, CompileError> {
        Ok(Node::Const(match literal {
            LiteralValue::Null => Const::Null,
            LiteralValue::Boolean(value) => Const::Bool(*value.inner()),
            LiteralValue::Int(value) => Const::Int(*value.inner()),
            LiteralValue::UInt(value) => Const::UInt(*value.inner()),
            LiteralValue::Double(value) => Const::Double(*value.inner()),
            LiteralValue::String(value) => Const::Text(value.inner().into()),
            LiteralValue::Bytes(_) => return Err(self.unsupported("a bytes literal", id)),
        }))
    }

    /// A name with what is selected from it, by `.field` or `["key"]`.
    fn selection(&mut self, expr: &'l IdedExpr) -> Result<Node, CompileError> {
        let mut steps = Vec::new();
        let mut base = expr;
        loop {
            match &base.expr {
                Expr::Select(select) => {
                    steps.push((base.id, Step::Known(&select.field)));
                    base = &select.operand;
                }
                Expr::Call(call) if call.func_name == operators::INDEX => {
                    let [of, index] = call.args.as_slice() else {
                        break;
                    };
                    steps.push((
                        base.id,
                        match &index.expr {
                            Expr::Literal(LiteralValue::String(key)) => Step::Known(key.inner()),
                            _ => Step::Computed(index),
                        },
                    ));
                    base = of;
                }
                _ => break,
            }
        }
        steps.reverse();
        let known: Vec<(u64, Option<&str>)> = steps
            .iter()
            .map(|(id, step)| match step {
                Step::Known(key) => (*id, Some(*key)),
                Step::Computed(_) => (*id, None),
            })
            .collect();
        let mut steps = steps.into_iter().peekable();
        let mut node = match &base.expr {
            Expr::Ident(name) => {
                let bare = name.trim_start_matches('.');
                let local = self.locals.iter().rposition(|local| local == name);
                if let Some(slot) = local {
                    Node::Local(slot)
                } else {
                    self.check(bare, base.id, &known)?;
                    self.roots.insert(bare.into());
                    let mut path = Path {
                        root: bare.into(),
                        steps: Vec::new(),
                    };
                    while let Some((_, Step::Known(key))) =
                        steps.next_if(|(_, step)| matches!(step, Step::Known(_)))
                    {
                        path.steps.push(key.into());
                    }
                    Node::Path(path)
                }
            }
            _ => self.expr(base)?,
        };
        for (_, step) in steps {
            node = match step {
                Step::Known(key) => Node::Field(Box::new(node), key.into()),
                Step::Computed(index) => Node::Index(Box::new(node), self.boxed(index)?),
            };
        }
        Ok(node)
    }

    fn check(
        &self,
        root: &str,
        root_id: u64,
        steps: &[(u64, Option<&str>)],
    ) -> Result<(), CompileError> {
        let keys: Vec<Option<&str>> = steps.iter().map(|(_, key)| *key).collect();
        self.schema.check(root, &keys).map_err(|misfit| {
            let (code, id) = match misfit.step.checked_sub(1) {
                None => ("cel_unknown_root", root_id),
                Some(step) => (
                    "cel_unknown_field",
                    steps.get(step).map_or(root_id, |(id, _)| *id),
                ),
            };
            self.error(code, misfit.message, id).hint(misfit.hint)
        })
    }

    fn call(&mut self, call: &'l CallExpr, expr: &'l IdedExpr) -> Result<Node, CompileError> {
        let id = expr.id;
        let args = call.args.as_slice();
        let compare = |comparison, pair| Ok(Node::Compare(comparison, pair));
        let arithmetic = |operation, pair| Ok(Node::Arithmetic(operation, pair));
        match call.func_name.as_str() {
            operators::LOGICAL_AND => {
                let mut terms = Vec::new();
                flatten(expr, operators::LOGICAL_AND, &mut terms);
                Ok(Node::And(
                    terms
                        .into_iter()
                        .map(|term| self.expr(term).map(Arc::new))
                        .collect::<Result<_, _>>()?,
                ))
            }
            operators::LOGICAL_OR => {
                let mut terms = Vec::new();
                flatten(expr, operators::LOGICAL_OR, &mut terms);
                Ok(Node::Or(
                    terms
                        .into_iter()
                        .map(|term| self.expr(term))
                        .collect::<Result<_, _>>()?,
                ))
            }
            operators::INDEX => self.selection(expr),
            operators::EQUALS => compare(Comparison::Equal, self.pair(args, id)?),
            operators::NOT_EQUALS => compare(Comparison::NotEqual, self.pair(args, id)?),
            operators::LESS => compare(Comparison::Less, self.pair(args, id)?),
            operators::LESS_EQUALS => compare(Comparison::LessEqual, self.pair(args, id)?),
            operators::GREATER => compare(Comparison::Greater, self.pair(args, id)?),
            operators::GREATER_EQUALS => compare(Comparison::GreaterEqual, self.pair(args, id)?),
            operators::ADD => arithmetic(Arithmetic::Add, self.pair(args, id)?),
            operators::SUBSTRACT => arithmetic(Arithmetic::Subtract, self.pair(args, id)?),
            operators::MULTIPLY => arithmetic(Arithmetic::Multiply, self.pair(args, id)?),
            operators::DIVIDE => arithmetic(Arithmetic::Divide, self.pair(args, id)?),
            operators::MODULO => arithmetic(Arithmetic::Remainder, self.pair(args, id)?),
            operators::IN => self.membership(args, id),
            operators::LOGICAL_NOT => Ok(Node::Not(self.only(args, "!", id)?)),
            operators::NEGATE => Ok(Node::Negate(self.only(args, "-", id)?)),
            operators::CONDITIONAL => match args {
                [test, yes, no] => Ok(Node::If(Box::new([
                    self.expr(test)?,
                    self.expr(yes)?,
                    self.expr(no)?,
                ]))),
                _ => Err(self.error("cel_arguments", "`?` needs a `:`", id)),
            },
            "has" => match args {
                [field] => self.has(field, id),
                _ => Err(self.arguments("has", "one", args.len(), id)),
            },
            "size" => Ok(Node::Size(self.only(args, "size", id)?)),
            "timestamp" => self.timestamp(args, id),
            "duration" => self.duration(args, id),
            "matches" => match args {
                [text, pattern] => self.matches(text, pattern, id),
                _ => Err(self.arguments("matches", "two", args.len(), id)),
            },
            name => Err(self.unknown_function(name, id)),
        }
    }

    fn method(&mut self, call: &'l CallExpr, id: u64) -> Result<Node, CompileError> {
        let Some(target) = call.target.as_deref() else {
            return Err(self.unknown_function(&call.func_name, id));
        };
        let name = call.func_name.as_str();
        let test = match name {
            "startsWith" => Some(TextTest::StartsWith),
            "endsWith" => Some(TextTest::EndsWith),
            "contains" => Some(TextTest::Contains),
            _ => None,
        };
        let fold = match name {
            "all" => Some(Fold::All),
            "exists" => Some(Fold::Exists),
            "exists_one" => Some(Fold::ExistsOne),
            "filter" => Some(Fold::Filter),
            "map" => Some(Fold::Map),
            _ => None,
        };
        let args = call.args.as_slice();
        match (name, args) {
            (_, [arg]) if let Some(test) = test => Ok(Node::TextTest(
                test,
                Box::new([self.expr(target)?, self.expr(arg)?]),
            )),
            (_, [variable, body @ ..]) if let Some(fold) = fold => {
                self.fold(fold, name, target, variable, body, id)
            }
            ("matches", [pattern]) => self.matches(target, pattern, id),
            ("lowerAscii", []) => Ok(Node::LowerAscii(self.boxed(target)?)),
            ("upperAscii", []) => Ok(Node::UpperAscii(self.boxed(target)?)),
            ("size", []) => Ok(Node::Size(self.boxed(target)?)),
            ("lowerAscii" | "upperAscii" | "size", _) => {
                Err(self.arguments(name, "no", args.len(), id))
            }
            ("matches", _) => Err(self.arguments(name, "one", args.len(), id)),
            _ if test.is_some() => Err(self.arguments(name, "one", args.len(), id)),
            _ if fold.is_some() => Err(self.arguments(name, "two", args.len(), id)),
            _ => Err(self.unknown_function(name, id)),
        }
    }

    fn only(
        &mut self,
        args: &'l [IdedExpr],
        name: &str,
        id: u64,
    ) -> Result<Box<Node>, CompileError> {
        match args {
            [arg] => self.boxed(arg),
            _ => Err(self.arguments(name, "one", args.len(), id)),
        }
    }

    fn arguments(&self, name: &str, wanted: &str, given: usize, id: u64) -> CompileError {
        let plural = if wanted == "one" { "" } else { "s" };
        self.error(
            "cel_arguments",
            format!("`{name}` takes {wanted} argument{plural}, not {given}"),
            id,
        )
    }

    fn unknown_function(&self, name: &str, id: u64) -> CompileError {
        let bare = name.trim_start_matches('.');
        let hint = match bare {
            "startsWith" | "endsWith" | "contains" | "lowerAscii" | "upperAscii" => {
                Some(format!("write `text.{bare}(…)`"))
            }
            "all" | "exists" | "exists_one" | "filter" | "map" => {
                Some(format!("write `list.{bare}(item, …)`"))
            }
            "has" | "timestamp" | "duration" => Some(format!("write `{bare}(…)`")),
            "lower" | "toLowerCase" | "toLower" => Some("did you mean `lowerAscii`?".to_owned()),
            "upper" | "toUpperCase" | "toUpper" => Some("did you mean `upperAscii`?".to_owned()),
            "length" | "len" | "count" => Some("did you mean `size`?".to_owned()),
            _ => suggest(bare, FUNCTIONS.into_iter())
                .or_else(|| Some(format!("available: `{}`", FUNCTIONS.join("`, `")))),
        };
        self.error(
            "cel_unknown_function",
            format!("there is no function `{bare}` here"),
            id,
        )
        .hint(hint)
    }

    fn has(&mut self, field: &'l IdedExpr, id: u64) -> Result<Node, CompileError> {
        match &field.expr {
            Expr::Select(_) => {}
            // `has(a["b"])` is no CEL, but what is meant is plain.
            Expr::Call(call)
                if call.func_name == operators::INDEX
                    && matches!(
                        call.args.get(1).map(|index| &index.expr),
                        Some(Expr::Literal(LiteralValue::String(_)))
                    ) => {}
            _ => {
                return Err(self
                    .error("cel_arguments", "`has` takes a field", id)
                    .hint(Some("write `has(resource.config.name)`".to_owned())));
            }
        }
        match self.selection(field)? {
            Node::Path(mut path) if !path.steps.is_empty() => {
                let last = path.steps.pop().unwrap_or_default();
                Ok(Node::Has(Box::new(Node::Path(path)), last))
            }
            Node::Field(of, name) => Ok(Node::Has(of, name)),
            _ => Err(self.error("cel_arguments", "`has` takes a field", id)),
        }
    }

    fn membership(&mut self, args: &'l [IdedExpr], id: u64) -> Result<Node, CompileError> {
        let [item, container] = *self.pair(args, id)?;
        Ok(match container {
            Node::List(elements)
                if elements
                    .iter()
                    .all(|element| matches!(element, Node::Const(_))) =>
            {
                let known = elements
                    .into_iter()
                    .filter_map(|element| match element {
                        Node::Const(constant) => Some(constant),
                        _ => None,
                    })
                    .collect();
                Node::InKnown(Box::new(item), known)
            }
            container => Node::In(Box::new([item, container])),
        })
    }

    fn matches(
        &mut self,
        text: &'l IdedExpr,
        pattern: &'l IdedExpr,
        id: u64,
    ) -> Result<Node, CompileError> {
        let text = self.boxed(text)?;
        let pattern = match *self.boxed(pattern)? {
            Node::Const(Const::Text(given)) => Pattern::Fixed(
                regex(&given)
                    .map_err(|message| self.error("cel_bad_regex", message, pattern.id))?,
            ),
            Node::Const(_) => {
                return Err(self.error("cel_bad_regex", "`matches` takes a text as pattern", id));
            }
            node => Pattern::Given(Box::new(node)),
        };
        Ok(Node::Matches(text, pattern))
    }

    fn timestamp(&mut self, args: &'l [IdedExpr], id: u64) -> Result<Node, CompileError> {
        let arg = self.only(args, "timestamp", id)?;
        match *arg {
            Node::Const(Const::Text(text)) => time::timestamp(&text)
                .map(|instant| Node::Const(Const::Timestamp(instant)))
                .map_err(|message| {
                    self.error(
                        "cel_bad_time",
                        message,
                        args.first().map_or(id, |arg| arg.id),
                    )
                }),
            node => Ok(Node::Timestamp(Box::new(node))),
        }
    }

    fn duration(&mut self, args: &'l [IdedExpr], id: u64) -> Result<Node, CompileError> {
        let arg = self.only(args, "duration", id)?;
        match *arg {
            Node::Const(Const::Text(text)) => time::duration(&text)
                .map(|duration| Node::Const(Const::Duration(duration)))
                .map_err(|message| {
                    self.error(
                        "cel_bad_time",
                        message,
                        args.first().map_or(id, |arg| arg.id),
                    )
                }),
            node => Ok(Node::Duration(Box::new(node))),
        }
    }

    fn fold(
        &mut self,
        fold: Fold,
        name: &str,
        range: &'l IdedExpr,
        variable: &'l IdedExpr,
        body: &'l [IdedExpr],
        id: u64,
    ) -> Result<Node, CompileError> {
        let Expr::Ident(variable_name) = &variable.expr else {
            return Err(self
                .error(
                    "cel_arguments",
                    format!("`{name}` takes a plain name as its first argument"),
                    variable.id,
                )
                .hint(Some(format!("write `list.{name}(item, …)`"))));
        };
        let (test, mapped) = match (fold, body) {
            (Fold::Map, [mapped]) => (None, Some(mapped)),
            (Fold::Map, [test, mapped]) => (Some(test), Some(mapped)),
            (Fold::Map, _) => {
                return Err(self.arguments(name, "two or three", body.len() + 1, id));
            }
            (_, [test]) => (Some(test), None),
            _ => return Err(self.arguments(name, "two", body.len() + 1, id)),
        };
        // The range is outside of the variable's scope.
        let range = self.boxed(range)?;
        if self.locals.len() >= COMPREHENSIONS_NESTED_MAX {
            return Err(self.error(
                "cel_comprehension_depth",
                format!(
                    "`all`, `exists`, `filter`, `map` and `exists_one` nest at most {COMPREHENSIONS_NESTED_MAX} deep"
                ),
                id,
            ));
        }
        let slot = self.locals.len();
        self.locals.push(variable_name);
        let test = test.map(|test| self.boxed(test)).transpose();
        let mapped = mapped.map(|mapped| self.boxed(mapped)).transpose();
        self.locals.pop();
        Ok(Node::Fold {
            fold,
            range,
            slot,
            test: test?,
            mapped: mapped?,
        })
    }
}

/// Compiles a regular expression within bounds that untrusted patterns need.
pub(super) fn regex(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!(
            "the pattern has {} bytes, at most {PATTERN_BYTES_MAX} are allowed",
            pattern.len()
        ));
    }
    RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .dfa_size_limit(1 << 20)
        .nest_limit(50)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!("the pattern `{pattern}` is too large when compiled")
            }
            error => {
                // The library draws the pattern over several lines; its last line says what is wrong.
                let told = error.to_string();
                let last = told.lines().last().unwrap_or_default();
                let reason = last.strip_prefix("error: ").unwrap_or(last);
                format!("the pattern `{pattern}` is no regular expression: {reason}")
            }
        })
}
