//! Who has a job and who may say what of it: claims, leases, requests to stop, reports, and ends that time brings.

use super::Violation;
use super::follow::{Auditor, Checked, require};
use super::ledger::JobRecord;
use stagegate_model::*;

/// How often a job may be taken from a lost runner.
const REQUEUES_MAX: u32 = 5;

/// What a client says of a job: which, as whom, and by which claim.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub job: JobId,
    pub runner: Option<String>,
    pub epoch: Option<u64>,
}

impl Said {
    pub fn of(command: &Command) -> Option<Self> {
        let said = |job, runner, epoch| Self { job, runner, epoch };
        match command {
            Command::ClaimJob { job, runner, .. } => Some(said(*job, Some(runner.clone()), None)),
            Command::ReportJob(it) => Some(said(it.job, it.runner.clone(), it.epoch)),
            Command::RenewLease { job, runner, epoch } => {
                Some(said(*job, Some(runner.clone()), Some(*epoch)))
            }
            _ => None,
        }
    }

    /// Whether facts of this job came of what was said by somebody who does not have it.
    pub fn check(&self, job: &JobRecord, is_claim: bool, facts: &[Fact]) -> Checked {
        let changed = facts.iter().any(|fact| {
            matches!(fact, Fact::JobChanged { id, .. } | Fact::JobClaimed { id, .. } | Fact::JobFound { id, .. } if *id == self.job)
        });
        if !changed || job.status.is_terminal() {
            return Ok(());
        }
        let id = self.job;
        let foreign = match (&job.runner, &self.runner) {
            (Some(holder), Some(runner)) => holder != runner,
            _ => false,
        };
        require(!foreign, "foreign", || {
            format!("a runner that does not hold {id} changed it")
        })?;
        if is_claim {
            return Ok(());
        }
        let taken = job.runner.is_none() && job.epoch > 0;
        let stale = self.epoch.is_some_and(|epoch| epoch != job.epoch);
        let silent = job.lease && self.runner.is_none() && self.epoch.is_none();
        require(!(stale || taken || silent), "fencing", || {
            format!(
                "{id} was changed by the claim {:?}, and its epoch is {}",
                self.epoch, job.epoch
            )
        })
    }
}

impl Auditor {
    /// The machine's clock was set back to `now`: nothing was heard of later than that.
    pub fn clock_set_back(&mut self, now: Timestamp) {
        for (_, at) in self.heard.values_mut() {
            *at = now.min(*at);
        }
    }

    /// The holder of a job was heard of, and was told so.
    pub fn heard(&mut self, job: JobId, epoch: u64, now: Timestamp) {
        self.heard.insert(job, (epoch, now));
    }

    pub(super) fn job(&mut self, fact: &Fact) -> Checked {
        let (now, seq) = (self.ledger.now, self.ledger.seq);
        let heard = |id: &JobId| self.heard.get(id).copied();
        let (id, last_heard) = match fact {
            Fact::JobClaimed { id, .. }
            | Fact::JobLost { id, .. }
            | Fact::JobFound { id, .. }
            | Fact::JobRequeued { id, .. }
            | Fact::JobCancelRequested { id, .. }
            | Fact::JobChanged { id, .. } => (*id, heard(id)),
            Fact::ReportIgnored { job, standing, .. } => {
                let status = self.ledger.jobs.get(job).map(|job| job.status);
                return require(status == Some(*standing), "terminal", || {
                    format!("{job} stands at {standing} only in a note")
                });
            }
            Fact::ReleaseEnded { job, status, .. } => return self.release_ended(*job, *status),
            _ => return Ok(()),
        };
        let Some(before) = self.ledger.jobs.get(&id).cloned() else {
            return Err(Violation::new("jobs", "something of an unknown job"));
        };
        require(!before.status.is_terminal(), "terminal", || {
            format!("{id} went on after it was {}", before.status)
        })?;
        if let Fact::JobChanged { status, .. } = fact {
            self.check_end(id, &before, *status)?;
        }
        let Some(job) = self.ledger.jobs.get_mut(&id) else {
            return Ok(());
        };
        match fact {
            Fact::JobClaimed {
                runner,
                epoch,
                lease,
                ..
            } => {
                let free = matches!(before.status, JobStatus::Pending | JobStatus::Queued);
                require(free && before.cancel.is_none(), "terminal", || {
                    format!("{id} was claimed as {}", before.status)
                })?;
                require(*epoch == before.epoch + 1, "fencing", || {
                    format!("{id} was claimed with epoch {epoch} after {}", before.epoch)
                })?;
                job.runner = Some(runner.clone());
                job.status = JobStatus::InProgress;
                job.epoch = *epoch;
                job.lease = *lease;
                job.running_since = Some(now);
            }
            Fact::JobLost { epoch, since, .. } => {
                let lease = i64::try_from(before.limits.lease_seconds * 1000).unwrap_or(i64::MAX);
                let silent = now.millis_since(*since) >= lease;
                let current = before.lease && before.lost.is_none() && *epoch == before.epoch;
                require(current && silent, "leases", || {
                    format!("{id} was given up at {now}, heard of at {since}")
                })?;
                let heard = last_heard.filter(|(of, _)| of == epoch);
                require(heard.is_none_or(|(_, at)| at <= *since), "leases", || {
                    format!("{id} was given up, though its runner was answered after {since}")
                })?;
                job.lost = Some(now);
            }
            Fact::JobFound { epoch, .. } => {
                let lost = before.lost.is_some() && *epoch == before.epoch;
                require(lost, "leases", || {
                    format!("{id} was found and was not lost")
                })?;
                job.lost = None;
            }
            Fact::JobRequeued { epoch, .. } => {
                let due = before.lost.is_some()
                    && before.cancel.is_none()
                    && before.decided_at().is_some_and(|at| at <= now)
                    && before.limits.on_lost_lease == OnLostLease::Requeue
                    && before.requeues < REQUEUES_MAX;
                require(due && *epoch == before.epoch + 1, "leases", || {
                    format!("{id} was given to the next runner before its time")
                })?;
                job.status = JobStatus::Pending;
                job.runner = None;
                job.lease = false;
                job.lost = None;
                job.epoch = *epoch;
                job.requeues += 1;
                job.waiting_since = now;
                job.running_since = None;
            }
            Fact::JobCancelRequested { cause, .. } => {
                let late = before.decided_at().is_some_and(|at| at <= now);
                let sound = match cause {
                    CancelCause::Timeout => before.running_since.is_some() && late,
                    CancelCause::Person | CancelCause::Rollback => true,
                };
                require(sound && before.cancel.is_none(), "leases", || {
                    format!("{id} was asked to stop ({cause}) without cause")
                })?;
                job.cancel = Some((now, *cause));
            }
            Fact::JobChanged { status, .. } => {
                job.status = *status;
                job.lost = None;
                if matches!(
                    status,
                    JobStatus::InProgress | JobStatus::ActionRequired | JobStatus::Successful
                ) {
                    job.running_since = job.running_since.or(Some(now));
                }
                if status.is_terminal() {
                    job.completed_at = Some(now);
                    job.completed_seq = seq;
                }
                let (target, version, release) = (job.target, job.version, job.release);
                if *status == JobStatus::Successful {
                    let record = self.ledger.targets.entry(target).or_default();
                    record.deployed.push((seq, now, version));
                    record.brought = Some(release);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What nobody reported may end only since its time has come, or before anybody began with it.
    fn check_end(&self, id: JobId, job: &JobRecord, status: JobStatus) -> Checked {
        if self.reported == Some(id) {
            return Ok(());
        }
        let unbegun = job.status == JobStatus::Pending && status == JobStatus::Cancelled;
        let due = job.decided_at().is_some_and(|at| at <= self.ledger.now);
        // Running too long alone ends nothing: it is asked to stop first.
        let asked = job.cancel.is_some() || job.lost.is_some() || job.running_since.is_none();
        let ends = matches!(status, JobStatus::Failure | JobStatus::Cancelled);
        require(unbegun || (due && asked && ends), "leases", || {
            format!(
                "{id} went from {} to {status} though nobody said so and its time had not come",
                job.status
            )
        })
    }

    fn release_ended(&mut self, id: JobId, status: ReleaseStatus) -> Checked {
        let ledger = &mut self.ledger;
        let Some(job) = ledger.jobs.get(&id).cloned() else {
            return Err(Violation::new("jobs", "a release of an unknown job ended"));
        };
        let name = ledger.name(job.target);
        require(job.ended.is_none(), "terminal", || {
            format!("a release on {name} ended twice")
        })?;
        require(job.status.is_terminal(), "busy", || {
            format!("a release on {name} ended before its job")
        })?;
        let latest = ledger.latest_runs(&job);
        let running = latest
            .iter()
            .any(|(_, it)| it.status == VerificationStatus::Running);
        require(!running, "busy", || {
            format!("a release on {name} ended before its verification")
        })?;
        let passed = latest
            .iter()
            .all(|(_, it)| it.status == VerificationStatus::Passed);
        let failed = latest.iter().any(|(_, it)| {
            it.status == VerificationStatus::Failed && it.trigger != VerificationTrigger::JobFailure
        });
        let successful = job.status == JobStatus::Successful;
        let (version, environment) = (job.version, job.target.environment);
        let resource = job.target.resource;
        if status == ReleaseStatus::Succeeded {
            require(successful && passed, "verified", || {
                format!("a release on {name} succeeded unverified")
            })?;
            let asked = |trigger| latest.iter().any(|(_, it)| it.trigger == trigger);
            let of = ledger.versions.get(&version);
            for trigger in [
                VerificationTrigger::JobStarted,
                VerificationTrigger::JobSuccess,
            ] {
                let wanted = of.is_some_and(|it| ledger.wants(it, job.target, trigger));
                require(asked(trigger) || !wanted, "verified", || {
                    format!("a release on {name} succeeded without what {trigger} asks for")
                })?;
            }
        }
        let stops = ledger.stops_mut(version, environment);
        // How a rollback goes says nothing of the version elsewhere.
        if job.kind != StartKind::Rollback {
            match status {
                ReleaseStatus::Succeeded => {
                    stops.failed.remove(&resource);
                }
                ReleaseStatus::Failed => {
                    stops.failures.insert(resource);
                    // Its verification could not even begin.
                    if successful && !failed {
                        stops.failed.insert(resource);
                    }
                }
                _ => {}
            }
        }
        let now = ledger.now;
        if let Some(job) = ledger.jobs.get_mut(&id) {
            job.ended = Some((status, now));
            job.retried = false;
        }
        if let Some(target) = ledger.targets.get_mut(&job.target) {
            target.active = target.active.filter(|active| *active != id);
            target.retry = target.retry.filter(|retry| retry.release != job.release);
            if status == ReleaseStatus::Succeeded {
                target.good.push((job.release, version));
                target.current = Some((job.release, version));
            }
        }
        Ok(())
    }
}
