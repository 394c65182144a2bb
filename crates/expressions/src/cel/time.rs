//! `timestamp(…)` and `duration(…)`.

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// An instant of the years 1 to 9999, as the time since 1970-01-01T00:00:00Z.
///
/// The date library's own type ends a day early, and `9999-12-31T23:59:59Z` is
/// what people write for "never".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(SignedDuration);

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

impl Moment {
    fn new(since_epoch: SignedDuration) -> Option<Self> {
        // 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999…Z.
        let first = SignedDuration::from_secs(-62_135_596_800);
        let end = SignedDuration::from_secs(253_402_300_800);
        (first <= since_epoch && since_epoch < end).then_some(Self(since_epoch))
    }

    pub(super) fn from_millis(millis: i64) -> Option<Self> {
        Self::new(SignedDuration::from_millis(millis))
    }

    pub(super) fn from_seconds(seconds: i64) -> Option<Self> {
        Self::new(SignedDuration::from_secs(seconds))
    }

    pub(super) fn plus(self, duration: SignedDuration) -> Option<Self> {
        self.0.checked_add(duration).and_then(Self::new)
    }

    pub(super) fn minus(self, duration: SignedDuration) -> Option<Self> {
        self.0.checked_sub(duration).and_then(Self::new)
    }

    pub(super) fn since(self, earlier: Moment) -> Option<SignedDuration> {
        self.0.checked_sub(earlier.0)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match EPOCH.checked_add(self.0) {
            Ok(civil) => write!(f, "{civil}Z"),
            Err(_) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

/// An instant from its RFC 3339 spelling.
pub(super) fn timestamp(text: &str) -> Result<Moment, String> {
    rfc3339(text)
        .and_then(Moment::new)
        .ok_or_else(|| format!("`{text}` is no timestamp; write it like `2026-01-31T12:00:00Z`"))
}

fn rfc3339(text: &str) -> Option<SignedDuration> {
    // The date library takes more spellings than RFC 3339 has.
    let bytes = text.as_bytes();
    let digits_and_marks = bytes
        .iter()
        .all(|byte| byte.is_ascii_digit() || b"-+:.TtZz".contains(byte));
    let marked = |at: usize, mark: u8| bytes.get(at) == Some(&mark);
    let shaped = marked(4, b'-')
        && marked(7, b'-')
        && (marked(10, b'T') || marked(10, b't'))
        && marked(13, b':')
        && marked(16, b':');
    if !digits_and_marks || !shaped || bytes.len() > 40 {
        return None;
    }
    let (civil, offset) = match text.strip_suffix(['Z', 'z']) {
        Some(civil) => (civil, 0),
        None => {
            let (civil, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
            let sign = match offset.as_bytes() {
                [b'+', _, _, b':', _, _] => 1,
                [b'-', _, _, b':', _, _] => -1,
                _ => return None,
            };
            let hours: i64 = offset.get(1..3)?.parse().ok()?;
            let minutes: i64 = offset.get(4..6)?.parse().ok()?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            (civil, sign * (hours * 3_600 + minutes * 60))
        }
    };
    let civil: DateTime = civil.parse().ok()?;
    civil
        .duration_since(EPOCH)
        .checked_sub(SignedDuration::from_secs(offset))
}

/// A duration from its spelling: `1h30m`, `90s`, `1.5h`, `-10ms`, `0`. Units: `h m s ms us µs ns`.
pub(super) fn duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("`{text}` is no duration; write it like `1h30m`, `90s` or `500ms`");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut nanos: i128 = 0;
    if rest == "0" {
        rest = "";
    }
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit_nanos: i128 = match unit {
            "h" => 3_600 * NANOS_PER_SECOND,
            "m" => 60 * NANOS_PER_SECOND,
            "s" => NANOS_PER_SECOND,
            "ms" => 1_000_000,
            "us" | "µs" | "μs" => 1_000,
            "ns" => 1,
            _ => return Err(wrong()),
        };
        nanos = scaled(number, unit_nanos)
            .and_then(|part| nanos.checked_add(part))
            .ok_or_else(wrong)?;
        rest = tail;
    }
    if negative {
        nanos = -nanos;
    }
    // The range of a 64-bit count of nanoseconds, about 292 years either way.
    let nanos = i64::try_from(nanos).map_err(|_| wrong())?;
    Ok(SignedDuration::from_nanos(nanos))
}

/// A decimal number times a unit, exactly, cut below the nanosecond.
fn scaled(number: &str, unit_nanos: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let mut nanos = if whole.is_empty() {
        0
    } else {
        whole.parse::<i128>().ok()?.checked_mul(unit_nanos)?
    };
    let mut place = unit_nanos;
    for digit in fraction.bytes() {
        nanos = nanos.checked_add(place * i128::from(digit - b'0') / 10)?;
        // What is left is less than a nanosecond.
        if place % 10 != 0 {
            break;
        }
        place /= 10;
    }
    Some(nanos)
}

/// A duration as CEL spells it: seconds and a trimmed fraction, `5400s`, `0.5s`.
pub(super) fn duration_text(duration: SignedDuration) -> String {
    let nanos = duration.as_nanos();
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let (seconds, below) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    if below == 0 {
        format!("{sign}{seconds}s")
    } else {
        let fraction = format!("{below:09}");
        format!("{sign}{seconds}.{}s", fraction.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> i128 {
        duration(text).unwrap().as_nanos()
    }

    #[test]
    fn durations_add_their_parts() {
        assert_eq!(nanos("1h30m"), 5_400 * NANOS_PER_SECOND);
        assert_eq!(nanos("1.5h"), 5_400 * NANOS_PER_SECOND);
        assert_eq!(nanos("-10ms"), -10_000_000);
        assert_eq!(nanos("1s500ms"), 1_500_000_000);
        assert_eq!(nanos("1.5us"), 1_500);
        assert_eq!(nanos("1.5ns"), 1);
        assert_eq!(nanos("0"), 0);
        assert_eq!(nanos("0.25s"), 250_000_000);
        assert_eq!(nanos(".5m"), 30 * NANOS_PER_SECOND);
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in [
            "",
            "-",
            "1",
            "h",
            "1d",
            "1 h",
            "1h-1m",
            "1..5s",
            "1é",
            "99999999999h",
            ".",
        ] {
            assert!(duration(text).unwrap_err().contains("1h30m"), "{text}");
        }
        assert!(duration(&"9".repeat(4000)).is_err());
    }

    #[test]
    fn durations_are_spelled_in_seconds() {
        assert_eq!(duration_text(duration("1h30m").unwrap()), "5400s");
        assert_eq!(duration_text(duration("-500ms").unwrap()), "-0.5s");
    }

    #[test]
    fn timestamps_are_rfc_3339_with_any_offset() {
        let utc = timestamp("2026-01-31T12:00:00Z").unwrap();
        assert_eq!(timestamp("2026-01-31T13:00:00+01:00").unwrap(), utc);
        assert_eq!(timestamp("2026-01-31T12:00:00.000Z").unwrap(), utc);
        assert_eq!(utc.to_string(), "2026-01-31T12:00:00Z");
        let never = timestamp("9999-12-31T23:59:59Z").unwrap();
        assert_eq!(never.to_string(), "9999-12-31T23:59:59Z");
        assert!(never.plus(duration("1s").unwrap()).is_none());
        assert!(timestamp("9999-12-31T23:59:59-00:01").is_err());
        assert_eq!(
            timestamp("0001-01-01T00:00:00.5Z").unwrap().to_string(),
            "0001-01-01T00:00:00.5Z"
        );
        for text in [
            "",
            "0000-12-31T23:59:59Z",
            "2026-01-31T12:00:00+24:00",
            "2026-01-31T12:00:00+1:00",
            "2026-01-31T12:00Z",
            "2026-01-31",
            "2026-01-31 12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-13-31T12:00:00Z",
            "2026-01-31T12:00:00+01:00[Europe/Paris]",
            "yesterday at the café, sometime",
        ] {
            assert!(timestamp(text).is_err(), "{text}");
        }
    }
}
