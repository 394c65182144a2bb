//! Promotions and the gates before them.

use super::some;
use stagegate_api as api;
use stagegate_engine::{
    self as engine, Action, Engine, LaneKey, Shown, State, TargetState, Verdict,
};
use stagegate_model as model;
use stagegate_model::{GateRecord, GateState};

pub(crate) fn version_ref(state: &State, id: model::VersionId) -> api::VersionRef {
    api::VersionRef {
        id: id.to_string(),
        tag: tag(state, id),
    }
}

/// A version's tag; its id where there is no such version any more.
pub(crate) fn tag(state: &State, id: model::VersionId) -> String {
    state
        .versions()
        .get(&id)
        .map_or_else(|| id.to_string(), |it| it.tag.clone())
}

pub(crate) fn deployment_ref(state: &State, id: model::DeploymentId) -> api::DeploymentRef {
    let known = state.deployments().get(&id);
    api::DeploymentRef {
        id: id.to_string(),
        name: known.map_or_else(|| id.to_string(), |it| it.name.clone()),
        slug: known.map_or_else(String::new, |it| it.slug.clone()),
    }
}

pub(crate) fn environment_ref(state: &State, id: model::EnvironmentId) -> api::EnvironmentRef {
    api::EnvironmentRef {
        id: id.to_string(),
        name: environment_name(state, id),
    }
}

/// An environment's name; its id where it was deleted.
pub(crate) fn environment_name(state: &State, id: model::EnvironmentId) -> String {
    state
        .environments()
        .get(&id)
        .map_or_else(|| id.to_string(), |it| it.name.clone())
}

pub(crate) fn gate(gate: &engine::Gate) -> api::Gate {
    let why = gate.verdict.why();
    let satisfied_at = match &gate.verdict {
        Verdict::Allow { satisfied_at, .. } => Some(satisfied_at.to_string()),
        _ => None,
    };
    let allowed = gate.verdict.is_allowed();
    api::Gate {
        rule_id: gate.rule.to_string(),
        policy_id: gate.policy.to_string(),
        policy_name: gate.policy_name.clone(),
        kind: gate.kind.to_owned(),
        allowed,
        action_required: !allowed && why.action == Action::Approval,
        action_type: match why.action {
            Action::Approval => "approval",
            Action::Wait => "wait",
            Action::None => "none",
        }
        .to_owned(),
        code: why.code.to_owned(),
        message: why.message.clone(),
        opens: why.opens.clone(),
        who: some(&why.who).into_iter().collect(),
        details: why.details.clone(),
        satisfied_at,
        since: gate.since.map(|at| at.to_string()),
        next_evaluation_time: gate.verdict.changes_at().map(|at| at.to_string()),
        latched: gate.latched,
    }
}

/// A gate as it was last recorded, for promotions that have ended.
pub(crate) fn recorded_gate(state: &State, record: &GateRecord) -> api::Gate {
    api::Gate {
        rule_id: record.rule.to_string(),
        policy_id: record.policy.to_string(),
        policy_name: state
            .policies()
            .get(&record.policy)
            .map_or_else(String::new, |policy| policy.name.clone()),
        kind: record.kind.clone(),
        allowed: record.state == GateState::Allow,
        action_type: "none".to_owned(),
        code: record.code.clone(),
        message: record.message.clone(),
        satisfied_at: record.satisfied_at.map(|at| at.to_string()),
        next_evaluation_time: record.until.map(|at| at.to_string()),
        ..Default::default()
    }
}

/// How the targets of a lane stand towards a version.
pub(crate) fn standing_counts(tally: &engine::Tally) -> api::TargetCounts {
    let mut counts = api::TargetCounts {
        total: tally.total(),
        retrying: tally.of(TargetState::Retrying),
        held: tally.of(TargetState::Held),
        ..Default::default()
    };
    for (state, standing) in &tally.counts {
        let count = match state {
            TargetState::Running => &mut counts.running,
            TargetState::Verifying => &mut counts.verifying,
            TargetState::Succeeded => &mut counts.succeeded,
            TargetState::Failed => &mut counts.failed,
            TargetState::Newer
            | TargetState::Busy
            | TargetState::Blocked
            | TargetState::Retrying
            | TargetState::Held
            | TargetState::Waiting => &mut counts.pending,
        };
        *count += standing;
    }
    counts
}

/// How an ended promotion's jobs ended; for one that never started, how many targets it would have had.
pub(crate) fn ended_counts(state: &State, promotion: &engine::Promotion) -> api::TargetCounts {
    let as_count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let lane = state.lane(LaneKey {
        deployment: promotion.deployment,
        environment: promotion.environment,
    });
    let (succeeded, failed) = (as_count(promotion.succeeded), as_count(promotion.failed));
    let running = as_count(promotion.running + promotion.retrying);
    let verifying = as_count(promotion.verifying);
    let done = succeeded + failed + running + verifying;
    // What was not begun in the ordinary course is about the targets it was ordered for.
    let total = match promotion.kind {
        model::StartKind::Forward | model::StartKind::Retry => {
            lane.map_or(0, |lane| lane.targets.len()).max(done)
        }
        _ => done,
    };
    api::TargetCounts {
        total,
        pending: total - done,
        running,
        verifying,
        succeeded,
        failed,
        retrying: as_count(promotion.retrying),
        rolled_back: as_count(promotion.rolled_back),
        held: 0,
    }
}

fn standstill(it: &engine::Standstill) -> api::Standstill {
    api::Standstill {
        since: it.since.to_string(),
        reason: it.reason.clone(),
    }
}

/// How far the gradual rollouts of an open promotion are.
fn rollouts(
    engine: &Engine,
    lane: LaneKey,
    it: &engine::Promotion,
    now: model::Timestamp,
) -> Vec<api::RolloutProgress> {
    if !it.status.is_open() {
        return Vec::new();
    }
    let track = engine.state().track(it.version, it.environment);
    let failures = track.map_or(0, |track| track.failures.len());
    let told = engine.rollouts(lane, it.version, now).into_iter();
    told.map(|rollout| api::RolloutProgress {
        rule_id: rollout.rule.to_string(),
        released: rollout.due,
        total: rollout.total,
        wave: rollout.wave,
        waves: rollout.waves.max(rollout.wave),
        started_at: rollout.started_at.to_string(),
        next_at: rollout.next.map(|at| at.to_string()),
        failures,
    })
    .collect()
}

/// A promotion as it stands: decided anew while it is open, as recorded once it has ended.
pub(crate) fn promotion(
    engine: &Engine,
    it: &engine::Promotion,
    now: model::Timestamp,
) -> api::Promotion {
    let state = engine.state();
    let lane = LaneKey {
        deployment: it.deployment,
        environment: it.environment,
    };
    let explanation = it
        .status
        .is_open()
        .then(|| engine.explain_shown(lane, it.version, Shown::NONE, now))
        .flatten();
    let (gates, mut targets) = match &explanation {
        Some(explanation) => (
            explanation.gates.iter().map(gate).collect(),
            standing_counts(&explanation.tally),
        ),
        None => (recorded_gates(state, it), ended_counts(state, it)),
    };
    targets.rolled_back = usize::try_from(it.rolled_back).unwrap_or(usize::MAX);
    // What stands still concerns the latest attempt.
    let track = state
        .track(it.version, it.environment)
        .filter(|track| track.promotion == Some(it.id));
    api::Promotion {
        kind: super::departure(it.kind),
        break_glass: it.break_glass,
        paused: track
            .and_then(|track| track.paused.as_ref())
            .filter(|_| it.status.is_open())
            .map(standstill),
        quarantined: track
            .and_then(|track| track.quarantined.as_ref())
            .map(standstill),
        rollouts: rollouts(engine, lane, it, now),
        id: it.id.to_string(),
        version: version_ref(state, it.version),
        deployment: deployment_ref(state, it.deployment),
        environment: environment_ref(state, it.environment),
        attempt: it.attempt,
        status: it.status.to_string(),
        opened_at: it.opened_at.to_string(),
        ended_at: it.ended_at.map(|at| at.to_string()),
        reason: match explanation {
            Some(explanation) => some(&explanation.summary),
            None => some(&it.reason),
        },
        superseded_by: it.superseded_by.map(|id| tag(state, id)),
        gates,
        targets,
    }
}

/// The gates as last recorded; an earlier attempt's are told by the timeline only.
fn recorded_gates(state: &State, it: &engine::Promotion) -> Vec<api::Gate> {
    state
        .track(it.version, it.environment)
        .filter(|track| track.promotion == Some(it.id))
        .into_iter()
        .flat_map(|track| track.gates.values())
        .filter(|record| record.state != GateState::Gone)
        .map(|record| recorded_gate(state, record))
        .collect()
}
