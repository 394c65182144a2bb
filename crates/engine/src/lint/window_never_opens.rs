//! A window that leaves no time.

use super::calendar::window;
use super::sight::Sight;
use super::{Found, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    code: "window_never_opens",
    severity: Severity::Error,
    title: "A window that leaves no time within a year",
    why: "nothing starts until it opens, and a year is longer than anybody waits",
    mend: "look at `UNTIL`, `COUNT` and the start of an allowing window, and at the duration of a denying one; take out what is over",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for rule in sight.rules() {
        if !sight.calendar.shut.contains(&rule.rule.id) {
            continue;
        }
        let message = match window(rule) {
            Some(window) if window.allows() => "it does not open within the next year",
            _ => "it denies for the whole of the next year",
        };
        found.add(rule.object(), rule.field("rrule"), message);
    }
}
