//! Windows of two policies that are never open together.

use super::sight::Sight;
use super::{Found, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    code: "windows_never_overlap",
    severity: Severity::Warning,
    title: "Two policies whose windows never overlap",
    why: "of several windows that allow any one suffices: the second policy does not narrow the time in which things start, it widens it",
    mend: "keep one of the windows, let them overlap as they should, or make one of them deny (`allowWindow: false`) the time that it should exclude",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for (one, other) in &sight.calendar.apart {
        let rule = |id| sight.rules().find(|rule| rule.rule.id == id);
        if let (Some(one), Some(other)) = (rule(*one), rule(*other)) {
            let message = format!(
                "it is never open together with the window of `{}`, which holds in the same place",
                one.policy.policy.name
            );
            found.add(other.object(), other.field(""), message);
        }
    }
}
