//! Compiled forms of the selectors and policies in the state. A cache: it can be rebuilt from the state at any
//! time, and holds for text that no longer compiles (after an upgrade) the error that keeps its gates shut.

use super::{
    CompiledVariables, DeploymentView, EnvironmentView, ResourceView, SystemView, VersionView,
    check_agent_selector, check_dependency, check_resource_selector, policy_schema,
};
use crate::rules::{self, RuleEvaluator};
use crate::state::{LaneKey, PackedResource, State};
use stagegate_expressions::cel::Program;
use stagegate_expressions::{Roots, View};
use stagegate_model::{
    Dependencies, Deployment, DeploymentId, Environment, EnvironmentId, Fact, Freeze, FreezeId,
    Policy, PolicyId, RuleId, System, Version, VersionId,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything compiled, by the id of what it belongs to.
#[derive(Clone, Default)]
pub(crate) struct Compiled {
    environments: BTreeMap<EnvironmentId, Result<Program, String>>,
    deployments: BTreeMap<DeploymentId, DeploymentPrograms>,
    policies: BTreeMap<PolicyId, Arc<CompiledPolicy>>,
    /// Freezes, matched as policies are.
    freezes: BTreeMap<FreezeId, Arc<CompiledPolicy>>,
    /// What versions need; of those that need something.
    dependencies: BTreeMap<VersionId, Vec<CompiledDependency>>,
    /// What was found of lanes; a cache, empty again whenever something is configured.
    pub lanes: BTreeMap<LaneKey, LanePolicies>,
    pub variables: CompiledVariables,
}

/// What is known of a lane whatever the version and the resource.
#[derive(Clone, Default)]
pub(crate) struct LanePolicies {
    /// The systems that its deployment and its environment share.
    pub systems: Arc<[Arc<System>]>,
    /// Policies that what is known of the lane does not exclude, in the order of their ids, then freezes.
    pub policies: Arc<[LanePolicy]>,
}

/// A policy that may apply in a lane.
#[derive(Clone)]
pub(crate) struct LanePolicy {
    pub policy: Arc<CompiledPolicy>,
    /// It applies to every version on every target there.
    pub always: bool,
}

/// What a version needs of another deployment.
#[derive(Clone)]
pub(crate) struct CompiledDependency {
    pub deployment: DeploymentId,
    pub selector: Result<Program, String>,
}

#[derive(Clone)]
pub(crate) struct DeploymentPrograms {
    pub resources: Result<Program, String>,
    pub agents: Result<Program, String>,
}

/// A policy ready to be matched and evaluated.
pub(crate) struct CompiledPolicy {
    pub policy: Arc<Policy>,
    /// The conjuncts of the selector, or why there are none.
    conjuncts: Result<Vec<Conjunct>, String>,
    pub rules: Vec<CompiledRule>,
}

struct Conjunct {
    program: Program,
    version: bool,
    resource: bool,
}

pub(crate) struct CompiledRule {
    pub id: RuleId,
    pub kind: &'static str,
    /// What evaluates it, or why it cannot be evaluated; then its gate is shut.
    pub evaluator: Result<Arc<dyn RuleEvaluator>, String>,
}

/// Whether a policy applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    No,
    Yes,
    /// It cannot be said: the policy applies and its gates are shut.
    Error(String),
}

/// What a selector of a policy is matched against; `None` leaves that part open.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'e> {
    pub environment: &'e Environment,
    pub deployment: &'e Deployment,
    pub systems: &'e [Arc<System>],
    pub version: Option<&'e Version>,
    pub resource: Option<&'e PackedResource>,
}

impl Compiled {
    /// Compiles everything in the state.
    pub fn build(state: &State) -> Self {
        let mut compiled = Self {
            variables: CompiledVariables::build(&state.variables),
            ..Self::default()
        };
        for environment in state.environments.values() {
            compiled.put_environment(environment);
        }
        for deployment in state.deployments.values() {
            compiled.put_deployment(deployment);
        }
        for policy in state.policies.values() {
            compiled.put_policy(policy);
        }
        for freeze in state.freezes.values() {
            compiled.put_freeze(freeze);
        }
        for version in state.versions.values() {
            compiled.put_dependencies(version.id, &version.dependencies);
        }
        compiled
    }

    /// Follows one fact.
    pub fn follow(&mut self, fact: &Fact) {
        if let Fact::SystemPut { .. }
        | Fact::SystemDeleted { .. }
        | Fact::EnvironmentPut { .. }
        | Fact::EnvironmentDeleted { .. }
        | Fact::DeploymentPut { .. }
        | Fact::DeploymentDeleted { .. }
        | Fact::PolicyPut { .. }
        | Fact::PolicyDeleted { .. }
        | Fact::FreezePut { .. }
        | Fact::FreezeDeleted { .. } = fact
        {
            self.lanes.clear();
        }
        match fact {
            Fact::EnvironmentPut { environment } => self.put_environment(environment),
            Fact::EnvironmentDeleted { id } => {
                self.environments.remove(id);
            }
            Fact::DeploymentPut { deployment } => self.put_deployment(deployment),
            Fact::DeploymentDeleted { id } => {
                self.deployments.remove(id);
            }
            Fact::PolicyPut { policy } => self.put_policy(policy),
            Fact::PolicyDeleted { id } => {
                self.policies.remove(id);
            }
            Fact::FreezePut { freeze } => self.put_freeze(freeze),
            Fact::FreezeDeleted { id, .. } => {
                self.freezes.remove(id);
            }
            Fact::VersionCreated { version } => {
                self.put_dependencies(version.id, &version.dependencies);
            }
            Fact::VersionChanged {
                id,
                dependencies: Some(dependencies),
                ..
            } => self.put_dependencies(*id, dependencies),
            _ => self.variables.follow(fact),
        }
    }

    fn put_environment(&mut self, environment: &Environment) {
        let program = check_resource_selector(&environment.resource_selector, "resourceSelector");
        self.environments
            .insert(environment.id, program.map_err(|error| error.to_string()));
    }

    fn put_deployment(&mut self, deployment: &Deployment) {
        let resources = check_resource_selector(&deployment.resource_selector, "resourceSelector");
        let agents = check_agent_selector(&deployment.job_agent_selector, "jobAgentSelector");
        let programs = DeploymentPrograms {
            resources: resources.map_err(|error| error.to_string()),
            agents: agents.map_err(|error| error.to_string()),
        };
        self.deployments.insert(deployment.id, programs);
    }

    fn put_policy(&mut self, policy: &Policy) {
        self.policies
            .insert(policy.id, Arc::new(CompiledPolicy::new(policy)));
    }

    fn put_freeze(&mut self, freeze: &Freeze) {
        self.freezes
            .insert(freeze.id, Arc::new(CompiledPolicy::of_freeze(freeze)));
    }

    fn put_dependencies(&mut self, version: VersionId, dependencies: &Dependencies) {
        if dependencies.is_empty() {
            self.dependencies.remove(&version);
            return;
        }
        let compiled = dependencies.iter().map(|(deployment, needed)| {
            let selector = check_dependency(&needed.version_selector, "versionSelector");
            CompiledDependency {
                deployment: *deployment,
                selector: selector.map_err(|error| error.to_string()),
            }
        });
        self.dependencies.insert(version, compiled.collect());
    }

    /// What a version needs, in the order of the deployments.
    pub fn dependencies_of(&self, version: VersionId) -> &[CompiledDependency] {
        self.dependencies.get(&version).map_or(&[], Vec::as_slice)
    }

    /// Whether both selectors take the resource. A selector that cannot be evaluated takes nothing.
    pub fn takes(
        &self,
        environment: &Environment,
        deployment: &Deployment,
        resource: &PackedResource,
    ) -> bool {
        let (environment_view, deployment_view) =
            (EnvironmentView(environment), DeploymentView(deployment));
        let resource_view = ResourceView(resource);
        let roots = Roots::new()
            .with("resource", View::Object(&resource_view))
            .with("environment", View::Object(&environment_view))
            .with("deployment", View::Object(&deployment_view));
        let takes = |program: Option<&Result<Program, String>>| match program {
            Some(Ok(program)) => program.eval(&roots).unwrap_or(false),
            _ => false,
        };
        takes(self.environments.get(&environment.id))
            && takes(
                self.deployments
                    .get(&deployment.id)
                    .map(|programs| &programs.resources),
            )
    }

    /// What selects the resources of a lane; `None` when one of the two cannot be evaluated.
    pub fn selectors(&self, key: LaneKey) -> Option<[&Program; 2]> {
        let environment = self.environments.get(&key.environment)?.as_ref().ok()?;
        let deployment = self.deployments.get(&key.deployment)?;
        Some([environment, deployment.resources.as_ref().ok()?])
    }

    /// The program that selects a deployment's agent.
    pub fn agent_selector(&self, deployment: DeploymentId) -> Option<&Result<Program, String>> {
        self.deployments
            .get(&deployment)
            .map(|programs| &programs.agents)
    }

    /// Enabled policies in the order of their ids, then freezes.
    pub fn enabled_policies(&self) -> impl Iterator<Item = &Arc<CompiledPolicy>> {
        self.policies
            .values()
            .filter(|compiled| compiled.policy.enabled)
            .chain(self.freezes.values())
    }
}

impl CompiledPolicy {
    fn new(policy: &Policy) -> Self {
        let conjuncts =
            Program::compile_condition(&policy.selector, policy_schema()).map(|program| {
                let conjunct = |program: Program| {
                    let roots = program.roots();
                    let (version, resource) =
                        (roots.contains("version"), roots.contains("resource"));
                    drop(roots);
                    Conjunct {
                        program,
                        version,
                        resource,
                    }
                };
                program.conjuncts().into_iter().map(conjunct).collect()
            });
        let rules = policy.rules.iter().map(|rule| {
            let evaluator = rules::compile(rule).map_err(|error| error.to_string());
            CompiledRule {
                id: rule.id,
                kind: rules::kind_name(&rule.kind),
                evaluator,
            }
        });
        Self {
            rules: rules.collect(),
            policy: Arc::new(policy.clone()),
            conjuncts: conjuncts.map_err(|error| error.to_string()),
        }
    }

    /// A freeze, in the form of a policy with one rule of its own.
    pub fn of_freeze(freeze: &Freeze) -> Self {
        let policy = Policy {
            id: freeze.id.0.into(),
            name: freeze.name.clone(),
            description: String::new(),
            metadata: stagegate_model::Metadata::new(),
            enabled: true,
            priority: 0,
            selector: freeze.selector.clone(),
            replaces: std::collections::BTreeSet::new(),
            rules: Vec::new(),
            created_at: freeze.created_at,
        };
        let rule = CompiledRule {
            id: freeze.id.0.into(),
            kind: rules::freeze::KIND,
            evaluator: Ok(rules::freeze::evaluator(freeze)),
        };
        Self {
            rules: vec![rule],
            ..Self::new(&policy)
        }
    }

    /// Whether the selector looks at the resource.
    pub fn looks_at_resource(&self) -> bool {
        self.conjuncts
            .as_ref()
            .is_ok_and(|conjuncts| conjuncts.iter().any(|c| c.resource))
    }

    /// Whether the selector looks at the version.
    pub fn looks_at_version(&self) -> bool {
        self.conjuncts
            .as_ref()
            .is_ok_and(|conjuncts| conjuncts.iter().any(|c| c.version))
    }

    /// Why the selector does not compile.
    pub fn selector_error(&self) -> Option<&str> {
        self.conjuncts.as_ref().err().map(String::as_str)
    }

    /// Whether a part of the selector looks at resource and version together.
    pub fn is_mixed(&self) -> bool {
        self.conjuncts
            .as_ref()
            .is_ok_and(|conjuncts| conjuncts.iter().any(|c| c.resource && c.version))
    }

    /// Matches the selector as far as the subject is known: a conjunct over an absent version or resource is
    /// left out, so that `No` is final and anything else is to be asked again with more.
    pub fn matches(&self, subject: Subject<'_>) -> Match {
        let conjuncts = match &self.conjuncts {
            Ok(conjuncts) => conjuncts,
            Err(error) => return Match::Error(error.clone()),
        };
        let by_system = conjuncts
            .iter()
            .any(|conjunct| conjunct.program.roots().contains("system"));
        if !by_system {
            return matches_all(conjuncts, subject, None);
        }
        // A deployment and an environment may share several systems; matching in one of them is matching.
        let mut outcome = Match::No;
        for system in subject.systems {
            match matches_all(conjuncts, subject, Some(system)) {
                Match::Yes => return Match::Yes,
                Match::Error(error) => outcome = Match::Error(error),
                Match::No => {}
            }
        }
        outcome
    }
}

fn matches_all(conjuncts: &[Conjunct], subject: Subject<'_>, system: Option<&System>) -> Match {
    let known = conjuncts.iter().filter(|conjunct| {
        (!conjunct.version || subject.version.is_some())
            && (!conjunct.resource || subject.resource.is_some())
    });
    let mut outcome = Match::Yes;
    for conjunct in known {
        match matches_once(&conjunct.program, subject, system) {
            Match::No => return Match::No,
            Match::Error(error) => outcome = Match::Error(error),
            Match::Yes => {}
        }
    }
    outcome
}

fn matches_once(program: &Program, subject: Subject<'_>, system: Option<&System>) -> Match {
    let environment = EnvironmentView(subject.environment);
    let deployment = DeploymentView(subject.deployment);
    let version = subject.version.map(VersionView);
    let resource = subject.resource.map(ResourceView);
    let system = system.map(SystemView);
    let mut roots = Roots::new()
        .with("environment", View::Object(&environment))
        .with("deployment", View::Object(&deployment));
    if let Some(version) = &version {
        roots = roots.with("version", View::Object(version));
    }
    if let Some(resource) = &resource {
        roots = roots.with("resource", View::Object(resource));
    }
    if let Some(system) = &system {
        roots = roots.with("system", View::Object(system));
    }
    match program.eval(&roots) {
        Ok(true) => Match::Yes,
        Ok(false) => Match::No,
        Err(error) => Match::Error(error.to_string()),
    }
}
