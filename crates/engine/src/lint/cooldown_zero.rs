//! A cooldown of no time.

use super::sight::Sight;
use super::{Found, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    code: "cooldown_zero",
    severity: Severity::Warning,
    title: "A cooldown of no time",
    why: "the rule holds nothing back, although its name says that it does",
    mend: "give `intervalSeconds` a time above 0, or take the rule out",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for rule in sight.rules() {
        if rule.rule.kind == "versionCooldown" && rule.number("intervalSeconds") == Some(0.0) {
            let message = "with an interval of 0 seconds nothing ever cools down";
            found.add(rule.object(), rule.field("intervalSeconds"), message);
        }
    }
}
