//! What becomes of a promotion: whether it goes on, and how it ends.

use super::look::{Outlook, is_stopped_here};
use crate::state::{LaneKey, Promotion, State};
use stagegate_model::{PromotionId, PromotionStatus, StartKind, Version, VersionId, VersionStatus};
use std::sync::Arc;

/// What becomes of a promotion.
pub(super) enum Next {
    Move(PromotionStatus),
    End {
        status: PromotionStatus,
        reason: String,
        by: Option<VersionId>,
    },
}

pub(super) fn next_status(
    state: &State,
    key: LaneKey,
    id: PromotionId,
    outlook: &Outlook,
) -> Option<Next> {
    let promotion: &Promotion = state.promotions.get(&id)?;
    let version = state.versions.get(&promotion.version)?;
    let lane = state.lane(key)?;
    let end = |status, reason: &str, by| {
        Some(Next::End {
            status,
            reason: reason.to_owned(),
            by,
        })
    };
    let moved = |status| (promotion.status != status).then_some(Next::Move(status));
    if promotion.running + promotion.retrying > 0 {
        return moved(PromotionStatus::Deploying);
    }
    if promotion.verifying > 0 {
        return moved(PromotionStatus::Verifying);
    }
    let ordered = lane.orders.values().any(|it| it.version == version.id);
    if ordered {
        return None;
    }
    // One that was opened for single targets is not for those that never had the version.
    let behind = match promotion.kind {
        StartKind::Forward => lane.behind(version.order()),
        _ => 0,
    };
    if promotion.rolled_back > 0
        && (behind == 0 || is_stopped_here(state, key.environment, version.id))
    {
        let reason = rolled_back(promotion);
        return match version.status {
            VersionStatus::Rejected => end(PromotionStatus::Rejected, &rejected(&reason), None),
            _ => end(PromotionStatus::RolledBack, &reason, None),
        };
    }
    let track = state.track(version.id, key.environment);
    let cancelled = track.and_then(|track| track.cancelled.as_ref());
    let missed = behind > 0 || promotion.failed + promotion.cancelled > 0;
    if let Some(cancelled) = cancelled.filter(|_| missed) {
        let reason = match promotion.failed {
            0 => cancelled.reason.clone(),
            _ => format!("{}; {}", cancelled.reason, failures(promotion)),
        };
        return end(PromotionStatus::Cancelled, &reason, None);
    }
    if promotion.started() && behind == 0 {
        return if promotion.failed > 0 {
            end(PromotionStatus::Failed, &failures(promotion), None)
        } else if promotion.cancelled == 0 {
            end(PromotionStatus::Succeeded, "every target succeeded", None)
        } else if promotion.succeeded == 0 {
            end(PromotionStatus::Cancelled, "its jobs were cancelled", None)
        } else {
            let (cancelled, all) = (
                promotion.cancelled,
                promotion.cancelled + promotion.succeeded,
            );
            let reason = format!("the jobs of {cancelled} of {all} targets were cancelled");
            end(PromotionStatus::Failed, &reason, None)
        };
    }
    let mut looked_at = outlook.looked_at.iter();
    let gates = looked_at.find(|(it, _)| it.id == version.id);
    let expired = gates
        .into_iter()
        .flat_map(|(_, gates)| gates.values())
        .find(|gate| gate.verdict.why().code == "approval_expired");
    if let Some(gate) = expired.filter(|_| !promotion.started()) {
        return end(PromotionStatus::Expired, &gate.verdict.why().message, None);
    }
    match version.status {
        VersionStatus::Rejected => {
            let reason = match promotion.rolled_back {
                0 => "the version was rejected".to_owned(),
                _ => rejected(&rolled_back(promotion)),
            };
            return end(PromotionStatus::Rejected, &reason, None);
        }
        VersionStatus::Failed => {
            return end(
                PromotionStatus::Cancelled,
                "the version's build failed",
                None,
            );
        }
        _ => {}
    }
    if let Some(cancelled) = cancelled {
        return end(PromotionStatus::Cancelled, &cancelled.reason, None);
    }
    if promotion.started() && is_stopped_here(state, key.environment, version.id) {
        return end(PromotionStatus::Failed, &failures(promotion), None);
    }
    // One that other targets should have now does not wait.
    let newer =
        newest_desired(state, outlook).filter(|_| !outlook.desired.contains(&promotion.version));
    if let Some(newer) = newer.filter(|newer| newer.order() > version.order()) {
        return end(
            PromotionStatus::Superseded,
            &format!("{} took its place", newer.tag),
            Some(newer.id),
        );
    }
    let overtaken = !promotion.started() && behind == 0 && !lane.targets.is_empty();
    if overtaken {
        let newest = lane.by_floor.keys().flatten().max().map(|order| order.1);
        return match newest.filter(|newest| *newest != version.id) {
            Some(newest) => end(
                PromotionStatus::Superseded,
                "every target already has a newer version",
                Some(newest),
            ),
            None => end(
                PromotionStatus::Cancelled,
                "no target is left that needs it",
                None,
            ),
        };
    }
    None
}

fn newest_desired<'s>(state: &'s State, outlook: &Outlook) -> Option<&'s Arc<Version>> {
    let desired = outlook.desired.iter();
    desired
        .filter_map(|id| state.versions.get(id))
        .max_by_key(|it| it.order())
}

/// Whether some target could still be brought to the version, and neither a failure nor a newer one, wanted or already
/// there, stands in its way.
pub(super) fn waits(state: &State, key: LaneKey, version: &Version, outlook: &Outlook) -> bool {
    let behind = state
        .lane(key)
        .is_some_and(|lane| lane.behind(version.order()) > 0);
    let there = state.lane(key).into_iter().flat_map(|it| &it.by_floor);
    let there = there.filter_map(|(order, _)| state.versions.get(&order.as_ref()?.1));
    let well = |it: &&Arc<Version>| {
        it.status != VersionStatus::Rejected && !is_stopped_here(state, key.environment, it.id)
    };
    let newest = there.filter(well).chain(newest_desired(state, outlook));
    // What expired is asked for again by a person, and by nothing else.
    let expired = state
        .track(version.id, key.environment)
        .is_some_and(|track| track.expired.is_some());
    behind
        && !expired
        && !is_stopped_here(state, key.environment, version.id)
        && newest
            .map(|newest| newest.order())
            .all(|newest| newest <= version.order())
}

fn failures(promotion: &Promotion) -> String {
    let ended = promotion.failed + promotion.succeeded + promotion.cancelled;
    format!("{} of {ended} targets failed", promotion.failed)
}

fn rejected(what_followed: &str) -> String {
    format!("the version was rejected; {what_followed}")
}

fn rolled_back(promotion: &Promotion) -> String {
    let ended = promotion.failed + promotion.succeeded + promotion.cancelled;
    format!(
        "{} of {ended} targets were rolled back",
        promotion.rolled_back
    )
}
