//! API keys. The secret is told once; only its hash is stored, with the entry that creates the key.

use super::users::{check_name, role};
use crate::answer::{Answer, Failure, Json};
use crate::body::{Body, Query};
use crate::people::People;
use crate::scope::{Scope, parse_id};
use crate::secret::new_key;
use axum::http::StatusCode;
use stagegate_api as api;
use stagegate_controller::SideWrite;
use stagegate_engine::State;
use stagegate_model::{Command, KeyId, Role, UserId};
use stagegate_store::ApiKey;

pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::Key>>> {
    let people = People::of(&scope).await?;
    let keys = scope
        .store(|store, workspace| store.keys(workspace))
        .await?;
    let page = api::Page::cut(keys, paging.limit(), paging.offset());
    Ok(Json(page.map(|key| wire_key(&key, &people))))
}

fn wire_key(key: &ApiKey, people: &People) -> api::Key {
    api::Key {
        id: key.id.to_string(),
        name: key.name.clone(),
        user_id: key.owner.to_string(),
        user_name: Some(people.name(key.owner)),
        role: key.role.clone(),
        created_at: Some(key.created.to_string()),
        revoked_at: key.revoked_at.map(|at| at.to_string()),
    }
}

pub(super) async fn create(
    scope: Scope,
    Body(body): Body<api::CreateKey>,
) -> Answer<(StatusCode, Json<api::CreatedKey>)> {
    let role = role(&body.role)?;
    check_name(&body.name)?;
    let owner = owner(&scope, &body).await?;
    check_owner(&scope, owner, role).await?;
    let key = new_key(scope.workspace(), owner, role, &body.name, scope.now())
        .map_err(|_| Failure::internal())?;
    let command = Command::CreateKey {
        id: key.stored.id,
        owner,
        role,
        name: body.name,
    };
    let side = vec![SideWrite::PutKey(key.stored.clone())];
    scope.submit(command, side).await?;
    let people = People::of(&scope).await?;
    let created = api::CreatedKey {
        key: key.secret,
        info: wire_key(&key.stored, &people),
    };
    Ok((StatusCode::CREATED, Json(created)))
}

async fn owner(scope: &Scope, body: &api::CreateKey) -> Answer<UserId> {
    match (&body.user_id, &body.user) {
        (Some(_), Some(_)) => Err(Failure::new(
            "invalid_value",
            "`userId` and `user` both name the owner",
        )
        .at("user")
        .hint("give one of them")),
        (Some(id), None) => parse_id(id, "userId"),
        (None, Some(name)) => {
            let users = scope
                .store(|store, workspace| store.users(workspace))
                .await?;
            let named = users.iter().find(|user| user.name == *name);
            named
                .map(|user| user.id)
                .ok_or_else(|| Failure::no_such("user", name).at("user"))
        }
        (None, None) => Ok(scope.caller.user),
    }
}

/// A key does not make its owner more than he is.
async fn check_owner(scope: &Scope, owner: UserId, role: Role) -> Answer<()> {
    let known = scope
        .read(move |engine| engine.state().users().get(&owner).copied())
        .await?;
    let Some(his) = known else {
        return Err(Failure::no_such("user", owner).at("userId"));
    };
    if !his.allows(role) {
        let message = format!("its owner has the role {his}, which does not include {role}");
        return Err(Failure::new("invalid_value", message)
            .at("role")
            .hint(format!("give the key the role {his} or viewer")));
    }
    Ok(())
}

/// Refused at once from here on. Revoking a key again changes nothing.
pub(super) async fn revoke(scope: Scope) -> Answer<StatusCode> {
    let id: KeyId = scope.id("keyId")?;
    // Held so that two admins cannot revoke each other's last key at the same time.
    let lock = scope.app.configuring(scope.workspace());
    let _held = lock.lock().await;
    let last = scope
        .read(move |engine| is_last_admin(engine.state(), id))
        .await?;
    if last {
        return Err(Failure::new(
            "in_use",
            "this is the last admin's key: without it nobody could make another",
        )
        .hint("create another admin key first"));
    }
    let side = vec![SideWrite::RevokeKey {
        workspace: scope.workspace(),
        id,
        at: scope.now(),
    }];
    scope.submit(Command::RevokeKey { id }, side).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn is_last_admin(state: &State, id: KeyId) -> bool {
    let counts = |key: &stagegate_engine::Key| !key.revoked && key.role == Role::Admin;
    state.keys().get(&id).is_some_and(counts)
        && state.keys().values().filter(|key| counts(key)).count() == 1
}
