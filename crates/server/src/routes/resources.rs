//! Resources, by the identifier that their providers know.

use super::variables;
use crate::answer::{Accepted, Answer, Failure, Json, accepted};
use crate::body::{Body, Query};
use crate::routes::refuse_filter;
use crate::scope::Scope;
use crate::wire;
use serde::Deserialize;
use stagegate_api as api;
use stagegate_controller::Looking;
use stagegate_model::{Change, Json as AnyJson, Resource, ResourceId};
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
) -> Answer<Json<api::Page<api::Resource>>> {
    refuse_filter(query.cel.as_deref())?;
    let paging = api::Paging {
        limit: query.limit,
        offset: query.offset,
    };
    let (limit, offset) = (paging.limit(), paging.offset());
    let look = move |looking: &Looking<'_>| {
        let workspace = looking.workspace().to_string();
        let page = looking.at_configuration(|configuration| {
            let told = configuration.resources_from(offset).take(limit);
            api::Page {
                items: told
                    .map(|it| wire::resource_in(workspace.clone(), it))
                    .collect(),
                limit,
                offset,
                total: configuration.resource_count(),
            }
        })?;
        Ok(page)
    };
    Ok(Json(scope.look(look).await?))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::Resource>> {
    let identifier = scope.text("identifier").to_owned();
    let look = move |looking: &Looking<'_>| {
        let workspace = looking.workspace().to_string();
        looking.at_configuration(|configuration| {
            let found = configuration.resource_by_identifier(&identifier);
            let found = found.ok_or_else(|| Failure::no_such("resource", &identifier))?;
            Ok(wire::resource_in(workspace, found))
        })?
    };
    Ok(Json(scope.look(look).await?))
}

pub(super) async fn upsert(
    scope: Scope,
    Body(body): Body<api::UpsertResource>,
) -> Answer<Accepted<api::Accepted>> {
    let own = body.variables.as_ref().map(variables::own).transpose()?;
    let identifier = scope.text("identifier").to_owned();
    let now = scope.now();
    let new_id = ResourceId(Uuid::now_v7());
    let id = scope
        .configure(move |state| {
            let known = state.resource_by_identifier(&identifier);
            let mut resource = Resource {
                id: known.map_or(new_id, |it| it.id),
                name: body.name.clone(),
                identifier: identifier.clone(),
                kind: body.kind.clone(),
                version: body.version.clone(),
                metadata: body.metadata.clone().unwrap_or_default(),
                config: AnyJson::Object(body.config.clone().unwrap_or_default()),
                created_at: known.map_or(now, |it| it.created_at),
                updated_at: known.and_then(|it| it.updated_at),
            };
            // The time of change is set only by a change, so that a provider that repeats itself writes nothing.
            if known.is_some_and(|it| it.whole() != resource) {
                resource.updated_at = Some(now);
            }
            let id = resource.id;
            let mut changes = vec![Change::PutResource(resource)];
            changes.extend(own.clone().map(|variables| Change::PutResourceVariables {
                resource: id,
                variables,
            }));
            Ok((id, changes))
        })
        .await?;
    Ok(accepted(id, "the resource was stored"))
}

pub(super) async fn delete(scope: Scope) -> Answer<Accepted<api::Accepted>> {
    let identifier = scope.text("identifier").to_owned();
    let id = scope
        .configure(move |state| {
            let found = state.resource_by_identifier(&identifier);
            let found = found.ok_or_else(|| Failure::no_such("resource", &identifier))?;
            Ok((found.id, vec![Change::DeleteResource(found.id)]))
        })
        .await?;
    Ok(accepted(id, "the resource was deleted"))
}
