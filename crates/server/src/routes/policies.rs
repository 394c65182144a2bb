//! Policies and their rules.

use crate::answer::{Accepted, Answer, Failure, Json};
use crate::body::{Body, Query};
use crate::people::People;
use crate::scope::{Scope, parse_id};
use crate::wire;
use axum::http::StatusCode;
use stagegate_api as api;
use stagegate_engine::State;
use stagegate_model::{Change, Policy, PolicyId, Rule, RuleId, Timestamp};
use std::collections::BTreeSet;
use uuid::Uuid;

pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::Policy>>> {
    let people = People::of(&scope).await?;
    let page = scope
        .read(move |engine| {
            let state = engine.state();
            let mut all: Vec<_> = state.policies().values().collect();
            all.sort_by_key(|it| (std::cmp::Reverse(it.priority), it.name.to_lowercase()));
            api::Page::cut(all, paging.limit(), paging.offset()).map(|it| wire::policy(state, it))
        })
        .await?;
    Ok(Json(page.map(|it| people.policy(it))))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::Policy>> {
    let id: PolicyId = scope.id("policyId")?;
    read(&scope, id).await.map(Json)
}

async fn read(scope: &Scope, id: PolicyId) -> Answer<api::Policy> {
    let people = People::of(scope).await?;
    let policy = scope
        .ask(move |engine| {
            let state = engine.state();
            known(state, id).map(|it| wire::policy(state, it))
        })
        .await?;
    Ok(people.policy(policy))
}

pub(super) async fn create(
    scope: Scope,
    Body(body): Body<api::UpsertPolicy>,
) -> Answer<Accepted<api::Policy>> {
    put(&scope, PolicyId(Uuid::now_v7()), body).await
}

pub(super) async fn upsert(
    scope: Scope,
    Body(body): Body<api::UpsertPolicy>,
) -> Answer<Accepted<api::Policy>> {
    put(&scope, scope.id("policyId")?, body).await
}

async fn put(
    scope: &Scope,
    id: PolicyId,
    mut body: api::UpsertPolicy,
) -> Answer<Accepted<api::Policy>> {
    People::of(scope).await?.resolve(&mut body.rules)?;
    let now = scope.now();
    scope
        .configure(move |state| {
            let known = state.policies().get(&id).map(|it| &**it);
            let policy = Policy {
                id,
                name: body.name.clone(),
                description: body.description.clone().unwrap_or_default(),
                metadata: body.metadata.clone().unwrap_or_default(),
                enabled: body.enabled.unwrap_or(true),
                priority: body.priority.unwrap_or(0),
                selector: body.selector.clone().unwrap_or_else(|| "true".to_owned()),
                replaces: replaced(state, body.replaces.as_deref().unwrap_or_default())?,
                rules: rules(known, &body.rules, now)?,
                created_at: known.map_or(now, |it| it.created_at),
            };
            Ok(((), vec![Change::PutPolicy(policy)]))
        })
        .await?;
    Ok((StatusCode::ACCEPTED, Json(read(scope, id).await?)))
}

/// The policies with these names.
fn replaced(state: &State, names: &[String]) -> Answer<BTreeSet<PolicyId>> {
    let mut ids = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        let policy = state.policy_by_name(name).ok_or_else(|| {
            Failure::new("unknown_policy", format!("there is no policy `{name}`"))
                .at(format!("replaces[{index}]"))
        })?;
        ids.insert(policy.id);
    }
    Ok(ids)
}

/// A rule keeps its id when that is sent, or when its spec is unchanged; a changed spec is a new rule.
fn rules(
    known: Option<&Policy>,
    sent: &[api::UpsertPolicyRule],
    now: Timestamp,
) -> Answer<Vec<Rule>> {
    let mut left: Vec<&Rule> = known.into_iter().flat_map(|it| &it.rules).collect();
    let mut rules = Vec::with_capacity(sent.len());
    for (index, rule) in sent.iter().enumerate() {
        let id = match &rule.id {
            Some(text) => Some(parse_id::<RuleId>(text, &format!("rules[{index}].id"))?),
            None => None,
        };
        let same = left.iter().position(|it| match id {
            Some(id) => it.id == id,
            None => it.kind == rule.kind && it.spec == rule.spec,
        });
        let same = same.map(|position| left.remove(position));
        let unchanged = same.is_some_and(|it| it.kind == rule.kind && it.spec == rule.spec);
        rules.push(Rule {
            id: id
                .or(same.map(|it| it.id))
                .unwrap_or_else(|| RuleId(Uuid::now_v7())),
            kind: rule.kind.clone(),
            spec: rule.spec.clone(),
            created_at: same.filter(|_| unchanged).map_or(now, |it| it.created_at),
        });
    }
    Ok(rules)
}

pub(super) async fn delete(scope: Scope) -> Answer<Accepted<api::Policy>> {
    let id: PolicyId = scope.id("policyId")?;
    let people = People::of(&scope).await?;
    let was = scope
        .configure(move |state| {
            let was = wire::policy(state, known(state, id)?);
            Ok((was, vec![Change::DeletePolicy(id)]))
        })
        .await?;
    Ok((StatusCode::ACCEPTED, Json(people.policy(was))))
}

fn known(state: &State, id: PolicyId) -> Answer<&Policy> {
    let policy = state.policies().get(&id);
    policy
        .map(|it| &**it)
        .ok_or_else(|| Failure::no_such("policy", id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_keep_their_ids_where_nothing_changed() {
        let rule = |n: u128, spec| Rule {
            id: Uuid::from_u128(n).into(),
            kind: "anyApproval".to_owned(),
            spec,
            created_at: Timestamp(n as i64),
        };
        let known = Policy {
            id: Uuid::nil().into(),
            name: String::new(),
            description: String::new(),
            metadata: Default::default(),
            enabled: true,
            priority: 0,
            selector: "true".to_owned(),
            replaces: BTreeSet::new(),
            rules: vec![
                rule(1, json!({"minApprovals": 1})),
                rule(2, json!({"minApprovals": 2})),
            ],
            created_at: Timestamp(0),
        };
        let sent = |id: Option<u128>, spec| api::UpsertPolicyRule {
            id: id.map(|n| Uuid::from_u128(n).to_string()),
            kind: "anyApproval".to_owned(),
            spec,
            ..Default::default()
        };
        let made = rules(
            Some(&known),
            &[
                sent(None, json!({"minApprovals": 2})),
                sent(Some(1), json!({"minApprovals": 3})),
                sent(None, json!({"minApprovals": 4})),
            ],
            Timestamp(9),
        )
        .unwrap();
        assert_eq!(
            (made[0].id, made[0].created_at),
            (known.rules[1].id, Timestamp(2))
        );
        assert_eq!(
            (made[1].id, made[1].created_at),
            (known.rules[0].id, Timestamp(9))
        );
        assert!(made[2].id != made[0].id && made[2].id != made[1].id);
    }
}
