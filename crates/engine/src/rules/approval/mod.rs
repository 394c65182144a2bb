//! `approval`: named people approve a version for an environment, in stages.

mod named;
mod spec;
mod standing;

pub use named::visit_approvers;
pub(crate) use spec::{Approval, Approver};
pub(crate) use standing::{Answer, answer};

use super::{Action, GateContext, Reason, RuleEvaluator, RuleKind, Verdict, read_spec};
use crate::catalog::Draft;
use crate::expressions::{DeploymentView, EnvironmentView, VersionView};
use stagegate_expressions::{Roots, View};
use stagegate_model::{Json, Rejection, Timestamp};
use std::sync::Arc;

pub(super) const KIND: RuleKind = RuleKind {
    kind: "approval",
    doc: include_str!("doc.md"),
    schema: include_str!("schema.json"),
    check,
    compile,
};

fn check(spec: &Json, draft: &Draft<'_>) -> Result<(), Rejection> {
    let approval = Approval::new(read_spec(spec)?)?;
    approval.check_people(draft)
}

fn compile(spec: &Json) -> Result<Arc<dyn RuleEvaluator>, Rejection> {
    Ok(Arc::new(Approval::new(read_spec(spec)?)?))
}

impl RuleEvaluator for Approval {
    fn evaluate(&self, context: &GateContext<'_>) -> Option<Verdict> {
        Some(self.verdict(context))
    }

    fn latches(&self) -> bool {
        true
    }

    fn approval(&self) -> Option<&Approval> {
        Some(self)
    }
}

impl Approval {
    fn verdict(&self, context: &GateContext<'_>) -> Verdict {
        let standing = standing::stand(self, context);
        let details = context.details(|| standing.details(context));
        let (tag, place) = (&context.version.tag, &context.environment.name);
        // A rejection stops also what has begun.
        if let Some((_, reason)) = standing.rejected.first() {
            let who = standing.rejected.iter();
            let who: Vec<String> = who.map(|(user, _)| format!("user:{user}")).collect();
            let mut message = format!("{tag} was rejected for {place}");
            if !reason.is_empty() {
                message = format!("{message}: {reason}");
            }
            let why = Reason::new("approval_rejected", message)
                .opens("the person who rejected withdraws the rejection or approves")
                .who(who.join(", "))
                .action(Action::Approval)
                .details(details);
            return Verdict::Deny { why };
        }
        if let Some(satisfied_at) = context.latched {
            // Who approved it stays on record also when nobody did.
            let why = match recorded(context, "auto_approved") {
                Some(_) => automatic(context),
                None => Reason::new("approved", "approved when the rollout began"),
            };
            return Verdict::allow(satisfied_at, why.details(details));
        }
        match self.is_automatic(context) {
            Ok(true) => {
                let at = recorded(context, "auto_approved").unwrap_or(context.now);
                return Verdict::allow(at, automatic(context).details(details));
            }
            Ok(false) => {}
            Err(error) => {
                let message = format!("`autoApproveWhen` cannot be evaluated: {error}");
                let why = Reason::new("rule_error", message)
                    .opens("the policy is corrected")
                    .who("whoever may edit policies");
                return Verdict::Deny { why };
            }
        }
        if let Some(satisfied_at) = standing.satisfied_at() {
            return Verdict::Allow {
                satisfied_at,
                lapses_at: standing.lapses_at,
                why: Reason::new("approved", standing.told()).details(details),
            };
        }
        let expires_at = self
            .expires_after_hours
            .map(|hours| standing.requested_at.plus_seconds(i64::from(hours) * 3600));
        if let (Some(hours), Some(expired)) = (self.expires_after_hours, expires_at)
            && expired <= context.now
        {
            let message = format!("nobody approved {tag} for {place} within {hours} h");
            let why = Reason::new("approval_expired", message)
                .opens("the promotion is reopened, or a newer version is created")
                .who("whoever may deploy there")
                .details(details);
            return Verdict::Deny { why };
        }
        let stage = standing.open_stage();
        let escalated = stage.is_some_and(|stage| stage.escalated);
        let code = if escalated {
            "approval_escalated"
        } else {
            "approval_pending"
        };
        let escalates_at = stage.and_then(|stage| stage.escalates_at);
        let until = [expires_at, escalates_at]
            .into_iter()
            .flatten()
            .filter(|at| *at > context.now)
            .min();
        let missing = stage.map_or(0, |stage| stage.missing());
        let mut ahead = String::new();
        if let Some((at, to)) = stage.and_then(|stage| stage.escalates_to()) {
            ahead.push_str(&format!("; from {at} on also {to} may"));
        }
        if let Some(at) = expires_at {
            ahead.push_str(&format!("; it expires at {at}"));
        }
        let why = Reason::new(code, standing.asked())
            .opens(match missing {
                1 => format!("one more of them approves{ahead}"),
                missing => format!("{missing} more of them approve{ahead}"),
            })
            .who(stage.map_or_else(String::new, |stage| stage.who.join(", ")))
            .action(Action::Approval)
            .details(details);
        Verdict::Wait { until, why }
    }

    fn is_automatic(&self, context: &GateContext<'_>) -> Result<bool, String> {
        let Some(program) = &self.auto_approve_when else {
            return Ok(false);
        };
        let environment = EnvironmentView(context.environment);
        let deployment = DeploymentView(context.deployment);
        let version = VersionView(context.version);
        let roots = Roots::new()
            .with("environment", View::Object(&environment))
            .with("deployment", View::Object(&deployment))
            .with("version", View::Object(&version));
        program.eval(&roots).map_err(|error| error.to_string())
    }
}

fn automatic(context: &GateContext<'_>) -> Reason {
    let message = format!("approved by policy:{}", context.policy.name);
    Reason::new("auto_approved", message)
}

/// Since when the gate stands on record with that code.
fn recorded(context: &GateContext<'_>, code: &str) -> Option<Timestamp> {
    let track = context
        .state
        .track(context.version.id, context.environment.id)?;
    let gate = track.gates.get(&context.rule)?;
    gate.satisfied_at.filter(|_| gate.code == code)
}
