//! Going back: which targets are rolled back, and to what.

use super::Turn;
use super::applicable::LaneView;
use crate::rules::rollback::Failure;
use crate::state::{Good, Job, LaneKey, State, TargetView};
use stagegate_model::{
    EnvironmentId, Fact, Order, OrderCause, ReleaseId, ReleaseStatus, ResourceId, StartKind,
    UserId, VersionId, VersionStatus,
};

/// The last good release of a target that is not of `from`, not rejected and not quarantined.
pub(crate) fn last_good(
    state: &State,
    environment: EnvironmentId,
    target: TargetView<'_>,
    from: VersionId,
) -> Option<Good> {
    let usable = |good: &Good| good.version != from && is_usable(state, environment, good.version);
    target.good().rev().find(usable)
}

/// Whether a target may be rolled back to a version.
pub(crate) fn is_usable(state: &State, environment: EnvironmentId, version: VersionId) -> bool {
    let stands = state
        .versions
        .get(&version)
        .is_some_and(|version| version.status != VersionStatus::Rejected);
    let quarantined = state
        .track(version, environment)
        .is_some_and(|track| track.quarantined.is_some());
    stands && !quarantined
}

/// What undoes a release on a target: an order to go back, and its cause on record.
pub(crate) fn rollback_order(
    to: Good,
    of: ReleaseId,
    cause: OrderCause,
    reason: &str,
    by: Option<UserId>,
) -> Order {
    Order {
        kind: StartKind::Rollback,
        version: to.version,
        to: Some(to.release),
        of: Some(of),
        cause,
        reason: reason.to_owned(),
        by,
    }
}

/// Whether a target of a lane that was given a version in the ordinary course can still be rolled back from it.
pub(super) fn can_go_back(state: &State, key: LaneKey, version: VersionId) -> bool {
    let targets = state.lane(key).into_iter().flat_map(|lane| &lane.targets);
    let mut undone = targets.filter(|(resource, target)| {
        let cause = OrderCause::FailureBudget;
        is_given(state, *target, version)
            && undo(state, key, **resource, *target, version, cause, "").is_some()
    });
    undone.next().is_some()
}

/// Whether the latest release of a target is one of that version, made in the ordinary course. What a target was given
/// since, or got past the gates, is a person's business; and a rollback that failed is not tried again.
fn is_given(state: &State, target: TargetView<'_>, version: VersionId) -> bool {
    let latest = state.latest(target);
    latest.is_some_and(|it| it.version == version && it.kind != StartKind::BreakGlass)
}

impl Turn<'_> {
    /// What a rollback rule makes of a release that failed for good: the release to go back to, `Err` with what to say
    /// when there is none, `Ok(None)` when no rule wants it.
    pub(super) fn rollback_of(&self, job: &Job, failure: Failure) -> Result<Option<Good>, String> {
        let state = self.state();
        let kind = state.releases.get(&job.release).map(|it| it.kind);
        let key = LaneKey::from(job.target);
        let (Some(view), Some(version), Some(target)) = (
            LaneView::new(self.engine, key),
            state.versions.get(&job.version),
            state
                .lane(key)
                .and_then(|lane| lane.targets.get(&job.target.resource)),
        ) else {
            return Ok(None);
        };
        if target.leaving() {
            return Ok(None);
        }
        let stored = state.resource(job.target.resource).map(|it| &**it);
        let conduct = view.conduct(version, stored);
        if !conduct.rollbacks.iter().any(|rule| rule.takes(failure)) {
            return Ok(None);
        }
        if kind == Some(StartKind::Rollback) {
            return Err("a rollback that fails is not rolled back; a person has to act".to_owned());
        }
        match last_good(state, key.environment, target, job.version) {
            Some(good) => Ok(Some(good)),
            None => Err("there is no earlier good release to go back to".to_owned()),
        }
    }

    /// Quarantines what failed and orders its target back.
    pub(super) fn order_rollback(&mut self, job: &Job, to: Good, cause: OrderCause, reason: &str) {
        let environment = job.target.environment;
        let quarantined = self
            .state()
            .track(job.version, environment)
            .is_some_and(|track| track.quarantined.is_some());
        if !quarantined {
            self.push(Fact::Quarantined {
                version: job.version,
                environment,
                reason: reason.to_owned(),
            });
        }
        let order = rollback_order(to, job.release, cause, reason, None);
        self.push(Fact::TargetOrdered {
            target: job.target,
            order,
        });
    }

    /// Orders back every target of a lane that has the version or is being brought to it, where there is something
    /// good to go back to.
    pub(super) fn roll_back_all(
        &mut self,
        key: LaneKey,
        version: VersionId,
        cause: OrderCause,
        reason: &str,
    ) {
        let state = self.state();
        let targets = state.lane(key).into_iter().flat_map(|lane| &lane.targets);
        let orders: Vec<(ResourceId, Order)> = targets
            .filter(|(_, target)| {
                cause != OrderCause::FailureBudget || is_given(state, *target, version)
            })
            .filter_map(|(resource, target)| {
                let order = undo(state, key, *resource, target, version, cause, reason)?;
                Some((*resource, order))
            })
            .collect();
        for (resource, order) in orders {
            self.budget = self.budget.saturating_sub(1);
            let target = key.target(resource);
            self.push(Fact::TargetOrdered { target, order });
        }
    }

    /// Rolls back where a version that was rejected is running. Gives whether one was looked at.
    pub(super) fn settle_rejected(&mut self) -> bool {
        let Some(id) = self.engine.state.dirty.rejected.pop_first() else {
            return false;
        };
        let Some(version) = self.state().versions.get(&id).cloned() else {
            return true;
        };
        if version.status != VersionStatus::Rejected {
            return true;
        }
        let lanes: Vec<LaneKey> = self
            .state()
            .lanes
            .keys()
            .filter(|key| key.deployment == version.deployment)
            .copied()
            .collect();
        let reason = match version.message.as_str() {
            "" => format!("{} was rejected", version.tag),
            why => format!("{} was rejected: {why}", version.tag),
        };
        for key in lanes {
            self.roll_back_all(key, id, OrderCause::VersionRejected, &reason);
        }
        true
    }
}

/// The order that undoes a version on a target, if it is there or on its way, and there is something to go back to.
pub(crate) fn undo(
    state: &State,
    key: LaneKey,
    resource: ResourceId,
    target: TargetView<'_>,
    version: VersionId,
    cause: OrderCause,
    reason: &str,
) -> Option<Order> {
    let lane = state.lane(key)?;
    let ordered = lane
        .orders
        .get(&resource)
        .is_some_and(|order| order.kind == StartKind::Rollback && order.version != version);
    if target.leaving() || ordered {
        return None;
    }
    let latest = state.latest(target)?;
    // On its way, or failed on its way, which may have left it there by half.
    let begun = latest.version == version
        && (target.active().is_some() || latest.status == ReleaseStatus::Failed);
    if target.deployed() != Some(version) && !begun {
        return None;
    }
    // Something else is being brought there: it takes the version's place by itself.
    if latest.version != version && target.active().is_some() {
        return None;
    }
    let of = if latest.version == version {
        latest.id
    } else {
        target.current()?
    };
    let to = last_good(state, key.environment, target, version)?;
    Some(rollback_order(to, of, cause, reason, None))
}
