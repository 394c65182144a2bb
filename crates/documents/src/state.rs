//! A workspace's state as documents see it: what they are planned against and exported from.

use crate::{Catalog, Persons};
use stagegate_engine::State;
use stagegate_model::{
    Deployment, DeploymentId, DeploymentVariable, Environment, JobAgent, Notifier, Policy,
    RelationshipRule, Resource, ResourceId, System, VariableSet, VariableValue,
};
use std::collections::BTreeMap;
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
        State::resource_by_identifier(self, identifier).map(|it| it.whole())
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

    fn variable_set_by_name(&self, name: &str) -> Option<VariableSet> {
        owned(State::variable_set_by_name(self, name))
    }

    fn relationship_rule_by_name(&self, name: &str) -> Option<RelationshipRule> {
        owned(State::relationship_rule_by_name(self, name))
    }

    fn variables_of(&self, deployment: DeploymentId) -> Vec<DeploymentVariable> {
        all(self.variables().of_deployment(deployment))
    }

    fn variables_on(&self, resource: ResourceId) -> BTreeMap<String, VariableValue> {
        let own = self.variables().of_resource(resource);
        own.map(|own| BTreeMap::clone(own)).unwrap_or_default()
    }

    fn variable_sets(&self) -> Vec<VariableSet> {
        all(self.variables().sets().values())
    }

    fn relationship_rules(&self) -> Vec<RelationshipRule> {
        all(self.variables().relationship_rules().values())
    }

    fn systems(&self) -> Vec<System> {
        all(State::systems(self).values())
    }

    fn job_agents(&self) -> Vec<JobAgent> {
        all(State::agents(self).values())
    }

    fn resources(&self) -> Vec<Resource> {
        State::resources(self).map(|it| it.whole()).collect()
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

/// A workspace's state with the names of its persons, which are kept elsewhere.
pub struct WithPersons<'a> {
    pub state: &'a State,
    pub persons: &'a Persons,
}

impl Catalog for WithPersons<'_> {
    fn system_by_name(&self, name: &str) -> Option<System> {
        Catalog::system_by_name(self.state, name)
    }

    fn job_agent_by_name(&self, name: &str) -> Option<JobAgent> {
        Catalog::job_agent_by_name(self.state, name)
    }

    fn resource_by_identifier(&self, identifier: &str) -> Option<Resource> {
        Catalog::resource_by_identifier(self.state, identifier)
    }

    fn environment_by_name(&self, name: &str) -> Option<Environment> {
        Catalog::environment_by_name(self.state, name)
    }

    fn deployment_by_slug(&self, slug: &str) -> Option<Deployment> {
        Catalog::deployment_by_slug(self.state, slug)
    }

    fn policy_by_name(&self, name: &str) -> Option<Policy> {
        Catalog::policy_by_name(self.state, name)
    }

    fn variable_set_by_name(&self, name: &str) -> Option<VariableSet> {
        Catalog::variable_set_by_name(self.state, name)
    }

    fn relationship_rule_by_name(&self, name: &str) -> Option<RelationshipRule> {
        Catalog::relationship_rule_by_name(self.state, name)
    }

    fn variables_of(&self, deployment: DeploymentId) -> Vec<DeploymentVariable> {
        Catalog::variables_of(self.state, deployment)
    }

    fn variables_on(&self, resource: ResourceId) -> BTreeMap<String, VariableValue> {
        Catalog::variables_on(self.state, resource)
    }

    fn variable_sets(&self) -> Vec<VariableSet> {
        Catalog::variable_sets(self.state)
    }

    fn relationship_rules(&self) -> Vec<RelationshipRule> {
        Catalog::relationship_rules(self.state)
    }

    fn systems(&self) -> Vec<System> {
        Catalog::systems(self.state)
    }

    fn job_agents(&self) -> Vec<JobAgent> {
        Catalog::job_agents(self.state)
    }

    fn resources(&self) -> Vec<Resource> {
        Catalog::resources(self.state)
    }

    fn environments(&self) -> Vec<Environment> {
        Catalog::environments(self.state)
    }

    fn deployments(&self) -> Vec<Deployment> {
        Catalog::deployments(self.state)
    }

    fn policies(&self) -> Vec<Policy> {
        Catalog::policies(self.state)
    }

    fn notifier_by_name(&self, name: &str) -> Option<Notifier> {
        Catalog::notifier_by_name(self.state, name)
    }

    fn notifiers(&self) -> Vec<Notifier> {
        Catalog::notifiers(self.state)
    }

    fn persons(&self) -> Option<&Persons> {
        Some(self.persons)
    }
}
