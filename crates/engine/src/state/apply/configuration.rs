//! Folding changes of configuration and of versions.

use super::super::State;
use stagegate_model::{EnvironmentId, Fact, VersionStatus};
use std::sync::Arc;

impl State {
    pub(super) fn apply_configuration(&mut self, fact: &Fact) {
        match fact {
            Fact::SystemPut { system } => {
                self.systems.insert(system.id, Arc::new(system.clone()));
                let lanes = self.lanes.keys().copied();
                self.dirty.lanes.extend(lanes);
            }
            Fact::SystemDeleted { id } => {
                self.systems.remove(id);
            }
            Fact::EnvironmentPut { environment } => {
                self.dirty.environments.insert(environment.id);
                self.environments
                    .insert(environment.id, Arc::new(environment.clone()));
                // A policy may look at any environment's name or metadata.
                self.dirty.lanes.extend(self.lanes.keys().copied());
                let lanes = self.lanes.keys();
                let lanes = lanes.filter(|key| key.environment == environment.id);
                self.dirty.configured.extend(lanes.copied());
            }
            Fact::EnvironmentDeleted { id } => {
                self.environments.remove(id);
                self.remove_lanes(|key| key.environment == *id);
                self.dirty.environments.remove(id);
                self.dirty.lanes.retain(|key| key.environment != *id);
                self.dirty.lanes.extend(self.lanes.keys().copied());
            }
            Fact::DeploymentPut { deployment } => {
                self.dirty.deployments.insert(deployment.id);
                self.deployments
                    .insert(deployment.id, Arc::new(deployment.clone()));
                self.touch_deployment(deployment.id);
                self.touch_neighbours_of_deployment(deployment.id);
                let lanes = self.lanes.keys();
                let lanes = lanes.filter(|key| key.deployment == deployment.id);
                self.dirty.configured.extend(lanes.copied());
            }
            Fact::DeploymentDeleted { id } => {
                self.deployments.remove(id);
                self.remove_lanes(|key| key.deployment == *id);
                self.dirty.deployments.remove(id);
                self.dirty.lanes.retain(|key| key.deployment != *id);
            }
            Fact::ResourcePut { resource } => {
                if let Some(stored) = self.resources.get(&resource.id) {
                    // Another resource may have taken the identifier of a deleted one.
                    let identifier = stored.resource.identifier();
                    if self.identifiers.get(identifier) == Some(&resource.id) {
                        self.identifiers.remove(identifier);
                    }
                }
                self.identifiers
                    .insert(resource.identifier.as_str().into(), resource.id);
                self.resources.put(resource);
                self.dirty.resources.insert(resource.id);
                self.touch_referring();
                let lanes = self.resources.lanes(resource.id);
                self.dirty.configured.extend(lanes);
                self.dirty.lanes.extend(lanes);
            }
            Fact::ResourceDeleted { id } => {
                self.touch_referring();
                if let Some(stored) = self.resources.get_mut(id) {
                    stored.deleted = true;
                    self.identifiers.remove(stored.resource.identifier());
                    if self.resources.lanes(*id).is_empty() {
                        self.resources.remove(id);
                    } else {
                        self.dirty.resources.insert(*id);
                    }
                }
            }
            Fact::JobAgentPut { agent } => {
                self.agents.insert(agent.id, Arc::new(agent.clone()));
                self.dirty.lanes.extend(self.lanes.keys().copied());
                self.dirty.configured.extend(self.lanes.keys().copied());
            }
            Fact::JobAgentDeleted { id } => {
                self.agents.remove(id);
                self.dirty.lanes.extend(self.lanes.keys().copied());
            }
            Fact::PolicyPut { policy } => {
                self.policies.insert(policy.id, Arc::new(policy.clone()));
                self.dirty.lanes.extend(self.lanes.keys().copied());
            }
            Fact::PolicyDeleted { id } => {
                self.policies.remove(id);
                self.dirty.lanes.extend(self.lanes.keys().copied());
            }
            Fact::GroupPut { group } => {
                self.groups.insert(group.id, Arc::new(group.clone()));
                self.dirty.lanes.extend(self.lanes.keys().copied());
            }
            Fact::GroupDeleted { id } => {
                self.groups.remove(id);
                self.dirty.lanes.extend(self.lanes.keys().copied());
            }
            Fact::SkipCreated { skip } => {
                self.skips.insert(skip.id, Arc::new(skip.clone()));
                self.touch_scope(skip.environment);
            }
            Fact::SkipDeleted { id, .. } => {
                let environment = self.skips.remove(id).and_then(|skip| skip.environment);
                self.touch_scope(environment);
            }
            Fact::FreezePut { freeze } => {
                self.freezes.insert(freeze.id, Arc::new(freeze.clone()));
                self.dirty.lanes.extend(self.lanes.keys().copied());
            }
            Fact::FreezeDeleted { id, .. } => {
                self.freezes.remove(id);
                self.dirty.lanes.extend(self.lanes.keys().copied());
            }
            // Nothing is decided by who is told.
            Fact::NotifierPut { notifier } => {
                self.notifiers
                    .insert(notifier.id, Arc::new(notifier.clone()));
            }
            Fact::NotifierDeleted { id } => {
                self.notifiers.remove(id);
            }
            _ => {}
        }
    }

    /// Marks the lanes of an environment; all, when none is named.
    fn touch_scope(&mut self, environment: Option<EnvironmentId>) {
        let lanes = self.lanes.keys();
        let inside = lanes.filter(|key| environment.is_none_or(|it| it == key.environment));
        self.dirty.lanes.extend(inside.copied());
    }

    pub(super) fn apply_version_change(&mut self, fact: &Fact) {
        let Fact::VersionChanged {
            id,
            tag,
            name,
            config,
            job_agent_config,
            dependencies,
            status,
            message,
            metadata,
            digest,
        } = fact
        else {
            return;
        };
        let Some(stored) = self.versions.get_mut(id) else {
            return;
        };
        let version = Arc::make_mut(stored);
        if let Some(tag) = tag {
            let tags = self.tags.entry(version.deployment).or_default();
            tags.remove(&version.tag);
            tags.insert(tag.clone(), *id);
            version.tag.clone_from(tag);
        }
        let set = |part: &mut String, to: &Option<String>| {
            if let Some(to) = to {
                part.clone_from(to);
            }
        };
        set(&mut version.name, name);
        set(&mut version.message, message);
        if let Some(config) = config {
            version.config.clone_from(config);
        }
        if let Some(config) = job_agent_config {
            version.job_agent_config.clone_from(config);
        }
        if let Some(dependencies) = dependencies {
            version.dependencies.clone_from(dependencies);
        }
        if let Some(status) = status {
            version.status = *status;
            if *status == VersionStatus::Rejected {
                self.dirty.rejected.insert(*id);
            }
        }
        if let Some(metadata) = metadata {
            version.metadata.clone_from(metadata);
        }
        version.digest = *digest;
        let deployment = version.deployment;
        self.touch_deployment(deployment);
        self.touch_neighbours_of_version(*id, None);
    }
}
