//! What departs from the ordinary course, in words: retries, orders, holds, quarantine, rollouts.

use super::{Teller, with_reason};
use crate::wire;
use stagegate_model::{
    EnvironmentId, Fact, Order, OrderCause, StartKind, TargetKey, Timestamp, VersionId,
};

/// The kind and the words of such a fact, if it is about the teller's promotion.
pub(super) fn tell(teller: &Teller<'_>, fact: &Fact) -> Option<(&'static str, String)> {
    let here = |version: VersionId, environment: EnvironmentId| {
        (version, environment) == (teller.promotion.version, teller.promotion.environment)
    };
    match fact {
        Fact::RetryScheduled {
            job, attempt, at, ..
        } => {
            let place = teller.resource_of(*job)?;
            let text = format!(
                "the job on {place} is tried again: attempt {attempt} at {}",
                clock(*at)
            );
            Some(("retryScheduled", text))
        }
        Fact::TargetOrdered { target, order } => ordered(teller, *target, order),
        Fact::OrderDropped { target, reason } => {
            let place = in_lane(teller, *target)?;
            let text = format!("what was ordered for {place} is void");
            Some(("orderDropped", with_reason(&text, reason)))
        }
        Fact::HoldReleased { target, reason } => {
            let place = in_lane(teller, *target)?;
            let text = format!("{place} takes part in automatic deployments again");
            Some(("holdReleased", with_reason(&text, reason)))
        }
        Fact::Quarantined {
            version,
            environment,
            reason,
        } if here(*version, *environment) => {
            let text = format!("{} is quarantined in {}", teller.tag(), teller.place());
            Some(("quarantined", with_reason(&text, reason)))
        }
        Fact::QuarantineCleared {
            version,
            environment,
            reason,
        } if here(*version, *environment) => {
            let text = format!(
                "{} is no longer quarantined in {}",
                teller.tag(),
                teller.place()
            );
            Some(("quarantineCleared", with_reason(&text, reason)))
        }
        Fact::PromotionCancelRequested { id, reason } if *id == teller.promotion.id => {
            Some(("promotionCancelRequested", reason.clone()))
        }
        Fact::PromotionReopened {
            version,
            environment,
            reason,
        } if here(*version, *environment) => {
            let text = format!("{} may go into {} again", teller.tag(), teller.place());
            Some(("promotionReopened", with_reason(&text, reason)))
        }
        _ => rollout(teller, fact),
    }
}

fn rollout(teller: &Teller<'_>, fact: &Fact) -> Option<(&'static str, String)> {
    let here = |version: VersionId, environment: EnvironmentId| {
        (version, environment) == (teller.promotion.version, teller.promotion.environment)
    };
    match fact {
        Fact::RolloutStarted {
            version,
            environment,
            waves,
            ..
        } if here(*version, *environment) => {
            let targets: usize = waves.iter().map(Vec::len).sum();
            let first = waves.iter().flatten().copied().collect::<Vec<_>>();
            let order = teller.named(first.into_iter(), 0);
            let waves = match waves.len() {
                0 | 1 => String::new(),
                many => format!(" in {many} waves"),
            };
            let text = format!("the rollout over {targets} targets begins{waves}: {order}");
            Some(("rolloutStarted", text))
        }
        Fact::RolloutWaveStarted {
            version,
            environment,
            wave,
            ..
        } if here(*version, *environment) => Some((
            "rolloutWaveStarted",
            format!("wave {} of the rollout begins", wave.saturating_add(1)),
        )),
        Fact::RolloutClock {
            version,
            environment,
            running,
            until,
            ..
        } if here(*version, *environment) => {
            let text = match (running, until) {
                (false, _) => "the rollout's clock stands still".to_owned(),
                (true, None) => "the rollout's clock goes on".to_owned(),
                (true, Some(until)) => {
                    format!("the rollout's clock goes on, until {}", clock(*until))
                }
            };
            Some(("rolloutClock", text))
        }
        Fact::RolloutPaused {
            version,
            environment,
            reason,
        } if here(*version, *environment) => Some((
            "rolloutPaused",
            with_reason("the rollout is paused", reason),
        )),
        Fact::RolloutResumed {
            version,
            environment,
            reason,
        } if here(*version, *environment) => Some((
            "rolloutResumed",
            with_reason("the rollout is resumed", reason),
        )),
        _ => None,
    }
}

/// The name of a target of the promotion's lane.
fn in_lane(teller: &Teller<'_>, target: TargetKey) -> Option<String> {
    let it = teller.promotion;
    let here = (target.deployment, target.environment) == (it.deployment, it.environment);
    here.then(|| teller.resource(target.resource))
}

fn ordered(
    teller: &Teller<'_>,
    target: TargetKey,
    order: &Order,
) -> Option<(&'static str, String)> {
    let place = in_lane(teller, target)?;
    let undone = order.of.is_some_and(|id| teller.is_its(id));
    // An entry can hold orders that undo other promotions too.
    if !undone && order.version != teller.promotion.version {
        return None;
    }
    let tag = wire::tag(teller.state, order.version);
    let by = order.by.map_or_else(String::new, |user| {
        format!(" by {}", teller.people.name(user))
    });
    let what = match order.kind {
        StartKind::Rollback => {
            let from = if undone {
                format!(" from {}", teller.tag())
            } else {
                String::new()
            };
            format!("{place} is rolled back{from} to {tag}")
        }
        StartKind::BreakGlass => format!("BREAK-GLASS: {place} is to get {tag} past every gate"),
        _ => format!("{place} is to get {tag} once more"),
    };
    // A reason says more than the cause, which it names.
    let why = match order.cause {
        OrderCause::Person => by,
        _ if !order.reason.is_empty() => String::new(),
        OrderCause::JobFailed => ", since its job failed".to_owned(),
        OrderCause::VerificationFailed => ", since its verification failed".to_owned(),
        OrderCause::VersionRejected => ", since the version was rejected".to_owned(),
        OrderCause::FailureBudget => ", since too many targets failed".to_owned(),
        OrderCause::ConfigurationChanged => ", since its configuration changed".to_owned(),
    };
    Some((
        "targetOrdered",
        with_reason(&format!("{what}{why}"), &order.reason),
    ))
}

/// A moment of the near future: `09:00:05 UTC`.
fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => text,
    }
}
