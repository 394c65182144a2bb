//! Systems, and which deployments and environments belong to them.

use crate::answer::{Accepted, Answer, Failure, Json, accepted};
use crate::body::{Body, Query};
use crate::scope::Scope;
use crate::wire;
use stagegate_api as api;
use stagegate_engine::State;
use stagegate_model::{
    Change, Deployment, DeploymentId, Environment, EnvironmentId, System, SystemId,
};
use uuid::Uuid;

pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::System>>> {
    let page = scope
        .read(move |engine| {
            let state = engine.state();
            let mut systems: Vec<_> = state.systems().values().collect();
            systems.sort_by_key(|it| it.name.to_lowercase());
            api::Page::cut(systems, paging.limit(), paging.offset())
                .map(|it| wire::system(state, it))
        })
        .await?;
    Ok(Json(page))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::SystemWithLinkedEntities>> {
    let id: SystemId = scope.id("systemId")?;
    let found = scope
        .ask(move |engine| {
            let state = engine.state();
            let system = known(state, id)?;
            let environments = state.environments().values();
            let deployments = state.deployments().values();
            Ok(api::SystemWithLinkedEntities {
                system: wire::system(state, system),
                environments: environments
                    .filter(|it| it.systems.contains(&id))
                    .map(|it| wire::environment(it))
                    .collect(),
                deployments: deployments
                    .filter(|it| it.systems.contains(&id))
                    .map(|it| wire::deployment(it))
                    .collect(),
            })
        })
        .await?;
    Ok(Json(found))
}

pub(super) async fn create(
    scope: Scope,
    Body(body): Body<api::UpsertSystem>,
) -> Answer<Accepted<api::Accepted>> {
    put(&scope, SystemId(Uuid::now_v7()), body).await
}

pub(super) async fn upsert(
    scope: Scope,
    Body(body): Body<api::UpsertSystem>,
) -> Answer<Accepted<api::Accepted>> {
    put(&scope, scope.id("systemId")?, body).await
}

async fn put(
    scope: &Scope,
    id: SystemId,
    body: api::UpsertSystem,
) -> Answer<Accepted<api::Accepted>> {
    scope
        .configure(move |state| {
            let known = state.systems().get(&id);
            let slug = body.slug.clone().filter(|slug| !slug.is_empty());
            let system = System {
                id,
                name: body.name.clone(),
                slug: slug
                    .or_else(|| known.map(|it| it.slug.clone()))
                    .unwrap_or_else(|| slug_of(&body.name)),
                description: body.description.clone().unwrap_or_default(),
                metadata: body.metadata.clone().unwrap_or_default(),
            };
            Ok(((), vec![Change::PutSystem(system)]))
        })
        .await?;
    Ok(accepted(id, "the system was stored"))
}

pub(super) async fn delete(scope: Scope) -> Answer<Accepted<api::Accepted>> {
    let id: SystemId = scope.id("systemId")?;
    scope
        .configure(move |state| {
            known(state, id)?;
            Ok(((), vec![Change::DeleteSystem(id)]))
        })
        .await?;
    Ok(accepted(id, "the system was deleted"))
}

pub(super) async fn deployment_link(scope: Scope) -> Answer<Json<api::SystemDeploymentLink>> {
    let (system, deployment) = (scope.id("systemId")?, scope.id("deploymentId")?);
    let linked = scope
        .ask(move |engine| {
            let (_, deployment) = system_and_deployment(engine.state(), system, deployment)?;
            Ok(deployment.systems.contains(&system))
        })
        .await?;
    if !linked {
        return Err(Failure::new(
            "not_found",
            "the deployment does not belong to the system",
        ));
    }
    Ok(Json(api::SystemDeploymentLink {
        system_id: system.to_string(),
        deployment_id: deployment.to_string(),
    }))
}

pub(super) async fn link_deployment(scope: Scope) -> Answer<Accepted<api::Accepted>> {
    set_deployment(&scope, true).await
}

pub(super) async fn unlink_deployment(scope: Scope) -> Answer<Accepted<api::Accepted>> {
    set_deployment(&scope, false).await
}

async fn set_deployment(scope: &Scope, linked: bool) -> Answer<Accepted<api::Accepted>> {
    let (system, deployment) = (scope.id("systemId")?, scope.id("deploymentId")?);
    scope
        .configure(move |state| {
            let (_, known) = system_and_deployment(state, system, deployment)?;
            let mut changed = known.clone();
            if linked {
                changed.systems.insert(system);
            } else {
                changed.systems.remove(&system);
            }
            Ok(((), vec![Change::PutDeployment(changed)]))
        })
        .await?;
    Ok(accepted(system, link_message(linked)))
}

pub(super) async fn environment_link(scope: Scope) -> Answer<Json<api::SystemEnvironmentLink>> {
    let (system, environment) = (scope.id("systemId")?, scope.id("environmentId")?);
    let linked = scope
        .ask(move |engine| {
            let (_, environment) = system_and_environment(engine.state(), system, environment)?;
            Ok(environment.systems.contains(&system))
        })
        .await?;
    if !linked {
        return Err(Failure::new(
            "not_found",
            "the environment does not belong to the system",
        ));
    }
    Ok(Json(api::SystemEnvironmentLink {
        system_id: system.to_string(),
        environment_id: environment.to_string(),
    }))
}

pub(super) async fn link_environment(scope: Scope) -> Answer<Accepted<api::Accepted>> {
    set_environment(&scope, true).await
}

pub(super) async fn unlink_environment(scope: Scope) -> Answer<Accepted<api::Accepted>> {
    set_environment(&scope, false).await
}

async fn set_environment(scope: &Scope, linked: bool) -> Answer<Accepted<api::Accepted>> {
    let (system, environment) = (scope.id("systemId")?, scope.id("environmentId")?);
    scope
        .configure(move |state| {
            let (_, known) = system_and_environment(state, system, environment)?;
            let mut changed = known.clone();
            if linked {
                changed.systems.insert(system);
            } else {
                changed.systems.remove(&system);
            }
            Ok(((), vec![Change::PutEnvironment(changed)]))
        })
        .await?;
    Ok(accepted(system, link_message(linked)))
}

fn link_message(linked: bool) -> &'static str {
    if linked {
        "it belongs to the system"
    } else {
        "it no longer belongs to the system"
    }
}

fn known(state: &State, id: SystemId) -> Answer<&System> {
    let system = state.systems().get(&id);
    system
        .map(|it| &**it)
        .ok_or_else(|| Failure::no_such("system", id))
}

fn system_and_deployment(
    state: &State,
    system: SystemId,
    deployment: DeploymentId,
) -> Answer<(&System, &Deployment)> {
    let found = state.deployments().get(&deployment);
    let found = found.ok_or_else(|| Failure::no_such("deployment", deployment))?;
    Ok((known(state, system)?, found))
}

fn system_and_environment(
    state: &State,
    system: SystemId,
    environment: EnvironmentId,
) -> Answer<(&System, &Environment)> {
    let found = state.environments().get(&environment);
    let found = found.ok_or_else(|| Failure::no_such("environment", environment))?;
    Ok((known(state, system)?, found))
}

/// `Web Shop` becomes `web-shop`.
fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.to_lowercase().chars() {
        if letter.is_alphanumeric() {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

#[cfg(test)]
mod tests {
    #[test]
    fn slugs_come_from_names() {
        assert_eq!(super::slug_of("Web  Shop (EU)"), "web-shop-eu");
        assert_eq!(super::slug_of("--"), "");
    }
}
