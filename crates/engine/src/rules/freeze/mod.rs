//! A freeze: nothing new starts on the targets that it takes, for a time. It stands beside policies and is matched
//! like one; no policy can hold it or replace it.

use super::{Action, GateContext, Reason, RuleEvaluator, Verdict};
use stagegate_model::{Freeze, Timestamp, Version};
use std::sync::Arc;

/// The word for it where rules are shown.
pub(crate) const KIND: &str = "freeze";

/// What asks a freeze.
pub(crate) fn evaluator(freeze: &Freeze) -> Arc<dyn RuleEvaluator> {
    Arc::new(Frozen(freeze.clone()))
}

/// How a freeze stands of which it cannot be said whether it takes the targets: in its time shut as `broken` says,
/// for as long as it lasts.
pub(crate) fn shut(freeze: &Freeze, version: &Version, broken: Verdict, now: Timestamp) -> Verdict {
    match verdict(freeze, version.created_at, now) {
        Verdict::Deny { .. } => broken,
        Verdict::Wait { until, .. } => Verdict::Wait {
            until,
            why: broken.why().clone(),
        },
        open @ Verdict::Allow { .. } => open,
    }
}

struct Frozen(Freeze);

/// How a freeze stands for what it takes; `created` is when the version was.
fn verdict(freeze: &Freeze, created: Timestamp, now: Timestamp) -> Verdict {
    if now < freeze.starts_at {
        let message = format!("{} begins at {}", freeze.name, freeze.starts_at);
        return Verdict::Allow {
            satisfied_at: created,
            lapses_at: Some(freeze.starts_at),
            why: Reason::new("freeze_ahead", message),
        };
    }
    if let Some(ended) = freeze.ends_at.filter(|ends| *ends <= now) {
        let message = format!("{} ended at {ended}", freeze.name);
        return Verdict::allow(created.max(ended), Reason::new("freeze_over", message));
    }
    let until = match freeze.ends_at {
        Some(ends) => format!("until {ends}"),
        None => "until a person ends it".to_owned(),
    };
    let (name, since) = (&freeze.name, freeze.starts_at);
    let message = format!("{name} since {since}, {until}: {}", freeze.reason);
    let why = Reason::new("frozen", message)
        .opens(match freeze.ends_at {
            Some(ends) => format!("the freeze ends at {ends}, or is ended or skipped before"),
            None => "the freeze is ended or skipped".to_owned(),
        })
        .who("whoever may edit policies")
        .action(Action::Wait);
    match freeze.ends_at {
        Some(ends) => Verdict::Wait {
            until: Some(ends),
            why,
        },
        None => Verdict::Deny { why },
    }
}

impl RuleEvaluator for Frozen {
    fn evaluate(&self, context: &GateContext<'_>) -> Option<Verdict> {
        Some(verdict(&self.0, context.version.created_at, context.now))
    }

    fn on_rollback(&self, context: &GateContext<'_>) -> Option<Verdict> {
        (!self.0.allow_rollback).then(|| verdict(&self.0, context.version.created_at, context.now))
    }
}
