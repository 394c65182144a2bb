//! Keys as they are durable. Every request asks for one; none has to wait for the state, nor for what is being written.

use crate::{Controller, ReadError};
use stagegate_engine::{Key, State};
use stagegate_model::{Fact, KeyId, WorkspaceId};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// The keys of one workspace; none are known before it was in memory once.
#[derive(Default)]
pub(crate) struct Keys(RwLock<Option<BTreeMap<KeyId, Key>>>);

impl Keys {
    /// Those of a state that is durable.
    pub fn of(state: &State) -> Self {
        Self(RwLock::new(Some(state.keys().clone())))
    }

    pub fn replace(&self, state: &State) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(state.keys().clone());
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
                    if let Some(keys) = &mut *keys {
                        keys.insert(*id, key);
                    }
                }
                Fact::KeyRevoked { id } => {
                    let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
                    if let Some(key) = keys.as_mut().and_then(|keys| keys.get_mut(id)) {
                        key.revoked = true;
                    }
                }
                _ => {}
            }
        }
    }

    /// A key; the outer `None` while no keys are known.
    fn get(&self, id: KeyId) -> Option<Option<Key>> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.as_ref().map(|keys| keys.get(&id).cloned())
    }
}

impl Controller {
    /// A key as the durable log has it. A workspace that was not in memory since the process began is brought there.
    ///
    /// # Errors
    /// When there is no such workspace, it is halted, or it cannot be read.
    pub async fn key(&self, workspace: WorkspaceId, id: KeyId) -> Result<Option<Key>, ReadError> {
        let known = self.find(workspace).ok_or(ReadError::NoWorkspace)?;
        if let Some(halt) = known.halt() {
            return Err(halt.into());
        }
        if let Some(key) = known.keys.get(id) {
            return Ok(key);
        }
        let loaded = self.loaded(workspace).await?;
        match loaded.halt() {
            Some(halt) => Err(halt.into()),
            None => Ok(loaded.keys.get(id).flatten()),
        }
    }
}
