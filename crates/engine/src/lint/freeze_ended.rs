//! A freeze that is over.

use super::sight::Sight;
use super::{Found, Lint, Object, Severity};

pub(super) const LINT: Lint = Lint {
    code: "freeze_ended",
    severity: Severity::Note,
    title: "A freeze that is over",
    why: "it holds nothing any more and hides those that do",
    mend: "delete it; the audit log keeps it",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for freeze in sight.state.freezes().values() {
        let Some(ended) = freeze.ends_at.filter(|ends| *ends <= sight.now) else {
            continue;
        };
        let object = Object {
            kind: "Freeze",
            name: freeze.name.clone(),
            id: freeze.id.0,
        };
        found.add(object, "endsAt", format!("it ended at {ended}"));
    }
}
