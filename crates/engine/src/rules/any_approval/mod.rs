//! `anyApproval`: so many people must approve the version for the environment.

use super::{Action, GateContext, Reason, RuleEvaluator, RuleKind, Verdict, read_spec};
use crate::catalog::Draft;
use serde::Deserialize;
use stagegate_model::{Json, Rejection, Timestamp, Vote};
use std::sync::Arc;

pub(super) const KIND: RuleKind = RuleKind {
    kind: "anyApproval",
    doc: include_str!("doc.md"),
    schema: include_str!("schema.json"),
    check,
    compile,
};

/// The rule as users write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    /// How many different people must approve; at least 1.
    min_approvals: u32,
}

fn check(spec: &Json, _: &Draft<'_>) -> Result<(), Rejection> {
    let spec: Spec = read_spec(spec)?;
    if spec.min_approvals == 0 {
        return Err(
            Rejection::invalid("invalid_rule", "`minApprovals` must be at least 1")
                .at("minApprovals")
                .hint("leave the rule out when nobody has to approve"),
        );
    }
    Ok(())
}

fn compile(spec: &Json) -> Result<Arc<dyn RuleEvaluator>, Rejection> {
    Ok(Arc::new(read_spec::<Spec>(spec)?))
}

impl RuleEvaluator for Spec {
    fn evaluate(&self, context: &GateContext<'_>) -> Option<Verdict> {
        Some(self.verdict(context))
    }

    fn latches(&self) -> bool {
        true
    }
}

impl Spec {
    fn verdict(&self, context: &GateContext<'_>) -> Verdict {
        let GateContext {
            state,
            version,
            environment,
            ..
        } = context;
        let votes = state
            .votes(version.id, environment.id)
            .into_iter()
            .flatten();
        // A vote counts for exactly the content it was given for.
        let votes: Vec<_> = votes
            .filter(|(_, record)| record.digest == version.digest)
            .collect();
        let details = context.details(|| {
            serde_json::json!({
                "minApprovals": self.min_approvals,
                "votes": votes.iter().map(|(user, record)| serde_json::json!({
                    "userId": user, "vote": record.vote, "at": record.at, "reason": record.reason,
                })).collect::<Vec<_>>(),
            })
        });
        // A rejection stops also what has begun.
        let mut rejections: Vec<_> = votes
            .iter()
            .filter(|(_, record)| record.vote == Vote::Rejected)
            .collect();
        rejections.sort_by_key(|(user, record)| (record.at, **user));
        if let Some((_, record)) = rejections.first() {
            let who = rejections.iter();
            let who: Vec<String> = who.map(|(user, _)| format!("user:{user}")).collect();
            let mut message = format!("{} was rejected for {}", version.tag, environment.name);
            if !record.reason.is_empty() {
                message = format!("{message}: {}", record.reason);
            }
            let why = Reason::new("approval_rejected", message)
                .opens("the person who rejected withdraws the rejection or approves")
                .who(who.join(", "))
                .action(Action::Approval)
                .details(details);
            return Verdict::Deny { why };
        }
        if let Some(satisfied_at) = context.latched {
            let why = Reason::new("approved", "approved when the rollout began").details(details);
            return Verdict::allow(satisfied_at, why);
        }
        let mut approvals: Vec<Timestamp> = votes
            .iter()
            .filter(|(_, record)| record.vote == Vote::Approved)
            .map(|(_, record)| record.at)
            .collect();
        approvals.sort_unstable();
        let needed = self.min_approvals;
        let message = format!(
            "{} of {needed} {}",
            approvals.len(),
            if needed == 1 { "approval" } else { "approvals" }
        );
        match approvals.get(needed.saturating_sub(1) as usize) {
            Some(satisfied_at) => Verdict::allow(
                *satisfied_at,
                Reason::new("approved", message).details(details),
            ),
            None => {
                let missing = needed as usize - approvals.len();
                let people = if missing == 1 {
                    "one more person approves"
                } else {
                    "more people approve"
                };
                let why = Reason::new("approval_pending", message)
                    .opens(if approvals.is_empty() && missing == 1 {
                        "a person approves".to_owned()
                    } else if missing == 1 {
                        people.to_owned()
                    } else {
                        format!("{missing} {people}")
                    })
                    .who("anyone with the role approver or admin")
                    .action(Action::Approval)
                    .details(details);
                Verdict::Wait { until: None, why }
            }
        }
    }
}
