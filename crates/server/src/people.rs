//! Names of persons. The log knows ids only; who was erased stays an id.

use crate::answer::Answer;
use crate::scope::Scope;
use stagegate_model::{Actor, UserId};
use std::collections::BTreeMap;

/// What Stagegate itself is called where a person would be named.
const SELF: &str = "stagegate";

/// The workspace's persons by name.
#[derive(Clone, Default)]
pub(crate) struct People(BTreeMap<UserId, String>);

impl People {
    pub async fn of(scope: &Scope) -> Answer<Self> {
        let users = scope
            .store(|store, workspace| store.users(workspace))
            .await?;
        Ok(Self(
            users.into_iter().map(|user| (user.id, user.name)).collect(),
        ))
    }

    /// The person's name; the id where it is not known.
    pub fn name(&self, user: UserId) -> String {
        self.0
            .get(&user)
            .cloned()
            .unwrap_or_else(|| format!("user {user}"))
    }

    pub fn actor(&self, actor: &Actor) -> String {
        actor
            .user()
            .map_or_else(|| SELF.to_owned(), |user| self.name(user))
    }
}
