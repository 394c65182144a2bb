//! A progression that waits for environments without targets.

use super::flow::waits;
use super::sight::{Sight, listed};
use super::{Found, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    code: "progression_without_targets",
    severity: Severity::Error,
    title: "A progression that waits for environments without targets",
    why: "nothing can succeed where there are no targets, so the gate stays shut",
    mend: "add resources that the environment and the deployment select, or set `allowNoTargets: true` if having none there is fine",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for rule in sight.rules() {
        for lane in sight.lanes_of(rule.policy.policy.id) {
            let Some(waits) = waits(sight, lane, rule) else {
                continue;
            };
            if waits.environments.is_empty() || !waits.with_targets.is_empty() {
                continue;
            }
            let names = waits.environments.iter();
            let message = format!(
                "`{}` has targets in `{}` and none in {}, for which it waits",
                lane.deployment.name,
                lane.environment.name,
                listed(names.map(|id| sight.environment_name(*id)))
            );
            let severity = sight.at_present(Severity::Error);
            found.add_as(severity, rule.object(), rule.field(""), message);
        }
    }
}
