//! Looking at a workspace and at what is stored of it in one turn: who needs both waits once for a turn, and once
//! until what was seen is durable.

use crate::reads::For;
use crate::step::Durable;
use crate::workspace::Pinned;
use crate::{Controller, ReadError, loading};
use stagegate_engine::Engine;
use stagegate_model::WorkspaceId;
use stagegate_store::Store;
use std::cell::Cell;
use std::sync::Arc;

/// A workspace while somebody looks at it.
pub struct Looking<'l> {
    workspace: &'l Pinned,
    store: &'l dyn Store,
    seen: Cell<Option<Durable>>,
    /// Two looks saw what cannot both become durable.
    is_torn: Cell<bool>,
}

impl Looking<'_> {
    /// What is stored. All of it is durable.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        self.store
    }

    #[must_use]
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace.id
    }

    /// Looks at the state as it is now. Nothing is decided meanwhile: what takes long, such as asking the store, does
    /// not belong in here.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] when the log can no longer be written or read.
    pub fn at<T>(&self, look: impl FnOnce(&Engine) -> T) -> Result<T, ReadError> {
        let looked = self.workspace.with(|live| match live.halted() {
            Some(halt) => Err(ReadError::from(halt.clone())),
            None => Ok((look(live.engine()), live.seen())),
        });
        let (value, seen) = looked.ok_or_else(loading::has_left)??;
        let before = self.seen.replace(Some(seen));
        if before.is_some_and(|before| before.generation != seen.generation) {
            self.is_torn.set(true);
        }
        Ok(value)
    }
}

impl Controller {
    /// Looks at a workspace and at what is stored of it, as often as `work` likes; returns once everything that was
    /// seen is durable. `work` may be done again from the beginning.
    ///
    /// # Errors
    /// As [`Controller::read`]. What `work` itself meets is its own to give.
    pub async fn look<T, F>(&self, workspace: WorkspaceId, work: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: Fn(&Looking<'_>) -> T + Send + Sync + 'static,
    {
        let workspace = self.loaded(workspace).await?;
        let _place = self.shared.reads.place(For::Caller)?;
        let work = Arc::new(work);
        loop {
            let (held, working) = (workspace.clone(), Arc::clone(&work));
            let store = Arc::clone(self.store());
            let looked = self.in_turn(For::Caller, move || {
                let looking = Looking {
                    workspace: &held,
                    store: &*store,
                    seen: Cell::new(None),
                    is_torn: Cell::new(false),
                };
                let value = working(&looking);
                (value, looking.seen.get(), looking.is_torn.get())
            });
            match looked.await? {
                (value, None, _) => return Ok(value),
                // Looks later than the first saw at least as much.
                (value, Some(seen), false) if workspace.wait_durable(seen).await => {
                    return Ok(value);
                }
                // What was seen never became durable; look again.
                _ => {}
            }
        }
    }
}
