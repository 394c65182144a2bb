//! What is worth telling.

use super::*;
use stagegate_model::{
    Actor, Digest, EntryId, GateRecord, Json, KeyId, OrderCause, PolicyId, RuleId,
    SEMANTICS_VERSION, WorkspaceId,
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
    fn promotion_of_release(&self, release: ReleaseId) -> Option<PromotionId> {
        (release == id(700)).then(|| id(11))
    }
    fn promotion_at(
        &self,
        version: VersionId,
        environment: EnvironmentId,
        _: Timestamp,
    ) -> Option<PromotionId> {
        let number = version.0.as_u128() * 10 + environment.0.as_u128();
        Some(id(number))
    }
    fn freeze_before(&self, freeze: FreezeId, seq: u64) -> Option<Freeze> {
        let ends_at = match freeze.0.as_u128() {
            800 => None,
            801 => Some(Timestamp(NOW.0 - 1)),
            _ => return None,
        };
        (seq == 7).then(|| frozen(freeze.0.as_u128(), ends_at))
    }
}

const NOW: Timestamp = Timestamp(1_000);

fn frozen(number: u128, ends_at: Option<Timestamp>) -> Freeze {
    Freeze {
        id: id(number),
        name: "Holidays".to_owned(),
        selector: "true".to_owned(),
        reason: "few people".to_owned(),
        starts_at: Timestamp(0),
        ends_at,
        allow_rollback: true,
        created_at: Timestamp(0),
        created_by: None,
    }
}

fn entry(command: &str, facts: Vec<Fact>) -> Entry {
    Entry {
        workspace: id::<WorkspaceId>(1),
        seq: 7,
        id: id::<EntryId>(2),
        time: NOW,
        actor: Actor::User {
            user: id(3),
            key: id::<KeyId>(4),
        },
        cause: Cause::Command {
            name: command.to_owned(),
        },
        semantics: SEMANTICS_VERSION,
        facts,
    }
}

fn told(facts: Vec<Fact>) -> Vec<(u128, Vec<&'static str>)> {
    let news = news(&entry("reportJob", facts), &Known);
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
            who: String::new(),
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

fn escalated(promotion: u128) -> Fact {
    let Fact::GateChanged { promotion, gate } = gate(promotion, 1, "approval", GateState::Wait)
    else {
        unreachable!()
    };
    let gate = GateRecord {
        code: "approval_escalated".to_owned(),
        ..gate
    };
    Fact::GateChanged { promotion, gate }
}

fn ordered(kind: StartKind, environment: u128, resource: u128, version: u128) -> Fact {
    Fact::TargetOrdered {
        target: TargetKey {
            deployment: id(90),
            environment: id(environment),
            resource: id(resource),
        },
        order: Order {
            kind,
            version: id(version),
            to: None,
            of: (kind == StartKind::Rollback).then(|| id(700)),
            cause: OrderCause::Person,
            reason: "incident 7".to_owned(),
            by: Some(id(3)),
        },
    }
}

#[test]
fn an_escalated_approval_is_told_as_that_and_as_nothing_else() {
    assert_eq!(told(vec![escalated(11)]), [(11, vec!["approvalEscalated"])]);
    assert_eq!(
        told(vec![
            escalated(11),
            gate(11, 1, "approval", GateState::Allow)
        ]),
        []
    );
}

#[test]
fn break_glass_is_told_alone_once_for_each_environment_with_all_its_targets() {
    let facts = vec![
        ordered(StartKind::BreakGlass, 1, 21, 1),
        ordered(StartKind::BreakGlass, 1, 22, 1),
        ordered(StartKind::BreakGlass, 2, 23, 1),
        end(11, PromotionStatus::Failed),
    ];
    let news = news(&entry("breakGlass", facts), &Known);
    let subjects: Vec<_> = news.iter().map(|it| it.subject).collect();
    let (first, second) = (
        Subject::BreakGlass(id(1), id(1)),
        Subject::BreakGlass(id(1), id(2)),
    );
    assert_eq!(subjects, [first, second, Subject::Promotion(id(11))]);
    assert!(first.is_urgent() && !subjects[2].is_urgent());
    let ids: BTreeSet<Uuid> = subjects.iter().map(|it| it.id()).collect();
    assert_eq!(ids.len(), 3, "each is known again by an id of its own");
    assert_eq!(news[0].promotion, Some(id(11)));
    let told = &news[0].events[0];
    assert_eq!(news[0].events.len(), 1);
    assert_eq!(told.targets, [id(21), id(22)]);
    assert_eq!(
        (told.person, told.words.as_str()),
        (Some(id(3)), "incident 7")
    );
}

#[test]
fn a_rollback_is_told_with_the_quarantine_of_what_is_undone() {
    let quarantined = Fact::Quarantined {
        version: id(1),
        environment: id(1),
        reason: "its job failed".to_owned(),
    };
    let facts = vec![
        quarantined,
        ordered(StartKind::Rollback, 1, 21, 5),
        ordered(StartKind::Rollback, 1, 22, 5),
        ordered(StartKind::Rollback, 1, 23, 6),
        ordered(StartKind::Redeploy, 1, 24, 1),
    ];
    let news = news(&entry("reportJob", facts), &Known);
    assert_eq!(news.len(), 1);
    assert_eq!(news[0].subject, Subject::Promotion(id(11)));
    let events: Vec<_> = news[0]
        .events
        .iter()
        .map(|it| (it.event.as_str(), it.targets.len(), it.back_to))
        .collect();
    assert_eq!(
        events,
        [
            ("versionQuarantined", 0, None),
            ("rollbackStarted", 2, Some(id(5))),
            ("rollbackStarted", 1, Some(id(6))),
        ]
    );
}

#[test]
fn a_rollout_is_paused_by_a_person_or_by_its_budget() {
    let paused = || Fact::RolloutPaused {
        version: id(1),
        environment: id(1),
        reason: "slow".to_owned(),
    };
    let by = |command: &str, fact: Fact| {
        let news = news(&entry(command, vec![fact]), &Known);
        assert_eq!(news[0].subject, Subject::Promotion(id(11)));
        let told = news[0].events[0].clone();
        (told.event.as_str(), told.person)
    };
    assert_eq!(by("pauseRollout", paused()), ("rolloutPaused", Some(id(3))));
    assert_eq!(by("reportJob", paused()), ("rolloutPaused", None));
    let resumed = Fact::RolloutResumed {
        version: id(1),
        environment: id(1),
        reason: String::new(),
    };
    assert_eq!(
        by("resumeRollout", resumed),
        ("rolloutResumed", Some(id(3)))
    );
    let cleared = Fact::QuarantineCleared {
        version: id(1),
        environment: id(1),
        reason: "mended".to_owned(),
    };
    assert_eq!(
        by("clearQuarantine", cleared),
        ("quarantineCleared", Some(id(3)))
    );
}

#[test]
fn a_freeze_is_told_when_it_is_set_and_when_it_is_ended_but_not_when_it_was_over() {
    let put = |number, ends_at| Fact::FreezePut {
        freeze: frozen(number, ends_at),
    };
    let deleted = |number| Fact::FreezeDeleted {
        id: id(number),
        reason: "over".to_owned(),
    };
    let later = Some(Timestamp(NOW.0 + 1));
    for (fact, event) in [
        (put(802, None), Some((802, vec!["freezeSet"]))),
        (put(800, later), Some((800, vec!["freezeSet"]))),
        // Its end is now: that ends it.
        (put(800, Some(NOW)), Some((800, vec!["freezeEnded"]))),
        (put(801, Some(NOW)), None),
        (put(802, Some(NOW)), None),
        (deleted(800), Some((800, vec!["freezeEnded"]))),
        (deleted(801), None),
        (deleted(802), None),
    ] {
        let expected: Vec<_> = event.into_iter().collect();
        assert_eq!(told(vec![fact.clone()]), expected, "{fact:?}");
    }
    let news = news(&entry("deleteFreeze", vec![deleted(800)]), &Known);
    let freeze = news[0].freeze.as_ref().unwrap();
    assert_eq!(freeze.name, "Holidays");
    assert_eq!(news[0].events[0].words, "over");
}
