//! What is worth telling.

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
            let events = it.events.iter().map(|told| told.event.as_str());
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
        status: Some(status),
        message: None,
        metadata: None,
        digest: Digest::of("t", &Json::Null, &Json::Null),
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
