//! What goes wrong with a template, told to the person who wrote it.

use std::fmt;

use crate::cel::position;

/// Why a template is no usable one, or could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Stable code: `template_syntax`, `template_too_long`, `template_too_large`, `template_unsupported`,
    /// `template_unknown_root`, `template_unknown_field`, `template_unknown_filter`, `template_unresolved`,
    /// `template_null`, `template_output_too_long`, `template_cost`, `template_data` or `template_value`.
    pub code: &'static str,
    /// What is wrong, without the position.
    pub message: String,
    /// Where in the JSON tree the template stands, as a JSON pointer such as `/url`; `None` for a lone template.
    pub path: Option<String>,
    /// Line in the template, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The part of the template that is meant; may be empty.
    pub fragment: String,
    /// How to mend it, where that is known.
    pub hint: Option<String>,
}

impl TemplateError {
    pub(super) fn new(
        code: &'static str,
        message: impl Into<String>,
        text: &str,
        start: usize,
        end: usize,
    ) -> Self {
        let (line, column) = position(text, start);
        let fragment = text.get(start..end).unwrap_or_default();
        Self {
            code,
            message: message.into(),
            path: None,
            line,
            column,
            fragment: fragment.chars().take(60).collect(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }

    pub(super) fn at(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_deref() {
            Some("") => f.write_str("at the top: ")?,
            Some(path) => write!(f, "at `{path}`: ")?,
            None => {}
        }
        write!(
            f,
            "{} (line {}, column {})",
            self.message, self.line, self.column
        )?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for TemplateError {}
