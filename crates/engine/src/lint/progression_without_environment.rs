//! A progression that waits for an environment that is not there.

use super::flow::waits;
use super::sight::{Sight, listed};
use super::{Found, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    code: "progression_without_environment",
    severity: Severity::Error,
    title: "A progression that waits for no environment",
    why: "with nothing to wait for the gate is shut, and no version ever passes",
    mend: "correct the name or the selector, link the environment and the deployment to a common system, or narrow the policy's selector so that it leaves the first environment out",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for rule in sight.rules() {
        let mut lacking: Vec<&str> = Vec::new();
        let lanes = sight.lanes_of(rule.policy.policy.id);
        let mut text = "";
        let mut field = "";
        for lane in lanes {
            let evaluator = rule.compiled.evaluator.as_ref().ok();
            let Some(progression) = evaluator.and_then(|it| it.progression()) else {
                continue;
            };
            (text, field) = (progression.upstream_text(), progression.upstream_field());
            if waits(sight, lane, rule).is_some_and(|it| it.environments.is_empty()) {
                lacking.push(&lane.environment.name);
            }
        }
        if !lacking.is_empty() {
            let message = format!(
                "in {} it waits for `{text}`, and no other environment of the same system and deployment is that",
                listed(lacking)
            );
            found.add(rule.object(), rule.field(field), message);
        }
    }
}
