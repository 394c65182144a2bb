//! A policy that replaces one that is switched off.

use super::sight::Sight;
use super::{Found, Lint, Object, Severity};

pub(super) const LINT: Lint = Lint {
    code: "replaces_disabled",
    severity: Severity::Warning,
    title: "A policy that replaces a disabled one",
    why: "there is nothing to replace: whoever counts on an easier lane has none, and when the other is enabled again it changes silently",
    mend: "take it out of `replaces`, or enable the other policy",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for policy in sight.policies() {
        for replaced in &policy.policy.replaces {
            let replaced = sight.state.policies().get(replaced);
            if let Some(replaced) = replaced.filter(|it| !it.enabled) {
                let message = format!("it replaces `{}`, which is disabled", replaced.name);
                found.add(Object::policy(&policy.policy), "replaces", message);
            }
        }
    }
}
