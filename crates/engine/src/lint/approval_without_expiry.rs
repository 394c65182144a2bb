//! An approval that is asked for ever.

use super::sight::Sight;
use super::{Found, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    code: "approval_without_expiry",
    severity: Severity::Note,
    title: "An approval that never expires",
    why: "a version that nobody answers waits for ever, and may be approved months later, when nobody remembers what it is",
    mend: "set `expiresAfterHours`",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for rule in sight.rules() {
        let evaluator = rule.compiled.evaluator.as_ref().ok();
        let approval = evaluator.and_then(|it| it.approval());
        if approval.is_some_and(|approval| approval.expires_after_hours.is_none()) {
            let message = "unanswered, it is asked for ever";
            found.add(rule.object(), rule.field(""), message);
        }
    }
}
