//! Everything there ever was in a scenario, also what has left the engine's memory.

use serde::de::DeserializeOwned;
use stagegate_engine::{Archived, Job, Promotion, Release, State, Verification};
use stagegate_model::{Entry, Fact, JobId, PromotionId, ReleaseId, TargetKey, VerificationId};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Copies of what the engine had in memory after each entry; the latest counts.
#[derive(Default)]
pub(crate) struct Ledger {
    jobs: BTreeMap<JobId, Job>,
    promotions: BTreeMap<PromotionId, Promotion>,
    releases: BTreeMap<ReleaseId, Release>,
    verifications: BTreeMap<VerificationId, Verification>,
    /// Names, tags and identifiers of all there ever was.
    pub names: BTreeMap<Uuid, String>,
}

impl Ledger {
    /// Takes over what an entry changed.
    pub fn follow(&mut self, state: &State, entry: &Entry, archived: Vec<Archived>) {
        for fact in &entry.facts {
            self.learn_names(fact);
        }
        for (id, job) in state.jobs() {
            keep(&mut self.jobs, *id, job);
        }
        for (id, promotion) in state.promotions() {
            keep(&mut self.promotions, *id, promotion);
        }
        for (id, release) in state.releases() {
            keep(&mut self.releases, *id, release);
        }
        for (id, verification) in state.verifications() {
            keep(&mut self.verifications, *id, verification);
        }
        for archived in archived {
            self.take_archived(archived);
        }
    }

    /// What was archived is as it was at its end.
    fn take_archived(&mut self, archived: Archived) {
        let (id, body) = (archived.id, &*archived.body);
        match archived.kind {
            "job" => take(&mut self.jobs, id.into(), body),
            "promotion" => take(&mut self.promotions, id.into(), body),
            "release" => take(&mut self.releases, id.into(), body),
            "verification" => take(&mut self.verifications, id.into(), body),
            _ => {}
        }
    }

    fn learn_names(&mut self, fact: &Fact) {
        let (id, name) = match fact {
            Fact::SystemPut { system } => (system.id.0, &system.name),
            Fact::EnvironmentPut { environment } => (environment.id.0, &environment.name),
            Fact::DeploymentPut { deployment } => (deployment.id.0, &deployment.slug),
            Fact::ResourcePut { resource } => (resource.id.0, &resource.identifier),
            Fact::JobAgentPut { agent } => (agent.id.0, &agent.name),
            Fact::PolicyPut { policy } => (policy.id.0, &policy.name),
            Fact::NotifierPut { notifier } => (notifier.id.0, &notifier.name),
            Fact::VariablePut { variable } => (variable.id.0, &variable.key),
            Fact::VariableSetPut { set } => (set.id.0, &set.name),
            Fact::RelationshipRulePut { rule } => (rule.id.0, &rule.name),
            Fact::VersionCreated { version } => (version.id.0, &version.tag),
            Fact::VersionChanged {
                id, tag: Some(tag), ..
            } => (id.0, tag),
            _ => return,
        };
        self.names.insert(id, name.clone());
    }

    pub fn name(&self, id: Uuid) -> &str {
        self.names.get(&id).map_or("?", String::as_str)
    }

    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id)
    }

    pub fn promotion(&self, id: PromotionId) -> Option<&Promotion> {
        self.promotions.get(&id)
    }

    pub fn release(&self, id: ReleaseId) -> Option<&Release> {
        self.releases.get(&id)
    }

    pub fn verification(&self, id: VerificationId) -> Option<&Verification> {
        self.verifications.get(&id)
    }

    /// Every job in the order of creation, then environment and resource, as people read them.
    pub fn jobs(&self) -> Vec<&Job> {
        let mut jobs: Vec<&Job> = self.jobs.values().collect();
        jobs.sort_by_key(|job| {
            (
                job.created_at,
                self.name(job.target.environment.0),
                self.name(job.target.resource.0),
                job.attempt,
                job.id,
            )
        });
        jobs
    }

    /// Every verification in the order of its start, then of its job.
    pub fn verifications(&self) -> Vec<(&Job, &Verification)> {
        let mut found: Vec<_> = self
            .verifications
            .values()
            .filter_map(|it| Some((self.jobs.get(&it.job)?, it)))
            .collect();
        found.sort_by_key(|(job, it)| {
            (
                it.started_at,
                self.name(job.target.environment.0),
                self.name(job.target.resource.0),
                it.trigger,
                it.id,
            )
        });
        found
    }

    /// The releases of a target, in the order of their numbers.
    pub fn releases_of(&self, target: TargetKey) -> Vec<&Release> {
        let releases = self.releases.values();
        let mut found: Vec<_> = releases.filter(|it| it.target == target).collect();
        found.sort_by_key(|it| it.number);
        found
    }

    pub fn promotions(&self) -> impl Iterator<Item = &Promotion> {
        self.promotions.values()
    }
}

fn take<K: Ord, V: DeserializeOwned>(map: &mut BTreeMap<K, V>, id: K, body: &[u8]) {
    if let Ok(value) = serde_json::from_slice(body) {
        map.insert(id, value);
    }
}

/// Copies only what changed.
fn keep<K: Ord, V: Clone + PartialEq>(map: &mut BTreeMap<K, V>, id: K, value: &V) {
    if map.get(&id) != Some(value) {
        map.insert(id, value.clone());
    }
}
