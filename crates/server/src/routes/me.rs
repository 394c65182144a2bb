//! Who is asking.

use crate::answer::{Answer, Json};
use crate::people::People;
use crate::scope::Scope;
use crate::wire;
use stagegate_api::Me;

pub(super) async fn get(scope: Scope) -> Answer<Json<Me>> {
    let people = People::of(&scope).await?;
    let workspace = scope
        .read(|engine| engine.state().workspace().map(wire::workspace))
        .await?;
    Ok(Json(Me {
        user_id: scope.caller.user.to_string(),
        user_name: people.name(scope.caller.user),
        key_id: scope.caller.key.to_string(),
        role: scope.caller.role.to_string(),
        workspaces: workspace.into_iter().collect(),
    }))
}
