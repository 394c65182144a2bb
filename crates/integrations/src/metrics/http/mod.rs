//! `http`: one request, and what came back.
//!
//! ```json
//! {"type": "http", "url": "https://{{ resource.config.host }}/health", "method": "GET",
//!  "headers": {"Authorization": "Bearer {{ secret.token }}"}, "body": "", "timeout": "30s"}
//! ```
//!
//! Result: `{"ok": true, "statusCode": 200, "headers": {…}, "body": "…", "bodyTruncated": false,
//! "json": {…} | null, "durationMs": 12}`. `ok` means 2xx; any other status is a result too. `json` is the parsed body,
//! `null` when it is not JSON or was cut at 64 KiB. The promotion's `traceparent` and `baggage` are sent along.
//! Errors are what prevented an answer: `timeout`, `connection_refused`, `dns_failed`, `tls_failed`,
//! `too_many_redirects`, `connection_failed`, `http_failed`.

use super::{MeasureContext, MeasureError, MetricProvider};
use crate::config::{self, ConfigError, is_template};
use crate::redact::{self, KeysOnly, REDACTED, Redactor};
use crate::{duration, http};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// How much of an answer's body is kept.
pub const BODY_SIZE_BYTES_MAX: usize = 64 * 1024;
/// How much of one answer header is kept.
const HEADER_SIZE_BYTES_MAX: usize = 4 * 1024;
const HEADERS_MAX: usize = 64;
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
const REQUEST_BODY_SIZE_BYTES_MAX: usize = 1024 * 1024;

/// The message's framing, which the client writes itself.
const FRAMING_HEADERS: [&str; 4] = [
    "connection",
    "content-length",
    "transfer-encoding",
    "upgrade",
];

/// Configuration of `http`.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpMetric {
    /// Where to.
    pub url: String,
    /// How; `GET` when absent.
    #[serde(default)]
    pub method: Method,
    /// Sent along; values may be secret.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Sent as the request's body.
    #[serde(default)]
    pub body: Option<String>,
    /// For connecting, asking and reading together, as Go writes durations.
    #[serde(default = "default_timeout")]
    pub timeout: String,
}

fn default_timeout() -> String {
    "30s".to_owned()
}

/// The methods a metric may use.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// The default.
    #[default]
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
    /// `HEAD`
    Head,
    /// `OPTIONS`
    Options,
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Patch => Self::PATCH,
            Method::Delete => Self::DELETE,
            Method::Head => Self::HEAD,
            Method::Options => Self::OPTIONS,
        }
    }
}

impl fmt::Debug for HttpMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpMetric")
            .field("url", &redact::url(&self.url))
            .field("method", &self.method)
            .field("headers", &KeysOnly(&self.headers))
            .field("body", &self.body.as_ref().map(|_| REDACTED))
            .field("timeout", &self.timeout)
            .finish()
    }
}

impl MetricProvider for HttpMetric {
    const KIND: &'static str = "http";

    fn check(&self) -> Result<(), ConfigError> {
        config::check_url("url", &self.url)?;
        if is_template(&self.timeout) {
            config::check_template("timeout", &self.timeout)?;
        } else {
            self.timeout()?;
        }
        for (name, value) in &self.headers {
            header(name, value)?;
        }
        let body = self.body.as_deref().unwrap_or_default();
        if body.len() > REQUEST_BODY_SIZE_BYTES_MAX {
            return Err(ConfigError::invalid(
                "body",
                "the body is larger than 1 MiB",
                "send less",
            ));
        }
        config::check_template("body", body)
    }

    async fn measure(
        &self,
        client: &reqwest::Client,
        context: &MeasureContext,
    ) -> Result<Value, MeasureError> {
        self.is_rendered()?;
        let redactor = self.redactor();
        let timeout = self.timeout()?.min(context.deadline);
        let mut request = client
            .request(self.method.into(), &self.url)
            .headers(self.request_headers(context)?)
            .timeout(timeout);
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        let started = Instant::now();
        let failed = |error: reqwest::Error| self.failed(&error, timeout);
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let headers = response_headers(response.headers());
        let body = http::read_body(response, BODY_SIZE_BYTES_MAX)
            .await
            .map_err(failed)?;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let json: Value = if body.truncated {
            Value::Null
        } else {
            serde_json::from_slice(&body.bytes).unwrap_or_default()
        };
        Ok(redactor.json(json!({
            "ok": status.is_success(),
            "statusCode": status.as_u16(),
            "headers": headers,
            "body": body.text(),
            "bodyTruncated": body.truncated,
            "json": json,
            "durationMs": duration_ms,
        })))
    }
}

impl HttpMetric {
    /// Refuses to send a request with holes in it. (A body may hold braces of its own.)
    fn is_rendered(&self) -> Result<(), ConfigError> {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (format!("headers.{name}"), value));
        let fields = [
            ("url".to_owned(), &self.url),
            ("timeout".to_owned(), &self.timeout),
        ];
        match fields
            .into_iter()
            .chain(headers)
            .find(|(path, value)| is_template(path) || is_template(value))
        {
            None => Ok(()),
            Some((path, _)) => Err(ConfigError::new(
                "unrendered_template",
                path,
                "holds a template that was not rendered",
                "",
            )),
        }
    }

    fn timeout(&self) -> Result<Duration, ConfigError> {
        let timeout = duration::parse(&self.timeout)
            .map_err(|message| ConfigError::invalid("timeout", message, ""))?;
        if timeout.is_zero() || timeout > TIMEOUT_MAX {
            return Err(ConfigError::invalid(
                "timeout",
                format!("`{}` is out of range", self.timeout),
                "use more than nothing and at most `1h`",
            ));
        }
        Ok(timeout)
    }

    fn request_headers(&self, context: &MeasureContext) -> Result<HeaderMap, ConfigError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            if let Some((name, value)) = header(name, value)? {
                headers.insert(name, value);
            }
        }
        // Ours come last: a trace that follows the promotion is worth more than a fixed one.
        for (name, value) in [
            ("traceparent", context.traceparent.clone()),
            ("baggage", context.baggage_with_promotion()),
        ] {
            if value.is_empty() {
                continue;
            }
            let value = HeaderValue::from_str(&value).map_err(|_| {
                ConfigError::invalid("", format!("the context's {name} is malformed"), "")
            })?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(headers)
    }

    /// What must not come back in a result when the server echoes it.
    fn redactor(&self) -> Redactor {
        let mut redactor = Redactor::default();
        redactor.add_url(&self.url);
        for (name, value) in &self.headers {
            if !redact::is_plain_header(name) {
                redactor.add(value);
            }
        }
        redactor
    }

    fn failed(&self, error: &reqwest::Error, timeout: Duration) -> MeasureError {
        let failure = http::failure(error);
        let message = if failure.code == "timeout" {
            format!("no answer within {timeout:?}")
        } else {
            failure.message
        };
        let method = reqwest::Method::from(self.method);
        let url = redact::url(&self.url);
        MeasureError {
            code: failure.code,
            message: format!("{method} `{url}`: {message}"),
        }
    }
}

/// One configured header; `None` while it still is a template.
fn header(name: &str, value: &str) -> Result<Option<(HeaderName, HeaderValue)>, ConfigError> {
    let path = format!("headers.{name}");
    config::check_template(&path, name)?;
    config::check_template(&path, value)?;
    let name = if is_template(name) {
        None
    } else {
        let name = HeaderName::try_from(name).map_err(|_| {
            ConfigError::invalid(
                &path,
                format!("`{name}` is not a header name"),
                "use letters, digits and `-`",
            )
        })?;
        if FRAMING_HEADERS.contains(&name.as_str()) {
            return Err(ConfigError::invalid(
                &path,
                format!("header `{name}` cannot be set"),
                "leave it out; it follows from the request",
            ));
        }
        Some(name)
    };
    if is_template(value) {
        return Ok(None);
    }
    let mut value = HeaderValue::try_from(value).map_err(|_| {
        ConfigError::invalid(
            &path,
            "the value holds characters that a header cannot carry",
            "remove line breaks and control characters",
        )
    })?;
    // Keeps it out of the client's own debug output.
    value.set_sensitive(true);
    Ok(name.map(|name| (name, value)))
}

fn response_headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut kept: Map<String, Value> = Map::new();
    for name in headers.keys().take(HEADERS_MAX) {
        let value = if name == reqwest::header::SET_COOKIE {
            // A session is a credential, and results are kept.
            REDACTED.to_owned()
        } else {
            let values: Vec<_> = headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            let mut joined = values.join(", ");
            joined.truncate(joined.floor_char_boundary(HEADER_SIZE_BYTES_MAX));
            joined
        };
        kept.insert(name.as_str().to_owned(), Value::String(value));
    }
    kept
}

#[cfg(test)]
mod tests {
    use crate::metrics::check;
    use serde_json::json;

    #[test]
    fn good_configurations_pass_with_and_without_templates() {
        for config in [
            json!({"type": "http", "url": "http://127.0.0.1/health"}),
            json!({"type": "http", "url": "http://{{ resource.config.host }}:{{resource.config.port}}/health",
                   "method": "POST", "headers": {"Authorization": "Bearer {{ secret.t }}"}, "body": "{}", "timeout": "500ms"}),
            json!({"type": "http", "url": "{{.resource.config.url}}", "timeout": "{{ deployment.slug }}"}),
        ] {
            assert_eq!(check(&config), Ok(()), "{config}");
        }
    }

    #[test]
    fn bad_configurations_name_the_place() {
        for (config, path) in [
            (json!({"type": "http"}), ""),
            (
                json!({"type": "http", "url": "http://x", "methd": "GET"}),
                "methd",
            ),
            (
                json!({"type": "http", "url": "http://x", "method": "get"}),
                "method",
            ),
            (json!({"type": "http", "url": "ftp://x"}), "url"),
            (
                json!({"type": "http", "url": "http://x", "timeout": "30"}),
                "timeout",
            ),
            (
                json!({"type": "http", "url": "http://x", "timeout": "0s"}),
                "timeout",
            ),
            (
                json!({"type": "http", "url": "http://x", "timeout": "61m"}),
                "timeout",
            ),
            (
                json!({"type": "http", "url": "http://x", "headers": {"a b": "c"}}),
                "headers.a b",
            ),
            (
                json!({"type": "http", "url": "http://x", "headers": {"a": "b\nc"}}),
                "headers.a",
            ),
            (
                json!({"type": "http", "url": "http://x", "headers": {"Content-Length": "1"}}),
                "headers.Content-Length",
            ),
            (
                json!({"type": "http", "url": "http://x", "headers": {"a": "{{ open"}}),
                "headers.a",
            ),
            (
                json!({"type": "sleep", "durationSeconds": 0}),
                "durationSeconds",
            ),
            (
                json!({"type": "sleep", "durationSeconds": 3601}),
                "durationSeconds",
            ),
            (
                json!({"type": "sleep", "durationSeconds": "1"}),
                "durationSeconds",
            ),
        ] {
            let error = check(&config).unwrap_err();
            assert_eq!(error.path, path, "{config}: {error}");
            assert!(!error.message.is_empty(), "{config}");
        }
    }

    #[test]
    fn debug_output_hides_what_may_be_secret() {
        let metric: super::HttpMetric = serde_json::from_value(json!({
            "url": "https://joe:hunter2@example.org/?token=hunter2",
            "headers": {"Authorization": "Bearer hunter2"}, "body": "hunter2"
        }))
        .unwrap();
        let shown = format!("{metric:?}");
        assert!(
            !shown.contains("hunter2") && shown.contains("Authorization"),
            "{shown}"
        );
    }
}
