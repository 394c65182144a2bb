//! Notifiers: who is told what happened, and how that goes.

use crate::answer::{Accepted, Answer, Failure, Json, accepted};
use crate::body::{Body, Query};
use crate::scope::Scope;
use crate::wire;
use stagegate_api as api;
use stagegate_engine::State;
use stagegate_model::{Change, EnvironmentId, Json as AnyJson, Notifier, NotifierId};
use std::collections::BTreeSet;

pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::Notifier>>> {
    let mut page = scope
        .read(move |engine| {
            let state = engine.state();
            let mut all: Vec<_> = state.notifiers().values().collect();
            all.sort_by_key(|it| it.name.to_lowercase());
            api::Page::cut(all, paging.limit(), paging.offset())
                .map(|it| (it.id, wire::notifier(state, it)))
        })
        .await?;
    for (id, notifier) in &mut page.items {
        notifier.status = status(&scope, *id).await?;
    }
    Ok(Json(page.map(|(_, notifier)| notifier)))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::Notifier>> {
    let id: NotifierId = scope.id("notifierId")?;
    let found = scope
        .ask(move |engine| {
            let state = engine.state();
            known(state, id).map(|it| wire::notifier(state, it))
        })
        .await?;
    with_status(&scope, id, found).await
}

pub(super) async fn get_by_name(scope: Scope) -> Answer<Json<api::Notifier>> {
    let name = scope.text("name").to_owned();
    let (id, found) = scope
        .ask(move |engine| {
            let state = engine.state();
            let found = state.notifier_by_name(&name);
            let found = found.ok_or_else(|| Failure::no_such("notifier", &name))?;
            Ok((found.id, wire::notifier(state, found)))
        })
        .await?;
    with_status(&scope, id, found).await
}

pub(super) async fn upsert(
    scope: Scope,
    Body(body): Body<api::UpsertNotifier>,
) -> Answer<Accepted<api::Accepted>> {
    let id: NotifierId = scope.id("notifierId")?;
    let now = scope.now();
    scope
        .configure(move |state| {
            let old = state.notifiers().get(&id);
            let notifier = Notifier {
                id,
                name: body.name.clone(),
                kind: body.kind.clone(),
                config: AnyJson::Object(body.config.clone()),
                events: body.events.iter().flatten().cloned().collect(),
                environments: environments(state, body.environments.as_deref())?,
                selector: body.selector.clone().unwrap_or_default(),
                metadata: body.metadata.clone().unwrap_or_default(),
                created_at: old.map_or(now, |old| old.created_at),
            };
            Ok(((), vec![Change::PutNotifier(notifier)]))
        })
        .await?;
    Ok(accepted(id, "the notifier was stored"))
}

pub(super) async fn delete(scope: Scope) -> Answer<Accepted<api::Accepted>> {
    let id: NotifierId = scope.id("notifierId")?;
    scope
        .configure(move |state| {
            known(state, id)?;
            Ok(((), vec![Change::DeleteNotifier(id)]))
        })
        .await?;
    Ok(accepted(id, "the notifier was deleted"))
}

/// Sends a test message and says what became of it; a delivery that failed is an answer, no error.
pub(super) async fn test(scope: Scope) -> Answer<Json<api::NotifierTest>> {
    let id: NotifierId = scope.id("notifierId")?;
    let controller = scope.app.controller();
    let tested = controller.test_notifier(scope.workspace(), id).await?;
    let outcome = tested.ok_or_else(|| Failure::no_such("notifier", id))?;
    Ok(Json(match outcome {
        Ok(()) => api::NotifierTest {
            delivered: true,
            ..Default::default()
        },
        Err(error) => api::NotifierTest {
            delivered: false,
            code: Some(error.code.to_owned()),
            message: Some(error.message),
        },
    }))
}

fn known(state: &State, id: NotifierId) -> Answer<&Notifier> {
    let notifier = state.notifiers().get(&id);
    notifier
        .map(|it| &**it)
        .ok_or_else(|| Failure::no_such("notifier", id))
}

/// Names or ids.
fn environments(state: &State, named: Option<&[String]>) -> Answer<BTreeSet<EnvironmentId>> {
    let named = named.unwrap_or_default().iter().enumerate();
    named
        .map(|(index, name)| {
            let by_id = name.parse().ok();
            let by_id = by_id.filter(|id| state.environments().contains_key(id));
            let found = by_id.or_else(|| state.environment_by_name(name).map(|it| it.id));
            found.ok_or_else(|| {
                let message = format!("there is no environment `{name}`");
                Failure::new("unknown_environment", message).at(format!("environments[{index}]"))
            })
        })
        .collect()
}

async fn with_status(
    scope: &Scope,
    id: NotifierId,
    notifier: api::Notifier,
) -> Answer<Json<api::Notifier>> {
    let status = status(scope, id).await?;
    Ok(Json(api::Notifier { status, ..notifier }))
}

async fn status(scope: &Scope, id: NotifierId) -> Answer<api::NotifierStatus> {
    let (pending, record) = scope
        .store(move |store, workspace| {
            let pending = store.delivery_count(workspace, id)?;
            Ok((pending, store.delivery_record(workspace, id)?))
        })
        .await?;
    Ok(wire::notifier_status(pending, record))
}
