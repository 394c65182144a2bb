//! Occurrences as instants: the rules' wall-clock times in their zone, added and excluded dates, in order.
//!
//! Wall-clock times hold over changes of the clock. As section 3.3.10 of RFC 5545 refers to 3.3.5: a time that the
//! clock skips is taken with the offset before the gap (02:30 becomes 03:30), one that it shows twice is the first;
//! only hourly rules take both, since they mean every hour. (The same section also says that skipped times are
//! ignored; a closed window that is silently missing once a year would be the worse reading.)

use super::recurrence::{Recurrence, plus};
use super::text::{Moment, Text};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use std::collections::BTreeSet;

/// How far ahead of the start, or of the moment asked about, an occurrence is looked for.
const YEARS_MAX: i64 = 50;
const DAY: i64 = 86_400;
/// No zone is further from UTC; what the clock skips (at most a day) moves a time later by as much.
const OFFSET_MAX: i64 = 26 * 3600;
const GAP_MAX: i64 = DAY;

/// All occurrences of one calendar. Instants are whole seconds since the epoch.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    zone: TimeZone,
    rules: Vec<Rule>,
    added: BTreeSet<i64>,
    excluded: BTreeSet<i64>,
    excluded_days: BTreeSet<Date>,
    /// No occurrence is further ahead of the start than this.
    first: Date,
}

#[derive(Clone, Debug)]
struct Rule {
    recurrence: Recurrence,
    /// `UNTIL` where that is an instant.
    until: Option<i64>,
}

impl Schedule {
    /// The calendar of a text whose rules start at `start`.
    pub fn new(text: &Text, start: DateTime, zone: TimeZone) -> Self {
        let mut schedule = Self {
            zone,
            rules: Vec::new(),
            added: BTreeSet::new(),
            excluded: BTreeSet::new(),
            excluded_days: BTreeSet::new(),
            first: start.date(),
        };
        for parts in &text.rules {
            let mut recurrence = Recurrence::new(parts.clone(), start);
            let mut until = None;
            match parts.until {
                Some(Moment::Day(day)) => recurrence.last = Some(day.at(23, 59, 59, 0)),
                Some(Moment::Local(time)) => recurrence.last = Some(time),
                Some(Moment::Utc(time)) => {
                    until = utc(time);
                    // Nothing is looked for beyond; the instant decides.
                    let local = until.and_then(|until| schedule.local(until));
                    let day = local.and_then(|local| plus(local.date(), 2));
                    recurrence.last = day.map(|day| day.at(0, 0, 0, 0));
                }
                None => {}
            }
            if let Some(count) = parts.count {
                recurrence.last = last_of(&recurrence, count);
            }
            schedule.rules.push(Rule { recurrence, until });
        }
        let added = text.added.iter().filter_map(|it| schedule.instant(*it));
        schedule.added = added.collect();
        let excluded = text.excluded.iter().filter_map(|it| schedule.instant(*it));
        schedule.excluded = excluded.collect();
        schedule.excluded_days = text.excluded.iter().filter_map(day_of).collect();
        schedule.added = &schedule.added - &schedule.excluded;
        schedule
    }

    fn instant(&self, moment: Moment) -> Option<i64> {
        match moment {
            Moment::Day(_) => None,
            Moment::Utc(time) => utc(time),
            Moment::Local(time) => instants(&self.zone, time, false).next(),
        }
    }

    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The wall clock's reading at an instant.
    pub fn local(&self, instant: i64) -> Option<DateTime> {
        let time = Timestamp::from_second(instant).ok()?;
        Some(self.zone.to_datetime(time))
    }

    /// Whether there is an occurrence at all.
    pub fn first(&self) -> Option<i64> {
        let from = utc(self.first.to_datetime(jiff::civil::Time::midnight()))?;
        self.after(from - 2 * DAY).next()
    }

    /// Occurrences later than an instant, the earliest first.
    pub fn after(&self, instant: i64) -> Later<'_> {
        let day = self.local(instant).map(DateTime::date);
        let day = day
            .and_then(|day| plus(day, -3))
            .map(|day| day.max(self.first));
        let limit = day.and_then(|day| plus(day, YEARS_MAX * 366));
        Later {
            schedule: self,
            after: instant,
            pending: self.added.range(instant + 1..).copied().collect(),
            ahead: day.zip(limit),
        }
    }

    /// Occurrences not later than an instant, the latest first.
    pub fn until(&self, instant: i64) -> Earlier<'_> {
        let day = self.local(instant).map(DateTime::date);
        let day = day.and_then(|day| plus(day, 2));
        Earlier {
            schedule: self,
            until: instant,
            pending: self.added.range(..=instant).copied().collect(),
            ahead: day.and_then(|day| Some((day, plus(day, -YEARS_MAX * 366)?.max(self.first)))),
        }
    }

    fn next_day(&self, from: Date, to: Date) -> Option<Date> {
        let rules = self.rules.iter();
        rules
            .filter_map(|it| it.recurrence.next_day(from, to))
            .min()
    }

    fn previous_day(&self, to: Date, from: Date) -> Option<Date> {
        let rules = self.rules.iter();
        rules
            .filter_map(|it| it.recurrence.previous_day(to, from))
            .max()
    }

    /// The occurrences of a wall-clock day.
    fn on(&self, day: Date) -> Vec<i64> {
        if self.excluded_days.contains(&day) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for rule in &self.rules {
            // Another rule may have named the day.
            if rule.recurrence.next_day(day, day).is_none() {
                continue;
            }
            for time in rule.recurrence.on(day) {
                let instants = instants(&self.zone, time, rule.recurrence.hourly());
                found.extend(instants.filter(|it| rule.until.is_none_or(|until| *it <= until)));
            }
        }
        found.retain(|it| !self.excluded.contains(it));
        found
    }
}

/// The wall-clock time of the last of `count` occurrences; none when they reach further than is looked.
fn last_of(recurrence: &Recurrence, count: u32) -> Option<DateTime> {
    let mut day = recurrence.start().date();
    let limit = plus(day, YEARS_MAX * 366)?;
    let mut left = count as usize;
    while let Some(found) = recurrence.next_day(day, limit) {
        let times = recurrence.on(found);
        if left <= times.len() {
            return times.get(left.checked_sub(1)?).copied();
        }
        left -= times.len();
        day = found.tomorrow().ok()?;
    }
    None
}

fn day_of(moment: &Moment) -> Option<Date> {
    match moment {
        Moment::Day(day) => Some(*day),
        _ => None,
    }
}

/// The instant of a time written in UTC.
pub(super) fn utc(time: DateTime) -> Option<i64> {
    let time = TimeZone::UTC.to_timestamp(time).ok()?;
    Some(time.as_second())
}

/// The instant of a wall-clock time; both, if it comes twice and `twice` is asked for.
fn instants(zone: &TimeZone, time: DateTime, twice: bool) -> impl Iterator<Item = i64> + use<> {
    let found = zone.to_ambiguous_timestamp(time);
    let fold = matches!(found.offset(), AmbiguousOffset::Fold { .. });
    let second = (twice && fold).then(|| found.later().ok()).flatten();
    let all = [found.compatible().ok(), second];
    all.into_iter().flatten().map(|time| time.as_second())
}

/// The instant at which a day begins as the clock in UTC shows it.
fn midnight(day: Date) -> i64 {
    utc(day.to_datetime(jiff::civil::Time::midnight())).unwrap_or(i64::MAX)
}

/// See [`Schedule::after`].
pub(super) struct Later<'s> {
    schedule: &'s Schedule,
    after: i64,
    pending: BTreeSet<i64>,
    /// The next day to look at, and the last.
    ahead: Option<(Date, Date)>,
}

impl Iterator for Later<'_> {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        loop {
            let first = self.pending.first().copied();
            let Some((day, limit)) = self.ahead else {
                return self.pending.pop_first();
            };
            // What the days not looked at yet can give is later.
            if first.is_some_and(|first| first < midnight(day) - OFFSET_MAX) {
                return self.pending.pop_first();
            }
            // With something in hand, no further than what could come before it.
            let near = first
                .and(plus(day, 4))
                .map_or(limit, |near| near.min(limit));
            let next = match self.schedule.next_day(day, near) {
                Some(found) => {
                    let starts = self.schedule.on(found);
                    self.pending
                        .extend(starts.into_iter().filter(|it| *it > self.after));
                    found
                }
                None => near,
            };
            self.ahead = next
                .tomorrow()
                .ok()
                .filter(|next| *next <= limit)
                .map(|next| (next, limit));
        }
    }
}

/// See [`Schedule::until`].
pub(super) struct Earlier<'s> {
    schedule: &'s Schedule,
    until: i64,
    pending: BTreeSet<i64>,
    ahead: Option<(Date, Date)>,
}

impl Iterator for Earlier<'_> {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        loop {
            let last = self.pending.last().copied();
            let Some((day, limit)) = self.ahead else {
                return self.pending.pop_last();
            };
            let latest = midnight(day).saturating_add(DAY + OFFSET_MAX + GAP_MAX);
            if last.is_some_and(|last| last > latest) {
                return self.pending.pop_last();
            }
            let near = last
                .and(plus(day, -4))
                .map_or(limit, |near| near.max(limit));
            let next = match self.schedule.previous_day(day, near) {
                Some(found) => {
                    let starts = self.schedule.on(found);
                    self.pending
                        .extend(starts.into_iter().filter(|it| *it <= self.until));
                    found
                }
                None => near,
            };
            self.ahead = next
                .yesterday()
                .ok()
                .filter(|next| *next >= limit)
                .map(|next| (next, limit));
        }
    }
}
