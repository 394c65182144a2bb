//! `deploymentWindow`: deployments start only inside a window of the calendar, or only outside of one.

mod judge;
mod recurrence;
mod schedule;
#[cfg(test)]
mod tests;
mod text;
mod window;

pub use judge::{Question, judge, opens_at};
pub use window::{Window, WindowState};

use super::{GateContext, Reason, RuleEvaluator, RuleKind, Verdict, read_spec};
use crate::catalog::Draft;
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use schedule::{Schedule, utc};
use serde::Deserialize;
use stagegate_model::{Json, Rejection, Timestamp};
use std::sync::Arc;
use text::{Moment, Text};
use window::{UNBROKEN_MAX, from_seconds};

pub(super) const KIND: RuleKind = RuleKind {
    kind: "deploymentWindow",
    doc: include_str!("doc.md"),
    schema: include_str!("schema.json"),
    check,
    compile,
};

/// The longest window: 366 days.
const MINUTES_MAX: i64 = 366 * 24 * 60;

/// The rule as users write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    rrule: String,
    duration_minutes: i64,
    timezone: Option<String>,
    #[serde(default = "yes")]
    allow_window: bool,
    dtstart: Option<String>,
    #[serde(default)]
    exempt_first_release: bool,
    #[serde(default)]
    applies_to: Option<Vec<AppliesTo>>,
}

fn yes() -> bool {
    true
}

/// What a window holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum AppliesTo {
    Deploy,
    Rollback,
}

/// A spec that is right in itself. Where it begins may depend on when the rule was made.
#[derive(Clone, Debug)]
struct Unanchored {
    spec: Spec,
    text: Text,
    zone: TimeZone,
    start: Option<DateTime>,
}

fn check(spec: &Json, _: &Draft<'_>) -> Result<(), Rejection> {
    read(spec).map(|_| ())
}

fn compile(spec: &Json) -> Result<Arc<dyn RuleEvaluator>, Rejection> {
    Ok(Arc::new(read(spec)?))
}

fn refuse(field: &str, message: impl Into<String>, hint: impl Into<String>) -> Rejection {
    Rejection::invalid("invalid_rule", message)
        .at(field)
        .hint(hint)
}

fn read(spec: &Json) -> Result<Unanchored, Rejection> {
    let spec: Spec = read_spec(spec)?;
    if !(1..=MINUTES_MAX).contains(&spec.duration_minutes) {
        let message = format!(
            "a window lasts from 1 to {MINUTES_MAX} minutes, not {}",
            spec.duration_minutes
        );
        return Err(refuse(
            "durationMinutes",
            message,
            "60 is an hour, 1440 a day",
        ));
    }
    if let Some(applies_to) = &spec.applies_to
        && !applies_to.contains(&AppliesTo::Deploy)
    {
        return Err(refuse(
            "appliesTo",
            "it must contain `deploy`",
            "write `[deploy]`, or `[deploy, rollback]` to hold rollbacks too",
        ));
    }
    let text = text::parse(&spec.rrule)?;
    let zone = match (&spec.timezone, &text.zone) {
        (Some(one), Some(other)) if one != other => {
            let message = format!("`timezone` is `{one}`, and `rrule` says `{other}`");
            return Err(refuse("timezone", message, "leave `TZID` out of `rrule`"));
        }
        (Some(name), _) => zone(name, "timezone")?,
        (None, Some(name)) => zone(name, "rrule")?,
        (None, None) => TimeZone::UTC,
    };
    let start = match (&spec.dtstart, text.start) {
        (Some(_), Some(_)) => {
            return Err(refuse(
                "dtstart",
                "`rrule` has a `DTSTART` too",
                "keep one of them",
            ));
        }
        (Some(written), None) => Some(read_start(written, &zone)?),
        (None, Some(Moment::Day(day))) => Some(day.at(0, 0, 0, 0)),
        (None, Some(Moment::Local(time))) => Some(time),
        (None, Some(Moment::Utc(time))) => Some(in_zone(time, &zone)),
        (None, None) => None,
    };
    Ok(Unanchored {
        spec,
        text,
        zone,
        start,
    })
}

/// A zone of the time zone database that is built in; what the machine has is not looked at.
fn zone(name: &str, field: &str) -> Result<TimeZone, Rejection> {
    let database = TimeZoneDatabase::bundled();
    let found = database.get(name).ok().filter(|zone| !zone.is_unknown());
    found.ok_or_else(|| {
        let wanted = name.replace(' ', "_").to_lowercase();
        let alike: Vec<String> = database
            .available()
            .map(|known| known.to_string())
            .filter(|known| {
                let city = known.rsplit('/').next().unwrap_or(known).to_lowercase();
                wanted.rsplit('/').next() == Some(&city)
            })
            .take(3)
            .map(|known| format!("`{known}`"))
            .collect();
        let hint = if alike.is_empty() {
            "use a name such as `Europe/Berlin`, `America/New_York` or `UTC`".to_owned()
        } else {
            format!("there is {}", alike.join(" and "))
        };
        refuse(field, format!("there is no time zone `{name}`"), hint)
    })
}

fn in_zone(time: DateTime, zone: &TimeZone) -> DateTime {
    let instant = utc(time).and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    instant.map_or(time, |instant| zone.to_datetime(instant))
}

/// An instant with its offset, or a date or time of the zone's wall clock.
fn read_start(written: &str, zone: &TimeZone) -> Result<DateTime, Rejection> {
    let instant = written.parse::<jiff::Timestamp>();
    let time = match instant {
        Ok(instant) => Ok(zone.to_datetime(instant)),
        Err(_) => written.parse::<DateTime>(),
    };
    let time = time
        .ok()
        .filter(|time| (1900..=9000).contains(&time.year()));
    // Windows begin at whole seconds.
    let time = time.and_then(|time| time.with().subsec_nanosecond(0).build().ok());
    time.ok_or_else(|| {
        refuse(
            "dtstart",
            format!("`{written}` is no date or time"),
            "write it like `2026-01-31`, `2026-01-31T09:00:00` (in the rule's zone) or `2026-01-31T09:00:00Z`",
        )
    })
}

impl Window {
    /// The window that a rule's spec describes, when the rule was made at `created_at`.
    ///
    /// # Errors
    /// Why it is refused, with the member of the spec.
    pub fn new(spec: &Json, created_at: Timestamp) -> Result<Self, Rejection> {
        read(spec)?.window(created_at)
    }
}

impl Unanchored {
    /// The window of a rule that was made at `created_at`.
    ///
    /// # Errors
    /// It never opens, or never closes.
    fn window(&self, created_at: Timestamp) -> Result<Window, Rejection> {
        let start = self.start.unwrap_or_else(|| {
            let made = jiff::Timestamp::from_millisecond(created_at.0).unwrap_or_default();
            self.zone.to_datetime(made).date().at(0, 0, 0, 0)
        });
        let applies_to = self.spec.applies_to.as_deref().unwrap_or_default();
        let window = Window {
            schedule: Schedule::new(&self.text, start, self.zone.clone()),
            seconds: self.spec.duration_minutes * 60,
            allow: self.spec.allow_window,
            exempts_first_release: self.spec.exempt_first_release,
            holds_rollbacks: applies_to.contains(&AppliesTo::Rollback),
        };
        let Some(first) = window.schedule.first() else {
            let message = format!("it never matches in the 50 years after its start, {start}");
            return Err(refuse(
                "rrule",
                message,
                "look at how its parts go together, at `UNTIL`, `EXDATE` and at the start",
            ));
        };
        if window.end_of(first).is_none() {
            let message = format!(
                "more than {UNBROKEN_MAX} windows follow each other without a gap: from {} on it does not close",
                window.name(from_seconds(first))
            );
            return Err(refuse(
                "durationMinutes",
                message,
                "give a shorter duration, or a rule with a coarser `FREQ`",
            ));
        }
        Ok(window)
    }
}

impl RuleEvaluator for Unanchored {
    /// Shut: only what [`RuleEvaluator::anchored`] gives knows where it begins.
    fn evaluate(&self, _: &GateContext<'_>) -> Option<Verdict> {
        let why = Reason::new("rule_error", "the rule does not know when it was made")
            .opens("the policy is written again")
            .who("whoever may edit policies");
        Some(Verdict::Deny { why })
    }

    fn anchored(&self, created_at: Timestamp) -> Option<Result<Arc<dyn RuleEvaluator>, Rejection>> {
        let window = self.window(created_at);
        Some(window.map(|window| Arc::new(window) as Arc<dyn RuleEvaluator>))
    }
}
