//! Looking at a workspace and at what is stored of it in one turn: who needs both waits once for a turn, and once
//! until what was seen is durable.

use crate::reads::For;
use crate::step::{Durable, Shard};
use crate::workspace::Pinned;
use crate::{Controller, ReadError, loading};
use stagegate_engine::{Engine, PackedResource, State};
use stagegate_model::{Environment, EnvironmentId, Fact, Policy, WorkspaceId};
use stagegate_store::Store;
use std::cell::Cell;
use std::collections::BTreeMap;
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
        self.see(|live| (look(live.engine()), live.seen()))
    }

    /// The same for who sees only configuration: that is durable as soon as what configured last is, however much was
    /// decided since.
    ///
    /// # Errors
    /// As [`Self::at`].
    pub fn at_configuration<T>(
        &self,
        look: impl FnOnce(Configuration<'_>) -> T,
    ) -> Result<T, ReadError> {
        self.see(|live| {
            let configuration = Configuration(live.engine().state());
            (look(configuration), live.seen_of_configuration())
        })
    }

    fn see<T>(&self, look: impl FnOnce(&Shard) -> (T, Durable)) -> Result<T, ReadError> {
        let looked = self.workspace.with(|live| match live.halted() {
            Some(halt) => Err(ReadError::from(halt.clone())),
            None => Ok(look(live)),
        });
        let (value, seen) = looked.ok_or_else(loading::has_left)??;
        let before = self.seen.get().unwrap_or(seen);
        self.is_torn
            .set(self.is_torn.get() || before.generation != seen.generation);
        self.seen.set(Some(Durable {
            seq: before.seq.max(seen.seq),
            ..seen
        }));
        Ok(value)
    }
}

/// That part of the state which [`configures`] is about, and nothing else.
pub struct Configuration<'s>(&'s State);

impl<'s> Configuration<'s> {
    #[must_use]
    pub fn environments(&self) -> &'s BTreeMap<EnvironmentId, Arc<Environment>> {
        self.0.environments()
    }

    #[must_use]
    pub fn environment_by_name(&self, name: &str) -> Option<&'s Arc<Environment>> {
        self.0.environment_by_name(name)
    }

    #[must_use]
    pub fn policy_by_name(&self, name: &str) -> Option<&'s Arc<Policy>> {
        self.0.policy_by_name(name)
    }

    #[must_use]
    pub fn resource_by_identifier(&self, identifier: &str) -> Option<&'s Arc<PackedResource>> {
        self.0.resource_by_identifier(identifier)
    }

    #[must_use]
    pub fn resource_count(&self) -> usize {
        self.0.resource_count()
    }

    /// Resources in the order of their ids, without so many at the beginning.
    pub fn resources_from(&self, place: usize) -> impl Iterator<Item = &'s Arc<PackedResource>> {
        self.0.resources_from(place)
    }
}

/// Whether a fact may change what [`Configuration`] shows. Those that come with every version and report do not; of any
/// other it is assumed.
pub(crate) fn configures(fact: &Fact) -> bool {
    !matches!(
        fact,
        Fact::VersionCreated { .. }
            | Fact::VersionChanged { .. }
            | Fact::PromotionOpened { .. }
            | Fact::PromotionMoved { .. }
            | Fact::PromotionEnded { .. }
            | Fact::GateChanged { .. }
            | Fact::JobsCreated { .. }
            | Fact::JobClaimed { .. }
            | Fact::JobChanged { .. }
            | Fact::ReportIgnored { .. }
            | Fact::ReleaseEnded { .. }
            | Fact::RetryScheduled { .. }
            | Fact::VerificationStarted { .. }
            | Fact::Measured { .. }
            | Fact::VerificationEnded { .. }
    )
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
                (value, Some(seen), false) if workspace.wait_durable(seen).await => {
                    return Ok(value);
                }
                // What was seen never became durable; look again.
                _ => {}
            }
        }
    }
}
