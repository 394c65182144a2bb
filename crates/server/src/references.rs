//! Things as people name them in queries: by id, slug, name or tag.

use crate::answer::{Answer, Failure};
use stagegate_engine::{LaneKey, PackedResource, State, Targets};
use stagegate_model::{Deployment, DeploymentId, Environment, EnvironmentId, ResourceId, Version};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A deployment by slug, id or name.
pub(crate) fn deployment<'s>(state: &'s State, text: &str) -> Answer<&'s Arc<Deployment>> {
    let by_id = || state.deployments().get(&text.parse().ok()?);
    let by_name = || {
        let mut named = state.deployments().values();
        named.find(|it| it.name.to_lowercase() == text.to_lowercase())
    };
    state
        .deployment_by_slug(text)
        .or_else(by_id)
        .or_else(by_name)
        .ok_or_else(|| {
            Failure::no_such("deployment", text)
                .at("deployment")
                .hint(known(
                    state.deployments().values().map(|it| it.slug.as_str()),
                ))
        })
}

/// An environment by name or id.
pub(crate) fn environment<'s>(state: &'s State, text: &str) -> Answer<&'s Arc<Environment>> {
    let by_id = || state.environments().get(&text.parse().ok()?);
    state
        .environment_by_name(text)
        .or_else(by_id)
        .ok_or_else(|| unknown_environment(state.environments(), text))
}

/// There is no such environment.
pub(crate) fn unknown_environment(
    all: &BTreeMap<EnvironmentId, Arc<Environment>>,
    text: &str,
) -> Failure {
    Failure::no_such("environment", text)
        .at("environment")
        .hint(known(all.values().map(|it| it.name.as_str())))
}

/// A resource by identifier or id.
pub(crate) fn resource<'s>(state: &'s State, text: &str) -> Answer<&'s Arc<PackedResource>> {
    let by_id = || state.resource(text.parse().ok()?);
    state
        .resource_by_identifier(text)
        .or_else(by_id)
        .ok_or_else(|| Failure::no_such("resource", text).at("resource"))
}

/// A resource that is a target of a lane, by identifier, id or name.
pub(crate) fn target(state: &State, lane: LaneKey, text: &str) -> Answer<ResourceId> {
    let targets = state.lane(lane).map(|it| &it.targets);
    let named = || {
        let resources = targets.into_iter().flat_map(Targets::keys);
        let mut known = resources.filter_map(|id| state.resource(*id));
        known.find(|it| it.name().to_lowercase() == text.to_lowercase())
    };
    let found = match resource(state, text) {
        Ok(found) => found,
        Err(unknown) => named().ok_or(unknown)?,
    };
    if targets.is_some_and(|it| it.contains_key(&found.id)) {
        return Ok(found.id);
    }
    let failure = Failure::no_such("release target", found.name()).at("resource");
    Err(failure.hint("the selectors of the environment and of the deployment must both match it"))
}

/// A deployment's version by tag or id; the newest when none is named.
pub(crate) fn version<'s>(
    state: &'s State,
    deployment: DeploymentId,
    text: Option<&str>,
) -> Answer<&'s Arc<Version>> {
    let Some(text) = text else {
        let newest = state.versions_of(deployment).next();
        return newest.ok_or_else(|| {
            Failure::new("version_not_found", "the deployment has no versions yet")
        });
    };
    let by_id = || {
        let version = state.versions().get(&text.parse().ok()?);
        version.filter(|version| version.deployment == deployment)
    };
    state
        .version_by_tag(deployment, text)
        .or_else(by_id)
        .ok_or_else(|| Failure::no_such("version", text).at("version"))
}

fn known<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const NAMED_MAX: usize = 10;
    let names: Vec<&str> = names.take(NAMED_MAX + 1).collect();
    match names.len() {
        0 => "there are none yet".to_owned(),
        more if more > NAMED_MAX => String::new(),
        _ => format!("there are: {}", names.join(", ")),
    }
}
