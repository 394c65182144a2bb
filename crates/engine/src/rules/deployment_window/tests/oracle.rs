//! A simple oracle: minute by minute through a year, with the zone's offsets looked up beforehand.

use super::super::Window;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use proptest::prelude::*;
use serde_json::json;
use stagegate_model::Timestamp;
use std::sync::OnceLock;

const ZONES: [&str; 3] = ["America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"];
const MINUTES: usize = 366 * 24 * 60;
const DAYS: [(&str, Weekday); 7] = [
    ("MO", Weekday::Monday),
    ("TU", Weekday::Tuesday),
    ("WE", Weekday::Wednesday),
    ("TH", Weekday::Thursday),
    ("FR", Weekday::Friday),
    ("SA", Weekday::Saturday),
    ("SU", Weekday::Sunday),
];
/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600;

/// One minute as the wall clock shows it, kept small.
#[derive(Clone, Copy)]
struct Minute {
    month: i8,
    day: i8,
    last_day: i8,
    weekday: Weekday,
    minute_of_day: i16,
}

/// The year in each zone. The second showing of a time, and those the clock skips, are `None`: oracle rules keep to
/// times that are neither, and the clock's changes are in the tables.
fn year(zone: usize) -> &'static [Option<Minute>] {
    static YEARS: OnceLock<Vec<Vec<Option<Minute>>>> = OnceLock::new();
    let years = YEARS.get_or_init(|| {
        ZONES
            .iter()
            .map(|name| {
                let zone = TimeZoneDatabase::bundled().get(name).unwrap();
                let mut latest = DateTime::MIN;
                let minutes = (0..MINUTES).map(|minute| {
                    let local = local(&zone, minute);
                    let again = local <= latest;
                    latest = latest.max(local);
                    (!again).then(|| Minute {
                        month: local.month(),
                        day: local.day(),
                        last_day: local.date().days_in_month(),
                        weekday: local.weekday(),
                        minute_of_day: i16::from(local.hour()) * 60 + i16::from(local.minute()),
                    })
                });
                minutes.collect()
            })
            .collect()
    });
    &years[zone]
}

fn local(zone: &TimeZone, minute: usize) -> DateTime {
    let seconds = BEGIN + i64::try_from(minute).unwrap() * 60;
    zone.to_datetime(jiff::Timestamp::from_second(seconds).unwrap())
}

#[derive(Clone, Debug)]
struct Drawn {
    zone: usize,
    weekdays: Vec<usize>,
    months: Vec<i8>,
    /// Negative ones count from the month's end.
    month_days: Vec<i8>,
    hours: Vec<i16>,
    minute: i16,
    duration: usize,
    now: usize,
}

impl Drawn {
    fn rule(&self) -> String {
        fn list<T: ToString>(name: &str, values: &[T]) -> String {
            let values: Vec<String> = values.iter().map(T::to_string).collect();
            if values.is_empty() {
                return String::new();
            }
            format!(";{name}={}", values.join(","))
        }
        let weekdays: Vec<&str> = self.weekdays.iter().map(|day| DAYS[*day].0).collect();
        format!(
            "DTSTART:20250101T000000\nRRULE:FREQ=DAILY;BYMINUTE={}{}{}{}{}",
            self.minute,
            list("BYHOUR", &self.hours),
            list("BYDAY", &weekdays),
            list("BYMONTH", &self.months),
            list("BYMONTHDAY", &self.month_days),
        )
    }

    fn starts(&self, minute: Minute) -> bool {
        let from_end = minute.day - minute.last_day - 1;
        // First what most minutes fail.
        minute.minute_of_day % 60 == self.minute
            && self
                .hours
                .iter()
                .any(|hour| hour * 60 + self.minute == minute.minute_of_day)
            && (self.weekdays.is_empty()
                || self
                    .weekdays
                    .iter()
                    .any(|day| DAYS[*day].1 == minute.weekday))
            && (self.months.is_empty() || self.months.contains(&minute.month))
            && (self.month_days.is_empty()
                || self.month_days.contains(&minute.day)
                || self.month_days.contains(&from_end))
    }
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let some = |values: std::ops::Range<usize>, most| prop::collection::btree_set(values, 0..=most);
    // From 04:00 on no zone here changes its clock.
    let hours = prop::collection::btree_set(4..24_i16, 1..=3);
    let month_days = prop::collection::btree_set(prop_oneof![1..=31_i8, -31..=-1_i8], 0..=6);
    let duration = prop_oneof![1..=60_usize, 60..=1440_usize, 1440..=4000_usize];
    (
        (0..ZONES.len(), some(0..7, 5), some(1..13, 6), month_days),
        (hours, 0..60_i16, duration, 5000..MINUTES - 60_000),
    )
        .prop_map(
            |((zone, weekdays, months, month_days), (hours, minute, duration, now))| Drawn {
                zone,
                weekdays: weekdays.into_iter().collect(),
                months: months
                    .into_iter()
                    .map(|month| i8::try_from(month).unwrap())
                    .collect(),
                month_days: month_days.into_iter().collect(),
                hours: hours.into_iter().collect(),
                minute,
                duration,
                now,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        rng_seed: proptest::test_runner::RngSeed::Fixed(5545),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_next_edge_is_what_going_minute_by_minute_finds(drawn in drawn()) {
        let spec = json!({
            "rrule": drawn.rule(), "durationMinutes": drawn.duration, "timezone": ZONES[drawn.zone],
        });
        let made = Window::new(&spec, Timestamp(0));
        let minutes = year(drawn.zone);
        let mut left = 0_usize;
        let mut inside = Vec::with_capacity(MINUTES);
        for minute in minutes {
            if minute.is_some_and(|minute| drawn.starts(minute)) {
                left = drawn.duration;
            }
            inside.push(left > 0);
            left = left.saturating_sub(1);
        }
        let Ok(window) = made else {
            // Never open, or open for good.
            prop_assert!(inside[5000..].iter().all(|it| *it == inside[5000]), "{made:?}");
            return Ok(());
        };
        let now = drawn.now;
        let moment = |minute: usize| Timestamp((BEGIN + i64::try_from(minute).unwrap() * 60) * 1000);
        let state = window.state(moment(now));
        prop_assert_eq!(state.inside, inside[now]);
        let edge = (now..MINUTES).find(|minute| inside[*minute] != inside[now]);
        match edge {
            Some(edge) => prop_assert_eq!(state.until, Some(moment(edge))),
            None => prop_assert!(state.until.is_none_or(|until| until >= moment(MINUTES))),
        }
        // Not known from before the year: only edges in it are compared.
        let before = (5000..now).rev().find(|minute| inside[*minute] != inside[now]);
        if let Some(before) = before {
            prop_assert_eq!(state.since, Some(moment(before + 1)));
        }
        // Just before the edge nothing has changed.
        if let Some(edge) = edge {
            let just_before = Timestamp(moment(edge).0 - 1);
            prop_assert_eq!(window.state(just_before).until, Some(moment(edge)));
        }
    }
}
