//! Changes of configuration: validated one after the other against the state with the earlier ones laid over,
//! so that a whole file is accepted or refused and nothing is half-written.

mod notifiers;
mod variables;

pub use notifiers::NOTIFIERS_MAX;
pub use variables::{RELATIONSHIP_RULES_MAX, VARIABLE_BYTES_MAX, VARIABLES_MAX};

use crate::expressions::{
    check_agent_selector, check_cel, check_resource_selector, policy_schema, template_rejection,
    template_schema,
};
use crate::handle::readable;
use crate::limits::{self, LimitsOf};
use crate::rules;
use crate::state::{PackedResource, State, same_name};
use stagegate_expressions::template;
use stagegate_model::{
    Change, Deployment, DeploymentId, Environment, EnvironmentId, Fact, JobAgent, JobAgentId,
    Notifier, NotifierId, Policy, PolicyId, PromotionStatus, Rejection, Resource, ResourceId,
    System, SystemId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Characters in a name, slug or identifier, at most.
pub const NAME_CHARS_MAX: usize = 200;
/// Rules in a policy, at most.
pub const RULES_MAX: usize = 100;

type Overlay<K, V> = BTreeMap<K, Option<Arc<V>>>;

/// The configuration as it would be with the changes so far.
pub struct Draft<'s> {
    state: &'s State,
    systems: Overlay<SystemId, System>,
    environments: Overlay<EnvironmentId, Environment>,
    deployments: Overlay<DeploymentId, Deployment>,
    resources: Overlay<ResourceId, PackedResource>,
    agents: Overlay<JobAgentId, JobAgent>,
    policies: Overlay<PolicyId, Policy>,
    notifiers: Overlay<NotifierId, Notifier>,
    book: variables::VariableOverlay,
    /// Identifiers put by this draft; the state's index covers the rest.
    identifiers: BTreeMap<String, ResourceId>,
    facts: Vec<Fact>,
}

/// Turns changes into facts, or says which change is wrong and why.
///
/// # Errors
/// The first change that is refused, by its index in [`Rejection::change`].
pub(crate) fn configure(state: &State, changes: Vec<Change>) -> Result<Vec<Fact>, Rejection> {
    let mut draft = Draft::new(state);
    // Policies are checked last, when all they may name is there; their order among themselves is kept.
    let (policies, others): (Vec<_>, Vec<_>) = changes
        .into_iter()
        .enumerate()
        .partition(|(_, change)| matches!(change, Change::PutPolicy(_) | Change::DeletePolicy(_)));
    let put: Vec<PolicyId> = policies
        .iter()
        .filter_map(|(_, change)| {
            if let Change::PutPolicy(policy) = change {
                Some(policy.id)
            } else {
                None
            }
        })
        .collect();
    for (index, change) in others.into_iter().chain(policies) {
        let checked = readable::check_change(&change);
        let changed = checked.and_then(|()| draft.change(change, &put));
        changed.map_err(|rejection| Rejection {
            change: Some(index),
            ..rejection
        })?;
    }
    Ok(draft.facts)
}

fn view<'a, K: Ord + Copy + 'a, V>(
    base: &'a BTreeMap<K, Arc<V>>,
    overlay: &'a Overlay<K, V>,
) -> impl Iterator<Item = &'a Arc<V>> {
    let kept = base
        .iter()
        .filter(|(id, _)| !overlay.contains_key(id))
        .map(|(_, value)| value);
    kept.chain(overlay.values().flatten())
}

fn lookup<'a, K: Ord, V>(
    base: &'a BTreeMap<K, Arc<V>>,
    overlay: &'a Overlay<K, V>,
    id: &K,
) -> Option<&'a Arc<V>> {
    match overlay.get(id) {
        Some(changed) => changed.as_ref(),
        None => base.get(id),
    }
}

impl<'s> Draft<'s> {
    fn new(state: &'s State) -> Self {
        Self {
            state,
            systems: Overlay::new(),
            environments: Overlay::new(),
            deployments: Overlay::new(),
            resources: Overlay::new(),
            agents: Overlay::new(),
            policies: Overlay::new(),
            notifiers: Overlay::new(),
            book: variables::VariableOverlay::default(),
            identifiers: BTreeMap::new(),
            facts: Vec::new(),
        }
    }

    /// The state as it was before.
    pub(crate) fn state(&self) -> &State {
        self.state
    }

    fn all_environments(&self) -> impl Iterator<Item = &Arc<Environment>> {
        view(&self.state.environments, &self.environments)
    }

    /// Names compare whatever the case of their letters.
    pub(crate) fn environment_by_name(&self, name: &str) -> Option<&Arc<Environment>> {
        self.all_environments()
            .find(|environment| same_name(&environment.name, name))
    }

    /// For hints.
    pub(crate) fn environment_names(&self) -> Vec<String> {
        self.all_environments()
            .map(|environment| environment.name.clone())
            .collect()
    }

    fn change(&mut self, change: Change, put: &[PolicyId]) -> Result<(), Rejection> {
        match change {
            Change::PutSystem(system) => self.put_system(system),
            Change::PutEnvironment(environment) => self.put_environment(environment),
            Change::PutDeployment(deployment) => self.put_deployment(deployment),
            Change::PutResource(resource) => self.put_resource(resource),
            Change::PutJobAgent(agent) => self.put_agent(agent),
            Change::PutPolicy(policy) => self.put_policy(policy, put),
            Change::DeleteSystem(id) => self.delete_system(id),
            Change::DeleteEnvironment(id) => self.delete_environment(id),
            Change::DeleteDeployment(id) => self.delete_deployment(id),
            Change::DeleteResource(id) => self.delete_resource(id),
            Change::DeleteJobAgent(id) => self.delete_agent(id),
            Change::DeletePolicy(id) => self.delete_policy(id),
            Change::PutNotifier(notifier) => self.put_notifier(notifier),
            Change::DeleteNotifier(id) => self.delete_notifier(id),
            Change::PutVariable(variable) => self.put_variable(variable),
            Change::DeleteVariable(id) => self.delete_variable(id),
            Change::PutVariableSet(set) => self.put_variable_set(set),
            Change::DeleteVariableSet(id) => self.delete_variable_set(id),
            Change::PutResourceVariables {
                resource,
                variables,
            } => self.put_resource_variables(resource, variables),
            Change::PutRelationshipRule(rule) => self.put_relationship_rule(rule),
            Change::DeleteRelationshipRule(id) => self.delete_relationship_rule(id),
        }
    }

    fn put_system(&mut self, system: System) -> Result<(), Rejection> {
        check_name("name", &system.name)?;
        check_name("slug", &system.slug)?;
        let taken_already = view(&self.state.systems, &self.systems)
            .any(|other| other.id != system.id && same_name(&other.name, &system.name));
        if taken_already {
            return Err(taken("system", &system.name));
        }
        if lookup(&self.state.systems, &self.systems, &system.id).is_some_and(|old| **old == system)
        {
            return Ok(());
        }
        self.systems
            .insert(system.id, Some(Arc::new(system.clone())));
        self.facts.push(Fact::SystemPut { system });
        Ok(())
    }

    fn check_systems(&self, systems: &BTreeSet<SystemId>) -> Result<(), Rejection> {
        match systems
            .iter()
            .find(|id| lookup(&self.state.systems, &self.systems, id).is_none())
        {
            Some(id) => Err(Rejection::not_found(
                "system_not_found",
                format!("there is no system `{id}`"),
            )
            .at("systems")),
            None => Ok(()),
        }
    }

    fn put_environment(&mut self, environment: Environment) -> Result<(), Rejection> {
        check_name("name", &environment.name)?;
        self.check_systems(&environment.systems)?;
        if self
            .all_environments()
            .any(|other| other.id != environment.id && same_name(&other.name, &environment.name))
        {
            return Err(taken("environment", &environment.name));
        }
        check_resource_selector(&environment.resource_selector, "resourceSelector")?;
        if lookup(
            &self.state.environments,
            &self.environments,
            &environment.id,
        )
        .is_some_and(|old| **old == environment)
        {
            return Ok(());
        }
        self.environments
            .insert(environment.id, Some(Arc::new(environment.clone())));
        self.facts.push(Fact::EnvironmentPut { environment });
        Ok(())
    }

    fn put_deployment(&mut self, deployment: Deployment) -> Result<(), Rejection> {
        check_name("name", &deployment.name)?;
        check_name("slug", &deployment.slug)?;
        self.check_systems(&deployment.systems)?;
        let taken_already = view(&self.state.deployments, &self.deployments)
            .any(|other| other.id != deployment.id && other.slug == deployment.slug);
        if taken_already {
            return Err(taken("deployment", &deployment.slug).at("slug"));
        }
        check_resource_selector(&deployment.resource_selector, "resourceSelector")?;
        check_agent_selector(&deployment.job_agent_selector, "jobAgentSelector")?;
        check_config(&deployment.job_agent_config, "jobAgentConfig")?;
        limits::check(&deployment.job_limits, LimitsOf::Other)?;
        if lookup(&self.state.deployments, &self.deployments, &deployment.id)
            .is_some_and(|old| **old == deployment)
        {
            return Ok(());
        }
        self.deployments
            .insert(deployment.id, Some(Arc::new(deployment.clone())));
        self.facts.push(Fact::DeploymentPut { deployment });
        Ok(())
    }

    fn put_resource(&mut self, resource: Resource) -> Result<(), Rejection> {
        check_name("name", &resource.name)?;
        check_name("identifier", &resource.identifier)?;
        check_name("kind", &resource.kind)?;
        let holder = self.identifiers.get(&resource.identifier).or_else(|| {
            let known = self.state.identifiers.get(resource.identifier.as_str());
            // This draft may have deleted or renamed the one that has it so far.
            known.filter(|id| !self.resources.contains_key(id))
        });
        if holder.is_some_and(|id| *id != resource.id) {
            return Err(taken("resource", &resource.identifier).at("identifier"));
        }
        let base = self
            .state
            .resources
            .get(&resource.id)
            .filter(|stored| !stored.deleted);
        let old = match self.resources.get(&resource.id) {
            Some(changed) => changed.as_ref(),
            None => base.map(|stored| &stored.resource),
        };
        let packed = PackedResource::from(&resource);
        if old.is_some_and(|old| packed.is_but_for_time(old)) {
            return Ok(());
        }
        if let Some(Some(renamed)) = self.resources.get(&resource.id) {
            self.identifiers.remove(renamed.identifier());
        }
        self.identifiers
            .insert(resource.identifier.clone(), resource.id);
        self.resources.insert(resource.id, Some(Arc::new(packed)));
        self.facts.push(Fact::ResourcePut { resource });
        Ok(())
    }

    fn put_agent(&mut self, agent: JobAgent) -> Result<(), Rejection> {
        check_name("name", &agent.name)?;
        check_name("type", &agent.kind)?;
        check_config(&agent.config, "config")?;
        limits::check(&agent.job_limits, LimitsOf::Agent)?;
        let taken_already = view(&self.state.agents, &self.agents)
            .any(|other| other.id != agent.id && same_name(&other.name, &agent.name));
        if taken_already {
            return Err(taken("job agent", &agent.name));
        }
        if lookup(&self.state.agents, &self.agents, &agent.id).is_some_and(|old| **old == agent) {
            return Ok(());
        }
        self.agents.insert(agent.id, Some(Arc::new(agent.clone())));
        self.facts.push(Fact::JobAgentPut { agent });
        Ok(())
    }

    fn put_policy(&mut self, policy: Policy, put: &[PolicyId]) -> Result<(), Rejection> {
        check_name("name", &policy.name)?;
        let taken_already = view(&self.state.policies, &self.policies)
            .any(|other| other.id != policy.id && same_name(&other.name, &policy.name));
        if taken_already {
            return Err(taken("policy", &policy.name));
        }
        check_cel(&policy.selector, policy_schema(), "selector")?;
        if policy.rules.len() > RULES_MAX {
            let message = format!(
                "it has {} rules; {RULES_MAX} are allowed",
                policy.rules.len()
            );
            return Err(Rejection::invalid("invalid_rule", message).at("rules"));
        }
        let mut ids = BTreeSet::new();
        for (index, rule) in policy.rules.iter().enumerate() {
            rules::check(rule, self).map_err(|error| error.at(format!("rules[{index}]")))?;
            let elsewhere = view(&self.state.policies, &self.policies).any(|other| {
                other.id != policy.id && other.rules.iter().any(|known| known.id == rule.id)
            });
            if !ids.insert(rule.id) || elsewhere {
                let message = format!("the rule id `{}` is used twice", rule.id);
                return Err(
                    Rejection::invalid("invalid_rule", message).at(format!("rules[{index}].id"))
                );
            }
        }
        self.check_replaces(&policy, put)?;
        if lookup(&self.state.policies, &self.policies, &policy.id)
            .is_some_and(|old| **old == policy)
        {
            return Ok(());
        }
        self.policies
            .insert(policy.id, Some(Arc::new(policy.clone())));
        self.facts.push(Fact::PolicyPut { policy });
        Ok(())
    }

    /// Every replaced policy exists (or comes later in the same change) and no chain leads back.
    fn check_replaces(&self, policy: &Policy, put: &[PolicyId]) -> Result<(), Rejection> {
        for id in &policy.replaces {
            let known =
                lookup(&self.state.policies, &self.policies, id).is_some() || put.contains(id);
            if !known {
                return Err(Rejection::invalid(
                    "unknown_policy",
                    format!("there is no policy `{id}`"),
                )
                .at("replaces"));
            }
        }
        let mut seen = BTreeSet::new();
        let mut todo: Vec<PolicyId> = policy.replaces.iter().copied().collect();
        while let Some(id) = todo.pop() {
            if id == policy.id {
                let message = format!(
                    "`{}` would replace itself, directly or through others",
                    policy.name
                );
                return Err(Rejection::invalid("replaces_cycle", message)
                    .at("replaces")
                    .hint("take one of the policies out of the circle"));
            }
            if seen.insert(id)
                && let Some(next) = lookup(&self.state.policies, &self.policies, &id)
            {
                todo.extend(&next.replaces);
            }
        }
        Ok(())
    }

    fn delete_system(&mut self, id: SystemId) -> Result<(), Rejection> {
        let system =
            lookup(&self.state.systems, &self.systems, &id).ok_or_else(|| missing("system", id))?;
        let environments = self
            .all_environments()
            .filter(|it| it.systems.contains(&id))
            .count();
        let linked = view(&self.state.deployments, &self.deployments)
            .filter(|it| it.systems.contains(&id))
            .count();
        if environments + linked > 0 {
            return Err(Rejection::conflict(
                "in_use",
                format!("the system `{}` still has {environments} environments and {linked} deployments", system.name),
            )
            .hint("unlink or delete them first"));
        }
        self.systems.insert(id, None);
        self.facts.push(Fact::SystemDeleted { id });
        Ok(())
    }

    fn delete_environment(&mut self, id: EnvironmentId) -> Result<(), Rejection> {
        let environment = lookup(&self.state.environments, &self.environments, &id)
            .ok_or_else(|| missing("environment", id))?;
        let name = environment.name.clone();
        self.keep_for_notifiers(id, &name)?;
        self.close_lanes(&format!("the environment `{name}`"), |lane| {
            lane.environment == id
        })?;
        self.environments.insert(id, None);
        self.facts.push(Fact::EnvironmentDeleted { id });
        Ok(())
    }

    fn delete_deployment(&mut self, id: DeploymentId) -> Result<(), Rejection> {
        let deployment = lookup(&self.state.deployments, &self.deployments, &id)
            .ok_or_else(|| missing("deployment", id))?;
        let name = deployment.name.clone();
        self.close_lanes(&format!("the deployment `{name}`"), |lane| {
            lane.deployment == id
        })?;
        self.delete_variables_of(id);
        self.deployments.insert(id, None);
        self.facts.push(Fact::DeploymentDeleted { id });
        Ok(())
    }

    /// Ends what is open in lanes that are about to go; refused while a job or a verification runs there.
    fn close_lanes(
        &mut self,
        what: &str,
        goes: impl Fn(&crate::state::LaneKey) -> bool,
    ) -> Result<(), Rejection> {
        let (environments, deployments) = (&self.environments, &self.deployments);
        let closed_already = |key: &crate::state::LaneKey| {
            matches!(environments.get(&key.environment), Some(None))
                || matches!(deployments.get(&key.deployment), Some(None))
        };
        let lanes = self.state.lanes.iter();
        for (key, lane) in lanes.filter(|(key, _)| goes(key) && !closed_already(key)) {
            let busy = lane
                .targets
                .values()
                .filter(|target| target.active().is_some())
                .count();
            if busy > 0 {
                let message =
                    format!("{what} has {busy} targets with a job or a verification under way");
                return Err(Rejection::conflict("in_use", message)
                    .hint("wait until they have ended, or cancel them"));
            }
            for id in &lane.open {
                let (status, reason) = (PromotionStatus::Cancelled, format!("{what} was deleted"));
                self.facts.push(Fact::PromotionEnded {
                    id: *id,
                    status,
                    reason,
                    by: None,
                });
            }
            if !lane.targets.is_empty() {
                self.facts.push(Fact::TargetsLeft {
                    deployment: key.deployment,
                    environment: key.environment,
                    resources: lane.targets.keys().copied().collect(),
                });
            }
        }
        Ok(())
    }

    fn delete_resource(&mut self, id: ResourceId) -> Result<(), Rejection> {
        let stored = self
            .state
            .resources
            .get(&id)
            .filter(|stored| !stored.deleted);
        let known = match self.resources.get(&id) {
            Some(changed) => changed.as_ref(),
            None => stored.map(|stored| &stored.resource),
        };
        let identifier = known
            .ok_or_else(|| missing("resource", id))?
            .identifier()
            .to_owned();
        self.identifiers.remove(&identifier);
        self.delete_variables_on(id);
        self.resources.insert(id, None);
        self.facts.push(Fact::ResourceDeleted { id });
        Ok(())
    }

    fn delete_agent(&mut self, id: JobAgentId) -> Result<(), Rejection> {
        let agent = lookup(&self.state.agents, &self.agents, &id)
            .ok_or_else(|| missing("job agent", id))?;
        let busy = self
            .state
            .jobs
            .values()
            .filter(|job| job.agent == id && !job.status.is_terminal())
            .count();
        if busy > 0 {
            let message = format!("the job agent `{}` has {busy} jobs under way", agent.name);
            return Err(Rejection::conflict("in_use", message)
                .hint("wait until they have ended, or cancel them"));
        }
        self.agents.insert(id, None);
        self.facts.push(Fact::JobAgentDeleted { id });
        Ok(())
    }

    fn delete_policy(&mut self, id: PolicyId) -> Result<(), Rejection> {
        let policy = lookup(&self.state.policies, &self.policies, &id)
            .ok_or_else(|| missing("policy", id))?;
        let other =
            view(&self.state.policies, &self.policies).find(|other| other.replaces.contains(&id));
        if let Some(other) = other {
            let message = format!("the policy `{}` replaces `{}`", other.name, policy.name);
            return Err(Rejection::conflict("in_use", message)
                .hint("take it out of `replaces` there first"));
        }
        self.policies.insert(id, None);
        self.facts.push(Fact::PolicyDeleted { id });
        Ok(())
    }
}

fn check_name(field: &str, name: &str) -> Result<(), Rejection> {
    let message = if name.trim().is_empty() {
        "it is empty".to_owned()
    } else if name.chars().count() > NAME_CHARS_MAX {
        format!("it is longer than {NAME_CHARS_MAX} characters")
    } else if name.chars().any(char::is_control) {
        "it contains control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(Rejection::invalid("invalid_name", message).at(field))
}

fn check_config(config: &stagegate_model::Json, field: &str) -> Result<(), Rejection> {
    if !config.is_object() {
        return Err(Rejection::invalid("wrong_type", "it must be an object").at(field));
    }
    template::check_json(config, template_schema())
        .map_err(|error| template_rejection(&error, field))
}

fn taken(noun: &str, name: &str) -> Rejection {
    Rejection::conflict("name_taken", format!("there is another {noun} `{name}`"))
        .hint("choose another name")
}

fn missing(noun: &str, id: impl std::fmt::Display) -> Rejection {
    let code = format!("{}_not_found", noun.replace(' ', "_"));
    Rejection::not_found(&code, format!("there is no {noun} `{id}`"))
}
