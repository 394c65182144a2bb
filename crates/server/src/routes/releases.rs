//! Releases: what targets were given.

use crate::answer::{Answer, Failure, Json};
use crate::archive;
use crate::scope::Scope;
use crate::wire;
use stagegate_api as api;
use stagegate_engine::Release;
use stagegate_model::ReleaseId;

pub(super) async fn get(scope: Scope) -> Answer<Json<api::Release>> {
    let id: ReleaseId = scope.id("releaseId")?;
    let known = scope
        .read(move |engine| {
            let state = engine.state();
            state.releases().get(&id).map(|it| wire::release(state, it))
        })
        .await?;
    if let Some(release) = known {
        return Ok(Json(release));
    }
    let archived: Option<Release> = archive::one(&scope, "release", id.0).await?;
    let archived = archived.ok_or_else(|| Failure::no_such("release", id))?;
    let release = scope
        .read(move |engine| wire::release(engine.state(), &archived))
        .await?;
    Ok(Json(release))
}
