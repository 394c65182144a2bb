//! Too few people may approve.

use super::seats::{Stage, short};
use super::sight::{RuleSight, Sight};
use super::{Found, Lint, Severity, Whole};
use crate::rules::approval::{Approval, Approver};
use stagegate_model::{Role, RuleId, UserId};
use std::collections::BTreeSet;

pub(super) const LINT: Lint = Lint {
    code: "approval_unsatisfiable",
    severity: Severity::Error,
    title: "Too few people may approve",
    why: "every version stops at this gate until a person sets the rule aside",
    mend: "ask for fewer approvals, name more approvers, or put people into the group; one person counts once over all stages",
    check,
};

fn check(sight: &Sight<'_>, found: &mut Found) {
    for rule in sight.rules() {
        if let Some((field, message)) = too_few(sight, rule) {
            found.add(rule.object(), rule.field(&field), message);
        }
    }
}

/// The rules that nobody can satisfy.
pub(super) fn shut(sight: &Sight<'_>) -> BTreeSet<RuleId> {
    let rules = sight.rules();
    let short = rules.filter(|rule| too_few(sight, *rule).is_some());
    short.map(|rule| rule.rule.id).collect()
}

fn too_few(sight: &Sight<'_>, rule: RuleSight<'_>) -> Option<(String, String)> {
    let evaluator = rule.compiled.evaluator.as_ref().ok()?;
    if let Some(approval) = evaluator.approval() {
        let stages = stages(sight, approval);
        let index = short(&stages)?;
        let (stage, (minimum, people)) = (approval.stages.get(index)?, stages.get(index)?);
        let count = people.as_ref().map_or(0, BTreeSet::len);
        let what = format!(
            "the stage `{}` asks for {}",
            stage.name,
            approvals(*minimum)
        );
        let message = if count < *minimum as usize {
            format!("{what}, and {} may give them", persons(count))
        } else {
            format!(
                "{what}, and of the {} who may give them too few are left, as one person counts once over all stages",
                persons(count)
            )
        };
        return Some((format!("stages[{index}].minimum"), message));
    }
    if rule.rule.kind != "anyApproval" || sight.whole != Whole::Workspace {
        return None;
    }
    let minimum = rule.rule.spec.get("minApprovals")?.as_u64()?;
    let users = sight.state.users().values();
    let approvers = users.filter(|role| role.allows(Role::Approver)).count();
    let minimum = u32::try_from(minimum).unwrap_or(u32::MAX);
    if approvers >= minimum as usize {
        return None;
    }
    let message = format!(
        "it asks for {}, and {} may give them",
        approvals(minimum),
        persons(approvers)
    );
    Some(("minApprovals".to_owned(), message))
}

/// Each stage with all who may ever approve in it, those it escalates to included.
pub(super) fn stages(sight: &Sight<'_>, approval: &Approval) -> Vec<Stage> {
    let people = |approver: &Approver| people(sight, approver);
    let stages = approval.stages.iter().map(|stage| {
        let escalation = stage.escalation.iter().flat_map(|(_, to)| to);
        let all = stage.approvers.iter().chain(escalation).map(people);
        let all: Option<Vec<BTreeSet<UserId>>> = all.collect();
        let all = all.map(|sets| sets.into_iter().flatten().collect());
        (stage.minimum, all)
    });
    stages.collect()
}

/// Whom it means; `None` where that is not known.
fn people(sight: &Sight<'_>, approver: &Approver) -> Option<BTreeSet<UserId>> {
    let state = sight.state;
    match approver {
        Approver::User(id) => Some(BTreeSet::from([*id])),
        _ if sight.whole == Whole::Files => None,
        Approver::Group(name) => {
            let group = state.group_by_name(name);
            Some(group.map_or_else(BTreeSet::new, |group| group.members.clone()))
        }
        Approver::Role(role) => {
            let users = state.users().iter();
            let meant = users.filter(|(_, it)| it.allows(*role));
            Some(meant.map(|(id, _)| *id).collect())
        }
    }
}

fn approvals(count: u32) -> String {
    match count {
        1 => "1 approval".to_owned(),
        _ => format!("{count} approvals"),
    }
}

fn persons(count: usize) -> String {
    match count {
        0 => "nobody".to_owned(),
        1 => "1 person".to_owned(),
        _ => format!("{count} people"),
    }
}
