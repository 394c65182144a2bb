//! Windows against tables that were reckoned elsewhere, against a minute-by-minute oracle, and what is refused.

mod judging;
mod occurrences;
mod oracle;
mod refused;

use super::Window;
use serde_json::{Value, json};
use stagegate_model::{Rejection, Timestamp};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A window of a rule made on 2026-01-01 at 15:00 UTC.
fn try_window(spec: &Value) -> Result<Window, Rejection> {
    Window::new(spec, at("2026-01-01T15:00:00Z"))
}

fn window(rrule: &str, minutes: u32, zone: &str) -> Window {
    try_window(&json!({"rrule": rrule, "durationMinutes": minutes, "timezone": zone})).unwrap()
}

fn denying(rrule: &str, minutes: u32, zone: &str) -> Window {
    let spec = json!({
        "rrule": rrule, "durationMinutes": minutes, "timezone": zone, "allowWindow": false,
    });
    try_window(&spec).unwrap()
}
