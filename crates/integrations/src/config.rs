//! Typed configuration: what metric providers and job agents share when they read theirs.
//!
//! A configuration is checked twice: when it is written, while strings may still hold
//! `{{ templates }}`, and again, rendered, when it is used.

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// Why a configuration is refused: where, what, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Stable name of the kind of error.
    pub code: &'static str,
    /// Where in the configuration, such as `headers.Authorization`; empty for the whole.
    pub path: String,
    /// What is wrong. Never holds a value that may be secret.
    pub message: String,
    /// How to mend it; may be empty.
    pub hint: String,
}

impl ConfigError {
    /// An error with the given code at `path`.
    pub fn new(
        code: &'static str,
        path: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            code,
            path: path.into(),
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// A field's value is not acceptable.
    pub fn invalid(
        path: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new("invalid_config", path, message, hint)
    }

    /// The same error, seen from outside: its path below `parent`.
    #[must_use]
    pub fn below(mut self, parent: &str) -> Self {
        self.path = if self.path.is_empty() {
            parent.to_owned()
        } else {
            format!("{parent}.{}", self.path)
        };
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Whether `text` holds a template, so that its final form is not known yet.
#[must_use]
pub fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Refuses a template that is opened and never closed. (Whether its path exists is for the renderer to say.)
pub(crate) fn check_template(path: &str, text: &str) -> Result<(), ConfigError> {
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        match rest[start..].find("}}") {
            Some(end) => rest = &rest[start + end + 2..],
            None => {
                return Err(ConfigError::invalid(
                    path,
                    "a template is opened with `{{` and never closed",
                    "close it with `}}`",
                ));
            }
        }
    }
    Ok(())
}

/// Reads `value` as `T`. Errors name the field; they never repeat a value, which may be secret.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let message = without_values(&error.into_inner().to_string());
        ConfigError::invalid(path, message, "")
    })
}

/// Serde's message without the offending value: ``invalid type: string "…", expected a map`` becomes
/// ``invalid type: string, expected a map``.
fn without_values(message: &str) -> String {
    for kind in ["invalid type: ", "invalid value: "] {
        let Some(rest) = message.strip_prefix(kind) else {
            continue;
        };
        let Some(expected) = rest.rfind(", expected ") else {
            continue;
        };
        let found = rest[..expected]
            .split([' ', '`', '"'])
            .next()
            .unwrap_or("value");
        return format!("{kind}{found}{}", &rest[expected..]);
    }
    message.to_owned()
}

/// Checks an HTTP URL; with a template only what stands before it can be judged.
pub(crate) fn check_url(path: &str, text: &str) -> Result<(), ConfigError> {
    const HINT: &str = "write it like `https://example.org/health`";
    if text.len() > 8 * 1024 {
        return Err(ConfigError::invalid(
            path,
            "the URL is longer than 8 KiB",
            "shorten it",
        ));
    }
    if let Some(template) = text.find("{{") {
        check_template(path, text)?;
        let scheme = text[..template].split_once("://").map(|(scheme, _)| scheme);
        return match scheme {
            Some(scheme) if !is_http(scheme) => Err(not_http(path, scheme)),
            _ => Ok(()),
        };
    }
    let url = reqwest::Url::parse(text)
        .map_err(|error| ConfigError::invalid(path, format!("not a URL: {error}"), HINT))?;
    if !is_http(url.scheme()) {
        return Err(not_http(path, url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(ConfigError::invalid(path, "the URL names no host", HINT));
    }
    Ok(())
}

fn is_http(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

fn not_http(path: &str, scheme: &str) -> ConfigError {
    ConfigError::invalid(
        path,
        format!("scheme `{scheme}` is not supported"),
        "use `http` or `https`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_field_and_never_repeat_its_value() {
        #[derive(serde::Deserialize, Debug)]
        struct Config {
            #[serde(rename = "headers")]
            _headers: std::collections::BTreeMap<String, String>,
        }
        for secret in [
            serde_json::json!({"headers": "hunter2, expected"}),
            serde_json::json!({"headers": {"a": ["hunter2"]}}),
            serde_json::json!({"headers": {"a": 271_828}}),
        ] {
            let error = read::<Config>(secret).unwrap_err();
            assert!(error.path.starts_with("headers"), "{error}");
            assert!(error.message.contains("expected"), "{error}");
            assert!(
                !error.to_string().contains("hunter2") && !error.to_string().contains("271"),
                "{error}"
            );
        }
    }

    #[test]
    fn urls_are_checked_as_far_as_they_are_known() {
        for good in [
            "http://127.0.0.1:8080/x",
            "https://{{ resource.config.host }}/health",
            "{{ resource.config.url }}",
        ] {
            assert_eq!(check_url("url", good), Ok(()), "{good}");
        }
        for bad in [
            "ftp://example.org",
            "ftp://{{ host }}",
            "example.org/health",
            "http://",
            "http://{{ host",
            "",
        ] {
            assert!(check_url("url", bad).is_err(), "{bad}");
        }
    }
}
