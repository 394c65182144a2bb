//! A rule that a stricter one makes idle.

use super::duplicate_rule::whose;
use super::likeness::{Likeness, pairs};
use super::sight::Sight;
use super::{Found, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    code: "weaker_rule",
    severity: Severity::Warning,
    title: "A rule that a stricter one makes idle",
    why: "all rules must pass, so only the stricter one is ever felt; where this one should be an exception, it is none",
    mend: "take the weaker rule out, or let its policy name the other one under `replaces`",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    pairs(sight, &mut |rule, by, likeness| {
        if likeness == Likeness::Weaker {
            let message = format!("{} asks for more, wherever this one holds", whose(rule, by));
            found.add(rule.object(), rule.field(""), message);
        }
    });
}
