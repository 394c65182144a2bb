//! `rollback`: a target on which a release failed goes back to its last good one.

use super::{GateContext, RuleEvaluator, RuleKind, Verdict, read_spec};
use crate::catalog::Draft;
use serde::Deserialize;
use stagegate_model::{JobStatus, Json, Rejection};
use std::sync::Arc;

pub(super) const KIND: RuleKind = RuleKind {
    kind: "rollback",
    doc: include_str!("doc.md"),
    schema: include_str!("schema.json"),
    check,
    compile,
};

/// The rule as users write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Spec {
    /// After which ends of the last job of a release.
    #[serde(default = "on_failure")]
    on_job_statuses: Vec<JobStatus>,
    /// Whether a failed verification rolls back.
    #[serde(default = "yes")]
    on_verification_failure: bool,
}

fn on_failure() -> Vec<JobStatus> {
    vec![JobStatus::Failure]
}

fn yes() -> bool {
    true
}

fn check(spec: &Json, _: &Draft<'_>) -> Result<(), Rejection> {
    let spec: Spec = read_spec(spec)?;
    for (index, status) in spec.on_job_statuses.iter().enumerate() {
        if !status.is_terminal() || *status == JobStatus::Successful {
            let message = format!("a job that is `{status}` has not failed");
            return Err(Rejection::invalid("invalid_rule", message)
                .at(format!("onJobStatuses[{index}]"))
                .hint("name ends other than `successful`, such as `failure`"));
        }
    }
    if spec.on_job_statuses.is_empty() && !spec.on_verification_failure {
        return Err(
            Rejection::invalid("invalid_rule", "the rule would never roll anything back")
                .at("onJobStatuses")
                .hint("leave the rule out, or name what is to be rolled back"),
        );
    }
    Ok(())
}

fn compile(spec: &Json) -> Result<Arc<dyn RuleEvaluator>, Rejection> {
    Ok(Arc::new(read_spec::<Spec>(spec)?))
}

impl RuleEvaluator for Spec {
    fn evaluate(&self, _: &GateContext<'_>) -> Option<Verdict> {
        None
    }

    fn rollback(&self) -> Option<&Spec> {
        Some(self)
    }
}

/// How a release came to its bad end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Job(JobStatus),
    Verification,
}

impl Spec {
    /// Whether such an end is rolled back.
    pub(crate) fn takes(&self, failure: Failure) -> bool {
        match failure {
            Failure::Job(status) => self.on_job_statuses.contains(&status),
            Failure::Verification => self.on_verification_failure,
        }
    }
}
