//! Which days and which times of day one `RRULE` takes, by the wall clock alone.
//!
//! A day is taken or not by looking at it, and never by walking there from the start: what lies between the start
//! and the day asked about costs nothing. Only `BYSETPOS` looks at the other days of its period, 366 at most.

use super::text::{Frequency, Parts};
use jiff::civil::{Date, DateTime, Time, Weekday};
use std::collections::BTreeSet;

/// One rule with what it takes from its start filled in.
#[derive(Clone, Debug)]
pub(super) struct Recurrence {
    parts: Parts,
    start: DateTime,
    /// Times of a day, sorted; for hourly rules of one hour, as minutes and seconds.
    times: Vec<Time>,
    /// The last wall-clock time, from `COUNT`, or `UNTIL` when that is no instant.
    pub last: Option<DateTime>,
}

impl Recurrence {
    /// Fills in what the rule leaves to its start (section 3.3.10: "derived from DTSTART").
    pub fn new(mut parts: Parts, start: DateTime) -> Self {
        let no_day = parts.week_numbers.is_empty()
            && parts.year_days.is_empty()
            && parts.month_days.is_empty()
            && parts.weekdays.is_empty();
        match parts.frequency {
            Frequency::Yearly if no_day => {
                if parts.months.is_empty() {
                    parts.months.push(i16::from(start.month()));
                }
                parts.month_days.push(i16::from(start.day()));
            }
            Frequency::Yearly
                if parts.year_days.is_empty()
                    && parts.month_days.is_empty()
                    && parts.weekdays.is_empty() =>
            {
                parts.weekdays.push((0, start.weekday()));
            }
            Frequency::Monthly if no_day => parts.month_days.push(i16::from(start.day())),
            Frequency::Weekly if no_day => parts.weekdays.push((0, start.weekday())),
            _ => {}
        }
        let or = |given: &[i16], start: i8| {
            if given.is_empty() {
                vec![start]
            } else {
                given
                    .iter()
                    .filter_map(|it| i8::try_from(*it).ok())
                    .collect()
            }
        };
        let hours = match parts.frequency {
            Frequency::Hourly => vec![0],
            _ => or(&parts.hours, start.hour()),
        };
        let minutes = or(&parts.minutes, start.minute());
        let seconds = or(&parts.seconds, start.second());
        let mut times = Vec::new();
        for hour in hours {
            for minute in &minutes {
                times.extend(
                    seconds
                        .iter()
                        .filter_map(|second| Time::new(hour, *minute, *second, 0).ok()),
                );
            }
        }
        Self {
            parts,
            start,
            times,
            last: None,
        }
    }

    /// Whether an hour that the clock shows twice counts twice.
    pub fn hourly(&self) -> bool {
        self.parts.frequency == Frequency::Hourly
    }

    pub fn start(&self) -> DateTime {
        self.start
    }

    /// The first day from `from` to `to` that may have an occurrence.
    pub fn next_day(&self, from: Date, to: Date) -> Option<Date> {
        let to = self.last.map_or(to, |last| to.min(last.date()));
        let mut day = from.max(self.start.date());
        while day <= to {
            day = if !self.in_month(day) {
                day.last_of_month().tomorrow().ok()?
            } else if !self.in_phase(day) {
                self.last_of_period(day)?.tomorrow().ok()?
            } else if self.chooses() {
                match self.chosen_days(day).into_iter().find(|it| *it >= day) {
                    Some(found) => return (found <= to).then_some(found),
                    None => self.last_of_period(day)?.tomorrow().ok()?,
                }
            } else if self.takes(day) {
                return Some(day);
            } else {
                day.tomorrow().ok()?
            };
        }
        None
    }

    /// The last day from `to` back to `from` that may have an occurrence.
    pub fn previous_day(&self, to: Date, from: Date) -> Option<Date> {
        let from = from.max(self.start.date());
        let mut day = self.last.map_or(to, |last| to.min(last.date()));
        while day >= from {
            day = if !self.in_month(day) {
                day.first_of_month().yesterday().ok()?
            } else if !self.in_phase(day) {
                self.first_of_period(day)?.yesterday().ok()?
            } else if self.chooses() {
                match self.chosen_days(day).into_iter().rfind(|it| *it <= day) {
                    Some(found) => return (found >= from).then_some(found),
                    None => self.first_of_period(day)?.yesterday().ok()?,
                }
            } else if self.takes(day) {
                return Some(day);
            } else {
                day.yesterday().ok()?
            };
        }
        None
    }

    /// The wall-clock times of a day that [`Self::next_day`] or [`Self::previous_day`] gave, in order.
    pub fn on(&self, day: Date) -> Vec<DateTime> {
        let mut found: Vec<DateTime> = Vec::new();
        if self.hourly() {
            let interval = i64::from(self.parts.interval);
            let first = days(self.start.date()) * 24 + i64::from(self.start.hour());
            for hour in 0..24_i8 {
                let apart = days(day) * 24 + i64::from(hour) - first;
                let given = self.parts.hours.is_empty() || self.parts.hours.contains(&hour.into());
                if !given || apart.rem_euclid(interval) != 0 {
                    continue;
                }
                let chosen = self.chosen(0, 1);
                let times = chosen.into_iter().filter_map(|index| self.times.get(index));
                let times =
                    times.filter_map(|it| Time::new(hour, it.minute(), it.second(), 0).ok());
                found.extend(times.map(|time| day.to_datetime(time)));
            }
        } else {
            let (before, all) = if self.parts.positions.is_empty() {
                (0, 1)
            } else {
                let taken = self.days_of_period(day);
                (
                    taken.iter().filter(|other| **other < day).count(),
                    taken.len(),
                )
            };
            let chosen = self.chosen(before, all);
            let times = chosen.into_iter().filter_map(|index| self.times.get(index));
            found.extend(times.map(|time| day.to_datetime(*time)));
        }
        found.retain(|time| *time >= self.start && self.last.is_none_or(|last| *time <= last));
        found
    }

    /// Which of a day's times `BYSETPOS` leaves, when `before` of the period's `all` days come before the day.
    fn chosen(&self, before: usize, all: usize) -> Vec<usize> {
        let times = self.times.len();
        if self.parts.positions.is_empty() {
            return (0..times).collect();
        }
        let chosen = self.positions(all).into_iter();
        let here = chosen.filter_map(|index| index.checked_sub(before * times));
        here.filter(|index| *index < times).collect()
    }

    /// What `BYSETPOS` chooses of a period of which `all` days are taken, in order. The period's set is days times
    /// times of day, so that a position needs no list.
    fn positions(&self, all: usize) -> BTreeSet<usize> {
        let size = all * self.times.len();
        let chosen = self.parts.positions.iter().filter_map(|position| {
            let place = usize::from(position.unsigned_abs());
            if *position > 0 {
                Some(place - 1)
            } else {
                size.checked_sub(place)
            }
        });
        chosen.filter(|index| *index < size).collect()
    }

    /// The days of the day's period that the rule takes, before `BYSETPOS` chooses.
    fn days_of_period(&self, day: Date) -> Vec<Date> {
        let mut taken = Vec::new();
        let last = self.last_of_period(day);
        let mut next = self.first_of_period(day);
        while let Some(other) = next.filter(|other| Some(*other) <= last) {
            if self.takes(other) {
                taken.push(other);
            }
            next = other.tomorrow().ok();
        }
        taken
    }

    /// The days of the day's period on which `BYSETPOS` leaves something, in order.
    fn chosen_days(&self, day: Date) -> Vec<Date> {
        let taken = self.days_of_period(day);
        let chosen = self.positions(taken.len()).into_iter();
        let mut days: Vec<Date> = chosen
            .filter_map(|index| taken.get(index.checked_div(self.times.len())?).copied())
            .collect();
        days.dedup();
        days
    }

    /// Whether whole periods must be looked at. The period of an hourly rule is an hour.
    fn chooses(&self) -> bool {
        !self.parts.positions.is_empty() && !self.hourly()
    }

    fn in_month(&self, day: Date) -> bool {
        self.parts.months.is_empty() || self.parts.months.contains(&day.month().into())
    }

    /// Whether `INTERVAL` reaches the day's period. Hours are looked at one by one in [`Self::on`].
    fn in_phase(&self, day: Date) -> bool {
        if self.parts.interval == 1 || self.hourly() {
            return true;
        }
        let apart = self.period(day) - self.period(self.start.date());
        apart.rem_euclid(i64::from(self.parts.interval)) == 0
    }

    fn period(&self, day: Date) -> i64 {
        match self.parts.frequency {
            Frequency::Yearly => day.year().into(),
            Frequency::Monthly => i64::from(day.year()) * 12 + i64::from(day.month()),
            Frequency::Weekly => (days(day) - self.days_into_week(day)).div_euclid(7),
            Frequency::Daily | Frequency::Hourly => days(day),
        }
    }

    fn first_of_period(&self, day: Date) -> Option<Date> {
        match self.parts.frequency {
            Frequency::Yearly => Some(day.first_of_year()),
            Frequency::Monthly => Some(day.first_of_month()),
            Frequency::Weekly => plus(day, -self.days_into_week(day)),
            Frequency::Daily | Frequency::Hourly => Some(day),
        }
    }

    fn last_of_period(&self, day: Date) -> Option<Date> {
        match self.parts.frequency {
            Frequency::Yearly => Some(day.last_of_year()),
            Frequency::Monthly => Some(day.last_of_month()),
            Frequency::Weekly => plus(day, 6 - self.days_into_week(day)),
            Frequency::Daily | Frequency::Hourly => Some(day),
        }
    }

    /// Days since the week began.
    fn days_into_week(&self, day: Date) -> i64 {
        i64::from(day.weekday().since(self.parts.week_start))
    }

    /// Whether every `BY…` part that is about days takes the day.
    fn takes(&self, day: Date) -> bool {
        let parts = &self.parts;
        let counted = |given: &[i16], from_start: i16, all: i16| {
            given.is_empty()
                || given.contains(&from_start)
                || given.contains(&(from_start - all - 1))
        };
        self.in_month(day)
            && counted(
                &parts.month_days,
                day.day().into(),
                day.days_in_month().into(),
            )
            && (parts.year_days.is_empty()
                || counted(&parts.year_days, day.day_of_year(), day.days_in_year()))
            && self.takes_weekday(day)
            && (parts.week_numbers.is_empty() || {
                let (number, weeks) = self.week_number(day);
                counted(&parts.week_numbers, number, weeks)
            })
    }

    fn takes_weekday(&self, day: Date) -> bool {
        if self.parts.weekdays.is_empty() {
            return true;
        }
        let weekday = day.weekday();
        let monthly = self.parts.frequency == Frequency::Monthly || !self.parts.months.is_empty();
        let (into, all) = if monthly {
            (i16::from(day.day()), i16::from(day.days_in_month()))
        } else {
            (day.day_of_year(), day.days_in_year())
        };
        let (nth, from_end) = ((into - 1) / 7 + 1, -((all - into) / 7 + 1));
        let mut given = self.parts.weekdays.iter();
        given.any(|(number, name)| {
            *name == weekday && (*number == 0 || *number == nth || *number == from_end)
        })
    }

    /// The number of the day's week, and how many weeks that week's year has. A week belongs to the year in which
    /// it has four days or more, whichever weekday it begins with.
    fn week_number(&self, day: Date) -> (i16, i16) {
        let number = |day: Date| {
            let middle = plus(day, 3 - self.days_into_week(day)).unwrap_or(day);
            ((middle.day_of_year() - 1) / 7 + 1, middle.year())
        };
        let (week, year) = number(day);
        // 28 December is always in the last week.
        let last = Date::new(year, 12, 28).map_or(52, |day| number(day).0);
        (week, last)
    }
}

/// Days since the first of January of the year 1.
fn days(day: Date) -> i64 {
    let years = i64::from(day.year()) - 1;
    let leap_days = years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400);
    years * 365 + leap_days + i64::from(day.day_of_year()) - 1
}

/// `None` beyond what the calendar reaches.
pub(super) fn plus(day: Date, days: i64) -> Option<Date> {
    day.checked_add(jiff::SignedDuration::from_hours(days.checked_mul(24)?))
        .ok()
}

/// The name in messages.
pub(super) fn short(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    }
}
