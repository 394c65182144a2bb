//! A window and its edges: occurrences that overlap or touch are one stretch of time.

use super::recurrence::short;
use super::schedule::Schedule;
use stagegate_model::Timestamp;

/// Occurrences that may follow each other without a gap; more are refused, so that looking for an edge ends.
pub(super) const UNBROKEN_MAX: usize = 1_000;

/// A window of the calendar, ready to be asked.
#[derive(Clone, Debug)]
pub struct Window {
    pub(super) schedule: Schedule,
    /// How long each occurrence lasts, in elapsed time.
    pub(super) seconds: i64,
    pub(super) allow: bool,
    pub(crate) exempts_first_release: bool,
    pub(super) holds_rollbacks: bool,
}

/// How a window stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowState {
    pub inside: bool,
    /// The edge before: since when it stands so. `None`: since before all that is looked at (50 years).
    pub since: Option<Timestamp>,
    /// The next edge. `None`: it stays so.
    pub until: Option<Timestamp>,
}

pub(super) fn from_seconds(seconds: i64) -> Timestamp {
    Timestamp(0).plus_seconds(seconds)
}

impl Window {
    /// Whether deployments may start inside it (else: only outside).
    #[must_use]
    pub fn allows(&self) -> bool {
        self.allow
    }

    /// How it stands at `now`. At its first instant it is inside, at its last no more.
    ///
    /// The cost does not grow with the time since its start: the days around `now` are looked at.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> WindowState {
        let now = now.0.div_euclid(1000);
        let mut earlier = self.schedule.until(now);
        let last = earlier.next();
        match last {
            Some(last) if now < last + self.seconds => {
                let mut since = last;
                for before in earlier.take(UNBROKEN_MAX) {
                    if before + self.seconds < since {
                        break;
                    }
                    since = before;
                }
                WindowState {
                    inside: true,
                    since: Some(from_seconds(since)),
                    until: Some(from_seconds(
                        self.end_of(last).unwrap_or(last + self.seconds),
                    )),
                }
            }
            last => WindowState {
                inside: false,
                since: last.map(|last| from_seconds(last + self.seconds)),
                until: self.schedule.after(now).next().map(from_seconds),
            },
        }
    }

    /// When the stretch ends that the occurrence at `start` belongs to; `None` when that is too far to look.
    pub(super) fn end_of(&self, start: i64) -> Option<i64> {
        let mut end = start + self.seconds;
        for (index, next) in self.schedule.after(start).enumerate() {
            if next > end {
                break;
            }
            if index == UNBROKEN_MAX {
                return None;
            }
            end = next + self.seconds;
        }
        Some(end)
    }

    /// The stretches of time inside it that overlap `from` to `to`, the earliest first, `count` at most.
    #[must_use]
    pub fn spans(
        &self,
        from: Timestamp,
        to: Timestamp,
        count: usize,
    ) -> Vec<(Timestamp, Timestamp)> {
        let mut spans = Vec::new();
        let mut at = from;
        while at < to && spans.len() < count {
            let state = self.state(at);
            let Some(until) = state.until else { break };
            if state.inside {
                spans.push((state.since.unwrap_or(at), until));
            }
            at = until;
        }
        spans
    }

    /// Its time zone's name.
    #[must_use]
    pub fn timezone(&self) -> &str {
        self.schedule.zone().iana_name().unwrap_or("UTC")
    }

    /// Whether rollbacks wait for it too.
    #[must_use]
    pub fn holds_rollbacks(&self) -> bool {
        self.holds_rollbacks
    }

    /// How long each occurrence lasts, in minutes.
    #[must_use]
    pub fn minutes(&self) -> i64 {
        self.seconds / 60
    }

    /// A moment as the window's own clock shows it: `Mon 2026-01-05 09:00`.
    #[must_use]
    pub fn local(&self, moment: Timestamp) -> String {
        let name = self.name(moment);
        match name.rsplit_once(' ') {
            Some((local, _)) => local.to_owned(),
            None => name,
        }
    }

    /// A moment as the window's own clock shows it, for messages: `Mon 2026-01-05 09:00 Europe/Berlin`.
    pub(super) fn name(&self, moment: Timestamp) -> String {
        let Some(local) = self.schedule.local(moment.0.div_euclid(1000)) else {
            return moment.to_string();
        };
        let zone = self.schedule.zone().iana_name().unwrap_or("UTC");
        let seconds = if local.second() == 0 {
            "%H:%M"
        } else {
            "%H:%M:%S"
        };
        let (day, time) = (short(local.weekday()), local.strftime(seconds));
        format!("{day} {} {time} {zone}", local.date())
    }
}
