//! When something starts with a version if nothing but time passes.

use crate::engine::Engine;
use crate::rules::{Action, Verdict};
use crate::settle::{Asked, GateStanding, LaneView, Turns};
use stagegate_model::{ResourceId, StartKind, Timestamp, Version};

impl Engine {
    /// When the first of the targets that wait for the version can start, where nothing but time keeps it; another may
    /// wait longer, or for something else.
    pub(super) fn earliest(
        &self,
        view: &LaneView<'_>,
        version: &Version,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let lane = self.state.lane(view.key)?;
        if view.stopped(version).is_some() {
            return None;
        }
        let waits = |id: &ResourceId| {
            let redeploys = |kind| kind == StartKind::Redeploy;
            let free = lane
                .orders
                .get(id)
                .is_none_or(|order| redeploys(order.kind));
            let target = lane.targets.get(id).filter(|_| free);
            target.is_some_and(|it| {
                it.active().is_none() && !it.leaving() && it.floor() < Some(version.order())
            })
        };
        let mut asked = Asked::telling();
        let mut turns = Turns::new(view, now);
        let mut earliest: Option<Timestamp> = None;
        for class in view.classes() {
            let resource = class.representative.as_deref();
            let gates = view.gates(version, resource, now, &mut asked);
            let Some(class_at) = opens_at(&gates, now) else {
                continue;
            };
            let conduct = view.conduct_at(version, resource, now);
            let listed = class.resources.as_ref();
            // Free ones that do not have it.
            let behind = || lane.index.free.range(..Some(version.order()));
            let all = listed
                .is_none()
                .then(|| behind().flat_map(|(_, ids)| ids.iter().copied()));
            let listed = listed.into_iter().flatten().copied();
            for id in listed.chain(all.into_iter().flatten()).filter(waits) {
                let own = view.target_gates(&conduct, version, id, now);
                // A rollout that has not begun lets its first target start at once.
                let turn = match turns.wait_of(version, &conduct, id) {
                    None => Some(now),
                    Some((until, _)) => until,
                };
                let at = opens_at(&own, now).zip(turn);
                let at = at.map(|(own, turn)| class_at.max(own).max(turn));
                earliest = [earliest, at.filter(|at| *at > now)]
                    .into_iter()
                    .flatten()
                    .min();
                // Where no target is asked by itself, one stands for all.
                if !conduct.asks_for_turns() {
                    break;
                }
            }
        }
        earliest
    }
}

/// When all of the gates are open if nothing but time passes, `now` if they are; `None`: not by time alone.
fn opens_at(gates: &[GateStanding], now: Timestamp) -> Option<Timestamp> {
    gates.iter().try_fold(now, |at, gate| match &*gate.verdict {
        Verdict::Allow { .. } => Some(at),
        Verdict::Wait {
            until: Some(until),
            why,
        } if why.action != Action::Approval => Some(at.max(*until)),
        Verdict::Wait { .. } | Verdict::Deny { .. } => None,
    })
}
