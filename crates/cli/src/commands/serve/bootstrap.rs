//! The first workspace, user and key: made whenever no admin key exists, whatever is there already.

use crate::failure::Failure;
use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use stagegate_controller::{Controller, SideWrite};
use stagegate_model::{Actor, Command, Role, UserId, WorkspaceId};
use stagegate_server::{NewKey, new_key};
use stagegate_store::User;
use std::ffi::OsString;
use uuid::Uuid;

/// Holds the first key, if it is not to be made up.
pub const BOOTSTRAP_KEY_VARIABLE: &str = "STAGEGATE_BOOTSTRAP_API_KEY";

/// The first user, and what the first key is called.
pub const ADMIN: &str = "admin";

/// The first workspace's name and slug.
const WORKSPACE: &str = "default";

/// A key that is given must have so many characters.
const KEY_CHARS_MIN: usize = 20;

/// What is to be made.
pub struct Bootstrap {
    /// The workspace, and whether it must be made.
    workspace: (WorkspaceId, bool),
    /// The user, and whether it must be made.
    user: (UserId, bool),
    key: NewKey,
    /// Whether the key was given; then it is not printed.
    given: bool,
}

/// What has to be made so that somebody can get in; nothing when an admin key exists.
pub async fn needed(controller: &Controller, given: Option<OsString>) -> Result<Option<Bootstrap>> {
    let mut workspaces = Vec::new();
    for id in likely_first(controller)? {
        let looked = controller.read(id, |engine| {
            let state = engine.state();
            let has_admin_key = state
                .keys()
                .values()
                .any(|key| key.role == Role::Admin && !key.revoked);
            let slug = state
                .workspace()
                .map(|info| info.slug.clone())
                .unwrap_or_default();
            let admins: Vec<UserId> = state
                .users()
                .iter()
                .filter(|(_, role)| **role == Role::Admin)
                .map(|(id, _)| *id)
                .collect();
            (has_admin_key, slug, admins)
        });
        let (has_admin_key, slug, admins) = looked.await?;
        if has_admin_key {
            return Ok(None);
        }
        workspaces.push((id, slug, admins));
    }
    // `default` if it is there, otherwise the first.
    workspaces.sort_by_key(|(id, slug, _)| (slug != WORKSPACE, *id));
    let (workspace, admins) = match workspaces.into_iter().next() {
        Some((id, _, admins)) => ((id, false), admins),
        None => ((WorkspaceId(Uuid::now_v7()), true), Vec::new()),
    };
    // A start that ended early may have left the user behind.
    let store = controller.store();
    let known = store.users(workspace.0)?;
    let left = admins.into_iter().find(|id| {
        known
            .iter()
            .any(|user| user.id == *id && user.name == ADMIN)
    });
    let user = match left {
        Some(id) => (id, false),
        None => (UserId(Uuid::now_v7()), true),
    };
    let mut key = new_key(workspace.0, user.0, Role::Admin, ADMIN, controller.now())
        .context("no key can be made: the system has no randomness to give")?;
    let given = match given {
        None => false,
        Some(given) => {
            key.secret = usable(given)?;
            key.stored.hash = Sha256::digest(key.secret.as_bytes()).into();
            if store.key_by_hash(&key.stored.hash)?.is_some() {
                return Err(Failure::local(
                    "invalid_value",
                    format!("the key in {BOOTSTRAP_KEY_VARIABLE} was in use before and is revoked, or is no admin's"),
                )
                .hint("set another one")
                .into());
            }
            true
        }
    };
    Ok(Some(Bootstrap {
        workspace,
        user,
        key,
        given,
    }))
}

/// The workspaces, beginning with one that seems to have an admin key: the log alone says whether it counts, but most
/// often no other one need be read.
fn likely_first(controller: &Controller) -> Result<Vec<WorkspaceId>> {
    let mut all = controller.workspaces();
    for index in 0..all.len() {
        let keys = controller.store().keys(all[index])?;
        let mut admins = keys.iter().filter(|key| key.role == Role::Admin.as_str());
        if admins.any(|key| key.revoked_at.is_none()) {
            all[..=index].rotate_right(1);
            break;
        }
    }
    Ok(all)
}

/// The given key, if it can be one.
fn usable(given: OsString) -> Result<String> {
    let refused = |what: String| {
        Failure::usage("invalid_value", format!("{BOOTSTRAP_KEY_VARIABLE} {what}"))
            .hint("make one with `echo sgk_$(openssl rand -hex 32)`")
    };
    let key = given
        .into_string()
        .map_err(|_| refused("is not text".to_owned()))?;
    let key = key.trim();
    if !key.chars().all(|letter| letter.is_ascii_graphic()) {
        return Err(refused("has characters that no header can carry".to_owned()).into());
    }
    let length = key.chars().count();
    if length < KEY_CHARS_MIN {
        return Err(refused(format!(
            "has {length} characters; a key needs at least {KEY_CHARS_MIN}"
        ))
        .into());
    }
    Ok(key.to_owned())
}

impl Bootstrap {
    /// The key, unless it was given.
    pub fn printed_key(&self) -> Option<&str> {
        (!self.given).then_some(&self.key.secret)
    }

    /// Makes what is missing. Ended at any point, it leaves something that the next start completes.
    pub async fn carry_out(self, controller: &Controller) -> Result<()> {
        let (workspace, create) = self.workspace;
        if create {
            controller
                .create_workspace(workspace, WORKSPACE, WORKSPACE)
                .await?;
        }
        let (user, create) = self.user;
        if create {
            let person = User {
                id: user,
                workspace,
                name: ADMIN.to_owned(),
                email: None,
            };
            let command = Command::CreateUser {
                id: user,
                role: Role::Admin,
            };
            let side = vec![SideWrite::PutUser(person)];
            controller
                .submit(workspace, Actor::System, command, side)
                .await?;
        }
        let stored = self.key.stored;
        let command = Command::CreateKey {
            id: stored.id,
            owner: user,
            role: Role::Admin,
            name: stored.name.clone(),
        };
        let side = vec![SideWrite::PutKey(stored)];
        controller
            .submit(workspace, Actor::System, command, side)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_controller::SystemClock;
    use stagegate_store::{SqliteStore, Store};
    use std::sync::Arc;

    fn store() -> Arc<dyn Store> {
        Arc::new(SqliteStore::in_memory().unwrap())
    }

    fn start(store: &Arc<dyn Store>) -> Controller {
        Controller::start(Arc::clone(store), Arc::new(SystemClock)).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_start_that_ended_early_is_completed_by_the_next() {
        // Ended after the workspace; ended after the user too.
        for steps in 1..=2 {
            let store = store();
            let controller = start(&store);
            let first = needed(&controller, None).await.unwrap().unwrap();
            let (workspace, user) = (first.workspace.0, first.user.0);
            controller
                .create_workspace(workspace, WORKSPACE, WORKSPACE)
                .await
                .unwrap();
            if steps == 2 {
                let person = User {
                    id: user,
                    workspace,
                    name: ADMIN.to_owned(),
                    email: None,
                };
                let command = Command::CreateUser {
                    id: user,
                    role: Role::Admin,
                };
                let side = vec![SideWrite::PutUser(person)];
                controller
                    .submit(workspace, Actor::System, command, side)
                    .await
                    .unwrap();
            }
            controller.shutdown().await;

            let controller = start(&store);
            let next = needed(&controller, None).await.unwrap().unwrap();
            let secret = next.printed_key().unwrap().to_owned();
            next.carry_out(&controller).await.unwrap();
            assert_eq!(controller.workspaces(), [workspace]);
            assert_eq!(store.users(workspace).unwrap().len(), 1);
            let hash = Sha256::digest(secret.as_bytes()).into();
            let key = store.key_by_hash(&hash).unwrap().unwrap();
            assert_eq!((key.workspace, key.role.as_str()), (workspace, "admin"));
            if steps == 2 {
                assert_eq!(key.owner, user);
            }
            assert!(needed(&controller, None).await.unwrap().is_none());
            controller.shutdown().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_key_that_is_given_is_not_printed_and_must_be_long() {
        let store = store();
        let controller = start(&store);
        for short in ["sgk_short", "sgk_with spaces in it, and long"] {
            let refused = needed(&controller, Some(short.into())).await;
            let refused = refused.err().unwrap().to_string();
            assert!(refused.contains(BOOTSTRAP_KEY_VARIABLE), "{refused}");
        }
        let given = "any-text-of-20-chars";
        let first = needed(&controller, Some(given.into()))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(first.printed_key(), None);
        first.carry_out(&controller).await.unwrap();
        let hash = Sha256::digest(given.as_bytes()).into();
        assert!(store.key_by_hash(&hash).unwrap().is_some());
        controller.shutdown().await;
    }
}
