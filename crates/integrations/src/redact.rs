//! Keeping secrets out of errors, logs, results and `Debug` output.

use serde_json::Value;
use std::fmt;

/// What stands in a secret's place.
pub const REDACTED: &str = "[redacted]";

/// Values shorter than this are not searched for: replacing every `1` would only garble the text.
const SECRET_LENGTH_MIN: usize = 6;

/// Headers whose values are never secret; every other header's value is treated as one.
const PLAIN_HEADERS: [&str; 12] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "baggage",
    "cache-control",
    "content-type",
    "host",
    "if-none-match",
    "origin",
    "traceparent",
    "tracestate",
    "user-agent",
];

/// Whether a header's value may be shown.
#[must_use]
pub fn is_plain_header(name: &str) -> bool {
    PLAIN_HEADERS
        .iter()
        .any(|plain| name.eq_ignore_ascii_case(plain))
}

/// Whether a variable of this name usually holds a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    const MARKS: [&str; 8] = [
        "secret",
        "token",
        "passw",
        "pwd",
        "apikey",
        "api_key",
        "credential",
        "private_key",
    ];
    let name = name.to_ascii_lowercase().replace('-', "_");
    MARKS.iter().any(|mark| name.contains(mark)) || name == "key" || name.ends_with("_key")
}

/// Shows a map's keys and hides its values, for `Debug`.
pub(crate) struct KeysOnly<'a, K: fmt::Debug, V>(pub &'a std::collections::BTreeMap<K, V>);

impl<K: fmt::Debug, V> fmt::Debug for KeysOnly<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.keys().map(|key| (key, REDACTED)))
            .finish()
    }
}

/// A URL fit for showing: without user, password, query and fragment. What is no URL is not shown at all.
#[must_use]
pub fn url(text: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(text) else {
        return REDACTED.to_owned();
    };
    let had_query = url.query().is_some();
    url.set_query(None);
    url.set_fragment(None);
    // Both fail only for URLs that cannot have a user, which then have none to hide.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if had_query {
        format!("{url}?…")
    } else {
        url.into()
    }
}

/// Replaces known secrets wherever they turn up.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a secret that contains another is replaced whole.
    secrets: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

impl Redactor {
    /// Remembers a secret, and, of `Bearer abc…`, also the part after the scheme.
    pub fn add(&mut self, secret: &str) {
        let part = secret.split_once(' ').map(|(_, part)| part);
        for secret in std::iter::once(secret).chain(part).map(str::trim) {
            if secret.len() >= SECRET_LENGTH_MIN && !self.secrets.iter().any(|s| s == secret) {
                self.secrets.push(secret.to_owned());
            }
        }
        self.secrets
            .sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// Remembers the user's password and the query's values of a URL, as written and decoded.
    pub fn add_url(&mut self, text: &str) {
        let Ok(url) = reqwest::Url::parse(text) else {
            return;
        };
        if let Some(password) = url.password() {
            self.add(password);
        }
        for (name, value) in url.query_pairs() {
            if is_secret_name(&name) {
                self.add(&value);
            }
        }
    }

    /// `text` with every known secret replaced.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), REDACTED);
            }
        }
        text
    }

    /// Replaces every known secret in all strings and keys of `value`.
    #[must_use]
    pub fn json(&self, value: Value) -> Value {
        if self.secrets.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.json(item)).collect(),
            Value::Object(members) => members
                .into_iter()
                .map(|(key, member)| (self.text(&key), self.json(member)))
                .collect(),
            plain => plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_disappear_from_text_and_json() {
        let mut redactor = Redactor::default();
        redactor.add("Bearer abcdef123");
        redactor.add("7");
        assert_eq!(
            redactor.text("got abcdef123 in 7 s"),
            "got [redacted] in 7 s"
        );
        assert_eq!(
            redactor.json(serde_json::json!({"a": ["Bearer abcdef123", 1]})),
            serde_json::json!({"a": ["[redacted]", 1]})
        );
        assert!(!format!("{redactor:?}").contains("abcdef"));
    }

    #[test]
    fn urls_are_shown_without_credentials_and_query() {
        assert_eq!(
            url("https://joe:hunter2@example.org/a?token=s3cret#x"),
            "https://example.org/a?…"
        );
        assert_eq!(url("not a url hunter2"), REDACTED);
    }

    #[test]
    fn names_of_secrets_are_recognised() {
        for name in [
            "GITHUB_TOKEN",
            "dbPassword",
            "AWS_SECRET_ACCESS_KEY",
            "api-key",
            "KEY",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["PORT", "KEYBOARD", "MONKEY", "HOME"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
