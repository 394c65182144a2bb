//! How promotions went, from facts alone, and how two accounts of them differ.

use crate::state::State;
use stagegate_model::{
    DeploymentId, EnvironmentId, Fact, GateState, PolicyId, PromotionId, PromotionStatus,
    ReleaseId, StartKind, Timestamp, VersionId,
};
use std::collections::{BTreeMap, BTreeSet};

/// Which promotion: the n-th of a version into an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    pub version: VersionId,
    pub environment: EnvironmentId,
    /// From 1.
    pub attempt: u32,
}

/// How a promotion went.
#[derive(Clone, Debug, PartialEq)]
pub struct Fate {
    pub id: PromotionId,
    pub opened_at: Timestamp,
    /// When its first job was created.
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// As it ended, or as it last stood.
    pub status: PromotionStatus,
    /// Whether something of it was rolled back, also after its end.
    pub rolled_back: bool,
    /// The gate that was seen shut last before it started.
    pub held_by: Option<Held>,
}

/// A gate that held a promotion.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    pub policy: PolicyId,
    /// The rule's kind.
    pub kind: String,
    pub message: String,
}

/// The promotions of one account.
#[derive(Clone, Default)]
pub(super) struct Stories {
    pub fates: BTreeMap<Attempt, Fate>,
    keys: BTreeMap<PromotionId, Attempt>,
    of_release: BTreeMap<ReleaseId, Attempt>,
    /// Gates of these policies are told of before others.
    pub concerned: BTreeSet<PolicyId>,
}

impl Stories {
    /// What is open now.
    pub fn begin(state: &State) -> Self {
        let mut stories = Self::default();
        let open = state.promotions.values().filter(|it| it.status.is_open());
        for promotion in open {
            let attempt = Attempt {
                version: promotion.version,
                environment: promotion.environment,
                attempt: promotion.attempt,
            };
            let fate = Fate {
                id: promotion.id,
                opened_at: promotion.opened_at,
                // When exactly no longer matters: it is the same in every account.
                started_at: promotion.started().then_some(promotion.opened_at),
                ended_at: None,
                status: promotion.status,
                rolled_back: promotion.rolled_back > 0,
                held_by: None,
            };
            stories.keys.insert(promotion.id, attempt);
            stories.fates.insert(attempt, fate);
        }
        for release in state.releases.values() {
            if let Some(attempt) = stories.keys.get(&release.promotion) {
                stories.of_release.insert(release.id, *attempt);
            }
        }
        for left in state.left() {
            if let Some(attempt) = stories.keys.get(&left.promotion) {
                stories.of_release.insert(left.id, *attempt);
            }
        }
        stories
    }

    fn fate(&mut self, id: PromotionId) -> Option<&mut Fate> {
        self.fates.get_mut(self.keys.get(&id)?)
    }

    pub fn follow(&mut self, facts: &[Fact], now: Timestamp) {
        for fact in facts {
            match fact {
                Fact::PromotionOpened {
                    id,
                    version,
                    environment,
                    attempt,
                    ..
                } => {
                    let attempt = Attempt {
                        version: *version,
                        environment: *environment,
                        attempt: *attempt,
                    };
                    let fate = Fate {
                        id: *id,
                        opened_at: now,
                        started_at: None,
                        ended_at: None,
                        status: PromotionStatus::Waiting,
                        rolled_back: false,
                        held_by: None,
                    };
                    self.keys.insert(*id, attempt);
                    self.fates.insert(attempt, fate);
                }
                Fact::GateChanged { promotion, gate } => {
                    if matches!(gate.state, GateState::Allow | GateState::Gone) {
                        continue;
                    }
                    let concerned = self.concerned.contains(&gate.policy);
                    let known = std::mem::take(&mut self.concerned);
                    if let Some(fate) = self.fate(*promotion)
                        && fate.started_at.is_none()
                        && (concerned
                            || fate
                                .held_by
                                .as_ref()
                                .is_none_or(|held| !known.contains(&held.policy)))
                    {
                        fate.held_by = Some(Held {
                            policy: gate.policy,
                            kind: gate.kind.clone(),
                            message: gate.message.clone(),
                        });
                    }
                    self.concerned = known;
                }
                Fact::PromotionMoved { id, status } => {
                    if let Some(fate) = self.fate(*id) {
                        fate.status = *status;
                    }
                }
                Fact::PromotionEnded { id, status, .. } => {
                    if let Some(fate) = self.fate(*id)
                        && fate.ended_at.is_none()
                    {
                        fate.status = *status;
                        fate.ended_at = Some(now);
                        fate.rolled_back |= *status == PromotionStatus::RolledBack;
                    }
                }
                Fact::JobsCreated {
                    promotion, jobs, ..
                } => {
                    if let Some(fate) = self.fate(*promotion) {
                        fate.started_at = fate.started_at.or(Some(now));
                    }
                    if let Some(attempt) = self.keys.get(promotion) {
                        let releases = jobs.iter().map(|job| (job.release, *attempt));
                        self.of_release.extend(releases);
                    }
                }
                Fact::TargetOrdered { order, .. } if order.kind == StartKind::Rollback => {
                    let of = order.of.and_then(|id| self.of_release.get(&id)).copied();
                    if let Some(fate) = of.and_then(|attempt| self.fates.get_mut(&attempt)) {
                        fate.rolled_back = true;
                    }
                }
                _ => {}
            }
        }
    }
}

/// What would have differed of a promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It started, and would not have within the time that was looked at.
    Stopped,
    /// It would have started so many milliseconds later.
    Delayed(i64),
    /// It would have started so many milliseconds earlier.
    Earlier(i64),
    /// It never started, and would have.
    LetThrough,
    /// It would have started when it did, or neither time; but it would have ended otherwise, or at another time.
    Otherwise,
}

impl Effect {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Delayed(_) => "delayed",
            Self::Earlier(_) => "earlier",
            Self::LetThrough => "letThrough",
            Self::Otherwise => "otherwise",
        }
    }
}

/// A promotion that would have gone otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub promotion: Attempt,
    /// `None` where its version is not known any more.
    pub deployment: Option<DeploymentId>,
    pub effect: Effect,
    /// As it went; `None` where it was not opened.
    pub recorded: Option<Fate>,
    /// As it would have gone; `None` where it would not have been opened.
    pub relived: Option<Fate>,
}

/// How one promotion differs, if it does.
pub(super) fn effect(recorded: Option<&Fate>, relived: Option<&Fate>) -> Option<Effect> {
    let started = |fate: Option<&Fate>| fate.and_then(|it| it.started_at);
    match (started(recorded), started(relived)) {
        (Some(_), None) => return Some(Effect::Stopped),
        (None, Some(_)) => return Some(Effect::LetThrough),
        (Some(was), Some(would)) if would > was => {
            return Some(Effect::Delayed(would.millis_since(was)));
        }
        (Some(was), Some(would)) if would < was => {
            return Some(Effect::Earlier(was.millis_since(would)));
        }
        _ => {}
    }
    let rest = |fate: &Fate| (fate.opened_at, fate.ended_at, fate.status);
    match (recorded, relived) {
        (Some(was), Some(would)) if rest(was) == rest(would) => None,
        _ => Some(Effect::Otherwise),
    }
}
