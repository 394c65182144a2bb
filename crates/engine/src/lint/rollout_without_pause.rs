//! A gradual rollout that is not gradual.

use super::sight::Sight;
use super::{Found, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    code: "rollout_without_pause",
    severity: Severity::Warning,
    title: "A gradual rollout that starts everything at once",
    why: "all targets are due in the same moment: a bad version reaches all of them before the first has failed",
    mend: "give `timeScaleInterval` a time above 0, or `waves`",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for rule in sight.rules() {
        let evaluator = rule.compiled.evaluator.as_ref().ok();
        let rollout = evaluator.and_then(|it| it.rollout());
        // A single wave is all targets at once, too.
        if rollout.is_some_and(|it| it.interval_seconds == 0 && it.waves.len() <= 1) {
            let message = "with an interval of 0 seconds and no waves every target is due at once";
            found.add(rule.object(), rule.field("timeScaleInterval"), message);
        }
    }
}
