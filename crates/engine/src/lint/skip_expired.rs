//! A skip that sets nothing aside any more.

use super::sight::Sight;
use super::{Found, Lint, Object, Severity};

pub(super) const LINT: Lint = Lint {
    code: "skip_expired",
    severity: Severity::Note,
    title: "A skip without effect",
    why: "the rule holds again, or is gone; whoever reads the list may believe that it is still set aside",
    mend: "delete it; if the rule should still be set aside, make a new one with a reason and an end",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    let state = sight.state;
    for skip in state.skips().values() {
        let rules = || state.policies().values().flat_map(|it| &it.rules);
        let rule = rules().find(|rule| rule.id == skip.rule);
        let freeze = state.freezes().values().any(|it| it.id.0 == skip.rule.0);
        let message = match (skip.expires_at.filter(|it| *it <= sight.now), rule) {
            (Some(at), _) => format!("it expired at {at}"),
            (None, None) if !freeze => {
                "the rule that it sets aside does not exist any more".to_owned()
            }
            _ => continue,
        };
        let object = Object {
            kind: "Skip",
            name: rule.map_or_else(|| skip.rule.to_string(), |rule| rule.kind.clone()),
            id: skip.id.0,
        };
        found.add(object, "expiresAt", message);
    }
}
