//! What the log says of how jobs went and what was measured: where another life has a job of the same version on the
//! same target, it goes the same way.

use crate::state::{LaneKey, State};
use stagegate_model::{
    DeploymentId, Entry, EnvironmentId, Fact, JobId, JobStatus, Json, MeasurementStatus, Metric,
    PromotionId, ReleaseId, TargetKey, Timestamp, VerificationId, VerificationStatus,
    VerificationTrigger, VersionId,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a job takes where nothing is known of any.
const UNKNOWN_MILLIS: i64 = 60_000;

/// What is recorded from a moment on.
#[derive(Default)]
pub(super) struct Past {
    pub jobs: BTreeMap<JobId, PastJob>,
    /// The jobs of a version on a target, in their order.
    by_subject: BTreeMap<Subject, Vec<JobId>>,
    pub promotions: BTreeMap<PromotionId, (VersionId, EnvironmentId)>,
    /// Which version a release was of.
    pub releases: BTreeMap<ReleaseId, VersionId>,
    verifications: BTreeMap<VerificationId, (JobId, usize)>,
    /// How long jobs that succeeded waited and took, by lane; sorted once all is known.
    spans: BTreeMap<LaneKey, Spans>,
    /// Whether what was measured is kept, not only how it was judged.
    keep_data: bool,
}

/// What a job is about.
pub(super) type Subject = (TargetKey, VersionId);

#[derive(Default)]
struct Spans {
    claimed: Vec<i64>,
    ended: Vec<i64>,
}

/// A job as it went.
pub(super) struct PastJob {
    pub created_at: Timestamp,
    subject: Subject,
    /// What was said of it, by milliseconds from its creation.
    pub steps: Vec<(i64, Step)>,
    pub verifications: Vec<PastVerification>,
}

/// What may be said of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Claimed,
    Reported(JobStatus),
}

/// A verification as it went.
pub(super) struct PastVerification {
    id: VerificationId,
    pub started_at: Timestamp,
    pub trigger: VerificationTrigger,
    pub metrics: Vec<PastMetric>,
    ended_at: Option<Timestamp>,
    /// What a person decided, and how long after it stood still.
    pub decided: Option<(i64, VerificationStatus)>,
}

/// A metric with what was measured, in order.
pub(super) struct PastMetric {
    pub metric: Metric,
    pub measured: Vec<(MeasurementStatus, Option<Arc<Json>>)>,
}

impl Past {
    /// Nothing yet. `keep_data`: whether what is measured will be judged by other conditions.
    pub fn new(keep_data: bool) -> Self {
        Self {
            keep_data,
            ..Self::default()
        }
    }

    /// What is open when the record begins.
    pub fn begin(&mut self, state: &State) {
        for job in state.jobs.values() {
            let past = PastJob {
                created_at: job.created_at,
                subject: (job.target, job.version),
                steps: Vec::new(),
                verifications: Vec::new(),
            };
            self.jobs.insert(job.id, past);
            for id in &job.verifications {
                if let Some(known) = state.verifications.get(id) {
                    let metrics = known.metrics.iter().map(|run| PastMetric {
                        metric: run.planned.metric.clone(),
                        measured: run
                            .measurements
                            .iter()
                            .map(|it| (it.status, None))
                            .collect(),
                    });
                    let past = PastVerification {
                        id: *id,
                        started_at: known.started_at,
                        trigger: known.trigger,
                        metrics: metrics.collect(),
                        ended_at: known.ended_at,
                        decided: None,
                    };
                    self.start(*id, job.id, past);
                }
            }
        }
        let promotions = state.promotions.values();
        self.promotions
            .extend(promotions.map(|it| (it.id, (it.version, it.environment))));
        let releases = state.releases.values();
        self.releases.extend(releases.map(|it| (it.id, it.version)));
        let left = state.left();
        self.releases.extend(left.map(|it| (it.id, it.version)));
    }

    fn start(&mut self, id: VerificationId, job: JobId, past: PastVerification) {
        if let Some(known) = self.jobs.get_mut(&job) {
            self.verifications
                .insert(id, (job, known.verifications.len()));
            known.verifications.push(past);
        }
    }

    /// Learns how things went.
    pub fn learn(&mut self, entry: &Entry, state: &BTreeMap<VersionId, DeploymentId>) {
        let now = entry.time;
        for fact in &entry.facts {
            match fact {
                Fact::PromotionOpened {
                    id,
                    version,
                    environment,
                    ..
                } => {
                    self.promotions.insert(*id, (*version, *environment));
                }
                Fact::JobsCreated {
                    version,
                    environment,
                    jobs,
                    ..
                } => {
                    let Some(deployment) = state.get(version) else {
                        continue;
                    };
                    for job in jobs {
                        let target = TargetKey {
                            resource: job.resource,
                            environment: *environment,
                            deployment: *deployment,
                        };
                        let subject = (target, *version);
                        self.releases.insert(job.release, *version);
                        self.by_subject.entry(subject).or_default().push(job.job);
                        let past = PastJob {
                            created_at: now,
                            subject,
                            steps: Vec::new(),
                            verifications: Vec::new(),
                        };
                        self.jobs.insert(job.job, past);
                    }
                }
                Fact::JobClaimed { id, .. } => self.step(*id, Step::Claimed, now),
                Fact::JobChanged { id, status, .. } => {
                    self.step(*id, Step::Reported(*status), now);
                }
                Fact::VerificationStarted {
                    id,
                    job,
                    trigger,
                    metrics,
                    ..
                } => {
                    let metrics = metrics.iter().map(|planned| PastMetric {
                        metric: planned.metric.clone(),
                        measured: Vec::new(),
                    });
                    let past = PastVerification {
                        id: *id,
                        started_at: now,
                        trigger: *trigger,
                        metrics: metrics.collect(),
                        ended_at: None,
                        decided: None,
                    };
                    self.start(*id, *job, past);
                }
                Fact::Measured {
                    verification,
                    metric,
                    status,
                    data,
                    ..
                } => {
                    let whole = data.get("cut").is_none();
                    let kept = self.keep_data && whole && *status != MeasurementStatus::Error;
                    let data = kept.then(|| Arc::new(data.clone()));
                    let known = self.verification_mut(*verification);
                    if let Some(known) = known.and_then(|it| it.metrics.get_mut(*metric)) {
                        known.measured.push((*status, data));
                    }
                }
                Fact::VerificationEnded {
                    id,
                    status,
                    decided_by,
                    ..
                } => {
                    if let Some(known) = self.verification_mut(*id) {
                        let since = known.ended_at.unwrap_or(now);
                        if decided_by.is_some() {
                            known.decided = Some((now.millis_since(since), *status));
                        }
                        known.ended_at = Some(now);
                    }
                }
                _ => {}
            }
        }
    }

    fn step(&mut self, id: JobId, step: Step, now: Timestamp) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let at = now.millis_since(job.created_at);
        job.steps.push((at, step));
        if step == Step::Reported(JobStatus::Successful) {
            let claimed = job.steps.iter().find(|(_, step)| *step == Step::Claimed);
            let spans = self.spans.entry(job.subject.0.into()).or_default();
            spans.claimed.extend(claimed.map(|(at, _)| *at));
            spans.ended.push(at);
        }
    }

    fn verification_mut(&mut self, id: VerificationId) -> Option<&mut PastVerification> {
        let (job, index) = self.verifications.get(&id)?;
        self.jobs.get_mut(job)?.verifications.get_mut(*index)
    }

    /// The verification that is the n-th of a job.
    pub fn verification_at(&self, job: JobId, index: usize) -> Option<VerificationId> {
        self.jobs
            .get(&job)?
            .verifications
            .get(index)
            .map(|it| it.id)
    }

    /// When all is known.
    pub fn close(&mut self) {
        for spans in self.spans.values_mut() {
            spans.claimed.sort_unstable();
            spans.ended.sort_unstable();
        }
    }

    /// The n-th job of a version on a target, from 0; the last one, and `false`, where there are fewer.
    pub fn job(&self, subject: &Subject, n: usize) -> Option<(JobId, bool)> {
        let jobs = self.by_subject.get(subject)?;
        let exact = jobs.get(n).map(|id| (*id, true));
        exact.or_else(|| jobs.last().map(|id| (*id, false)))
    }

    /// How a job would go of which nothing is recorded: well, and as long as jobs there usually take.
    pub fn usual(&self, lane: LaneKey) -> Vec<(i64, Step)> {
        let middle = |sorted: &[i64]| sorted.get(sorted.len() / 2).copied();
        let same = |it: &&LaneKey| it.deployment == lane.deployment;
        let near = self.spans.keys().find(same);
        let known = self
            .spans
            .get(&lane)
            .or_else(|| near.and_then(|key| self.spans.get(key)));
        let ended = known.and_then(|it| middle(&it.ended));
        let ended = ended.unwrap_or(UNKNOWN_MILLIS);
        let claimed = known.and_then(|it| middle(&it.claimed)).unwrap_or(0);
        vec![
            (claimed.min(ended), Step::Claimed),
            (ended, Step::Reported(JobStatus::Successful)),
        ]
    }
}
