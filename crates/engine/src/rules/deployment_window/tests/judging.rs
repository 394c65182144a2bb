use super::super::{Question, Window, judge, opens_at};
use super::{at, denying, try_window, window};
use crate::rules::Verdict;
use serde_json::json;
use stagegate_model::Timestamp;

fn question(now: &str) -> Question {
    Question {
        now: at(now),
        version_created_at: at("2026-01-05T00:00:00Z"),
        first_release: false,
        rollback: false,
    }
}

/// `allow`, `wait` or `deny`, the code, and the next edge.
fn told(
    windows: &[&Window],
    question: &Question,
) -> Vec<(&'static str, &'static str, Option<Timestamp>)> {
    let verdicts = judge(windows, question);
    let told = verdicts.iter().map(|verdict| {
        let kind = match verdict {
            Verdict::Allow { .. } => "allow",
            Verdict::Wait { .. } => "wait",
            Verdict::Deny { .. } => "deny",
        };
        (kind, verdict.why().code, verdict.changes_at())
    });
    told.collect()
}

fn mornings() -> Window {
    window("FREQ=DAILY;BYHOUR=9", 120, "UTC")
}

fn evenings() -> Window {
    window("FREQ=DAILY;BYHOUR=18", 60, "UTC")
}

#[test]
fn a_window_opens_at_its_first_instant_and_is_shut_at_its_last() {
    let morning = mornings();
    let one = |now: &str| told(&[&morning], &question(now)).remove(0);
    let (nine, eleven) = (at("2026-01-05T09:00:00Z"), at("2026-01-05T11:00:00Z"));
    assert_eq!(
        one("2026-01-05T08:59:59.999Z"),
        ("wait", "window_closed", Some(nine))
    );
    assert_eq!(
        one("2026-01-05T09:00:00Z"),
        ("allow", "window_open", Some(eleven))
    );
    assert_eq!(
        one("2026-01-05T10:59:59.999Z"),
        ("allow", "window_open", Some(eleven))
    );
    let tomorrow = Some(at("2026-01-06T09:00:00Z"));
    assert_eq!(
        one("2026-01-05T11:00:00Z"),
        ("wait", "window_closed", tomorrow)
    );
}

#[test]
fn it_is_satisfied_since_it_opened_or_since_there_is_the_version() {
    let since = |window: &Window, created: &str| {
        let question = Question {
            version_created_at: at(created),
            ..question("2026-01-05T10:30:00Z")
        };
        match judge(&[window], &question).remove(0) {
            Verdict::Allow { satisfied_at, .. } => satisfied_at,
            other => panic!("{other:?}"),
        }
    };
    let morning = mornings();
    assert_eq!(
        since(&morning, "2026-01-05T00:00:00Z"),
        at("2026-01-05T09:00:00Z")
    );
    assert_eq!(
        since(&morning, "2026-01-05T10:00:00Z"),
        at("2026-01-05T10:00:00Z")
    );
    let early = denying("FREQ=DAILY;BYHOUR=6", 60, "UTC");
    assert_eq!(
        since(&early, "2026-01-05T00:00:00Z"),
        at("2026-01-05T07:00:00Z")
    );
    assert_eq!(
        since(&early, "2026-01-05T08:00:00Z"),
        at("2026-01-05T08:00:00Z")
    );
}

#[test]
fn of_several_that_allow_any_one_suffices_and_the_next_edge_of_any_is_told() {
    let (morning, evening) = (mornings(), evenings());
    let both = [&morning, &evening];
    let edge = |text: &str| Some(at(text));
    assert_eq!(
        told(&both, &question("2026-01-05T18:30:00Z")),
        [
            ("allow", "other_window_open", edge("2026-01-05T19:00:00Z")),
            ("allow", "window_open", edge("2026-01-05T19:00:00Z")),
        ]
    );
    let opens = edge("2026-01-05T18:00:00Z");
    assert_eq!(
        told(&both, &question("2026-01-05T12:00:00Z")),
        [
            ("wait", "window_closed", opens),
            ("wait", "window_closed", opens)
        ]
    );
    // The other one begins while this one is open: something changes, though nothing shuts.
    let noon = window("FREQ=DAILY;BYHOUR=10", 600, "UTC");
    let verdicts = told(&[&morning, &noon], &question("2026-01-05T09:30:00Z"));
    assert_eq!(
        verdicts[0],
        ("allow", "window_open", edge("2026-01-05T10:00:00Z"))
    );
}

#[test]
fn one_that_denies_beats_those_that_allow() {
    let (morning, lunch) = (mornings(), denying("FREQ=DAILY;BYHOUR=10", 30, "UTC"));
    let half_past = Some(at("2026-01-05T10:30:00Z"));
    assert_eq!(
        told(&[&morning, &lunch], &question("2026-01-05T10:10:00Z")),
        [
            ("allow", "window_open", Some(at("2026-01-05T11:00:00Z"))),
            ("wait", "window_denies", half_past),
        ]
    );
    assert_eq!(
        opens_at(&[&morning, &lunch], &question("2026-01-05T10:10:00Z")),
        half_past
    );
    // What ends a denial may be no opening.
    let long = denying("FREQ=DAILY;BYHOUR=8", 180, "UTC");
    let opening = opens_at(
        &[&morning, &evenings(), &long],
        &question("2026-01-05T08:00:00Z"),
    );
    assert_eq!(opening, Some(at("2026-01-05T18:00:00Z")));
    assert_eq!(
        opens_at(&[&morning, &long], &question("2026-01-05T08:00:00Z")),
        None
    );
    assert_eq!(
        opens_at(&[], &question("2026-01-05T08:00:00Z")),
        Some(at("2026-01-05T08:00:00Z"))
    );
}

#[test]
fn the_first_release_and_rollbacks_may_pass() {
    let spec = json!({
        "rrule": "FREQ=DAILY;BYHOUR=9", "durationMinutes": 60, "exemptFirstRelease": true,
        "appliesTo": ["deploy", "rollback"],
    });
    let (exempting, evening) = (try_window(&spec).unwrap(), evenings());
    let both = [&exempting, &evening];
    let usual = question("2026-01-05T12:00:00Z");
    let codes = |question: Question| -> Vec<_> {
        told(&both, &question)
            .into_iter()
            .map(|told| (told.0, told.1))
            .collect()
    };
    let first = Question {
        first_release: true,
        ..usual
    };
    assert_eq!(
        codes(first),
        [
            ("allow", "window_not_for_first_release"),
            ("wait", "window_closed")
        ]
    );
    let rollback = Question {
        rollback: true,
        ..usual
    };
    assert_eq!(
        codes(rollback),
        [
            ("wait", "window_closed"),
            ("allow", "window_not_for_rollbacks")
        ]
    );
    // A window that has no say opens nothing for others.
    let evening_only = Question {
        now: at("2026-01-05T18:10:00Z"),
        ..rollback
    };
    assert_eq!(codes(evening_only)[0], ("wait", "window_closed"));
}

#[test]
fn after_the_last_window_what_allows_is_shut_and_what_denies_is_open() {
    let rule = "DTSTART:20260105T090000 RRULE:FREQ=DAILY;COUNT=2";
    let (allow, deny) = (window(rule, 60, "UTC"), denying(rule, 60, "UTC"));
    let later = question("2026-02-01T00:00:00Z");
    assert_eq!(told(&[&allow], &later), [("deny", "window_ended", None)]);
    assert_eq!(told(&[&deny], &later), [("allow", "window_clear", None)]);
}

#[test]
fn messages_name_the_moment_by_the_clock_of_the_zone() {
    let window = window("FREQ=WEEKLY;BYDAY=MO;BYHOUR=9", 60, "Europe/Berlin");
    let verdict = judge(&[&window], &question("2026-07-01T00:00:00Z")).remove(0);
    assert_eq!(
        verdict.why().message,
        "outside of the window; it opens Mon 2026-07-06 09:00 Europe/Berlin"
    );
}
