//! An environment that nothing can reach.

use super::flow::Cause;
use super::sight::{Sight, listed};
use super::{Found, Lint, Object, Severity};
use stagegate_model::EnvironmentId;
use std::collections::BTreeMap;

pub(super) const LINT: Lint = Lint {
    code: "unreachable_environment",
    severity: Severity::Error,
    title: "An environment that no version can reach",
    why: "a gate on the way there can never open, so every version stops before it",
    mend: "mend the gate that never opens, or take the environment, or the rule that waits for it, away",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    // Deployments by the environment and the one it waits for.
    let mut waiting: BTreeMap<(EnvironmentId, EnvironmentId), (bool, Vec<&str>)> = BTreeMap::new();
    for (key, death) in &sight.flow.dead {
        let Some(lane) = sight.lane(*key) else {
            continue;
        };
        match death.cause {
            Cause::Constant => {
                for rule in lane.rules_everywhere() {
                    let evaluator = rule.compiled.evaluator.as_ref().ok();
                    let condition = evaluator.and_then(|it| it.version_condition());
                    let Some(never) = condition.filter(|it| it.constant() == Some(false)) else {
                        continue;
                    };
                    let message = format!("`{}` is false for every version", never.text());
                    found.add(rule.object(), rule.field("selector"), message);
                }
            }
            Cause::Upstream(upstream) => {
                let waiting = waiting.entry((key.environment, upstream)).or_default();
                waiting.0 |= !death.at_present;
                waiting.1.push(&lane.deployment.name);
            }
            Cause::Shut | Cause::Cycle(_) => {}
        }
    }
    for ((environment, upstream), (lasting, deployments)) in waiting {
        let Some(environment) = sight.state.environments().get(&environment) else {
            continue;
        };
        let message = format!(
            "no version of {} gets there: it waits for `{}`, which nothing can reach",
            listed(deployments),
            sight.environment_name(upstream)
        );
        let severity = if lasting {
            Severity::Error
        } else {
            sight.at_present(Severity::Error)
        };
        found.add_as(severity, Object::environment(environment), "", message);
    }
}
