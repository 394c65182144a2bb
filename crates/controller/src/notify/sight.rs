//! Looking at a workspace for what messages need: names from the state, what has ended from the archive.

use super::compose::{About, Place, What};
use super::events::{Lookup, News, Subject, news};
use super::names::Names;
use crate::workspace::Workspace;
use serde::de::DeserializeOwned;
use stagegate_engine::{Engine, Job, Promotion, Release, State, Verification};
use stagegate_integrations::notify::Named;
use stagegate_model::{
    Entry, EnvironmentId, Fact, Freeze, FreezeId, JobId, Notifier, NotifierId, PromotionId,
    ReleaseId, Timestamp, UserId, VerificationId, VersionId, WorkspaceId,
};
use stagegate_store::{EntityRef, Store, StoreError};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Attempts of one promotion that are gone through for the one of an entry.
const ATTEMPTS_MAX: usize = 100;
/// Entries about one freeze that are gone through for how it was.
const CHANGES_MAX: usize = 10;

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
        self.engine(|engine| look(engine.state()))
    }

    fn engine<T>(&self, look: impl FnOnce(&Engine) -> T) -> Result<T, Trouble> {
        let looked = self.workspace.with(|live| match live.halted() {
            Some(_) => Err(Trouble),
            None => Ok(look(live.engine())),
        });
        looked.unwrap_or(Err(Trouble))
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

    /// What the news of an entry of that time are about; `None` when its deployment is gone and nothing can be said
    /// of it.
    pub fn about(&self, news: &News, time: Timestamp) -> Result<Option<About>, Trouble> {
        if let Some(freeze) = &news.freeze {
            return self.about_freeze(news, freeze, time).map(Some);
        }
        self.troubled.set(false);
        let promotion = news.promotion.and_then(|id| self.promotion(id));
        if self.troubled.get() {
            return Err(Trouble);
        }
        let (version, environment) = match (news.subject, &promotion) {
            (Subject::Version(version), _) => (version, None),
            (Subject::BreakGlass(version, environment), _) => (version, Some(environment)),
            (Subject::Promotion(_), Some(it)) => (it.version, Some(it.environment)),
            (Subject::Promotion(_) | Subject::Freeze(_), _) => return Ok(None),
        };
        let forced = promotion.as_ref().is_some_and(|it| it.break_glass);
        let break_glass = forced || matches!(news.subject, Subject::BreakGlass(..));
        let names = self.names(news)?;
        self.state(|state| {
            let version = state.versions().get(&version)?;
            let deployment = state.deployments().get(&version.deployment)?;
            let environment = match environment {
                Some(id) => Some(Arc::clone(state.environments().get(&id)?)),
                None => None,
            };
            Some(About {
                workspace: self.workspace_in(state),
                what: What::Version {
                    deployment: Arc::clone(deployment),
                    version: Arc::clone(version),
                },
                environment,
                promotion: promotion.map(|it| it.id),
                break_glass,
                names,
            })
        })
    }

    fn about_freeze(
        &self,
        news: &News,
        freeze: &Freeze,
        time: Timestamp,
    ) -> Result<About, Trouble> {
        let names = self.names(news)?;
        self.engine(|engine| {
            let state = engine.state();
            let places = engine.lanes_of(freeze).into_iter().filter_map(|lane| {
                Some(Place {
                    deployment: Arc::clone(state.deployments().get(&lane.deployment)?),
                    environment: Arc::clone(state.environments().get(&lane.environment)?),
                })
            });
            About {
                workspace: self.workspace_in(state),
                what: What::Freeze {
                    freeze: freeze.clone(),
                    is_known: freeze.created_at < time,
                    is_begun: freeze.starts_at <= time,
                    places: places.collect(),
                },
                environment: None,
                promotion: None,
                break_glass: false,
                names,
            }
        })
    }

    fn workspace_in(&self, state: &State) -> Named {
        let name = state.workspace().map(|info| info.slug.clone());
        Named {
            id: self.id().to_string(),
            name: name.unwrap_or_default(),
        }
    }

    /// The names of whom and what the news speak of.
    fn names(&self, news: &News) -> Result<Names, Trouble> {
        let mut names = Names::default();
        let told = || news.events.iter();
        let spoken_of = told().flat_map(|it| Names::persons_in(&it.words));
        let people: BTreeSet<UserId> = spoken_of.chain(told().filter_map(|it| it.person)).collect();
        for id in people {
            if let Some(user) = self.store.user(self.id(), id)? {
                names.people.insert(id, user.name);
            }
        }
        self.state(|state| {
            for id in told().flat_map(|it| &it.targets) {
                let resource = state.resource(*id);
                let name = resource.map(|resource| (*id, resource.name().to_owned()));
                names.resources.extend(name);
            }
            for id in told().filter_map(|it| it.back_to) {
                let version = state.versions().get(&id);
                names
                    .versions
                    .extend(version.map(|it| (id, it.tag.clone())));
            }
        })?;
        Ok(names)
    }

    /// What the entries about a freeze before that one say of it last.
    fn freeze_in_log(&self, id: FreezeId, before_seq: u64) -> Result<Option<Freeze>, StoreError> {
        let entity = EntityRef::new("freeze", id.0);
        let (store, workspace) = (self.store, self.id());
        let seqs = store.touching(workspace, &entity, Some(before_seq), CHANGES_MAX)?;
        for seq in seqs {
            let row = store.row(workspace, seq)?;
            let entry = row.and_then(|row| Entry::from_bytes(&row.body).ok());
            let facts = entry
                .into_iter()
                .flat_map(|entry| entry.facts.into_iter().rev());
            for fact in facts {
                match fact {
                    Fact::FreezePut { freeze } if freeze.id == id => return Ok(Some(freeze)),
                    Fact::FreezeDeleted { id: gone, .. } if gone == id => return Ok(None),
                    _ => {}
                }
            }
        }
        Ok(None)
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
        let found: Option<Job> = self.find("job", job.0, |state| {
            state.jobs().get(&job).map(|it| (**it).clone())
        });
        found.map(|job| job.promotion)
    }

    fn job_of_verification(&self, id: VerificationId) -> Option<JobId> {
        let found: Option<Verification> = self.find("verification", id.0, |state| {
            state.verifications().get(&id).cloned()
        });
        found.map(|verification| verification.job)
    }

    fn promotion_of_release(&self, release: ReleaseId) -> Option<PromotionId> {
        let found: Option<Release> = self.find("release", release.0, |state| {
            state.releases().get(&release).map(|it| (**it).clone())
        });
        found.map(|release| release.promotion)
    }

    fn promotion_at(
        &self,
        version: VersionId,
        environment: EnvironmentId,
        at: Timestamp,
    ) -> Option<PromotionId> {
        let latest = self.state(|state| state.track(version, environment)?.promotion);
        let Ok(mut next) = latest else {
            self.troubled.set(true);
            return None;
        };
        for _ in 0..ATTEMPTS_MAX {
            let promotion = self.promotion(next?)?;
            if promotion.opened_at <= at {
                return Some(promotion.id);
            }
            next = promotion.previous;
        }
        None
    }

    fn freeze_before(&self, freeze: FreezeId, seq: u64) -> Option<Freeze> {
        let found = self.freeze_in_log(freeze, seq);
        found.unwrap_or_else(|_| {
            self.troubled.set(true);
            None
        })
    }
}
