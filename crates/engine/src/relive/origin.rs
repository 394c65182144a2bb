//! Which facts of an entry came from outside: what people, CI, runners and metric providers said, and what was
//! configured. The others were decided, and are decided anew.

use stagegate_model::{CancelCause, Cause, Entry, Fact, OrderCause, derive_id};

/// Where a kind of fact comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// What is configured. Never decided.
    Configured,
    /// Said from outside. Never decided.
    Said,
    /// Decided, whatever was said.
    Decided,
    /// Said or decided: its content and its place in the entry tell.
    Either,
}

/// Every kind of fact is listed, so that a new one has to be put somewhere.
fn origin(fact: &Fact) -> Origin {
    match fact {
        Fact::WorkspaceCreated { .. }
        | Fact::UserCreated { .. }
        | Fact::KeyCreated { .. }
        | Fact::KeyRevoked { .. }
        | Fact::SystemPut { .. }
        | Fact::SystemDeleted { .. }
        | Fact::EnvironmentPut { .. }
        | Fact::EnvironmentDeleted { .. }
        | Fact::DeploymentPut { .. }
        | Fact::DeploymentDeleted { .. }
        | Fact::ResourcePut { .. }
        | Fact::ResourceDeleted { .. }
        | Fact::JobAgentPut { .. }
        | Fact::JobAgentDeleted { .. }
        | Fact::PolicyPut { .. }
        | Fact::PolicyDeleted { .. }
        | Fact::NotifierPut { .. }
        | Fact::NotifierDeleted { .. }
        | Fact::VariablePut { .. }
        | Fact::VariableDeleted { .. }
        | Fact::VariableSetPut { .. }
        | Fact::VariableSetDeleted { .. }
        | Fact::ResourceVariablesPut { .. }
        | Fact::RelationshipRulePut { .. }
        | Fact::RelationshipRuleDeleted { .. }
        | Fact::GroupPut { .. }
        | Fact::GroupDeleted { .. }
        | Fact::SkipCreated { .. }
        | Fact::SkipDeleted { .. }
        | Fact::FreezePut { .. }
        | Fact::FreezeDeleted { .. } => Origin::Configured,
        Fact::VersionCreated { .. }
        | Fact::VersionChanged { .. }
        | Fact::VoteCast { .. }
        | Fact::JobClaimed { .. }
        | Fact::JobLost { .. }
        | Fact::JobFound { .. }
        | Fact::ReportIgnored { .. }
        | Fact::Measured { .. }
        | Fact::HoldReleased { .. }
        | Fact::QuarantineCleared { .. }
        | Fact::PromotionCancelRequested { .. }
        | Fact::PromotionReopened { .. }
        | Fact::RolloutResumed { .. } => Origin::Said,
        Fact::TargetsJoined { .. }
        | Fact::PromotionOpened { .. }
        | Fact::GateChanged { .. }
        | Fact::PromotionMoved { .. }
        | Fact::JobsCreated { .. }
        | Fact::RetryScheduled { .. }
        | Fact::Quarantined { .. }
        | Fact::RolloutStarted { .. }
        | Fact::RolloutWaveStarted { .. }
        | Fact::RolloutClock { .. }
        | Fact::TargetBlocked { .. }
        | Fact::JobRequeued { .. }
        | Fact::ReleaseEnded { .. } => Origin::Decided,
        // Deleting an environment ends what is open there and takes its targets with it.
        Fact::PromotionEnded { .. } | Fact::TargetsLeft { .. } => Origin::Either,
        // A person stops a job, or its time is up.
        Fact::JobChanged { .. } | Fact::JobCancelRequested { .. } => Origin::Either,
        Fact::TargetOrdered { .. } | Fact::OrderDropped { .. } => Origin::Either,
        // A person pauses a rollout, or its budget of failures does.
        Fact::RolloutPaused { .. } => Origin::Either,
        Fact::VerificationStarted { .. } | Fact::VerificationEnded { .. } => Origin::Either,
    }
}

/// The facts at the beginning of an entry that were said; what follows was decided because of them.
pub(super) fn said(entry: &Entry) -> &[Fact] {
    let Cause::Command { name } = &entry.cause else {
        return &[];
    };
    let facts = &entry.facts;
    let configured = |fact: &Fact| origin(fact) == Origin::Configured;
    let last = facts.iter().rposition(configured);
    let reason = match facts.first() {
        Some(Fact::PromotionCancelRequested { reason, .. }) => reason.as_str(),
        _ => "",
    };
    // What a verification that begins with its cause is called; later ones count from 1.
    let first_id = derive_id(entry.id, 0);
    let mut said = 0;
    for (index, fact) in facts.iter().enumerate() {
        let from_outside = match origin(fact) {
            Origin::Configured | Origin::Said => true,
            Origin::Decided => false,
            Origin::Either => match fact {
                Fact::PromotionEnded { .. } | Fact::TargetsLeft { .. } => {
                    name == "configure" && last.is_some_and(|last| index < last)
                }
                Fact::JobChanged { .. } => match name.as_str() {
                    "reportJob" | "cancelJob" => index == 0,
                    "cancelPromotion" => true,
                    _ => false,
                },
                Fact::JobCancelRequested { cause, .. } => {
                    *cause == CancelCause::Person
                        && matches!(name.as_str(), "cancelJob" | "cancelPromotion")
                }
                Fact::TargetOrdered { order, .. } => {
                    order.cause == OrderCause::Person
                        && matches!(name.as_str(), "redeploy" | "rollback" | "breakGlass")
                }
                Fact::OrderDropped { reason: why, .. } => {
                    name == "cancelPromotion" && (why == reason || reason.is_empty())
                }
                Fact::RolloutPaused { .. } => name == "pauseRollout" && index == 0,
                Fact::VerificationStarted { id, .. } => id.0 == first_id,
                Fact::VerificationEnded { decided_by, .. } => decided_by.is_some(),
                _ => false,
            },
        };
        if !from_outside {
            break;
        }
        said = index + 1;
    }
    facts.get(..said).unwrap_or_default()
}
