//! Orders and the releases that came of them.

use super::{departure, environment_ref, release_target, some, version_ref};
use stagegate_api as api;
use stagegate_engine::{self as engine, State};
use stagegate_model as model;

/// A resource's name; its id where it was deleted.
pub(crate) fn resource_name(state: &State, id: model::ResourceId) -> String {
    state
        .resource(id)
        .map_or_else(|| id.to_string(), |resource| resource.name().to_owned())
}

pub(crate) fn release_ref(state: &State, release: &engine::Release) -> api::ReleaseRef {
    api::ReleaseRef {
        id: Some(release.id.to_string()),
        number: Some(release.number),
        version: version_ref(state, release.version),
    }
}

/// A target that is brought to `to`.
pub(crate) fn ordered_target(
    state: &State,
    key: model::TargetKey,
    to: Option<api::ReleaseRef>,
) -> api::OrderedTarget {
    let lane = state.lane(key.into());
    let target = lane.and_then(|lane| lane.targets.get(&key.resource));
    let latest = target.and_then(|target| state.latest(target));
    api::OrderedTarget {
        release_target: release_target(key),
        resource: resource_name(state, key.resource),
        environment: environment_ref(state, key.environment),
        from: latest.map(|release| api::ReleaseRef {
            id: Some(release.id.to_string()),
            number: Some(release.number),
            version: version_ref(state, release.version),
        }),
        to,
    }
}

/// A target that stays as it is.
pub(crate) fn left_target(
    state: &State,
    key: model::TargetKey,
    why: &model::Rejection,
) -> api::LeftTarget {
    api::LeftTarget {
        release_target: release_target(key),
        resource: resource_name(state, key.resource),
        environment: environment_ref(state, key.environment),
        code: why.code.clone(),
        message: why.message.clone(),
    }
}

/// A release with its history; `undone` is what it rolled back.
pub(crate) fn release_record(
    state: &State,
    it: &engine::Release,
    undone: Option<&engine::Release>,
    name: impl Fn(model::UserId) -> String,
) -> api::ReleaseRecord {
    let ordered = it.ordered.as_ref();
    let by = ordered.and_then(|ordered| ordered.by);
    let lane = state.lane(it.target.into());
    let target = lane.and_then(|lane| lane.targets.get(&it.target.resource));
    api::ReleaseRecord {
        id: it.id.to_string(),
        number: it.number,
        release_target: release_target(it.target),
        resource: resource_name(state, it.target.resource),
        environment: environment_ref(state, it.target.environment),
        version: version_ref(state, it.version),
        status: it.status.to_string(),
        kind: departure(it.kind).unwrap_or_else(|| it.kind.as_str().to_owned()),
        rollback_of: undone.map(|undone| release_ref(state, undone)),
        cause: ordered.map(|ordered| cause(ordered.cause).to_owned()),
        order_reason: ordered.and_then(|ordered| some(&ordered.reason)),
        by: by.map_or_else(|| "stagegate".to_owned(), name),
        current: target.is_some_and(|target| target.current() == Some(it.id)),
        promotion_id: it.promotion.to_string(),
        variables: super::resolved_variables(&it.variables),
        job_id: it.job.to_string(),
        created_at: it.created_at.to_string(),
        ended_at: it.ended_at.map(|at| at.to_string()),
        reason: some(&it.reason),
    }
}

fn cause(cause: model::OrderCause) -> &'static str {
    match cause {
        model::OrderCause::JobFailed => "jobFailed",
        model::OrderCause::VerificationFailed => "verificationFailed",
        model::OrderCause::VersionRejected => "versionRejected",
        model::OrderCause::FailureBudget => "failureBudget",
        model::OrderCause::Person => "person",
        model::OrderCause::ConfigurationChanged => "configurationChanged",
    }
}
