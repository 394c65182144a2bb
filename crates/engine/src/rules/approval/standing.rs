//! How an approval stands: which votes count for which stage.

use super::spec::{Approval, Stage};
use crate::rules::GateContext;
use crate::state::{State, VoteRecord};
use stagegate_model::{
    Digest, EnvironmentId, Json, PromotionStatus, Timestamp, UserId, Version, Vote,
};

/// How the stages stand.
pub(super) struct Standing {
    pub requested_at: Timestamp,
    pub stages: Vec<StageStanding>,
    /// The rejections that stand, with their reasons, in the order in which they came.
    pub rejected: Vec<(UserId, String)>,
    /// When an approval that is needed ceases to count.
    pub lapses_at: Option<Timestamp>,
}

pub(super) struct StageStanding {
    pub name: String,
    pub who: Vec<String>,
    pub minimum: u32,
    /// When the stage before was through.
    pub opened_at: Option<Timestamp>,
    pub approvals: Vec<(UserId, Timestamp)>,
    pub escalated: bool,
    pub escalates_at: Option<Timestamp>,
    /// Who may approve besides once it has escalated.
    pub escalates_to: Vec<String>,
}

impl StageStanding {
    pub fn missing(&self) -> u32 {
        let given = u32::try_from(self.approvals.len()).unwrap_or(u32::MAX);
        self.minimum.saturating_sub(given)
    }

    /// When others may approve too, and who; `None` when they may already, or nobody ever will.
    pub fn escalates_to(&self) -> Option<(Timestamp, String)> {
        let at = self.escalates_at.filter(|_| !self.escalated)?;
        Some((at, self.escalates_to.join(", ")))
    }

    fn satisfied_at(&self) -> Option<Timestamp> {
        let last = self.approvals.last().map(|(_, at)| *at);
        last.filter(|_| self.missing() == 0)
    }
}

impl Standing {
    pub fn satisfied_at(&self) -> Option<Timestamp> {
        let mut stages = self.stages.iter().map(StageStanding::satisfied_at);
        stages.try_fold(self.requested_at, |_, at| at)
    }

    /// The stage that is asked now.
    pub fn open_stage(&self) -> Option<&StageStanding> {
        let mut stages = self.stages.iter();
        stages.find(|stage| stage.opened_at.is_some() && stage.missing() > 0)
    }

    /// In a few words.
    pub fn told(&self) -> String {
        let stage = |stage: &StageStanding| {
            format!(
                "{} of {} from {}",
                stage.approvals.len(),
                stage.minimum,
                stage.name
            )
        };
        let stages: Vec<String> = self.stages.iter().map(stage).collect();
        let asked = match self.open_stage() {
            Some(StageStanding {
                name,
                opened_at: Some(since),
                ..
            }) => format!("; {name} asked since {since}"),
            _ => String::new(),
        };
        format!("approvals: {}{asked}", stages.join(", "))
    }

    /// The same with who was asked besides once nobody had answered in time.
    pub fn asked(&self) -> String {
        let told = self.told();
        match self.open_stage() {
            Some(StageStanding {
                escalated: true,
                escalates_at: Some(at),
                escalates_to,
                ..
            }) => format!("{told}; from {at} on also {} may", escalates_to.join(", ")),
            _ => told,
        }
    }

    pub fn details(&self, context: &GateContext<'_>) -> Json {
        let votes = context
            .state
            .votes(context.version.id, context.environment.id)
            .into_iter()
            .flatten();
        let metadata = Digest::of_metadata(&context.version.metadata);
        serde_json::json!({
            "stages": self.stages.iter().map(|stage| serde_json::json!({
                "name": stage.name,
                "minimum": stage.minimum,
                "approvers": stage.who,
                "openedAt": stage.opened_at,
                "satisfiedAt": stage.satisfied_at(),
                "escalatesAt": stage.escalates_at,
                "escalated": stage.escalated,
                "approvals": stage.approvals.iter().map(|(user, at)| serde_json::json!({
                    "userId": user, "at": at,
                })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "votes": votes.map(|(user, record)| serde_json::json!({
                "userId": user, "vote": record.vote, "at": record.at, "reason": record.reason,
                "changedSince": record.metadata.is_some_and(|then| then != metadata),
                "void": record.digest != context.version.digest,
            })).collect::<Vec<_>>(),
        })
    }
}

/// The votes that are still good for the version as it is, in the order in which they were cast.
fn standing_votes<'s>(
    approval: &Approval,
    state: &'s State,
    version: &Version,
    environment: EnvironmentId,
) -> Vec<(UserId, &'s VoteRecord)> {
    let metadata = Digest::of_metadata(&version.metadata);
    let votes = state.votes(version.id, environment).into_iter().flatten();
    let mut votes: Vec<(UserId, &VoteRecord)> = votes
        .filter(|(_, record)| record.digest == version.digest)
        .filter(|(_, record)| {
            !approval.bind_metadata || record.metadata.is_none_or(|then| then == metadata)
        })
        .map(|(user, record)| (*user, record))
        .collect();
    votes.sort_by_key(|(user, record)| (record.at, *user));
    votes
}

pub(super) fn stand(approval: &Approval, context: &GateContext<'_>) -> Standing {
    let state = context.state;
    let track = state.track(context.version.id, context.environment.id);
    let promotion = track
        .and_then(|track| track.promotion)
        .and_then(|id| state.promotions.get(&id));
    // Reopened by a person, it is asked for anew from now on, before the next attempt is on record.
    let ended = matches!(
        promotion.map(|promotion| promotion.status),
        Some(PromotionStatus::Expired | PromotionStatus::Cancelled)
    );
    let stands = track.is_some_and(|it| it.expired.is_some() || it.cancelled.is_some());
    let requested_at = promotion
        .filter(|_| !ended || stands)
        .map_or(context.now, |promotion| promotion.opened_at);
    stand_at(
        approval,
        state,
        context.version,
        context.environment.id,
        requested_at,
        context.now,
    )
}

fn stand_at(
    approval: &Approval,
    state: &State,
    version: &Version,
    environment: EnvironmentId,
    requested_at: Timestamp,
    now: Timestamp,
) -> Standing {
    let votes = standing_votes(approval, state, version, environment);
    let may = |user: UserId| approval.requester_may_approve || version.created_by != Some(user);
    let rejected = votes.iter().filter_map(|(user, record)| {
        let eligible = approval
            .stages
            .iter()
            .any(|stage| is_eligible(stage, state, *user, record, true));
        (record.vote == Vote::Rejected && eligible).then(|| (*user, record.reason.clone()))
    });
    let rejected = rejected.collect();
    let mut left: Vec<(UserId, &VoteRecord)> = votes
        .into_iter()
        .filter(|(user, record)| record.vote == Vote::Approved && may(*user))
        .filter(|(_, record)| {
            let valid = approval.valid_for_hours;
            valid.is_none_or(|hours| record.at.plus_seconds(i64::from(hours) * 3600) > now)
        })
        .collect();
    let mut stages = Vec::new();
    let mut opened_at = Some(requested_at);
    for (index, stage) in approval.stages.iter().enumerate() {
        let escalates_at = opened_at.and_then(|opened| {
            let (minutes, _) = stage.escalation.as_ref()?;
            Some(opened.plus_seconds(i64::from(*minutes) * 60))
        });
        let mut approvals: Vec<(UserId, Timestamp)> = Vec::new();
        if let Some(opened) = opened_at {
            // The first stage takes what was given before it was asked; a later one only what came once it was open.
            let asked = |record: &VoteRecord| index == 0 || record.at >= opened;
            left.retain(|(user, record)| {
                let escalated = escalates_at.is_some_and(|at| record.at >= at);
                let counts = approvals.len() < stage.minimum as usize
                    && asked(record)
                    && is_eligible(stage, state, *user, record, escalated);
                if counts {
                    approvals.push((*user, record.at));
                }
                !counts
            });
        }
        let escalated = escalates_at.is_some_and(|at| at <= now);
        let mut who: Vec<String> = stage.approvers.iter().map(ToString::to_string).collect();
        let to = stage.escalation.iter().flat_map(|(_, to)| to);
        let escalates_to: Vec<String> = to.map(ToString::to_string).collect();
        if escalated {
            who.extend(escalates_to.iter().cloned());
        }
        let standing = StageStanding {
            name: stage.name.clone(),
            who,
            minimum: stage.minimum,
            opened_at,
            approvals,
            escalated,
            escalates_at,
            escalates_to,
        };
        opened_at = standing.satisfied_at();
        stages.push(standing);
    }
    let lapses_at = approval.valid_for_hours.and_then(|hours| {
        let counted = stages.iter().flat_map(|stage| &stage.approvals);
        let first = counted.map(|(_, at)| *at).min()?;
        Some(first.plus_seconds(i64::from(hours) * 3600))
    });
    Standing {
        requested_at,
        stages,
        rejected,
        lapses_at,
    }
}

fn is_eligible(
    stage: &Stage,
    state: &State,
    user: UserId,
    record: &VoteRecord,
    escalated: bool,
) -> bool {
    means(stage, state, user, &record.groups, escalated)
}

fn means(
    stage: &Stage,
    state: &State,
    user: UserId,
    groups: &[stagegate_model::GroupId],
    escalated: bool,
) -> bool {
    let escalation = stage.escalation.as_ref().filter(|_| escalated);
    let also = escalation.into_iter().flat_map(|(_, to)| to);
    stage
        .approvers
        .iter()
        .chain(also)
        .any(|approver| approver.means(state, user, groups))
}

/// What would become of a person's approval now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is asked for.
    Wanted,
    /// It counts already in the stage that is open.
    Given,
    /// Enough have approved already; one more does no harm.
    Settled,
    /// The person created the version.
    OwnVersion,
    /// The person counts in an earlier stage already.
    Counted,
    /// The stage in which the person may approve is not open yet.
    NotYet {
        stage: String,
        waits_for: String,
    },
    NotEligible {
        who: Vec<String>,
    },
}

/// Whether a person may approve, and reject, a version in an environment by this rule.
pub(crate) fn answer(
    approval: &Approval,
    context: &GateContext<'_>,
    user: UserId,
    groups: &[stagegate_model::GroupId],
) -> (Answer, bool) {
    let state = context.state;
    let standing = stand(approval, context);
    let eligible: Vec<(&Stage, &StageStanding)> = approval
        .stages
        .iter()
        .zip(&standing.stages)
        .filter(|(stage, standing)| means(stage, state, user, groups, standing.escalated))
        .collect();
    let may_reject = !eligible.is_empty();
    if eligible.is_empty() {
        let mut who: Vec<String> = Vec::new();
        for stage in &standing.stages {
            for one in &stage.who {
                if !who.contains(one) {
                    who.push(one.clone());
                }
            }
        }
        return (Answer::NotEligible { who }, may_reject);
    }
    if !approval.requester_may_approve && context.version.created_by == Some(user) {
        return (Answer::OwnVersion, may_reject);
    }
    let open = standing.open_stage().map(|stage| stage.name.as_str());
    let Some(open) = open else {
        return (Answer::Settled, may_reject);
    };
    let counted = standing
        .stages
        .iter()
        .find(|stage| stage.approvals.iter().any(|(who, _)| *who == user))
        .map(|stage| stage.name == open);
    let in_open = eligible.iter().any(|(stage, _)| stage.name == open);
    let answer = match (counted, in_open) {
        (Some(true), _) => Answer::Given,
        (Some(false), _) => Answer::Counted,
        (None, true) => Answer::Wanted,
        (None, false) => match eligible.iter().find(|(_, it)| it.opened_at.is_none()) {
            Some((stage, _)) => Answer::NotYet {
                stage: stage.name.clone(),
                waits_for: open.to_owned(),
            },
            None => Answer::Settled,
        },
    };
    (answer, may_reject)
}
