use super::super::schedule::{Schedule, utc};
use super::super::text;
use super::{at, try_window, window};
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::json;

fn schedule(rule: &str, start: &str, zone: TimeZone) -> Schedule {
    Schedule::new(&text::parse(rule).unwrap(), start.parse().unwrap(), zone)
}

fn seconds(times: &str) -> Vec<i64> {
    let times = times
        .split_whitespace()
        .map(|time| time.trim_end_matches('Z'));
    times
        .map(|time| utc(time.parse::<DateTime>().unwrap()).unwrap())
        .collect()
}

/// Looked at forwards from `from`, and backwards from the last.
fn compare(line: &str, schedule: &Schedule, from: &str, expected: &str) {
    let (from, expected) = (seconds(from)[0], seconds(expected));
    let later: Vec<i64> = schedule.after(from - 1).take(expected.len()).collect();
    assert_eq!(later, expected, "{line}");
    let last = *expected.last().unwrap();
    let mut earlier: Vec<i64> = schedule
        .until(last)
        .take_while(|instant| *instant >= from)
        .collect();
    earlier.reverse();
    assert_eq!(earlier, expected, "backwards: {line}");
}

fn lines(table: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| (line, line.split('|').collect()))
}

#[test]
fn every_combination_of_parts_gives_the_dates_of_the_table() {
    let mut looked_at = 0;
    for (line, fields) in lines(include_str!("wall_clock.txt")) {
        let schedule = schedule(fields[1], fields[0], TimeZone::UTC);
        compare(line, &schedule, fields[2], fields[3]);
        looked_at += 1;
    }
    assert!(looked_at > 100);
}

#[test]
fn wall_clock_times_hold_over_changes_of_the_clock() {
    let mut looked_at = 0;
    for (line, fields) in lines(include_str!("zones.txt")) {
        let zone = TimeZoneDatabase::bundled().get(fields[0]).unwrap();
        let schedule = schedule(fields[2], fields[1], zone);
        compare(line, &schedule, fields[3], fields[4]);
        looked_at += 1;
    }
    assert!(looked_at > 10);
}

fn first(rule: &str, zone: &str, count: usize) -> Vec<String> {
    let window = window(rule, 30, zone);
    let starts = window.schedule.after(0).take(count);
    starts
        .map(|it| {
            super::super::from_seconds(it)
                .to_string()
                .replace(":00.000Z", "Z")
        })
        .collect()
}

#[test]
fn an_hourly_rule_takes_every_hour_that_the_clock_shows() {
    // 02:00 is skipped; 03:00 is there once.
    assert_eq!(
        first(
            "DTSTART:20260308T000000\nRRULE:FREQ=HOURLY",
            "America/New_York",
            4
        ),
        [
            "2026-03-08T05:00Z",
            "2026-03-08T06:00Z",
            "2026-03-08T07:00Z",
            "2026-03-08T08:00Z"
        ]
    );
    // 01:00 is there twice.
    assert_eq!(
        first(
            "DTSTART:20261101T000000\nRRULE:FREQ=HOURLY",
            "America/New_York",
            4
        ),
        [
            "2026-11-01T04:00Z",
            "2026-11-01T05:00Z",
            "2026-11-01T06:00Z",
            "2026-11-01T07:00Z"
        ]
    );
    // Lord Howe turns back by half an hour: 01:45 twice, half an hour apart.
    assert_eq!(
        first(
            "DTSTART:20260405T004500\nRRULE:FREQ=HOURLY",
            "Australia/Lord_Howe",
            4
        ),
        [
            "2026-04-04T13:45Z",
            "2026-04-04T14:45Z",
            "2026-04-04T15:15Z",
            "2026-04-04T16:15Z"
        ]
    );
}

#[test]
fn dates_are_added_and_taken_out() {
    let rule = "DTSTART:20260105T090000\nRRULE:FREQ=WEEKLY\nEXDATE:20260112T090000\n\
                EXDATE;VALUE=DATE:20260119\nRDATE:20260107T100000,20260126T090000";
    assert_eq!(
        first(rule, "Asia/Kolkata", 4),
        [
            "2026-01-05T03:30Z",
            "2026-01-07T04:30Z",
            "2026-01-26T03:30Z",
            "2026-02-02T03:30Z"
        ]
    );
    // Taken out beats added.
    let rule = "DTSTART:20260105T090000Z RRULE:FREQ=DAILY;COUNT=1 RDATE:20260107T100000Z EXDATE:20260107T100000Z";
    assert_eq!(first(rule, "UTC", 9), ["2026-01-05T09:00Z"]);
}

#[test]
fn several_rules_are_one_calendar() {
    let rule =
        "DTSTART:20260105T090000\nRRULE:FREQ=WEEKLY;BYDAY=MO\nRRULE:FREQ=WEEKLY;BYDAY=WE;BYHOUR=11";
    assert_eq!(
        first(rule, "UTC", 3),
        [
            "2026-01-05T09:00Z",
            "2026-01-07T11:00Z",
            "2026-01-12T09:00Z"
        ]
    );
}

#[test]
fn until_is_a_day_a_time_of_the_zone_or_an_instant() {
    let count = |until: &str| {
        let rule = format!("DTSTART:20260105T090000\nRRULE:FREQ=DAILY;UNTIL={until}");
        first(&rule, "America/New_York", 99).len()
    };
    assert_eq!(count("20260107"), 3, "the whole day");
    assert_eq!(count("20260107T090000"), 3, "that moment included");
    assert_eq!(count("20260107T085959"), 2);
    // 09:00 in New York is 14:00 UTC in January.
    assert_eq!(count("20260107T140000Z"), 3);
    assert_eq!(count("20260107T135959Z"), 2);
}

#[test]
fn count_counts_from_the_start_and_counts_what_is_taken_out() {
    let rule = "DTSTART:20260105T090000\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20260106T090000";
    assert_eq!(
        first(rule, "UTC", 99),
        ["2026-01-05T09:00Z", "2026-01-07T09:00Z"]
    );
}

#[test]
fn it_begins_at_midnight_of_the_day_the_rule_was_made_in_its_zone() {
    // Made on 1 January at 15:00 UTC: in Auckland it is the 2nd.
    assert_eq!(
        first("FREQ=DAILY", "Pacific/Auckland", 1),
        ["2026-01-01T11:00Z"]
    );
    assert_eq!(first("FREQ=DAILY", "UTC", 1), ["2026-01-01T00:00Z"]);
    let begin = |dtstart: &str| {
        let spec = json!({
            "rrule": "FREQ=DAILY", "durationMinutes": 1, "timezone": "Europe/Berlin", "dtstart": dtstart,
        });
        let window = try_window(&spec).unwrap();
        super::super::from_seconds(window.schedule.after(0).next().unwrap())
    };
    assert_eq!(begin("2026-01-31"), at("2026-01-30T23:00:00Z"));
    assert_eq!(begin("2026-01-31T09:00:00"), at("2026-01-31T08:00:00Z"));
    assert_eq!(begin("2026-01-31T09:00:00Z"), at("2026-01-31T09:00:00Z"));
    assert_eq!(
        begin("2026-01-31T09:00:00-05:00"),
        at("2026-01-31T14:00:00Z")
    );
}

#[test]
fn a_zone_in_the_rule_is_the_zone_of_the_rule() {
    let spec = json!({
        "rrule": "DTSTART;TZID=America/New_York:20260105T090000\nRRULE:FREQ=DAILY", "durationMinutes": 1,
    });
    let window = try_window(&spec).unwrap();
    let first = window
        .schedule
        .after(0)
        .next()
        .map(super::super::from_seconds);
    assert_eq!(first, Some(at("2026-01-05T14:00:00Z")));
}

#[test]
fn sparse_rules_are_found_from_far_away() {
    // 2100 is no leap year.
    let window = window("DTSTART:20240229T000000\nRRULE:FREQ=YEARLY", 60, "UTC");
    let state = window.state(at("2096-03-01T00:00:00Z"));
    assert_eq!(state.until, Some(at("2104-02-29T00:00:00Z")));
    assert_eq!(state.since, Some(at("2096-02-29T01:00:00Z")));
}

#[test]
fn stretches_are_cut_where_there_is_a_gap() {
    let window = window("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", 1440, "UTC");
    assert_eq!(
        window.spans(at("2026-01-07T12:00:00Z"), at("2026-01-14T00:00:00Z"), 9),
        [
            (at("2026-01-05T00:00:00Z"), at("2026-01-10T00:00:00Z")),
            (at("2026-01-12T00:00:00Z"), at("2026-01-17T00:00:00Z")),
        ]
    );
    // On the longest day of the year a day of 1,440 minutes ends an hour early.
    let window = super::window("FREQ=DAILY", 1440, "Europe/Berlin");
    let state = window.state(at("2026-10-25T22:30:00Z"));
    assert!(!state.inside);
    assert_eq!(state.until, Some(at("2026-10-25T23:00:00Z")));
}
