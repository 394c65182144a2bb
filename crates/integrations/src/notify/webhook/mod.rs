//! `webhook`: the message as JSON, posted and signed as [Standard Webhooks](https://www.standardwebhooks.com) has it.
//!
//! ```json
//! {"url": "https://example.org/hooks/stagegate", "secret": "{{ secret.HOOK }}",
//!  "headers": {"Authorization": "Bearer {{ secret.TOKEN }}"}, "timeout": "10s"}
//! ```
//!
//! Sent: `webhook-id`, the same for every attempt; `webhook-timestamp`, when this attempt was made;
//! `webhook-signature`; the body is a [`Message`](super::Message). A 2xx is a delivery; no redirect is followed.

mod signature;

use super::outcome::{DeliveryError, judge};
use super::{Notifier, Sending, secret};
use crate::config::{self, ConfigError, is_template};
use crate::http;
use crate::redact::{self, KeysOnly, Redactor};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// How much of an answer is read.
const ANSWER_BYTES_MAX: usize = 4 * 1024;
const HEADERS_MAX: usize = 32;

/// Headers that the delivery writes itself.
const OWN_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// Configuration of `webhook`.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookNotifier {
    /// Where to post.
    pub url: String,
    /// `{{ secret.NAME }}`: a `whsec_…` key, or several separated by spaces while they are rotated. Without it
    /// nothing is signed.
    #[serde(default)]
    pub secret: Option<String>,
    /// Sent along.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// For one attempt, as Go writes durations; 10 s when absent, at most a minute.
    #[serde(default)]
    pub timeout: Option<String>,
}

impl fmt::Debug for WebhookNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookNotifier")
            .field("url", &redact::url(&self.url))
            .field("headers", &KeysOnly(&self.headers))
            .finish_non_exhaustive()
    }
}

impl Notifier for WebhookNotifier {
    const KIND: &'static str = "webhook";

    fn check(&self) -> Result<(), ConfigError> {
        secret::check("url", &self.url)?;
        config::check_url("url", &self.url)?;
        if has_credentials(&self.url) {
            return Err(ConfigError::invalid(
                "url",
                "a user or password cannot stand in the URL",
                "send a header such as `Authorization` with `{{ secret.NAME }}` instead",
            ));
        }
        if let Some(text) = &self.secret {
            secret::check_only_reference("secret", text)?;
        }
        if self.headers.len() > HEADERS_MAX {
            let what = format!("more than {HEADERS_MAX} headers");
            return Err(ConfigError::invalid("headers", what, "send fewer"));
        }
        for (name, value) in &self.headers {
            check_header(name, value)?;
        }
        super::timeout(self.timeout.as_deref()).map(drop)
    }

    async fn deliver(&self, sending: &Sending) -> Result<(), DeliveryError> {
        let mut redactor = Redactor::default();
        let delivered = self.post(sending, &mut redactor).await;
        delivered.map_err(|error| error.redacted(&redactor))
    }
}

impl WebhookNotifier {
    async fn post(&self, sending: &Sending, redactor: &mut Redactor) -> Result<(), DeliveryError> {
        let secrets = &sending.secrets;
        let url = secrets.fill("url", &self.url, redactor)?;
        config::check_url("url", &url)?;
        let body = serde_json::to_vec(&sending.message)
            .map_err(|_| DeliveryError::refused("internal", "the message cannot be written"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let path = format!("headers.{name}");
            let value = secrets.fill(&path, value, redactor)?;
            headers.insert(header_name(name)?, header_value(&path, &value)?);
        }
        let id = &sending.message.id;
        let at = sending.at_seconds.to_string();
        let mut own = vec![("webhook-id", id.clone()), ("webhook-timestamp", at)];
        if let Some(text) = &self.secret {
            let keys = secrets.fill("secret", text, redactor)?;
            for key in keys.split_whitespace() {
                redactor.add(key);
            }
            let signed = signature::sign(&keys, id, sending.at_seconds, &body).map_err(|why| {
                let what = format!("`secret`: the secret cannot be used: {why}");
                DeliveryError::again("secret_unusable", what)
            })?;
            own.push(("webhook-signature", signed));
        }
        for (name, value) in own {
            headers.insert(HeaderName::from_static(name), header_value(name, &value)?);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let timeout = super::timeout(self.timeout.as_deref())?;
        let request = sending.client.post(url).headers(headers).body(body);
        post(request.timeout(timeout)).await
    }
}

/// Sends a request and judges the answer.
pub(super) async fn post(request: reqwest::RequestBuilder) -> Result<(), DeliveryError> {
    let failed = |error: reqwest::Error| {
        let failure = http::failure(&error);
        DeliveryError::again(failure.code, failure.message)
    };
    let response = request.send().await.map_err(failed)?;
    let (status, headers) = (response.status(), response.headers().clone());
    if status.is_success() {
        return Ok(());
    }
    let said = http::read_body(response, ANSWER_BYTES_MAX).await;
    // What it said with its refusal matters less than the refusal.
    let said = said.map(|body| body.text()).unwrap_or_default();
    judge(status, &headers, &said)
}

fn has_credentials(url: &str) -> bool {
    let after = url.split_once("://").map_or("", |(_, after)| after);
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    authority.contains('@')
}

fn check_header(name: &str, value: &str) -> Result<(), ConfigError> {
    let path = format!("headers.{name}");
    let known = header_name(name)?;
    if OWN_HEADERS.contains(&known.as_str()) {
        return Err(ConfigError::invalid(
            &path,
            format!("header `{known}` cannot be set"),
            "leave it out; the delivery writes it",
        ));
    }
    secret::check(&path, value)?;
    if is_template(value) {
        return Ok(());
    }
    header_value(&path, value)?;
    let carries_secret = ["authorization", "proxy-authorization", "cookie"]
        .contains(&known.as_str())
        || redact::is_secret_name(known.as_str());
    if carries_secret {
        return Err(ConfigError::invalid(
            &path,
            "a secret cannot stand here itself",
            "write it like `Bearer {{ secret.NAME }}`",
        ));
    }
    Ok(())
}

fn header_name(name: &str) -> Result<HeaderName, ConfigError> {
    HeaderName::try_from(name).map_err(|_| {
        ConfigError::invalid(
            format!("headers.{name}"),
            format!("`{name}` is not a header name"),
            "use letters, digits and `-`",
        )
    })
}

fn header_value(path: &str, value: &str) -> Result<HeaderValue, ConfigError> {
    let mut value = HeaderValue::try_from(value).map_err(|_| {
        ConfigError::invalid(
            path,
            "the value holds characters that a header cannot carry",
            "remove line breaks and control characters",
        )
    })?;
    // Keeps it out of the client's own debug output.
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use crate::notify::check;
    use serde_json::json;

    #[test]
    fn good_configurations_pass() {
        for config in [
            json!({"url": "http://127.0.0.1:9/hook"}),
            json!({"url": "https://example.org/{{ secret.PATH }}", "secret": "{{ secret.HOOK }}",
                   "headers": {"Authorization": "Bearer {{ secret.TOKEN }}", "X-Team": "payments"},
                   "timeout": "5s"}),
            json!({"url": "{{ secret.URL }}"}),
        ] {
            assert_eq!(check("webhook", &config), Ok(()), "{config}");
        }
    }

    #[test]
    fn bad_configurations_name_the_place_and_no_secret() {
        for (config, path) in [
            (json!({}), ""),
            (json!({"url": "ftp://x"}), "url"),
            (json!({"url": "https://joe:hunter2@example.org/"}), "url"),
            (json!({"url": "https://x", "method": "PUT"}), "method"),
            (
                json!({"url": "https://x", "secret": "whsec_hunter2"}),
                "secret",
            ),
            (json!({"url": "https://x/{{ resource.name }}"}), "url"),
            (json!({"url": "https://x", "timeout": "2m"}), "timeout"),
            (
                json!({"url": "https://x", "headers": {"Authorization": "Bearer hunter2"}}),
                "headers.Authorization",
            ),
            (
                json!({"url": "https://x", "headers": {"X-Api-Key": "hunter2"}}),
                "headers.X-Api-Key",
            ),
            (
                json!({"url": "https://x", "headers": {"webhook-id": "1"}}),
                "headers.webhook-id",
            ),
            (
                json!({"url": "https://x", "headers": {"a": "b\nc"}}),
                "headers.a",
            ),
        ] {
            let error = check("webhook", &config).unwrap_err();
            assert_eq!(error.path, path, "{config}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
