//! Relationship rules: from which resources a reference leads to which.

use crate::answer::{Accepted, Answer, Failure, Json};
use crate::body::{Body, Query};
use crate::scope::Scope;
use crate::wire;
use axum::http::StatusCode;
use stagegate_api as api;
use stagegate_engine::State;
use stagegate_model::{Change, RelationshipRule, RelationshipRuleId};
use uuid::Uuid;

pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::RelationshipRule>>> {
    let page = scope
        .read(move |engine| {
            let state = engine.state();
            let rules = state.variables().relationship_rules();
            let mut all: Vec<_> = rules.values().collect();
            all.sort_by_key(|it| it.name.to_lowercase());
            api::Page::cut(all, paging.limit(), paging.offset())
                .map(|it| wire::relationship_rule(state, it))
        })
        .await?;
    Ok(Json(page))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::RelationshipRule>> {
    let id = scope.id("relationshipRuleId")?;
    Ok(Json(read(&scope, id).await?))
}

pub(super) async fn create(
    scope: Scope,
    Body(body): Body<api::UpsertRelationshipRule>,
) -> Answer<(StatusCode, Json<api::RelationshipRule>)> {
    let id = RelationshipRuleId(Uuid::now_v7());
    put(&scope, id, body).await?;
    Ok((StatusCode::CREATED, Json(read(&scope, id).await?)))
}

pub(super) async fn upsert(
    scope: Scope,
    Body(body): Body<api::UpsertRelationshipRule>,
) -> Answer<Accepted<api::RelationshipRule>> {
    let id = scope.id("relationshipRuleId")?;
    put(&scope, id, body).await?;
    Ok((StatusCode::ACCEPTED, Json(read(&scope, id).await?)))
}

/// Gives the rule as it was.
pub(super) async fn delete(scope: Scope) -> Answer<Accepted<api::RelationshipRule>> {
    let id: RelationshipRuleId = scope.id("relationshipRuleId")?;
    let rule = scope
        .configure(move |state| {
            let rule = wire::relationship_rule(state, known(state, id)?);
            Ok((rule, vec![Change::DeleteRelationshipRule(id)]))
        })
        .await?;
    Ok((StatusCode::ACCEPTED, Json(rule)))
}

fn known(state: &State, id: RelationshipRuleId) -> Answer<&RelationshipRule> {
    let rule = state.variables().relationship_rules().get(&id);
    rule.map(|it| &**it)
        .ok_or_else(|| Failure::no_such("relationship rule", id))
}

async fn read(scope: &Scope, id: RelationshipRuleId) -> Answer<api::RelationshipRule> {
    scope
        .ask(move |engine| {
            let state = engine.state();
            known(state, id).map(|it| wire::relationship_rule(state, it))
        })
        .await
}

async fn put(
    scope: &Scope,
    id: RelationshipRuleId,
    body: api::UpsertRelationshipRule,
) -> Answer<()> {
    scope
        .configure(move |_| {
            let rule = RelationshipRule {
                id,
                name: body.name.clone(),
                description: body.description.clone().unwrap_or_default(),
                reference: body.reference.clone(),
                cel: body.cel.clone(),
                metadata: body.metadata.clone(),
            };
            Ok(((), vec![Change::PutRelationshipRule(rule)]))
        })
        .await
}
