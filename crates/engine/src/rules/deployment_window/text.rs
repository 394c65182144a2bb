//! The text of a calendar rule (RFC 5545, section 3.8.5) into its parts, or what is wrong in it and where.
//!
//! `DTSTART`, `RRULE`, `RDATE` and `EXDATE` may stand on lines of their own; a rule alone needs no `RRULE:`.

use jiff::civil::{Date, DateTime, Time, Weekday};
use stagegate_model::Rejection;
use std::collections::BTreeSet;

/// Bytes in the text, at most.
pub(super) const TEXT_BYTES_MAX: usize = 8 * 1024;
/// `RRULE`s in one text, at most.
pub(super) const RULES_MAX: usize = 8;
/// Dates under `RDATE` and `EXDATE` together, at most.
pub(super) const DATES_MAX: usize = 400;
/// The largest `COUNT`.
const COUNT_MAX: u32 = 10_000;
/// The largest `INTERVAL`.
const INTERVAL_MAX: u32 = 1_000;
/// Starting times that one rule may have on a day, at most: one every five minutes.
const TIMES_PER_DAY_MAX: usize = 288;

/// What the text says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Text {
    pub start: Option<Moment>,
    /// The zone that `DTSTART` names.
    pub zone: Option<String>,
    pub rules: Vec<Parts>,
    pub added: Vec<Moment>,
    pub excluded: Vec<Moment>,
}

/// A date or time as written; which instant it is depends on the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Day(Date),
    Local(DateTime),
    /// Written in UTC.
    Utc(DateTime),
}

/// How often a rule recurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frequency {
    Yearly,
    Monthly,
    Weekly,
    Daily,
    Hourly,
}

/// One `RRULE`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parts {
    pub frequency: Frequency,
    pub interval: u32,
    pub count: Option<u32>,
    pub until: Option<Moment>,
    pub months: Vec<i16>,
    pub week_numbers: Vec<i16>,
    pub year_days: Vec<i16>,
    pub month_days: Vec<i16>,
    /// Weekdays; the number is 0 for every one, else the n-th of the month or year, from the end when negative.
    pub weekdays: Vec<(i16, Weekday)>,
    pub hours: Vec<i16>,
    pub minutes: Vec<i16>,
    pub seconds: Vec<i16>,
    pub positions: Vec<i16>,
    pub week_start: Weekday,
}

/// A piece of the text and the character it starts at, from 1.
#[derive(Clone, Copy)]
struct Piece<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Piece<'t> {
    fn refuse(self, what: &str, hint: impl Into<String>) -> Rejection {
        let message = format!("`{}` at character {}: {what}", clip(self.text), self.at);
        refuse(message, hint)
    }

    /// The parts between separators, each with its own place.
    fn split(self, separator: char) -> impl Iterator<Item = Piece<'t>> {
        let mut at = self.at;
        self.text.split(separator).map(move |text| {
            let piece = Piece { text, at };
            at += text.chars().count() + 1;
            piece
        })
    }

    fn split_once(self, separator: char) -> Option<(Piece<'t>, Piece<'t>)> {
        let (before, after) = self.text.split_once(separator)?;
        let at = self.at + before.chars().count() + 1;
        let before = Piece {
            text: before,
            at: self.at,
        };
        Some((before, Piece { text: after, at }))
    }
}

fn clip(text: &str) -> String {
    let mut clipped: String = text.chars().take(60).collect();
    if clipped.len() < text.len() {
        clipped.push('…');
    }
    clipped
}

fn refuse(message: impl Into<String>, hint: impl Into<String>) -> Rejection {
    Rejection::invalid("invalid_rule", message)
        .at("rrule")
        .hint(hint)
}

/// Reads the whole text.
///
/// # Errors
/// The first thing that is wrong, with the piece of text, the character it starts at and how to mend it.
pub(super) fn parse(text: &str) -> Result<Text, Rejection> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("it has {} bytes; {TEXT_BYTES_MAX} are allowed", text.len());
        return Err(refuse(message, "make it two rules"));
    }
    let mut parsed = Text::default();
    for line in words(text) {
        read_line(line, &mut parsed)?;
        if parsed.rules.len() > RULES_MAX {
            let message = format!("there are more than {RULES_MAX} `RRULE`s");
            return Err(refuse(message, "make it two rules"));
        }
        if parsed.added.len() + parsed.excluded.len() > DATES_MAX {
            let message =
                format!("there are more than {DATES_MAX} dates under `RDATE` and `EXDATE`");
            return Err(refuse(
                message,
                "say it with an `RRULE`, or make it two rules",
            ));
        }
    }
    if parsed.rules.is_empty() {
        return Err(refuse(
            "there is no recurrence rule",
            "write for example `FREQ=WEEKLY;BYDAY=MO,TU;BYHOUR=9;BYMINUTE=0`",
        ));
    }
    Ok(parsed)
}

/// Nothing in the format contains blanks, so that every line is a word.
fn words(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut at = 1;
    text.split(char::is_whitespace)
        .map(move |text| {
            let piece = Piece { text, at };
            at += text.chars().count() + 1;
            piece
        })
        .filter(|piece| !piece.text.is_empty())
}

fn read_line(line: Piece<'_>, parsed: &mut Text) -> Result<(), Rejection> {
    let Some((head, value)) = line.split_once(':') else {
        parsed.rules.push(read_rule(line)?);
        return Ok(());
    };
    let mut parameters = head.split(';');
    let name = parameters.next().unwrap_or(head);
    let mut zone = None;
    for parameter in parameters {
        match parameter.split_once('=') {
            Some((key, value)) if key.text.eq_ignore_ascii_case("TZID") => zone = Some(value),
            Some((key, _)) if key.text.eq_ignore_ascii_case("VALUE") => {}
            _ => {
                return Err(
                    parameter.refuse("this parameter is not known", "`TZID=` and `VALUE=` are")
                );
            }
        }
    }
    let property = name.text.to_ascii_uppercase();
    if let (Some(zone), true) = (zone, property != "RRULE") {
        let named = zone.text.to_owned();
        if parsed.zone.as_ref().is_some_and(|known| *known != named) {
            return Err(zone.refuse(
                "one rule has one time zone",
                "give all times in the zone of the rule",
            ));
        }
        parsed.zone = Some(named);
    }
    match property.as_str() {
        "DTSTART" if parsed.start.is_some() => {
            return Err(line.refuse("there is a second `DTSTART`", "keep one of them"));
        }
        "DTSTART" => parsed.start = Some(moment(value)?),
        "RRULE" => parsed.rules.push(read_rule(value)?),
        "EXDATE" => {
            for date in value.split(',') {
                parsed.excluded.push(moment(date)?);
            }
        }
        "RDATE" => {
            for date in value.split(',') {
                let added = moment(date)?;
                if matches!(added, Moment::Day(_)) {
                    return Err(date.refuse(
                        "an added date needs a time",
                        "write it like `20260131T090000`",
                    ));
                }
                parsed.added.push(added);
            }
        }
        _ => {
            return Err(name.refuse(
                "this line is not known",
                "`DTSTART`, `RRULE`, `RDATE` and `EXDATE` are",
            ));
        }
    }
    Ok(())
}

/// `20260131`, `20260131T090000` or `20260131T090000Z`.
fn moment(piece: Piece<'_>) -> Result<Moment, Rejection> {
    read_moment(piece.text).ok_or_else(|| {
        piece.refuse(
            "this is no date or time",
            "write it like `20260131`, `20260131T090000` or `20260131T090000Z`",
        )
    })
}

fn read_moment(text: &str) -> Option<Moment> {
    let number = |from: usize, to: usize| -> Option<i16> {
        let digits = text.get(from..to)?;
        digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(())?;
        digits.parse().ok()
    };
    let small = |from, to| i8::try_from(number(from, to)?).ok();
    let date = Date::new(number(0, 4)?, small(4, 6)?, small(6, 8)?).ok()?;
    // Room on both sides for offsets and intervals.
    (1900..=9000).contains(&date.year()).then_some(())?;
    if text.len() == 8 {
        return Some(Moment::Day(date));
    }
    (text.get(8..9)? == "T").then_some(())?;
    let time = Time::new(small(9, 11)?, small(11, 13)?, small(13, 15)?, 0).ok()?;
    let local = date.to_datetime(time);
    match text.get(15..)? {
        "" => Some(Moment::Local(local)),
        "Z" => Some(Moment::Utc(local)),
        _ => None,
    }
}

fn read_rule(rule: Piece<'_>) -> Result<Parts, Rejection> {
    let mut frequency = None;
    let mut parts = Parts {
        frequency: Frequency::Daily,
        interval: 1,
        count: None,
        until: None,
        months: Vec::new(),
        week_numbers: Vec::new(),
        year_days: Vec::new(),
        month_days: Vec::new(),
        weekdays: Vec::new(),
        hours: Vec::new(),
        minutes: Vec::new(),
        seconds: Vec::new(),
        positions: Vec::new(),
        week_start: Weekday::Monday,
    };
    let mut seen = BTreeSet::new();
    let pieces = rule.split(';').filter(|piece| !piece.text.is_empty());
    for piece in pieces {
        let Some((key, value)) = piece.split_once('=') else {
            return Err(piece.refuse("this is no `NAME=VALUE`", "write for example `FREQ=DAILY`"));
        };
        let name = key.text.to_ascii_uppercase();
        match name.as_str() {
            "FREQ" => frequency = Some(read_frequency(value)?),
            "INTERVAL" => parts.interval = count(value, INTERVAL_MAX)?,
            "COUNT" => parts.count = Some(count(value, COUNT_MAX)?),
            "UNTIL" => parts.until = Some(moment(value)?),
            "BYMONTH" => parts.months = numbers(value, 1, 12, false)?,
            "BYWEEKNO" => parts.week_numbers = numbers(value, 1, 53, true)?,
            "BYYEARDAY" => parts.year_days = numbers(value, 1, 366, true)?,
            "BYMONTHDAY" => parts.month_days = numbers(value, 1, 31, true)?,
            "BYDAY" => parts.weekdays = weekdays(value)?,
            "BYHOUR" => parts.hours = numbers(value, 0, 23, false)?,
            "BYMINUTE" => parts.minutes = numbers(value, 0, 59, false)?,
            "BYSECOND" => parts.seconds = numbers(value, 0, 59, false)?,
            "BYSETPOS" => parts.positions = numbers(value, 1, 366, true)?,
            "WKST" => parts.week_start = weekday(value, value.text)?,
            _ => {
                return Err(key.refuse(
                    "this part is not known",
                    "the parts are FREQ, INTERVAL, COUNT, UNTIL, BYMONTH, BYWEEKNO, BYYEARDAY, BYMONTHDAY, \
                     BYDAY, BYHOUR, BYMINUTE, BYSECOND, BYSETPOS and WKST",
                ));
            }
        }
        if !seen.insert(name) {
            return Err(key.refuse(
                "this part stands twice",
                "put all values into one, with commas",
            ));
        }
    }
    let Some(frequency) = frequency else {
        return Err(rule.refuse(
            "`FREQ` is missing",
            "write `FREQ=DAILY`, `WEEKLY`, `MONTHLY`, `YEARLY` or `HOURLY` first",
        ));
    };
    parts.frequency = frequency;
    if parts.count.is_some() && parts.until.is_some() {
        return Err(rule.refuse("`COUNT` and `UNTIL` exclude each other", "keep one of them"));
    }
    check_combination(rule, &parts)?;
    Ok(parts)
}

/// What the table in section 3.3.10 does not allow, and what would be too much to look at.
fn check_combination(rule: Piece<'_>, parts: &Parts) -> Result<(), Rejection> {
    use Frequency::{Daily, Hourly, Monthly, Weekly, Yearly};
    let frequency = parts.frequency;
    let refuse = |what: &str, hint: &str| Err(rule.refuse(what, hint));
    if !parts.week_numbers.is_empty() && frequency != Yearly {
        return refuse(
            "`BYWEEKNO` goes with `FREQ=YEARLY` only",
            "use `FREQ=YEARLY`",
        );
    }
    if !parts.year_days.is_empty() && matches!(frequency, Daily | Weekly | Monthly) {
        return refuse(
            "`BYYEARDAY` goes with `FREQ=YEARLY` and `HOURLY` only",
            "use `FREQ=YEARLY`",
        );
    }
    if !parts.month_days.is_empty() && frequency == Weekly {
        return refuse(
            "`BYMONTHDAY` does not go with `FREQ=WEEKLY`",
            "use `FREQ=MONTHLY` with `BYMONTHDAY` and `BYDAY`",
        );
    }
    if parts.weekdays.iter().any(|(nth, _)| *nth != 0) {
        if !matches!(frequency, Monthly | Yearly) {
            return refuse(
                "a numbered weekday such as `-1FR` goes with `FREQ=MONTHLY` and `YEARLY` only",
                "use `FREQ=MONTHLY`",
            );
        }
        if !parts.week_numbers.is_empty() {
            return refuse(
                "a numbered weekday does not go with `BYWEEKNO`",
                "leave the number or `BYWEEKNO` out",
            );
        }
        let monthly = frequency == Monthly || !parts.months.is_empty();
        if monthly && parts.weekdays.iter().any(|(nth, _)| nth.abs() > 5) {
            return refuse(
                "a month has at most five of each weekday",
                "give a number from -5 to 5",
            );
        }
    }
    let by_something = !(parts.months.is_empty()
        && parts.week_numbers.is_empty()
        && parts.year_days.is_empty()
        && parts.month_days.is_empty()
        && parts.weekdays.is_empty()
        && parts.hours.is_empty()
        && parts.minutes.is_empty()
        && parts.seconds.is_empty());
    if !parts.positions.is_empty() && !by_something {
        return refuse(
            "`BYSETPOS` chooses among what another `BY…` part gives, and there is none",
            "add one, for example `BYDAY=MO,TU,WE,TH,FR`",
        );
    }
    let hours = match (frequency, parts.hours.len()) {
        (Hourly, 0) => 24,
        (_, hours) => hours.max(1),
    };
    let times = hours * parts.minutes.len().max(1) * parts.seconds.len().max(1);
    if times > TIMES_PER_DAY_MAX {
        let what = format!("it starts {times} times a day; {TIMES_PER_DAY_MAX} are allowed");
        return Err(rule.refuse(&what, "let it start less often and last longer"));
    }
    Ok(())
}

fn read_frequency(value: Piece<'_>) -> Result<Frequency, Rejection> {
    Ok(match value.text.to_ascii_uppercase().as_str() {
        "YEARLY" => Frequency::Yearly,
        "MONTHLY" => Frequency::Monthly,
        "WEEKLY" => Frequency::Weekly,
        "DAILY" => Frequency::Daily,
        "HOURLY" => Frequency::Hourly,
        "MINUTELY" | "SECONDLY" => {
            return Err(value.refuse(
                "a window cannot open this often",
                "use `FREQ=HOURLY` with `BYMINUTE=0,15,30,45`",
            ));
        }
        _ => {
            return Err(value.refuse(
                "this is no frequency",
                "`YEARLY`, `MONTHLY`, `WEEKLY`, `DAILY` and `HOURLY` are",
            ));
        }
    })
}

fn count(value: Piece<'_>, max: u32) -> Result<u32, Rejection> {
    let number = value.text.parse::<u32>().ok();
    number
        .filter(|number| (1..=max).contains(number))
        .ok_or_else(|| value.refuse(&format!("this is no number from 1 to {max}"), ""))
}

/// Sorted, each once.
fn numbers(value: Piece<'_>, min: i16, max: i16, negative: bool) -> Result<Vec<i16>, Rejection> {
    let mut numbers = BTreeSet::new();
    for piece in value.split(',') {
        let number = piece.text.parse::<i16>().ok();
        let fits = |number: &i16| {
            (min..=max).contains(number) || (negative && (-max..=-min).contains(number))
        };
        let Some(number) = number.filter(fits) else {
            let or = if negative {
                format!(" or from -{max} to -{min}")
            } else {
                String::new()
            };
            return Err(piece.refuse(&format!("this is no number from {min} to {max}{or}"), ""));
        };
        numbers.insert(number);
    }
    Ok(numbers.into_iter().collect())
}

fn weekdays(value: Piece<'_>) -> Result<Vec<(i16, Weekday)>, Rejection> {
    let mut weekdays = Vec::new();
    for piece in value.split(',') {
        let start = piece.text.len().saturating_sub(2);
        let (Some(number), Some(name)) = (piece.text.get(..start), piece.text.get(start..)) else {
            return Err(no_weekday(piece));
        };
        let day = weekday(piece, name)?;
        let nth = match number {
            "" => 0,
            number => number
                .parse::<i16>()
                .ok()
                .filter(|nth| *nth != 0 && nth.abs() <= 53)
                .ok_or_else(|| no_weekday(piece))?,
        };
        if !weekdays.contains(&(nth, day)) {
            weekdays.push((nth, day));
        }
    }
    Ok(weekdays)
}

fn weekday(piece: Piece<'_>, name: &str) -> Result<Weekday, Rejection> {
    Ok(match name.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return Err(no_weekday(piece)),
    })
}

fn no_weekday(piece: Piece<'_>) -> Rejection {
    piece.refuse(
        "this is no weekday",
        "the weekdays are MO, TU, WE, TH, FR, SA and SU; with a number, `-1FR` is the last Friday",
    )
}
