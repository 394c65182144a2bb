//! What a scalar means by the core schema of YAML 1.2.2, section 10.3: `no`, `on` and `yes` are text.

use granit_parser::{ScalarStyle, Tag};
use serde_json::Number;

/// The text of a scalar and what it means.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    /// As written (quotes and escapes resolved), so that `1.10` can still become the text `1.10`.
    pub text: Box<str>,
    pub meaning: Meaning,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Meaning {
    Text,
    Null,
    Bool(bool),
    Number(Number),
    /// A number that JSON cannot hold: infinite, not a number, or an integer that would lose digits.
    NotJson,
}

/// What a plain scalar means.
pub(crate) fn plain_meaning(text: &str) -> Meaning {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
        "true" | "True" | "TRUE" => Meaning::Bool(true),
        "false" | "False" | "FALSE" => Meaning::Bool(false),
        _ => number(text).unwrap_or(Meaning::Text),
    }
}

fn number(text: &str) -> Option<Meaning> {
    let or_not_json =
        |number: Option<Number>| Some(number.map_or(Meaning::NotJson, Meaning::Number));
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let valid = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
            return if valid {
                or_not_json(u64::from_str_radix(digits, radix).ok().map(Number::from))
            } else {
                None
            };
        }
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Meaning::NotJson);
    }
    if !is_decimal(unsigned) {
        return None;
    }
    let plain = text.strip_prefix('+').unwrap_or(text);
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let integer = plain
            .parse::<u64>()
            .map(Number::from)
            .or_else(|_| plain.parse::<i64>().map(Number::from));
        return or_not_json(integer.ok());
    }
    or_not_json(plain.parse::<f64>().ok().and_then(Number::from_f64))
}

/// `[0-9]+`, or `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa
        && exponent
            .is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

/// What a scalar of any style means; the error says what is wrong with its tag.
pub(crate) fn meaning(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<Meaning, String> {
    let Some(tag) = tag else {
        return Ok(match style {
            ScalarStyle::Plain => plain_meaning(text),
            _ => Meaning::Text,
        });
    };
    let plain = plain_meaning(text);
    let fitting = match tag.core_suffix() {
        Some("str") => Some(Meaning::Text),
        Some("null") => matches!(plain, Meaning::Null).then_some(plain),
        Some("bool") => matches!(plain, Meaning::Bool(_)).then_some(plain),
        Some("int" | "float") => {
            matches!(plain, Meaning::Number(_) | Meaning::NotJson).then_some(plain)
        }
        // The lone `!` says: as it is written, do not resolve.
        None if tag.original() == "!" => Some(Meaning::Text),
        _ => None,
    };
    fitting.ok_or_else(|| format!("tag `{}` does not fit here", tag.original()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_and_nulls_are_those_of_yaml_1_2() {
        for text in ["yes", "no", "on", "off", "y", "N", "tRUE", "nil", "Off"] {
            assert_eq!(plain_meaning(text), Meaning::Text, "{text}");
        }
        assert_eq!(plain_meaning("True"), Meaning::Bool(true));
        assert_eq!(plain_meaning("FALSE"), Meaning::Bool(false));
        assert_eq!(plain_meaning("~"), Meaning::Null);
    }

    #[test]
    fn numbers_are_those_of_the_core_schema() {
        let number = |text: &str| match plain_meaning(text) {
            Meaning::Number(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(number("012"), "12");
        assert_eq!(number("+7"), "7");
        assert_eq!(number("-3"), "-3");
        assert_eq!(number("0x1F"), "31");
        assert_eq!(number("0o17"), "15");
        assert_eq!(number("18446744073709551615"), "18446744073709551615");
        assert_eq!(number("1.50"), "1.5");
        assert_eq!(number(".5"), "0.5");
        assert_eq!(number("2."), "2.0");
        assert_eq!(number("1e3"), "1000.0");
        for text in [
            "18446744073709551616",
            "-9223372036854775809",
            ".inf",
            "-.INF",
            ".nan",
            "1e999",
        ] {
            assert_eq!(plain_meaning(text), Meaning::NotJson, "{text}");
        }
        for text in [
            "1:30", "1_000", "0b1", "0x", "0o8", ".", "-", "1.2.3", "e5", "inf", "NaN", "+.nan",
            "--1",
        ] {
            assert_eq!(plain_meaning(text), Meaning::Text, "{text}");
        }
    }
}
