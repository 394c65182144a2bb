//! From a log entry to what is worth telling: pure, and the same whenever it is asked.
//!
//! Several facts of one entry about one promotion are told together. A fact that is not named here is nobody's
//! news.

use stagegate_model::{
    Entry, Fact, GateState, JobId, JobStatus, NotificationEvent, PromotionId, PromotionStatus,
    VerificationId, VerificationStatus, VersionId, VersionStatus,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Gates that only people open.
const APPROVALS: [&str; 2] = ["anyApproval", "approval"];

/// What an entry's facts belong to, as far as they do not say so themselves.
pub(crate) trait Lookup {
    /// The version that the promotion moves.
    fn version_of(&self, promotion: PromotionId) -> Option<VersionId>;
    fn promotion_of_job(&self, job: JobId) -> Option<PromotionId>;
    fn job_of_verification(&self, verification: VerificationId) -> Option<JobId>;
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Promotion(PromotionId),
    /// The version as a whole, in no environment.
    Version(VersionId),
}

impl Subject {
    pub fn id(self) -> Uuid {
        match self {
            Self::Promotion(id) => id.0,
            Self::Version(id) => id.0,
        }
    }
}

/// What is worth telling of one subject in one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub subject: Subject,
    /// What happened and in which words, the most pressing first.
    pub events: Vec<(NotificationEvent, String)>,
}

/// What the entry's facts are worth telling, in the order of subjects.
pub(crate) fn news(entry: &Entry, lookup: &impl Lookup) -> Vec<News> {
    let ended = ended(entry);
    let mut found: BTreeMap<Subject, Vec<(NotificationEvent, String)>> = BTreeMap::new();
    for (index, fact) in entry.facts.iter().enumerate() {
        let Some((subject, event, words)) = event(fact, lookup) else {
            continue;
        };
        let overtaken = match (fact, subject) {
            // What ended, or is decided already, asks nobody any more.
            (Fact::GateChanged { promotion, .. }, _) => {
                ended.contains(promotion) || is_changed_again(entry, index)
            }
            // Each environment's promotion tells of it.
            (Fact::VersionChanged { id, .. }, _) => rejected_in(entry, *id, lookup),
            _ => false,
        };
        if overtaken {
            continue;
        }
        let events = found.entry(subject).or_default();
        let told = (event, words);
        if !events.contains(&told) {
            events.push(told);
        }
    }
    let news = found.into_iter().map(|(subject, mut events)| {
        events.sort_by_key(|(event, _)| urgency(*event));
        News { subject, events }
    });
    news.collect()
}

fn event(fact: &Fact, lookup: &impl Lookup) -> Option<(Subject, NotificationEvent, String)> {
    Some(match fact {
        Fact::GateChanged { promotion, gate }
            if gate.state == GateState::Wait && APPROVALS.contains(&gate.kind.as_str()) =>
        {
            let event = NotificationEvent::ApprovalNeeded;
            (Subject::Promotion(*promotion), event, gate.message.clone())
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
            (Subject::Promotion(*id), event, reason.clone())
        }
        Fact::VerificationEnded {
            id,
            status: VerificationStatus::Inconclusive | VerificationStatus::Error,
            reason,
            decided_by: None,
        } => {
            let promotion = lookup.promotion_of_job(lookup.job_of_verification(*id)?)?;
            let event = NotificationEvent::DecisionNeeded;
            (Subject::Promotion(promotion), event, reason.clone())
        }
        Fact::JobChanged {
            id,
            status: JobStatus::ExternalRunNotFound,
            message,
            ..
        } => {
            let promotion = lookup.promotion_of_job(*id)?;
            let event = NotificationEvent::JobLost;
            (Subject::Promotion(promotion), event, message.clone())
        }
        Fact::JobLost { id, .. } => {
            let promotion = lookup.promotion_of_job(*id)?;
            let words = "nothing is heard of the runner of a job".to_owned();
            (
                Subject::Promotion(promotion),
                NotificationEvent::JobLost,
                words,
            )
        }
        Fact::VersionChanged {
            id,
            status: Some(VersionStatus::Rejected),
            message,
            ..
        } => {
            let words = message.clone().unwrap_or_default();
            let event = NotificationEvent::VersionRejected;
            (Subject::Version(*id), event, words)
        }
        _ => return None,
    })
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
        NotificationEvent::DecisionNeeded | NotificationEvent::ApprovalNeeded => 0,
        NotificationEvent::PromotionFailed
        | NotificationEvent::PromotionRolledBack
        | NotificationEvent::PromotionExpired
        | NotificationEvent::VersionRejected => 1,
        NotificationEvent::JobLost => 2,
        NotificationEvent::PromotionSucceeded => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_model::{
        Actor, Cause, Digest, EntryId, EnvironmentId, GateRecord, Json, PolicyId, RuleId,
        SEMANTICS_VERSION, Timestamp, WorkspaceId,
    };

    fn id<T: From<Uuid>>(number: u128) -> T {
        Uuid::from_u128(number).into()
    }

    struct Known;

    impl Lookup for Known {
        fn version_of(&self, promotion: PromotionId) -> Option<VersionId> {
            Some(id(promotion.0.as_u128() / 10))
        }
        fn promotion_of_job(&self, job: JobId) -> Option<PromotionId> {
            (job == id(500)).then(|| id(11))
        }
        fn job_of_verification(&self, verification: VerificationId) -> Option<JobId> {
            (verification == id(600)).then(|| id(500))
        }
    }

    fn told(facts: Vec<Fact>) -> Vec<(u128, Vec<&'static str>)> {
        let entry = Entry {
            workspace: id::<WorkspaceId>(1),
            seq: 7,
            id: id::<EntryId>(2),
            time: Timestamp(0),
            actor: Actor::System,
            cause: Cause::Timer,
            semantics: SEMANTICS_VERSION,
            facts,
        };
        let news = news(&entry, &Known);
        news.iter()
            .map(|it| {
                let events = it.events.iter().map(|(event, _)| event.as_str());
                (it.subject.id().as_u128(), events.collect())
            })
            .collect()
    }

    fn gate(promotion: u128, rule: u128, kind: &str, state: GateState) -> Fact {
        Fact::GateChanged {
            promotion: id(promotion),
            gate: GateRecord {
                policy: id::<PolicyId>(9),
                rule: id::<RuleId>(rule),
                kind: kind.to_owned(),
                state,
                code: "c".to_owned(),
                message: format!("rule {rule}"),
                satisfied_at: None,
                until: None,
            },
        }
    }

    fn end(promotion: u128, status: PromotionStatus) -> Fact {
        Fact::PromotionEnded {
            id: id(promotion),
            status,
            reason: String::new(),
            by: None,
        }
    }

    fn verification(status: VerificationStatus, person: Option<u128>) -> Fact {
        Fact::VerificationEnded {
            id: id(600),
            status,
            reason: String::new(),
            decided_by: person.map(id),
        }
    }

    fn job(status: JobStatus) -> Fact {
        Fact::JobChanged {
            id: id(500),
            status,
            message: String::new(),
            external_id: None,
            output_tail: None,
            exit: None,
            links: Default::default(),
        }
    }

    fn version(status: VersionStatus) -> Fact {
        Fact::VersionChanged {
            id: id(1),
            tag: None,
            name: None,
            config: None,
            job_agent_config: None,
            dependencies: None,
            status: Some(status),
            message: None,
            metadata: None,
            digest: Digest::of("t", &Json::Null, &Json::Null, &Default::default()),
        }
    }

    #[test]
    fn only_people_s_gates_that_wait_ask_for_approval() {
        assert_eq!(
            told(vec![
                gate(11, 1, "anyApproval", GateState::Wait),
                gate(12, 1, "approval", GateState::Wait),
                gate(13, 1, "environmentProgression", GateState::Wait),
                gate(14, 1, "anyApproval", GateState::Allow),
                gate(15, 1, "anyApproval", GateState::Deny),
            ]),
            [(11, vec!["approvalNeeded"]), (12, vec!["approvalNeeded"])]
        );
    }

    #[test]
    fn what_the_same_entry_overtakes_asks_nobody() {
        assert_eq!(
            told(vec![
                gate(11, 1, "anyApproval", GateState::Wait),
                end(11, PromotionStatus::Superseded),
                gate(12, 1, "anyApproval", GateState::Wait),
                gate(12, 1, "anyApproval", GateState::Allow),
            ]),
            []
        );
    }

    #[test]
    fn facts_of_one_promotion_are_told_together_the_most_pressing_first() {
        assert_eq!(
            told(vec![
                job(JobStatus::ExternalRunNotFound),
                verification(VerificationStatus::Inconclusive, None),
                gate(11, 1, "anyApproval", GateState::Wait),
                gate(11, 2, "anyApproval", GateState::Wait),
                end(12, PromotionStatus::Succeeded),
            ]),
            [
                (
                    11,
                    vec![
                        "decisionNeeded",
                        "approvalNeeded",
                        "approvalNeeded",
                        "jobLost"
                    ]
                ),
                (12, vec!["promotionSucceeded"]),
            ]
        );
    }

    #[test]
    fn each_end_has_its_event_and_some_are_nobody_s_news() {
        use PromotionStatus as P;
        for (status, event) in [
            (P::Failed, Some("promotionFailed")),
            (P::RolledBack, Some("promotionRolledBack")),
            (P::Expired, Some("promotionExpired")),
            (P::Rejected, Some("versionRejected")),
            (P::Superseded, None),
            (P::Cancelled, None),
        ] {
            let expected: Vec<_> = event.into_iter().map(|it| (11, vec![it])).collect();
            assert_eq!(told(vec![end(11, status)]), expected, "{status}");
        }
        assert_eq!(
            told(vec![verification(VerificationStatus::Error, None)]),
            [(11, vec!["decisionNeeded"])]
        );
        for quiet in [
            verification(VerificationStatus::Inconclusive, Some(5)),
            verification(VerificationStatus::Failed, None),
            job(JobStatus::Failure),
            version(VersionStatus::Paused),
        ] {
            assert_eq!(told(vec![quiet]), []);
        }
    }

    #[test]
    fn a_rejection_is_told_once_for_each_environment_or_once_for_the_version() {
        let alone = [(1, vec!["versionRejected"])];
        assert_eq!(told(vec![version(VersionStatus::Rejected)]), alone);
        assert_eq!(
            told(vec![
                version(VersionStatus::Rejected),
                end(11, PromotionStatus::Rejected),
                end(12, PromotionStatus::Rejected),
            ]),
            [(11, vec!["versionRejected"]), (12, vec!["versionRejected"])]
        );
        // Another version's promotion says nothing of this one.
        assert_eq!(
            told(vec![
                version(VersionStatus::Rejected),
                end(21, PromotionStatus::Rejected),
            ])
            .len(),
            2
        );
        let _: EnvironmentId = id(1);
    }
}
