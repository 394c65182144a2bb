use super::try_window;
use serde_json::{Value, json};

fn refusal(spec: &Value) -> String {
    let error = try_window(spec).unwrap_err();
    assert_eq!(error.code, "invalid_rule");
    format!("{}: {} | {}", error.field, error.message, error.hint)
}

fn of_rule(rrule: &str) -> String {
    refusal(&json!({"rrule": rrule, "durationMinutes": 60}))
}

fn said(refusal: &str, parts: &[&str]) {
    for part in parts {
        assert!(refusal.contains(part), "`{part}` is not in: {refusal}");
    }
}

#[test]
fn the_place_in_the_rule_is_named() {
    said(
        &of_rule(""),
        &["rrule: ", "no recurrence rule", "FREQ=WEEKLY"],
    );
    said(&of_rule("INTERVAL=2"), &["`FREQ` is missing"]);
    said(
        &of_rule("FREQ=DAILY;BYDAY=MO,XX"),
        &["`XX` at character 21", "weekday"],
    );
    said(&of_rule("FREQ=DAILY;BYDAY=0MO"), &["`0MO` at character 18"]);
    said(
        &of_rule("FREQ=DAYLY"),
        &["`DAYLY` at character 6", "`DAILY`"],
    );
    said(
        &of_rule("FREQ=DAILY;BYHOUR=24"),
        &["`24` at character 19", "from 0 to 23"],
    );
    said(
        &of_rule("FREQ=DAILY;BYEASTER=1"),
        &["`BYEASTER` at character 12"],
    );
    said(
        &of_rule("FREQ=DAILY;BYHOUR=1;BYHOUR=2"),
        &["`BYHOUR` at character 21", "twice"],
    );
    said(&of_rule("FREQ=DAILY;INTERVAL=0"), &["`0` at character 21"]);
    said(&of_rule("FREQ=DAILY;COUNT=10001"), &["from 1 to 10000"]);
    said(
        &of_rule("FREQ=DAILY;COUNT=1;UNTIL=20260101"),
        &["exclude each other"],
    );
    said(
        &of_rule("FREQ=DAILY;UNTIL=soon"),
        &["`soon` at character 18", "20260131T090000Z"],
    );
    said(&of_rule("FREQ=DAILY;UNTIL=20260230"), &["`20260230`"]);
    said(
        &of_rule("DTSTART:20260101\nEXRULE:FREQ=DAILY"),
        &["`EXRULE` at character 18"],
    );
    said(
        &of_rule("FREQ=DAILY;häh"),
        &["`häh` at character 12", "NAME=VALUE"],
    );
    said(&of_rule("FREQ=DAILY;BYDAY=€"), &["`€` at character 18"]);
}

#[test]
fn what_the_standard_does_not_allow_together_is_refused() {
    said(
        &of_rule("FREQ=MONTHLY;BYWEEKNO=3"),
        &["`BYWEEKNO`", "`FREQ=YEARLY` only"],
    );
    said(&of_rule("FREQ=DAILY;BYYEARDAY=3"), &["`BYYEARDAY`"]);
    said(&of_rule("FREQ=WEEKLY;BYMONTHDAY=3"), &["`BYMONTHDAY`"]);
    said(
        &of_rule("FREQ=WEEKLY;BYDAY=-1FR"),
        &["numbered weekday", "use `FREQ=MONTHLY`"],
    );
    said(&of_rule("FREQ=MONTHLY;BYDAY=6FR"), &["at most five"]);
    said(
        &of_rule("FREQ=YEARLY;BYWEEKNO=3;BYDAY=1FR"),
        &["does not go with `BYWEEKNO`"],
    );
    said(
        &of_rule("FREQ=DAILY;BYSETPOS=1"),
        &["`BYSETPOS` chooses among"],
    );
}

#[test]
fn what_would_be_too_much_is_refused() {
    said(
        &of_rule("FREQ=SECONDLY"),
        &["`SECONDLY` at character 6", "FREQ=HOURLY"],
    );
    said(&of_rule("FREQ=MINUTELY"), &["`MINUTELY`"]);
    said(
        &of_rule("FREQ=HOURLY;BYMINUTE=0,1,2,3,4,5,6,7,8,9,10,11,12"),
        &["312 times a day", "288"],
    );
    let dates = vec!["20260101T000000"; 401].join(",");
    said(
        &of_rule(&format!("FREQ=DAILY\nRDATE:{dates}")),
        &["more than 400 dates"],
    );
    said(&of_rule(&"FREQ=DAILY\n".repeat(9)), &["more than 8"]);
    said(&of_rule(&"X".repeat(9000)), &["8192"]);
}

#[test]
fn what_never_matches_is_refused() {
    for rule in [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=4;BYMONTHDAY=31",
        "FREQ=DAILY;BYDAY=MO;BYSETPOS=2",
        "FREQ=YEARLY;BYDAY=MO,TU;BYSETPOS=300",
        "DTSTART:20260101T000000 RRULE:FREQ=MONTHLY;INTERVAL=12;BYMONTH=3",
        "FREQ=DAILY;UNTIL=20251231",
        "DTSTART:20260101T000000 RRULE:FREQ=DAILY;COUNT=1 EXDATE:20260101T000000",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=5",
    ] {
        said(&of_rule(rule), &["rrule: it never matches"]);
    }
}

#[test]
fn what_never_closes_is_refused() {
    let refused = refusal(&json!({"rrule": "FREQ=DAILY", "durationMinutes": 1440}));
    said(&refused, &["durationMinutes: ", "Thu 2026-01-01 00:00 UTC"]);
    // With a change of the clock or a few days only, it does.
    let zone = json!({"rrule": "FREQ=DAILY", "durationMinutes": 1440, "timezone": "Europe/Berlin"});
    assert!(try_window(&zone).is_ok());
    let few = json!({"rrule": "FREQ=DAILY;COUNT=9", "durationMinutes": 1440});
    assert!(try_window(&few).is_ok());
}

#[test]
fn the_other_members_are_checked() {
    let with = |member: &str, value: Value| {
        let mut spec = json!({"rrule": "FREQ=DAILY", "durationMinutes": 60});
        spec[member] = value;
        refusal(&spec)
    };
    said(
        &with("durationMinutes", json!(0)),
        &["durationMinutes: ", "from 1 to 527040"],
    );
    said(&with("durationMinutes", json!(-5)), &["durationMinutes: "]);
    said(&with("durationMinutes", json!(527_041)), &["not 527041"]);
    said(
        &with("timezone", json!("Berlin")),
        &["timezone: ", "`Berlin`", "there is `Europe/Berlin`"],
    );
    said(
        &with("timezone", json!("Mars/Base")),
        &["`Mars/Base`", "America/New_York"],
    );
    said(&with("timezone", json!("")), &["timezone: "]);
    said(
        &with("timezone", json!("../../etc/passwd")),
        &["timezone: "],
    );
    said(
        &with("dtstart", json!("tomorrow")),
        &["dtstart: ", "`tomorrow`", "2026-01-31T09:00:00Z"],
    );
    said(
        &with("appliesTo", json!(["rollback"])),
        &["appliesTo: ", "`deploy`"],
    );
    said(&with("appliesTo", json!(["undeploy"])), &["appliesTo"]);
    said(
        &with("timeZone", json!("UTC")),
        &["unknown field `timeZone`"],
    );
    let both = json!({"rrule": "DTSTART:20260101 RRULE:FREQ=DAILY", "durationMinutes": 1, "dtstart": "2026-01-01"});
    said(&refusal(&both), &["dtstart: ", "DTSTART"]);
    let zones = json!({
        "rrule": "DTSTART;TZID=Asia/Tokyo:20260101T000000 RRULE:FREQ=DAILY", "durationMinutes": 1, "timezone": "UTC",
    });
    said(&refusal(&zones), &["timezone: ", "Asia/Tokyo"]);
}
