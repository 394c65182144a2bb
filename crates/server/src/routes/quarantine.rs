//! Versions with which nothing new starts in an environment, because they failed there.

use crate::answer::{Accepted, Answer, Json, accepted};
use crate::body::{Body, Query};
use crate::references;
use crate::scope::Scope;
use crate::wire;
use stagegate_api as api;
use stagegate_engine::{LaneKey, State};
use stagegate_model::{Command, EnvironmentId, VersionId};

/// The latest first.
pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::Quarantine>>> {
    let page = scope
        .read(move |engine| {
            let state = engine.state();
            let tracks = state.tracks().iter();
            let mut all: Vec<_> = tracks
                .filter_map(|(key, track)| Some((*key, track.quarantined.as_ref()?)))
                .collect();
            all.sort_by_key(|(key, it)| std::cmp::Reverse((it.since, *key)));
            api::Page::cut(all, paging.limit(), paging.offset()).map(
                |((version, environment), it)| {
                    let (since, reason) = (it.since.to_string(), it.reason.clone());
                    entry(state, version, environment, since, reason)
                },
            )
        })
        .await?;
    Ok(Json(page))
}

fn entry(
    state: &State,
    version: VersionId,
    environment: EnvironmentId,
    since: String,
    reason: String,
) -> api::Quarantine {
    let deployment = state.versions().get(&version).map(|it| it.deployment);
    let lane = deployment.and_then(|deployment| {
        state.lane(LaneKey {
            deployment,
            environment,
        })
    });
    let targets = lane.into_iter().flat_map(|lane| lane.targets.values());
    api::Quarantine {
        deployment: deployment
            .map(|id| wire::deployment_ref(state, id))
            .unwrap_or_default(),
        environment: wire::environment_ref(state, environment),
        version: wire::version_ref(state, version),
        since,
        reason,
        targets: targets.filter(|it| it.deployed() == Some(version)).count(),
    }
}

pub(super) async fn clear(
    scope: Scope,
    Body(body): Body<api::ClearQuarantine>,
) -> Answer<Accepted<api::Accepted>> {
    let (version, environment) = scope
        .ask(move |engine| {
            let state = engine.state();
            let deployment = references::deployment(state, &body.deployment)?;
            let environment = references::environment(state, &body.environment)?;
            let version = references::version(state, deployment.id, Some(&body.version))?;
            Ok((version.id, environment.id))
        })
        .await?;
    let command = Command::ClearQuarantine {
        version,
        environment,
        reason: body.reason,
    };
    scope.submit(command, Vec::new()).await?;
    Ok(accepted(version, "the quarantine is lifted"))
}
