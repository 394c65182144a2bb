//! Errors as the API answers them: RFC 9457 problem details that older clients can read too.

use crate::codes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The media type of a [`Problem`].
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `/docs/errors/<code>`: the page that says how to mend it.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means, the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// Stable, documented.
    pub code: String,
    /// The field it is about, such as `rules[0].retry.maxRetries`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Every problem of the documents of an `apply`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<DocumentProblem>,
    /// The same as `detail`, where older clients look for it.
    #[serde(default)]
    pub error: String,
    /// The same as `detail`, where older clients look for it.
    #[serde(default)]
    pub message: String,
}

/// One problem of a document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentProblem {
    pub file: String,
    /// Which document of the file, from 1.
    pub document: usize,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    pub field: String,
    pub code: String,
    pub message: String,
    #[serde(default)]
    pub hint: String,
}

impl Problem {
    /// A problem with that code; status and title come from [`codes::CODES`], 500 for an unlisted code.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let (status, title) = codes::find(code).unwrap_or((500, "Something went wrong"));
        Self {
            kind: format!("/docs/errors/{code}"),
            title: title.to_owned(),
            status,
            code: code.to_owned(),
            field: None,
            hint: None,
            errors: Vec::new(),
            error: detail.clone(),
            message: detail.clone(),
            detail,
        }
    }

    /// Answers with another status than the code's usual one.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Says which field; nothing when empty.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into()).filter(|field| !field.is_empty());
        self
    }

    /// Says how to mend it; nothing when empty.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        self
    }

    /// Lists the problems of documents.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<DocumentProblem>) -> Self {
        self.errors = errors;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        write!(f, "{} ({})", self.detail, self.code)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        self.errors
            .iter()
            .try_for_each(|error| write!(f, "\n{error}"))
    }
}

impl fmt::Display for DocumentProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{} ({})", self.message, self.code)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_for_old_and_new_clients() {
        let problem = Problem::new("version_exists", "there is a `v1` already")
            .at("tag")
            .hint("");
        assert_eq!(
            serde_json::to_value(&problem).unwrap(),
            serde_json::json!({
                "type": "/docs/errors/version_exists",
                "title": "The deployment has a version with this tag already",
                "status": 409,
                "detail": "there is a `v1` already",
                "code": "version_exists",
                "field": "tag",
                "error": "there is a `v1` already",
                "message": "there is a `v1` already",
            })
        );
        assert_eq!(
            problem.to_string(),
            "tag: there is a `v1` already (version_exists)"
        );
    }

    #[test]
    fn an_unlisted_code_is_an_internal_error() {
        assert_eq!(Problem::new("no_such_code", "x").status, 500);
    }
}
