//! How far gradual rollouts are, for those who show them.

use crate::engine::Engine;
use crate::settle::{LaneView, Place};
use crate::state::LaneKey;
use stagegate_model::{RuleId, Timestamp, VersionId};
use std::collections::BTreeMap;

/// A gradual rollout that has begun, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutReport {
    pub rule: RuleId,
    /// When position 0 was due.
    pub started_at: Timestamp,
    /// Targets whose turn has come, whether or not something runs there.
    pub due: usize,
    /// Targets there are.
    pub total: usize,
    /// Waves that have begun.
    pub wave: usize,
    pub waves: usize,
    /// Why nothing further starts until a person resumes it.
    pub paused: Option<String>,
    /// When the next target is due, if time alone brings it.
    pub next: Option<Timestamp>,
}

impl Engine {
    /// The rollouts of a version in a lane that have begun and whose rules still apply, in the order of the rules' ids.
    #[must_use]
    pub fn rollouts(
        &self,
        lane: LaneKey,
        version: VersionId,
        now: Timestamp,
    ) -> Vec<RolloutReport> {
        let now = now.max(self.state.head.time);
        let (Some(view), Some(version), Some(track)) = (
            LaneView::new(self, lane),
            self.state.versions.get(&version),
            self.state.track(version, lane.environment),
        ) else {
            return Vec::new();
        };
        let mut found = BTreeMap::new();
        for class in view.classes() {
            let conduct = view.conduct(version, class.representative.as_deref());
            for (rule, rollout) in &conduct.rollouts {
                let Some(begun) = track.rollouts.get(rule) else {
                    continue;
                };
                let Some(standing) = view.rollout_standing(version, *rule, rollout, now) else {
                    continue;
                };
                let next = match standing.place {
                    Place::Later { until, .. } => until,
                    Place::Due => None,
                };
                let paused = track.paused.as_ref();
                let report = RolloutReport {
                    rule: *rule,
                    started_at: begun.started_at,
                    due: standing.due,
                    total: standing.total,
                    wave: begun.begun.len(),
                    waves: begun.waves.len(),
                    paused: paused.map(|it| it.reason.clone()),
                    next: next.filter(|_| paused.is_none()),
                };
                found.insert(*rule, report);
            }
        }
        found.into_values().collect()
    }
}
