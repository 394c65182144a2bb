//! What retries and orders wait for, in words.

use crate::engine::Engine;
use crate::settle::{Asked, LaneView, Turns};
use crate::state::{Lane, TargetView};
use stagegate_model::{Order, ResourceId, StartKind, Timestamp, Version};

impl Engine {
    /// What an order is about: `is to go back to v1 (customers complain)`.
    pub(super) fn ordered(&self, order: &Order) -> String {
        let version = self.state.versions.get(&order.version);
        let tag = version.map_or("", |it| it.tag.as_str());
        let what = match order.kind {
            StartKind::Rollback => format!("is to go back to {tag}"),
            StartKind::BreakGlass => format!("is to get {tag} past every gate"),
            _ => format!("is to get {tag} once more"),
        };
        match order.reason.as_str() {
            "" => what,
            reason => format!("{what} ({reason})"),
        }
    }

    /// What keeps a retry or a redeploy of the version from starting on a free target, apart from time.
    #[expect(clippy::too_many_arguments, reason = "the parts of one question")]
    pub(super) fn held_back<'e>(
        &'e self,
        view: &LaneView<'e>,
        lane: &Lane,
        version: &Version,
        resource: ResourceId,
        target: TargetView<'_>,
        now: Timestamp,
        turns: &mut Turns<'e>,
    ) -> Option<String> {
        let retry = lane.retries.get(&resource);
        let retry = retry.filter(|it| it.version == version.id);
        let order = lane.orders.get(&resource);
        let redeploy =
            order.is_some_and(|it| it.kind == StartKind::Redeploy && it.version == version.id);
        if target.active().is_some() || (retry.is_none() && !redeploy) {
            return None;
        }
        // A redeploy is what a failed verification waits for.
        if let Some(stopped) = view.stopped(version).filter(|_| !redeploy) {
            return Some(stopped.message);
        }
        let stored = self.state.resource(resource).map(|it| &**it);
        let gates = view.gates(version, stored, now, &mut Asked::telling());
        if let Some(gate) = gates.iter().find(|gate| !gate.verdict.is_allowed()) {
            return Some(gate.verdict.why().message.clone());
        }
        let conduct = view.conduct(version, stored);
        if redeploy {
            let gates = view.target_gates(&conduct, version, resource, now);
            if let Some(gate) = gates.iter().find(|gate| !gate.verdict.is_allowed()) {
                return Some(gate.verdict.why().message.clone());
            }
            return turns.place_of(&conduct, resource);
        }
        let paused = turns.is_paused(version.id);
        let due = retry.is_some_and(|it| it.at <= now);
        // A place that is taken now says nothing of one that is needed later.
        match (paused, due) {
            (true, _) => turns.wait_of(version, &conduct, resource).map(|it| it.1),
            (false, true) => turns.place_of(&conduct, resource),
            (false, false) => None,
        }
    }
}
