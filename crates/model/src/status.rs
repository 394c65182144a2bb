//! Lifecycles as enums, with the one place that says which steps are legal.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! named {
    ($($(#[$doc:meta])* pub enum $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),* }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word used in JSON, the CLI and the pages.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// The value with that word.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )*};
}

named! {
    /// What a version is good for; only `ready` is ever a candidate.
    pub enum VersionStatus {
        Unspecified = "unspecified",
        /// CI is still at it.
        Building = "building",
        Ready = "ready",
        Failed = "failed",
        /// A person said no to the version itself.
        Rejected = "rejected",
        /// Stays where it is and goes nowhere new.
        Paused = "paused",
    }

    /// The statuses of a job as agents report them.
    pub enum JobStatus {
        Pending = "pending",
        Queued = "queued",
        InProgress = "inProgress",
        ActionRequired = "actionRequired",
        Successful = "successful",
        Failure = "failure",
        Cancelled = "cancelled",
        Skipped = "skipped",
        InvalidJobAgent = "invalidJobAgent",
        InvalidIntegration = "invalidIntegration",
        ExternalRunNotFound = "externalRunNotFound",
    }

    /// Where a release stands. `succeeded → rolledBack` is the only way out of an ended state.
    pub enum ReleaseStatus {
        Pending = "pending",
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
        RolledBack = "rolledBack",
        Cancelled = "cancelled",
    }

    /// Where a promotion stands.
    pub enum PromotionStatus {
        Waiting = "waiting",
        Deploying = "deploying",
        Verifying = "verifying",
        Succeeded = "succeeded",
        Failed = "failed",
        RolledBack = "rolledBack",
        Superseded = "superseded",
        Rejected = "rejected",
        Expired = "expired",
        Cancelled = "cancelled",
    }

    /// A person's vote on a version in an environment; the latest counts.
    pub enum Vote {
        Approved = "approved",
        Rejected = "rejected",
        Withdrawn = "withdrawn",
    }

    /// When a verification starts, relative to the job.
    pub enum VerificationTrigger {
        JobCreated = "jobCreated",
        JobStarted = "jobStarted",
        JobSuccess = "jobSuccess",
        JobFailure = "jobFailure",
    }

    /// How one measurement was judged.
    pub enum MeasurementStatus {
        Passed = "passed",
        Failed = "failed",
        Inconclusive = "inconclusive",
        Error = "error",
    }

    /// Where a verification stands, ordered from best to worst (the worst metric decides).
    pub enum VerificationStatus {
        Passed = "passed",
        Running = "running",
        Inconclusive = "inconclusive",
        Error = "error",
        Failed = "failed",
        /// Stopped by a person or overtaken; never counts as passed.
        Cancelled = "cancelled",
    }

    /// What follows when the runner of a job is lost and does not come back in time.
    pub enum OnLostLease {
        /// The job is given to whoever claims it next.
        Requeue = "requeue",
        /// It fails; what became of it is unknown.
        Fail = "fail",
    }

    /// Why a job was asked to stop.
    pub enum CancelCause {
        Person = "person",
        /// It ran longer than its limit.
        Timeout = "timeout",
        /// Its target goes back to an earlier release.
        Rollback = "rollback",
    }

    /// What people can be told about.
    pub enum NotificationEvent {
        /// A rule waits for somebody's approval.
        ApprovalNeeded = "approvalNeeded",
        PromotionSucceeded = "promotionSucceeded",
        PromotionFailed = "promotionFailed",
        PromotionRolledBack = "promotionRolledBack",
        PromotionExpired = "promotionExpired",
        /// A verification could not decide; a person has to.
        DecisionNeeded = "decisionNeeded",
        /// Nobody knows what became of a job.
        JobLost = "jobLost",
        /// A person said no to a version itself.
        VersionRejected = "versionRejected",
        /// A stage of an approval went unanswered, and more people are asked from now on.
        ApprovalEscalated = "approvalEscalated",
        /// A person puts a version past every gate.
        BreakGlass = "breakGlass",
        /// No further target is released until a person resumes it.
        RolloutPaused = "rolloutPaused",
        RolloutResumed = "rolloutResumed",
        /// Targets go back to an earlier release.
        RollbackStarted = "rollbackStarted",
        /// Nothing new starts with a version in an environment.
        VersionQuarantined = "versionQuarantined",
        QuarantineCleared = "quarantineCleared",
        /// Nothing new is to start on some targets for a time, or for another time than was said.
        FreezeSet = "freezeSet",
        /// A freeze was ended before its time, or it had none.
        FreezeEnded = "freezeEnded",
    }

    /// What a key may do; every route names the least it needs.
    pub enum Role {
        /// Sees everything, changes nothing.
        Viewer = "viewer",
        /// Claims and reports jobs.
        Agent = "agent",
        /// Creates versions; what a CI pipeline holds.
        Ci = "ci",
        /// Votes, decides verifications, and steps in: redeploys, rolls back, pauses, cancels.
        Approver = "approver",
        /// Everything.
        Admin = "admin",
    }
}

impl JobStatus {
    /// Whether nothing can follow.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(
            self,
            Self::Pending | Self::Queued | Self::InProgress | Self::ActionRequired
        )
    }

    /// Whether a report of `next` changes a job that stands at `self`.
    ///
    /// Terminal states are final; an active job may go forward, and between `inProgress` and
    /// `actionRequired` both ways; it never goes back to `pending`.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        if self.is_terminal() || self == next {
            return false;
        }
        match next {
            Self::Pending => false,
            Self::Queued => self == Self::Pending,
            _ => true,
        }
    }
}

impl PromotionStatus {
    /// Whether the promotion can still change.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Deploying | Self::Verifying)
    }
}

impl Role {
    /// Whether a key with this role may do what needs `needed`.
    ///
    /// Everyone with a key may read; the rest is separate duties, not a ladder: a runner's key cannot
    /// create versions and CI's key cannot vote.
    #[must_use]
    pub fn allows(self, needed: Self) -> bool {
        self == Self::Admin || self == needed || needed == Self::Viewer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_job_statuses_are_final() {
        for &from in JobStatus::ALL {
            for &to in JobStatus::ALL {
                let legal = from.may_become(to);
                assert!(!(legal && from.is_terminal()), "{from} → {to}");
                assert!(!(legal && to == JobStatus::Pending), "{from} → {to}");
            }
        }
        assert!(JobStatus::Pending.may_become(JobStatus::Successful));
        assert!(!JobStatus::InProgress.may_become(JobStatus::Queued));
    }

    #[test]
    fn roles_are_separate_duties() {
        assert!(Role::Admin.allows(Role::Approver));
        assert!(!Role::Ci.allows(Role::Approver));
        assert!(!Role::Agent.allows(Role::Ci));
        assert!(Role::Agent.allows(Role::Viewer));
        assert!(!Role::Viewer.allows(Role::Agent));
    }

    #[test]
    fn words_round_trip() {
        for &status in JobStatus::ALL {
            assert_eq!(JobStatus::parse(status.as_str()), Some(status));
            let json = serde_json::to_value(status).unwrap();
            assert_eq!(json, serde_json::json!(status.as_str()));
        }
    }
}
