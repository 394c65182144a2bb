//! Rules set aside.

use super::freezes::moment;
use crate::answer::{Answer, Failure, Json};
use crate::body::{Body, Query};
use crate::people::People;
use crate::scope::{Scope, parse_id};
use crate::wire;
use axum::http::StatusCode;
use stagegate_api as api;
use stagegate_model::{Command, Skip, SkipId};
use std::str::FromStr;
use uuid::Uuid;

/// The newest first.
pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::PolicySkip>>> {
    let people = People::of(&scope).await?;
    let now = scope.now();
    let page = scope
        .read(move |engine| {
            let state = engine.state();
            let mut all: Vec<_> = state.skips().values().collect();
            all.sort_by_key(|it| std::cmp::Reverse((it.created_at, it.id)));
            let page = api::Page::cut(all, paging.limit(), paging.offset());
            page.map(|it| wire::policy_skip(state, it, &people, now))
        })
        .await?;
    Ok(Json(page))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::PolicySkip>> {
    let id: SkipId = scope.id("policySkipId")?;
    read(&scope, id).await.map(Json)
}

async fn read(scope: &Scope, id: SkipId) -> Answer<api::PolicySkip> {
    let people = People::of(scope).await?;
    let now = scope.now();
    scope
        .ask(move |engine| {
            let state = engine.state();
            let skip = state.skips().get(&id);
            let skip = skip.ok_or_else(|| {
                Failure::new("skip_not_found", format!("there is no skip `{id}`"))
            })?;
            Ok(wire::policy_skip(state, skip, &people, now))
        })
        .await
}

pub(super) async fn create(
    scope: Scope,
    Body(body): Body<api::CreatePolicySkip>,
) -> Answer<(StatusCode, Json<api::PolicySkip>)> {
    let id = SkipId(Uuid::now_v7());
    let skip = Skip {
        id,
        rule: parse_id(&body.rule_id, "ruleId")?,
        version: optional(body.version_id.as_deref(), "versionId")?,
        environment: optional(body.environment_id.as_deref(), "environmentId")?,
        resource: optional(body.resource_id.as_deref(), "resourceId")?,
        reason: body.reason,
        expires_at: moment(body.expires_at.as_deref(), "expiresAt")?,
        created_at: scope.now(),
        created_by: None,
    };
    scope.submit(Command::CreateSkip(skip), Vec::new()).await?;
    Ok((StatusCode::CREATED, Json(read(&scope, id).await?)))
}

fn optional<T: FromStr>(text: Option<&str>, field: &str) -> Answer<Option<T>> {
    text.map(|text| parse_id(text, field)).transpose()
}

pub(super) async fn delete(
    scope: Scope,
    Query(query): Query<api::ReasonQuery>,
) -> Answer<StatusCode> {
    let command = Command::DeleteSkip {
        id: scope.id("policySkipId")?,
        reason: query.reason.unwrap_or_default(),
    };
    scope.submit(command, Vec::new()).await?;
    Ok(StatusCode::NO_CONTENT)
}
