//! How often what happened: a fault that is planned and never met tests nothing.

use stagegate_model::{Fact, StartKind};
use std::collections::BTreeMap;

/// How often each kind of thing happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    /// One more.
    pub fn add(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// All of `other` as well.
    pub fn merge(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// How often it happened.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Everything, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, count)| (*what, *count))
    }
}

/// What a fact is counted as.
#[must_use]
pub fn name_of(fact: &Fact) -> Option<&'static str> {
    Some(match fact {
        Fact::JobLost { .. } => "lease: lost",
        Fact::JobFound { .. } => "lease: found again",
        Fact::JobRequeued { .. } => "lease: given to the next runner",
        Fact::JobCancelRequested { .. } => "job: asked to stop",
        Fact::RetryScheduled { .. } => "retry: scheduled",
        Fact::Quarantined { .. } => "rollback: quarantined",
        Fact::QuarantineCleared { .. } => "rollback: quarantine cleared",
        Fact::HoldReleased { .. } => "rollback: hold released",
        Fact::PromotionCancelRequested { .. } => "promotion: cancelled",
        Fact::PromotionReopened { .. } => "promotion: reopened",
        Fact::RolloutStarted { .. } => "rollout: started",
        Fact::RolloutWaveStarted { .. } => "rollout: a wave",
        Fact::RolloutPaused { .. } => "rollout: paused",
        Fact::RolloutResumed { .. } => "rollout: resumed",
        Fact::FreezePut { .. } => "freeze: put",
        Fact::JobsCreated { kind, .. } => match kind {
            StartKind::Forward => "start: forward",
            StartKind::Retry => "start: retry",
            StartKind::Redeploy => "start: redeploy",
            StartKind::Rollback => "start: rollback",
            StartKind::BreakGlass => "start: break-glass",
        },
        _ => return None,
    })
}

/// What every long enough series of runs must have met.
pub const EXPECTED: &[&str] = &[
    "act: a policy deleted",
    "act: a policy edited",
    "act: a policy made",
    "act: a policy switched",
    "act: a resource deleted",
    "act: a resource edited",
    "act: a resource made",
    "act: a verification decided",
    "act: a verification run again",
    "act: a version announced",
    "act: a version changed",
    "act: a vote",
    "act: an environment edited",
    "act: a deployment edited",
    "act: a rule set aside",
    "act: a skip taken back",
    "agent: a late report",
    "agent: a report of what had ended",
    "agent: a stranger's report refused",
    "agent: said again what was not heard",
    "agent: fell silent",
    "agent: told that it has lost the job",
    "agent: stopped when told to",
    "agent: did not stop",
    "lease: lost",
    "lease: found again",
    "lease: given to the next runner",
    "job: asked to stop",
    "retry: scheduled",
    "rollback: quarantined",
    "rollback: hold released",
    "promotion: cancelled",
    "promotion: reopened",
    "skip: a start through one",
    "rollout: started",
    "rollout: a wave",
    "rollout: paused",
    "rollout: resumed",
    "freeze: put",
    "start: forward",
    "start: retry",
    "start: redeploy",
    "start: rollback",
    "start: break-glass",
    "clock: back",
    "clock: forward",
    "crash: decided and not written",
    "crash: written and nobody told",
    "crash: measurements under way lost",
    "measured: by nobody's order",
    "measured: in error",
    "measured: too late for the process",
    "snapshot: missing",
    "snapshot: read of another history",
    "snapshot: read truncated",
    "snapshot: read whole",
    "start: after a crash",
    "start: refused while nothing can be read",
    "storage: a read failed",
    "storage: a write failed",
    "storage: disk full",
    "storage: unknown outcome, lost",
    "storage: unknown outcome, written",
    "writer: entries piled up",
    "time: a wake-up decided something",
    "time: a long pause",
    "rest: left memory",
    "start: left at rest",
];

/// What happens in a few of a thousand runs, and must in [`MANY_SEEDS`].
pub const RARE: &[&str] = &["skip: a start through one that was over"];

/// From so many seeds on everything that is expected has happened.
pub const MANY_SEEDS: u64 = 2_000;
