//! The fold: one fact at a time, total, infallible, deterministic. It marks what a fact can affect as dirty
//! and evaluates nothing.

mod configuration;
mod lanes;
mod leases;
mod neighbours;
mod orders;
mod runs;
mod variables;

use super::{
    Key, LaneKey, Measurement, MetricRun, State, Verification, Verified, VoteRecord, WorkspaceInfo,
};
use stagegate_model::{EntryId, Fact, Timestamp, VerificationStatus, VerificationTrigger};

use std::sync::Arc;

impl State {
    /// Opens an entry: what is applied next happens at `time`.
    pub(crate) fn begin(&mut self, seq: u64, entry: EntryId, time: Timestamp) {
        self.head.seq = seq;
        self.head.entry = entry;
        self.head.time = self.head.time.max(time);
    }

    /// Everything that there was to decide has been.
    pub(crate) fn mark_none(&mut self) {
        self.dirty = super::Dirty::default();
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
            | Fact::PolicyDeleted { .. }
            | Fact::GroupPut { .. }
            | Fact::GroupDeleted { .. }
            | Fact::SkipCreated { .. }
            | Fact::SkipDeleted { .. }
            | Fact::FreezePut { .. }
            | Fact::FreezeDeleted { .. }
            | Fact::NotifierPut { .. }
            | Fact::NotifierDeleted { .. } => self.apply_configuration(fact),
            Fact::VariablePut { .. }
            | Fact::VariableDeleted { .. }
            | Fact::VariableSetPut { .. }
            | Fact::VariableSetDeleted { .. }
            | Fact::ResourceVariablesPut { .. }
            | Fact::RelationshipRulePut { .. }
            | Fact::RelationshipRuleDeleted { .. } => self.apply_variables(fact),
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
                metadata,
                groups,
            } => {
                let record = VoteRecord {
                    vote: *vote,
                    at: now,
                    reason: reason.clone(),
                    digest: *digest,
                    metadata: *metadata,
                    groups: groups.clone(),
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
                kind,
            } => {
                self.open_promotion(*id, *version, *environment, *attempt, *previous, *kind);
            }
            Fact::GateChanged { promotion, gate } => {
                if let Some(promotion) = self.promotions.get(promotion) {
                    let track = self
                        .tracks
                        .entry((promotion.version, promotion.environment))
                        .or_default();
                    track.record(gate, now);
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
                kind: _,
                limits: _,
                jobs,
            } => {
                self.latch(*version, *environment, latches);
                for job in jobs {
                    self.create_job(fact, *promotion, *version, job);
                }
            }
            Fact::RetryScheduled { .. }
            | Fact::TargetOrdered { .. }
            | Fact::OrderDropped { .. }
            | Fact::HoldReleased { .. }
            | Fact::Quarantined { .. }
            | Fact::QuarantineCleared { .. }
            | Fact::PromotionCancelRequested { .. }
            | Fact::PromotionReopened { .. }
            | Fact::RolloutStarted { .. }
            | Fact::RolloutWaveStarted { .. }
            | Fact::RolloutClock { .. }
            | Fact::RolloutPaused { .. }
            | Fact::RolloutResumed { .. } => self.apply_order(fact),
            Fact::TargetBlocked { target, block } => {
                self.change_target((*target).into(), target.resource, |target| {
                    target.block = block.clone().map(Box::new);
                });
            }
            Fact::JobClaimed {
                id,
                runner,
                epoch,
                lease,
            } => self.claim_job(*id, runner, *epoch, *lease),
            Fact::JobLost { id, since, .. } => self.lose_job(*id, *since),
            Fact::JobFound { id, .. } => self.find_job(*id),
            Fact::JobRequeued { id, epoch } => self.requeue_job(*id, *epoch),
            Fact::JobCancelRequested {
                id,
                cause,
                reason,
                by,
            } => self.request_cancel(*id, *cause, reason, *by),
            Fact::JobChanged {
                id,
                status,
                message,
                external_id,
                output_tail,
                exit,
                links,
            } => {
                if let Some(job) = self.jobs.get_mut(id) {
                    job.message.clone_from(message);
                    if external_id.is_some() {
                        job.external_id.clone_from(external_id);
                    }
                    if output_tail.is_some() {
                        job.output_tail.clone_from(output_tail);
                    }
                    if let Some(exit) = exit {
                        job.exit = Some(Box::new(exit.clone()));
                    }
                    if !links.is_empty() {
                        job.links = Some(Box::new(links.clone()));
                    }
                    job.lost = None;
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
                    let (target, version, release) = (job.target, job.version, job.release);
                    if counts {
                        self.fail_verification(release, version, target);
                    }
                    self.touch_deployment(target.deployment);
                }
            }
        }
    }
}
