//! Whether a notifier is to tell of what happened in an environment.

use crate::expressions::{DeploymentView, EnvironmentView, VersionView, notifier_schema};
use stagegate_expressions::cel::Program;
use stagegate_expressions::{Roots, View};
use stagegate_model::{Deployment, Environment, Notifier, Version};

/// Whether what happened to `version` in `environment`, or to the version as a whole, passes the notifier's
/// filters, its events apart. As everywhere, missing data makes a selector false; one that fails otherwise lets
/// through, since a message too many does less harm than one that is missing.
#[must_use]
pub fn concerns(
    notifier: &Notifier,
    deployment: &Deployment,
    environment: Option<&Environment>,
    version: &Version,
) -> bool {
    let here = notifier.environments.is_empty()
        || environment.is_some_and(|it| notifier.environments.contains(&it.id));
    if !here || notifier.selector.is_empty() {
        return here;
    }
    let Ok(program) = Program::compile_condition(&notifier.selector, notifier_schema()) else {
        return true;
    };
    let environment = environment.map(EnvironmentView);
    let (deployment, version) = (DeploymentView(deployment), VersionView(version));
    let mut roots = Roots::new()
        .with("deployment", View::Object(&deployment))
        .with("version", View::Object(&version));
    if let Some(environment) = &environment {
        roots = roots.with("environment", View::Object(environment));
    }
    program.eval(&roots).unwrap_or(true)
}

/// The same for what concerns a place and no version: what a selector asks of the version is left out.
#[must_use]
pub fn concerns_place(
    notifier: &Notifier,
    deployment: &Deployment,
    environment: &Environment,
) -> bool {
    if !notifier.environments.is_empty() && !notifier.environments.contains(&environment.id) {
        return false;
    }
    if notifier.selector.is_empty() {
        return true;
    }
    let Ok(program) = Program::compile_condition(&notifier.selector, notifier_schema()) else {
        return true;
    };
    let (environment, deployment) = (EnvironmentView(environment), DeploymentView(deployment));
    let roots = Roots::new()
        .with("deployment", View::Object(&deployment))
        .with("environment", View::Object(&environment));
    let conjuncts = program.conjuncts().into_iter();
    conjuncts
        .filter(|conjunct| !conjunct.roots().contains("version"))
        .all(|conjunct| conjunct.eval(&roots).unwrap_or(true))
}
