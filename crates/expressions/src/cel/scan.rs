//! The look at a text before the parser sees it.
//!
//! The parser is recursive and knows no limits that fit our stacks, so nesting
//! and the length of operator chains are bounded here, with a scanner that
//! needs no recursion. Strings and comments are skipped as the parser would.

use super::error::CompileError;

/// Longest text, in bytes.
pub const TEXT_BYTES_MAX: usize = 4096;
/// Deepest nesting of brackets and conditionals.
pub const NESTING_MAX: usize = 24;
/// Longest run of operators, calls and selections that no `&&`, `||`, `,` or bracket ends.
pub const CHAIN_MAX: usize = 64;
/// The same, summed over all brackets that are open at one place.
const OPEN_CHAIN_MAX: usize = 128;
/// Most `&&` and `||` at one level.
pub const TERMS_MAX: usize = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Number,
    Text,
    Open,
    Close,
    And,
    Or,
    Question,
    Other,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// One bracket that is still open.
#[derive(Default)]
struct Frame {
    closes_with: u8,
    opened_at: usize,
    chain: usize,
    conditionals: usize,
    terms: usize,
}

/// Splits a text into tokens and refuses what the parser must not see.
pub(super) fn scan(text: &str) -> Result<Vec<Token>, CompileError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(CompileError::new(
            "cel_too_long",
            format!(
                "the expression has {} bytes, at most {TEXT_BYTES_MAX} are allowed",
                text.len()
            ),
            text,
            0,
            0,
        )
        .hint(Some(
            "split it into several selectors or policies".to_owned(),
        )));
    }
    let tokens = split(text)?;
    if tokens.is_empty() {
        return Err(
            CompileError::new("cel_syntax", "the expression is empty", text, 0, 0).hint(Some(
                "write `true` to match everything, `false` for nothing".to_owned(),
            )),
        );
    }
    bound(text, &tokens)?;
    Ok(tokens)
}

fn split(text: &str) -> Result<Vec<Token>, CompileError> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        let next = bytes.get(at + 1).copied();
        let kind = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | 0x0c => {
                at += 1;
                continue;
            }
            b'/' if next == Some(b'/') => {
                at = text[at..].find('\n').map_or(text.len(), |n| at + n);
                continue;
            }
            b'"' | b'\'' => {
                at = string_end(text, at, at, false)?;
                Kind::Text
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
                while bytes
                    .get(at)
                    .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
                {
                    at += 1;
                }
                let prefix = text[start..at].to_ascii_lowercase();
                match bytes.get(at) {
                    Some(b'"' | b'\'') if matches!(&*prefix, "r" | "b" | "br" | "rb") => {
                        at = string_end(text, start, at, prefix.contains('r'))?;
                        Kind::Text
                    }
                    _ => Kind::Word,
                }
            }
            b'0'..=b'9' => {
                at = number_end(bytes, at);
                Kind::Number
            }
            b'(' | b'[' | b'{' => {
                at += 1;
                Kind::Open
            }
            b')' | b']' | b'}' => {
                at += 1;
                Kind::Close
            }
            b'&' if next == Some(b'&') => {
                at += 2;
                Kind::And
            }
            b'|' if next == Some(b'|') => {
                at += 2;
                Kind::Or
            }
            b'?' => {
                at += 1;
                Kind::Question
            }
            b'=' | b'!' | b'<' | b'>' if next == Some(b'=') => {
                at += 2;
                Kind::Other
            }
            b'!' | b'<' | b'>' | b'+' | b'-' | b'*' | b'/' | b'%' | b'.' | b',' | b':' => {
                at += 1;
                Kind::Other
            }
            _ => return Err(stray(text, at)),
        };
        tokens.push(Token {
            kind,
            start,
            end: at,
        });
    }
    Ok(tokens)
}

/// A character that begins no token.
fn stray(text: &str, at: usize) -> CompileError {
    let char = text[at..].chars().next().unwrap_or_default();
    let shown = if char.is_control() {
        format!("the control character U+{:04X}", u32::from(char))
    } else {
        format!("`{char}`")
    };
    let hint = match char {
        '=' => Some("write `==` to compare"),
        '&' => Some("write `&&` for and"),
        '|' => Some("write `||` for or"),
        '“' | '”' | '‘' | '’' | '«' | '»' => Some("write straight quotes: `\"…\"`"),
        '`' => Some("write `[\"…\"]` to select a key with special characters"),
        '$' | '@' | '#' => Some("name fields as they are, such as `resource.kind`"),
        _ => None,
    };
    CompileError::new(
        "cel_syntax",
        format!("unexpected {shown}"),
        text,
        at,
        at + char.len_utf8(),
    )
    .hint(hint.map(str::to_owned))
}

/// The offset after a string that begins (with its prefix) at `start` and whose quote is at `quote`.
fn string_end(text: &str, start: usize, quote: usize, raw: bool) -> Result<usize, CompileError> {
    let bytes = text.as_bytes();
    let mark = bytes[quote];
    let triple = bytes.get(quote + 1) == Some(&mark) && bytes.get(quote + 2) == Some(&mark);
    let mut at = quote + if triple { 3 } else { 1 };
    while let Some(&byte) = bytes.get(at) {
        match byte {
            0 => return Err(stray(text, at)),
            b'\\' if !raw => at += 2,
            b'\n' | b'\r' if !triple => break,
            _ if byte == mark && !triple => return Ok(at + 1),
            _ if byte == mark && bytes[at..].starts_with(&[mark; 3]) => return Ok(at + 3),
            _ => at += 1,
        }
    }
    Err(CompileError::new(
        "cel_syntax",
        "the text that begins here is not closed",
        text,
        start,
        text.len(),
    )
    .hint(Some(format!(
        "close it with `{}`",
        if triple {
            &text[quote..quote + 3]
        } else {
            &text[quote..=quote]
        }
    ))))
}

fn number_end(bytes: &[u8], mut at: usize) -> usize {
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    while bytes
        .get(at)
        .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
    {
        let exponent = matches!(bytes[at], b'e' | b'E');
        at += 1;
        if exponent && matches!(bytes.get(at), Some(b'+' | b'-')) && digit(at + 1) {
            at += 1;
        }
    }
    if bytes.get(at) == Some(&b'.') && digit(at + 1) {
        return number_end(bytes, at + 1);
    }
    at
}

/// Refuses what is nested too deeply or chained too long, and brackets that do not match.
fn bound(text: &str, tokens: &[Token]) -> Result<(), CompileError> {
    let mut open = vec![Frame::default()];
    // Sums over all open frames.
    let mut chained = 0;
    let mut nested = 0;
    for token in tokens {
        let Token { kind, start, end } = *token;
        let depth = open.len();
        let Some(frame) = open.last_mut() else {
            break;
        };
        let word = &text[start..end];
        match kind {
            Kind::And | Kind::Or => {
                chained -= std::mem::take(&mut frame.chain);
                frame.terms += 1;
                if frame.terms > TERMS_MAX {
                    return Err(too_large(text, token, TERMS_MAX, "`&&` and `||`"));
                }
            }
            Kind::Question => {
                chained -= std::mem::take(&mut frame.chain);
                frame.conditionals += 1;
                nested += 1;
            }
            Kind::Open => {
                // An index or a call also makes its own chain longer.
                frame.chain += 1;
                chained += 1;
                nested += 1;
                open.push(Frame {
                    closes_with: match word {
                        "(" => b')',
                        "[" => b']',
                        _ => b'}',
                    },
                    opened_at: start,
                    ..Frame::default()
                });
            }
            Kind::Close => {
                if depth == 1 || frame.closes_with != text.as_bytes()[start] {
                    let hint = (depth > 1)
                        .then(|| format!("`{}` is expected first", char::from(frame.closes_with)));
                    return Err(CompileError::new(
                        "cel_syntax",
                        format!("unexpected `{word}`"),
                        text,
                        start,
                        end,
                    )
                    .hint(hint));
                }
                chained -= frame.chain;
                nested -= frame.conditionals + 1;
                open.pop();
            }
            Kind::Other if matches!(word, "," | ":") => {
                chained -= std::mem::take(&mut frame.chain);
                if word == "," {
                    nested -= std::mem::take(&mut frame.conditionals);
                    frame.terms = 0;
                }
            }
            Kind::Other => {
                frame.chain += 1;
                chained += 1;
            }
            Kind::Word if word == "in" => {
                frame.chain += 1;
                chained += 1;
            }
            Kind::Word | Kind::Number | Kind::Text => {}
        }
        if nested > NESTING_MAX {
            return Err(CompileError::new(
                "cel_too_deep",
                format!("nested more than {NESTING_MAX} deep"),
                text,
                start,
                end,
            ));
        }
        if open.last().is_some_and(|frame| frame.chain > CHAIN_MAX) {
            return Err(too_large(text, token, CHAIN_MAX, "operators"));
        }
        if chained > OPEN_CHAIN_MAX {
            return Err(too_large(text, token, OPEN_CHAIN_MAX, "nested operators"));
        }
    }
    match open.last() {
        Some(frame) if open.len() > 1 => Err(CompileError::new(
            "cel_syntax",
            format!(
                "`{}` is not closed",
                &text[frame.opened_at..=frame.opened_at]
            ),
            text,
            frame.opened_at,
            frame.opened_at + 1,
        )
        .hint(Some(format!(
            "close it with `{}`",
            char::from(frame.closes_with)
        )))),
        _ => Ok(()),
    }
}

fn too_large(text: &str, token: &Token, limit: usize, what: &str) -> CompileError {
    CompileError::new(
        "cel_too_large",
        format!("more than {limit} {what} in one chain"),
        text,
        token.start,
        token.end,
    )
    .hint(Some(
        "test for membership with `in [...]`, or split the expression".to_owned(),
    ))
}

/// The parts of a text that its outermost `&&` joins, as byte ranges in order; brackets around a part are taken off.
pub(super) fn conjuncts(text: &str, tokens: &[Token]) -> Vec<(usize, usize)> {
    let mut parts = Vec::new();
    let mut left = vec![tokens];
    while let Some(tokens) = left.pop() {
        let tokens = unwrapped(text, tokens);
        match cuts(tokens) {
            Some(cuts) => {
                // The last part goes first onto the stack, so that parts come out in order.
                let mut end = tokens.len();
                for cut in cuts.into_iter().rev() {
                    left.push(&tokens[cut + 1..end]);
                    end = cut;
                }
                left.push(&tokens[..end]);
            }
            None => {
                if let (Some(first), Some(last)) = (tokens.first(), tokens.last()) {
                    parts.push((first.start, last.end));
                }
            }
        }
    }
    parts
}

/// Where the outermost `&&` are; nothing when another operator binds less tightly or there is none.
fn cuts(tokens: &[Token]) -> Option<Vec<usize>> {
    let mut depth = 0_usize;
    let mut cuts = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::And if depth == 0 => cuts.push(i),
            Kind::Or | Kind::Question if depth == 0 => return None,
            _ => {}
        }
    }
    (!cuts.is_empty()).then_some(cuts)
}

/// Without the brackets that enclose all of it.
fn unwrapped<'t>(text: &str, mut tokens: &'t [Token]) -> &'t [Token] {
    while let [first, inner @ .., last] = tokens {
        if &text[first.start..first.end] != "(" || last.kind != Kind::Close || inner.is_empty() {
            break;
        }
        let mut depth = 0_usize;
        let mut closed_early = false;
        for token in inner {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close if depth == 0 => closed_early = true,
                Kind::Close => depth -= 1,
                _ => {}
            }
        }
        if closed_early {
            break;
        }
        tokens = inner;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> &'static str {
        scan(text).map_or_else(|error| error.code, |_| "fine")
    }

    fn parts(text: &str) -> Vec<&str> {
        conjuncts(text, &scan(text).unwrap())
            .into_iter()
            .map(|(start, end)| &text[start..end])
            .collect()
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_nest() {
        let deep = "(".repeat(100);
        assert_eq!(code(&format!("a == \"{deep}\"")), "fine");
        assert_eq!(code(&format!("a == '''{deep}\n'''")), "fine");
        assert_eq!(code(&format!("a == r'\\{deep}'")), "fine");
        assert_eq!(code(&format!("a // {deep}\n && b")), "fine");
        assert_eq!(code(&deep), "cel_too_deep");
        assert_eq!(code("a == \"\\\"((\""), "fine");
    }

    #[test]
    fn limits_bite_at_their_figure() {
        let nested = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
        assert_eq!(code(&nested(NESTING_MAX)), "fine");
        assert_eq!(code(&nested(NESTING_MAX + 1)), "cel_too_deep");
        let chain = |n: usize| format!("1{}", "+1".repeat(n));
        assert_eq!(code(&chain(CHAIN_MAX)), "fine");
        assert_eq!(code(&chain(CHAIN_MAX + 1)), "cel_too_large");
        let terms = |n: usize| format!("a{}", "&&a".repeat(n));
        assert_eq!(code(&terms(TERMS_MAX)), "fine");
        assert_eq!(code(&terms(TERMS_MAX + 1)), "cel_too_large");
        assert_eq!(code(&"!".repeat(200)), "cel_too_large");
        assert_eq!(code(&"a?b:".repeat(30)), "cel_too_deep");
        assert_eq!(code(&"a".repeat(TEXT_BYTES_MAX)), "fine");
        assert_eq!(code(&"a".repeat(TEXT_BYTES_MAX + 1)), "cel_too_long");
    }

    #[test]
    fn chains_in_separate_terms_do_not_add_up() {
        let term = "a.b.c == 'x'";
        assert_eq!(code(&vec![term; 200].join("||")), "fine");
        assert_eq!(
            code(&format!("a in [{}]", vec!["-1"; 500].join(","))),
            "fine"
        );
    }

    #[test]
    fn chains_in_nested_brackets_add_up() {
        let level = "1+".repeat(30);
        let text = format!("{}{}", format!("{level}(").repeat(6), ")".repeat(6));
        assert_eq!(code(&text), "cel_too_large");
    }

    #[test]
    fn brackets_and_quotes_that_do_not_close_are_shown() {
        let error = scan("a == (b").unwrap_err();
        assert_eq!((error.column, &*error.fragment), (6, "("));
        let error = scan("a == \"b").unwrap_err();
        assert_eq!(error.column, 6);
        assert_eq!(scan("a)").unwrap_err().fragment, ")");
        assert_eq!(
            scan("(a]").unwrap_err().hint.unwrap(),
            "`)` is expected first"
        );
    }

    #[test]
    fn stray_characters_come_with_the_way_out() {
        assert_eq!(
            scan("a = b").unwrap_err().hint.unwrap(),
            "write `==` to compare"
        );
        assert_eq!(
            scan("a & b").unwrap_err().hint.unwrap(),
            "write `&&` for and"
        );
        assert!(
            scan("a == “x”")
                .unwrap_err()
                .hint
                .unwrap()
                .contains("straight")
        );
        assert!(scan("a\0").unwrap_err().message.contains("U+0000"));
        assert!(scan("a == 'x\0'").unwrap_err().message.contains("U+0000"));
        assert_eq!(code("  // nothing"), "cel_syntax");
        assert_eq!(code(""), "cel_syntax");
    }

    #[test]
    fn conjuncts_are_found_through_brackets_and_not_below_an_or() {
        assert_eq!(parts("a && b"), ["a", "b"]);
        assert_eq!(
            parts("(a && (b)) && c.d(1 && 2)"),
            ["a", "b", "c.d(1 && 2)"]
        );
        assert_eq!(parts("a && b || c"), ["a && b || c"]);
        assert_eq!(parts("(a || b) && c"), ["a || b", "c"]);
        assert_eq!(parts("(a) && (b)"), ["a", "b"]);
        assert_eq!(parts("a ? b && c : d"), ["a ? b && c : d"]);
        assert_eq!(parts("\"&&\" == a"), ["\"&&\" == a"]);
    }
}
