//! A rule that another one says already.

use super::likeness::{Likeness, pairs};
use super::sight::{RuleSight, Sight};
use super::{Found, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    code: "duplicate_rule",
    severity: Severity::Warning,
    title: "Two rules of which one would do",
    why: "whoever changes one of them changes nothing, and wonders why",
    mend: "keep one of them",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    pairs(sight, &mut |rule, by, likeness| {
        let place = whose(rule, by);
        let message = match likeness {
            Likeness::Same => format!("{place} says the same, wherever this one holds"),
            Likeness::Rival => format!("{place} is of the same kind and holds in the same places"),
            Likeness::Weaker => return,
        };
        found.add(rule.object(), rule.field(""), message);
    });
}

/// The other rule, in words.
pub(super) fn whose(rule: RuleSight<'_>, by: RuleSight<'_>) -> String {
    let number = by.index + 1;
    if rule.policy.policy.id == by.policy.policy.id {
        format!("rule {number} of the same policy")
    } else {
        format!("rule {number} of `{}`", by.policy.policy.name)
    }
}
