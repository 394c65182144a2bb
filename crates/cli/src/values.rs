//! Values as people type them: pairs, JSON or `@file`, lengths of time.

use anyhow::Result;
use serde_json::Value;
use stagegate_api::JsonMap;
use stagegate_model::Timestamp;
use std::time::Duration;

use crate::failure::Failure;

/// A file given on the command line may be this large, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// `key=value`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write it as `key=value`".to_owned()),
    }
}

/// `30s`, `10m`, `2h`, `500ms`, or seconds alone.
pub fn duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "write it like `30s`, `10m` or `2h`";
    let text = text.trim();
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| FORM.to_owned())?;
    let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
    let duration = match unit {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => seconds(86_400),
        "w" => seconds(7 * 86_400),
        _ => return Err(FORM.to_owned()),
    };
    duration
        .filter(|duration| *duration <= Duration::from_secs(366 * 86_400))
        .ok_or_else(|| "that is longer than a year".to_owned())
}

/// A moment: a time in RFC 3339, or how long from `now` on. `flag` is how it is called in errors.
pub fn time_ahead(flag: &str, text: &str, now: Timestamp) -> Result<Timestamp> {
    if let Ok(time) = text.trim().parse() {
        return Ok(time);
    }
    let length = duration(text).map_err(|_| {
        Failure::usage("invalid_time", format!("{flag}: `{text}` is no time"))
            .hint("write how long, like `2h` or `3d`, or a moment, like `2026-12-24T18:00:00Z`")
    })?;
    Ok(now.plus_seconds(i64::try_from(length.as_secs()).unwrap_or(i64::MAX)))
}

/// A moment: a time in RFC 3339, or how long before `now`. `flag` is how it is called in errors.
pub fn time_ago(flag: &str, text: &str, now: Timestamp) -> Result<Timestamp> {
    if let Ok(time) = text.trim().parse() {
        return Ok(time);
    }
    let length = duration(text).map_err(|_| {
        Failure::usage("invalid_time", format!("{flag}: `{text}` is no time")).hint(
            "write how long ago, like `90d` or `2w`, or a moment, like `2026-01-31T09:00:00Z`",
        )
    })?;
    let seconds = i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
    Ok(now.plus_seconds(-seconds))
}

/// A JSON object, given as text or as `@file`. `flag` is how it is called in errors.
pub fn json_object(flag: &str, text: &str) -> Result<JsonMap> {
    let from = |what: &str, text: &str| match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(other) => Err(Failure::usage(
            "wrong_type",
            format!("{flag}: {what} is {}, not an object", kind_of(&other)),
        )
        .hint("write it like `{\"image\": \"api:1.2.3\"}`, or `@file.json`")),
        Err(error) => Err(Failure::usage(
            "invalid_value",
            format!("{flag}: {what} is not JSON: {error}"),
        )
        .hint("write it like `{\"image\": \"api:1.2.3\"}`, or `@file.json`")),
    };
    let Some(path) = text.strip_prefix('@') else {
        return Ok(from("the value", text)?);
    };
    let unreadable = |error: std::io::Error| {
        Failure::usage(
            "invalid_value",
            format!("{flag}: `{path}` cannot be read: {error}"),
        )
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_BYTES_MAX {
        return Err(Failure::usage(
            "too_large",
            format!("{flag}: `{path}` has {size} bytes; {FILE_BYTES_MAX} are allowed"),
        )
        .into());
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok(from(&format!("`{path}`"), &text)?)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, seconds) in [
            ("30s", 30),
            ("10m", 600),
            ("2h", 7200),
            ("5", 5),
            ("1d", 86_400),
            ("4w", 2_419_200),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for text in [
            "",
            "m",
            "10 m",
            "-1s",
            "1y",
            "99999999999999999999s",
            "400d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_times_or_lengths() {
        let now: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
        let ahead = |text| time_ahead("--ends", text, now).map(|at| at.to_string());
        assert_eq!(ahead("2h").unwrap(), "2026-01-05T12:00:00.000Z");
        let berlin = ahead("2026-01-05T10:00:00+01:00").unwrap();
        assert_eq!(berlin, "2026-01-05T09:00:00.000Z");
        let refused = ahead("tomorrow").unwrap_err().to_string();
        assert!(refused.contains("--ends: `tomorrow`"), "{refused}");
    }

    #[test]
    fn pairs_keep_further_equals_signs() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(pair("a="), Ok(("a".to_owned(), String::new())));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }

    #[test]
    fn objects_from_text_and_file() {
        assert_eq!(json_object("--config", r#"{"a": 1}"#).unwrap()["a"], 1);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.json");
        std::fs::write(&path, r#"{"b": 2}"#).unwrap();
        let given = format!("@{}", path.display());
        assert_eq!(json_object("--config", &given).unwrap()["b"], 2);
        let refused = |text: &str| json_object("--config", text).unwrap_err().to_string();
        assert!(refused("[1]").contains("a list, not an object"));
        assert!(refused("{").contains("--config: the value is not JSON"));
        assert!(refused("@/nonexistent/x").contains("`/nonexistent/x` cannot be read"));
    }
}
