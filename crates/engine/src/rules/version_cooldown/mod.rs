//! `versionCooldown`: a target gets another version only some time after the one it has was created, so that bursts
//! of versions are batched.

use super::{
    Action, GateContext, Reason, RuleEvaluator, RuleKind, TargetContext, Verdict, read_spec,
};
use crate::catalog::Draft;
use serde::Deserialize;
use stagegate_model::{Json, Rejection};
use std::sync::Arc;

pub(super) const KIND: RuleKind = RuleKind {
    kind: "versionCooldown",
    doc: include_str!("doc.md"),
    schema: include_str!("schema.json"),
    check,
    compile,
};

/// The longest interval, in seconds.
const INTERVAL_SECONDS_MAX: u32 = 365 * 24 * 3600;

/// The rule as users write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    /// Seconds from the creation of the version that a target has to the next version there; 0: none.
    interval_seconds: u32,
}

fn check(spec: &Json, _: &Draft<'_>) -> Result<(), Rejection> {
    let spec: Spec = read_spec(spec)?;
    if spec.interval_seconds > INTERVAL_SECONDS_MAX {
        let message = format!("at most {INTERVAL_SECONDS_MAX} seconds are allowed");
        return Err(Rejection::invalid("invalid_rule", message).at("intervalSeconds"));
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

    fn asks_targets(&self) -> bool {
        true
    }

    /// The reference is the version in progress on the target, else the one last released there with success.
    fn on_target(&self, context: &TargetContext<'_>) -> Option<Verdict> {
        let TargetContext {
            state,
            version,
            target,
            now,
            ..
        } = context;
        let release = match target.active() {
            Some(_) => target.latest(),
            None => target.current(),
        };
        let reference = release
            .and_then(|id| state.brief(*target, id))
            .and_then(|release| state.versions.get(&release.version));
        let created = version.created_at;
        let Some(reference) = reference else {
            let why = Reason::new("no_reference", "the target has had no version yet");
            return Some(Verdict::allow(created, why));
        };
        if reference.id == version.id {
            let why = Reason::new("same_version", "it is the version that the target has");
            return Some(Verdict::allow(created, why));
        }
        let until = reference
            .created_at
            .plus_seconds(i64::from(self.interval_seconds));
        let message = format!(
            "{} was created at {}; another version may follow {} s later",
            reference.tag, reference.created_at, self.interval_seconds
        );
        if *now >= until {
            return Some(Verdict::allow(
                created.max(until),
                Reason::new("cooled_down", message),
            ));
        }
        let why = Reason::new("cooling_down", message)
            .opens(format!("{until} has come"))
            .action(Action::Wait);
        Some(Verdict::Wait {
            until: Some(until),
            why,
        })
    }
}
