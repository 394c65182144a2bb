//! What is in a workspace already.

use stagegate_model::{Deployment, Environment, JobAgent, Notifier, Policy, Resource, System};

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
}
