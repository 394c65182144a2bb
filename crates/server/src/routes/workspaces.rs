//! Workspaces: a key sees its own.

use crate::answer::{Answer, Failure, Json};
use crate::scope::Scope;
use crate::wire;
use stagegate_api::{Workspace, WorkspaceList};

pub(super) async fn list(scope: Scope) -> Answer<Json<WorkspaceList>> {
    let own = own(&scope).await?;
    Ok(Json(WorkspaceList {
        total: 1,
        workspaces: vec![own],
    }))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<Workspace>> {
    own(&scope).await.map(Json)
}

pub(super) async fn get_by_slug(scope: Scope) -> Answer<Json<Workspace>> {
    let slug = scope.text("workspaceSlug");
    let own = own(&scope).await?;
    if own.slug != slug {
        return Err(Failure::workspace_not_found(slug));
    }
    Ok(Json(own))
}

async fn own(scope: &Scope) -> Answer<Workspace> {
    let own = scope
        .read(|engine| engine.state().workspace().map(wire::workspace))
        .await?;
    own.ok_or_else(|| Failure::workspace_not_found(&scope.workspace().to_string()))
}
