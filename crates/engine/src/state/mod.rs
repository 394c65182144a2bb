//! The state of a workspace: a fold over its log. Nothing here evaluates an expression or reads a clock.

mod apply;
mod ended;
mod lane;
mod moment;
mod parts;
mod presence;
mod resource;
mod runs;
mod shared;
mod sorted;
mod success;
mod target;
mod targets;
mod variables;
mod waiting;

pub use ended::Brief;
pub(crate) use ended::fingerprint;
pub use lane::{Clock, Held, Lane, LaneKey, Left, Retry, Rollout, Standstill, Track};
pub use parts::{Misfit, Part, PartOf};
pub(crate) use resource::Keys as MetadataKeys;
pub use resource::PackedResource;
use resource::Resources;
pub(crate) use runs::Ended;
pub use sorted::SortedMap;
pub(crate) use sorted::SortedSet;
pub use success::{Success, Verified};
pub use target::{Good, Target, TargetView};
pub use targets::Targets;
pub use variables::VariableBook;
pub(crate) use variables::values_of;
pub(crate) use waiting::Waiting;

pub use runs::{
    Archived, Cancel, Job, Lost, Measurement, MetricRun, Ordered, Promotion, Release, Verification,
};

use serde::{Deserialize, Serialize};
use stagegate_model::{
    Deployment, DeploymentId, Digest, EntryId, Environment, EnvironmentId, Freeze, FreezeId, Group,
    GroupId, JobAgent, JobAgentId, JobId, KeyId, Notifier, NotifierId, Policy, PolicyId,
    PromotionId, ReleaseId, ResourceId, Role, RuleId, Skip, SkipId, System, SystemId, Timestamp,
    UserId, VerificationId, Version, VersionId, VersionOrder, Vote, WorkspaceId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Raised whenever the shape of [`State`] changes, so that an older snapshot is passed over and refolded.
pub const SNAPSHOT_SCHEMA: u32 = 8;

/// Everything a workspace's decisions depend on. It is written and read in parts, of which its members are the head, without
/// those that have parts of their own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct State {
    pub(crate) head: Head,
    pub(crate) workspace: Option<WorkspaceInfo>,
    pub(crate) users: BTreeMap<UserId, Role>,
    pub(crate) keys: BTreeMap<KeyId, Key>,
    pub(crate) systems: BTreeMap<SystemId, Arc<System>>,
    pub(crate) environments: BTreeMap<EnvironmentId, Arc<Environment>>,
    pub(crate) deployments: BTreeMap<DeploymentId, Arc<Deployment>>,
    #[serde(skip)]
    pub(crate) resources: Resources,
    /// Of resources that are not deleted.
    #[serde(skip)]
    pub(crate) identifiers: SortedMap<Box<str>, ResourceId>,
    pub(crate) agents: BTreeMap<JobAgentId, Arc<JobAgent>>,
    pub(crate) policies: BTreeMap<PolicyId, Arc<Policy>>,
    pub(crate) groups: BTreeMap<GroupId, Arc<Group>>,
    pub(crate) skips: BTreeMap<SkipId, Arc<Skip>>,
    pub(crate) freezes: BTreeMap<FreezeId, Arc<Freeze>>,
    /// Missing in a snapshot from before there were any.
    #[serde(default)]
    pub(crate) notifiers: BTreeMap<NotifierId, Arc<Notifier>>,
    /// Missing in a snapshot from before there were any.
    #[serde(default)]
    pub(crate) variables: VariableBook,
    pub(crate) versions: BTreeMap<VersionId, Arc<Version>>,
    pub(crate) version_order: BTreeMap<DeploymentId, BTreeSet<VersionOrder>>,
    pub(crate) tags: BTreeMap<DeploymentId, BTreeMap<String, VersionId>>,
    /// Versions whose content can no longer change: they were voted on or have had a job.
    pub(crate) frozen: BTreeSet<VersionId>,
    pub(crate) votes: BTreeMap<(VersionId, EnvironmentId), BTreeMap<UserId, VoteRecord>>,
    pub(crate) lanes: BTreeMap<LaneKey, Lane>,
    pub(crate) tracks: BTreeMap<(VersionId, EnvironmentId), Track>,
    pub(crate) promotions: BTreeMap<PromotionId, Promotion>,
    /// Boxed, as jobs are: what moves when one comes or goes between others is small.
    #[serde(skip)]
    pub(crate) releases: SortedMap<ReleaseId, Box<Release>>,
    #[serde(skip)]
    pub(crate) jobs: SortedMap<JobId, Box<Job>>,
    /// Those of the jobs that belong to a promotion; follows from them.
    #[serde(skip)]
    pub(crate) jobs_of: BTreeMap<PromotionId, SortedSet<JobId>>,
    pub(crate) verifications: BTreeMap<VerificationId, Verification>,
    /// When time alone decides of a job that has not ended; follows from the jobs.
    #[serde(skip)]
    pub(crate) wakes: SortedSet<(Timestamp, JobId)>,
    pub(crate) dirty: Dirty,
    /// Releases that succeeded and have not left memory yet, with the entry in which they did, oldest first.
    pub(crate) succeeded: VecDeque<(u64, ReleaseId)>,
    /// What left memory since the shell last took it; written in the same transaction as the entry.
    #[serde(skip)]
    pub(crate) archive: Vec<Ended>,
    /// Which lanes wait, and until when; follows from the lanes.
    #[serde(skip)]
    pub(crate) waiting: Waiting,
}

/// The last entry that was folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub seq: u64,
    pub entry: EntryId,
    pub time: Timestamp,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            seq: 0,
            entry: EntryId(Default::default()),
            time: Timestamp(0),
        }
    }
}

/// The tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkspaceInfo {
    pub id: WorkspaceId,
    pub name: String,
    pub slug: String,
    pub created_at: Timestamp,
}

/// An API key as far as the log knows it; its hash is elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Key {
    pub owner: UserId,
    pub role: Role,
    pub revoked: bool,
}

/// The latest vote of a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VoteRecord {
    pub vote: Vote,
    pub at: Timestamp,
    pub reason: String,
    pub digest: Digest,
    /// The digest of the version's metadata then.
    pub metadata: Option<Digest>,
    /// The groups that the person was in.
    pub groups: Vec<GroupId>,
}

/// What may have to be decided anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Dirty {
    /// Resources whose membership in lanes may have changed.
    pub resources: BTreeSet<ResourceId>,
    /// Environments whose selector or systems changed.
    pub environments: BTreeSet<EnvironmentId>,
    /// Deployments whose selector or systems changed.
    pub deployments: BTreeSet<DeploymentId>,
    pub lanes: BTreeSet<LaneKey>,
    /// Jobs that ended while their release has not, and such whose time has come.
    pub jobs: BTreeSet<JobId>,
    pub verifications: BTreeSet<VerificationId>,
    /// Lanes of which the configuration of jobs may have changed.
    pub configured: BTreeSet<LaneKey>,
    /// Versions that were rejected while they may run somewhere.
    pub rejected: BTreeSet<VersionId>,
}

impl Dirty {
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
            && self.environments.is_empty()
            && self.deployments.is_empty()
            && self.lanes.is_empty()
            && self.jobs.is_empty()
            && self.verifications.is_empty()
            && self.rejected.is_empty()
    }
}

/// Reads for faces: everything in the order of its key.
impl State {
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    #[must_use]
    pub fn workspace(&self) -> Option<&WorkspaceInfo> {
        self.workspace.as_ref()
    }

    #[must_use]
    pub fn users(&self) -> &BTreeMap<UserId, Role> {
        &self.users
    }

    #[must_use]
    pub fn keys(&self) -> &BTreeMap<KeyId, Key> {
        &self.keys
    }

    #[must_use]
    pub fn systems(&self) -> &BTreeMap<SystemId, Arc<System>> {
        &self.systems
    }

    #[must_use]
    pub fn environments(&self) -> &BTreeMap<EnvironmentId, Arc<Environment>> {
        &self.environments
    }

    #[must_use]
    pub fn deployments(&self) -> &BTreeMap<DeploymentId, Arc<Deployment>> {
        &self.deployments
    }

    #[must_use]
    pub fn agents(&self) -> &BTreeMap<JobAgentId, Arc<JobAgent>> {
        &self.agents
    }

    #[must_use]
    pub fn policies(&self) -> &BTreeMap<PolicyId, Arc<Policy>> {
        &self.policies
    }

    #[must_use]
    pub fn notifiers(&self) -> &BTreeMap<NotifierId, Arc<Notifier>> {
        &self.notifiers
    }

    #[must_use]
    pub fn versions(&self) -> &BTreeMap<VersionId, Arc<Version>> {
        &self.versions
    }

    #[must_use]
    pub fn promotions(&self) -> &BTreeMap<PromotionId, Promotion> {
        &self.promotions
    }

    #[must_use]
    pub fn releases(&self) -> &SortedMap<ReleaseId, Box<Release>> {
        &self.releases
    }

    #[must_use]
    pub fn jobs(&self) -> &SortedMap<JobId, Box<Job>> {
        &self.jobs
    }

    /// Those of a promotion after `after`, by id, which is the order in which they were made.
    pub fn jobs_of(
        &self,
        promotion: PromotionId,
        after: Option<JobId>,
    ) -> impl Iterator<Item = &Job> {
        let ids = self.jobs_of.get(&promotion).into_iter();
        let ids = ids.flat_map(move |ids| ids.behind(after.as_ref()));
        ids.filter_map(|id| self.jobs.get(id).map(|job| &**job))
    }

    #[must_use]
    pub fn verifications(&self) -> &BTreeMap<VerificationId, Verification> {
        &self.verifications
    }

    #[must_use]
    pub fn lanes(&self) -> &BTreeMap<LaneKey, Lane> {
        &self.lanes
    }

    /// Resources that exist, in the order of their ids.
    pub fn resources(&self) -> impl Iterator<Item = &Arc<PackedResource>> {
        self.resources
            .values()
            .filter(|stored| !stored.deleted)
            .map(|stored| &stored.resource)
    }

    /// How many resources exist.
    #[must_use]
    pub fn resource_count(&self) -> usize {
        // Each has an identifier of its own until it is deleted.
        self.identifiers.len()
    }

    /// [`Self::resources`] without so many at the beginning.
    pub fn resources_from(&self, place: usize) -> impl Iterator<Item = &Arc<PackedResource>> {
        let all_exist = self.resources.len() == self.resource_count();
        let (at, skipped) = if all_exist { (place, 0) } else { (0, place) };
        let from = self.resources.starting_at(at);
        let existing = from.filter(|stored| !stored.deleted).skip(skipped);
        existing.map(|stored| &stored.resource)
    }

    /// A resource, also one that was deleted while a target still runs a job there.
    #[must_use]
    pub fn resource(&self, id: ResourceId) -> Option<&Arc<PackedResource>> {
        self.resources.get(&id).map(|stored| &stored.resource)
    }

    #[must_use]
    pub fn resource_by_identifier(&self, identifier: &str) -> Option<&Arc<PackedResource>> {
        self.resource(*self.identifiers.get(identifier)?)
    }

    /// Names compare whatever the case of their letters.
    #[must_use]
    pub fn environment_by_name(&self, name: &str) -> Option<&Arc<Environment>> {
        self.environments
            .values()
            .find(|environment| same_name(&environment.name, name))
    }

    #[must_use]
    pub fn system_by_name(&self, name: &str) -> Option<&Arc<System>> {
        self.systems
            .values()
            .find(|system| same_name(&system.name, name))
    }

    #[must_use]
    pub fn policy_by_name(&self, name: &str) -> Option<&Arc<Policy>> {
        self.policies
            .values()
            .find(|policy| same_name(&policy.name, name))
    }

    #[must_use]
    pub fn agent_by_name(&self, name: &str) -> Option<&Arc<JobAgent>> {
        self.agents
            .values()
            .find(|agent| same_name(&agent.name, name))
    }

    #[must_use]
    pub fn notifier_by_name(&self, name: &str) -> Option<&Arc<Notifier>> {
        self.notifiers
            .values()
            .find(|notifier| same_name(&notifier.name, name))
    }

    #[must_use]
    pub fn deployment_by_slug(&self, slug: &str) -> Option<&Arc<Deployment>> {
        self.deployments
            .values()
            .find(|deployment| deployment.slug == slug)
    }

    #[must_use]
    pub fn version_by_tag(&self, deployment: DeploymentId, tag: &str) -> Option<&Arc<Version>> {
        self.versions.get(self.tags.get(&deployment)?.get(tag)?)
    }

    #[must_use]
    pub fn groups(&self) -> &BTreeMap<GroupId, Arc<Group>> {
        &self.groups
    }

    #[must_use]
    pub fn group_by_name(&self, name: &str) -> Option<&Arc<Group>> {
        let mut groups = self.groups.values();
        groups.find(|group| same_name(&group.name, name))
    }

    /// The groups that a person is in, in the order of their ids.
    #[must_use]
    pub fn groups_of(&self, user: UserId) -> Vec<GroupId> {
        let groups = self.groups.values();
        let mine = groups.filter(|group| group.members.contains(&user));
        mine.map(|group| group.id).collect()
    }

    #[must_use]
    pub fn skips(&self) -> &BTreeMap<SkipId, Arc<Skip>> {
        &self.skips
    }

    #[must_use]
    pub fn freezes(&self) -> &BTreeMap<FreezeId, Arc<Freeze>> {
        &self.freezes
    }

    /// The skip that sets a rule aside for a version in an environment at `now`, for all of it or for one resource
    /// besides. Where there are several, one for the whole environment, then the one that lasts longest.
    #[must_use]
    pub fn set_aside(
        &self,
        rule: RuleId,
        version: VersionId,
        environment: EnvironmentId,
        resource: Option<ResourceId>,
        now: Timestamp,
    ) -> Option<&Skip> {
        let holding = self.skips.values().map(|skip| &**skip).filter(|skip| {
            skip.rule == rule
                && skip.version.is_none_or(|id| id == version)
                && skip.environment.is_none_or(|id| id == environment)
                && (skip.resource.is_none() || skip.resource == resource)
                && skip.created_at <= now
                && skip.expires_at.is_none_or(|expires| expires > now)
        });
        // The oldest of equals, so that what is told of it does not change for nothing.
        holding.min_by_key(|skip| {
            let ends = skip.expires_at.map_or(i64::MAX, |at| at.0);
            (skip.resource.is_some(), std::cmp::Reverse(ends), skip.id)
        })
    }

    /// The versions of a deployment, newest first.
    pub fn versions_of(&self, deployment: DeploymentId) -> impl Iterator<Item = &Arc<Version>> {
        self.version_order
            .get(&deployment)
            .into_iter()
            .flat_map(|order| order.iter().rev())
            .filter_map(|order| self.versions.get(&order.1))
    }

    /// Says what a lane waits for.
    pub(crate) fn change_waiting(&mut self, key: LaneKey, change: impl FnOnce(&mut Lane)) {
        if let Some(lane) = self.lanes.get_mut(&key) {
            self.waiting.remove(key, lane);
            change(lane);
            self.waiting.put(key, lane);
        }
    }

    #[must_use]
    pub fn lane(&self, key: LaneKey) -> Option<&Lane> {
        self.lanes.get(&key)
    }

    #[must_use]
    pub fn track(&self, version: VersionId, environment: EnvironmentId) -> Option<&Track> {
        self.tracks.get(&(version, environment))
    }

    /// How versions stand in environments, wherever something is on record.
    #[must_use]
    pub fn tracks(&self) -> &BTreeMap<(VersionId, EnvironmentId), Track> {
        &self.tracks
    }

    /// The latest votes on a version in an environment.
    #[must_use]
    pub fn votes(
        &self,
        version: VersionId,
        environment: EnvironmentId,
    ) -> Option<&BTreeMap<UserId, VoteRecord>> {
        self.votes.get(&(version, environment))
    }

    /// Whether the version's content can no longer change.
    #[must_use]
    pub fn is_frozen(&self, version: VersionId) -> bool {
        self.frozen.contains(&version)
    }

    /// Whether something is left to decide.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Makes what only follows from the rest, and is in no snapshot, anew.
    pub(crate) fn reindex(&mut self) {
        self.lanes.values_mut().for_each(Lane::reindex);
        self.waiting = Waiting::of(&self.lanes);
        self.jobs_of.clear();
        self.wakes = SortedSet::default();
        for job in self.jobs.values() {
            if let Some(at) = job.wake_at {
                self.wakes.insert((at, job.id));
            }
            self.jobs_of
                .entry(job.promotion)
                .or_default()
                .insert(job.id);
        }
        self.resources.exit_all();
        for (key, lane) in &self.lanes {
            for resource in lane.targets.keys() {
                self.resources.enter(*resource, *key);
            }
        }
        for ((version, environment), track) in &mut self.tracks {
            // One of a version that is gone is asked for nothing.
            if let Some(version) = self.versions.get(version) {
                let key = LaneKey {
                    deployment: version.deployment,
                    environment: *environment,
                };
                track.recount(self.lanes.get(&key));
            }
        }
    }

    /// Whether what is indexed is what there is: for tests.
    #[must_use]
    pub fn is_indexed(&self) -> bool {
        let mut anew = self.clone();
        anew.reindex();
        anew.lanes == self.lanes
            && anew.tracks == self.tracks
            && anew.waiting == self.waiting
            && anew.jobs_of == self.jobs_of
            && anew.wakes == self.wakes
            && anew.resources.are_in_the_lanes_of(&self.resources)
    }

    /// Takes what left memory; to be stored with the entry that was just made.
    pub fn take_archive(&mut self) -> Vec<Archived> {
        let gone = std::mem::take(&mut self.archive);
        gone.iter().map(Ended::archived).collect()
    }

    /// The same state without what is only bookkeeping of the running process: for comparing folds.
    #[must_use]
    pub fn settled_form(&self) -> Self {
        let mut state = self.clone();
        state.dirty = Dirty::default();
        state.archive.clear();
        state.waiting = Waiting::default();
        for lane in state.lanes.values_mut() {
            lane.next_at = None;
            lane.waits_for_others = false;
            lane.asked_about.clear();
        }
        state
    }
}

/// The lanes of a deployment.
pub(crate) fn lanes_of(
    lanes: &BTreeMap<LaneKey, Lane>,
    deployment: DeploymentId,
) -> impl Iterator<Item = (&LaneKey, &Lane)> {
    let first = LaneKey {
        deployment,
        environment: uuid::Uuid::nil().into(),
    };
    let last = LaneKey {
        deployment,
        environment: uuid::Uuid::max().into(),
    };
    lanes.range(first..=last)
}

/// Whether two names are the same to a person.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    a == b || a.to_lowercase() == b.to_lowercase()
}
