//! A last environment into which everything goes at once.

use super::flow::waits;
use super::sight::{Sight, is_gate, listed};
use super::{Found, Lint, Object, Severity};
use stagegate_model::{Environment, EnvironmentId};
use std::collections::BTreeSet;

pub(super) const LINT: Lint = Lint {
    code: "production_without_gate",
    severity: Severity::Warning,
    title: "Production without any gate",
    why: "every version goes there the moment it is created, untried and unseen",
    mend: "add a policy for the environment with a progression, an approval or a window",
    check,
};

/// Words by which people call production.
const PRODUCTION: [&str; 4] = ["prod", "production", "prd", "live"];
/// Words by which people call what is no production.
const BEFORE: [&str; 14] = [
    "dev",
    "development",
    "test",
    "testing",
    "qa",
    "staging",
    "stage",
    "sandbox",
    "preview",
    "integration",
    "int",
    "ci",
    "demo",
    "local",
];

fn check(sight: &Sight<'_>, found: &mut Found) {
    let waited_for = waited_for(sight);
    for environment in sight.state.environments().values() {
        let severity = if says(environment, &PRODUCTION) {
            Severity::Warning
        } else if is_last(sight, environment, &waited_for) {
            Severity::Note
        } else {
            continue;
        };
        let lanes = sight.lanes_in(environment.id);
        let known = sight.has_resources;
        let ungated = lanes.filter(|lane| {
            let gated = lane.rules().any(|rule| is_gate(&rule.rule.kind));
            !gated && (!known || !lane.targets.is_empty())
        });
        let deployments: Vec<&str> = ungated.map(|lane| &*lane.deployment.name).collect();
        if !deployments.is_empty() {
            let message = format!("nothing holds versions of {} back", listed(deployments));
            found.add_as(severity, Object::environment(environment), "", message);
        }
    }
}

/// The environments that a progression rule waits for.
fn waited_for(sight: &Sight<'_>) -> BTreeSet<EnvironmentId> {
    let mut all = BTreeSet::new();
    for lane in &sight.lanes {
        for rule in lane.rules() {
            all.extend(
                waits(sight, lane, rule)
                    .into_iter()
                    .flat_map(|it| it.environments),
            );
        }
    }
    all
}

/// Whether it ends the way in a system of several environments, as far as can be told.
fn is_last(
    sight: &Sight<'_>,
    environment: &Environment,
    waited_for: &BTreeSet<EnvironmentId>,
) -> bool {
    let others = || {
        let all = sight.state.environments().values();
        all.filter(|it| it.id != environment.id && !it.systems.is_disjoint(&environment.systems))
    };
    !waited_for.contains(&environment.id)
        && !says(environment, &BEFORE)
        && others().next().is_some()
        && !others().any(|it| says(it, &PRODUCTION))
}

/// Whether its name or metadata says one of the words.
fn says(environment: &Environment, words: &[&str]) -> bool {
    let texts = std::iter::once(&environment.name).chain(environment.metadata.values());
    texts.into_iter().any(|text| {
        let text = text.to_lowercase();
        let mut parts = text.split(|letter: char| !letter.is_alphanumeric());
        parts.any(|part| words.contains(&part.trim_end_matches(|c: char| c.is_ascii_digit())))
    })
}
