//! A rollback for failed verifications where nothing is verified.

use super::sight::{Sight, listed};
use super::{Found, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    code: "rollback_without_verification",
    severity: Severity::Warning,
    title: "A rollback where nothing is verified",
    why: "a version whose job ends well and that does not work is not noticed, and so never rolled back",
    mend: "add a `verification` rule that applies there, or say `onVerificationFailure: false`",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for rule in sight.rules() {
        let evaluator = rule.compiled.evaluator.as_ref().ok();
        let rollback = evaluator.and_then(|it| it.rollback());
        let failed = crate::rules::rollback::Failure::Verification;
        if !rollback.is_some_and(|rollback| rollback.takes(failed)) {
            continue;
        }
        let lanes = sight.lanes_of(rule.policy.policy.id);
        let unverified = lanes.filter(|lane| {
            !lane.possible.iter().any(|held| {
                let rules = held.policy.rules.iter();
                let mut specs = rules.filter_map(|it| it.evaluator.as_ref().ok()?.verification());
                specs.next().is_some()
            })
        });
        let environments: Vec<&str> = unverified.map(|lane| &*lane.environment.name).collect();
        if !environments.is_empty() {
            let message = format!(
                "failed verifications are rolled back, and nothing is verified in {}",
                listed(environments)
            );
            found.add(rule.object(), rule.field(""), message);
        }
    }
}
