//! A rule or a selector that cannot be evaluated.

use super::sight::{Sight, listed};
use super::{Found, Lint, Object, Severity};
use crate::expressions::check_resource_selector;

pub(super) const LINT: Lint = Lint {
    code: "rule_error",
    severity: Severity::Error,
    title: "A rule or selector that cannot be evaluated",
    why: "a gate that cannot be evaluated is shut, and a selector of resources that cannot be evaluated takes nothing",
    mend: "correct the expression or the rule's settings; `stagegate explain-rule KIND` tells what they may be",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for policy in sight.policies() {
        if let Some(error) = policy.selector_error() {
            found.add(Object::policy(&policy.policy), "selector", error);
        }
    }
    for rule in sight.rules() {
        if let Err(error) = &rule.compiled.evaluator {
            found.add(rule.object(), rule.field(""), error);
        }
    }
    // What compiles may still fail on what there is.
    let mut failing: Vec<(Object, String, Vec<&str>)> = Vec::new();
    for lane in &sight.lanes {
        for held in &lane.possible {
            let Some(error) = held
                .error
                .as_ref()
                .filter(|_| held.policy.selector_error().is_none())
            else {
                continue;
            };
            let object = object(sight, held);
            let known = failing.iter_mut().find(|it| it.0 == object);
            match known {
                Some((_, _, environments)) => environments.push(&lane.environment.name),
                None => failing.push((object, error.clone(), vec![&lane.environment.name])),
            }
        }
    }
    for (object, error, environments) in failing {
        let message = format!(
            "it cannot be evaluated in {}: {error}",
            listed(environments)
        );
        found.add(object, "selector", message);
    }
    for environment in sight.state.environments().values() {
        if let Err(error) = check_resource_selector(&environment.resource_selector, "") {
            let object = Object::environment(environment);
            found.add(object, "resourceSelector", error.message);
        }
    }
    for deployment in sight.state.deployments().values() {
        if let Err(error) = check_resource_selector(&deployment.resource_selector, "") {
            let object = Object::deployment(deployment);
            found.add(object, "resourceSelector", error.message);
        }
    }
}

fn object(sight: &Sight<'_>, held: &super::sight::Held<'_>) -> Object {
    let policy = &held.policy.policy;
    let mut object = Object::policy(policy);
    if !sight.state.policies().contains_key(&policy.id) {
        object.kind = "Freeze";
    }
    object
}
