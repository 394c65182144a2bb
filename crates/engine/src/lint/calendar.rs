//! Windows of lanes over the next year.

use super::sight::{ByRule, LaneSight, RuleSight, Sight};
use crate::rules::deployment_window::Window;
use crate::state::LaneKey;
use stagegate_model::{RuleId, Timestamp};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// How far ahead windows are looked at.
const SECONDS_AHEAD: i64 = 365 * 86_400;
/// Edges looked at, of all windows together; beyond, nothing is found any more.
const EDGES_MAX: usize = 50_000;

/// What the windows of lanes leave.
#[derive(Default)]
pub(super) struct Calendar {
    /// Lanes in which the windows leave no time.
    pub closed: BTreeSet<LaneKey>,
    /// Windows that leave no time by themselves.
    pub shut: BTreeSet<RuleId>,
    /// Sets of windows, each leaving time by itself, that leave none together.
    pub crossed: BTreeSet<Vec<RuleId>>,
    /// Windows that allow, of two policies in one lane, of which no part of one is in the other.
    pub apart: BTreeSet<(RuleId, RuleId)>,
}

struct Year {
    from: Timestamp,
    to: Timestamp,
    edges: Cell<usize>,
}

impl Year {
    /// Whether one more edge may be looked at.
    fn spend(&self) -> bool {
        let left = self.edges.get();
        self.edges.set(left.saturating_sub(1));
        left > 0
    }

    /// Whether there is a moment at which no window denies and, where some allow, one of them is open.
    fn opens(&self, windows: &[&Window]) -> bool {
        let mut at = self.from;
        while at < self.to {
            if !self.spend() {
                return true;
            }
            let states = windows.iter().map(|it| (it.allows(), it.state(at)));
            let states: Vec<_> = states.collect();
            let allowing = || states.iter().filter(|(allows, _)| *allows);
            let denied = states.iter().any(|(allows, it)| !allows && it.inside);
            let allowed = allowing().next().is_none() || allowing().any(|(_, state)| state.inside);
            if !denied && allowed {
                return true;
            }
            let edges = states.iter().filter_map(|(_, state)| state.until);
            match edges.filter(|edge| *edge > at).min() {
                Some(edge) => at = edge,
                None => return false,
            }
        }
        false
    }

    /// Whether there is a moment inside both.
    fn overlap(&self, one: &Window, other: &Window) -> bool {
        let mut at = self.from;
        while at < self.to {
            if !self.spend() {
                return true;
            }
            let (a, b) = (one.state(at), other.state(at));
            let next = match (a.inside, b.inside) {
                (true, true) => return true,
                (false, _) => a.until,
                (true, false) => b.until,
            };
            match next.filter(|next| *next > at) {
                Some(next) => at = next,
                None => return false,
            }
        }
        false
    }
}

/// A rule's window.
pub(super) fn window<'e>(rule: RuleSight<'e>) -> Option<&'e Window> {
    rule.compiled.evaluator.as_ref().ok()?.window()
}

/// The windows that hold everywhere in a lane.
fn windows<'e>(lane: &LaneSight<'e>) -> Vec<(RuleSight<'e>, &'e Window)> {
    let rules = lane.rules_everywhere();
    rules
        .filter_map(|rule| Some((rule, window(rule)?)))
        .collect()
}

pub(super) fn look(sight: &Sight<'_>) -> Calendar {
    let year = Year {
        from: sight.now,
        to: sight.now.plus_seconds(SECONDS_AHEAD),
        edges: Cell::new(EDGES_MAX),
    };
    let mut calendar = Calendar::default();
    for rule in sight.rules() {
        if window(rule).is_some_and(|window| !year.opens(&[window])) {
            calendar.shut.insert(rule.rule.id);
        }
    }
    let mut together: BTreeMap<Vec<RuleId>, bool> = BTreeMap::new();
    let mut pairs: ByRule<BTreeSet<RuleId>> = BTreeMap::new();
    for lane in &sight.lanes {
        let windows = windows(lane);
        if windows.is_empty() {
            continue;
        }
        let ids: Vec<RuleId> = windows.iter().map(|(rule, _)| rule.rule.id).collect();
        let opens = *together.entry(ids.clone()).or_insert_with(|| {
            let all: Vec<&Window> = windows.iter().map(|(_, window)| *window).collect();
            year.opens(&all)
        });
        if !opens {
            calendar.closed.insert(lane.key);
            if !ids.iter().any(|id| calendar.shut.contains(id)) {
                calendar.crossed.insert(ids);
            }
        }
        for (index, (rule, window)) in windows.iter().enumerate() {
            for (other, other_window) in windows.iter().skip(index + 1) {
                let both = window.allows() && other_window.allows();
                let known = [rule, other].map(|it| calendar.shut.contains(&it.rule.id));
                if !both
                    || known.contains(&true)
                    || rule.policy.policy.id == other.policy.policy.id
                    || !pairs.entry(rule.rule.id).or_default().insert(other.rule.id)
                {
                    continue;
                }
                if !year.overlap(window, other_window) {
                    calendar.apart.insert((rule.rule.id, other.rule.id));
                }
            }
        }
    }
    calendar
}
