//! Environments that wait for each other.

use super::flow::Cause;
use super::sight::{Sight, listed};
use super::{Found, Lint, Object, Severity};
use std::collections::BTreeSet;

pub(super) const LINT: Lint = Lint {
    code: "progression_cycle",
    severity: Severity::Error,
    title: "Environments that wait for each other",
    why: "none of them can ever be first, so no version gets into any of them",
    mend: "take one of the progression rules out, or narrow its policy's selector or its `dependsOnEnvironmentSelector`",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    let mut told: BTreeSet<Vec<stagegate_model::EnvironmentId>> = BTreeSet::new();
    for (key, death) in &sight.flow.dead {
        let Cause::Cycle(members) = &death.cause else {
            continue;
        };
        if !told.insert(members.iter().copied().collect()) {
            continue;
        }
        let names = listed(members.iter().map(|id| sight.environment_name(*id)));
        let message = format!("{names} wait for each other");
        // Shown at the rule that makes one of them wait.
        let rule = sight.lane(*key).and_then(|lane| {
            lane.rules_everywhere().find(|rule| {
                let waits = super::flow::waits(sight, lane, *rule);
                waits.is_some_and(|it| it.with_targets.iter().any(|id| members.contains(id)))
            })
        });
        match (rule, sight.state.environments().get(&key.environment)) {
            (Some(rule), _) => found.add(rule.object(), rule.field(""), message),
            (None, Some(environment)) => found.add(Object::environment(environment), "", message),
            (None, None) => {}
        }
    }
}
