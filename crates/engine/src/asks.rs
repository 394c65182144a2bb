//! What is asked of a person, and which policies may matter where: questions of faces, answered as deciding would.

use crate::engine::Engine;
use crate::expressions::CompiledPolicy;
use crate::handle::check_paused;
use crate::rules::GateContext;
use crate::rules::approval::{Answer, answer};
use crate::settle::LaneView;
use crate::state::{LaneKey, Verification};
use stagegate_model::{Freeze, PolicyId, Role, RuleId, Timestamp, UserId, VersionId, Vote};
use std::collections::BTreeSet;

/// A rule that asks a person to approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    pub policy: PolicyId,
    pub rule: RuleId,
}

impl Engine {
    /// The rules by which a person's approval of a version is asked for in a lane at `now`, whether or not other gates
    /// are open. Empty when environment, deployment or version is gone.
    #[must_use]
    pub fn asks_of(
        &self,
        lane: LaneKey,
        version: VersionId,
        user: UserId,
        now: Timestamp,
    ) -> BTreeSet<Ask> {
        let now = now.max(self.state.head.time);
        let mut asks = BTreeSet::new();
        let (Some(view), Some(version)) =
            (LaneView::new(self, lane), self.state.versions.get(&version))
        else {
            return asks;
        };
        let role = self.state.users.get(&user);
        if !role.is_some_and(|role| role.allows(Role::Approver)) {
            return asks;
        }
        let votes = self.state.votes(version.id, lane.environment);
        let own = votes.and_then(|votes| votes.get(&user));
        let own = own.filter(|it| it.digest == version.digest && it.vote != Vote::Withdrawn);
        let groups = self.state.groups_of(user);
        let classes = view.classes();
        let mut resources: Vec<_> = classes
            .iter()
            .map(|class| class.representative.as_deref())
            .collect();
        if resources.is_empty() {
            resources.push(None);
        }
        for resource in resources {
            for applicable in view.applicable(version, resource) {
                let policy = &applicable.policy.policy;
                for rule in &applicable.policy.rules {
                    let approval = rule.evaluator.as_ref().ok().and_then(|it| it.approval());
                    let asked = match approval {
                        None => rule.kind == "anyApproval" && own.is_none(),
                        Some(approval) => {
                            let context = GateContext {
                                state: &self.state,
                                policy,
                                rule: rule.id,
                                version,
                                environment: view.environment,
                                deployment: view.deployment,
                                latched: None,
                                tells: true,
                                now,
                            };
                            answer(approval, &context, user, &groups).0 == Answer::Wanted
                        }
                    };
                    if asked {
                        asks.insert(Ask {
                            policy: policy.id,
                            rule: rule.id,
                        });
                    }
                }
            }
        }
        asks
    }

    /// Verifications that measurements could not decide and a person may: the oldest first.
    #[must_use]
    pub fn undecided(&self) -> Vec<&Verification> {
        let all = self.state.verifications.values();
        let mut undecided: Vec<&Verification> = all
            .filter(|it| check_paused(&self.state, it).is_ok())
            .collect();
        undecided.sort_by_key(|it| (it.ended_at, it.id));
        undecided
    }

    /// Policies, and freezes by their ids, that may apply in a lane as far as environment, deployment and system say:
    /// those that only some version or resource meets are among them. Empty when the lane's entities are gone.
    #[must_use]
    pub fn policies_in(&self, lane: LaneKey) -> Vec<PolicyId> {
        let view = LaneView::new(self, lane);
        view.map_or_else(Vec::new, |view| view.policy_ids().collect())
    }

    /// The lanes in which a freeze may hold something, as [`Self::policies_in`] has it. It need not be in force, nor in
    /// the state any more.
    #[must_use]
    pub fn lanes_of(&self, freeze: &Freeze) -> Vec<LaneKey> {
        let compiled = CompiledPolicy::of_freeze(freeze);
        let lanes = self.state.lanes.keys().copied();
        lanes
            .filter(|lane| LaneView::may_freeze(self, *lane, &compiled))
            .collect()
    }
}
