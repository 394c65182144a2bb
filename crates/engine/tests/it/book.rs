//! A second, independent account of what happened, kept from the facts alone.

use stagegate_engine::State;
use stagegate_model::*;
use std::collections::BTreeMap;

/// What became of every job and release there ever was.
#[derive(Clone, Default)]
pub struct Book {
    pub jobs: BTreeMap<JobId, BookedJob>,
    /// The job whose release has not ended, by target.
    pub active: BTreeMap<TargetKey, JobId>,
}

#[derive(Clone)]
pub struct BookedJob {
    pub promotion: PromotionId,
    pub version: VersionId,
    pub target: TargetKey,
    pub ended: Option<JobStatus>,
    pub release: Option<ReleaseStatus>,
    /// Another attempt was scheduled after it.
    pub retried: bool,
}

/// How many jobs of a promotion stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub running: u32,
    pub verifying: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub cancelled: u32,
}

impl Book {
    /// Books an entry; the state only tells which deployment a version is of.
    pub fn follow(&mut self, entry: &Entry, state: &State) {
        for fact in &entry.facts {
            match fact {
                Fact::JobsCreated {
                    promotion,
                    version,
                    environment,
                    jobs,
                    ..
                } => {
                    for job in jobs {
                        let booked = BookedJob {
                            promotion: *promotion,
                            version: *version,
                            target: TargetKey {
                                resource: job.resource,
                                environment: *environment,
                                deployment: state.versions()[version].deployment,
                            },
                            ended: None,
                            release: None,
                            retried: false,
                        };
                        let other = self.active.insert(booked.target, job.job);
                        assert!(other.is_none(), "two jobs at once on {}", booked.target);
                        let known = self.jobs.insert(job.job, booked);
                        assert!(known.is_none(), "a job id was used twice");
                    }
                }
                Fact::JobChanged { id, status, .. } => {
                    let job = self.jobs.get_mut(id).expect("a job");
                    assert!(job.ended.is_none(), "an ended job was changed");
                    job.ended = status.is_terminal().then_some(*status);
                }
                Fact::JobClaimed { id, .. } => {
                    assert!(self.jobs[id].ended.is_none(), "an ended job was claimed");
                }
                Fact::RetryScheduled { job, .. } => {
                    let job = self.jobs.get_mut(job).expect("a job");
                    assert!(job.ended.is_some(), "a retry before the job ended");
                    job.retried = true;
                    self.active.remove(&job.target);
                }
                Fact::ReleaseEnded { job, status, .. } => {
                    let job = self.jobs.get_mut(job).expect("a job");
                    assert!(job.ended.is_some(), "a release ended before its job");
                    assert!(job.release.is_none(), "a release ended twice");
                    job.release = Some(*status);
                    self.active.remove(&job.target);
                }
                _ => {}
            }
        }
    }

    pub fn jobs_ever(&self, version: VersionId, environment: EnvironmentId) -> usize {
        let jobs = self.jobs.values();
        jobs.filter(|job| job.version == version && job.target.environment == environment)
            .count()
    }

    pub fn counts(&self) -> BTreeMap<PromotionId, Counts> {
        let mut counts: BTreeMap<PromotionId, Counts> = BTreeMap::new();
        let last = |job: &&BookedJob| !job.retried || job.release.is_some();
        for job in self.jobs.values().filter(last) {
            let it = counts.entry(job.promotion).or_default();
            let count = match (job.ended, job.release) {
                (None, _) => &mut it.running,
                (Some(_), None) => &mut it.verifying,
                (_, Some(ReleaseStatus::Succeeded)) => &mut it.succeeded,
                (_, Some(ReleaseStatus::Cancelled)) => &mut it.cancelled,
                _ => &mut it.failed,
            };
            *count += 1;
        }
        counts
    }
}
