//! A lane for certain versions that leaves the ordinary gates in place.

use super::sight::{Sight, is_gate, listed, rules_of};
use super::{Found, Lint, Object, Severity};
use stagegate_model::Policy;
use std::collections::BTreeSet;

pub(super) const LINT: Lint = Lint {
    code: "hotfix_without_replaces",
    severity: Severity::Warning,
    title: "A hotfix policy that replaces nothing",
    why: "all policies that match apply: its rules come on top of the ordinary ones, and the hotfix waits as long as everything else",
    mend: "name the policies it takes the place of under `replaces`",
    check,
};

/// Words by which people call a lane that should be quicker.
const WORDS: [&str; 6] = [
    "hotfix",
    "hot-fix",
    "hot fix",
    "emergency",
    "urgent",
    "expedite",
];

fn check(sight: &Sight<'_>, found: &mut Found) {
    for policy in sight.policies() {
        let gates = rules_of(policy).any(|rule| is_gate(&rule.rule.kind));
        if !policy.looks_at_version() || !policy.policy.replaces.is_empty() || !gates {
            continue;
        }
        let mut others: BTreeSet<&str> = BTreeSet::new();
        for lane in sight.lanes_of(policy.policy.id) {
            let ordinary = lane.usual.iter().filter(|held| {
                let mut rules = rules_of(held.policy);
                rules.any(|rule| is_gate(&rule.rule.kind))
            });
            others.extend(ordinary.map(|held| &*held.policy.policy.name));
        }
        if others.is_empty() {
            continue;
        }
        // Other policies for certain versions mostly mean to ask for more.
        let severity = if says_so(&policy.policy) {
            Severity::Warning
        } else {
            Severity::Note
        };
        let message = format!(
            "versions that it selects must pass the gates of {} too",
            listed(others)
        );
        found.add_as(
            severity,
            Object::policy(&policy.policy),
            "selector",
            message,
        );
    }
}

fn says_so(policy: &Policy) -> bool {
    let texts = [&policy.name, &policy.description, &policy.selector];
    texts.iter().any(|text| {
        let text = text.to_lowercase();
        WORDS.iter().any(|word| text.contains(word))
    })
}
