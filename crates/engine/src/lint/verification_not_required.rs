//! A progression that counts what was not verified.

use super::sight::Sight;
use super::{Found, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    code: "verification_not_required",
    severity: Severity::Warning,
    title: "A progression that ignores verification",
    why: "a version whose verification failed, or has not ended, counts as a success and goes on to the next environment",
    mend: "leave `requireVerificationPassed` out: it is true then",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for rule in sight.rules() {
        let evaluator = rule.compiled.evaluator.as_ref().ok();
        let progression = evaluator.and_then(|it| it.progression());
        if progression.is_some_and(|it| it.ignores_verification()) {
            let message = "a success counts although its verification failed or still runs";
            found.add(
                rule.object(),
                rule.field("requireVerificationPassed"),
                message,
            );
        }
    }
}
