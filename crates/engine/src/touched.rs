//! Which entities an entry is about: the side index that audit queries use.

use crate::state::State;
use stagegate_model::{Actor, Fact, JobId, PromotionId, Skip};
use std::collections::BTreeSet;
use uuid::Uuid;

/// An entity an entry is about: its noun and id.
pub type Touched = (&'static str, Uuid);

/// The promotions, versions, environments, policies and persons that the facts of an entry are about; not every
/// job. `state` is the one after the entry.
#[must_use]
pub fn touched(state: &State, actor: &Actor, facts: &[Fact]) -> BTreeSet<Touched> {
    let mut touched = BTreeSet::new();
    if let Some(user) = actor.user() {
        touched.insert(("user", user.0));
    }
    for fact in facts {
        touch(state, fact, &mut touched);
    }
    touched
}

fn touch(state: &State, fact: &Fact, touched: &mut BTreeSet<Touched>) {
    match fact {
        Fact::UserCreated { id, .. } => {
            touched.insert(("user", id.0));
        }
        Fact::EnvironmentPut { environment } => {
            touched.insert(("environment", environment.id.0));
        }
        Fact::EnvironmentDeleted { id } => {
            touched.insert(("environment", id.0));
        }
        Fact::PolicyPut { policy } => {
            touched.insert(("policy", policy.id.0));
        }
        Fact::PolicyDeleted { id } => {
            touched.insert(("policy", id.0));
        }
        Fact::NotifierPut { notifier } => {
            touched.insert(("notifier", notifier.id.0));
        }
        Fact::NotifierDeleted { id } => {
            touched.insert(("notifier", id.0));
        }
        Fact::VariablePut { variable } => {
            touched.insert(("deployment", variable.deployment.0));
            touched.insert(("variable", variable.id.0));
        }
        Fact::VariableDeleted { id } => {
            touched.insert(("variable", id.0));
        }
        Fact::VariableSetPut { set } => {
            touched.insert(("variableSet", set.id.0));
        }
        Fact::VariableSetDeleted { id } => {
            touched.insert(("variableSet", id.0));
        }
        Fact::ResourceVariablesPut { resource, .. } => {
            touched.insert(("resource", resource.0));
        }
        Fact::RelationshipRulePut { rule } => {
            touched.insert(("relationshipRule", rule.id.0));
        }
        Fact::RelationshipRuleDeleted { id } => {
            touched.insert(("relationshipRule", id.0));
        }
        Fact::VersionCreated { version } => {
            touched.insert(("version", version.id.0));
        }
        Fact::VersionChanged { id, .. } => {
            touched.insert(("version", id.0));
        }
        Fact::VoteCast {
            version,
            environment,
            user,
            ..
        } => {
            touched.insert(("version", version.0));
            touched.insert(("environment", environment.0));
            touched.insert(("user", user.0));
            let promotion = state
                .track(*version, *environment)
                .and_then(|track| track.promotion);
            touched.extend(promotion.map(|id| ("promotion", id.0)));
        }
        Fact::GroupPut { group } => {
            touched.insert(("group", group.id.0));
        }
        Fact::GroupDeleted { id } => {
            touched.insert(("group", id.0));
        }
        Fact::SkipCreated { skip } => of_skip(state, skip, touched),
        // It left the state with the fact; what it had opened is told by the gates of the same entry.
        Fact::SkipDeleted { id, .. } => {
            touched.insert(("skip", id.0));
        }
        Fact::FreezePut { freeze } => {
            touched.insert(("freeze", freeze.id.0));
        }
        Fact::FreezeDeleted { id, .. } => {
            touched.insert(("freeze", id.0));
        }
        Fact::PromotionOpened {
            id,
            version,
            environment,
            ..
        } => {
            touched.insert(("promotion", id.0));
            touched.insert(("version", version.0));
            touched.insert(("environment", environment.0));
        }
        Fact::GateChanged { promotion, .. } => promotion_and_version(state, *promotion, touched),
        Fact::PromotionMoved { id, .. } | Fact::PromotionEnded { id, .. } => {
            promotion_and_version(state, *id, touched)
        }
        Fact::JobsCreated {
            promotion,
            version,
            environment,
            ..
        } => {
            touched.insert(("promotion", promotion.0));
            touched.insert(("version", version.0));
            touched.insert(("environment", environment.0));
        }
        Fact::RetryScheduled { job, .. } => of_job(state, *job, touched),
        Fact::TargetOrdered { target, order } => {
            touched.insert(("version", order.version.0));
            touched.insert(("environment", target.environment.0));
            touched.extend(order.by.map(|user| ("user", user.0)));
            let lane = state.lane((*target).into());
            let known = lane.and_then(|lane| lane.targets.get(&target.resource));
            let undone = known.and_then(|it| state.brief(it, order.of?));
            touched.extend(undone.map(|release| ("promotion", release.promotion.0)));
            let there = state.track(order.version, target.environment);
            let promotion = there.and_then(|track| track.promotion);
            touched.extend(promotion.map(|id| ("promotion", id.0)));
        }
        Fact::OrderDropped { target, .. } | Fact::HoldReleased { target, .. } => {
            touched.insert(("environment", target.environment.0));
            // What the target has now is whose story this belongs to.
            let lane = state.lane((*target).into());
            let known = lane.and_then(|lane| lane.targets.get(&target.resource));
            let latest = known.and_then(|it| state.latest(it));
            touched.extend(latest.map(|release| ("promotion", release.promotion.0)));
        }
        Fact::PromotionCancelRequested { id, .. } => promotion_and_version(state, *id, touched),
        Fact::Quarantined {
            version,
            environment,
            ..
        }
        | Fact::QuarantineCleared {
            version,
            environment,
            ..
        }
        | Fact::PromotionReopened {
            version,
            environment,
            ..
        }
        | Fact::RolloutStarted {
            version,
            environment,
            ..
        }
        | Fact::RolloutWaveStarted {
            version,
            environment,
            ..
        }
        | Fact::RolloutClock {
            version,
            environment,
            ..
        }
        | Fact::RolloutPaused {
            version,
            environment,
            ..
        }
        | Fact::RolloutResumed {
            version,
            environment,
            ..
        } => {
            touched.insert(("version", version.0));
            touched.insert(("environment", environment.0));
            let track = state.track(*version, *environment);
            let promotion = track.and_then(|track| track.promotion);
            touched.extend(promotion.map(|id| ("promotion", id.0)));
        }
        Fact::JobClaimed { id, .. }
        | Fact::JobChanged { id, .. }
        | Fact::JobLost { id, .. }
        | Fact::JobFound { id, .. }
        | Fact::JobRequeued { id, .. } => of_job(state, *id, touched),
        Fact::JobCancelRequested { id, by, .. } => {
            of_job(state, *id, touched);
            touched.extend(by.map(|user| ("user", user.0)));
        }
        Fact::ReportIgnored { job, .. }
        | Fact::ReleaseEnded { job, .. }
        | Fact::VerificationStarted { job, .. } => of_job(state, *job, touched),
        Fact::Measured { verification, .. } => of_verification(state, *verification, touched),
        Fact::VerificationEnded { id, decided_by, .. } => {
            of_verification(state, *id, touched);
            touched.extend(decided_by.map(|user| ("user", user.0)));
        }
        _ => {}
    }
}

fn of_skip(state: &State, skip: &Skip, touched: &mut BTreeSet<Touched>) {
    touched.insert(("skip", skip.id.0));
    touched.extend(skip.version.map(|id| ("version", id.0)));
    touched.extend(skip.environment.map(|id| ("environment", id.0)));
    if state.freezes.contains_key(&skip.rule.0.into()) {
        touched.insert(("freeze", skip.rule.0));
    }
    let mut policies = state.policies.values();
    let policy = policies.find(|it| it.rules.iter().any(|rule| rule.id == skip.rule));
    touched.extend(policy.map(|it| ("policy", it.id.0)));
    if let (Some(version), Some(environment)) = (skip.version, skip.environment) {
        let track = state.track(version, environment);
        let promotion = track.and_then(|track| track.promotion);
        touched.extend(promotion.map(|id| ("promotion", id.0)));
    }
}

fn promotion_and_version(state: &State, id: PromotionId, touched: &mut BTreeSet<Touched>) {
    touched.insert(("promotion", id.0));
    touched.extend(
        state
            .promotions
            .get(&id)
            .map(|promotion| ("version", promotion.version.0)),
    );
}

fn of_job(state: &State, id: JobId, touched: &mut BTreeSet<Touched>) {
    touched.extend(
        state
            .jobs
            .get(&id)
            .map(|job| ("promotion", job.promotion.0)),
    );
}

fn of_verification(
    state: &State,
    id: stagegate_model::VerificationId,
    touched: &mut BTreeSet<Touched>,
) {
    if let Some(verification) = state.verifications.get(&id) {
        of_job(state, verification.job, touched);
    }
}
