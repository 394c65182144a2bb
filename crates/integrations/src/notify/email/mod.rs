//! `email`: the message by SMTP, as plain text and as simple HTML.
//!
//! ```json
//! {"host": "smtp.example.org", "port": 587, "security": "starttls", "username": "stagegate",
//!  "password": "{{ secret.SMTP }}", "from": "Stagegate <stagegate@example.org>",
//!  "to": ["releases@example.org"], "timeout": "20s"}
//! ```
//!
//! `security` is `starttls` (the default; without it nothing is sent), `tls` from the first byte, or `none`,
//! which passes for loopback only unless `allowPlaintext` is set. Messages about one promotion form one thread.

mod html;

use super::outcome::DeliveryError;
use super::{Message, Notifier, Sending, clipped, secret};
use crate::config::ConfigError;
use crate::redact::Redactor;
use lettre::message::{Mailbox, Mailboxes, MultiPart, header};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use serde::Deserialize;
use std::net::IpAddr;

const RECIPIENTS_MAX: usize = 50;
const SUBJECT_CHARS_MAX: usize = 200;

/// Configuration of `email`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmailNotifier {
    /// The mail server's name or address.
    pub host: String,
    /// 587 for `starttls`, 465 for `tls`, 25 for `none` when absent.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub security: Security,
    /// Allows `security: none` to a server that is not on this machine.
    #[serde(default)]
    pub allow_plaintext: bool,
    #[serde(default)]
    pub username: Option<String>,
    /// `{{ secret.NAME }}`.
    #[serde(default)]
    pub password: Option<String>,
    /// One address, with a name if wanted.
    pub from: String,
    pub to: Vec<String>,
    /// For one attempt, as Go writes durations; 10 s when absent, at most a minute.
    #[serde(default)]
    pub timeout: Option<String>,
}

/// How a connection to the mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS once connected, never without.
    #[default]
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// Nothing is protected.
    None,
}

impl Notifier for EmailNotifier {
    const KIND: &'static str = "email";

    fn check(&self) -> Result<(), ConfigError> {
        let invalid =
            |path: &str, what: &str, hint: &str| Err(ConfigError::invalid(path, what, hint));
        let strange = |c: char| c.is_whitespace() || c.is_control() || "/@{}".contains(c);
        if self.host.is_empty() || self.host.contains(strange) {
            let hint = "write it like `smtp.example.org`, without scheme and port";
            return invalid("host", "not the name or address of a host", hint);
        }
        if self.port == Some(0) {
            return invalid("port", "0 is no port", "use 587, 465 or 25");
        }
        if self.security == Security::None && !self.allow_plaintext && !is_loopback(&self.host) {
            let hint = "use `starttls` or `tls`, or set `allowPlaintext: true` if the way there is protected otherwise";
            return invalid("security", "the connection would not be protected", hint);
        }
        match (&self.username, &self.password) {
            (Some(name), Some(password)) => {
                if name.is_empty() || name.contains(char::is_control) {
                    return invalid("username", "it is empty or holds control characters", "");
                }
                secret::check("username", name)?;
                secret::check_only_reference("password", password)?;
            }
            (None, None) => {}
            (Some(_), None) => {
                return invalid(
                    "password",
                    "a username comes with a password",
                    "add `password: \"{{ secret.NAME }}\"`",
                );
            }
            (None, Some(_)) => {
                return invalid(
                    "username",
                    "a password comes with a username",
                    "add `username`",
                );
            }
        }
        mailbox("from", &self.from)?;
        if self.to.is_empty() || self.to.len() > RECIPIENTS_MAX {
            let what = format!("between 1 and {RECIPIENTS_MAX} addresses are needed");
            return invalid("to", &what, "use a mailing list for more");
        }
        for (index, address) in self.to.iter().enumerate() {
            mailbox(&format!("to[{index}]"), address)?;
        }
        super::timeout(self.timeout.as_deref()).map(drop)
    }

    async fn deliver(&self, sending: &Sending) -> Result<(), DeliveryError> {
        let mut redactor = Redactor::default();
        let delivered = self.send(sending, &mut redactor).await;
        delivered.map_err(|error| error.redacted(&redactor))
    }
}

impl EmailNotifier {
    async fn send(&self, sending: &Sending, redactor: &mut Redactor) -> Result<(), DeliveryError> {
        let mail = self.mail(&sending.message)?;
        let timeout = super::timeout(self.timeout.as_deref())?;
        let transport = self.transport(sending, redactor)?;
        match tokio::time::timeout(timeout, transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(DeliveryError::again(
                "timeout",
                format!("the mail server did not take it within {timeout:?}"),
            )),
        }
    }

    fn transport(
        &self,
        sending: &Sending,
        redactor: &mut Redactor,
    ) -> Result<AsyncSmtpTransport<Tokio1Executor>, DeliveryError> {
        let tls = || {
            TlsParameters::new(self.host.clone()).map_err(|error| {
                DeliveryError::again("tls_failed", format!("TLS cannot be set up: {error}"))
            })
        };
        let (tls, port) = match self.security {
            Security::StartTls => (Tls::Required(tls()?), 587),
            Security::Tls => (Tls::Wrapper(tls()?), 465),
            Security::None => (Tls::None, 25),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.host)
            .port(self.port.unwrap_or(port))
            .tls(tls)
            .timeout(Some(super::timeout(self.timeout.as_deref())?));
        if let (Some(name), Some(password)) = (&self.username, &self.password) {
            let name = sending.secrets.fill("username", name, redactor)?;
            let password = sending.secrets.fill("password", password, redactor)?;
            builder = builder.credentials(Credentials::new(name, password));
        }
        Ok(builder.build())
    }

    fn mail(&self, message: &Message) -> Result<lettre::Message, DeliveryError> {
        let from = mailbox("from", &self.from)?;
        let domain = from.email.domain().to_owned();
        let mut to = Mailboxes::new();
        for (index, address) in self.to.iter().enumerate() {
            to.push(mailbox(&format!("to[{index}]"), address)?);
        }
        let subject: String = message
            .subject
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let mut mail = lettre::Message::builder()
            .mailbox(header::To::from(to))
            .from(from)
            .subject(clipped(&subject, SUBJECT_CHARS_MAX))
            // The same for every attempt, so that mailboxes keep one copy.
            .message_id(Some(format!("<{}@{domain}>", message.id)));
        if let Some(promotion) = &message.promotion {
            mail = mail.references(format!("<promotion-{promotion}@{domain}>"));
        }
        let mut text = message.text.clone();
        if let Some(link) = &message.link {
            text = format!("{text}\n\n{link}");
        }
        let html = html::page(message);
        mail.multipart(MultiPart::alternative_plain_html(text, html))
            .map_err(|error| {
                DeliveryError::refused("refused", format!("the mail cannot be written: {error}"))
            })
    }
}

fn mailbox(path: &str, text: &str) -> Result<Mailbox, ConfigError> {
    text.parse().map_err(|_| {
        ConfigError::invalid(
            path,
            format!("`{text}` is not an email address"),
            "write it like `releases@example.org` or `Releases <releases@example.org>`",
        )
    })
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// A permanent reply refuses this mail for good, unless it is about who may send: that can be mended.
fn failure(error: &lettre::transport::smtp::Error) -> DeliveryError {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        source = cause.source();
    }
    let words = clipped(&words.replace(['\r', '\n'], " "), 300);
    let code = error.status().map(u16::from);
    match code {
        Some(530 | 534 | 535 | 538) => DeliveryError::again("login_failed", words),
        Some(500..) => DeliveryError::refused("refused", words),
        Some(_) => DeliveryError::again("answered_with_error", words),
        None if error.is_tls() => DeliveryError::again("tls_failed", words),
        None if error.is_timeout() => DeliveryError::again("timeout", words),
        None => DeliveryError::again("connection_failed", words),
    }
}

#[cfg(test)]
mod tests {
    use crate::notify::check;
    use serde_json::{Value, json};

    fn with(over: Value) -> Value {
        let mut config = json!({"host": "smtp.example.org", "from": "Gate <gate@example.org>",
            "to": ["ops@example.org"]});
        let (Value::Object(config), Value::Object(over)) = (&mut config, over) else {
            unreachable!()
        };
        config.extend(over);
        Value::Object(config.clone())
    }

    #[test]
    fn good_configurations_pass() {
        for over in [
            json!({}),
            json!({"security": "tls", "username": "gate", "password": "{{ secret.SMTP }}"}),
            json!({"host": "127.0.0.1", "port": 2525, "security": "none"}),
            json!({"host": "::1", "security": "none"}),
            json!({"security": "none", "allowPlaintext": true}),
        ] {
            assert_eq!(check("email", &with(over.clone())), Ok(()), "{over}");
        }
    }

    #[test]
    fn bad_configurations_name_the_place_and_no_secret() {
        for (over, path) in [
            (json!({"host": "smtp://x"}), "host"),
            (json!({"port": 0}), "port"),
            (json!({"security": "none"}), "security"),
            (json!({"security": "ssl"}), "security"),
            (json!({"username": "gate"}), "password"),
            (json!({"password": "{{ secret.X }}"}), "username"),
            (
                json!({"username": "gate", "password": "hunter2"}),
                "password",
            ),
            (json!({"from": "nobody"}), "from"),
            (json!({"to": []}), "to"),
            (json!({"to": ["ops@example.org", "x"]}), "to[1]"),
            (json!({"cc": []}), "cc"),
        ] {
            let error = check("email", &with(over.clone())).unwrap_err();
            assert_eq!(error.path, path, "{over}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
