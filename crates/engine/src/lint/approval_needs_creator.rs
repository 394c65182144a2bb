//! A person creates versions who is needed to approve them.

use super::approval_unsatisfiable::stages;
use super::seats::{Stage, short};
use super::sight::Sight;
use super::{Found, Lint, Severity, Whole};
use stagegate_model::UserId;
use std::collections::BTreeMap;

pub(super) const LINT: Lint = Lint {
    code: "approval_needs_creator",
    severity: Severity::Warning,
    title: "Who creates versions is needed to approve them",
    why: "nobody approves a version of their own, so the versions of this person can never be approved",
    mend: "name one more approver, have versions created with a key of another owner, or set `requesterMayApprove: true`",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    // Who is in a group, and who creates versions, only a workspace tells.
    if sight.whole != Whole::Workspace {
        return;
    }
    let mut creators: BTreeMap<UserId, &str> = BTreeMap::new();
    for version in sight.state.versions().values() {
        if let Some(creator) = version.created_by {
            creators.insert(creator, &version.tag);
        }
    }
    for rule in sight.rules() {
        let evaluator = rule.compiled.evaluator.as_ref().ok();
        let Some(approval) = evaluator.and_then(|it| it.approval()) else {
            continue;
        };
        let stages = stages(sight, approval);
        if approval.requester_may_approve || short(&stages).is_some() {
            continue;
        }
        for (creator, tag) in &creators {
            let others: Vec<Stage> = stages
                .iter()
                .map(|(minimum, people)| {
                    let people = people.as_ref().map(|people| {
                        let others = people.iter().filter(|it| *it != creator);
                        others.copied().collect()
                    });
                    (*minimum, people)
                })
                .collect();
            let Some(stage) = short(&others).and_then(|index| approval.stages.get(index)) else {
                continue;
            };
            let message = format!(
                "user:{creator} created `{tag}`, and without this person too few are left for the stage `{}`",
                stage.name
            );
            found.add(rule.object(), rule.field("stages"), message);
        }
    }
}
