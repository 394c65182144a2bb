//! A workspace as one text.

use crate::catalog::Catalog;
use crate::emit::document;
use crate::form::{self, Names};
use crate::plan::Kind;

/// Everything of a workspace that documents speak of, as canonical YAML. Planning it against the same workspace
/// yields no change, as long as it keeps within [`TEXT_BYTES_MAX`](crate::TEXT_BYTES_MAX) and
/// [`DOCUMENTS_MAX`](crate::DOCUMENTS_MAX).
pub fn export(catalog: &dyn Catalog) -> String {
    let mut systems = catalog.systems();
    let mut agents = catalog.job_agents();
    let mut resources = catalog.resources();
    let mut environments = catalog.environments();
    let mut deployments = catalog.deployments();
    let mut policies = catalog.policies();
    let mut notifiers = catalog.notifiers();
    let mut relationship_rules = catalog.relationship_rules();
    let mut variable_sets = catalog.variable_sets();
    relationship_rules.sort_by(|a, b| a.name.cmp(&b.name));
    variable_sets.sort_by(|a, b| a.name.cmp(&b.name));
    systems.sort_by(|a, b| a.name.cmp(&b.name));
    agents.sort_by(|a, b| a.name.cmp(&b.name));
    resources.sort_by(|a, b| a.identifier.cmp(&b.identifier));
    environments.sort_by(|a, b| a.name.cmp(&b.name));
    deployments.sort_by(|a, b| a.slug.cmp(&b.slug));
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    notifiers.sort_by(|a, b| a.name.cmp(&b.name));

    let mut names = Names::default();
    names.systems.extend(
        systems
            .iter()
            .map(|system| (system.id, system.name.clone())),
    );
    names.policies.extend(
        policies
            .iter()
            .map(|policy| (policy.id, policy.name.clone())),
    );
    names
        .environments
        .extend(environments.iter().map(|it| (it.id, it.name.clone())));
    for agent in &agents {
        names.add_agent(&agent.name);
    }

    names.persons = catalog.persons().cloned().unwrap_or_default();
    let mut out = String::new();
    for system in &systems {
        document(&mut out, Kind::System.word(), &form::system(system));
    }
    for rule in &relationship_rules {
        let form = form::relationship_rule(rule);
        document(&mut out, Kind::RelationshipRule.word(), &form);
    }
    for agent in &agents {
        document(&mut out, Kind::JobAgent.word(), &form::job_agent(agent));
    }
    for resource in &resources {
        let form = form::resource(resource, &catalog.variables_on(resource.id));
        document(&mut out, Kind::Resource.word(), &form);
    }
    for environment in &environments {
        let form = form::environment(environment, &names);
        document(&mut out, Kind::Environment.word(), &form);
    }
    for deployment in &deployments {
        let variables = catalog.variables_of(deployment.id);
        let form = form::deployment(deployment, &variables, &names);
        document(&mut out, Kind::Deployment.word(), &form);
    }
    for set in &variable_sets {
        document(&mut out, Kind::VariableSet.word(), &form::variable_set(set));
    }
    for policy in &policies {
        document(&mut out, Kind::Policy.word(), &form::policy(policy, &names));
    }
    for notifier in &notifiers {
        let form = form::notifier(notifier, &names);
        document(&mut out, Kind::Notifier.word(), &form);
    }
    out
}
