//! Variable sets: values for many deployments.

use crate::answer::{Accepted, Answer, Failure, Json};
use crate::body::{Body, Query};
use crate::scope::Scope;
use crate::wire;
use axum::http::StatusCode;
use stagegate_api as api;
use stagegate_engine::State;
use stagegate_model::{Change, VariableSet, VariableSetId, VariableValue};
use std::collections::BTreeMap;
use uuid::Uuid;

pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::VariableSet>>> {
    let page = scope
        .read(move |engine| {
            let mut all: Vec<_> = engine.state().variables().sets().values().collect();
            all.sort_by_key(|it| it.name.to_lowercase());
            let page = api::Page::cut(all, paging.limit(), paging.offset());
            page.map(|it| wire::variable_set(it))
        })
        .await?;
    Ok(Json(page))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::VariableSet>> {
    let id = scope.id("variableSetId")?;
    Ok(Json(read(&scope, id).await?))
}

pub(super) async fn create(
    scope: Scope,
    Body(body): Body<api::UpsertVariableSet>,
) -> Answer<(StatusCode, Json<api::VariableSet>)> {
    let id = VariableSetId(Uuid::now_v7());
    put(&scope, id, body).await?;
    Ok((StatusCode::CREATED, Json(read(&scope, id).await?)))
}

pub(super) async fn upsert(
    scope: Scope,
    Body(body): Body<api::UpsertVariableSet>,
) -> Answer<Accepted<api::VariableSet>> {
    let id = scope.id("variableSetId")?;
    put(&scope, id, body).await?;
    Ok((StatusCode::ACCEPTED, Json(read(&scope, id).await?)))
}

/// Gives the set as it was.
pub(super) async fn delete(scope: Scope) -> Answer<Accepted<api::VariableSet>> {
    let id: VariableSetId = scope.id("variableSetId")?;
    let set = scope
        .configure(move |state| {
            let set = wire::variable_set(known(state, id)?);
            Ok((set, vec![Change::DeleteVariableSet(id)]))
        })
        .await?;
    Ok((StatusCode::ACCEPTED, Json(set)))
}

fn known(state: &State, id: VariableSetId) -> Answer<&VariableSet> {
    let set = state.variables().sets().get(&id);
    set.map(|it| &**it)
        .ok_or_else(|| Failure::no_such("variable set", id))
}

async fn read(scope: &Scope, id: VariableSetId) -> Answer<api::VariableSet> {
    scope
        .ask(move |engine| known(engine.state(), id).map(wire::variable_set))
        .await
}

/// What is not sent stays as it is; a new one needs a name and a selector.
async fn put(scope: &Scope, id: VariableSetId, body: api::UpsertVariableSet) -> Answer<()> {
    let now = scope.now();
    scope
        .configure(move |state| {
            let old = known(state, id).ok();
            let text = |sent: &Option<String>, old: Option<&String>, field: &str| {
                let missing =
                    || Failure::new("missing_field", format!("`{field}` is missing")).at(field);
                sent.clone().or_else(|| old.cloned()).ok_or_else(missing)
            };
            let variables = match &body.variables {
                Some(sent) => values(sent)?,
                None => old.map(|old| old.variables.clone()).unwrap_or_default(),
            };
            let description = body.description.clone();
            let set = VariableSet {
                id,
                name: text(&body.name, old.map(|old| &old.name), "name")?,
                description: description
                    .or_else(|| old.map(|old| old.description.clone()))
                    .unwrap_or_default(),
                selector: text(&body.selector, old.map(|old| &old.selector), "selector")?,
                priority: body
                    .priority
                    .or(old.map(|old| old.priority))
                    .unwrap_or_default(),
                variables,
                created_at: old.map_or(now, |old| old.created_at),
                updated_at: now,
            };
            Ok(((), vec![Change::PutVariableSet(set)]))
        })
        .await
}

fn values(sent: &[api::VariableSetVariable]) -> Answer<BTreeMap<String, VariableValue>> {
    let mut values = BTreeMap::new();
    for (index, it) in sent.iter().enumerate() {
        let value = wire::read_value(&it.value, &format!("variables[{index}].value"))?;
        if values.insert(it.key.clone(), value).is_some() {
            let message = format!("the key `{}` stands twice", it.key);
            return Err(Failure::new("invalid_variable", message)
                .at(format!("variables[{index}].key"))
                .hint("keep one of them"));
        }
    }
    Ok(values)
}
