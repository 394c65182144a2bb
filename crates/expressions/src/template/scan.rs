//! The look at a template before the engine sees it: bounds, what is not
//! available, and `{{ .resource… }}` made into `{{ resource… }}`.

use super::error::TemplateError;

/// Longest template, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Most words and signs in one `{{ }}` or `{% %}`.
pub const TAG_TOKENS_MAX: usize = 200;
/// Deepest nesting of brackets in one tag, and of `if` and `for`.
pub const NESTING_MAX: usize = 16;
/// Most `elif` after one `if`: each is nested in the one before.
const BRANCHES_MAX: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Number,
    Text,
    Open,
    Close,
    Sign,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A template that is fit for the engine.
pub(super) struct Scanned {
    /// The text without leading dots; every other byte stands where the user wrote it.
    pub(super) text: String,
    /// The tokens of each `{{ }}` and `{% %}`.
    pub(super) tags: Vec<Vec<Token>>,
}

/// Words after which a dot begins a path.
const OPERATOR_WORDS: [&str; 8] = ["if", "elif", "else", "in", "and", "or", "not", "is"];

pub(super) fn scan(text: &str) -> Result<Scanned, TemplateError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(TemplateError::new(
            "template_too_long",
            format!(
                "the template has {} bytes, at most {TEXT_BYTES_MAX} are allowed",
                text.len()
            ),
            text,
            0,
            0,
        ));
    }
    let mut dotless = text.as_bytes().to_vec();
    let mut tags = Vec::new();
    let mut branches: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('{') {
        let start = at + found;
        at = start + 2;
        let closing = match text.as_bytes().get(start + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => {
                at = text[at..]
                    .find("#}")
                    .map(|end| at + end + 2)
                    .ok_or_else(|| unclosed(text, start, "#}"))?;
                continue;
            }
            _ => {
                at = start + 1;
                continue;
            }
        };
        let (tokens, end) = tag(text, start, closing)?;
        at = end;
        for (i, dot) in tokens.iter().enumerate() {
            if leads(text, &tokens, i) {
                dotless[dot.start] = b' ';
            }
        }
        if closing == "%}" {
            let (word, inside) = statement(text, start, &tokens, &mut branches)?;
            if word == "raw" {
                at = raw_end(text, at).ok_or_else(|| unclosed(text, start, "{% endraw %}"))?;
                continue;
            }
            if !inside {
                continue;
            }
        }
        tags.push(tokens);
    }
    // Single bytes were replaced by single ASCII bytes, so this is still text.
    let text = String::from_utf8(dotless).unwrap_or_else(|_| text.to_owned());
    Ok(Scanned { text, tags })
}

fn unclosed(text: &str, start: usize, closing: &str) -> TemplateError {
    TemplateError::new(
        "template_syntax",
        format!("`{}` is not closed", &text[start..start + 2]),
        text,
        start,
        start + 2,
    )
    .hint(Some(format!("close it with `{closing}`")))
}

/// Splits one tag that begins at `start`; gives its tokens and where it ends.
fn tag(text: &str, start: usize, closing: &str) -> Result<(Vec<Token>, usize), TemplateError> {
    let bytes = text.as_bytes();
    let mut tokens: Vec<Token> = Vec::new();
    let mut depth = 0_usize;
    let mut at = start + 2;
    if matches!(bytes.get(at), Some(b'-' | b'+')) {
        at += 1;
    }
    while let Some(&byte) = bytes.get(at) {
        let trims = matches!(byte, b'-' | b'+') && text[at + 1..].starts_with(closing);
        if depth == 0 && (trims || text[at..].starts_with(closing)) {
            return Ok((tokens, at + closing.len() + usize::from(trims)));
        }
        let begin = at;
        let kind = match byte {
            _ if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'"' | b'\'' => {
                at = string_end(bytes, at).ok_or_else(|| {
                    TemplateError::new(
                        "template_syntax",
                        "the text that begins here is not closed",
                        text,
                        begin,
                        begin + 1,
                    )
                })?;
                Kind::Text
            }
            b'0'..=b'9' => {
                while bytes
                    .get(at)
                    .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
                {
                    at += 1;
                }
                Kind::Number
            }
            _ if byte.is_ascii_alphabetic() || byte == b'_' => {
                while bytes
                    .get(at)
                    .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
                {
                    at += 1;
                }
                Kind::Word
            }
            b'(' | b'[' | b'{' => {
                at += 1;
                depth += 1;
                Kind::Open
            }
            b')' | b']' | b'}' => {
                at += 1;
                depth = depth.checked_sub(1).ok_or_else(|| {
                    TemplateError::new(
                        "template_syntax",
                        format!("unexpected `{}`", char::from(byte)),
                        text,
                        begin,
                        at,
                    )
                    .hint(Some(format!("close the expression with `{closing}`")))
                })?;
                Kind::Close
            }
            b'~' => {
                return Err(unsupported(text, begin, at + 1).hint(Some(
                    "join texts with `+`, or write `{{ a }}{{ b }}`".to_owned(),
                )));
            }
            b'*' => {
                return Err(unsupported(text, begin, at + 1)
                    .hint(Some("compute the value where it is set".to_owned())));
            }
            _ if byte.is_ascii_graphic() => {
                at += 1;
                Kind::Sign
            }
            _ => {
                let char = text[at..].chars().next().unwrap_or_default();
                return Err(TemplateError::new(
                    "template_syntax",
                    format!("unexpected `{}`", char.escape_debug()),
                    text,
                    begin,
                    begin + char.len_utf8(),
                ));
            }
        };
        tokens.push(Token {
            kind,
            start: begin,
            end: at,
        });
        if depth > NESTING_MAX || tokens.len() > TAG_TOKENS_MAX {
            return Err(TemplateError::new(
                "template_too_large",
                format!(
                    "one expression has at most {TAG_TOKENS_MAX} words and signs, nested at most {NESTING_MAX} deep"
                ),
                text,
                begin,
                at,
            ));
        }
    }
    Err(unclosed(text, start, closing))
}

fn unsupported(text: &str, start: usize, end: usize) -> TemplateError {
    TemplateError::new(
        "template_unsupported",
        format!("`{}` is not available in templates", &text[start..end]),
        text,
        start,
        end,
    )
}

fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mark = bytes.get(start)?;
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            byte if byte == mark => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// Whether the token is a dot that begins a path, as in `{{ .resource.name }}`.
fn leads(text: &str, tokens: &[Token], i: usize) -> bool {
    let spelled = |token: &Token| &text[token.start..token.end];
    let Some((dot, next)) = tokens.get(i).zip(tokens.get(i + 1)) else {
        return false;
    };
    if spelled(dot) != "." || next.kind != Kind::Word || next.start != dot.end {
        return false;
    }
    match i.checked_sub(1).and_then(|before| tokens.get(before)) {
        None => true,
        Some(before) => match before.kind {
            Kind::Sign => spelled(before) != ".",
            Kind::Open => true,
            // `a.if .b`: a field that is named like an operator is still a field.
            Kind::Word => {
                OPERATOR_WORDS.contains(&spelled(before)) && !is_field(text, tokens, i - 1)
            }
            Kind::Number | Kind::Text | Kind::Close => false,
        },
    }
}

/// Whether the word is selected from something, as `b` in `a.b`.
fn is_field(text: &str, tokens: &[Token], i: usize) -> bool {
    i.checked_sub(1)
        .and_then(|before| tokens.get(before))
        .is_some_and(|dot| &text[dot.start..dot.end] == "." && !leads(text, tokens, i - 1))
}

/// Checks a `{% %}`; gives its first word, and whether an expression follows it.
fn statement<'t>(
    text: &'t str,
    start: usize,
    tokens: &[Token],
    branches: &mut Vec<usize>,
) -> Result<(&'t str, bool), TemplateError> {
    let Some(first) = tokens.first() else {
        return Err(TemplateError::new(
            "template_syntax",
            "the statement is empty",
            text,
            start,
            start + 2,
        ));
    };
    let word = &text[first.start..first.end];
    match word {
        "if" | "for" => branches.push(0),
        "elif" => {
            if let Some(count) = branches.last_mut() {
                *count += 1;
            }
        }
        "endif" | "endfor" => {
            branches.pop();
        }
        "else" | "raw" | "endraw" => {}
        _ => {
            return Err(unsupported(text, first.start, first.end).hint(Some(
                "available: `if`, `elif`, `else`, `for`, `raw`, and `{{ … }}`".to_owned(),
            )));
        }
    }
    if branches.len() > NESTING_MAX || branches.last().is_some_and(|count| *count > BRANCHES_MAX) {
        return Err(TemplateError::new(
            "template_too_large",
            format!(
                "`if` and `for` nest at most {NESTING_MAX} deep, with at most {BRANCHES_MAX} `elif`"
            ),
            text,
            first.start,
            first.end,
        ));
    }
    if word == "for"
        && let Some(recursive) = tokens
            .iter()
            .find(|token| &text[token.start..token.end] == "recursive")
    {
        return Err(unsupported(text, recursive.start, recursive.end));
    }
    Ok((word, matches!(word, "if" | "elif" | "for")))
}

/// Where the `{% endraw %}` after `from` ends.
fn raw_end(text: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let start = at + text.get(at..)?.find("{%")?;
        let inside = text[start + 2..]
            .trim_start_matches(['-', '+'])
            .trim_start();
        if let Some(rest) = inside.strip_prefix("endraw") {
            let rest = rest.trim_start().trim_start_matches(['-', '+']);
            if let Some(after) = rest.strip_prefix("%}") {
                return Some(text.len() - after.len());
            }
        }
        at = start + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dotless(text: &str) -> String {
        scan(text).unwrap().text
    }

    fn code(text: &str) -> &'static str {
        scan(text).map_or_else(|error| error.code, |_| "fine")
    }

    #[test]
    fn leading_dots_become_spaces_and_nothing_else_changes() {
        assert_eq!(dotless("{{.a.b}}"), "{{ a.b}}");
        assert_eq!(dotless("{{- .a.b -}}"), "{{-  a.b -}}");
        assert_eq!(
            dotless("x.y {{ f(.a, [.b]) }} .z"),
            "x.y {{ f( a, [ b]) }} .z"
        );
        assert_eq!(dotless("{{ .a if .b else .c }}"), "{{  a if  b else  c }}");
        assert_eq!(dotless("{{ a['.b'].c }}"), "{{ a['.b'].c }}");
        assert_eq!(dotless("{{ a .b }}"), "{{ a .b }}");
        assert_eq!(dotless("{{ a.if.b }}"), "{{ a.if.b }}");
        assert_eq!(dotless("{% if .a %}{% endif %}"), "{% if  a %}{% endif %}");
        assert_eq!(dotless("{# {{.a}} #}{{.b}}"), "{# {{.a}} #}{{ b}}");
        assert_eq!(
            dotless("{% raw %}{{.a}}{%- endraw +%}{{.b}}"),
            "{% raw %}{{.a}}{%- endraw +%}{{ b}}"
        );
        assert_eq!(dotless("é {{ .ab }} é"), "é {{  ab }} é");
    }

    #[test]
    fn closing_brackets_inside_of_an_expression_do_not_end_it() {
        assert_eq!(scan("{{ {'a':{}}.a }} {{ b }}").unwrap().tags.len(), 2);
        assert_eq!(scan("{{ '}}' }}").unwrap().tags.len(), 1);
        assert_eq!(code("{{ a } }}"), "template_syntax");
        assert_eq!(code("{{ a"), "template_syntax");
        assert_eq!(code("{{ 'a }}"), "template_syntax");
        assert_eq!(code("{# a"), "template_syntax");
        assert_eq!(code("{% raw %} a"), "template_syntax");
    }

    #[test]
    fn what_could_run_away_is_not_available() {
        for text in [
            "{% set a = 1 %}",
            "{% include 'x' %}",
            "{% macro a() %}{% endmacro %}",
            "{% for a in b recursive %}{% endfor %}",
            "{{ 'a' * 9 }}",
            "{{ 'a' ~ 'b' }}",
        ] {
            assert_eq!(code(text), "template_unsupported", "{text}");
        }
    }

    #[test]
    fn limits_bite_at_their_figure() {
        assert_eq!(code(&"a".repeat(TEXT_BYTES_MAX)), "fine");
        assert_eq!(code(&"a".repeat(TEXT_BYTES_MAX + 1)), "template_too_long");
        let nested = |n: usize| format!("{{{{ {}a{} }}}}", "(".repeat(n), ")".repeat(n));
        assert_eq!(code(&nested(NESTING_MAX)), "fine");
        assert_eq!(code(&nested(NESTING_MAX + 1)), "template_too_large");
        assert_eq!(code(&format!("{{{{ a{} }}}}", "+a".repeat(99))), "fine");
        assert_eq!(
            code(&format!("{{{{ a{} }}}}", "+a".repeat(100))),
            "template_too_large"
        );
        assert_eq!(
            code(&"{% if a %}".repeat(NESTING_MAX + 1)),
            "template_too_large"
        );
        let branches = format!("{{% if a %}}{}", "{% elif a %}".repeat(BRANCHES_MAX + 1));
        assert_eq!(code(&branches), "template_too_large");
    }
}
