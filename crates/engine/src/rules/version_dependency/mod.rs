//! What a version itself needs on the resource of each target. It is asked like a rule, and belongs to no policy: no
//! skip sets it aside.

use super::deployment_dependency::find;
use super::{Action, Reason, Verdict};
use crate::expressions::CompiledDependency;
use crate::neighbours::{Neighbour, told};
use crate::settle::GateStanding;
use crate::state::{PackedResource, State};
use stagegate_model::{DeploymentId, PolicyId, RuleId, Version, VersionId};
use std::sync::Arc;

/// The word for it where rules are shown.
pub(crate) const KIND: &str = "versionDependency";

/// A dependency as a gate: it is known by the version and by the deployment that is needed.
pub(crate) fn standing(version: VersionId, needed: DeploymentId, verdict: Verdict) -> GateStanding {
    GateStanding {
        policy: PolicyId(version.0),
        rule: RuleId(needed.0),
        kind: KIND,
        verdict: Arc::new(verdict),
        latches: false,
        latched: false,
    }
}

/// How one dependency of a version stands on a resource.
pub(crate) fn judge(
    state: &State,
    version: &Version,
    resource: &PackedResource,
    needed: &CompiledDependency,
) -> Verdict {
    let (tag, place) = (&version.tag, resource.name());
    let written = version.dependencies.get(&needed.deployment);
    let selector = written.map_or("", |it| it.version_selector.as_str());
    let Some(deployment) = state.deployments.get(&needed.deployment) else {
        let message = format!("{tag} needs a deployment that does not exist any more");
        let why = Reason::new("dependency_gone", message)
            .opens("a version without that dependency is created")
            .who("whoever may create versions")
            .details(serde_json::json!({
                "deploymentId": needed.deployment, "versionSelector": selector, "resource": place,
            }));
        return Verdict::Deny { why };
    };
    let neighbours = state.neighbours(resource.id, version.deployment);
    let neighbours: Vec<Neighbour<'_>> = neighbours
        .filter(|it| it.deployment.id == needed.deployment)
        .collect();
    let slug = &deployment.slug;
    let there: Vec<_> = neighbours.iter().map(Neighbour::details).collect();
    let details = serde_json::json!({
        "deployment": slug, "versionSelector": selector, "resource": place, "there": there,
    });
    let found = match &needed.selector {
        Ok(program) => {
            find(program, &neighbours).map_err(|error| format!("on {place} for {error}"))
        }
        Err(error) => Err(error.clone()),
    };
    match found {
        Ok(Some((neighbour, running))) => {
            let message = format!(
                "{} runs on {place} and matches `{selector}`",
                neighbour.told()
            );
            let why = Reason::new("dependency_met", message).details(details);
            Verdict::allow(version.created_at.max(running.since), why)
        }
        Ok(None) => {
            let there = match told(&neighbours).as_str() {
                "" => format!("{slug} has no target there"),
                there => format!("there is {there}"),
            };
            let message = format!("{tag} needs {slug} `{selector}` on {place}: {there}");
            let why = Reason::new("version_dependency_pending", message)
                .opens(format!(
                    "a version of {slug} that matches succeeds on {place}"
                ))
                .action(Action::Wait)
                .details(details);
            Verdict::Wait { until: None, why }
        }
        Err(error) => {
            let message = format!("`{selector}` cannot be evaluated {error}");
            let why = Reason::new("selector_error", message)
                .opens("a version with another selector is created")
                .who("whoever may create versions")
                .details(details);
            Verdict::Deny { why }
        }
    }
}
