//! Systems, environments, deployments, resources, job agents, policies; and documents.

use super::{ClientError, List, Workspace};
use crate::{
    Accepted, Apply, ApplyReport, DeploymentAndSystems, DeploymentWithVariablesAndSystems,
    Environment, EnvironmentWithSystems, JobAgent, Notifier, NotifierTest, Policy,
    RelationshipRule, Resource, Simulate, Simulation, System, SystemWithLinkedEntities,
    TargetVariables, UpsertDeployment, UpsertEnvironment, UpsertJobAgent, UpsertNotifier,
    UpsertPolicy, UpsertResource, UpsertSystem, VariableSet,
};

type Answer<T> = Result<T, ClientError>;

/// Documents. Every method fails as [`ClientError`] says.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
impl Workspace {
    /// `POST …/apply`: all or nothing; only tells what it would do when `dry_run`.
    pub async fn apply(&self, body: &Apply, dry_run: bool) -> Answer<ApplyReport> {
        let request = self.to_post(["apply"]).param("dryRun", dry_run);
        self.client.send(request.json(body)?).await
    }

    /// `POST …/simulate`: what would have been under the policies of the documents. Nothing is changed.
    pub async fn simulate(&self, body: &Simulate) -> Answer<Simulation> {
        let request = self.to_post(["simulate"]);
        self.client.send(request.json(body)?).await
    }

    /// `GET …/export`: the workspace as YAML documents.
    pub async fn export(&self) -> Answer<String> {
        self.client.send_for_text(self.to_get(["export"])).await
    }
}

/// Systems and environments. Every method fails as [`ClientError`] says.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
impl Workspace {
    #[must_use]
    pub fn systems(&self) -> List<System> {
        self.list(["systems"])
    }

    pub async fn system(&self, id: &str) -> Answer<SystemWithLinkedEntities> {
        self.client.send(self.to_get(["systems", id])).await
    }

    pub async fn create_system(&self, body: &UpsertSystem) -> Answer<Accepted> {
        let request = self.to_post(["systems"]).json(body)?;
        self.client.send(request).await
    }

    pub async fn put_system(&self, id: &str, body: &UpsertSystem) -> Answer<Accepted> {
        let request = self.to_put(["systems", id]).json(body)?;
        self.client.send(request).await
    }

    pub async fn delete_system(&self, id: &str) -> Answer<Accepted> {
        self.client.send(self.to_delete(["systems", id])).await
    }

    /// Adds the deployment to the system.
    pub async fn link_deployment(&self, system: &str, deployment: &str) -> Answer<Accepted> {
        let request = self.to_put(["systems", system, "deployments", deployment]);
        self.client.send(request).await
    }

    pub async fn unlink_deployment(&self, system: &str, deployment: &str) -> Answer<Accepted> {
        let request = self.to_delete(["systems", system, "deployments", deployment]);
        self.client.send(request).await
    }

    /// Adds the environment to the system.
    pub async fn link_environment(&self, system: &str, environment: &str) -> Answer<Accepted> {
        let request = self.to_put(["systems", system, "environments", environment]);
        self.client.send(request).await
    }

    pub async fn unlink_environment(&self, system: &str, environment: &str) -> Answer<Accepted> {
        let request = self.to_delete(["systems", system, "environments", environment]);
        self.client.send(request).await
    }

    #[must_use]
    pub fn environments(&self) -> List<Environment> {
        self.list(["environments"])
    }

    pub async fn environment(&self, id: &str) -> Answer<EnvironmentWithSystems> {
        self.client.send(self.to_get(["environments", id])).await
    }

    pub async fn environment_by_name(&self, name: &str) -> Answer<EnvironmentWithSystems> {
        let request = self.to_get(["environments", "name", name]);
        self.client.send(request).await
    }

    pub async fn create_environment(&self, body: &UpsertEnvironment) -> Answer<Accepted> {
        let request = self.to_post(["environments"]).json(body)?;
        self.client.send(request).await
    }

    pub async fn put_environment(&self, id: &str, body: &UpsertEnvironment) -> Answer<Accepted> {
        let request = self.to_put(["environments", id]).json(body)?;
        self.client.send(request).await
    }

    pub async fn delete_environment(&self, id: &str) -> Answer<Accepted> {
        self.client.send(self.to_delete(["environments", id])).await
    }
}

/// Deployments and resources. Every method fails as [`ClientError`] says.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
impl Workspace {
    #[must_use]
    pub fn deployments(&self) -> List<DeploymentAndSystems> {
        self.list(["deployments"])
    }

    pub async fn deployment(&self, id: &str) -> Answer<DeploymentWithVariablesAndSystems> {
        self.client.send(self.to_get(["deployments", id])).await
    }

    pub async fn deployment_by_name(
        &self,
        name: &str,
    ) -> Answer<DeploymentWithVariablesAndSystems> {
        let request = self.to_get(["deployments", "name", name]);
        self.client.send(request).await
    }

    pub async fn create_deployment(&self, body: &UpsertDeployment) -> Answer<Accepted> {
        let request = self.to_post(["deployments"]).json(body)?;
        self.client.send(request).await
    }

    pub async fn put_deployment(&self, id: &str, body: &UpsertDeployment) -> Answer<Accepted> {
        let request = self.to_put(["deployments", id]).json(body)?;
        self.client.send(request).await
    }

    pub async fn delete_deployment(&self, id: &str) -> Answer<Accepted> {
        self.client.send(self.to_delete(["deployments", id])).await
    }

    #[must_use]
    pub fn resources(&self) -> List<Resource> {
        self.list(["resources"])
    }

    pub async fn resource(&self, identifier: &str) -> Answer<Resource> {
        let request = self.to_get(["resources", "identifier", identifier]);
        self.client.send(request).await
    }

    pub async fn put_resource(&self, identifier: &str, body: &UpsertResource) -> Answer<Accepted> {
        let request = self.to_put(["resources", "identifier", identifier]);
        self.client.send(request.json(body)?).await
    }

    pub async fn delete_resource(&self, identifier: &str) -> Answer<Accepted> {
        let request = self.to_delete(["resources", "identifier", identifier]);
        self.client.send(request).await
    }
}

/// Job agents and policies. Every method fails as [`ClientError`] says.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
impl Workspace {
    #[must_use]
    pub fn job_agents(&self) -> List<JobAgent> {
        self.list(["job-agents"])
    }

    pub async fn job_agent(&self, id: &str) -> Answer<JobAgent> {
        self.client.send(self.to_get(["job-agents", id])).await
    }

    /// Creates the agent, or replaces it: the caller chooses the id.
    pub async fn put_job_agent(&self, id: &str, body: &UpsertJobAgent) -> Answer<Accepted> {
        let request = self.to_put(["job-agents", id]).json(body)?;
        self.client.send(request).await
    }

    pub async fn delete_job_agent(&self, id: &str) -> Answer<Accepted> {
        self.client.send(self.to_delete(["job-agents", id])).await
    }

    #[must_use]
    pub fn notifiers(&self) -> List<Notifier> {
        self.list(["notifiers"])
    }

    pub async fn notifier(&self, id: &str) -> Answer<Notifier> {
        self.client.send(self.to_get(["notifiers", id])).await
    }

    pub async fn notifier_by_name(&self, name: &str) -> Answer<Notifier> {
        let request = self.to_get(["notifiers", "name", name]);
        self.client.send(request).await
    }

    /// Creates the notifier, or replaces it: the caller chooses the id.
    pub async fn put_notifier(&self, id: &str, body: &UpsertNotifier) -> Answer<Accepted> {
        let request = self.to_put(["notifiers", id]).json(body)?;
        self.client.send(request).await
    }

    pub async fn delete_notifier(&self, id: &str) -> Answer<Accepted> {
        self.client.send(self.to_delete(["notifiers", id])).await
    }

    /// Has a test message sent at once.
    pub async fn test_notifier(&self, id: &str) -> Answer<NotifierTest> {
        let request = self.to_post(["notifiers", id, "test"]);
        self.client.send(request).await
    }

    #[must_use]
    pub fn variable_sets(&self) -> List<VariableSet> {
        self.list(["variable-sets"])
    }

    #[must_use]
    pub fn relationship_rules(&self) -> List<RelationshipRule> {
        self.list(["relationship-rules"])
    }

    /// What the variables of a release target, `resourceId-environmentId-deploymentId`, would come out as now.
    pub async fn target_variables(&self, target: &str) -> Answer<TargetVariables> {
        let request = self.to_get(["release-targets", target, "variables"]);
        self.client.send(request).await
    }

    #[must_use]
    pub fn policies(&self) -> List<Policy> {
        self.list(["policies"])
    }

    pub async fn policy(&self, id: &str) -> Answer<Policy> {
        self.client.send(self.to_get(["policies", id])).await
    }

    pub async fn create_policy(&self, body: &UpsertPolicy) -> Answer<Policy> {
        self.client
            .send(self.to_post(["policies"]).json(body)?)
            .await
    }

    pub async fn put_policy(&self, id: &str, body: &UpsertPolicy) -> Answer<Policy> {
        let request = self.to_put(["policies", id]).json(body)?;
        self.client.send(request).await
    }

    /// Gives the policy as it was.
    pub async fn delete_policy(&self, id: &str) -> Answer<Policy> {
        self.client.send(self.to_delete(["policies", id])).await
    }
}
