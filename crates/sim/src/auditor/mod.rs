//! The auditor: what must hold, judged from the log and from what callers were told.
//!
//! Architecture Invariant: nothing here calls the engine. It reads entries as words of the model, keeps its own
//! account of them, and evaluates gates, selectors and measurements by its own few lines, so that an error in the
//! engine's decisions cannot hide in the judge.

mod dependencies;
mod follow;
mod gates;
mod holders;
mod judge;
mod ledger;
mod orders;
mod progression;
mod rest;
mod selector;
mod skips;
mod starts;
mod turns;
mod variables;

use stagegate_model::{TargetKey, VersionId};

pub use follow::Auditor;
pub use ledger::{Attempt, JobRecord, Ledger, RunRecord};
pub use variables::PEER;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule, in one word.
    pub rule: &'static str,
    /// What was seen.
    pub what: String,
    /// The version and the target that it is about, where Stagegate may be asked for its own reasons.
    pub about: Option<(VersionId, TargetKey)>,
}

impl Violation {
    pub(crate) fn new(rule: &'static str, what: impl Into<String>) -> Self {
        Self {
            rule,
            what: what.into(),
            about: None,
        }
    }

    pub(crate) fn about(self, version: VersionId, target: TargetKey) -> Self {
        Self {
            about: Some((version, target)),
            ..self
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}
