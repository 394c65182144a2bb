//! Looking at a workspace for what messages need: names from the state, what has ended from the archive.

use super::compose::About;
use super::events::{Lookup, News, Subject, news};
use crate::workspace::Workspace;
use serde::de::DeserializeOwned;
use stagegate_engine::{Job, Promotion, State, Verification};
use stagegate_integrations::notify::Named;
use stagegate_model::{
    Entry, JobId, Notifier, NotifierId, PromotionId, VerificationId, VersionId, WorkspaceId,
};
use stagegate_store::{Store, StoreError};
use std::cell::Cell;
use std::sync::Arc;
use uuid::Uuid;

/// Something could not be looked at; it is tried again. Who asks for the reason finds it at the workspace.
#[derive(Debug)]
pub(crate) struct Trouble;

impl From<StoreError> for Trouble {
    fn from(_: StoreError) -> Self {
        Self
    }
}

/// One look at a workspace.
pub(crate) struct Sight<'a> {
    workspace: &'a Workspace,
    pub store: &'a dyn Store,
    pub base_url: Option<Arc<str>>,
    /// Whether something could not be read: then what was not found may be there.
    troubled: Cell<bool>,
}

impl<'a> Sight<'a> {
    pub fn new(workspace: &'a Workspace, store: &'a dyn Store, base_url: Option<Arc<str>>) -> Self {
        Self {
            workspace,
            store,
            base_url,
            troubled: Cell::new(false),
        }
    }

    pub fn id(&self) -> WorkspaceId {
        self.workspace.id
    }

    /// Looks at the state; a halted workspace may have lost it.
    pub fn state<T>(&self, look: impl FnOnce(&State) -> T) -> Result<T, Trouble> {
        let live = self.workspace.live();
        match live.halted() {
            Some(_) => Err(Trouble),
            None => Ok(look(live.engine().state())),
        }
    }

    pub fn notifiers(&self) -> Result<Vec<Arc<Notifier>>, Trouble> {
        self.state(|state| state.notifiers().values().cloned().collect())
    }

    pub fn notifier(&self, id: NotifierId) -> Result<Option<Arc<Notifier>>, Trouble> {
        self.state(|state| state.notifiers().get(&id).cloned())
    }

    /// What the entry is worth telling.
    pub fn news(&self, entry: &Entry) -> Result<Vec<News>, Trouble> {
        self.troubled.set(false);
        let found = news(entry, self);
        match self.troubled.get() {
            true => Err(Trouble),
            false => Ok(found),
        }
    }

    /// What a subject is; `None` when its deployment is gone and nothing can be said of it.
    pub fn about(&self, subject: Subject) -> Result<Option<About>, Trouble> {
        self.troubled.set(false);
        let (promotion, version, environment) = match subject {
            Subject::Version(version) => (None, version, None),
            Subject::Promotion(id) => match self.promotion(id) {
                Some(it) => (Some(id), it.version, Some(it.environment)),
                None if self.troubled.get() => return Err(Trouble),
                None => return Ok(None),
            },
        };
        self.state(|state| {
            let version = state.versions().get(&version)?;
            let deployment = state.deployments().get(&version.deployment)?;
            let environment = match environment {
                Some(id) => Some(Arc::clone(state.environments().get(&id)?)),
                None => None,
            };
            let name = state.workspace().map(|info| info.slug.clone());
            Some(About {
                workspace: Named {
                    id: self.id().to_string(),
                    name: name.unwrap_or_default(),
                },
                deployment: Arc::clone(deployment),
                version: Arc::clone(version),
                environment,
                promotion,
            })
        })
    }

    fn promotion(&self, id: PromotionId) -> Option<Promotion> {
        self.find("promotion", id.0, |state| {
            state.promotions().get(&id).cloned()
        })
    }

    /// From memory, or else from the archive.
    fn find<T: DeserializeOwned>(
        &self,
        kind: &str,
        id: Uuid,
        look: impl FnOnce(&State) -> Option<T>,
    ) -> Option<T> {
        let Ok(in_memory) = self.state(look) else {
            self.troubled.set(true);
            return None;
        };
        if in_memory.is_some() {
            return in_memory;
        }
        match self.store.archived(self.id(), kind, id) {
            Ok(record) => record.and_then(|it| serde_json::from_slice(&it.body).ok()),
            Err(_) => {
                self.troubled.set(true);
                None
            }
        }
    }
}

impl Lookup for Sight<'_> {
    fn version_of(&self, promotion: PromotionId) -> Option<VersionId> {
        self.promotion(promotion).map(|it| it.version)
    }

    fn promotion_of_job(&self, job: JobId) -> Option<PromotionId> {
        let found: Option<Job> = self.find("job", job.0, |state| state.jobs().get(&job).cloned());
        found.map(|job| job.promotion)
    }

    fn job_of_verification(&self, id: VerificationId) -> Option<JobId> {
        let found: Option<Verification> = self.find("verification", id.0, |state| {
            state.verifications().get(&id).cloned()
        });
        found.map(|verification| verification.job)
    }
}
