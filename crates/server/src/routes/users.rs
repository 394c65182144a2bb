//! Persons. Their names are kept beside the log, so that they can be erased.

use crate::answer::{Answer, Failure, Json};
use crate::body::{Body, Query};
use crate::scope::Scope;
use axum::http::StatusCode;
use stagegate_api as api;
use stagegate_controller::SideWrite;
use stagegate_engine::NAME_CHARS_MAX;
use stagegate_model::{Command, Role, UserId};
use stagegate_store::User;
use uuid::Uuid;

pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::User>>> {
    let named = scope
        .store(|store, workspace| store.users(workspace))
        .await?;
    let page = scope
        .read(move |engine| {
            let users = engine.state().users().iter();
            let all = users.map(|(id, role)| {
                let known = named.iter().find(|user| user.id == *id);
                api::User {
                    id: id.to_string(),
                    name: known.map_or_else(|| format!("user {id}"), |user| user.name.clone()),
                    email: known.and_then(|user| user.email.clone()),
                    role: role.to_string(),
                    created_at: None,
                }
            });
            api::Page::cut(all, paging.limit(), paging.offset())
        })
        .await?;
    Ok(Json(page))
}

pub(super) async fn create(
    scope: Scope,
    Body(body): Body<api::CreateUser>,
) -> Answer<(StatusCode, Json<api::User>)> {
    let role = role(&body.role)?;
    check_name(&body.name)?;
    // Held so that two persons cannot take one name at the same time.
    let lock = scope.app.configuring(scope.workspace());
    let _held = lock.lock().await;
    let users = scope
        .store(|store, workspace| store.users(workspace))
        .await?;
    if users.iter().any(|user| user.name == body.name) {
        let message = format!("there is a user `{}` already", body.name);
        return Err(Failure::new("name_taken", message).at("name"));
    }
    let id = UserId(Uuid::now_v7());
    let user = User {
        id,
        workspace: scope.workspace(),
        name: body.name.clone(),
        email: body.email.clone().filter(|email| !email.is_empty()),
    };
    let side = vec![SideWrite::PutUser(user)];
    let committed = scope.submit(Command::CreateUser { id, role }, side).await?;
    let user = api::User {
        id: id.to_string(),
        name: body.name,
        email: body.email,
        role: role.to_string(),
        created_at: Some(committed.time.to_string()),
    };
    Ok((StatusCode::CREATED, Json(user)))
}

pub(super) fn role(text: &str) -> Answer<Role> {
    Role::parse(text).ok_or_else(|| {
        let known: Vec<_> = Role::ALL.iter().map(|it| it.as_str()).collect();
        Failure::new("invalid_value", format!("there is no role `{text}`"))
            .at("role")
            .hint(format!("the roles are: {}", known.join(", ")))
    })
}

pub(super) fn check_name(name: &str) -> Answer<()> {
    let bad = name.trim().is_empty()
        || name.chars().count() > NAME_CHARS_MAX
        || name.chars().any(char::is_control);
    if bad {
        let message = format!(
            "a name has 1 to {NAME_CHARS_MAX} characters, none of them a control character"
        );
        return Err(Failure::new("invalid_name", message).at("name"));
    }
    Ok(())
}
