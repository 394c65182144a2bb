//! The workspace at a glance.

use crate::answer::{Answer, Json};
use crate::body::Query;
use crate::overview::overview;
use crate::people::People;
use crate::references;
use crate::scope::Scope;
use serde::Deserialize;
use stagegate_api::Status;

#[derive(Deserialize)]
pub(super) struct StatusQuery {
    deployment: Option<String>,
}

pub(super) async fn get(scope: Scope, Query(query): Query<StatusQuery>) -> Answer<Json<Status>> {
    let now = scope.now();
    let people = People::of(&scope).await?;
    let mut status = scope
        .ask(move |engine| {
            let only = match &query.deployment {
                Some(text) => Some(references::deployment(engine.state(), text)?.id),
                None => None,
            };
            Ok(overview(engine, only, now).status)
        })
        .await?;
    people.status(&mut status);
    Ok(Json(status))
}
