//! Times as people say them.

use stagegate_model::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The present instant, for showing distances only.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// `3 min ago`, `in 2 h`; the text itself when it is no time.
#[must_use]
pub fn distance(time: &str, now: Timestamp) -> String {
    let Ok(then) = time.parse::<Timestamp>() else {
        return time.to_owned();
    };
    let millis = now.millis_since(then);
    let length = length(millis.unsigned_abs() / 1000);
    if millis.unsigned_abs() < 1000 {
        return "now".to_owned();
    }
    if millis > 0 {
        format!("{length} ago")
    } else {
        format!("in {length}")
    }
}

/// `2026-11-21 08:01:09 UTC`; the text itself when it is no time.
#[must_use]
pub fn moment(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => {
            let text = time.to_string();
            let text = text.split('.').next().unwrap_or(&text);
            format!("{} UTC", text.trim_end_matches('Z').replacen('T', " ", 1))
        }
        Err(_) => time.to_owned(),
    }
}

/// The moment and how far away it is.
#[must_use]
pub fn both(time: &str, now: Timestamp) -> String {
    format!("{} ({})", moment(time), distance(time, now))
}

/// A length of time with one unit.
#[must_use]
pub fn length(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_and_moments() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (time, said) in [
            ("2026-11-21T11:59:30Z", "30 s ago"),
            ("2026-11-21T11:00:00Z", "60 min ago"),
            ("2026-11-21T15:00:00Z", "in 3 h"),
            ("2026-11-01T12:00:00Z", "20 d ago"),
            ("2026-11-21T12:00:00.500Z", "now"),
            ("soon", "soon"),
        ] {
            assert_eq!(distance(time, now), said);
        }
        assert_eq!(
            moment("2026-11-21T12:00:00.123Z"),
            "2026-11-21 12:00:00 UTC"
        );
    }
}
