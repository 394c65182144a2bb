//! How long things usually take: the median of what has ended.

use crate::state::{Job, LaneKey, State};
use stagegate_model::{EnvironmentId, GateState, JobStatus, Timestamp};
use std::collections::BTreeMap;

/// How many of the last ones a median is of, at most.
const SAMPLES_MAX: usize = 200;

/// What has ended, and how long it took.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// When an approval was given, and how long after it was asked for, in milliseconds.
    approvals: BTreeMap<EnvironmentId, Vec<(Timestamp, i64)>>,
    /// When a job succeeded, and how long after it was created, in milliseconds.
    jobs: BTreeMap<LaneKey, Vec<(Timestamp, i64)>>,
}

/// What a user says in place of the past, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given {
    pub approval: Option<i64>,
    pub job: Option<i64>,
}

/// What takes some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// From when an approval is asked for in an environment until it is given.
    Approval(EnvironmentId),
    /// From when a job is created until it succeeds.
    Job(LaneKey),
}

impl Subject {
    /// Where.
    pub(super) fn environment(&self) -> EnvironmentId {
        match self {
            Self::Approval(environment) => *environment,
            Self::Job(lane) => lane.environment,
        }
    }
}

/// How long something is assumed to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assumption {
    pub subject: Subject,
    /// `None` where nothing is known; then nothing is assumed.
    pub millis: Option<i64>,
    /// How many it is the median of.
    pub samples: usize,
    pub source: Source,
}

/// What a length of time was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The user.
    Given,
    /// The same environment; of a job also the same deployment.
    Place,
    /// The whole workspace, since nothing has ended in that place.
    Workspace,
    /// Nothing.
    None,
}

impl Source {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Place => "environment",
            Self::Workspace => "workspace",
            Self::None => "none",
        }
    }
}

impl History {
    /// What memory holds: the approvals of promotions that are in it, and the jobs.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let mut history = Self::default();
        for ((_, environment), track) in state.tracks() {
            let promotion = track.promotion.and_then(|id| state.promotions().get(&id));
            let Some(promotion) = promotion else {
                continue;
            };
            for gate in track.gates.values() {
                // What was approved by a rule, or set aside, says nothing of people.
                let by_people = is_approval(&gate.kind) && gate.code == "approved";
                let given = gate.satisfied_at.filter(|at| *at >= promotion.opened_at);
                if let (true, GateState::Allow, Some(at)) = (by_people, gate.state, given) {
                    let taken = at.millis_since(promotion.opened_at);
                    let known = history.approvals.entry(*environment).or_default();
                    known.push((at, taken));
                }
            }
        }
        for job in state.jobs().values() {
            history.add_job(job);
        }
        history
    }

    /// Takes a job, if it succeeded; each is to be given once.
    pub fn add_job(&mut self, job: &Job) {
        let Some(at) = job.completed_at else {
            return;
        };
        if job.status == JobStatus::Successful {
            let taken = at.millis_since(job.created_at).max(0);
            let lane = LaneKey::from(job.target);
            self.jobs.entry(lane).or_default().push((at, taken));
        }
    }

    pub(super) fn assume(&self, subject: Subject, given: Given) -> Assumption {
        let said = match subject {
            Subject::Approval(_) => given.approval,
            Subject::Job(_) => given.job,
        };
        if said.is_some() {
            return Assumption {
                subject,
                millis: said,
                samples: 0,
                source: Source::Given,
            };
        }
        let (place, everywhere): (Option<&Vec<_>>, Vec<_>) = match subject {
            Subject::Approval(environment) => (
                self.approvals.get(&environment),
                self.approvals.values().flatten().copied().collect(),
            ),
            Subject::Job(lane) => (
                self.jobs.get(&lane),
                self.jobs.values().flatten().copied().collect(),
            ),
        };
        let of = |all: &[(Timestamp, i64)], source| {
            let (millis, samples) = median(all)?;
            Some(Assumption {
                subject,
                millis: Some(millis),
                samples,
                source,
            })
        };
        let here = place.and_then(|all| of(all, Source::Place));
        here.or_else(|| of(&everywhere, Source::Workspace))
            .unwrap_or(Assumption {
                subject,
                millis: None,
                samples: 0,
                source: Source::None,
            })
    }
}

/// Whether a gate is one that people open by approving.
pub(super) fn is_approval(kind: &str) -> bool {
    matches!(kind, "approval" | "anyApproval")
}

/// The median of the latest ones, the lower of two, and of how many it is.
fn median(all: &[(Timestamp, i64)]) -> Option<(i64, usize)> {
    let mut latest = all.to_vec();
    latest.sort_unstable();
    let from = latest.len().saturating_sub(SAMPLES_MAX);
    let mut lengths: Vec<i64> = latest.iter().skip(from).map(|(_, taken)| *taken).collect();
    lengths.sort_unstable();
    let middle = lengths.len().checked_sub(1)? / 2;
    Some((*lengths.get(middle)?, lengths.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_of_the_latest_and_never_made_up() {
        let at = |lengths: &[i64]| -> Vec<(Timestamp, i64)> {
            let numbered = lengths.iter().enumerate();
            numbered
                .map(|(index, taken)| (Timestamp(i64::try_from(index).unwrap()), *taken))
                .collect()
        };
        assert_eq!(median(&[]), None);
        assert_eq!(median(&at(&[7])), Some((7, 1)));
        assert_eq!(median(&at(&[9, 1, 5])), Some((5, 3)));
        assert_eq!(median(&at(&[4, 1, 3, 2])), Some((2, 4)));
        let mut long = vec![1_000; 300];
        long.extend([5; SAMPLES_MAX]);
        assert_eq!(median(&at(&long)), Some((5, SAMPLES_MAX)));
    }
}
