//! Freezes: times in which nothing new starts.

use crate::answer::{Answer, Failure, Json};
use crate::body::{Body, Query};
use crate::people::People;
use crate::reach::Reach;
use crate::scope::Scope;
use crate::wire;
use axum::http::StatusCode;
use stagegate_api as api;
use stagegate_model::{Command, Freeze, FreezeId, Timestamp};
use uuid::Uuid;

/// Those in force first, then those ahead, then those that are over; each by their beginning.
pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::Freeze>>> {
    let people = People::of(&scope).await?;
    let now = scope.now();
    let page = scope
        .read(move |engine| {
            let state = engine.state();
            let reach = Reach::of(engine);
            let mut all: Vec<_> = state.freezes().values().collect();
            all.sort_by_key(|it| (wire::freeze_status(it, now), it.starts_at, it.id));
            let page = api::Page::cut(all, paging.limit(), paging.offset());
            page.map(|it| wire::freeze(state, it, &reach, &people, now))
        })
        .await?;
    Ok(Json(page))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::Freeze>> {
    let id: FreezeId = scope.id("freezeId")?;
    read(&scope, id).await.map(Json)
}

async fn read(scope: &Scope, id: FreezeId) -> Answer<api::Freeze> {
    let people = People::of(scope).await?;
    let now = scope.now();
    scope
        .ask(move |engine| {
            let state = engine.state();
            let freeze = state.freezes().get(&id);
            let freeze = freeze.ok_or_else(|| Failure::no_such("freeze", id))?;
            Ok(wire::freeze(
                state,
                freeze,
                &Reach::of(engine),
                &people,
                now,
            ))
        })
        .await
}

pub(super) async fn create(
    scope: Scope,
    Body(body): Body<api::UpsertFreeze>,
) -> Answer<(StatusCode, Json<api::Freeze>)> {
    let freeze = put(&scope, FreezeId(Uuid::now_v7()), body).await?;
    Ok((StatusCode::CREATED, Json(freeze)))
}

pub(super) async fn upsert(
    scope: Scope,
    Body(body): Body<api::UpsertFreeze>,
) -> Answer<Json<api::Freeze>> {
    let id: FreezeId = scope.id("freezeId")?;
    put(&scope, id, body).await.map(Json)
}

async fn put(scope: &Scope, id: FreezeId, body: api::UpsertFreeze) -> Answer<api::Freeze> {
    // Held so that the beginning that is kept is the one that is there.
    let lock = scope.app.configuring(scope.workspace());
    let _held = lock.lock().await;
    let now = scope.now();
    let starts_at = match moment(body.starts_at.as_deref(), "startsAt")? {
        Some(starts_at) => starts_at,
        None => {
            let known = scope
                .read(move |engine| engine.state().freezes().get(&id).map(|it| it.starts_at))
                .await?;
            known.unwrap_or(now)
        }
    };
    let freeze = Freeze {
        id,
        name: body.name,
        selector: body.selector.unwrap_or_else(|| "true".to_owned()),
        reason: body.reason,
        starts_at,
        ends_at: moment(body.ends_at.as_deref(), "endsAt")?,
        allow_rollback: body.allow_rollback.unwrap_or(true),
        created_at: now,
        created_by: None,
    };
    scope.submit(Command::PutFreeze(freeze), Vec::new()).await?;
    read(scope, id).await
}

pub(super) async fn delete(
    scope: Scope,
    Query(query): Query<api::ReasonQuery>,
) -> Answer<StatusCode> {
    let command = Command::DeleteFreeze {
        id: scope.id("freezeId")?,
        reason: query.reason.unwrap_or_default(),
    };
    scope.submit(command, Vec::new()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A time as it was sent.
pub(super) fn moment(text: Option<&str>, field: &str) -> Answer<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        Failure::new("invalid_time", format!("`{text}` is no time"))
            .at(field)
            .hint("write it with its offset: `2026-12-24T00:00:00Z` or `2026-12-24T00:00:00+01:00`")
    })
}
