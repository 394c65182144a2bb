//! What every target should have and how every gate stands, by a second reading of what the rules mean: naive, from
//! the facts of the log alone, everything judged anew each time. Nothing of the engine is called here.

pub mod judge;
pub mod selectors;

use stagegate_model::*;
use std::collections::{BTreeMap, BTreeSet};

/// The latest vote of each person.
type Votes = BTreeMap<UserId, (Vote, Timestamp, Digest)>;

/// A deployment's job on a target.
#[derive(Clone, Debug)]
pub struct Deploy {
    pub target: TargetKey,
    pub version: VersionId,
    pub completed: Option<(JobStatus, Timestamp)>,
    pub ended: Option<(ReleaseStatus, Timestamp)>,
    /// Whether anything was to be verified for it.
    pub asked: bool,
}

/// What is known of a target.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub member: bool,
    /// The last job since it joined.
    pub latest: Option<JobId>,
    pub active: Option<JobId>,
    pub blocked: Option<VersionId>,
}

/// Everything the log says, as the oracle remembers it.
#[derive(Clone, Default)]
pub struct Oracle {
    pub now: Timestamp,
    pub systems: BTreeMap<SystemId, System>,
    pub environments: BTreeMap<EnvironmentId, Environment>,
    pub deployments: BTreeMap<DeploymentId, Deployment>,
    pub agents: BTreeMap<JobAgentId, JobAgent>,
    pub resources: BTreeMap<ResourceId, Resource>,
    /// As they were when they were deleted.
    deleted: BTreeMap<ResourceId, Resource>,
    pub policies: BTreeMap<PolicyId, Policy>,
    pub versions: BTreeMap<VersionId, Version>,
    votes: BTreeMap<(VersionId, EnvironmentId), Votes>,
    pub places: BTreeMap<TargetKey, Place>,
    pub deploys: BTreeMap<JobId, Deploy>,
    /// All jobs, oldest first.
    order: Vec<JobId>,
    verifications: BTreeMap<VerificationId, (JobId, VerificationTrigger)>,
    pub failed: BTreeSet<(VersionId, EnvironmentId)>,
    latched: BTreeMap<(VersionId, EnvironmentId, RuleId), Timestamp>,
    /// Jobs created so far, so that a test can see that something was tested.
    pub started: usize,
}

impl Oracle {
    /// Follows an entry, and judges every start in it at the moment it was decided.
    pub fn follow(&mut self, entry: &Entry) {
        self.now = entry.time;
        for fact in &entry.facts {
            self.fact(fact);
        }
    }

    fn fact(&mut self, fact: &Fact) {
        let now = self.now;
        match fact {
            Fact::VersionCreated { version } => {
                self.versions.insert(version.id, version.clone());
            }
            Fact::VersionChanged {
                id,
                status,
                metadata,
                digest,
                ..
            } => {
                let version = self.versions.get_mut(id).unwrap();
                version.status = status.unwrap_or(version.status);
                if let Some(metadata) = metadata {
                    version.metadata.clone_from(metadata);
                }
                version.digest = *digest;
            }
            Fact::VoteCast {
                version,
                environment,
                user,
                vote,
                digest,
                ..
            } => {
                let votes = self.votes.entry((*version, *environment)).or_default();
                votes.insert(*user, (*vote, now, *digest));
            }
            Fact::TargetsJoined {
                deployment,
                environment,
                resources,
            } => {
                for resource in resources {
                    let key = target(*deployment, *environment, *resource);
                    self.places.entry(key).or_default().member = true;
                }
            }
            Fact::TargetsLeft {
                deployment,
                environment,
                resources,
            } => {
                for resource in resources {
                    let key = target(*deployment, *environment, *resource);
                    let place = self.places.get_mut(&key).expect("only a target can leave");
                    place.member = false;
                    if place.active.is_none() {
                        self.places.remove(&key);
                    }
                }
            }
            Fact::TargetBlocked { target, block } => {
                let place = self.places.get_mut(target).expect("a target");
                place.blocked = block.as_ref().map(|it| it.version);
            }
            Fact::JobsCreated {
                version,
                environment,
                latches,
                jobs,
                ..
            } => self.starts(*version, *environment, latches, jobs),
            Fact::JobChanged { id, status, .. } => {
                let deploy = self.deploys.get_mut(id).unwrap();
                assert!(deploy.completed.is_none(), "an ended job changed");
                deploy.completed = status.is_terminal().then_some((*status, now));
            }
            Fact::ReleaseEnded { job, status, .. } => {
                let deploy = self.deploys.get_mut(job).unwrap();
                assert!(deploy.completed.is_some() && deploy.ended.is_none());
                deploy.ended = Some((*status, now));
                let (key, version) = (deploy.target, deploy.version);
                // A job that succeeded and could not be verified is as good as failed.
                let successful = deploy
                    .completed
                    .is_some_and(|it| it.0 == JobStatus::Successful);
                if successful && *status == ReleaseStatus::Failed {
                    self.failed.insert((version, key.environment));
                }
                let place = self.places.get_mut(&key).unwrap();
                assert_eq!(place.active.take(), Some(*job));
            }
            Fact::VerificationStarted {
                id, job, trigger, ..
            } => {
                self.verifications.insert(*id, (*job, *trigger));
                self.deploys.get_mut(job).unwrap().asked = true;
            }
            Fact::VerificationEnded {
                id,
                status: VerificationStatus::Failed,
                ..
            } => {
                let (job, trigger) = self.verifications[id];
                if trigger != VerificationTrigger::JobFailure {
                    let deploy = &self.deploys[&job];
                    let at = (deploy.version, deploy.target.environment);
                    self.failed.insert(at);
                }
            }
            other => self.configuration(other),
        }
    }

    fn configuration(&mut self, fact: &Fact) {
        match fact {
            Fact::SystemPut { system } => drop(self.systems.insert(system.id, system.clone())),
            Fact::SystemDeleted { id } => drop(self.systems.remove(id)),
            Fact::EnvironmentPut { environment } => {
                let id = environment.id;
                self.environments.insert(id, environment.clone());
            }
            Fact::EnvironmentDeleted { id } => {
                self.environments.remove(id);
                self.places.retain(|key, _| key.environment != *id);
            }
            Fact::DeploymentPut { deployment } => {
                self.deployments.insert(deployment.id, deployment.clone());
            }
            Fact::DeploymentDeleted { id } => {
                self.deployments.remove(id);
                self.places.retain(|key, _| key.deployment != *id);
            }
            Fact::ResourcePut { resource } => {
                self.resources.insert(resource.id, resource.clone());
            }
            Fact::ResourceDeleted { id } => {
                let resource = self.resources.remove(id).unwrap();
                self.deleted.insert(*id, resource);
            }
            Fact::JobAgentPut { agent } => drop(self.agents.insert(agent.id, agent.clone())),
            Fact::JobAgentDeleted { id } => drop(self.agents.remove(id)),
            Fact::PolicyPut { policy } => drop(self.policies.insert(policy.id, policy.clone())),
            Fact::PolicyDeleted { id } => drop(self.policies.remove(id)),
            _ => {}
        }
    }

    /// Jobs are created: each target must be free and should have just this version, and what latches is just what
    /// let it in.
    fn starts(
        &mut self,
        version: VersionId,
        environment: EnvironmentId,
        latches: &[RuleId],
        jobs: &[NewJob],
    ) {
        let now = self.now;
        let version = self.versions[&version].clone();
        let mut latching: BTreeMap<RuleId, Timestamp> = BTreeMap::new();
        for job in jobs {
            let key = target(version.deployment, environment, job.resource);
            let told = || format!("{} on {key} at {now}", version.tag);
            let place = &self.places[&key];
            assert!(place.member, "a start where nothing may: {}", told());
            assert_eq!(place.active, None, "a second active job: {}", told());
            let desired = self.desired(key, now).map(|it| it.tag.clone());
            assert_eq!(desired.as_ref(), Some(&version.tag), "{}", told());
            assert!(self.can_prepare(&version, key), "{}", told());
            for gate in self.gates(&version, key, now) {
                if let (true, judge::Verdict::Open { satisfied_at, .. }) =
                    (gate.latches, gate.verdict)
                {
                    latching.insert(gate.rule, satisfied_at);
                }
            }
        }
        let expected: Vec<RuleId> = latching.keys().copied().collect();
        assert_eq!(latches, expected, "what latches with {}", version.tag);
        for (rule, at) in latching {
            let key = (version.id, environment, rule);
            self.latched.entry(key).or_insert(at);
        }
        for job in jobs {
            let key = target(version.deployment, environment, job.resource);
            let deploy = Deploy {
                target: key,
                version: version.id,
                completed: None,
                ended: None,
                asked: false,
            };
            let known = self.deploys.insert(job.job, deploy);
            assert!(known.is_none(), "a job's id was used twice");
            self.order.push(job.job);
            self.started += 1;
            let place = self.places.get_mut(&key).unwrap();
            place.latest = Some(job.job);
            place.active = Some(job.job);
            place.blocked = None;
        }
    }

    /// A resource, also one that was deleted while a job runs there.
    pub fn resource(&self, id: ResourceId) -> &Resource {
        self.resources
            .get(&id)
            .unwrap_or_else(|| &self.deleted[&id])
    }

    /// Who is a target, by the selectors alone.
    pub fn members(&self) -> BTreeSet<TargetKey> {
        let mut members = BTreeSet::new();
        for environment in self.environments.values() {
            for deployment in self.deployments.values() {
                if environment.systems.is_disjoint(&deployment.systems) {
                    continue;
                }
                for resource in self.resources.values() {
                    if selectors::takes(environment, deployment, resource) {
                        members.insert(target(deployment.id, environment.id, resource.id));
                    }
                }
            }
        }
        members
    }

    /// The versions of a deployment, newest first.
    pub fn versions_of(&self, deployment: DeploymentId) -> Vec<&Version> {
        let versions = self.versions.values();
        let mut versions: Vec<_> = versions.filter(|it| it.deployment == deployment).collect();
        versions.sort_unstable_by_key(|it| std::cmp::Reverse(it.order()));
        versions
    }

    /// The order of the version that was last begun on a target.
    pub fn begun(&self, key: TargetKey) -> Option<VersionOrder> {
        let latest = self.places.get(&key)?.latest?;
        Some(self.versions[&self.deploys[&latest].version].order())
    }

    /// The version a target should be brought to; `None` when what is there stays.
    pub fn desired(&self, key: TargetKey, now: Timestamp) -> Option<&Version> {
        let begun = self.begun(key);
        let candidates = self.versions_of(key.deployment).into_iter();
        let mut candidates = candidates.take_while(|it| Some(it.order()) > begun);
        candidates.find(|version| self.may_start(version, key, now))
    }

    /// The versions whose gates matter to a target: those newer than what is there, down to the desired one.
    pub fn looked_at(&self, key: TargetKey, now: Timestamp) -> Vec<&Version> {
        let begun = self.begun(key);
        let mut looked_at = Vec::new();
        for version in self.versions_of(key.deployment) {
            if Some(version.order()) <= begun {
                break;
            }
            if version.status == VersionStatus::Ready {
                looked_at.push(version);
                if self.may_start(version, key, now) {
                    break;
                }
            }
        }
        looked_at
    }

    pub fn may_start(&self, version: &Version, key: TargetKey, now: Timestamp) -> bool {
        let gates = self.gates(version, key, now);
        !self.is_stopped(version, key.environment) && gates.iter().all(judge::Gate::is_open)
    }

    /// Whether something other than a rule stops a version in an environment.
    pub fn is_stopped(&self, version: &Version, environment: EnvironmentId) -> bool {
        version.status != VersionStatus::Ready || self.failed.contains(&(version.id, environment))
    }

    /// Whether there is one agent for it, and a host where something is to be measured.
    pub fn can_prepare(&self, version: &Version, key: TargetKey) -> bool {
        let deployment = &self.deployments[&key.deployment];
        let takes = selectors::meaning(selectors::AGENT_SELECTORS, &deployment.job_agent_selector);
        let agents = self.agents.values().filter(|agent| takes(agent)).count();
        let measured = self
            .policies_for(version, key)
            .iter()
            .any(|(policy, _)| policy.rules.iter().any(|rule| rule.kind == "verification"));
        let has_host = self.resource(key.resource).config.get("host").is_some();
        agents == 1 && (has_host || !measured)
    }

    /// When time alone first changes how a gate stands that matters to some target, and which.
    pub fn changes_at(&self, now: Timestamp) -> Option<(Timestamp, String)> {
        let changes = self.standing(now).into_iter();
        let changes = changes.filter_map(|(key, version, rule, verdict)| {
            let at = verdict.changes_at().filter(|at| *at > now)?;
            let tag = &self.versions[&version].tag;
            Some((at, format!("{tag} on {key}, rule {rule}: {verdict:?}")))
        });
        changes.min()
    }

    /// How all gates that matter stand.
    pub fn standing(&self, now: Timestamp) -> Vec<(TargetKey, VersionId, RuleId, judge::Verdict)> {
        let mut standing = Vec::new();
        for key in self.places.keys() {
            for version in self.looked_at(*key, now) {
                for gate in self.gates(version, *key, now) {
                    standing.push((*key, version.id, gate.rule, gate.verdict));
                }
            }
        }
        standing
    }
}

pub fn target(
    deployment: DeploymentId,
    environment: EnvironmentId,
    resource: ResourceId,
) -> TargetKey {
    TargetKey {
        resource,
        environment,
        deployment,
    }
}
