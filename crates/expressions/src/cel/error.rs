//! What goes wrong with a CEL text, told to the person who wrote it.

use std::fmt;

/// Why a text is no usable CEL expression, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// Stable code: `cel_syntax`, `cel_too_long`, `cel_too_deep`, `cel_too_large`, `cel_unknown_field`,
    /// `cel_unknown_root`, `cel_unknown_function`, `cel_arguments`, `cel_bad_regex`, `cel_bad_time`,
    /// `cel_comprehension_depth`, `cel_unsupported`, `cel_not_bool` or `cel_resources`.
    pub code: &'static str,
    /// What is wrong, without the position.
    pub message: String,
    /// Line of the fragment, from 1.
    pub line: u32,
    /// Column of the fragment in characters, from 1.
    pub column: u32,
    /// The part of the text that is meant; may be empty at the text's end.
    pub fragment: String,
    /// How to mend it, where that is known.
    pub hint: Option<String>,
}

/// How much of the text a message repeats.
const FRAGMENT_CHARS_MAX: usize = 60;

impl CompileError {
    pub(super) fn new(
        code: &'static str,
        message: impl Into<String>,
        text: &str,
        start: usize,
        end: usize,
    ) -> Self {
        let start = floor(text, start);
        let end = floor(text, end.max(start));
        let (line, column) = position(text, start);
        let mut fragment: String = text[start..end].chars().take(FRAGMENT_CHARS_MAX).collect();
        if text[start..end].chars().nth(FRAGMENT_CHARS_MAX).is_some() {
            fragment.push('…');
        }
        Self {
            code,
            message: message.into(),
            line,
            column,
            fragment,
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// The nearest character boundary at or before an offset.
fn floor(text: &str, mut offset: usize) -> usize {
    offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Line and column, both from 1, of a byte offset.
pub(crate) fn position(text: &str, offset: usize) -> (u32, u32) {
    let before = &text[..floor(text, offset)];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let from_one = |count: usize| u32::try_from(count).map_or(u32::MAX, |n| n.saturating_add(1));
    (
        from_one(before.matches('\n').count()),
        from_one(before[line_start..].chars().count()),
    )
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (line {}, column {}",
            self.message, self.line, self.column
        )?;
        // A message that already shows the fragment need not repeat it.
        if !self.fragment.is_empty() && !self.message.contains(&format!("`{}`", self.fragment)) {
            write!(f, ", at `{}`", self.fragment)?;
        }
        f.write_str(")")?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CompileError {}

/// Why an evaluation gave no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    /// Stable code: `cel_type`, `cel_not_bool`, `cel_overflow`, `cel_division_by_zero`, `cel_index`, `cel_bad_time`,
    /// `cel_bad_regex`, `cel_cost`, `cel_missing` or `cel_too_deep`.
    pub code: &'static str,
    /// What happened, for the person who wrote the expression.
    pub message: String,
}

impl EvalError {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_lines_from_one() {
        assert_eq!(position("abc", 0), (1, 1));
        assert_eq!(position("é b", 3), (1, 3));
        assert_eq!(position("a\nbé\ncd", 6), (3, 1));
        assert_eq!(position("é", 1), (1, 1));
        assert_eq!(position("ab", 99), (1, 3));
    }

    #[test]
    fn long_fragments_are_cut() {
        let text = "x".repeat(100);
        let error = CompileError::new("cel_syntax", "bad", &text, 0, 100);
        assert_eq!(error.fragment.chars().count(), 61);
    }
}
