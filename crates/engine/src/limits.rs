//! Limits of jobs: what may be said where, and how they are told.

use crate::state::State;
use stagegate_model::{DeploymentId, JobAgentId, JobLimits, JobLimitsSpec, Rejection, VersionId};

const DAY: u64 = 24 * 3600;

/// Who says limits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitsOf {
    Agent,
    /// A deployment or a version: what depends on the runners is not theirs to say.
    Other,
}

/// Refuses limits out of bounds, or said where they have no meaning; fields are named from `jobLimits` on.
pub(crate) fn check(spec: &JobLimitsSpec, of: LimitsOf) -> Result<(), Rejection> {
    let fields = [
        (
            "startDeadlineSeconds",
            spec.start_deadline_seconds,
            1,
            30 * DAY,
        ),
        ("runTimeoutSeconds", spec.run_timeout_seconds, 1, 30 * DAY),
        ("leaseSeconds", spec.lease_seconds, 5, 3600),
        ("graceSeconds", spec.grace_seconds, 0, DAY),
    ];
    let runners = [
        ("leaseSeconds", spec.lease_seconds.is_some()),
        ("graceSeconds", spec.grace_seconds.is_some()),
        ("onLostLease", spec.on_lost_lease.is_some()),
    ];
    let misplaced = runners
        .iter()
        .find(|(_, said)| *said && of == LimitsOf::Other);
    if let Some((name, _)) = misplaced {
        return Err(
            Rejection::invalid("invalid_value", "only a job agent can say this")
                .at(format!("jobLimits.{name}"))
                .hint("move it to the `jobLimits` of the job agent"),
        );
    }
    for (name, value, min, max) in fields {
        let Some(value) = value.filter(|value| !(min..=max).contains(value)) else {
            continue;
        };
        let message = format!("`{value}` is not allowed; it must be {min} to {max} seconds");
        return Err(Rejection::invalid("invalid_value", message).at(format!("jobLimits.{name}")));
    }
    Ok(())
}

impl State {
    /// The limits of a job that is created now.
    pub(crate) fn job_limits(
        &self,
        agent: JobAgentId,
        deployment: DeploymentId,
        version: VersionId,
    ) -> JobLimits {
        let said = [
            self.versions.get(&version).map(|it| it.job_limits),
            self.deployments.get(&deployment).map(|it| it.job_limits),
            self.agents.get(&agent).map(|it| it.job_limits),
        ];
        let said: Vec<_> = said.into_iter().flatten().collect();
        JobLimits::resolve(&said)
    }
}

/// A length of time as people say it: `90 s`, `15 min`, `24 h`.
pub(crate) fn told(seconds: u64) -> String {
    match seconds {
        0 => "0 s".to_owned(),
        _ if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// Seconds to add to a time. What is larger than any time is as good as never.
pub(crate) fn seconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
