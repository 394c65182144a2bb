//! How long a job may wait, run and be silent.

use crate::OnLostLease;
use serde::{Deserialize, Serialize};

/// Limits of jobs as far as they are said on a job agent, a deployment or a version. What is not said comes from the
/// next level: the version's wins over the deployment's, that over the agent's, that over [`JobLimits::default`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobLimitsSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_deadline_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_timeout_seconds: Option<u64>,
    /// Only on a job agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u64>,
    /// Only on a job agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u64>,
    /// Only on a job agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_lost_lease: Option<OnLostLease>,
}

impl JobLimitsSpec {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The limits of one job, resolved when it is created and fixed from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobLimits {
    /// A job that no runner has claimed after that long fails.
    pub start_deadline_seconds: u64,
    /// A job that runs longer is asked to stop, and fails.
    pub run_timeout_seconds: u64,
    /// A runner that is silent for that long has lost the job.
    pub lease_seconds: u64,
    /// How long a lost runner may come back, and how long one may take to confirm that it has stopped.
    pub grace_seconds: u64,
    pub on_lost_lease: OnLostLease,
}

/// What a log without limits means: never to be changed.
impl Default for JobLimits {
    fn default() -> Self {
        Self {
            start_deadline_seconds: 24 * 3600,
            run_timeout_seconds: 2 * 3600,
            lease_seconds: 30,
            grace_seconds: 60,
            on_lost_lease: OnLostLease::Fail,
        }
    }
}

impl JobLimits {
    /// Resolves limits from what is said, the most specific first.
    #[must_use]
    pub fn resolve(said: &[JobLimitsSpec]) -> Self {
        let default = Self::default();
        let first = |of: fn(&JobLimitsSpec) -> Option<u64>| said.iter().find_map(of);
        Self {
            start_deadline_seconds: first(|it| it.start_deadline_seconds)
                .unwrap_or(default.start_deadline_seconds),
            run_timeout_seconds: first(|it| it.run_timeout_seconds)
                .unwrap_or(default.run_timeout_seconds),
            lease_seconds: first(|it| it.lease_seconds).unwrap_or(default.lease_seconds),
            grace_seconds: first(|it| it.grace_seconds).unwrap_or(default.grace_seconds),
            on_lost_lease: said
                .iter()
                .find_map(|it| it.on_lost_lease)
                .unwrap_or(default.on_lost_lease),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_wins() {
        let version = JobLimitsSpec {
            run_timeout_seconds: Some(1),
            ..JobLimitsSpec::default()
        };
        let agent = JobLimitsSpec {
            run_timeout_seconds: Some(2),
            lease_seconds: Some(5),
            on_lost_lease: Some(OnLostLease::Requeue),
            ..JobLimitsSpec::default()
        };
        let limits = JobLimits::resolve(&[version, agent]);
        assert_eq!(
            limits,
            JobLimits {
                run_timeout_seconds: 1,
                lease_seconds: 5,
                on_lost_lease: OnLostLease::Requeue,
                ..JobLimits::default()
            }
        );
        assert_eq!(JobLimits::resolve(&[]), JobLimits::default());
    }

    #[test]
    fn unknown_members_are_refused() {
        let json = serde_json::json!({ "leaseSecond": 5 });
        assert!(serde_json::from_value::<JobLimitsSpec>(json).is_err());
    }
}
