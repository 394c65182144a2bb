//! A workspace's state as documents see it: what they are planned against and exported from.

use crate::Catalog;
use stagegate_engine::State;
use stagegate_model::{Deployment, Environment, JobAgent, Notifier, Policy, Resource, System};
use std::sync::Arc;

fn owned<T: Clone>(found: Option<&Arc<T>>) -> Option<T> {
    found.map(|it| T::clone(it))
}

fn all<'a, T: Clone + 'a>(found: impl Iterator<Item = &'a Arc<T>>) -> Vec<T> {
    found.map(|it| T::clone(it)).collect()
}

impl Catalog for State {
    fn system_by_name(&self, name: &str) -> Option<System> {
        owned(State::system_by_name(self, name))
    }

    fn job_agent_by_name(&self, name: &str) -> Option<JobAgent> {
        owned(State::agent_by_name(self, name))
    }

    fn resource_by_identifier(&self, identifier: &str) -> Option<Resource> {
        owned(State::resource_by_identifier(self, identifier))
    }

    fn environment_by_name(&self, name: &str) -> Option<Environment> {
        owned(State::environment_by_name(self, name))
    }

    fn deployment_by_slug(&self, slug: &str) -> Option<Deployment> {
        owned(State::deployment_by_slug(self, slug))
    }

    fn policy_by_name(&self, name: &str) -> Option<Policy> {
        owned(State::policy_by_name(self, name))
    }

    fn notifier_by_name(&self, name: &str) -> Option<Notifier> {
        owned(State::notifier_by_name(self, name))
    }

    fn systems(&self) -> Vec<System> {
        all(State::systems(self).values())
    }

    fn job_agents(&self) -> Vec<JobAgent> {
        all(State::agents(self).values())
    }

    fn resources(&self) -> Vec<Resource> {
        all(State::resources(self))
    }

    fn environments(&self) -> Vec<Environment> {
        all(State::environments(self).values())
    }

    fn deployments(&self) -> Vec<Deployment> {
        all(State::deployments(self).values())
    }

    fn policies(&self) -> Vec<Policy> {
        all(State::policies(self).values())
    }

    fn notifiers(&self) -> Vec<Notifier> {
        all(State::notifiers(self).values())
    }
}
