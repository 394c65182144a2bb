//! Folding who has a job, who lost it, and when time decides of it.

use super::super::{Cancel, Job, Lost, SortedSet, State};
use crate::limits::seconds;
use stagegate_model::{CancelCause, JobId, JobStatus, ReleaseStatus, Timestamp, UserId};

impl State {
    pub(super) fn claim_job(&mut self, id: JobId, runner: &str, epoch: u64, lease: bool) {
        let now = self.head.time;
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.runner = Some(runner.to_owned());
        job.epoch = epoch;
        job.lease = lease;
        job.status = JobStatus::InProgress;
        job.started_at = job.started_at.or(Some(now));
        job.running_since = Some(now);
        job.updated_at = now;
        if let Some(release) = self.releases.get_mut(&job.release) {
            release.status = ReleaseStatus::Running;
        }
        self.time_job(id);
    }

    pub(super) fn lose_job(&mut self, id: JobId, since: Timestamp) {
        let at = self.head.time;
        self.with_job(id, |job| job.lost = Some(Box::new(Lost { at, since })));
    }

    pub(super) fn find_job(&mut self, id: JobId) {
        self.with_job(id, |job| job.lost = None);
    }

    pub(super) fn requeue_job(&mut self, id: JobId, epoch: u64) {
        let now = self.head.time;
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.status = JobStatus::Pending;
        job.epoch = epoch;
        job.runner = None;
        job.lease = false;
        job.lost = None;
        job.requeues += 1;
        job.waiting_since = now;
        job.running_since = None;
        if let Some(release) = self.releases.get_mut(&job.release) {
            release.status = ReleaseStatus::Pending;
        }
        self.with_job(id, |_| {});
    }

    pub(super) fn request_cancel(
        &mut self,
        id: JobId,
        cause: CancelCause,
        reason: &str,
        by: Option<UserId>,
    ) {
        let at = self.head.time;
        let reason = reason.to_owned();
        self.with_job(id, |job| {
            let cancel = Cancel {
                cause,
                reason,
                at,
                by,
            };
            job.cancel = Some(Box::new(cancel));
        });
    }

    fn with_job(&mut self, id: JobId, change: impl FnOnce(&mut Job)) {
        let now = self.head.time;
        if let Some(job) = self.jobs.get_mut(&id) {
            change(job);
            job.updated_at = now;
        }
        self.time_job(id);
    }

    /// Says anew when time alone decides of a job.
    pub(super) fn time_job(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        Self::unwake(&mut self.wakes, job);
        job.wake_at = wake_at(job);
        if let Some(at) = job.wake_at {
            self.wakes.insert((at, id));
        }
    }

    pub(super) fn unwake(wakes: &mut SortedSet<(Timestamp, JobId)>, job: &mut Job) {
        if let Some(at) = job.wake_at.take() {
            wakes.remove(&(at, job.id));
        }
    }
}

fn wake_at(job: &Job) -> Option<Timestamp> {
    let limits = &job.limits;
    let grace = seconds(limits.grace_seconds);
    if job.status.is_terminal() {
        return None;
    }
    // One that is to stop is not given to anyone else, nor asked again.
    if let Some(cancel) = &job.cancel {
        return Some(cancel.at.plus_seconds(grace));
    }
    if let Some(lost) = &job.lost {
        return Some(lost.at.plus_seconds(grace));
    }
    Some(match job.running_since {
        Some(since) => since.plus_seconds(seconds(limits.run_timeout_seconds)),
        None => job
            .waiting_since
            .plus_seconds(seconds(limits.start_deadline_seconds)),
    })
}
