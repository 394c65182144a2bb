//! Why a version is, or is not, on one target: what is asked of that target, and nothing that is asked of others.

use super::{Explanation, Gate, Shown, TargetStanding, TargetState, earliest};
use crate::engine::Engine;
use crate::rules::{Action, Reason, Verdict};
use crate::settle::{Asked, Conduct, GateStanding, LaneView, Turns};
use crate::state::LaneKey;
use stagegate_model::{
    PolicyId, PromotionStatus, ResourceId, RuleId, Timestamp, Version, VersionId,
};
use std::sync::Arc;

impl Engine {
    /// Why a version stands as it does on one target of a lane at `now`; `None` when the version is gone or the
    /// resource is no target there.
    #[must_use]
    pub fn explain_target(
        &self,
        lane: LaneKey,
        version: VersionId,
        resource: ResourceId,
        now: Timestamp,
    ) -> Option<Explanation> {
        let now = now.max(self.state.head.time);
        let whole = self.explain_shown(lane, version, Shown::Only(resource), now)?;
        let target = whole.targets.first()?;
        let view = LaneView::new(self, lane)?;
        let version = self.state.versions.get(&version)?;
        let stored = self.state.resource(resource).map(|it| &**it);
        let mut gates = view.gates(version, stored, now, &mut Asked::telling());
        if may_come(target.state) {
            let open = gates.iter().all(|gate| gate.verdict.is_allowed());
            let conduct = view.conduct_at(version, stored, now);
            gates.extend(view.target_gates(&conduct, version, resource, now));
            gates.extend(self.turns_of(&view, version, &conduct, resource, open, now));
        }
        let gates = self.in_order(gates.into_iter(), self.track_of(&view, version));
        let closed: Vec<&Gate> = gates.iter().filter(|it| !it.verdict.is_allowed()).collect();
        let waits = target.state == TargetState::Waiting;
        let earliest = earliest(whole.stopped.as_ref(), &closed).filter(|_| waits);
        let place = self.place(&view, resource);
        let summary = summary(
            version,
            &place,
            whole.status,
            target,
            whole.stopped.as_ref(),
            &closed,
        );
        Some(Explanation {
            summary,
            earliest,
            gates,
            tally: self.tally_of(&whole.targets),
            ..whole
        })
    }

    /// `p1 in Production`
    fn place(&self, view: &LaneView<'_>, resource: ResourceId) -> String {
        let name = self.state.resource(resource).map(|it| it.name());
        format!("{} in {}", name.unwrap_or_default(), view.environment.name)
    }

    /// The rules that say whose turn it is, as they stand for one target that does not have the version.
    fn turns_of<'e>(
        &'e self,
        view: &LaneView<'e>,
        version: &Version,
        conduct: &Conduct<'e>,
        resource: ResourceId,
        open: bool,
        now: Timestamp,
    ) -> Vec<GateStanding> {
        let mut turns = Turns::new(view, now);
        let mut gates = Vec::new();
        let mut tell = |rule: RuleId, kind: &'static str, verdict: Verdict| {
            gates.extend(self.policy_of(rule).map(|policy| GateStanding {
                policy,
                rule,
                kind,
                verdict: Arc::new(verdict),
                latches: false,
                latched: false,
            }));
        };
        let track = self.track_of(view, version);
        for (rule, rollout) in &conduct.rollouts {
            let only = Conduct {
                rollouts: vec![(*rule, *rollout)],
                ..Conduct::default()
            };
            let begun = track.and_then(|track| track.rollouts.get(rule));
            let verdict = match (turns.wait_of(version, &only, resource), begun) {
                (Some((until, message)), _) => {
                    wait("rolling_out", message, "it is its turn", until)
                }
                (None, None) if !open => wait(
                    "rollout_not_begun",
                    "it begins when the gates before it are open".to_owned(),
                    "the other gates open",
                    None,
                ),
                (None, begun) => Verdict::allow(
                    begun.map_or(version.created_at, |it| it.started_at),
                    Reason::new("rolled_out", "it is its turn"),
                ),
            };
            tell(*rule, "gradualRollout", verdict);
        }
        for (rule, concurrency) in &conduct.concurrencies {
            let only = Conduct {
                concurrencies: vec![(*rule, *concurrency)],
                ..Conduct::default()
            };
            let verdict = match turns.place_of(&only, resource) {
                Some(message) => wait(
                    "slots_taken",
                    message,
                    "what runs on one of them ends",
                    None,
                ),
                None => Verdict::allow(
                    version.created_at,
                    Reason::new("slot_free", "there is a place for it"),
                ),
            };
            tell(*rule, "concurrency", verdict);
        }
        gates
    }

    fn policy_of(&self, rule: RuleId) -> Option<PolicyId> {
        let mut policies = self.state.policies.values();
        let having = policies.find(|it| it.rules.iter().any(|one| one.id == rule));
        having.map(|policy| policy.id)
    }
}

fn may_come(state: TargetState) -> bool {
    matches!(
        state,
        TargetState::Waiting | TargetState::Blocked | TargetState::Busy
    )
}

fn wait(code: &'static str, message: String, opens: &str, until: Option<Timestamp>) -> Verdict {
    let why = Reason::new(code, message).opens(opens).action(Action::Wait);
    Verdict::Wait { until, why }
}

fn summary(
    version: &Version,
    place: &str,
    status: Option<PromotionStatus>,
    target: &TargetStanding,
    stopped: Option<&Reason>,
    closed: &[&Gate],
) -> String {
    let tag = &version.tag;
    let reason = match target.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    match target.state {
        TargetState::Succeeded => return format!("{tag} is on {place}{reason}"),
        TargetState::Newer => return format!("{place} is past {tag}{reason}"),
        TargetState::Running | TargetState::Verifying => {
            return format!("{tag} is on its way to {place}{reason}");
        }
        TargetState::Failed => return format!("{tag} failed on {place}{reason}"),
        TargetState::Held | TargetState::Retrying => {
            return format!("{tag} waits for {place}{reason}");
        }
        TargetState::Busy | TargetState::Blocked | TargetState::Waiting => {}
    }
    if let Some(stopped) = stopped {
        return format!("{tag} does not go to {place}: {}", stopped.message);
    }
    let refused = closed
        .iter()
        .find(|gate| matches!(gate.verdict, Verdict::Deny { .. }));
    if let Some(gate) = refused.or(closed.first()) {
        let more = match closed.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let how = match refused {
            Some(_) => "does not go to",
            None => "waits for",
        };
        return format!("{tag} {how} {place}: {}{more}", gate.verdict.why().message);
    }
    match status.filter(|status| !status.is_open()) {
        Some(status) if reason.is_empty() => {
            format!("the promotion of {tag} ended {status} and {place} did not get it")
        }
        _ if reason.is_empty() => format!("{tag} may go to {place}"),
        _ => format!("{tag} waits for {place}{reason}"),
    }
}
