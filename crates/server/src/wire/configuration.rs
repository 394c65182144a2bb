//! Workspaces, systems, environments, deployments, resources, job agents, policies, versions.

use super::{some, some_map};
use crate::answer::{Answer, Failure};
use stagegate_api as api;
use stagegate_engine::{PackedResource, State, WorkspaceInfo};
use stagegate_model as model;
use std::collections::{BTreeMap, BTreeSet};

/// What an absent `resourceSelector` means.
pub(crate) const SELECTS_NOTHING: &str = "false";

pub(crate) fn workspace(info: &WorkspaceInfo) -> api::Workspace {
    api::Workspace {
        id: info.id.to_string(),
        name: info.name.clone(),
        slug: info.slug.clone(),
        created_at: info.created_at.to_string(),
        ..Default::default()
    }
}

pub(crate) fn system(state: &State, system: &model::System) -> api::System {
    api::System {
        id: system.id.to_string(),
        workspace_id: workspace_id(state),
        name: system.name.clone(),
        slug: system.slug.clone(),
        description: some(&system.description),
        metadata: some_map(&system.metadata),
    }
}

pub(super) fn workspace_id(state: &State) -> String {
    state
        .workspace()
        .map_or_else(String::new, |info| info.id.to_string())
}

/// The systems with these ids.
pub(crate) fn systems(state: &State, ids: &BTreeSet<model::SystemId>) -> Vec<api::System> {
    ids.iter()
        .filter_map(|id| state.systems().get(id))
        .map(|it| system(state, it))
        .collect()
}

fn selector(text: &str) -> Option<String> {
    (text != SELECTS_NOTHING).then(|| text.to_owned())
}

pub(crate) fn environment(environment: &model::Environment) -> api::Environment {
    api::Environment {
        id: environment.id.to_string(),
        name: environment.name.clone(),
        description: some(&environment.description),
        resource_selector: selector(&environment.resource_selector),
        metadata: some_map(&environment.metadata),
        created_at: environment.created_at.to_string(),
    }
}

pub(crate) fn deployment(deployment: &model::Deployment) -> api::Deployment {
    api::Deployment {
        job_limits: limits_spec(&deployment.job_limits),
        redeploy_on_variable_change: deployment.redeploy_on_variable_change.then_some(true),
        id: deployment.id.to_string(),
        name: deployment.name.clone(),
        slug: deployment.slug.clone(),
        description: some(&deployment.description),
        resource_selector: selector(&deployment.resource_selector),
        job_agent_selector: deployment.job_agent_selector.clone(),
        job_agent_config: deployment.job_agent_config.clone(),
        metadata: some_map(&deployment.metadata),
    }
}

pub(crate) fn resource(state: &State, it: &PackedResource) -> api::Resource {
    resource_in(workspace_id(state), it)
}

/// The same for who knows the workspace's id.
pub(crate) fn resource_in(workspace_id: String, resource: &PackedResource) -> api::Resource {
    let resource = resource.whole();
    api::Resource {
        id: Some(resource.id.to_string()),
        workspace_id,
        identifier: resource.identifier,
        name: resource.name,
        kind: resource.kind,
        version: resource.version,
        config: resource.config,
        metadata: resource.metadata,
        created_at: resource.created_at.to_string(),
        updated_at: resource.updated_at.map(|at| at.to_string()),
        ..Default::default()
    }
}

pub(crate) fn job_agent(agent: &model::JobAgent) -> api::JobAgent {
    api::JobAgent {
        job_limits: limits_spec(&agent.job_limits),
        id: agent.id.to_string(),
        name: agent.name.clone(),
        kind: agent.kind.clone(),
        config: agent.config.clone(),
        metadata: agent.metadata.clone(),
    }
}

pub(crate) fn policy(state: &State, policy: &model::Policy) -> api::Policy {
    let replaces: Vec<String> = policy
        .replaces
        .iter()
        .filter_map(|id| state.policies().get(id))
        .map(|it| it.name.clone())
        .collect();
    api::Policy {
        id: policy.id.to_string(),
        workspace_id: workspace_id(state),
        name: policy.name.clone(),
        description: some(&policy.description),
        enabled: policy.enabled,
        priority: policy.priority,
        selector: policy.selector.clone(),
        rules: policy
            .rules
            .iter()
            .map(|rule| api::PolicyRule {
                id: rule.id.to_string(),
                created_at: rule.created_at.to_string(),
                policy_id: policy.id.to_string(),
                kind: rule.kind.clone(),
                spec: rule.spec.clone(),
            })
            .collect(),
        metadata: policy.metadata.clone(),
        created_at: policy.created_at.to_string(),
        replaces: (!replaces.is_empty()).then_some(replaces),
    }
}

pub(crate) fn version(version: &model::Version) -> api::DeploymentVersion {
    api::DeploymentVersion {
        job_limits: limits_spec(&version.job_limits),
        id: version.id.to_string(),
        deployment_id: version.deployment.to_string(),
        tag: version.tag.clone(),
        name: version.name.clone(),
        config: version.config.clone(),
        job_agent_config: version.job_agent_config.clone(),
        status: version.status.to_string(),
        message: some(&version.message),
        metadata: some_map(&version.metadata),
        created_at: version.created_at.to_string(),
    }
}

pub(crate) fn dependencies(
    dependencies: &model::Dependencies,
) -> BTreeMap<String, api::VersionDependency> {
    let dependencies = dependencies.iter();
    dependencies
        .map(|(deployment, needed)| {
            let version_selector = needed.version_selector.clone();
            (
                deployment.to_string(),
                api::VersionDependency { version_selector },
            )
        })
        .collect()
}

/// What is said of limits; nothing when nothing is.
fn limits_spec(spec: &model::JobLimitsSpec) -> Option<api::JobLimitsSpec> {
    (!spec.is_empty()).then(|| api::JobLimitsSpec {
        start_deadline_seconds: spec.start_deadline_seconds,
        run_timeout_seconds: spec.run_timeout_seconds,
        lease_seconds: spec.lease_seconds,
        grace_seconds: spec.grace_seconds,
        on_lost_lease: spec.on_lost_lease.map(|it| it.to_string()),
    })
}

/// Limits as they were sent. Whoever does not speak of them leaves them as they are: v1 does not know them.
pub(crate) fn read_limits(
    sent: Option<&api::JobLimitsSpec>,
    known: Option<model::JobLimitsSpec>,
) -> Answer<model::JobLimitsSpec> {
    let Some(sent) = sent else {
        return Ok(known.unwrap_or_default());
    };
    let on_lost_lease = sent.on_lost_lease.as_deref().map(|text| {
        model::OnLostLease::parse(text).ok_or_else(|| {
            Failure::new("invalid_value", format!("`{text}` is not known"))
                .at("jobLimits.onLostLease")
                .hint("it is `requeue` or `fail`")
        })
    });
    Ok(model::JobLimitsSpec {
        start_deadline_seconds: sent.start_deadline_seconds,
        run_timeout_seconds: sent.run_timeout_seconds,
        lease_seconds: sent.lease_seconds,
        grace_seconds: sent.grace_seconds,
        on_lost_lease: on_lost_lease.transpose()?,
    })
}
