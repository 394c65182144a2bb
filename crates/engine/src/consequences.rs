//! What changing the configuration would do at once, before anyone does it. Nothing is written.

use crate::engine::{Context, Engine};
use crate::explain::Gate;
use crate::settle::LaneView;
use crate::state::{LaneKey, Promotion};
use stagegate_model::{
    Change, Command, Fact, PromotionId, PromotionStatus, Rejection, ResourceId, StartKind,
    TargetKey, Timestamp, VersionId,
};
use std::collections::{BTreeMap, BTreeSet};

/// Lanes whose gates are compared, at most: each asks every rule of some versions twice.
const LANES_MAX: usize = 2_000;

/// What a change of configuration would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Consequences {
    pub joining: BTreeMap<LaneKey, BTreeSet<ResourceId>>,
    pub leaving: BTreeMap<LaneKey, BTreeSet<ResourceId>>,
    pub gates: Vec<GateTurn>,
    pub jobs: Vec<Starting>,
    /// Targets that would be brought to another release as soon as they may be.
    pub orders: Vec<(TargetKey, VersionId, StartKind)>,
    pub ending: Vec<Ending>,
    /// Whether more would follow than one entry decides.
    pub more: bool,
    /// Lanes of which the gates were not compared, since there are too many.
    pub lanes_left_out: usize,
}

/// A gate that would open or shut for a version.
#[derive(Clone, Debug, PartialEq)]
pub struct GateTurn {
    pub lane: LaneKey,
    pub version: VersionId,
    /// The policy's name.
    pub policy: String,
    /// The rule's kind.
    pub kind: &'static str,
    /// `None` where there was no such gate.
    pub was_open: Option<bool>,
    /// `None` where there would be none any more.
    pub opens: Option<bool>,
    /// Why it would stand so; of one that goes, why it stood as it did.
    pub message: String,
}

/// Jobs that would begin at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Starting {
    pub lane: LaneKey,
    pub version: VersionId,
    pub kind: StartKind,
    pub resources: Vec<ResourceId>,
}

/// A promotion that would end.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    pub promotion: PromotionId,
    pub lane: LaneKey,
    pub version: VersionId,
    pub status: PromotionStatus,
    pub reason: String,
}

/// A gate, whatever id its rule has: a rule whose spec changes is another one. The number tells apart rules of a kind in
/// one policy.
type Standing = BTreeMap<(String, &'static str, usize), Gate>;

impl Engine {
    /// What changes of configuration would do at `context.now`. They are made here: the engine is to be a copy.
    ///
    /// # Errors
    /// Why the changes are refused.
    pub fn consequences(
        &mut self,
        changes: Vec<Change>,
        context: Context,
    ) -> Result<Consequences, Rejection> {
        let now = context.now.max(self.state.head.time);
        let asked = self.asked_about();
        let lanes_left_out = asked.len().saturating_sub(LANES_MAX);
        let asked: Vec<_> = asked.into_iter().take(LANES_MAX).collect();
        let before: Vec<Standing> = asked
            .iter()
            .map(|(lane, version)| self.standing(*lane, *version, now))
            .collect();
        // A lane that goes takes its promotions with it.
        let open = self.state.promotions.values();
        let open = open.filter(|promotion| promotion.status.is_open());
        let mut known: BTreeMap<PromotionId, (LaneKey, VersionId)> =
            open.map(|it| (it.id, subject(it))).collect();
        let facts = self.execute(Command::Configure(changes), context)?;
        let all = self.state.promotions.values();
        known.extend(all.map(|it| (it.id, subject(it))));
        let mut consequences = Consequences {
            more: self.is_dirty(),
            lanes_left_out,
            ..Consequences::default()
        };
        for fact in &facts {
            consequences.follow(fact, self, &known);
        }
        for ((lane, version), before) in asked.into_iter().zip(before) {
            let after = self.standing(lane, version, now);
            consequences.compare(lane, version, &before, &after);
        }
        Ok(consequences)
    }

    /// The versions that wait or are on the way in a lane, and the newest that is there.
    fn asked_about(&self) -> BTreeSet<(LaneKey, VersionId)> {
        let mut asked = BTreeSet::new();
        for (key, lane) in &self.state.lanes {
            let open = lane
                .open
                .iter()
                .filter_map(|id| self.state.promotions.get(id));
            asked.extend(open.map(|promotion| (*key, promotion.version)));
            let newest = lane.by_floor.keys().next_back().copied().flatten();
            asked.extend(newest.map(|order| (*key, order.1)));
        }
        asked
    }

    fn standing(&self, lane: LaneKey, version: VersionId, now: Timestamp) -> Standing {
        let mut standing = Standing::new();
        let (Some(view), Some(version)) =
            (LaneView::new(self, lane), self.state.versions.get(&version))
        else {
            return standing;
        };
        let mut gates = self.gates(&view, version, now);
        // In the order of the policy, so that an edited rule stands where it stood.
        let place = |gate: &Gate| {
            let policy = self.state.policies.get(&gate.policy);
            policy.and_then(|it| it.rules.iter().position(|rule| rule.id == gate.rule))
        };
        gates.sort_by_key(place);
        for gate in gates {
            let mut number = 0;
            while standing.contains_key(&(gate.policy_name.clone(), gate.kind, number)) {
                number += 1;
            }
            standing.insert((gate.policy_name.clone(), gate.kind, number), gate);
        }
        standing
    }
}

fn subject(promotion: &Promotion) -> (LaneKey, VersionId) {
    let lane = LaneKey {
        deployment: promotion.deployment,
        environment: promotion.environment,
    };
    (lane, promotion.version)
}

impl Consequences {
    /// Whether nothing would happen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.joining.is_empty()
            && self.leaving.is_empty()
            && self.gates.is_empty()
            && self.jobs.is_empty()
            && self.orders.is_empty()
            && self.ending.is_empty()
            && !self.more
    }

    fn follow(
        &mut self,
        fact: &Fact,
        after: &Engine,
        known: &BTreeMap<PromotionId, (LaneKey, VersionId)>,
    ) {
        let lane_of = |version: &VersionId, environment| {
            let version = after.state.versions.get(version)?;
            Some(LaneKey {
                deployment: version.deployment,
                environment,
            })
        };
        match fact {
            Fact::TargetsJoined {
                deployment,
                environment,
                resources,
            }
            | Fact::TargetsLeft {
                deployment,
                environment,
                resources,
            } => {
                let key = LaneKey {
                    deployment: *deployment,
                    environment: *environment,
                };
                let lanes = match fact {
                    Fact::TargetsJoined { .. } => &mut self.joining,
                    _ => &mut self.leaving,
                };
                lanes.entry(key).or_default().extend(resources);
            }
            Fact::JobsCreated {
                version,
                environment,
                kind,
                jobs,
                ..
            } => {
                if let Some(lane) = lane_of(version, *environment) {
                    self.jobs.push(Starting {
                        lane,
                        version: *version,
                        kind: *kind,
                        resources: jobs.iter().map(|job| job.resource).collect(),
                    });
                }
            }
            Fact::TargetOrdered { target, order } => {
                self.orders.push((*target, order.version, order.kind));
            }
            Fact::PromotionEnded {
                id, status, reason, ..
            } => {
                if let Some((lane, version)) = known.get(id) {
                    self.ending.push(Ending {
                        promotion: *id,
                        lane: *lane,
                        version: *version,
                        status: *status,
                        reason: reason.clone(),
                    });
                }
            }
            _ => {}
        }
    }

    fn compare(&mut self, lane: LaneKey, version: VersionId, before: &Standing, after: &Standing) {
        let all: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for key in all {
            let (was, would) = (before.get(key), after.get(key));
            let open = |gate: Option<&Gate>| gate.map(|gate| gate.verdict.is_allowed());
            // One that comes or goes while it is open changes nothing.
            let passes = |gate| open(gate).unwrap_or(true);
            if passes(was) == passes(would) {
                continue;
            }
            let Some(told) = would.or(was) else {
                continue;
            };
            self.gates.push(GateTurn {
                lane,
                version,
                policy: told.policy_name.clone(),
                kind: told.kind,
                was_open: open(was),
                opens: open(would),
                message: told.verdict.why().message.clone(),
            });
        }
    }
}
