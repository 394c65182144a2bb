//! Windows that leave no time together.

use super::sight::{Sight, listed};
use super::{Found, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    code: "windows_leave_no_time",
    severity: Severity::Error,
    title: "Windows that leave no time together",
    why: "a window that denies beats those that allow, and here it covers all of their time: nothing ever starts",
    mend: "move one of the windows, or narrow the selector of its policy",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for windows in &sight.calendar.crossed {
        let rules: Vec<_> = sight
            .rules()
            .filter(|rule| windows.contains(&rule.rule.id))
            .collect();
        let names = rules.iter().map(|rule| &*rule.policy.policy.name);
        let message = format!(
            "the windows of {} leave no open moment within the next year",
            listed(names)
        );
        // Shown at one that denies.
        let denies = rules.iter().find(|rule| {
            let window = super::calendar::window(**rule);
            window.is_some_and(|window| !window.allows())
        });
        if let Some(rule) = denies {
            found.add(rule.object(), rule.field(""), message);
        }
    }
}
