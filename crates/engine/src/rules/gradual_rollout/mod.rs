//! `gradualRollout`: the targets of an environment get a version one after the other, in waves, within a budget of
//! failures.

mod order;
mod spec;

pub(crate) use order::plan;
pub(crate) use spec::{GradualRollout, OnFailure, Size};

use super::{GateContext, RuleEvaluator, RuleKind, Verdict, read_spec};
use crate::catalog::Draft;
use stagegate_model::{Json, Rejection};
use std::sync::Arc;

pub(super) const KIND: RuleKind = RuleKind {
    kind: "gradualRollout",
    doc: include_str!("doc.md"),
    schema: include_str!("schema.json"),
    check,
    compile,
};

fn check(spec: &Json, _: &Draft<'_>) -> Result<(), Rejection> {
    GradualRollout::new(read_spec(spec)?).map(drop)
}

fn compile(spec: &Json) -> Result<Arc<dyn RuleEvaluator>, Rejection> {
    Ok(Arc::new(GradualRollout::new(read_spec(spec)?)?))
}

impl RuleEvaluator for GradualRollout {
    fn evaluate(&self, _: &GateContext<'_>) -> Option<Verdict> {
        None
    }

    fn rollout(&self) -> Option<&GradualRollout> {
        Some(self)
    }
}
