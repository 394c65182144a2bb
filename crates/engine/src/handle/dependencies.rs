//! What a version may say that it needs.

use crate::expressions::check_dependency;
use crate::state::State;
use stagegate_model::{
    Dependencies, DeploymentId, Rejection, Version, VersionDependency, VersionStatus,
};
use std::collections::{BTreeMap, BTreeSet};

/// Deployments that a version may depend on, at most.
const DEPENDENCIES_MAX: usize = 50;

/// A version's dependencies after a change; `None` when they stay as they are.
pub(super) fn changed(
    version: &Version,
    changes: BTreeMap<DeploymentId, Option<VersionDependency>>,
) -> Result<Option<Dependencies>, Rejection> {
    let mut dependencies = version.dependencies.clone();
    for (deployment, change) in changes {
        match change {
            Some(dependency) => {
                dependencies.insert(deployment, dependency);
            }
            None => {
                dependencies.remove(&deployment).ok_or_else(|| {
                    let message = format!("{} does not depend on `{deployment}`", version.tag);
                    Rejection::not_found("dependency_not_found", message)
                })?;
            }
        }
    }
    Ok((dependencies != version.dependencies).then_some(dependencies))
}

/// Refuses dependencies of a version that cannot be: on a deployment that is not there, with a selector that does not
/// compile, or in a circle.
pub(super) fn check(
    state: &State,
    own: DeploymentId,
    tag: &str,
    dependencies: &Dependencies,
) -> Result<(), Rejection> {
    if dependencies.len() > DEPENDENCIES_MAX {
        let message = format!(
            "it has {} dependencies; {DEPENDENCIES_MAX} are allowed",
            dependencies.len()
        );
        return Err(Rejection::invalid("too_large", message).at("dependencies"));
    }
    for (deployment, dependency) in dependencies {
        let field = format!("dependencies.{deployment}");
        if !state.deployments.contains_key(deployment) {
            let message = format!("there is no deployment `{deployment}`");
            return Err(Rejection::not_found("deployment_not_found", message).at(field));
        }
        check_dependency(&dependency.version_selector, "versionSelector")
            .map_err(|error| error.at(&field))?;
    }
    refuse_circles(state, own, tag, dependencies)
}

/// Follows what is needed from deployment to deployment, each by its newest version that has neither failed nor been
/// rejected, and refuses when that leads back.
fn refuse_circles(
    state: &State,
    own: DeploymentId,
    tag: &str,
    dependencies: &Dependencies,
) -> Result<(), Rejection> {
    let name = |id: &DeploymentId| {
        let deployment = state.deployments.get(id);
        deployment.map_or_else(|| id.to_string(), |it| it.slug.clone())
    };
    let begin = format!("{} {tag}", name(&own));
    // With the way to each.
    let mut open: Vec<(DeploymentId, Vec<String>)> = dependencies
        .keys()
        .rev()
        .map(|id| (*id, vec![begin.clone()]))
        .collect();
    let mut seen = BTreeSet::new();
    while let Some((id, mut way)) = open.pop() {
        if id == own {
            way.push(name(&own));
            let message = match way.len() {
                2 => format!("{begin} would depend on its own deployment"),
                _ => format!("the dependencies lead back: {}", way.join(" → ")),
            };
            return Err(Rejection::invalid("dependency_cycle", message)
                .at("dependencies")
                .hint("take one of the dependencies out of the circle, in a new version of that deployment"));
        }
        if !seen.insert(id) {
            continue;
        }
        let live = |version: &&std::sync::Arc<Version>| {
            !matches!(
                version.status,
                VersionStatus::Failed | VersionStatus::Rejected
            )
        };
        let Some(newest) = state.versions_of(id).find(live) else {
            continue;
        };
        way.push(format!("{} {}", name(&id), newest.tag));
        let further = newest.dependencies.keys().rev();
        open.extend(further.map(|next| (*next, way.clone())));
    }
    Ok(())
}
