//! When which workspace is to be looked at again: what the deciding thread goes by, instead of by all of them.

use stagegate_model::{Timestamp, WorkspaceId};
use std::collections::{BTreeMap, BTreeSet};

/// At most one moment for each workspace.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    of: BTreeMap<WorkspaceId, Timestamp>,
    by_time: BTreeSet<(Timestamp, WorkspaceId)>,
    /// When it was last asked what is due.
    asked_at: Option<Timestamp>,
}

impl Schedule {
    /// Sets a workspace's moment in place of the one it had; `None` for never.
    pub fn set(&mut self, id: WorkspaceId, at: Option<Timestamp>) {
        let before = match at {
            Some(at) => self.of.insert(id, at),
            None => self.of.remove(&id),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.by_time.remove(&(before, id));
        }
        if let Some(at) = at {
            self.by_time.insert((at, id));
        }
    }

    /// Those whose moment has come; they keep it until it is set anew. When the clock was set back, every moment may
    /// have been reckoned from a time that has not come yet, so all are due.
    pub fn due(&mut self, now: Timestamp) -> Vec<WorkspaceId> {
        let set_back = self.asked_at.replace(now).is_some_and(|at| now < at);
        let due = self.by_time.iter();
        due.take_while(|(at, _)| set_back || *at <= now)
            .map(|(_, id)| *id)
            .collect()
    }

    /// The earliest moment.
    pub fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(number: u128) -> WorkspaceId {
        WorkspaceId(Uuid::from_u128(number))
    }

    #[test]
    fn it_says_what_going_through_all_would_say() {
        let mut schedule = Schedule::default();
        let mut all: BTreeMap<WorkspaceId, Option<Timestamp>> = BTreeMap::new();
        let mut dice = 7_u64;
        let mut roll = |sides: u64| {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % sides
        };
        for now in 0..2_000_i64 {
            for _ in 0..roll(4) {
                let at = (roll(5) > 0).then(|| Timestamp(now + roll(50) as i64 - 5));
                let whose = id(roll(40).into());
                schedule.set(whose, at);
                all.insert(whose, at);
            }
            let now = Timestamp(now);
            let times = || all.iter().filter_map(|(id, at)| Some((*id, (*at)?)));
            let mut due = schedule.due(now);
            due.sort_unstable();
            let expected: Vec<_> = times()
                .filter(|(_, at)| *at <= now)
                .map(|it| it.0)
                .collect();
            assert_eq!(due, expected);
            assert_eq!(schedule.next(), times().map(|it| it.1).min());
        }
    }

    #[test]
    fn a_clock_that_was_set_back_makes_all_due_once() {
        let mut schedule = Schedule::default();
        schedule.set(id(1), Some(Timestamp(500)));
        assert!(schedule.due(Timestamp(100)).is_empty());
        assert_eq!(schedule.due(Timestamp(50)), [id(1)]);
        assert!(schedule.due(Timestamp(50)).is_empty());
    }
}
