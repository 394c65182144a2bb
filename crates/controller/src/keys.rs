//! Keys as they are durable. Every request asks for one; none has to wait for the state, nor for what is being written.

use crate::{Controller, ReadError};
use stagegate_engine::{Key, State};
use stagegate_model::{Fact, KeyId, WorkspaceId};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// The keys of one workspace.
#[derive(Default)]
pub(crate) struct Keys(RwLock<BTreeMap<KeyId, Key>>);

impl Keys {
    /// Those of a state that is durable.
    pub fn of(state: &State) -> Self {
        Self(RwLock::new(state.keys().clone()))
    }

    pub fn replace(&self, state: &State) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = state.keys().clone();
    }

    /// Follows facts that have become durable, as the fold does.
    pub fn follow(&self, facts: &[Fact]) {
        for fact in facts {
            match fact {
                Fact::KeyCreated { id, owner, role } => {
                    let key = Key {
                        owner: *owner,
                        role: *role,
                        revoked: false,
                    };
                    let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
                    keys.insert(*id, key);
                }
                Fact::KeyRevoked { id } => {
                    let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
                    if let Some(key) = keys.get_mut(id) {
                        key.revoked = true;
                    }
                }
                _ => {}
            }
        }
    }

    fn get(&self, id: KeyId) -> Option<Key> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(&id).cloned()
    }
}

impl Controller {
    /// A key as the durable log has it.
    ///
    /// # Errors
    /// When there is no such workspace, or it is halted.
    pub fn key(&self, workspace: WorkspaceId, id: KeyId) -> Result<Option<Key>, ReadError> {
        let workspace = self.find(workspace).ok_or(ReadError::NoWorkspace)?;
        match workspace.halt() {
            Some(halt) => Err(halt.into()),
            None => Ok(workspace.keys.get(id)),
        }
    }
}
