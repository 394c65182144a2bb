//! A retry rule that retries nothing.

use super::sight::Sight;
use super::{Found, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    code: "retry_never",
    severity: Severity::Warning,
    title: "A retry rule that retries nothing",
    why: "nothing is tried again, and of several retry rules the strictest holds: this one switches the others off",
    mend: "give `maxRetries` of at least 1 and some `retryOnStatuses`, or take the rule out",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for rule in sight.rules().filter(|rule| rule.rule.kind == "retry") {
        let statuses = rule.rule.spec.get("retryOnStatuses");
        if rule.number("maxRetries") == Some(0.0) {
            let message = "0 retries are allowed";
            found.add(rule.object(), rule.field("maxRetries"), message);
        } else if statuses
            .and_then(|it| it.as_array())
            .is_some_and(Vec::is_empty)
        {
            let message = "there is no end of a job after which it is tried again";
            found.add(rule.object(), rule.field("retryOnStatuses"), message);
        }
    }
}
