//! A workspace that holds what changes put into it.

use stagegate_documents::{Catalog, DocumentError, Plan, Planned, plan, plan_many};
use stagegate_model::{
    Change, Deployment, DeploymentId, DeploymentVariable, Environment, JobAgent, Notifier, Policy,
    RelationshipRule, Resource, ResourceId, System, Timestamp, VariableSet, VariableValue,
};
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(Default, Clone)]
pub struct Workspace {
    pub systems: Vec<System>,
    pub agents: Vec<JobAgent>,
    pub resources: Vec<Resource>,
    pub environments: Vec<Environment>,
    pub deployments: Vec<Deployment>,
    pub policies: Vec<Policy>,
    pub notifiers: Vec<Notifier>,
    pub variables: Vec<DeploymentVariable>,
    pub own: BTreeMap<ResourceId, BTreeMap<String, VariableValue>>,
    pub sets: Vec<VariableSet>,
    pub rules: Vec<RelationshipRule>,
    ids: u128,
    pub now: i64,
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

impl Catalog for Workspace {
    fn system_by_name(&self, name: &str) -> Option<System> {
        self.systems.iter().find(|it| same(&it.name, name)).cloned()
    }
    fn job_agent_by_name(&self, name: &str) -> Option<JobAgent> {
        self.agents.iter().find(|it| same(&it.name, name)).cloned()
    }
    fn resource_by_identifier(&self, identifier: &str) -> Option<Resource> {
        self.resources
            .iter()
            .find(|it| it.identifier == identifier)
            .cloned()
    }
    fn environment_by_name(&self, name: &str) -> Option<Environment> {
        self.environments
            .iter()
            .find(|it| same(&it.name, name))
            .cloned()
    }
    fn deployment_by_slug(&self, slug: &str) -> Option<Deployment> {
        self.deployments.iter().find(|it| it.slug == slug).cloned()
    }
    fn policy_by_name(&self, name: &str) -> Option<Policy> {
        self.policies
            .iter()
            .find(|it| same(&it.name, name))
            .cloned()
    }
    fn notifier_by_name(&self, name: &str) -> Option<Notifier> {
        self.notifiers
            .iter()
            .find(|it| same(&it.name, name))
            .cloned()
    }
    fn variable_set_by_name(&self, name: &str) -> Option<VariableSet> {
        self.sets.iter().find(|it| same(&it.name, name)).cloned()
    }
    fn relationship_rule_by_name(&self, name: &str) -> Option<RelationshipRule> {
        self.rules.iter().find(|it| same(&it.name, name)).cloned()
    }
    fn variables_of(&self, deployment: DeploymentId) -> Vec<DeploymentVariable> {
        let all = self.variables.iter();
        let mut of_it: Vec<_> = all
            .filter(|it| it.deployment == deployment)
            .cloned()
            .collect();
        of_it.sort_by(|a, b| a.key.cmp(&b.key));
        of_it
    }
    fn variables_on(&self, resource: ResourceId) -> BTreeMap<String, VariableValue> {
        self.own.get(&resource).cloned().unwrap_or_default()
    }
    fn variable_sets(&self) -> Vec<VariableSet> {
        self.sets.clone()
    }
    fn relationship_rules(&self) -> Vec<RelationshipRule> {
        self.rules.clone()
    }
    fn systems(&self) -> Vec<System> {
        self.systems.clone()
    }
    fn job_agents(&self) -> Vec<JobAgent> {
        self.agents.clone()
    }
    fn resources(&self) -> Vec<Resource> {
        self.resources.clone()
    }
    fn environments(&self) -> Vec<Environment> {
        self.environments.clone()
    }
    fn deployments(&self) -> Vec<Deployment> {
        self.deployments.clone()
    }
    fn policies(&self) -> Vec<Policy> {
        self.policies.clone()
    }
    fn notifiers(&self) -> Vec<Notifier> {
        self.notifiers.clone()
    }
}

macro_rules! put {
    ($list:expr, $new:expr) => {{
        let new = $new.clone();
        match $list.iter_mut().find(|old| old.id == new.id) {
            Some(old) => *old = new,
            None => $list.push(new),
        }
    }};
}

impl Workspace {
    pub fn plan(&mut self, text: &str) -> Result<Plan, Vec<DocumentError>> {
        self.plan_many(&[("shop.yaml", text)])
    }

    pub fn plan_many(&mut self, texts: &[(&str, &str)]) -> Result<Plan, Vec<DocumentError>> {
        self.now += 1000;
        let mut ids = self.ids;
        let mut new_id = || {
            ids += 1;
            Uuid::from_u128(ids)
        };
        let now = Timestamp(self.now);
        let plan = match texts {
            [(file, text)] => plan(file, text, self, &mut new_id, now),
            texts => plan_many(texts, self, &mut new_id, now),
        };
        self.ids = ids;
        plan
    }

    pub fn put(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::PutSystem(it) => put!(self.systems, it),
                Change::PutJobAgent(it) => put!(self.agents, it),
                Change::PutResource(it) => put!(self.resources, it),
                Change::PutEnvironment(it) => put!(self.environments, it),
                Change::PutNotifier(it) => put!(self.notifiers, it),
                Change::PutDeployment(it) => put!(self.deployments, it),
                Change::PutPolicy(it) => {
                    for replaced in &it.replaces {
                        assert!(
                            self.policies.iter().any(|policy| policy.id == *replaced),
                            "a policy comes after what it replaces"
                        );
                    }
                    put!(self.policies, it);
                }
                Change::PutVariable(it) => put!(self.variables, it),
                Change::DeleteVariable(id) => self.variables.retain(|it| it.id != *id),
                Change::PutVariableSet(it) => put!(self.sets, it),
                Change::PutRelationshipRule(it) => put!(self.rules, it),
                Change::PutResourceVariables {
                    resource,
                    variables,
                } => drop(self.own.insert(*resource, variables.clone())),
                other => panic!("documents only put: {other:?}"),
            }
        }
    }

    /// Plans and applies.
    pub fn apply(&mut self, text: &str) -> Vec<Planned> {
        let plan = self.plan(text).unwrap_or_else(|errors| {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            panic!("{}", errors.join("\n"))
        });
        self.put(&plan.changes);
        plan.documents
    }

    /// The errors of a text that must be refused.
    pub fn refused(&mut self, text: &str) -> Vec<DocumentError> {
        match self.plan(text) {
            Ok(plan) => panic!("not refused: {:?}", plan.documents),
            Err(errors) => errors,
        }
    }
}

/// The only error of a text, in an empty workspace.
pub fn refusal(text: &str) -> DocumentError {
    let mut errors = Workspace::default().refused(text);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors.remove(0)
}

/// Code, line, column and field of every error of a text, in an empty workspace.
pub fn refusals(text: &str) -> Vec<String> {
    let errors = Workspace::default().refused(text);
    let brief = errors.iter().map(|error| {
        format!(
            "{} {}:{} {}",
            error.code, error.line, error.column, error.field
        )
        .trim_end()
        .to_owned()
    });
    brief.collect()
}
