//! Variables of deployments and resources, and what they come out as.

use super::deployments;
use super::release_targets::target_key;
use crate::answer::{Accepted, Answer, Failure, Json, accepted};
use crate::body::{Body, Query};
use crate::scope::{Scope, parse_id};
use crate::wire;
use stagegate_api as api;
use stagegate_engine::{PackedResource, State};
use stagegate_model::{
    Change, DeploymentId, DeploymentVariable, DeploymentVariableValue, VariableId, VariableValue,
    VariableValueId,
};
use std::collections::BTreeMap;

pub(super) async fn of_deployment(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::DeploymentVariableWithValues>>> {
    let id: DeploymentId = scope.id("deploymentId")?;
    let page = scope
        .ask(move |engine| {
            let state = engine.state();
            deployments::known(state, id)?;
            let all: Vec<_> = state.variables().of_deployment(id).collect();
            let page = api::Page::cut(all, paging.limit(), paging.offset());
            Ok(page.map(|it| wire::variable(it)))
        })
        .await?;
    Ok(Json(page))
}

fn known(state: &State, id: VariableId) -> Answer<&DeploymentVariable> {
    let variable = state.variables().get(id);
    variable
        .map(|it| &**it)
        .ok_or_else(|| Failure::no_such("variable", id))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::DeploymentVariableWithValues>> {
    let id: VariableId = scope.id("variableId")?;
    let found = scope
        .ask(move |engine| known(engine.state(), id).map(wire::variable))
        .await?;
    Ok(Json(found))
}

pub(super) async fn upsert(
    scope: Scope,
    Body(body): Body<api::UpsertDeploymentVariable>,
) -> Answer<Accepted<api::Accepted>> {
    let id: VariableId = scope.id("variableId")?;
    scope
        .configure(move |state| {
            let old = state.variables().get(id);
            let default = match &body.default_value {
                None => old.and_then(|old| old.default.clone()),
                Some(api::Json::Null) => None,
                Some(json) => Some(wire::read_value(json, "default")?),
            };
            let variable = DeploymentVariable {
                id,
                deployment: parse_id(&body.deployment_id, "deploymentId")?,
                key: body.key.clone(),
                description: body.description.clone().unwrap_or_default(),
                default,
                values: old.map(|old| old.values.clone()).unwrap_or_default(),
            };
            Ok(((), vec![Change::PutVariable(variable)]))
        })
        .await?;
    Ok(accepted(id, "the variable was stored"))
}

pub(super) async fn delete(scope: Scope) -> Answer<Accepted<api::Accepted>> {
    let id: VariableId = scope.id("variableId")?;
    scope
        .configure(move |state| {
            known(state, id)?;
            Ok(((), vec![Change::DeleteVariable(id)]))
        })
        .await?;
    Ok(accepted(id, "the variable was deleted"))
}

fn known_value(
    state: &State,
    id: VariableValueId,
) -> Answer<(&DeploymentVariable, &DeploymentVariableValue)> {
    let found = state.variables().value(id);
    found
        .map(|(variable, value)| (&**variable, value))
        .ok_or_else(|| Failure::no_such("variable value", id))
}

pub(super) async fn get_value(scope: Scope) -> Answer<Json<api::DeploymentVariableValue>> {
    let id: VariableValueId = scope.id("valueId")?;
    let found = scope
        .ask(move |engine| {
            let (variable, value) = known_value(engine.state(), id)?;
            Ok(wire::variable_value(variable, value))
        })
        .await?;
    Ok(Json(found))
}

pub(super) async fn upsert_value(
    scope: Scope,
    Body(body): Body<api::UpsertDeploymentVariableValue>,
) -> Answer<Accepted<api::Accepted>> {
    let id: VariableValueId = scope.id("valueId")?;
    scope
        .configure(move |state| {
            let owner: VariableId = parse_id(&body.deployment_variable_id, "deploymentVariableId")?;
            let mut variable = known(state, owner)?.clone();
            let value = DeploymentVariableValue {
                id,
                resource_selector: body.resource_selector.clone().unwrap_or_default(),
                priority: body.priority,
                value: wire::read_value(&body.value, "value")?,
            };
            match variable.values.iter_mut().find(|it| it.id == id) {
                Some(old) => *old = value,
                None => variable.values.push(value),
            }
            Ok(((), vec![Change::PutVariable(variable)]))
        })
        .await?;
    Ok(accepted(id, "the value was stored"))
}

pub(super) async fn delete_value(scope: Scope) -> Answer<Accepted<api::Accepted>> {
    let id: VariableValueId = scope.id("valueId")?;
    scope
        .configure(move |state| {
            let mut variable = known_value(state, id)?.0.clone();
            variable.values.retain(|it| it.id != id);
            Ok(((), vec![Change::PutVariable(variable)]))
        })
        .await?;
    Ok(accepted(id, "the value was deleted"))
}

fn named<'s>(state: &'s State, identifier: &str) -> Answer<&'s PackedResource> {
    let found = state.resource_by_identifier(identifier);
    found
        .map(|it| &**it)
        .ok_or_else(|| Failure::no_such("resource", identifier))
}

pub(super) async fn of_resource(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::ResourceVariable>>> {
    let identifier = scope.text("identifier").to_owned();
    let page = scope
        .ask(move |engine| {
            let state = engine.state();
            let resource = named(state, &identifier)?;
            let own = state.variables().of_resource(resource.id);
            let own = own.into_iter().flat_map(|own| own.iter());
            let all: Vec<_> = own.collect();
            let page = api::Page::cut(all, paging.limit(), paging.offset());
            Ok(page.map(|(key, value)| api::ResourceVariable {
                resource_id: resource.id.to_string(),
                key: key.clone(),
                value: value.written(),
            }))
        })
        .await?;
    Ok(Json(page))
}

/// The whole of a resource's own variables, as in v1: what is not sent is gone.
pub(super) async fn set_on_resource(
    scope: Scope,
    Body(body): Body<api::ResourceVariables>,
) -> Answer<Accepted<api::Accepted>> {
    let identifier = scope.text("identifier").to_owned();
    let id = scope
        .configure(move |state| {
            let resource = named(state, &identifier)?.id;
            let variables = own(&body)?;
            let change = Change::PutResourceVariables {
                resource,
                variables,
            };
            Ok((resource, vec![change]))
        })
        .await?;
    Ok(accepted(id, "the variables were stored"))
}

/// A resource's own variables as they were sent; `null` is none.
pub(super) fn own(sent: &api::ResourceVariables) -> Answer<BTreeMap<String, VariableValue>> {
    let set = sent.iter().filter(|(_, json)| !json.is_null());
    set.map(|(key, json)| {
        let value = wire::read_value(json, &format!("variables.{key}"))?;
        Ok((key.clone(), value))
    })
    .collect()
}

/// What the variables of a target would come out as now.
pub(super) async fn of_target(scope: Scope) -> Answer<Json<api::TargetVariables>> {
    let key = target_key(&scope)?;
    let found = scope
        .ask(move |engine| {
            let lane = engine.state().lane(key.into());
            let there = lane.is_some_and(|lane| lane.targets.contains_key(&key.resource));
            let resolution = engine.resolve_variables(key).filter(|_| there);
            let resolution = resolution.ok_or_else(|| Failure::no_such("release target", key))?;
            let resource = engine.state().resource(key.resource);
            Ok(api::TargetVariables {
                release_target: wire::release_target(key),
                resource: resource.map_or_else(String::new, |it| it.identifier().to_owned()),
                variables: wire::resolution(&resolution),
            })
        })
        .await?;
    Ok(Json(found))
}
