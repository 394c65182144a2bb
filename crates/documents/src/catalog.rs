//! What is in a workspace already.

use crate::Persons;
use stagegate_model::{
    Deployment, DeploymentId, DeploymentVariable, Environment, JobAgent, Notifier, Policy,
    RelationshipRule, Resource, ResourceId, System, VariableSet, VariableValue,
};
use std::collections::BTreeMap;

/// What a workspace holds, as far as documents speak of it. Names compare whatever the case of their letters;
/// slugs and identifiers exactly.
pub trait Catalog {
    fn system_by_name(&self, name: &str) -> Option<System>;
    fn job_agent_by_name(&self, name: &str) -> Option<JobAgent>;
    fn resource_by_identifier(&self, identifier: &str) -> Option<Resource>;
    fn environment_by_name(&self, name: &str) -> Option<Environment>;
    fn deployment_by_slug(&self, slug: &str) -> Option<Deployment>;
    fn policy_by_name(&self, name: &str) -> Option<Policy>;
    fn notifier_by_name(&self, name: &str) -> Option<Notifier>;
    fn variable_set_by_name(&self, name: &str) -> Option<VariableSet>;
    fn relationship_rule_by_name(&self, name: &str) -> Option<RelationshipRule>;
    /// What a deployment declares, in the order of the keys.
    fn variables_of(&self, deployment: DeploymentId) -> Vec<DeploymentVariable>;
    /// A resource's own variables.
    fn variables_on(&self, resource: ResourceId) -> BTreeMap<String, VariableValue>;

    fn systems(&self) -> Vec<System>;
    fn job_agents(&self) -> Vec<JobAgent>;
    /// Only [`export`](crate::export) asks for it.
    fn resources(&self) -> Vec<Resource>;
    fn environments(&self) -> Vec<Environment>;
    /// Only [`export`](crate::export) asks for it.
    fn deployments(&self) -> Vec<Deployment>;
    fn policies(&self) -> Vec<Policy>;
    /// Only [`export`](crate::export) asks for it.
    fn notifiers(&self) -> Vec<Notifier>;
    /// Only [`export`](crate::export) asks for it.
    fn variable_sets(&self) -> Vec<VariableSet>;
    fn relationship_rules(&self) -> Vec<RelationshipRule>;

    /// By what names persons are known. `None`: none are known here, and approvers stay as they are written.
    fn persons(&self) -> Option<&Persons> {
        None
    }
}
