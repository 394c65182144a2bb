//! Runs the parser where it can do no harm, and measures what it made.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, SourceInfo};

use super::error::CompileError;
use super::lower::{self, Lowered};
use super::scan::{self, Kind, Token};
use crate::schema::Schema;

/// How often a thread that the machine refuses is asked for again, and after how long.
const SPAWN_RETRIES: u32 = 100;
const SPAWN_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// The parser needs about 130 KiB for each level of nesting in a debug build;
/// address space that is not touched costs nothing.
const STACK_BYTES: usize = 64 << 20;
/// Most tokens of a text that is parsed on the caller's stack.
const FLAT_TOKENS_MAX: usize = 40;
/// Deepest syntax tree. The evaluator recurses as deep on the caller's stack.
pub const DEPTH_MAX: usize = 100;
/// Most nodes of a syntax tree.
pub const NODES_MAX: usize = 2_500;

/// Scans, parses, measures and compiles a text.
pub(super) fn parse(text: &str, schema: &Schema) -> Result<Lowered, CompileError> {
    let tokens = scan::scan(text)?;
    // A panic in the parser is a text that cannot be read, not the end of the caller.
    let guarded = || {
        catch_unwind(AssertUnwindSafe(|| parse_here(text, &tokens, schema)))
            .unwrap_or_else(|_| Err(unreadable(text)))
    };
    if is_flat(text, &tokens) {
        return guarded();
    }
    thread::scope(|scope| {
        let mut refusals = 0;
        let thread = loop {
            let parser = thread::Builder::new()
                .name("cel-parse".to_owned())
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, guarded);
            match parser {
                Ok(thread) => break thread,
                // A machine that is short of threads or memory for a moment must not shut a gate for good.
                Err(_) if refusals < SPAWN_RETRIES => {
                    refusals += 1;
                    thread::sleep(SPAWN_PAUSE);
                }
                Err(error) => {
                    let what = format!("the expression could not be read now: {error}");
                    return Err(CompileError::new("cel_resources", what, text, 0, 0));
                }
            }
        };
        thread.join().unwrap_or_else(|_| Err(unreadable(text)))
    })
}

/// Whether a text nests so little that any stack will do: paths, indexes and comparisons, the usual case. A thread
/// for each of them would cost more than parsing it.
fn is_flat(text: &str, tokens: &[Token]) -> bool {
    let mut open = false;
    tokens.len() <= FLAT_TOKENS_MAX
        && tokens.iter().all(|token| {
            let word = &text[token.start..token.end];
            match token.kind {
                Kind::Word | Kind::Number | Kind::Text | Kind::And | Kind::Or => true,
                Kind::Open => word == "[" && !std::mem::replace(&mut open, true),
                Kind::Close => std::mem::replace(&mut open, false),
                Kind::Question => false,
                Kind::Other => matches!(word, "." | "==" | "!="),
            }
        })
}

fn unreadable(text: &str) -> CompileError {
    CompileError::new(
        "cel_syntax",
        "the expression cannot be read",
        text,
        0,
        text.len(),
    )
}

/// On the parsing thread: the syntax tree neither leaves it nor is dropped elsewhere.
fn parse_here(text: &str, tokens: &[Token], schema: &Schema) -> Result<Lowered, CompileError> {
    // An environment without macros: `has`, `all` and the like stay calls, with their positions.
    let (tree, source) = cel::Env::default()
        .parser()
        .enable_optional_syntax(false)
        .enable_ident_escape_syntax(false)
        .parse_with_source_info(text)
        .map_err(|errors| told(text, tokens, &errors))?;
    measure(text, &tree, &source)?;
    lower::lower(text, tokens, &tree, &source, schema)
}

fn measure(text: &str, tree: &IdedExpr, source: &SourceInfo) -> Result<(), CompileError> {
    let mut nodes = 0;
    let mut left = vec![(tree, 1)];
    while let Some((expr, depth)) = left.pop() {
        nodes += 1;
        let at = lower::byte_offset(text, source, expr.id);
        if depth > DEPTH_MAX {
            return Err(CompileError::new(
                "cel_too_deep",
                format!("the expression is more than {DEPTH_MAX} operations deep"),
                text,
                at,
                at,
            ));
        }
        if nodes > NODES_MAX {
            return Err(CompileError::new(
                "cel_too_large",
                format!("the expression has more than {NODES_MAX} parts"),
                text,
                at,
                at,
            ));
        }
        let depth = depth + 1;
        match &expr.expr {
            Expr::Call(call) => {
                left.extend(call.target.iter().map(|target| (&**target, depth)));
                left.extend(call.args.iter().map(|arg| (arg, depth)));
            }
            Expr::Select(select) => left.push((&select.operand, depth)),
            Expr::List(list) => left.extend(list.elements.iter().map(|item| (item, depth))),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        left.push((&entry.key, depth));
                        left.push((&entry.value, depth));
                    }
                }
            }
            // Neither a macro nor a struct literal gets past `lower`.
            Expr::Comprehension(_) | Expr::Struct(_) => {}
            Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
        }
    }
    Ok(())
}

/// The parser's first error in our words.
fn told(text: &str, tokens: &[Token], errors: &cel::ParseErrors) -> CompileError {
    let Some(error) = errors.errors.first() else {
        return unreadable(text);
    };
    let at = offset_of(text, error.pos);
    let token = tokens.iter().position(|token| token.end > at);
    let (start, end) = token
        .and_then(|i| tokens.get(i))
        .map_or((text.len(), text.len()), |token| {
            (token.start.max(at), token.end)
        });
    let word = &text[start..end];
    let detail = error
        .msg
        .strip_prefix("Syntax error: ")
        .unwrap_or(&error.msg);
    let message = if let Some(literal) = detail.strip_prefix("invalid ") {
        let kind = literal.split([':', ' ']).next().unwrap_or("literal");
        match kind {
            "string" | "bytes" => format!("`{word}` has an escape that does not exist"),
            _ => format!("`{word}` is no number that fits"),
        }
    } else if detail.starts_with("token recognition error")
        && token.is_some_and(|i| tokens[i].kind == Kind::Text)
    {
        // The scan found the text closed, so the lexer can only mind what is in it.
        format!("`{word}` has an escape that does not exist")
    } else if detail.starts_with("reserved identifier") {
        format!("`{word}` is a reserved word")
    } else if detail.starts_with("unsupported syntax") {
        format!("`{word}` is not available here")
    } else if word.is_empty() {
        "the expression ends too early".to_owned()
    } else {
        format!("unexpected `{word}`")
    };
    let around = |i: usize| tokens.get(i).map(|t| &text[t.start..t.end]);
    let hint = token
        .into_iter()
        .flat_map(|i| [Some(i), i.checked_sub(1), i.checked_add(1)])
        .flatten()
        .find_map(|i| match around(i)?.to_ascii_lowercase().as_str() {
            "and" => Some("write `&&` for and"),
            "or" => Some("write `||` for or"),
            "not" => Some("write `!` for not, with brackets: `!(a in b)`"),
            "is" | "eq" => Some("write `==` to compare"),
            "if" => Some("write `condition ? a : b`"),
            "like" => Some("write `text.matches(\"pattern\")` or `text.contains(\"part\")`"),
            _ => None,
        })
        .map(str::to_owned);
    CompileError::new("cel_syntax", message, text, start, end).hint(hint)
}

/// The byte offset of the parser's line and column, both from 1.
fn offset_of(text: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line.max(1)).unwrap_or(1);
    let column = usize::try_from(column.max(1)).unwrap_or(1);
    let Some(start) = std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .nth(line - 1)
    else {
        return text.len();
    };
    text[start..]
        .char_indices()
        .nth(column - 1)
        .map_or(text.len(), |(at, _)| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> CompileError {
        let schema = Schema {
            roots: vec![("a", crate::Shape::Any), ("b", crate::Shape::Any)],
        };
        parse(text, &schema).unwrap_err()
    }

    #[test]
    fn syntax_errors_show_the_word_and_its_place() {
        let error = refused("a == == b");
        assert_eq!(error.code, "cel_syntax");
        assert_eq!((error.line, error.column, &*error.fragment), (1, 6, "=="));
        let error = refused("\"é\" == \"ü\" &&\n  a b");
        assert_eq!((error.line, error.column, &*error.fragment), (2, 5, "b"));
        let error = refused("a ==");
        assert_eq!(error.message, "the expression ends too early");
        assert_eq!((error.line, error.column), (1, 5));
    }

    #[test]
    fn words_of_other_languages_come_with_the_way_out() {
        assert_eq!(refused("a and b").hint.unwrap(), "write `&&` for and");
        assert_eq!(refused("a == 1 or b").hint.unwrap(), "write `||` for or");
        assert!(refused("a not in b").hint.unwrap().contains('!'));
    }

    #[test]
    fn literals_that_do_not_fit_are_named() {
        assert_eq!(
            refused("a == 99999999999999999999").message,
            "`99999999999999999999` is no number that fits"
        );
        assert!(refused("a == '\\q'").message.contains("escape"));
        assert!(refused("a == for").message.contains("reserved"));
    }

    #[test]
    fn what_is_flat_needs_little_stack() {
        let longest = [
            format!("a{}", ".b".repeat(19)),
            format!("a{}", "[a]".repeat(13)),
            format!("a{} == a", "[\"b\"]".repeat(12)),
            format!("a{}", " && a".repeat(19)),
            format!("a{}", " == a".repeat(19)),
            format!("a == b{}", " || a[b] == a".repeat(4)),
        ];
        for text in longest {
            let tokens = scan::scan(&text).unwrap();
            assert!(is_flat(&text, &tokens), "{text}: {} tokens", tokens.len());
            // A quarter of what a thread has by default; in a build without optimisation, which needs most.
            let small = thread::Builder::new().stack_size(512 << 10);
            let parsed = small.spawn(move || {
                let schema = Schema {
                    roots: vec![("a", crate::Shape::Any), ("b", crate::Shape::Any)],
                };
                drop(parse(&text, &schema));
            });
            parsed.unwrap().join().unwrap();
        }
    }

    #[test]
    fn what_nests_is_not_flat() {
        for text in ["(a)", "a[b[a]]", "!a", "-a", "a ? a : b", "a + b", "[a, b]"] {
            let tokens = scan::scan(text).unwrap();
            let flat = is_flat(text, &tokens);
            assert!(!flat, "{text}");
        }
        let long = format!("a{}", " && a".repeat(20));
        assert!(!is_flat(&long, &scan::scan(&long).unwrap()));
    }

    #[test]
    fn too_many_parts_are_refused() {
        let text = format!("a in [{}]", vec!["-a"; 1360].join(","));
        assert_eq!(refused(&text).code, "cel_too_large");
    }
}
