//! What documents are planned against: the scenario's state.

use stagegate_documents::Catalog;
use stagegate_engine::State;
use stagegate_model::{Deployment, Environment, JobAgent, Policy, Resource, System};
use std::sync::Arc;

/// A state as documents see it.
pub(crate) struct StateCatalog<'s>(pub &'s State);

fn owned<T: Clone>(found: Option<&Arc<T>>) -> Option<T> {
    found.map(|it| T::clone(it))
}

fn all<'a, T: Clone + 'a>(found: impl Iterator<Item = &'a Arc<T>>) -> Vec<T> {
    found.map(|it| T::clone(it)).collect()
}

impl Catalog for StateCatalog<'_> {
    fn system_by_name(&self, name: &str) -> Option<System> {
        owned(self.0.system_by_name(name))
    }

    fn job_agent_by_name(&self, name: &str) -> Option<JobAgent> {
        owned(self.0.agent_by_name(name))
    }

    fn resource_by_identifier(&self, identifier: &str) -> Option<Resource> {
        owned(self.0.resource_by_identifier(identifier))
    }

    fn environment_by_name(&self, name: &str) -> Option<Environment> {
        owned(self.0.environment_by_name(name))
    }

    fn deployment_by_slug(&self, slug: &str) -> Option<Deployment> {
        owned(self.0.deployment_by_slug(slug))
    }

    fn policy_by_name(&self, name: &str) -> Option<Policy> {
        owned(self.0.policy_by_name(name))
    }

    fn systems(&self) -> Vec<System> {
        all(self.0.systems().values())
    }

    fn job_agents(&self) -> Vec<JobAgent> {
        all(self.0.agents().values())
    }

    fn resources(&self) -> Vec<Resource> {
        all(self.0.resources())
    }

    fn environments(&self) -> Vec<Environment> {
        all(self.0.environments().values())
    }

    fn deployments(&self) -> Vec<Deployment> {
        all(self.0.deployments().values())
    }

    fn policies(&self) -> Vec<Policy> {
        all(self.0.policies().values())
    }
}
