//! Rules set aside, and freezes.

use super::{environment_name, tag, workspace_id};
use crate::people::People;
use crate::reach::Reach;
use stagegate_api as api;
use stagegate_engine::State;
use stagegate_model::{Freeze, Skip, Timestamp};

pub(crate) fn policy_skip(
    state: &State,
    it: &Skip,
    people: &People,
    now: Timestamp,
) -> api::PolicySkip {
    let (kind, policy_name) = skipped(state, it);
    api::PolicySkip {
        id: it.id.to_string(),
        workspace_id: workspace_id(state),
        rule_id: it.rule.to_string(),
        kind,
        policy_name,
        version_id: it.version.map(|id| id.to_string()),
        version_tag: it.version.map(|id| tag(state, id)),
        environment_id: it.environment.map(|id| id.to_string()),
        environment_name: it.environment.map(|id| environment_name(state, id)),
        resource_id: it.resource.map(|id| id.to_string()),
        resource_name: it.resource.map(|id| {
            let resource = state.resource(id);
            resource.map_or_else(|| id.to_string(), |it| it.name().to_owned())
        }),
        reason: it.reason.clone(),
        expires_at: it.expires_at.map(|at| at.to_string()),
        expired: it.expires_at.is_some_and(|at| at <= now),
        created_at: it.created_at.to_string(),
        created_by: it.created_by.map(|id| id.to_string()),
        created_by_name: it.created_by.map(|id| people.name(id)),
    }
}

/// The kind of what is set aside, and the name of its policy or freeze; both empty when there is no such any more.
pub(crate) fn skipped(state: &State, it: &Skip) -> (String, String) {
    let mut rules = state
        .policies()
        .values()
        .flat_map(|policy| policy.rules.iter().map(move |rule| (policy, rule)));
    let rule = rules.find(|(_, rule)| rule.id == it.rule);
    let rule = rule.map(|(policy, rule)| (rule.kind.clone(), policy.name.clone()));
    let freeze = || {
        let freeze = state.freezes().get(&it.rule.0.into())?;
        Some(("freeze".to_owned(), freeze.name.clone()))
    };
    rule.or_else(freeze).unwrap_or_default()
}

/// Where a freeze stands; sorts as lists do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FreezeStatus {
    InForce,
    Ahead,
    Over,
}

impl FreezeStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::InForce => "inForce",
            Self::Ahead => "ahead",
            Self::Over => "over",
        }
    }
}

pub(crate) fn freeze_status(it: &Freeze, now: Timestamp) -> FreezeStatus {
    if now < it.starts_at {
        FreezeStatus::Ahead
    } else if it.ends_at.is_some_and(|ends| ends <= now) {
        FreezeStatus::Over
    } else {
        FreezeStatus::InForce
    }
}

pub(crate) fn freeze(
    state: &State,
    it: &Freeze,
    reach: &Reach,
    people: &People,
    now: Timestamp,
) -> api::Freeze {
    api::Freeze {
        id: it.id.to_string(),
        workspace_id: workspace_id(state),
        name: it.name.clone(),
        selector: it.selector.clone(),
        reason: it.reason.clone(),
        starts_at: it.starts_at.to_string(),
        ends_at: it.ends_at.map(|at| at.to_string()),
        allow_rollback: it.allow_rollback,
        status: freeze_status(it, now).as_str().to_owned(),
        environments: reach.environments(state, it.id.0.into()),
        created_at: it.created_at.to_string(),
        created_by: it.created_by.map(|id| id.to_string()),
        created_by_name: it.created_by.map(|id| people.name(id)),
    }
}
