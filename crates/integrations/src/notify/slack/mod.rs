//! `slack`: the message through an incoming webhook of Slack, or of what speaks like it.
//!
//! ```json
//! {"url": "{{ secret.SLACK_URL }}", "timeout": "10s"}
//! ```
//!
//! The URL of an incoming webhook is itself the credential, so it can only be referred to.

use super::outcome::DeliveryError;
use super::{Message, Notifier, Sending, clipped, secret, webhook};
use crate::config::{self, ConfigError};
use crate::redact::Redactor;
use serde::Deserialize;
use serde_json::{Value, json};

/// Slack's own limits, in characters, with room for escapes.
const HEADER_CHARS_MAX: usize = 150;
const SECTION_CHARS_MAX: usize = 3000;
const CONTEXT_CHARS_MAX: usize = 2000;

/// Configuration of `slack`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlackNotifier {
    /// `{{ secret.NAME }}`: the incoming webhook's URL.
    pub url: String,
    /// For one attempt, as Go writes durations; 10 s when absent, at most a minute.
    #[serde(default)]
    pub timeout: Option<String>,
}

impl Notifier for SlackNotifier {
    const KIND: &'static str = "slack";

    fn check(&self) -> Result<(), ConfigError> {
        secret::check_only_reference("url", &self.url)?;
        super::timeout(self.timeout.as_deref()).map(drop)
    }

    async fn deliver(&self, sending: &Sending) -> Result<(), DeliveryError> {
        let mut redactor = Redactor::default();
        let delivered = self.post(sending, &mut redactor).await;
        delivered.map_err(|error| error.redacted(&redactor))
    }
}

impl SlackNotifier {
    async fn post(&self, sending: &Sending, redactor: &mut Redactor) -> Result<(), DeliveryError> {
        let url = sending.secrets.fill("url", &self.url, redactor)?;
        config::check_url("url", &url)?;
        let timeout = super::timeout(self.timeout.as_deref())?;
        let body = serde_json::to_vec(&payload(&sending.message))
            .map_err(|_| DeliveryError::refused("internal", "the message cannot be written"))?;
        let request = sending
            .client
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        webhook::post(request.timeout(timeout)).await
    }
}

/// `text` is what notifications and screen readers show; `blocks` what the channel shows.
fn payload(message: &Message) -> Value {
    let mut text = mrkdwn(&message.text, SECTION_CHARS_MAX - 500);
    if let Some(link) = &message.link {
        text = format!("{text}\n<{}|Open in Stagegate>", link_target(link));
    }
    let about = format!("{} · {}", message.workspace.name, message.timestamp);
    json!({
        "text": mrkdwn(&message.subject, SECTION_CHARS_MAX),
        "blocks": [
            // Plain text: nothing in it has a meaning, so nothing is escaped.
            {"type": "header", "text": {"type": "plain_text", "emoji": false,
                "text": clipped(&message.subject, HEADER_CHARS_MAX)}},
            // Verbatim: a `#channel` or an address in it does not become a link.
            {"type": "section", "text": {"type": "mrkdwn", "verbatim": true, "text": text}},
            {"type": "context", "elements": [
                {"type": "mrkdwn", "verbatim": true, "text": mrkdwn(&about, CONTEXT_CHARS_MAX)}]},
        ],
    })
}

/// Text of others with Slack's three escapes, so that it names nobody and links nowhere. At most `chars_max`
/// characters, cut before an escape would be cut in two.
fn mrkdwn(text: &str, chars_max: usize) -> String {
    let mut escaped = String::new();
    let mut chars = 0;
    for c in text.chars() {
        let escape = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => "",
        };
        let size = escape.len().max(1);
        if chars + size >= chars_max {
            escaped.push('…');
            break;
        }
        chars += size;
        match escape.is_empty() {
            true => escaped.push(c),
            false => escaped.push_str(escape),
        }
    }
    escaped
}

/// A URL that cannot end the link it stands in.
fn link_target(url: &str) -> String {
    url.replace('&', "&amp;")
        .replace('<', "%3C")
        .replace('>', "%3E")
        .replace('|', "%7C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::tests_support::message;

    #[test]
    fn text_of_others_names_nobody_and_links_nowhere() {
        let message = Message {
            subject: "<!channel> & *ship* it".to_owned(),
            text: "reason: <https://evil.example|click> `x`".to_owned(),
            link: Some("https://gate.example/promotions/1?a=1&b=2|x>".to_owned()),
            ..message()
        };
        let payload = payload(&message);
        assert_eq!(payload["text"], "&lt;!channel&gt; &amp; *ship* it");
        assert_eq!(
            payload["blocks"][0]["text"]["text"],
            "<!channel> & *ship* it"
        );
        assert_eq!(payload["blocks"][0]["text"]["type"], "plain_text");
        assert_eq!(
            payload["blocks"][1]["text"]["text"],
            "reason: &lt;https://evil.example|click&gt; `x`\n\
             <https://gate.example/promotions/1?a=1&amp;b=2%7Cx%3E|Open in Stagegate>"
        );
    }

    #[test]
    fn long_texts_stay_within_what_slack_takes() {
        let message = Message {
            subject: "s".repeat(400),
            text: "&".repeat(4000),
            ..message()
        };
        let payload = payload(&message);
        let length = |json: &Value| json.as_str().unwrap().chars().count();
        assert_eq!(length(&payload["blocks"][0]["text"]["text"]), 150);
        let section = &payload["blocks"][1]["text"]["text"];
        assert!(length(section) <= 3000, "{}", length(section));
        assert!(section.as_str().unwrap().contains("&amp;…"), "{section}");
    }

    #[test]
    fn the_url_is_a_credential_and_can_only_be_referred_to() {
        use crate::notify::check;
        assert_eq!(
            check("slack", &json!({"url": "{{ secret.SLACK }}"})),
            Ok(())
        );
        let error = check("slack", &json!({"url": "https://hooks.example/T0/hunter2"}));
        let error = error.unwrap_err();
        assert_eq!(error.path, "url");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let unknown = check("slack", &json!({"url": "{{ secret.S }}", "channel": "#x"}));
        assert_eq!(unknown.unwrap_err().path, "channel");
    }
}
