//! Environments.

use crate::answer::{Accepted, Answer, Failure, Json, accepted};
use crate::body::{Body, Query};
use crate::scope::Scope;
use crate::wire::{self, SELECTS_NOTHING};
use stagegate_api as api;
use stagegate_engine::State;
use stagegate_model::{Change, Environment, EnvironmentId};
use uuid::Uuid;

pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::Environment>>> {
    let page = scope
        .read(move |engine| {
            let mut all: Vec<_> = engine.state().environments().values().collect();
            all.sort_by_key(|it| (it.created_at, it.id));
            api::Page::cut(all, paging.limit(), paging.offset()).map(|it| wire::environment(it))
        })
        .await?;
    Ok(Json(page))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::EnvironmentWithSystems>> {
    let id: EnvironmentId = scope.id("environmentId")?;
    let found = scope
        .ask(move |engine| known(engine.state(), id).map(|it| with_systems(engine.state(), it)))
        .await?;
    Ok(Json(found))
}

pub(super) async fn get_by_name(scope: Scope) -> Answer<Json<api::EnvironmentWithSystems>> {
    let name = scope.text("name").to_owned();
    let found = scope
        .ask(move |engine| {
            let state = engine.state();
            let found = state.environment_by_name(&name);
            let found = found.ok_or_else(|| Failure::no_such("environment", &name))?;
            Ok(with_systems(state, found))
        })
        .await?;
    Ok(Json(found))
}

pub(super) async fn create(
    scope: Scope,
    Body(body): Body<api::UpsertEnvironment>,
) -> Answer<Accepted<api::Accepted>> {
    put(&scope, EnvironmentId(Uuid::now_v7()), body).await
}

pub(super) async fn upsert(
    scope: Scope,
    Body(body): Body<api::UpsertEnvironment>,
) -> Answer<Accepted<api::Accepted>> {
    put(&scope, scope.id("environmentId")?, body).await
}

async fn put(
    scope: &Scope,
    id: EnvironmentId,
    body: api::UpsertEnvironment,
) -> Answer<Accepted<api::Accepted>> {
    let now = scope.now();
    scope
        .configure(move |state| {
            let known = state.environments().get(&id);
            let environment = Environment {
                id,
                name: body.name.clone(),
                description: body.description.clone().unwrap_or_default(),
                metadata: body.metadata.clone().unwrap_or_default(),
                resource_selector: body
                    .resource_selector
                    .clone()
                    .unwrap_or_else(|| SELECTS_NOTHING.to_owned()),
                systems: known.map(|it| it.systems.clone()).unwrap_or_default(),
                created_at: known.map_or(now, |it| it.created_at),
            };
            Ok(((), vec![Change::PutEnvironment(environment)]))
        })
        .await?;
    Ok(accepted(id, "the environment was stored"))
}

pub(super) async fn delete(scope: Scope) -> Answer<Accepted<api::Accepted>> {
    let id: EnvironmentId = scope.id("environmentId")?;
    scope
        .configure(move |state| {
            known(state, id)?;
            Ok(((), vec![Change::DeleteEnvironment(id)]))
        })
        .await?;
    Ok(accepted(id, "the environment was deleted"))
}

fn known(state: &State, id: EnvironmentId) -> Answer<&Environment> {
    let environment = state.environments().get(&id);
    environment
        .map(|it| &**it)
        .ok_or_else(|| Failure::no_such("environment", id))
}

fn with_systems(state: &State, it: &Environment) -> api::EnvironmentWithSystems {
    api::EnvironmentWithSystems {
        environment: wire::environment(it),
        systems: wire::systems(state, &it.systems),
    }
}
