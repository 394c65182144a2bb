//! Configuration that is legal but unwise.

use serde::{Deserialize, Serialize};

/// What was found, the worst first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lint {
    pub findings: Vec<LintFinding>,
    pub errors: usize,
    pub warnings: usize,
    pub notes: usize,
}

/// Something that was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LintFinding {
    /// Stable; listed in `docs/lint.md`.
    pub code: String,
    /// `error`, `warning` or `note`.
    pub severity: String,
    /// What it is about: `Policy`, `Environment`, `Deployment`, `Freeze` or `Skip`.
    pub kind: String,
    pub name: String,
    /// Absent when it is of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `rules[0].retry.maxRetries`; absent when it is the whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// Where it is written; absent when it is of a workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// What is the case.
    pub message: String,
    /// Why it matters.
    pub why: String,
    /// How to mend it.
    pub mend: String,
    /// The page that tells more.
    pub doc: String,
}

impl Lint {
    /// What was found, counted.
    #[must_use]
    pub fn of(findings: Vec<LintFinding>) -> Self {
        let count = |severity: &str| {
            let alike = findings.iter().filter(|it| it.severity == severity);
            alike.count()
        };
        Self {
            errors: count("error"),
            warnings: count("warning"),
            notes: count("note"),
            findings,
        }
    }
}
