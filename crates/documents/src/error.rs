//! What is wrong with a document, where it stands and how to mend it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Stable codes of what this crate refuses; each is documented in `docs/errors/<code>.md`.
pub mod code {
    pub const AMBIGUOUS_SYSTEM: &str = "ambiguous_system";
    pub const CONFLICTING_FIELDS: &str = "conflicting_fields";
    pub const DUPLICATE_DOCUMENT: &str = "duplicate_document";
    pub const DUPLICATE_KEY: &str = "duplicate_key";
    pub const DUPLICATE_RULE_ID: &str = "duplicate_rule_id";
    pub const EMPTY_FILE: &str = "empty_file";
    pub const INVALID_NAME: &str = "invalid_name";
    pub const INVALID_RULE: &str = "invalid_rule";
    pub const INVALID_SELECTOR: &str = "invalid_selector";
    pub const INVALID_SLUG: &str = "invalid_slug";
    pub const INVALID_VARIABLE: &str = "invalid_variable";
    pub const MISSING_FIELD: &str = "missing_field";
    pub const NOT_A_MAPPING: &str = "not_a_mapping";
    pub const REPLACES_CYCLE: &str = "replaces_cycle";
    pub const TOO_LARGE: &str = "too_large";
    pub const TOO_MANY_ERRORS: &str = "too_many_errors";
    pub const UNKNOWN_ENVIRONMENT: &str = "unknown_environment";
    pub const UNKNOWN_FIELD: &str = "unknown_field";
    pub const UNKNOWN_JOB_AGENT: &str = "unknown_job_agent";
    pub const UNKNOWN_POLICY: &str = "unknown_policy";
    pub const UNKNOWN_RELATIONSHIP: &str = "unknown_relationship";
    pub const UNKNOWN_SYSTEM: &str = "unknown_system";
    pub const UNKNOWN_USER: &str = "unknown_user";
    pub const UNKNOWN_TYPE: &str = "unknown_type";
    pub const WRONG_TYPE: &str = "wrong_type";
    pub const YAML_SYNTAX: &str = "yaml_syntax";

    /// Every code above.
    pub const ALL: [&str; 26] = [
        AMBIGUOUS_SYSTEM,
        CONFLICTING_FIELDS,
        DUPLICATE_DOCUMENT,
        DUPLICATE_KEY,
        DUPLICATE_RULE_ID,
        EMPTY_FILE,
        INVALID_NAME,
        INVALID_RULE,
        INVALID_SELECTOR,
        INVALID_SLUG,
        INVALID_VARIABLE,
        MISSING_FIELD,
        NOT_A_MAPPING,
        REPLACES_CYCLE,
        TOO_LARGE,
        TOO_MANY_ERRORS,
        UNKNOWN_ENVIRONMENT,
        UNKNOWN_FIELD,
        UNKNOWN_JOB_AGENT,
        UNKNOWN_POLICY,
        UNKNOWN_RELATIONSHIP,
        UNKNOWN_SYSTEM,
        UNKNOWN_TYPE,
        UNKNOWN_USER,
        WRONG_TYPE,
        YAML_SYNTAX,
    ];
}

/// One thing wrong with one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub struct DocumentError {
    /// The name the text was given under.
    pub file: String,
    /// Which document of the file, from 1; 0 when the file as a whole is meant.
    pub document: usize,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// A path such as `rules[0].verification`; empty when the whole document is meant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// Stable; one of [`code`] or a code of the engine's.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl fmt::Display for DocumentError {
    /// `shop.yaml:12:5: rules[0].verification: unknown field …`, and the hint on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}", self.message)?;
        if !self.hint.is_empty() {
            write!(f, "\n  hint: {}", self.hint)?;
        }
        Ok(())
    }
}

/// Past so many errors the rest is not even counted, so that hostile text cannot fill the memory with them.
pub(crate) const ERRORS_KEPT_MAX: usize = 1_000;

/// How many errors are reported before the rest is only counted.
const ERRORS_MAX: usize = 100;

/// In the order of the files and of what stands in them; what is beyond [`ERRORS_MAX`] becomes a count.
pub(crate) fn arrange(mut errors: Vec<DocumentError>, files: &[&str]) -> Vec<DocumentError> {
    let rank = |error: &DocumentError| files.iter().position(|file| *file == error.file);
    errors.sort_by(|a, b| {
        (rank(a), a.line, a.column, &a.field).cmp(&(rank(b), b.line, b.column, &b.field))
    });
    errors.dedup();
    let counted = match errors.len() < ERRORS_KEPT_MAX {
        true => "",
        false => "at least ",
    };
    let rest = errors.len().saturating_sub(ERRORS_MAX);
    if rest > 0 {
        errors.truncate(ERRORS_MAX);
        if let Some(mut last) = errors.last().cloned() {
            last.field.clear();
            last.code = code::TOO_MANY_ERRORS.to_owned();
            last.message = format!("and {counted}{rest} more errors after this one");
            last.hint.clear();
            errors.push(last);
        }
    }
    errors
}
