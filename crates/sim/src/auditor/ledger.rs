//! The auditor's own account of what the log says.

use stagegate_model::*;
use std::collections::{BTreeMap, BTreeSet};

/// Everything the auditor knows, from facts alone.
#[derive(Default)]
pub struct Ledger {
    pub now: Timestamp,
    pub seq: u64,
    pub systems: BTreeMap<SystemId, System>,
    pub environments: BTreeMap<EnvironmentId, Environment>,
    pub deployments: BTreeMap<DeploymentId, Deployment>,
    pub resources: BTreeMap<ResourceId, Resource>,
    /// Deleted resources: jobs may still run on them.
    pub gone: BTreeMap<ResourceId, Resource>,
    pub agents: BTreeMap<JobAgentId, JobAgent>,
    pub policies: BTreeMap<PolicyId, Policy>,
    pub versions: BTreeMap<VersionId, Version>,
    pub votes: BTreeMap<(VersionId, EnvironmentId), BTreeMap<UserId, CastVote>>,
    pub targets: BTreeMap<TargetKey, TargetRecord>,
    pub promotions: BTreeMap<PromotionId, PromotionRecord>,
    pub jobs: BTreeMap<JobId, JobRecord>,
    /// The latest job of each release.
    pub releases: BTreeMap<ReleaseId, JobId>,
    pub runs: BTreeMap<VerificationId, RunRecord>,
    /// Rules under which a job was created, per version and environment.
    pub latched: BTreeMap<(VersionId, EnvironmentId), BTreeSet<RuleId>>,
    /// What became of a version on a target, oldest first.
    pub attempts: BTreeMap<(VersionId, TargetKey), Vec<Tried>>,
    /// What keeps versions from starting in environments apart from rules.
    pub stops: BTreeMap<(VersionId, EnvironmentId), Stops>,
    pub groups: BTreeMap<GroupId, Group>,
    pub roles: BTreeMap<UserId, Role>,
    pub freezes: BTreeMap<FreezeId, Freeze>,
    pub skips: BTreeMap<SkipId, Skip>,
    /// Rules that were set aside for the whole environment when something of a version started there.
    pub begun_aside: BTreeSet<(VersionId, EnvironmentId, RuleId)>,
    /// The waves of rollouts that have begun, and how many of them.
    pub rollouts: BTreeMap<(VersionId, EnvironmentId, RuleId), RolloutRecord>,
    /// What variables are resolved from.
    pub book: super::variables::Book,
    /// Versions whose content can no longer change.
    pub frozen: BTreeSet<VersionId>,
    /// Releases that were ordered back.
    pub undone: BTreeSet<ReleaseId>,
}

/// A vote as it counts.
#[derive(Clone, Debug)]
pub struct CastVote {
    pub vote: Vote,
    pub digest: Digest,
    /// The groups that the person was in.
    pub groups: Vec<GroupId>,
}

/// Something that happened to a version on a target.
#[derive(Clone, Copy, Debug)]
pub enum Tried {
    Job(JobId),
    /// It was ordered back.
    Undone,
}

/// What keeps a version from starting in an environment.
#[derive(Clone, Debug, Default)]
pub struct Stops {
    pub quarantined: bool,
    pub cancelled: bool,
    pub expired: bool,
    pub paused: bool,
    /// Targets on which its verification failed.
    pub failed: BTreeSet<ResourceId>,
    /// Targets on which a release of it failed since that was last forgiven.
    pub failures: BTreeSet<ResourceId>,
}

/// A gradual rollout that has begun.
#[derive(Clone, Debug)]
pub struct RolloutRecord {
    pub waves: Vec<Vec<ResourceId>>,
    /// When each wave that has begun did.
    pub begun: Vec<Timestamp>,
}

/// A release that is tried again.
#[derive(Clone, Copy, Debug)]
pub struct RetryRecord {
    pub release: ReleaseId,
    pub version: VersionId,
    pub attempt: u32,
    pub at: Timestamp,
}

/// A release target.
#[derive(Clone, Debug, Default)]
pub struct TargetRecord {
    /// Whether its selectors match, as the log says.
    pub member: bool,
    pub number: u64,
    /// The version of the latest release.
    pub latest: Option<VersionOrder>,
    pub latest_release: Option<ReleaseId>,
    /// The newest version that was brought here: nothing else starts by itself.
    pub floor: Option<VersionOrder>,
    /// What it was rolled back from, while it is held.
    pub held: Option<VersionOrder>,
    pub order: Option<Order>,
    pub retry: Option<RetryRecord>,
    /// Releases that succeeded here, with their version, oldest first.
    pub good: Vec<(ReleaseId, VersionId)>,
    /// The last release that succeeded, since the target joined.
    pub current: Option<(ReleaseId, VersionId)>,
    /// The release whose job was the last to succeed here, since the target joined.
    pub brought: Option<ReleaseId>,
    /// The job whose release has not ended.
    pub active: Option<JobId>,
    pub block: Option<Block>,
    /// Versions whose jobs succeeded here, in order.
    pub deployed: Vec<(u64, Timestamp, VersionId)>,
}

/// A promotion.
#[derive(Clone, Debug)]
pub struct PromotionRecord {
    pub version: VersionId,
    pub environment: EnvironmentId,
    pub status: PromotionStatus,
    pub kind: StartKind,
    pub gates: BTreeMap<RuleId, GateRecord>,
    pub jobs: Vec<JobId>,
}

/// A job.
#[derive(Clone, Debug)]
pub struct JobRecord {
    pub target: TargetKey,
    pub version: VersionId,
    pub promotion: PromotionId,
    pub release: ReleaseId,
    pub kind: StartKind,
    pub number: u64,
    pub attempt: u32,
    pub status: JobStatus,
    pub runner: Option<String>,
    pub limits: JobLimits,
    pub epoch: u64,
    /// Whether its runner has to be heard of.
    pub lease: bool,
    /// Since when its runner is given up.
    pub lost: Option<Timestamp>,
    pub requeues: u32,
    /// Since when it is to stop, and why.
    pub cancel: Option<(Timestamp, CancelCause)>,
    pub waiting_since: Timestamp,
    pub running_since: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    /// The entry that says so.
    pub completed_seq: u64,
    pub runs: Vec<VerificationId>,
    /// How its release ended; a job that is followed by another try has none.
    pub ended: Option<(ReleaseStatus, Timestamp)>,
    /// Whether its release was to be tried again.
    pub retried: bool,
}

impl JobRecord {
    /// When time alone decides of the job; `None` when it has ended.
    pub fn decided_at(&self) -> Option<Timestamp> {
        let after = |since: Timestamp, seconds: u64| {
            since.plus_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
        };
        let limits = &self.limits;
        if self.status.is_terminal() {
            return None;
        }
        let silent = self.cancel.map(|(at, _)| at).or(self.lost);
        Some(match (silent, self.running_since) {
            (Some(at), _) => after(at, limits.grace_seconds),
            (None, Some(at)) => after(at, limits.run_timeout_seconds),
            (None, None) => after(self.waiting_since, limits.start_deadline_seconds),
        })
    }
}

/// A verification.
#[derive(Clone, Debug)]
pub struct RunRecord {
    pub job: JobId,
    pub trigger: VerificationTrigger,
    pub metrics: Vec<(PlannedMetric, Vec<MeasurementStatus>)>,
    pub status: VerificationStatus,
    pub rerun_of: Option<VerificationId>,
}

/// How the latest job of a version on a target went.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    pub status: JobStatus,
    pub completed_at: Timestamp,
    /// Whether anything was to be verified.
    pub asked: bool,
    pub ended: Option<(ReleaseStatus, Timestamp)>,
    /// In which entry, and when, another version took its place.
    pub replaced: Option<(u64, Timestamp)>,
    /// Whether it was ordered back since, or while it ran.
    pub undone: bool,
}

impl Ledger {
    /// The targets of a deployment in an environment that are members.
    pub fn members(
        &self,
        deployment: DeploymentId,
        environment: EnvironmentId,
    ) -> impl Iterator<Item = (&TargetKey, &TargetRecord)> {
        self.targets.iter().filter(move |(key, target)| {
            target.member && key.deployment == deployment && key.environment == environment
        })
    }

    /// A resource, also one that was deleted.
    pub fn resource(&self, id: ResourceId) -> Option<&Resource> {
        self.resources.get(&id).or_else(|| self.gone.get(&id))
    }

    /// The versions of a deployment, newest first.
    pub fn versions_of(&self, deployment: DeploymentId) -> Vec<&Version> {
        let mut versions: Vec<_> = self
            .versions
            .values()
            .filter(|version| version.deployment == deployment)
            .collect();
        versions.sort_unstable_by_key(|version| std::cmp::Reverse(version.order()));
        versions
    }

    /// Systems that an environment and a deployment share.
    pub fn shared<'a>(
        &'a self,
        environment: &'a Environment,
        deployment: &'a Deployment,
    ) -> impl Iterator<Item = &'a System> {
        environment
            .systems
            .intersection(&deployment.systems)
            .filter_map(|id| self.systems.get(id))
    }

    /// A job's verifications, each only in its latest run.
    pub fn latest_runs(&self, job: &JobRecord) -> Vec<(VerificationId, &RunRecord)> {
        let all: Vec<_> = job
            .runs
            .iter()
            .filter_map(|id| Some((*id, self.runs.get(id)?)))
            .collect();
        let again: BTreeSet<_> = all.iter().filter_map(|(_, run)| run.rerun_of).collect();
        all.into_iter()
            .filter(|(id, _)| !again.contains(id))
            .collect()
    }

    /// What became of a version on a target: its latest ended job, unless that failed to redo what had succeeded.
    pub fn attempt(&self, version: VersionId, target: TargetKey) -> Option<Attempt> {
        let mut standing: Option<Attempt> = None;
        for tried in self.attempts.get(&(version, target))? {
            let Tried::Job(id) = tried else {
                if let Some(standing) = &mut standing {
                    standing.undone = true;
                }
                continue;
            };
            let job = self.jobs.get(id)?;
            let Some(completed_at) = job.completed_at else {
                continue;
            };
            // What was forced past the gates is no evidence.
            if job.kind == StartKind::BreakGlass {
                continue;
            }
            // In the order of the log, which tells moments apart that the clock does not.
            let replaced = self.targets.get(&target).and_then(|target| {
                let succeeded = job.status == JobStatus::Successful;
                let mut deployed = target.deployed.iter();
                deployed
                    .find(|(seq, _, by)| succeeded && *seq > job.completed_seq && *by != version)
            });
            let attempt = Attempt {
                status: job.status,
                completed_at,
                asked: !job.runs.is_empty(),
                ended: job.ended,
                replaced: replaced.map(|(seq, at, _)| (*seq, *at)),
                undone: false,
            };
            let keep = standing.is_some_and(|old| {
                old.status == JobStatus::Successful
                    && !old.undone
                    && attempt.status != JobStatus::Successful
                    && old.replaced.is_none_or(|(seq, _)| seq > job.completed_seq)
            });
            if !keep {
                standing = Some(attempt);
            }
        }
        standing
    }

    /// Folds what only replaces one thing by another; the rest is followed with checks.
    pub fn put(&mut self, fact: &Fact) {
        match fact {
            Fact::VariablePut { .. }
            | Fact::VariableDeleted { .. }
            | Fact::VariableSetPut { .. }
            | Fact::VariableSetDeleted { .. }
            | Fact::ResourceVariablesPut { .. }
            | Fact::RelationshipRulePut { .. }
            | Fact::RelationshipRuleDeleted { .. } => self.book.follow(fact),
            Fact::SystemPut { system } => {
                self.systems.insert(system.id, system.clone());
            }
            Fact::SystemDeleted { id } => {
                self.systems.remove(id);
            }
            Fact::EnvironmentPut { environment } => {
                self.environments
                    .insert(environment.id, environment.clone());
            }
            Fact::EnvironmentDeleted { id } => {
                self.environments.remove(id);
                self.targets.retain(|key, _| key.environment != *id);
            }
            Fact::DeploymentPut { deployment } => {
                self.deployments.insert(deployment.id, deployment.clone());
            }
            Fact::DeploymentDeleted { id } => {
                self.deployments.remove(id);
                self.targets.retain(|key, _| key.deployment != *id);
            }
            Fact::ResourcePut { resource } => {
                self.resources.insert(resource.id, resource.clone());
            }
            Fact::ResourceDeleted { id } => {
                if let Some(resource) = self.resources.remove(id) {
                    self.gone.insert(*id, resource);
                }
            }
            Fact::JobAgentPut { agent } => {
                self.agents.insert(agent.id, agent.clone());
            }
            Fact::JobAgentDeleted { id } => {
                self.agents.remove(id);
            }
            Fact::UserCreated { id, role } => {
                self.roles.insert(*id, *role);
            }
            Fact::GroupPut { group } => {
                self.groups.insert(group.id, group.clone());
            }
            Fact::GroupDeleted { id } => {
                self.groups.remove(id);
            }
            Fact::FreezePut { freeze } => {
                self.freezes.insert(freeze.id, freeze.clone());
            }
            Fact::FreezeDeleted { id, .. } => {
                self.freezes.remove(id);
            }
            Fact::SkipCreated { skip } => {
                self.skips.insert(skip.id, skip.clone());
            }
            Fact::SkipDeleted { id, .. } => {
                self.skips.remove(id);
            }
            Fact::PolicyPut { policy } => {
                self.policies.insert(policy.id, policy.clone());
            }
            Fact::PolicyDeleted { id } => {
                self.policies.remove(id);
            }
            _ => {}
        }
    }

    /// What stops a version in an environment apart from rules; a failed verification and a hold of a person count.
    pub fn stopped(&self, version: VersionId, environment: EnvironmentId) -> Option<&'static str> {
        let stops = self.stops.get(&(version, environment))?;
        [
            (stops.cancelled, "its promotion was cancelled"),
            (stops.expired, "its promotion expired"),
            (stops.quarantined, "it is quarantined there"),
            (
                !stops.failed.is_empty(),
                "a verification of it failed there",
            ),
        ]
        .into_iter()
        .find_map(|(stops, why)| stops.then_some(why))
    }

    /// How a version is stopped in an environment, to be changed.
    pub fn stops_mut(&mut self, version: VersionId, environment: EnvironmentId) -> &mut Stops {
        self.stops.entry((version, environment)).or_default()
    }

    /// Whether the selectors of a target match, by the auditor's own evaluation.
    pub fn should_be_member(&self, target: TargetKey) -> bool {
        let (Some(environment), Some(deployment), Some(resource)) = (
            self.environments.get(&target.environment),
            self.deployments.get(&target.deployment),
            self.resources.get(&target.resource),
        ) else {
            return false;
        };
        let subject = super::selector::Subject {
            environment: Some(environment),
            deployment: Some(deployment),
            resource: Some(resource),
            ..Default::default()
        };
        !environment.systems.is_disjoint(&deployment.systems)
            && super::selector::holds(&environment.resource_selector, subject)
            && super::selector::holds(&deployment.resource_selector, subject)
    }

    /// A target, as people say it.
    pub fn name(&self, target: TargetKey) -> String {
        let name = |name: Option<&String>| name.map_or("?", String::as_str).to_owned();
        format!(
            "{}/{}/{}",
            name(self.deployments.get(&target.deployment).map(|it| &it.slug)),
            name(
                self.environments
                    .get(&target.environment)
                    .map(|it| &it.name)
            ),
            name(
                self.resources
                    .get(&target.resource)
                    .map(|it| &it.identifier)
            ),
        )
    }

    /// A version's tag.
    pub fn tag(&self, version: VersionId) -> &str {
        self.versions.get(&version).map_or("?", |it| &it.tag)
    }
}
