//! Deployments.

use crate::answer::{Accepted, Answer, Failure, Json, accepted};
use crate::body::{Body, Query};
use crate::references;
use crate::routes::refuse_filter;
use crate::scope::Scope;
use crate::wire::{self, SELECTS_NOTHING};
use serde::Deserialize;
use stagegate_api as api;
use stagegate_engine::State;
use stagegate_model::{Change, Deployment, DeploymentId, Json as AnyJson};
use uuid::Uuid;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    limit: Option<usize>,
    offset: Option<usize>,
    cel: Option<String>,
}

pub(super) async fn list(
    scope: Scope,
    Query(query): Query<ListQuery>,
) -> Answer<Json<api::Page<api::DeploymentAndSystems>>> {
    refuse_filter(query.cel.as_deref())?;
    let paging = api::Paging {
        limit: query.limit,
        offset: query.offset,
    };
    let page = scope
        .read(move |engine| {
            let state = engine.state();
            let mut all: Vec<_> = state.deployments().values().collect();
            all.sort_by_key(|it| it.name.to_lowercase());
            api::Page::cut(all, paging.limit(), paging.offset()).map(|it| {
                api::DeploymentAndSystems {
                    deployment: wire::deployment(it),
                    systems: wire::systems(state, &it.systems),
                }
            })
        })
        .await?;
    Ok(Json(page))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::DeploymentWithVariablesAndSystems>> {
    let id: DeploymentId = scope.id("deploymentId")?;
    let found = scope
        .ask(move |engine| known(engine.state(), id).map(|it| in_full(engine.state(), it)))
        .await?;
    Ok(Json(found))
}

pub(super) async fn get_by_name(
    scope: Scope,
) -> Answer<Json<api::DeploymentWithVariablesAndSystems>> {
    let name = scope.text("name").to_owned();
    let found = scope
        .ask(move |engine| {
            let state = engine.state();
            Ok(in_full(state, references::deployment(state, &name)?))
        })
        .await?;
    Ok(Json(found))
}

pub(super) async fn create(
    scope: Scope,
    Body(body): Body<api::UpsertDeployment>,
) -> Answer<Accepted<api::Accepted>> {
    put(&scope, DeploymentId(Uuid::now_v7()), body).await
}

pub(super) async fn upsert(
    scope: Scope,
    Body(body): Body<api::UpsertDeployment>,
) -> Answer<Accepted<api::Accepted>> {
    put(&scope, scope.id("deploymentId")?, body).await
}

async fn put(
    scope: &Scope,
    id: DeploymentId,
    body: api::UpsertDeployment,
) -> Answer<Accepted<api::Accepted>> {
    let now = scope.now();
    scope
        .configure(move |state| {
            let known = state.deployments().get(&id);
            let or_nothing = |selector: &Option<String>| {
                selector
                    .clone()
                    .unwrap_or_else(|| SELECTS_NOTHING.to_owned())
            };
            let limits = known.map(|it| it.job_limits);
            let deployment = Deployment {
                id,
                job_limits: wire::read_limits(body.job_limits.as_ref(), limits)?,
                // As with the limits: a client that does not know of it leaves it as it is.
                redeploy_on_variable_change: body
                    .redeploy_on_variable_change
                    .unwrap_or_else(|| known.is_some_and(|it| it.redeploy_on_variable_change)),
                name: body.name.clone(),
                slug: body.slug.clone(),
                description: body.description.clone().unwrap_or_default(),
                metadata: body.metadata.clone().unwrap_or_default(),
                resource_selector: or_nothing(&body.resource_selector),
                job_agent_selector: or_nothing(&body.job_agent_selector),
                job_agent_config: AnyJson::Object(
                    body.job_agent_config.clone().unwrap_or_default(),
                ),
                systems: known.map(|it| it.systems.clone()).unwrap_or_default(),
                created_at: known.map_or(now, |it| it.created_at),
            };
            Ok(((), vec![Change::PutDeployment(deployment)]))
        })
        .await?;
    Ok(accepted(id, "the deployment was stored"))
}

pub(super) async fn delete(scope: Scope) -> Answer<Accepted<api::Accepted>> {
    let id: DeploymentId = scope.id("deploymentId")?;
    scope
        .configure(move |state| {
            known(state, id)?;
            Ok(((), vec![Change::DeleteDeployment(id)]))
        })
        .await?;
    Ok(accepted(id, "the deployment was deleted"))
}

pub(super) fn known(state: &State, id: DeploymentId) -> Answer<&Deployment> {
    let deployment = state.deployments().get(&id);
    deployment
        .map(|it| &**it)
        .ok_or_else(|| Failure::no_such("deployment", id))
}

fn in_full(state: &State, it: &Deployment) -> api::DeploymentWithVariablesAndSystems {
    api::DeploymentWithVariablesAndSystems {
        deployment: wire::deployment(it),
        systems: wire::systems(state, &it.systems),
        variables: state
            .variables()
            .of_deployment(it.id)
            .map(|it| wire::variable(it))
            .collect(),
    }
}
