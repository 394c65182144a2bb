//! Versions, as CI announces them.

use super::{deployments, refuse_filter};
use crate::answer::{Accepted, Answer, Failure, Json, accepted};
use crate::body::{Body, Query};
use crate::scope::{Scope, parse_id};
use crate::wire;
use axum::http::StatusCode;
use serde::Deserialize;
use stagegate_api as api;
use stagegate_model::{
    Command, DeploymentId, Fact, Json as AnyJson, NewVersion, Timestamp, VersionDependency,
    VersionId, VersionPatch, VersionStatus,
};
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    limit: Option<usize>,
    offset: Option<usize>,
    order: Option<String>,
    cel: Option<String>,
}

pub(super) async fn list(
    scope: Scope,
    Query(query): Query<ListQuery>,
) -> Answer<Json<api::Page<api::DeploymentVersionWithDependencies>>> {
    refuse_filter(query.cel.as_deref())?;
    let deployment: DeploymentId = scope.id("deploymentId")?;
    let oldest_first = match query.order.as_deref() {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(other) => {
            let message = format!("`{other}` is no order");
            return Err(Failure::new("invalid_query", message)
                .at("order")
                .hint("use `asc` or `desc`"));
        }
    };
    let paging = api::Paging {
        limit: query.limit,
        offset: query.offset,
    };
    let page = scope
        .ask(move |engine| {
            let state = engine.state();
            deployments::known(state, deployment)?;
            let mut all: Vec<_> = state.versions_of(deployment).collect();
            if oldest_first {
                all.reverse();
            }
            Ok(
                api::Page::cut(all, paging.limit(), paging.offset()).map(|it| {
                    api::DeploymentVersionWithDependencies {
                        version: wire::version(it),
                        dependencies: wire::dependencies(&it.dependencies),
                    }
                }),
            )
        })
        .await?;
    Ok(Json(page))
}

/// Sending the same content again is answered with the version that is there.
pub(super) async fn create(
    scope: Scope,
    Body(body): Body<api::CreateVersion>,
) -> Answer<Json<api::DeploymentVersion>> {
    let deployment: DeploymentId = scope.id("deploymentId")?;
    let dependencies = body.dependencies.unwrap_or_default().into_iter();
    let dependencies = dependencies.map(|(deployment, needed)| {
        let id = parse_id::<DeploymentId>(&deployment, "dependencies")?;
        Ok((id, needed_version(needed)))
    });
    let dependencies = dependencies.collect::<Answer<BTreeMap<_, _>>>()?;
    let status = match body.status.as_str() {
        "" => VersionStatus::Ready,
        text => version_status(text)?,
    };
    let tag = body.tag.clone();
    let object = |map: Option<api::JsonMap>| AnyJson::Object(map.unwrap_or_default());
    let new = NewVersion {
        job_limits: wire::read_limits(body.job_limits.as_ref(), None)?,
        id: VersionId(Uuid::now_v7()),
        deployment,
        tag: body.tag,
        name: body.name,
        config: object(body.config),
        job_agent_config: object(body.job_agent_config),
        dependencies,
        status,
        message: body.message.unwrap_or_default(),
        metadata: body.metadata.unwrap_or_default(),
        created_at: created_at(body.created_at.as_deref())?,
    };
    let committed = scope
        .submit(Command::CreateVersion(new), Vec::new())
        .await?;
    // What the log says of it is how it stands: versions stand as they were made until somebody changes them.
    let created = committed.facts.iter().find_map(|fact| match fact {
        Fact::VersionCreated { version } => Some(wire::version(version)),
        _ => None,
    });
    if let Some(created) = created {
        return Ok(Json(created));
    }
    let version = scope
        .ask(move |engine| {
            let version = engine.state().version_by_tag(deployment, &tag);
            version
                .map(|it| wire::version(it))
                .ok_or_else(|| Failure::no_such("version", &tag))
        })
        .await?;
    Ok(Json(version))
}

pub(super) async fn update(
    scope: Scope,
    Body(body): Body<api::UpdateVersion>,
) -> Answer<Accepted<api::ChangedVersion>> {
    let id: VersionId = scope.id("deploymentVersionId")?;
    if let Some(sent) = created_at(body.created_at.as_deref())? {
        let known = scope
            .read(move |engine| engine.state().versions().get(&id).map(|it| it.created_at))
            .await?;
        if known.is_some_and(|known| known != sent) {
            return Err(Failure::new(
                "invalid_value",
                "the time of creation is fixed: it orders the versions",
            )
            .at("createdAt")
            .hint("leave it out"));
        }
    }
    let status = body.status.as_deref().map(version_status).transpose()?;
    let rolled_back_targets = match status {
        Some(VersionStatus::Rejected) => {
            scope
                .read(move |engine| {
                    let known = engine.state().versions().get(&id);
                    let news = known.is_some_and(|it| it.status != VersionStatus::Rejected);
                    let undone = super::orders::undone_by_rejection(engine, id);
                    Some(undone.targets.len()).filter(|_| news)
                })
                .await?
        }
        _ => None,
    };
    let patch = VersionPatch {
        id,
        tag: body.tag,
        name: body.name,
        config: body.config.map(AnyJson::Object),
        job_agent_config: body.job_agent_config.map(AnyJson::Object),
        dependencies: BTreeMap::new(),
        status,
        message: body.message,
        metadata: body.metadata,
    };
    scope
        .submit(Command::UpdateVersion(patch), Vec::new())
        .await?;
    let version = scope
        .read(move |engine| {
            let version = engine.state().versions().get(&id);
            version
                .map(|it| wire::version(it))
                .ok_or_else(|| Failure::no_such("version", id))
        })
        .await?;
    let changed = api::ChangedVersion {
        version: version?,
        rolled_back_targets,
    };
    Ok((StatusCode::ACCEPTED, Json(changed)))
}

pub(super) async fn list_dependencies(
    scope: Scope,
) -> Answer<Json<Vec<api::DeploymentVersionDependency>>> {
    let id: VersionId = scope.id("deploymentVersionId")?;
    let dependencies = scope
        .ask(move |engine| {
            let version = engine.state().versions().get(&id);
            let version = version.ok_or_else(|| Failure::no_such("version", id))?;
            Ok(wire::dependencies(&version.dependencies))
        })
        .await?;
    let told =
        dependencies
            .into_iter()
            .map(|(deployment, needed)| api::DeploymentVersionDependency {
                deployment_version_id: id.to_string(),
                dependency_deployment_id: deployment,
                version_selector: needed.version_selector,
            });
    Ok(Json(told.collect()))
}

pub(super) async fn put_dependency(
    scope: Scope,
    Body(body): Body<api::VersionDependency>,
) -> Answer<Accepted<api::Accepted>> {
    change_dependency(&scope, Some(needed_version(body))).await?;
    Ok(accepted(
        scope.text("deploymentVersionId"),
        "the dependency was stored",
    ))
}

pub(super) async fn delete_dependency(scope: Scope) -> Answer<Accepted<api::Accepted>> {
    change_dependency(&scope, None).await?;
    Ok(accepted(
        scope.text("deploymentVersionId"),
        "the dependency was deleted",
    ))
}

async fn change_dependency(scope: &Scope, needed: Option<VersionDependency>) -> Answer<()> {
    let patch = VersionPatch {
        id: scope.id("deploymentVersionId")?,
        tag: None,
        name: None,
        config: None,
        job_agent_config: None,
        dependencies: [(scope.id("dependencyDeploymentId")?, needed)].into(),
        status: None,
        message: None,
        metadata: None,
    };
    scope
        .submit(Command::UpdateVersion(patch), Vec::new())
        .await?;
    Ok(())
}

fn needed_version(body: api::VersionDependency) -> VersionDependency {
    VersionDependency {
        version_selector: body.version_selector,
    }
}

fn version_status(text: &str) -> Answer<VersionStatus> {
    VersionStatus::parse(text).ok_or_else(|| {
        let known: Vec<_> = VersionStatus::ALL.iter().map(|it| it.as_str()).collect();
        Failure::new(
            "invalid_status",
            format!("a version has no status `{text}`"),
        )
        .at("status")
        .hint(format!("the statuses are: {}", known.join(", ")))
    })
}

fn created_at(text: Option<&str>) -> Answer<Option<Timestamp>> {
    let parse = |text: &str| {
        text.parse().map_err(|_| {
            Failure::new("invalid_value", format!("`{text}` is not a time"))
                .at("createdAt")
                .hint("write it as 2026-01-31T09:00:00Z")
        })
    };
    text.map(parse).transpose()
}
