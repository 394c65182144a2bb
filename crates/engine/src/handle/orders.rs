//! Commands that depart from the ordinary course: redeploy, rollback, hold, quarantine, cancel, pause, break glass.

use super::{TEXT_BYTES_MAX, too_large, version_of};
use crate::engine::{Context, Engine};
use crate::settle::{is_usable, last_good, rollback_order};
use crate::state::{Good, LaneKey, Promotion, State, TargetView};
use stagegate_model::{
    CancelCause, EarlierRelease, EnvironmentId, Fact, JobStatus, Order, OrderCause, PromotionId,
    Rejection, ReleaseStatus, RollbackTarget, StartKind, TargetKey, UserId, Version, VersionId,
    VersionStatus,
};

/// How many targets one command may name.
const TARGETS_MAX: usize = 10_000;

fn target_of(state: &State, key: TargetKey) -> Result<TargetView<'_>, Rejection> {
    let target = state
        .lane(LaneKey::from(key))
        .and_then(|lane| lane.targets.get(&key.resource))
        .filter(|target| !target.leaving());
    target.ok_or_else(|| {
        let message = format!(
            "resource `{}` is no release target of deployment `{}` in environment `{}`",
            key.resource, key.deployment, key.environment
        );
        Rejection::not_found("release_target_not_found", message)
    })
}

fn name_of(state: &State, key: TargetKey) -> String {
    let resource = state.resource(key.resource);
    resource.map_or_else(|| key.resource.to_string(), |it| it.identifier().to_owned())
}

fn tag_of(state: &State, id: VersionId) -> String {
    let version = state.versions().get(&id);
    version.map_or_else(|| id.to_string(), |it| it.tag.clone())
}

fn check_targets<T>(targets: &[T], reason: &str) -> Result<(), Rejection> {
    too_large("reason", reason.len(), TEXT_BYTES_MAX)?;
    if targets.is_empty() {
        return Err(Rejection::invalid("missing_field", "it names no target").at("targets"));
    }
    if targets.len() > TARGETS_MAX {
        let message = format!(
            "it names {} targets; {TARGETS_MAX} are allowed",
            targets.len()
        );
        return Err(Rejection::invalid("too_large", message)
            .at("targets")
            .hint("split it into several requests"));
    }
    Ok(())
}

/// A reason that cannot be left out.
fn reasoned(reason: &str) -> Result<(), Rejection> {
    too_large("reason", reason.len(), TEXT_BYTES_MAX)?;
    if reason.trim().is_empty() {
        return Err(Rejection::invalid(
            "missing_field",
            "it needs a reason; it is kept in the log",
        )
        .at("reason"));
    }
    Ok(())
}

pub(super) fn redeploy(
    state: &State,
    targets: &[TargetKey],
    reason: &str,
    context: Context,
) -> Result<Vec<Fact>, Rejection> {
    check_targets(targets, reason)?;
    let mut facts = Vec::new();
    for (index, key) in targets.iter().enumerate() {
        let refuse = |rejection: Rejection| rejection.at(format!("targets[{index}]"));
        let order = manual_redeploy(state, *key, reason, context.actor.user()).map_err(refuse)?;
        give(state, *key, order, &mut facts).map_err(refuse)?;
    }
    Ok(facts)
}

/// What a redeploy that a person asks for would do to one target.
pub(crate) fn manual_redeploy(
    state: &State,
    key: TargetKey,
    reason: &str,
    by: Option<UserId>,
) -> Result<Order, Rejection> {
    let target = target_of(state, key)?;
    let release = state.latest(target);
    let Some(release) = release else {
        let message = format!("nothing was ever deployed to `{}`", name_of(state, key));
        return Err(Rejection::conflict("nothing_deployed", message));
    };
    let version = version_of(state, release.version)?;
    let stands = matches!(version.status, VersionStatus::Ready | VersionStatus::Paused);
    if !stands {
        let message = format!("{} has the status {}", version.tag, version.status);
        return Err(Rejection::conflict("invalid_status", message)
            .hint("only a version that is ready can be deployed again"));
    }
    check_quarantine(state, version.id, key.environment)?;
    Ok(Order {
        kind: StartKind::Redeploy,
        version: version.id,
        to: None,
        of: None,
        cause: OrderCause::Person,
        reason: reason.to_owned(),
        by,
    })
}

/// Gives an order, unless the same one stands; a rollback that waits is not replaced by anything less.
fn give(
    state: &State,
    target: TargetKey,
    order: Order,
    facts: &mut Vec<Fact>,
) -> Result<(), Rejection> {
    if !stands_already(state, target, &order)? {
        facts.push(Fact::TargetOrdered { target, order });
    }
    Ok(())
}

/// Whether the same order stands on the target already.
///
/// # Errors
/// When one stands that this one may not replace.
pub(crate) fn stands_already(
    state: &State,
    target: TargetKey,
    order: &Order,
) -> Result<bool, Rejection> {
    let lane = state.lane(target.into());
    let Some(standing) = lane.and_then(|lane| lane.orders.get(&target.resource)) else {
        return Ok(false);
    };
    if (standing.kind, standing.version) == (order.kind, order.version) {
        return Ok(true);
    }
    if standing.kind == StartKind::Rollback && order.kind != StartKind::Rollback {
        let message = format!(
            "`{}` is about to go back to {}",
            name_of(state, target),
            tag_of(state, standing.version)
        );
        return Err(
            Rejection::conflict("rollback_pending", message).hint("wait for the rollback to end")
        );
    }
    Ok(false)
}

fn check_quarantine(
    state: &State,
    version: VersionId,
    environment: EnvironmentId,
) -> Result<(), Rejection> {
    let quarantined = state
        .track(version, environment)
        .and_then(|track| track.quarantined.as_ref());
    match quarantined {
        None => Ok(()),
        Some(quarantined) => {
            let message = format!(
                "{} is quarantined there since {}: {}",
                tag_of(state, version),
                quarantined.since,
                quarantined.reason
            );
            Err(Rejection::conflict("version_quarantined", message)
                .hint("clear the quarantine first"))
        }
    }
}

pub(super) fn roll_back(
    engine: &Engine,
    targets: &[RollbackTarget],
    reason: &str,
    context: Context,
) -> Result<Vec<Fact>, Rejection> {
    let state = engine.state();
    check_targets(targets, reason)?;
    let by = context.actor.user();
    let mut facts = Vec::new();
    for (index, one) in targets.iter().enumerate() {
        let refuse = |rejection: Rejection| rejection.at(format!("targets[{index}]"));
        let order = manual_rollback(state, one, reason, by).map_err(refuse)?;
        give(state, one.target, order, &mut facts).map_err(refuse)?;
    }
    Ok(facts)
}

/// What a rollback that a person asks for would do to one target.
pub(crate) fn manual_rollback(
    state: &State,
    one: &RollbackTarget,
    reason: &str,
    by: Option<UserId>,
) -> Result<Order, Rejection> {
    let key = one.target;
    let target = target_of(state, key)?;
    let release = state.latest(target);
    let Some(release) = release else {
        let message = format!("nothing was ever deployed to `{}`", name_of(state, key));
        return Err(Rejection::conflict("nothing_deployed", message));
    };
    let to = match one.to {
        Some(EarlierRelease { id, version }) => {
            version_of(state, version)?;
            if !is_usable(state, key.environment, version) {
                let message = format!(
                    "{} was rejected, or is quarantined there",
                    tag_of(state, version)
                );
                return Err(Rejection::conflict("release_unusable", message)
                    .hint("choose a release of another version"));
            }
            if id == release.id && release.status == ReleaseStatus::Succeeded {
                let message = format!("`{}` has that release already", name_of(state, key));
                return Err(Rejection::conflict("already_there", message));
            }
            Good {
                release: id,
                number: 0,
                version,
            }
        }
        None => last_good(state, key.environment, target, release.version).ok_or_else(|| {
            let message = format!(
                "`{}` has no earlier release that succeeded and may be used",
                name_of(state, key)
            );
            Rejection::conflict("no_earlier_release", message)
                .hint("deploy a version that you trust instead")
        })?,
    };
    let order = rollback_order(to, release.id, OrderCause::Person, reason, by);
    Ok(order)
}

pub(super) fn release_hold(
    state: &State,
    targets: &[TargetKey],
    reason: &str,
) -> Result<Vec<Fact>, Rejection> {
    check_targets(targets, reason)?;
    let mut facts = Vec::new();
    for (index, key) in targets.iter().enumerate() {
        target_of(state, *key).map_err(|it| it.at(format!("targets[{index}]")))?;
        let held = state
            .lane(LaneKey::from(*key))
            .is_some_and(|lane| lane.held.contains_key(&key.resource));
        if held {
            facts.push(Fact::HoldReleased {
                target: *key,
                reason: reason.to_owned(),
            });
        }
    }
    Ok(facts)
}

pub(super) fn clear_quarantine(
    state: &State,
    version: VersionId,
    environment: EnvironmentId,
    reason: String,
) -> Result<Vec<Fact>, Rejection> {
    reasoned(&reason)?;
    version_of(state, version)?;
    if !state.environments().contains_key(&environment) {
        let message = format!("there is no environment `{environment}`");
        return Err(Rejection::not_found("environment_not_found", message));
    }
    let stopped = state
        .track(version, environment)
        .is_some_and(|track| track.quarantined.is_some() || !track.failed_verifications.is_empty());
    if !stopped {
        return Ok(Vec::new());
    }
    Ok(vec![Fact::QuarantineCleared {
        version,
        environment,
        reason,
    }])
}

fn promotion_of(state: &State, id: PromotionId) -> Result<&Promotion, Rejection> {
    state.promotions().get(&id).ok_or_else(|| {
        let message = format!("there is no promotion `{id}`, or it ended long ago");
        Rejection::not_found("promotion_not_found", message)
    })
}

fn open_promotion_of(state: &State, id: PromotionId) -> Result<&Promotion, Rejection> {
    let promotion = promotion_of(state, id)?;
    if promotion.status.is_open() {
        return Ok(promotion);
    }
    let message = format!("the promotion has ended: {}", promotion.status);
    Err(Rejection::conflict("promotion_ended", message))
}

pub(super) fn cancel_promotion(
    state: &State,
    id: PromotionId,
    reason: &str,
    context: Context,
) -> Result<Vec<Fact>, Rejection> {
    too_large("reason", reason.len(), TEXT_BYTES_MAX)?;
    let promotion = open_promotion_of(state, id)?;
    let message = match reason {
        "" => "its promotion was cancelled".to_owned(),
        why => format!("its promotion was cancelled: {why}"),
    };
    Ok(cancelling(state, promotion, &message, context))
}

/// What ending a promotion by hand comes to; `message` is why, as it is told everywhere.
pub(crate) fn cancelling(
    state: &State,
    promotion: &Promotion,
    message: &str,
    context: Context,
) -> Vec<Fact> {
    let id = promotion.id;
    let track = state.track(promotion.version, promotion.environment);
    let key = LaneKey {
        deployment: promotion.deployment,
        environment: promotion.environment,
    };
    let mut facts = Vec::new();
    if track.is_none_or(|track| track.cancelled.is_none()) {
        facts.push(Fact::PromotionCancelRequested {
            id,
            reason: message.to_owned(),
        });
    }
    let lane = state.lane(key);
    let active = lane.into_iter().flat_map(|lane| lane.index.active.iter());
    let jobs = active.filter_map(|resource| {
        let target = lane?.targets.get(resource)?;
        state.jobs().get(&target.active()?)
    });
    for job in jobs.filter(|job| job.promotion == id) {
        facts.extend(stop_job(job, message, context));
    }
    let orders = lane.into_iter().flat_map(|lane| &lane.orders);
    for (resource, order) in orders {
        // A rollback is not begun for the sake of this promotion.
        if order.version == promotion.version && order.kind != StartKind::Rollback {
            facts.push(Fact::OrderDropped {
                target: key.target(*resource),
                reason: message.to_owned(),
            });
        }
    }
    facts
}

/// A job that nobody works on ends at once; another is asked to stop.
fn stop_job(job: &crate::Job, message: &str, context: Context) -> Option<Fact> {
    if job.status.is_terminal() {
        return None;
    }
    if job.status != JobStatus::Pending {
        return job.cancel.is_none().then(|| Fact::JobCancelRequested {
            id: job.id,
            cause: CancelCause::Person,
            reason: message.to_owned(),
            by: context.actor.user(),
        });
    }
    Some(Fact::JobChanged {
        id: job.id,
        status: JobStatus::Cancelled,
        message: message.to_owned(),
        external_id: None,
        output_tail: None,
        exit: None,
        links: std::collections::BTreeMap::new(),
    })
}

pub(super) fn reopen_promotion(
    state: &State,
    id: PromotionId,
    reason: String,
) -> Result<Vec<Fact>, Rejection> {
    too_large("reason", reason.len(), TEXT_BYTES_MAX)?;
    let promotion = promotion_of(state, id)?;
    let track = state.track(promotion.version, promotion.environment);
    if track.is_some_and(|track| track.cancelled.is_some() || track.expired.is_some()) {
        return Ok(vec![Fact::PromotionReopened {
            version: promotion.version,
            environment: promotion.environment,
            reason,
        }]);
    }
    if promotion.status.is_open() {
        return Ok(Vec::new());
    }
    let message = format!("the promotion ended {}", promotion.status);
    Err(Rejection::conflict("promotion_ended", message).hint(
        "only one that was cancelled or has expired is reopened; redeploy its targets instead",
    ))
}

pub(super) fn pause(
    state: &State,
    id: PromotionId,
    reason: String,
) -> Result<Vec<Fact>, Rejection> {
    too_large("reason", reason.len(), TEXT_BYTES_MAX)?;
    let promotion = open_promotion_of(state, id)?;
    let track = state.track(promotion.version, promotion.environment);
    if track.is_some_and(|track| track.paused.is_some()) {
        return Ok(Vec::new());
    }
    Ok(vec![Fact::RolloutPaused {
        version: promotion.version,
        environment: promotion.environment,
        reason,
    }])
}

pub(super) fn resume(
    state: &State,
    id: PromotionId,
    reason: String,
) -> Result<Vec<Fact>, Rejection> {
    too_large("reason", reason.len(), TEXT_BYTES_MAX)?;
    let promotion = open_promotion_of(state, id)?;
    let track = state.track(promotion.version, promotion.environment);
    if track.is_none_or(|track| track.paused.is_none()) {
        return Ok(Vec::new());
    }
    Ok(vec![Fact::RolloutResumed {
        version: promotion.version,
        environment: promotion.environment,
        reason,
    }])
}

pub(super) fn break_glass(
    state: &State,
    version: VersionId,
    targets: &[TargetKey],
    reason: &str,
    context: Context,
) -> Result<Vec<Fact>, Rejection> {
    check_targets(targets, reason)?;
    reasoned(reason)?;
    breakable(state, version)?;
    let mut facts = Vec::new();
    for (index, key) in targets.iter().enumerate() {
        let refuse = |rejection: Rejection| rejection.at(format!("targets[{index}]"));
        let order = manual_break_glass(state, version, *key, reason, context.actor.user())
            .map_err(refuse)?;
        give(state, *key, order, &mut facts).map_err(refuse)?;
    }
    Ok(facts)
}

/// A version that may be put somewhere past the gates.
fn breakable(state: &State, version: VersionId) -> Result<&Version, Rejection> {
    let version = version_of(state, version)?;
    let stands = matches!(version.status, VersionStatus::Ready | VersionStatus::Paused);
    if stands {
        return Ok(version);
    }
    let message = format!("{} has the status {}", version.tag, version.status);
    Err(Rejection::conflict("invalid_status", message).at("versionId"))
}

/// What breaking the glass would do to one target.
pub(crate) fn manual_break_glass(
    state: &State,
    version: VersionId,
    key: TargetKey,
    reason: &str,
    by: Option<UserId>,
) -> Result<Order, Rejection> {
    let version = breakable(state, version)?;
    target_of(state, key)?;
    if key.deployment != version.deployment {
        let message = format!("{} is a version of another deployment", version.tag);
        return Err(Rejection::invalid("invalid_value", message));
    }
    Ok(Order {
        kind: StartKind::BreakGlass,
        version: version.id,
        to: None,
        of: None,
        cause: OrderCause::Person,
        reason: reason.to_owned(),
        by,
    })
}
