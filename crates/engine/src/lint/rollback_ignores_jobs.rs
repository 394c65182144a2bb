//! A rollback rule that leaves failed jobs as they are.

use super::sight::Sight;
use super::{Found, Lint, Severity};
use stagegate_model::JobStatus;

pub(super) const LINT: Lint = Lint {
    code: "rollback_ignores_jobs",
    severity: Severity::Warning,
    title: "A rollback that failed jobs do not cause",
    why: "a target whose deployment failed stays as the failed job left it; only a failed verification goes back",
    mend: "name `failure` in `onJobStatuses`, or leave the member out",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for rule in sight.rules() {
        let evaluator = rule.compiled.evaluator.as_ref().ok();
        let rollback = evaluator.and_then(|it| it.rollback());
        let failed = crate::rules::rollback::Failure::Job(JobStatus::Failure);
        if rollback.is_some_and(|rollback| !rollback.takes(failed)) {
            let message = "a job that ends `failure` is not rolled back";
            found.add(rule.object(), rule.field("onJobStatuses"), message);
        }
    }
}
