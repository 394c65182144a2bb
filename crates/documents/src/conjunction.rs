//! Several CEL expressions that must all hold, as one.

/// What only a look at the brackets and quotes of an expression tells.
#[derive(Debug, PartialEq)]
struct Outline {
    /// A `//` comment is in it; what follows on the same line would be lost.
    comment: bool,
}

/// `(a) && (b)`; a single one as it is; none is `true`. Each must stand on its own: brackets or quotes left open
/// in one would otherwise swallow the next, and a selector could mean something its parts do not. The error
/// says which one, and why.
pub(crate) fn all_of(expressions: &[&str]) -> Result<String, (usize, String)> {
    let [] = expressions else {
        if let [only] = expressions {
            return Ok((*only).to_owned());
        }
        let mut parts = Vec::with_capacity(expressions.len());
        for (index, expression) in expressions.iter().enumerate() {
            let outline = outline(expression).map_err(|message| (index, message))?;
            let end = if outline.comment { "\n" } else { "" };
            parts.push(format!("({expression}{end})"));
        }
        return Ok(parts.join(" && "));
    };
    Ok("true".to_owned())
}

fn outline(expression: &str) -> Result<Outline, String> {
    let mut open: Vec<char> = Vec::new();
    let mut comment = false;
    let mut rest = expression;
    let mut previous = ' ';
    while let Some(letter) = rest.chars().next() {
        if rest.starts_with("//") {
            comment = true;
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        if letter == '"' || letter == '\'' {
            let raw = previous.eq_ignore_ascii_case(&'r');
            rest = after_string(rest, letter, raw)
                .ok_or_else(|| format!("a string that starts with {letter} does not end"))?;
            previous = letter;
            continue;
        }
        match letter {
            '(' | '[' | '{' => open.push(letter),
            ')' | ']' | '}' => {
                let opener = match letter {
                    ')' => '(',
                    ']' => '[',
                    _ => '{',
                };
                if open.pop() != Some(opener) {
                    return Err(format!("`{letter}` closes nothing"));
                }
            }
            _ => {}
        }
        previous = letter;
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
    }
    match open.last() {
        Some(opener) => Err(format!("`{opener}` is not closed")),
        None => Ok(Outline { comment }),
    }
}

/// What follows the string literal that `text` begins with.
fn after_string(text: &str, quote: char, raw: bool) -> Option<&str> {
    let triple = quote.to_string().repeat(3);
    let end = if text.starts_with(&triple) {
        triple
    } else {
        quote.to_string()
    };
    let mut rest = text.get(end.len()..)?;
    loop {
        if let Some(after) = rest.strip_prefix(&end) {
            return Some(after);
        }
        let letter = rest.chars().next()?;
        let mut skipped = letter.len_utf8();
        if letter == '\\' && !raw {
            skipped += rest.chars().nth(1)?.len_utf8();
        }
        rest = rest.get(skipped..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_what_stands_on_its_own() {
        assert_eq!(all_of(&[]), Ok("true".to_owned()));
        assert_eq!(all_of(&["a || b"]), Ok("a || b".to_owned()));
        assert_eq!(all_of(&["a || b", "c"]), Ok("(a || b) && (c)".to_owned()));
    }

    #[test]
    fn a_comment_does_not_swallow_the_next_part() {
        assert_eq!(
            all_of(&["a // why", "b"]),
            Ok("(a // why\n) && (b)".to_owned())
        );
        assert_eq!(
            all_of(&["a == 'http://x'", "b"]),
            Ok("(a == 'http://x') && (b)".to_owned())
        );
    }

    #[test]
    fn brackets_cannot_reach_into_the_next_part() {
        assert_eq!(
            all_of(&["a) || (b", "c"]),
            Err((0, "`)` closes nothing".to_owned()))
        );
        assert_eq!(
            all_of(&["c", "f(a"]),
            Err((1, "`(` is not closed".to_owned()))
        );
        assert!(all_of(&["a == \"x", "b"]).is_err());
        assert!(all_of(&["a[0)", "b"]).is_err());
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        for whole in [
            r#"a == ")""#,
            r#"a == "\")""#,
            r#"a.matches(r'\(')"#,
            r#"a == r"\" + "(" + ")""#,
            "a == '''it's (''' ",
        ] {
            assert!(outline(whole).is_ok(), "{whole}");
        }
    }
}
