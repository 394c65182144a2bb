//! Durations as Go writes them: `500ms`, `30s`, `1m30s`, `1.5h`.

use std::time::Duration;

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses a duration: one or more numbers, each with a unit of `ns us ms s m h`.
///
/// # Errors
/// A sentence that says what is wrong, with the text in backticks.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refuse = |what: &str| {
        format!("`{text}` is not a duration: {what}; write it like `500ms`, `30s` or `1m30s`")
    };
    if text.is_empty() {
        return Err(refuse("it is empty"));
    }
    let mut nanoseconds = 0_f64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let number: f64 = number
            .parse()
            .map_err(|_| refuse("a number was expected"))?;
        let (_, scale) =
            UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(|| match unit {
                    "" => refuse("a unit is missing"),
                    unit => refuse(&format!("`{unit}` is no unit")),
                })?;
        #[expect(clippy::cast_precision_loss, reason = "at most 3.6e12, exact in f64")]
        let scale = *scale as f64;
        nanoseconds += number * scale;
        rest = next;
    }
    Duration::try_from_secs_f64(nanoseconds / 1e9).map_err(|_| refuse("it is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_writes() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("0s", 0),
            ("2500us", 2),
        ] {
            let parsed = parse(text).unwrap().as_millis();
            assert_eq!(parsed, milliseconds, "{text}");
        }
    }

    #[test]
    fn refuses_with_the_text_and_a_hint() {
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1 s",
            "1d",
            "1.2.3s",
            "999999999999999999999999h",
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(&format!("`{text}`")), "{error}");
            assert!(error.contains("`1m30s`"), "{error}");
        }
    }
}
