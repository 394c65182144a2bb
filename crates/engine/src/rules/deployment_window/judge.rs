//! How windows stand together: a window that denies beats all others; of those that allow, any one suffices.

use super::super::{Action, GateContext, Reason, RuleEvaluator, Verdict};
use super::window::{Window, WindowState};
use stagegate_model::{Json, Timestamp};

/// Instants at which the windows together are looked at to find when they open, at most.
const EDGES_MAX: usize = 200;

/// What is asked of windows.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    pub now: Timestamp,
    /// When the version was created: no gate has been open for it for longer.
    pub version_created_at: Timestamp,
    /// Nothing was ever deployed where this goes.
    pub first_release: bool,
    /// It brings a target back to what it had.
    pub rollback: bool,
}

/// A verdict for each of the windows that apply to one version on one target, in their order.
///
/// Denying windows are judged each alone. An allowing window that is outside passes while another one is inside, and
/// says so; when none is inside, each waits for the first that opens. What does not hold this at all (`appliesTo`,
/// `exemptFirstRelease`) passes and lets nothing else through.
#[must_use]
pub fn judge(windows: &[&Window], question: &Question) -> Vec<Verdict> {
    let states: Vec<Option<WindowState>> = windows
        .iter()
        .map(|window| window.holds(question).then(|| window.state(question.now)))
        .collect();
    let allowing = || {
        let pairs = windows.iter().zip(&states);
        pairs.filter_map(|(window, state)| window.allow.then_some((*window, (*state)?)))
    };
    // The edge at which something changes for those that allow, whichever of them it is.
    let next = allowing().filter_map(|(_, state)| state.until).min();
    let open = allowing()
        .filter(|(_, state)| state.inside)
        .min_by_key(|(_, state)| state.since);
    let opens = allowing()
        .filter_map(|(window, state)| Some((window, state.until?)))
        .min_by_key(|(_, until)| *until);
    windows
        .iter()
        .zip(&states)
        .map(|(window, state)| match state {
            None => window.exempt(question),
            Some(state) if !window.allow => window.denying(*state, question),
            Some(state) => match open {
                Some((other, open)) => window.allowing(*state, other, open, next, question),
                None => window.closed(opens),
            },
        })
        .collect()
}

/// The first moment from `question.now` on at which all of the windows let this through. `None`: not while what is
/// ahead of them is looked at (200 edges).
#[must_use]
pub fn opens_at(windows: &[&Window], question: &Question) -> Option<Timestamp> {
    let holding: Vec<&&Window> = windows.iter().filter(|it| it.holds(question)).collect();
    let mut at = question.now;
    for _ in 0..EDGES_MAX {
        let states = || {
            holding
                .iter()
                .map(|window| (window.allow, window.state(at)))
        };
        let denied = states().filter(|(allow, state)| !allow && state.inside);
        if let Some(until) = denied.map(|(_, state)| state.until).max() {
            at = until?;
            continue;
        }
        let closed = states().any(|(allow, _)| allow)
            && !states().any(|(allow, state)| allow && state.inside);
        if !closed {
            return Some(at);
        }
        let openings = states().filter_map(|(allow, state)| allow.then_some(state.until)?);
        at = openings.min()?;
    }
    None
}

impl Window {
    /// Whether it has a say in this at all.
    fn holds(&self, question: &Question) -> bool {
        !(question.rollback && !self.holds_rollbacks
            || question.first_release && self.exempts_first_release)
    }

    fn exempt(&self, question: &Question) -> Verdict {
        let why = if question.rollback && !self.holds_rollbacks {
            Reason::new(
                "window_not_for_rollbacks",
                "the window does not hold rollbacks",
            )
        } else {
            Reason::new(
                "window_not_for_first_release",
                "the window does not hold what is deployed for the first time",
            )
        };
        Verdict::allow(question.version_created_at, why)
    }

    fn details(&self, state: WindowState) -> Json {
        serde_json::json!({
            "allowWindow": self.allow,
            "inside": state.inside,
            "since": state.since,
            "until": state.until,
            "timezone": self.schedule.zone().iana_name(),
        })
    }

    fn denying(&self, state: WindowState, question: &Question) -> Verdict {
        let details = self.details(state);
        match (state.inside, state.until) {
            (true, Some(until)) => {
                let why = Reason::new(
                    "window_denies",
                    format!("nothing starts until {}", self.name(until)),
                )
                .opens(format!("the window ends at {}", self.name(until)))
                .action(Action::Wait)
                .details(details);
                Verdict::Wait {
                    until: Some(until),
                    why,
                }
            }
            (_, until) => {
                let message = match until {
                    Some(until) => {
                        format!(
                            "outside of the window in which nothing starts; the next begins {}",
                            self.name(until)
                        )
                    }
                    None => "outside of the window in which nothing starts; there is no other"
                        .to_owned(),
                };
                Verdict::Allow {
                    satisfied_at: later(state.since, question.version_created_at),
                    lapses_at: until,
                    why: Reason::new("window_clear", message).details(details),
                }
            }
        }
    }

    /// It allows, and `other` (perhaps itself) is open.
    fn allowing(
        &self,
        state: WindowState,
        other: &Window,
        open: WindowState,
        next: Option<Timestamp>,
        question: &Question,
    ) -> Verdict {
        let (code, message) = match (
            state.inside,
            if state.inside {
                state.until
            } else {
                open.until
            },
        ) {
            (true, Some(until)) => (
                "window_open",
                format!("inside the window until {}", self.name(until)),
            ),
            (false, Some(until)) => (
                "other_window_open",
                format!(
                    "outside of this window, but inside another one until {}",
                    other.name(until)
                ),
            ),
            (_, None) => ("window_open", "inside the window".to_owned()),
        };
        Verdict::Allow {
            satisfied_at: later(open.since, question.version_created_at),
            lapses_at: next,
            why: Reason::new(code, message).details(self.details(state)),
        }
    }

    /// It allows, and no window that allows is open; `opens` is the first that will be.
    fn closed(&self, opens: Option<(&Window, Timestamp)>) -> Verdict {
        let state = WindowState {
            inside: false,
            since: None,
            until: opens.map(|(_, at)| at),
        };
        let details = self.details(state);
        match opens {
            Some((other, at)) => {
                let at_name = other.name(at);
                let why = Reason::new(
                    "window_closed",
                    format!("outside of the window; it opens {at_name}"),
                )
                .opens(format!("the window opens {at_name}"))
                .action(Action::Wait)
                .details(details);
                Verdict::Wait {
                    until: Some(at),
                    why,
                }
            }
            None => {
                let why = Reason::new("window_ended", "the window was open for the last time")
                    .opens("the rule's `rrule` is given new dates")
                    .who("whoever may edit policies")
                    .details(details);
                Verdict::Deny { why }
            }
        }
    }
}

fn later(edge: Option<Timestamp>, created_at: Timestamp) -> Timestamp {
    edge.map_or(created_at, |edge| edge.max(created_at))
}

impl Question {
    /// What a rule that sees no target can say: nothing was ever deployed to any target of the environment.
    pub(crate) fn of(context: &GateContext<'_>) -> Self {
        let key = crate::state::LaneKey {
            deployment: context.deployment.id,
            environment: context.environment.id,
        };
        let first_release = context.state.lane(key).is_some_and(|lane| {
            let mut targets = lane.targets.values();
            targets.all(|target| target.latest().is_none())
        });
        Self {
            now: context.now,
            version_created_at: context.version.created_at,
            first_release,
            rollback: false,
        }
    }
}

impl RuleEvaluator for Window {
    /// Alone, without the other windows that apply: [`judge`] sees them all.
    fn evaluate(&self, context: &GateContext<'_>) -> Option<Verdict> {
        judge(&[self], &Question::of(context)).pop()
    }

    fn window(&self) -> Option<&Window> {
        Some(self)
    }
}
