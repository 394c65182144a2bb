//! The fold: one fact at a time, total, infallible, deterministic. It marks what a fact can affect as dirty
//! and evaluates nothing.

use super::runs::Archive;
use super::{
    Job, Key, Lane, LaneKey, Measurement, MetricRun, Promotion, Release, State, StoredResource,
    Success, Target, Verification, Verified, VoteRecord, WorkspaceInfo,
};
use stagegate_model::{
    DeploymentId, Entry, EntryId, EnvironmentId, Fact, GateState, JobId, JobStatus,
    MeasurementStatus, NewJob, PromotionId, PromotionStatus, ReleaseId, ReleaseStatus, ResourceId,
    RuleId, Timestamp, VerificationId, VerificationStatus, VerificationTrigger, VersionId,
};
use std::sync::Arc;

/// How many ended promotions a lane keeps in memory.
const ENDED_PROMOTIONS_KEPT: usize = 50;

impl State {
    /// Opens an entry: what is applied next happens at `time`.
    pub(crate) fn begin(&mut self, seq: u64, entry: EntryId, time: Timestamp) {
        self.head.seq = seq;
        self.head.entry = entry;
        self.head.time = self.head.time.max(time);
    }

    /// Folds a whole entry of the log.
    pub(crate) fn apply_entry(&mut self, entry: &Entry) {
        self.begin(entry.seq, entry.id, entry.time);
        for fact in &entry.facts {
            self.apply(fact);
        }
    }

    /// Marks everything as to be decided again: after a load, when only time may have passed.
    pub(crate) fn mark_all(&mut self) {
        self.dirty.lanes.extend(self.lanes.keys().copied());
        let unsettled = self.jobs.values().filter(|job| job.status.is_terminal());
        self.dirty.jobs.extend(unsettled.map(|job| job.id));
        let running = self
            .verifications
            .values()
            .filter(|v| v.status == VerificationStatus::Running);
        self.dirty.verifications.extend(running.map(|v| v.id));
    }

    /// Folds one fact.
    pub(crate) fn apply(&mut self, fact: &Fact) {
        let now = self.head.time;
        match fact {
            Fact::WorkspaceCreated { id, name, slug } => {
                let info = WorkspaceInfo {
                    id: *id,
                    name: name.clone(),
                    slug: slug.clone(),
                    created_at: now,
                };
                self.workspace = Some(info);
            }
            Fact::UserCreated { id, role } => {
                self.users.insert(*id, *role);
            }
            Fact::KeyCreated { id, owner, role } => {
                self.keys.insert(
                    *id,
                    Key {
                        owner: *owner,
                        role: *role,
                        revoked: false,
                    },
                );
            }
            Fact::KeyRevoked { id } => {
                if let Some(key) = self.keys.get_mut(id) {
                    key.revoked = true;
                }
            }
            Fact::SystemPut { .. }
            | Fact::SystemDeleted { .. }
            | Fact::EnvironmentPut { .. }
            | Fact::EnvironmentDeleted { .. }
            | Fact::DeploymentPut { .. }
            | Fact::DeploymentDeleted { .. }
            | Fact::ResourcePut { .. }
            | Fact::ResourceDeleted { .. }
            | Fact::JobAgentPut { .. }
            | Fact::JobAgentDeleted { .. }
            | Fact::PolicyPut { .. }
            | Fact::PolicyDeleted { .. } => self.apply_configuration(fact),
            Fact::VersionCreated { version } => {
                let id = version.id;
                self.version_order
                    .entry(version.deployment)
                    .or_default()
                    .insert(version.order());
                self.tags
                    .entry(version.deployment)
                    .or_default()
                    .insert(version.tag.clone(), id);
                self.versions.insert(id, Arc::new(version.clone()));
                self.touch_deployment(version.deployment);
            }
            Fact::VersionChanged { .. } => self.apply_version_change(fact),
            Fact::VoteCast {
                version,
                environment,
                user,
                vote,
                reason,
                digest,
            } => {
                let record = VoteRecord {
                    vote: *vote,
                    at: now,
                    reason: reason.clone(),
                    digest: *digest,
                };
                self.votes
                    .entry((*version, *environment))
                    .or_default()
                    .insert(*user, record);
                self.frozen.insert(*version);
                if let Some(deployment) =
                    self.versions.get(version).map(|version| version.deployment)
                {
                    self.dirty.lanes.insert(LaneKey {
                        deployment,
                        environment: *environment,
                    });
                }
            }
            Fact::TargetsJoined {
                deployment,
                environment,
                resources,
            } => {
                self.join(
                    LaneKey {
                        deployment: *deployment,
                        environment: *environment,
                    },
                    resources,
                );
            }
            Fact::TargetsLeft {
                deployment,
                environment,
                resources,
            } => {
                self.leave(
                    LaneKey {
                        deployment: *deployment,
                        environment: *environment,
                    },
                    resources,
                );
            }
            Fact::PromotionOpened {
                id,
                version,
                environment,
                attempt,
                previous,
            } => {
                self.open_promotion(*id, *version, *environment, *attempt, *previous);
            }
            Fact::GateChanged { promotion, gate } => {
                if let Some(promotion) = self.promotions.get(promotion) {
                    let track = self
                        .tracks
                        .entry((promotion.version, promotion.environment))
                        .or_default();
                    if gate.state == GateState::Gone {
                        track.gates.remove(&gate.rule);
                    } else {
                        track.gates.insert(gate.rule, gate.clone());
                    }
                }
            }
            Fact::PromotionMoved { id, status } => {
                if let Some(promotion) = self.promotions.get_mut(id) {
                    promotion.status = *status;
                }
            }
            Fact::PromotionEnded {
                id,
                status,
                reason,
                by,
            } => {
                self.end_promotion(*id, *status, reason, *by);
            }
            Fact::JobsCreated {
                promotion,
                version,
                environment,
                agent: _,
                latches,
                jobs,
            } => {
                self.latch(*version, *environment, latches);
                for job in jobs {
                    self.create_job(fact, *promotion, *version, job);
                }
            }
            Fact::TargetBlocked { target, block } => {
                if let Some(target) = self.target_mut((*target).into(), target.resource) {
                    target.block.clone_from(block);
                }
            }
            Fact::JobClaimed { id, runner, epoch } => {
                if let Some(job) = self.jobs.get_mut(id) {
                    job.runner = Some(runner.clone());
                    job.epoch = *epoch;
                    job.status = JobStatus::InProgress;
                    job.started_at = job.started_at.or(Some(now));
                    job.updated_at = now;
                    if let Some(release) = self.releases.get_mut(&job.release) {
                        release.status = ReleaseStatus::Running;
                    }
                }
            }
            Fact::JobChanged {
                id,
                status,
                message,
                external_id,
                output_tail,
            } => {
                if let Some(job) = self.jobs.get_mut(id) {
                    job.message.clone_from(message);
                    if external_id.is_some() {
                        job.external_id.clone_from(external_id);
                    }
                    if output_tail.is_some() {
                        job.output_tail.clone_from(output_tail);
                    }
                }
                self.change_job(*id, *status);
            }
            Fact::ReportIgnored { .. } => {}
            Fact::ReleaseEnded {
                id,
                job,
                status,
                reason,
            } => self.end_release(*id, *job, *status, reason),
            Fact::VerificationStarted {
                id,
                job,
                trigger,
                metrics,
                rerun_of,
            } => {
                let verification = Verification {
                    id: *id,
                    job: *job,
                    trigger: *trigger,
                    metrics: metrics.iter().cloned().map(MetricRun::new).collect(),
                    status: VerificationStatus::Running,
                    started_at: now,
                    ended_at: None,
                    reason: String::new(),
                    decided_by: None,
                    rerun_of: *rerun_of,
                };
                self.verifications.insert(*id, verification);
                self.dirty.verifications.insert(*id);
                if let Some(run_for) = self.jobs.get_mut(job) {
                    run_for.verifications.push(*id);
                    let target = run_for.target;
                    self.set_verified(*job, Verified::Pending);
                    self.touch_deployment(target.deployment);
                }
            }
            Fact::Measured {
                verification,
                metric,
                ordinal,
                status,
                message,
                data,
            } => {
                let measurement = Measurement {
                    ordinal: *ordinal,
                    status: *status,
                    message: message.clone(),
                    data: data.clone(),
                    measured_at: now,
                };
                self.measure(*verification, *metric, measurement);
            }
            Fact::VerificationEnded {
                id,
                status,
                reason,
                decided_by,
            } => {
                let Some(verification) = self.verifications.get_mut(id) else {
                    return;
                };
                verification.status = *status;
                verification.ended_at = Some(now);
                verification.reason.clone_from(reason);
                verification.decided_by = *decided_by;
                let (job, trigger) = (verification.job, verification.trigger);
                self.dirty.jobs.insert(job);
                // What is measured because a job failed says nothing of the version that the job did not.
                let counts = *status == VerificationStatus::Failed
                    && trigger != VerificationTrigger::JobFailure;
                if let Some(job) = self.jobs.get(&job) {
                    let (target, version) = (job.target, job.version);
                    if counts {
                        let track = self.tracks.entry((version, target.environment));
                        track.or_default().failed_verifications += 1;
                    }
                    self.touch_deployment(target.deployment);
                }
            }
        }
    }

    fn apply_configuration(&mut self, fact: &Fact) {
        match fact {
            Fact::SystemPut { system } => {
                self.systems.insert(system.id, Arc::new(system.clone()));
                let lanes = self.lanes.keys().copied();
                self.dirty.lanes.extend(lanes);
            }
            Fact::SystemDeleted { id } => {
                self.systems.remove(id);
            }
            Fact::EnvironmentPut { environment } => {
                self.dirty.environments.insert(environment.id);
                self.environments
                    .insert(environment.id, Arc::new(environment.clone()));
                // A policy may look at any environment's name or metadata.
                self.dirty.lanes.extend(self.lanes.keys().copied());
            }
            Fact::EnvironmentDeleted { id } => {
                self.environments.remove(id);
                self.remove_lanes(|key| key.environment == *id);
                self.dirty.environments.remove(id);
                self.dirty.lanes.retain(|key| key.environment != *id);
                self.dirty.lanes.extend(self.lanes.keys().copied());
            }
            Fact::DeploymentPut { deployment } => {
                self.dirty.deployments.insert(deployment.id);
                self.deployments
                    .insert(deployment.id, Arc::new(deployment.clone()));
                self.touch_deployment(deployment.id);
            }
            Fact::DeploymentDeleted { id } => {
                self.deployments.remove(id);
                self.remove_lanes(|key| key.deployment == *id);
                self.dirty.deployments.remove(id);
                self.dirty.lanes.retain(|key| key.deployment != *id);
            }
            Fact::ResourcePut { resource } => {
                let targets = self
                    .resources
                    .get(&resource.id)
                    .map_or(0, |stored| stored.targets);
                if let Some(stored) = self.resources.get(&resource.id) {
                    // Another resource may have taken the identifier of a deleted one.
                    let identifier = &stored.resource.identifier;
                    if self.identifiers.get(identifier) == Some(&resource.id) {
                        self.identifiers.remove(identifier);
                    }
                }
                self.identifiers
                    .insert(resource.identifier.clone(), resource.id);
                let stored = StoredResource {
                    resource: Arc::new(resource.clone()),
                    deleted: false,
                    targets,
                };
                self.resources.insert(resource.id, stored);
                self.dirty.resources.insert(resource.id);
                if targets > 0 {
                    let lanes = self
                        .lanes
                        .iter()
                        .filter(|(_, lane)| lane.targets.contains_key(&resource.id));
                    self.dirty.lanes.extend(lanes.map(|(key, _)| *key));
                }
            }
            Fact::ResourceDeleted { id } => {
                if let Some(stored) = self.resources.get_mut(id) {
                    stored.deleted = true;
                    self.identifiers.remove(&stored.resource.identifier);
                    if stored.targets == 0 {
                        self.resources.remove(id);
                    } else {
                        self.dirty.resources.insert(*id);
                    }
                }
            }
            Fact::JobAgentPut { agent } => {
                self.agents.insert(agent.id, Arc::new(agent.clone()));
                self.dirty.lanes.extend(self.lanes.keys().copied());
            }
            Fact::JobAgentDeleted { id } => {
                self.agents.remove(id);
                self.dirty.lanes.extend(self.lanes.keys().copied());
            }
            Fact::PolicyPut { policy } => {
                self.policies.insert(policy.id, Arc::new(policy.clone()));
                self.dirty.lanes.extend(self.lanes.keys().copied());
            }
            Fact::PolicyDeleted { id } => {
                self.policies.remove(id);
                self.dirty.lanes.extend(self.lanes.keys().copied());
            }
            _ => {}
        }
    }

    fn apply_version_change(&mut self, fact: &Fact) {
        let Fact::VersionChanged {
            id,
            tag,
            name,
            config,
            job_agent_config,
            status,
            message,
            metadata,
            digest,
        } = fact
        else {
            return;
        };
        let Some(stored) = self.versions.get_mut(id) else {
            return;
        };
        let version = Arc::make_mut(stored);
        if let Some(tag) = tag {
            let tags = self.tags.entry(version.deployment).or_default();
            tags.remove(&version.tag);
            tags.insert(tag.clone(), *id);
            version.tag.clone_from(tag);
        }
        let set = |part: &mut String, to: &Option<String>| {
            if let Some(to) = to {
                part.clone_from(to);
            }
        };
        set(&mut version.name, name);
        set(&mut version.message, message);
        if let Some(config) = config {
            version.config.clone_from(config);
        }
        if let Some(config) = job_agent_config {
            version.job_agent_config.clone_from(config);
        }
        if let Some(status) = status {
            version.status = *status;
        }
        if let Some(metadata) = metadata {
            version.metadata.clone_from(metadata);
        }
        version.digest = *digest;
        let deployment = version.deployment;
        self.touch_deployment(deployment);
    }

    /// What happens to a deployment in one environment may matter in its others.
    fn touch_deployment(&mut self, id: DeploymentId) {
        let lanes = self.lanes.keys().filter(|key| key.deployment == id);
        self.dirty.lanes.extend(lanes.copied());
    }

    /// Lanes without targets go, their ended promotions into the archive.
    fn remove_lanes(&mut self, gone: impl Fn(&LaneKey) -> bool) {
        let ended: Vec<PromotionId> = self
            .lanes
            .iter()
            .filter(|(key, _)| gone(key))
            .flat_map(|(_, lane)| lane.ended.iter().copied())
            .collect();
        for id in ended {
            if let Some(promotion) = self.promotions.remove(&id) {
                self.archive.push(promotion.archived());
            }
        }
        self.lanes.retain(|key, _| !gone(key));
    }

    fn target_mut(&mut self, lane: LaneKey, resource: ResourceId) -> Option<&mut Target> {
        self.lanes.get_mut(&lane)?.targets.get_mut(&resource)
    }

    fn join(&mut self, key: LaneKey, resources: &[ResourceId]) {
        let now = self.head.time;
        let lane = self.lanes.entry(key).or_default();
        for resource in resources {
            if let Some(target) = lane.targets.get_mut(resource) {
                target.leaving = false;
                continue;
            }
            let target = Target {
                joined_at: now,
                number: 0,
                latest: None,
                latest_order: None,
                current: None,
                deployed: None,
                active: None,
                block: None,
                leaving: false,
            };
            lane.targets.insert(*resource, target);
            *lane.by_latest.entry(None).or_default() += 1;
            if let Some(stored) = self.resources.get_mut(resource) {
                stored.targets += 1;
            }
        }
        self.touch_deployment(key.deployment);
    }

    /// Targets leave at once when they are free, else when what runs there has ended.
    fn leave(&mut self, key: LaneKey, resources: &[ResourceId]) {
        for resource in resources {
            let Some(lane) = self.lanes.get_mut(&key) else {
                return;
            };
            let Some(target) = lane.targets.get_mut(resource) else {
                continue;
            };
            if target.active.is_some() {
                target.leaving = true;
                continue;
            }
            let target = target.clone();
            lane.targets.remove(resource);
            count_down(lane, target.latest_order);
            for release in [target.latest, target.current].into_iter().flatten() {
                self.archive_release(release);
            }
            if let Some(stored) = self.resources.get_mut(resource) {
                stored.targets = stored.targets.saturating_sub(1);
                if stored.deleted && stored.targets == 0 {
                    self.resources.remove(resource);
                }
            }
        }
        self.touch_deployment(key.deployment);
    }

    fn open_promotion(
        &mut self,
        id: PromotionId,
        version: VersionId,
        environment: EnvironmentId,
        attempt: u32,
        previous: Option<PromotionId>,
    ) {
        let Some(deployment) = self
            .versions
            .get(&version)
            .map(|version| version.deployment)
        else {
            return;
        };
        let promotion = Promotion {
            id,
            version,
            deployment,
            environment,
            attempt,
            previous,
            status: PromotionStatus::Waiting,
            opened_at: self.head.time,
            ended_at: None,
            reason: String::new(),
            superseded_by: None,
            running: 0,
            verifying: 0,
            succeeded: 0,
            failed: 0,
            cancelled: 0,
        };
        self.promotions.insert(id, promotion);
        let track = self.tracks.entry((version, environment)).or_default();
        track.promotion = Some(id);
        track.attempts = attempt;
        let key = LaneKey {
            deployment,
            environment,
        };
        self.lanes.entry(key).or_default().open.insert(id);
    }

    fn end_promotion(
        &mut self,
        id: PromotionId,
        status: PromotionStatus,
        reason: &str,
        by: Option<VersionId>,
    ) {
        let now = self.head.time;
        let open = self.promotions.get_mut(&id);
        let Some(promotion) = open.filter(|it| it.status.is_open()) else {
            return;
        };
        promotion.status = status;
        promotion.ended_at = Some(now);
        reason.clone_into(&mut promotion.reason);
        promotion.superseded_by = by;
        let key = LaneKey {
            deployment: promotion.deployment,
            environment: promotion.environment,
        };
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        lane.open.remove(&id);
        lane.ended.push(id);
        if lane.ended.len() > ENDED_PROMOTIONS_KEPT {
            let oldest = lane.ended.remove(0);
            if let Some(promotion) = self.promotions.remove(&oldest) {
                self.archive.push(promotion.archived());
            }
        }
    }

    fn latch(&mut self, version: VersionId, environment: EnvironmentId, rules: &[RuleId]) {
        let now = self.head.time;
        self.frozen.insert(version);
        let track = self.tracks.entry((version, environment)).or_default();
        for rule in rules {
            let satisfied_at = track
                .gates
                .get(rule)
                .and_then(|gate| gate.satisfied_at)
                .unwrap_or(now);
            track.latched.entry(*rule).or_insert(satisfied_at);
        }
    }

    fn create_job(
        &mut self,
        fact: &Fact,
        promotion: PromotionId,
        version: VersionId,
        new: &NewJob,
    ) {
        let Fact::JobsCreated {
            environment, agent, ..
        } = fact
        else {
            return;
        };
        let now = self.head.time;
        let Some((deployment, order)) = self
            .versions
            .get(&version)
            .map(|v| (v.deployment, v.order()))
        else {
            return;
        };
        let key = LaneKey {
            deployment,
            environment: *environment,
        };
        let target = key.target(new.resource);
        self.releases.insert(
            new.release,
            Release {
                id: new.release,
                target,
                number: new.number,
                version,
                promotion,
                job: new.job,
                status: ReleaseStatus::Pending,
                created_at: now,
                ended_at: None,
                reason: String::new(),
            },
        );
        self.jobs.insert(
            new.job,
            Job {
                id: new.job,
                release: new.release,
                promotion,
                target,
                version,
                agent: *agent,
                attempt: new.attempt,
                status: JobStatus::Pending,
                runner: None,
                epoch: 0,
                config: new.config.clone(),
                message: String::new(),
                external_id: None,
                output_tail: None,
                created_at: now,
                updated_at: now,
                started_at: None,
                completed_at: None,
                verifications: Vec::new(),
            },
        );
        if let Some(promotion) = self.promotions.get_mut(&promotion) {
            promotion.running += 1;
        }
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        let Some(target) = lane.targets.get_mut(&new.resource) else {
            return;
        };
        let (before, current) = (target.latest, target.current);
        let before_order = target.latest_order;
        target.number = new.number;
        target.latest = Some(new.release);
        target.latest_order = Some(order);
        target.active = Some(new.job);
        target.block = None;
        count_down(lane, before_order);
        *lane.by_latest.entry(Some(order)).or_default() += 1;
        if let Some(before) = before.filter(|before| Some(*before) != current) {
            self.archive_release(before);
        }
    }

    /// Takes a release that is neither the latest nor the current of its target out of memory, with its job
    /// and verifications.
    fn archive_release(&mut self, id: ReleaseId) {
        let Some(release) = self.releases.remove(&id) else {
            return;
        };
        self.archive.push(release.archived());
        let Some(job) = self.jobs.remove(&release.job) else {
            return;
        };
        for id in &job.verifications {
            if let Some(verification) = self.verifications.remove(id) {
                self.archive.push(verification.archived());
            }
        }
        self.archive.push(job.archived());
    }

    fn change_job(&mut self, id: JobId, status: JobStatus) {
        let now = self.head.time;
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.status = status;
        job.updated_at = now;
        let started = matches!(
            status,
            JobStatus::InProgress | JobStatus::ActionRequired | JobStatus::Successful
        );
        if started {
            job.started_at = job.started_at.or(Some(now));
            if let Some(release) = self.releases.get_mut(&job.release) {
                release.status = ReleaseStatus::Running;
            }
        }
        if !status.is_terminal() {
            return;
        }
        job.completed_at = Some(now);
        let (target, version, promotion) = (job.target, job.version, job.promotion);
        let verified = if job.verifications.is_empty() {
            Verified::NotAsked
        } else {
            Verified::Pending
        };
        if let Some(promotion) = self.promotions.get_mut(&promotion) {
            promotion.running = promotion.running.saturating_sub(1);
            promotion.verifying += 1;
        }
        let track = self
            .tracks
            .entry((version, target.environment))
            .or_default();
        let result = Success {
            status,
            completed_at: now,
            verified,
            replaced_at: None,
        };
        // A redeploy that has not succeeded does not un-count the success before it.
        let keep = track.results.get(&target.resource).is_some_and(|old| {
            old.status == JobStatus::Successful
                && status != JobStatus::Successful
                && old.replaced_at.is_none()
        });
        if !keep {
            track.results.insert(target.resource, result);
        }
        if status == JobStatus::Successful {
            self.replace(target.into(), target.resource, version);
        }
        self.dirty.jobs.insert(id);
        self.touch_deployment(target.deployment);
    }

    /// Another version now runs on the target: the clock of what was there stops.
    fn replace(&mut self, key: LaneKey, resource: ResourceId, by: VersionId) {
        let now = self.head.time;
        let Some(target) = self.target_mut(key, resource) else {
            return;
        };
        let Some(before) = target.deployed.replace(by).filter(|before| *before != by) else {
            return;
        };
        let track = self.tracks.entry((before, key.environment)).or_default();
        if let Some(result) = track.results.get_mut(&resource) {
            result.replaced_at = result.replaced_at.or(Some(now));
        }
    }

    /// Says of a job's result what verification said; of an older job's result on the target it says nothing.
    fn set_verified(&mut self, id: JobId, verified: Verified) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let Some(completed_at) = job.completed_at else {
            return;
        };
        if let Some(track) = self.tracks.get_mut(&(job.version, job.target.environment))
            && let Some(result) = track.results.get_mut(&job.target.resource)
            && (result.status, result.completed_at) == (job.status, completed_at)
        {
            result.verified = verified;
        }
    }

    fn end_release(&mut self, id: ReleaseId, job: JobId, status: ReleaseStatus, reason: &str) {
        let now = self.head.time;
        let Some(release) = self.releases.get_mut(&id) else {
            return;
        };
        release.status = status;
        release.ended_at = Some(now);
        reason.clone_into(&mut release.reason);
        let (target, version, promotion) = (release.target, release.version, release.promotion);
        let (asked, judged, succeeded_job) =
            self.jobs.get(&job).map_or((false, false, false), |job| {
                let failed = |id| {
                    let verification = self.verifications.get(id);
                    verification.is_some_and(|it| it.status == VerificationStatus::Failed)
                };
                (
                    !job.verifications.is_empty(),
                    job.verifications.iter().any(failed),
                    job.status == JobStatus::Successful,
                )
            });
        if let Some(promotion) = self.promotions.get_mut(&promotion) {
            promotion.verifying = promotion.verifying.saturating_sub(1);
            match status {
                ReleaseStatus::Succeeded => promotion.succeeded += 1,
                ReleaseStatus::Cancelled => promotion.cancelled += 1,
                _ => promotion.failed += 1,
            }
        }
        match status {
            ReleaseStatus::Succeeded if asked => self.set_verified(job, Verified::Passed(now)),
            ReleaseStatus::Failed if succeeded_job => {
                self.set_verified(job, Verified::Failed);
                // Its verification could not even begin: as good as failed.
                if !judged {
                    let track = self.tracks.entry((version, target.environment));
                    track.or_default().failed_verifications += 1;
                }
            }
            _ => {}
        }
        let resource = target.resource;
        if let Some(target) = self.target_mut(target.into(), resource) {
            target.active = None;
            let leaving = target.leaving;
            let before = target.current;
            let latest = target.latest;
            if status == ReleaseStatus::Succeeded {
                target.current = Some(id);
                if let Some(before) =
                    before.filter(|before| *before != id && Some(*before) != latest)
                {
                    self.archive_release(before);
                }
            }
            if leaving {
                self.dirty.resources.insert(resource);
            }
        }
        self.touch_deployment(target.deployment);
    }

    fn measure(&mut self, id: VerificationId, metric: usize, measurement: Measurement) {
        let Some(verification) = self.verifications.get_mut(&id) else {
            return;
        };
        let Some(run) = verification.metrics.get_mut(metric) else {
            return;
        };
        run.taken += 1;
        let passed = measurement.status == MeasurementStatus::Passed;
        let error = measurement.status == MeasurementStatus::Error;
        run.consecutive_passes = if passed {
            run.consecutive_passes + 1
        } else {
            0
        };
        run.consecutive_errors = if error { run.consecutive_errors + 1 } else { 0 };
        match measurement.status {
            MeasurementStatus::Passed => run.passed += 1,
            MeasurementStatus::Failed => run.failed += 1,
            MeasurementStatus::Inconclusive => run.inconclusive += 1,
            MeasurementStatus::Error => run.errors += 1,
        }
        run.last = Some(measurement.status);
        run.last_at = Some(measurement.measured_at);
        run.measurements.push(measurement);
        if run.measurements.len() > MetricRun::KEPT {
            run.measurements.remove(0);
        }
        self.dirty.verifications.insert(id);
    }
}

fn count_down(lane: &mut Lane, order: Option<stagegate_model::VersionOrder>) {
    if let Some(count) = lane.by_latest.get_mut(&order) {
        *count -= 1;
        if *count == 0 {
            lane.by_latest.remove(&order);
        }
    }
}
