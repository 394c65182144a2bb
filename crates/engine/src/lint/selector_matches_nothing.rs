//! A selector that takes nothing of what there is.

use super::sight::{RuleSight, Sight};
use super::{Found, Lint, Object, Severity, Whole};
use crate::expressions::{
    DeploymentView, EnvironmentView, ResourceView, VersionView, check_resource_selector,
    policy_schema,
};
use crate::rules::gradual_rollout::Size;
use crate::state::PackedResource;
use stagegate_expressions::cel::Program;
use stagegate_expressions::{Roots, View};
use stagegate_model::{Deployment, Environment, Version};

pub(super) const LINT: Lint = Lint {
    code: "selector_matches_nothing",
    severity: Severity::Warning,
    title: "A selector that matches nothing",
    why: "mostly a name is misspelled: what should be taken is not, and a policy that matches nothing guards nothing",
    mend: "compare the selector with the names, kinds and metadata of what it should take",
    check,
};

/// Versions of a deployment at which a selector is tried, at most.
const VERSIONS_MAX: usize = 200;

fn check(sight: &Sight<'_>, found: &mut Found) {
    for environment in sight.state.environments().values() {
        let takes = |program: &Program, resource: &PackedResource| {
            let (resource, environment) = (ResourceView(resource), EnvironmentView(environment));
            let roots = Roots::new()
                .with("resource", View::Object(&resource))
                .with("environment", View::Object(&environment));
            program.eval(&roots)
        };
        let taking = (&*environment.resource_selector, "deployment");
        let object = Object::environment(environment);
        resources(sight, found, taking, object, &takes);
    }
    for deployment in sight.state.deployments().values() {
        let takes = |program: &Program, resource: &PackedResource| {
            let (resource, deployment) = (ResourceView(resource), DeploymentView(deployment));
            let roots = Roots::new()
                .with("resource", View::Object(&resource))
                .with("deployment", View::Object(&deployment));
            program.eval(&roots)
        };
        let taking = (&*deployment.resource_selector, "environment");
        let object = Object::deployment(deployment);
        resources(sight, found, taking, object, &takes);
    }
    policies(sight, found);
    for rule in sight.rules() {
        waves(sight, found, rule);
        versions(sight, found, rule);
    }
}

type Takes<'t> =
    dyn Fn(&Program, &PackedResource) -> Result<bool, stagegate_expressions::cel::EvalError> + 't;

/// A selector over resources; one that looks at `other` too is not judged.
fn resources(
    sight: &Sight<'_>,
    found: &mut Found,
    (selector, other): (&str, &str),
    object: Object,
    takes: &Takes<'_>,
) {
    let Ok(program) = check_resource_selector(selector, "") else {
        return;
    };
    if program.constant() == Some(false) {
        let message = format!("`{selector}` is false for every resource");
        found.add(object, "resourceSelector", message);
        return;
    }
    if !sight.has_resources || program.roots().contains(other) {
        return;
    }
    // One that fails is told of elsewhere.
    let mut all = sight.state.resources();
    if !all.any(|resource| takes(&program, resource).unwrap_or(true)) {
        let message = format!("no resource matches `{selector}`");
        let severity = sight.at_present(Severity::Warning);
        found.add_as(severity, object, "resourceSelector", message);
    }
}

/// Selectors of policies and freezes.
fn policies(sight: &Sight<'_>, found: &mut Found) {
    let policies = sight.policies().map(|it| {
        let policy = &it.policy;
        (Object::policy(policy), policy.selector.as_str(), policy.id)
    });
    let freezes = sight.state.freezes().values();
    let freezes = freezes.filter(|it| it.ends_at.is_none_or(|ends| ends > sight.now));
    let freezes = freezes.map(|it| {
        let object = Object {
            kind: "Freeze",
            name: it.name.clone(),
            id: it.id.0,
        };
        (object, it.selector.as_str(), it.id.0.into())
    });
    for (object, selector, id) in policies.chain(freezes) {
        let Ok(program) = Program::compile_condition(selector, policy_schema()) else {
            continue;
        };
        if program.constant() == Some(false) {
            let message = format!("`{selector}` is false for every target");
            found.add(object, "selector", message);
            continue;
        }
        if sight.lanes.is_empty() || sight.lanes_of(id).next().is_some() {
            continue;
        }
        let by_resource = program.roots().contains("resource");
        let severity = if by_resource {
            sight.at_present(Severity::Warning)
        } else {
            Severity::Warning
        };
        let message = format!("it matches no deployment in any environment: `{selector}`");
        found.add_as(severity, object, "selector", message);
    }
}

/// Waves of a rollout that take no target.
fn waves(sight: &Sight<'_>, found: &mut Found, rule: RuleSight<'_>) {
    let evaluator = rule.compiled.evaluator.as_ref().ok();
    let Some(rollout) = evaluator.and_then(|it| it.rollout()) else {
        return;
    };
    for (index, wave) in rollout.waves.iter().enumerate() {
        let Size::Selector(program) = &wave.size else {
            continue;
        };
        let lanes = sight.lanes_of(rule.policy.policy.id);
        let mut targets = lanes
            .flat_map(|lane| lane.targets.iter().map(move |target| (lane, *target)))
            .peekable();
        let constant = program.constant() == Some(false);
        if targets.peek().is_none() && !constant {
            continue;
        }
        let takes =
            |environment: &Environment, deployment: &Deployment, resource: &PackedResource| {
                let environment = EnvironmentView(environment);
                let (deployment, resource) = (DeploymentView(deployment), ResourceView(resource));
                let roots = Roots::new()
                    .with("environment", View::Object(&environment))
                    .with("deployment", View::Object(&deployment))
                    .with("resource", View::Object(&resource));
                program.eval(&roots).unwrap_or(true)
            };
        if !targets.any(|(lane, it)| takes(lane.environment, lane.deployment, it)) {
            let message = format!("no target matches the wave's `{}`", program.text());
            let severity = if constant {
                Severity::Warning
            } else {
                sight.at_present(Severity::Warning)
            };
            let field = rule.field(&format!("waves[{index}].selector"));
            found.add_as(severity, rule.object(), field, message);
        }
    }
}

/// A rule that the version must match, and none that is there does.
fn versions(sight: &Sight<'_>, found: &mut Found, rule: RuleSight<'_>) {
    let evaluator = rule.compiled.evaluator.as_ref().ok();
    let Some(program) = evaluator.and_then(|it| it.version_condition()) else {
        return;
    };
    // What is false whatever the version makes its environment unreachable.
    if sight.whole != Whole::Workspace || program.constant().is_some() {
        return;
    }
    let lanes = sight.lanes_of(rule.policy.policy.id);
    let mut asked = lanes
        .flat_map(|lane| {
            let versions = sight.state.versions_of(lane.key.deployment);
            versions
                .take(VERSIONS_MAX)
                .map(move |version| (lane, version))
        })
        .peekable();
    if asked.peek().is_none() {
        return;
    }
    let takes = |environment: &Environment, deployment: &Deployment, version: &Version| {
        let environment = EnvironmentView(environment);
        let (deployment, version) = (DeploymentView(deployment), VersionView(version));
        let roots = Roots::new()
            .with("environment", View::Object(&environment))
            .with("deployment", View::Object(&deployment))
            .with("version", View::Object(&version));
        program.eval(&roots).unwrap_or(false)
    };
    if !asked.any(|(lane, version)| takes(lane.environment, lane.deployment, version)) {
        let message = format!("none of the latest versions matches `{}`", program.text());
        found.add(rule.object(), rule.field("selector"), message);
    }
}
