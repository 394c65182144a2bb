//! From a log entry to what is worth telling: pure, and the same whenever it is asked.
//!
//! Several facts of one entry about one promotion are told together. A fact that is not named here is nobody's
//! news.

use sha2::{Digest as _, Sha256};
use stagegate_model::{
    Cause, Entry, EnvironmentId, Fact, Freeze, FreezeId, GateState, JobId, JobStatus,
    NotificationEvent, Order, PromotionId, PromotionStatus, ReleaseId, ResourceId, StartKind,
    TargetKey, Timestamp, UserId, VerificationId, VerificationStatus, VersionId, VersionStatus,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Gates that only people open.
const APPROVALS: [&str; 2] = ["anyApproval", "approval"];
/// How such a gate waits once more people were asked.
const ESCALATED: &str = "approval_escalated";

/// What an entry's facts belong to, as far as they do not say so themselves.
pub(crate) trait Lookup {
    /// The version that the promotion moves.
    fn version_of(&self, promotion: PromotionId) -> Option<VersionId>;
    fn promotion_of_job(&self, job: JobId) -> Option<PromotionId>;
    fn job_of_verification(&self, verification: VerificationId) -> Option<JobId>;
    fn promotion_of_release(&self, release: ReleaseId) -> Option<PromotionId>;
    /// The latest promotion of a version into an environment that was open at that time or before.
    fn promotion_at(
        &self,
        version: VersionId,
        environment: EnvironmentId,
        at: Timestamp,
    ) -> Option<PromotionId>;
    /// The freeze as it was before the entry of that number.
    fn freeze_before(&self, freeze: FreezeId, seq: u64) -> Option<Freeze>;
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A version that a person puts into an environment past every gate. It is told alone and before all else.
    BreakGlass(VersionId, EnvironmentId),
    Promotion(PromotionId),
    /// The version as a whole, in no environment.
    Version(VersionId),
    Freeze(FreezeId),
}

impl Subject {
    /// No other subject of the same entry has it.
    pub fn id(self) -> Uuid {
        match self {
            Self::Promotion(id) => id.0,
            Self::Version(id) => id.0,
            Self::Freeze(id) => id.0,
            // There may be no promotion yet, and another message about the one there is.
            Self::BreakGlass(version, environment) => {
                let mut hash = Sha256::new();
                hash.update(b"breakGlass");
                hash.update(version.0.as_bytes());
                hash.update(environment.0.as_bytes());
                let mut bytes = [0; 16];
                let hash = hash.finalize();
                bytes.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
                uuid::Builder::from_custom_bytes(bytes).into_uuid()
            }
        }
    }

    /// Whether it is told before everything that waits already.
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::BreakGlass(..))
    }
}

/// What is worth telling of one subject in one entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct News {
    pub subject: Subject,
    pub promotion: Option<PromotionId>,
    /// The freeze that it is about, as it is or was.
    pub freeze: Option<Freeze>,
    /// What happened, the most pressing first.
    pub events: Vec<Told>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub event: NotificationEvent,
    /// How a gate stands, or why it was done, as the log has it.
    pub words: String,
    /// Who did it.
    pub person: Option<UserId>,
    /// What it happens to.
    pub targets: Vec<ResourceId>,
    /// What they go back to.
    pub back_to: Option<VersionId>,
}

impl Told {
    fn new(event: NotificationEvent, words: impl Into<String>) -> Self {
        Self {
            event,
            words: words.into(),
            person: None,
            targets: Vec::new(),
            back_to: None,
        }
    }

    fn by(self, person: Option<UserId>) -> Self {
        Self { person, ..self }
    }

    /// Says it together with the same of other targets.
    fn join(&mut self, other: &Self) -> bool {
        let same = (self.event, self.person, self.back_to)
            == (other.event, other.person, other.back_to)
            && self.words == other.words;
        if same {
            let new = other.targets.iter().filter(|it| !self.targets.contains(it));
            let new: Vec<_> = new.copied().collect();
            self.targets.extend(new);
        }
        same
    }
}

/// What the entry's facts are worth telling, in the order of subjects.
pub(crate) fn news(entry: &Entry, lookup: &impl Lookup) -> Vec<News> {
    let ended = ended(entry);
    let mut found: BTreeMap<Subject, News> = BTreeMap::new();
    for (index, fact) in entry.facts.iter().enumerate() {
        let (subject, told, freeze) = match freeze(entry, fact, lookup) {
            Some((told, freeze)) => (Subject::Freeze(freeze.id), told, Some(freeze)),
            None => match event(entry, fact, lookup) {
                Some((subject, told)) => (subject, told, None),
                None => continue,
            },
        };
        let overtaken = match fact {
            // What ended, or is decided already, asks nobody any more.
            Fact::GateChanged { promotion, .. } => {
                ended.contains(promotion) || is_changed_again(entry, index)
            }
            // Each environment's promotion tells of it.
            Fact::VersionChanged { id, .. } => rejected_in(entry, *id, lookup),
            _ => false,
        };
        if overtaken {
            continue;
        }
        let news = found.entry(subject).or_insert_with(|| News {
            subject,
            promotion: match subject {
                Subject::Promotion(id) => Some(id),
                Subject::BreakGlass(version, environment) => {
                    lookup.promotion_at(version, environment, entry.time)
                }
                Subject::Version(_) | Subject::Freeze(_) => None,
            },
            freeze,
            events: Vec::new(),
        });
        if !news.events.iter_mut().any(|known| known.join(&told)) {
            news.events.push(told);
        }
    }
    let news = found.into_values().map(|mut news| {
        news.events.sort_by_key(|told| urgency(told.event));
        news
    });
    news.collect()
}

fn event(entry: &Entry, fact: &Fact, lookup: &impl Lookup) -> Option<(Subject, Told)> {
    let here = |version: &VersionId, environment: &EnvironmentId| {
        let promotion = lookup.promotion_at(*version, *environment, entry.time);
        promotion.map(Subject::Promotion)
    };
    Some(match fact {
        Fact::GateChanged { promotion, gate }
            if gate.state == GateState::Wait && APPROVALS.contains(&gate.kind.as_str()) =>
        {
            let event = match gate.code.as_str() {
                ESCALATED => NotificationEvent::ApprovalEscalated,
                _ => NotificationEvent::ApprovalNeeded,
            };
            let subject = Subject::Promotion(*promotion);
            (subject, Told::new(event, &gate.message))
        }
        Fact::PromotionEnded {
            id, status, reason, ..
        } => {
            let event = match status {
                PromotionStatus::Succeeded => NotificationEvent::PromotionSucceeded,
                PromotionStatus::Failed => NotificationEvent::PromotionFailed,
                PromotionStatus::RolledBack => NotificationEvent::PromotionRolledBack,
                PromotionStatus::Expired => NotificationEvent::PromotionExpired,
                PromotionStatus::Rejected => NotificationEvent::VersionRejected,
                _ => return None,
            };
            (Subject::Promotion(*id), Told::new(event, reason))
        }
        Fact::VerificationEnded {
            id,
            status: VerificationStatus::Inconclusive | VerificationStatus::Error,
            reason,
            decided_by: None,
        } => {
            let promotion = lookup.promotion_of_job(lookup.job_of_verification(*id)?)?;
            let event = NotificationEvent::DecisionNeeded;
            (Subject::Promotion(promotion), Told::new(event, reason))
        }
        Fact::JobChanged {
            id,
            status: JobStatus::ExternalRunNotFound,
            message,
            ..
        } => {
            let promotion = lookup.promotion_of_job(*id)?;
            let event = NotificationEvent::JobLost;
            (Subject::Promotion(promotion), Told::new(event, message))
        }
        Fact::JobLost { id, .. } => {
            let promotion = lookup.promotion_of_job(*id)?;
            let words = "nothing is heard of the runner of a job";
            let told = Told::new(NotificationEvent::JobLost, words);
            (Subject::Promotion(promotion), told)
        }
        Fact::VersionChanged {
            id,
            status: Some(VersionStatus::Rejected),
            message,
            ..
        } => {
            let words = message.clone().unwrap_or_default();
            let event = NotificationEvent::VersionRejected;
            (Subject::Version(*id), Told::new(event, words))
        }
        Fact::TargetOrdered { target, order } => ordered(*target, order, lookup)?,
        Fact::RolloutPaused {
            version,
            environment,
            reason,
        } => {
            let told = Told::new(NotificationEvent::RolloutPaused, reason);
            // A spent budget pauses it too, in an entry that a runner's report began.
            let by = match &entry.cause {
                Cause::Command { name } if name == "pauseRollout" => entry.actor.user(),
                _ => None,
            };
            (here(version, environment)?, told.by(by))
        }
        Fact::RolloutResumed {
            version,
            environment,
            reason,
        } => {
            let told = Told::new(NotificationEvent::RolloutResumed, reason);
            (here(version, environment)?, told.by(entry.actor.user()))
        }
        Fact::Quarantined {
            version,
            environment,
            reason,
        } => {
            let told = Told::new(NotificationEvent::VersionQuarantined, reason);
            (here(version, environment)?, told)
        }
        Fact::QuarantineCleared {
            version,
            environment,
            reason,
        } => {
            let told = Told::new(NotificationEvent::QuarantineCleared, reason);
            (here(version, environment)?, told.by(entry.actor.user()))
        }
        _ => return None,
    })
}

/// What departs from the ordinary course on one target.
fn ordered(target: TargetKey, order: &Order, lookup: &impl Lookup) -> Option<(Subject, Told)> {
    let (subject, event) = match order.kind {
        StartKind::BreakGlass => (
            Subject::BreakGlass(order.version, target.environment),
            NotificationEvent::BreakGlass,
        ),
        // It is news of what is undone, not of what was good before.
        StartKind::Rollback => (
            Subject::Promotion(lookup.promotion_of_release(order.of?)?),
            NotificationEvent::RollbackStarted,
        ),
        StartKind::Forward | StartKind::Retry | StartKind::Redeploy => return None,
    };
    let told = Told {
        targets: vec![target.resource],
        back_to: (order.kind == StartKind::Rollback).then_some(order.version),
        ..Told::new(event, &order.reason).by(order.by)
    };
    Some((subject, told))
}

/// A freeze that was set, changed or ended. One that was over already is nobody's news.
fn freeze(entry: &Entry, fact: &Fact, lookup: &impl Lookup) -> Option<(Told, Freeze)> {
    let is_over = |freeze: &Freeze| freeze.ends_at.is_some_and(|at| at <= entry.time);
    let (freeze, event, reason) = match fact {
        Fact::FreezePut { freeze } if !is_over(freeze) => {
            let event = NotificationEvent::FreezeSet;
            (freeze.clone(), event, &freeze.reason)
        }
        // Who lets it end now, or says that it has ended, ends it.
        Fact::FreezePut { freeze } => {
            let known = lookup.freeze_before(freeze.id, entry.seq);
            known.filter(|it| !is_over(it))?;
            let event = NotificationEvent::FreezeEnded;
            (freeze.clone(), event, &freeze.reason)
        }
        Fact::FreezeDeleted { id, reason } => {
            let known = lookup.freeze_before(*id, entry.seq);
            let known = known.filter(|it| !is_over(it))?;
            (known, NotificationEvent::FreezeEnded, reason)
        }
        _ => return None,
    };
    let told = Told::new(event, reason).by(entry.actor.user());
    Some((told, freeze))
}

fn ended(entry: &Entry) -> BTreeSet<PromotionId> {
    let ends = entry.facts.iter().filter_map(|fact| match fact {
        Fact::PromotionEnded { id, .. } => Some(*id),
        _ => None,
    });
    ends.collect()
}

/// Whether the same gate changes once more behind this place in the entry.
fn is_changed_again(entry: &Entry, index: usize) -> bool {
    let Some(Fact::GateChanged { promotion, gate }) = entry.facts.get(index) else {
        return false;
    };
    let mut later = entry.facts.iter().skip(index + 1);
    later.any(|fact| {
        matches!(fact, Fact::GateChanged { promotion: p, gate: g } if p == promotion && g.rule == gate.rule)
    })
}

/// Whether a promotion of the version ends in this entry because of its rejection.
fn rejected_in(entry: &Entry, version: VersionId, lookup: &impl Lookup) -> bool {
    entry.facts.iter().any(|fact| {
        matches!(fact, Fact::PromotionEnded { id, status: PromotionStatus::Rejected, .. }
            if lookup.version_of(*id) == Some(version))
    })
}

/// What somebody has to do comes before what merely happened.
fn urgency(event: NotificationEvent) -> u8 {
    match event {
        NotificationEvent::BreakGlass
        | NotificationEvent::DecisionNeeded
        | NotificationEvent::ApprovalEscalated
        | NotificationEvent::ApprovalNeeded => 0,
        NotificationEvent::PromotionFailed
        | NotificationEvent::PromotionRolledBack
        | NotificationEvent::PromotionExpired
        | NotificationEvent::RolloutPaused
        | NotificationEvent::VersionRejected => 1,
        NotificationEvent::JobLost
        | NotificationEvent::RollbackStarted
        | NotificationEvent::VersionQuarantined => 2,
        NotificationEvent::FreezeSet
        | NotificationEvent::FreezeEnded
        | NotificationEvent::PromotionSucceeded
        | NotificationEvent::QuarantineCleared
        | NotificationEvent::RolloutResumed => 3,
    }
}

#[cfg(test)]
mod tests;
