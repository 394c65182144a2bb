//! Notifiers: how people and their tools are told what happened.
//!
//! A notifier is a type: its fields are its configuration, [`Notifier`] its behaviour. Types are erased only in
//! `REGISTRY`. What is worth telling, and to whom, is decided elsewhere; here one message is delivered once, and
//! [`DeliveryError`] says whether trying again makes sense.
//!
//! Secrets are never part of a configuration: `{{ secret.NAME }}` names one ([`secret`]).

mod email;
mod message;
mod outcome;
mod secret;
mod slack;
mod webhook;

pub use email::EmailNotifier;
pub use message::{BODY_VERSION, Event, Freeze, Message, Named};
pub use outcome::DeliveryError;
pub(crate) use secret::variable as secret_variable;
pub use secret::{SECRET_VARIABLE_PREFIX, Secrets};
pub use slack::SlackNotifier;
pub use webhook::WebhookNotifier;

use crate::config::{self, ConfigError};
use crate::duration;
use crate::http::ClientError;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Every notifier, one line each.
static REGISTRY: &[Kind] = &[
    Kind::of::<EmailNotifier>(),
    Kind::of::<SlackNotifier>(),
    Kind::of::<WebhookNotifier>(),
];

/// The longest a delivery may take, whatever its configuration says.
pub const DELIVERY_DEADLINE: Duration = Duration::from_secs(60);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// A way to tell someone. The implementing type is its configuration.
pub trait Notifier: DeserializeOwned + Send + Sync {
    /// The notifier's type, as documents name it.
    const KIND: &'static str;

    /// Checks what the types cannot say. Strings may hold `{{ secret.NAME }}`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    fn check(&self) -> Result<(), ConfigError>;

    /// Delivers one message, once.
    ///
    /// # Errors
    /// When it is not known to have arrived.
    fn deliver(&self, sending: &Sending) -> impl Future<Output = Result<(), DeliveryError>> + Send;
}

/// One message on its way, and what is needed to send it.
pub struct Sending {
    client: reqwest::Client,
    secrets: Secrets,
    message: Message,
    /// When this attempt is made, in seconds since 1970, UTC.
    at_seconds: i64,
}

/// The types there are.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    REGISTRY.iter().map(|notifier| notifier.kind)
}

/// Checks the configuration of a notifier of this type as it is written.
///
/// # Errors
/// The first thing that is wrong; an unknown type lists the known ones.
pub fn check(kind: &str, config: &Value) -> Result<(), ConfigError> {
    (find(kind)?.check)(config.clone())
}

/// Delivers messages with any notifier.
#[derive(Clone, Debug)]
pub struct Deliverer {
    client: reqwest::Client,
    secrets: Secrets,
}

impl Deliverer {
    /// A deliverer with an HTTP client of its own, which follows no redirects.
    ///
    /// # Errors
    /// As [`crate::http::client`].
    pub fn new(secrets: Secrets) -> Result<Self, ClientError> {
        Ok(Self {
            client: crate::http::client_without_redirects()?,
            secrets,
        })
    }

    /// Delivers `message` once, within [`DELIVERY_DEADLINE`]. `at_seconds` is now, in seconds since 1970, UTC.
    ///
    /// # Errors
    /// When it is not known to have arrived; the error never holds a secret.
    pub async fn deliver(
        &self,
        kind: &str,
        config: &Value,
        message: Message,
        at_seconds: i64,
    ) -> Result<(), DeliveryError> {
        let notifier = find(kind)?;
        (notifier.check)(config.clone())?;
        let sending = Arc::new(Sending {
            client: self.client.clone(),
            secrets: self.secrets.clone(),
            message,
            at_seconds,
        });
        let delivery = (notifier.deliver)(config.clone(), sending);
        match tokio::time::timeout(DELIVERY_DEADLINE, delivery).await {
            Ok(outcome) => outcome,
            Err(_) => Err(DeliveryError::again(
                "timeout",
                format!("the delivery took longer than {DELIVERY_DEADLINE:?} and was given up"),
            )),
        }
    }
}

type Delivery = Pin<Box<dyn Future<Output = Result<(), DeliveryError>> + Send>>;

/// A notifier with its type erased.
struct Kind {
    kind: &'static str,
    check: fn(Value) -> Result<(), ConfigError>,
    deliver: fn(Value, Arc<Sending>) -> Delivery,
}

impl Kind {
    const fn of<N: Notifier + 'static>() -> Self {
        Self {
            kind: N::KIND,
            check: |config| config::read::<N>(config)?.check(),
            deliver: |config, sending| {
                Box::pin(async move {
                    let notifier = config::read::<N>(config)?;
                    notifier.deliver(&sending).await
                })
            },
        }
    }
}

fn find(kind: &str) -> Result<&'static Kind, ConfigError> {
    let found = REGISTRY.iter().find(|notifier| notifier.kind == kind);
    found.ok_or_else(|| {
        let names: Vec<String> = kinds().map(|kind| format!("`{kind}`")).collect();
        ConfigError::new(
            "unknown_notifier",
            "type",
            format!("there is no notifier type `{kind}`"),
            format!("use one of {}", names.join(", ")),
        )
    })
}

/// A configured `timeout`, as Go writes durations; 10 s when there is none.
fn timeout(text: Option<&str>) -> Result<Duration, ConfigError> {
    let Some(text) = text else {
        return Ok(TIMEOUT_DEFAULT);
    };
    let timeout =
        duration::parse(text).map_err(|message| ConfigError::invalid("timeout", message, ""))?;
    if timeout.is_zero() || timeout > DELIVERY_DEADLINE {
        return Err(ConfigError::invalid(
            "timeout",
            format!("`{text}` is out of range"),
            "use more than nothing and at most `1m`",
        ));
    }
    Ok(timeout)
}

/// `text`, cut to at most so many characters with `…` in the place of the rest.
fn clipped(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
            format!("{kept}…")
        }
    }
}

#[cfg(test)]
mod tests_support {
    use super::{BODY_VERSION, Event, Message, Named};

    pub fn message() -> Message {
        Message {
            version: BODY_VERSION,
            kind: "stagegate.notification",
            id: "msg_1_2".to_owned(),
            timestamp: "2026-01-02T03:04:05Z".to_owned(),
            sequence: 1,
            events: vec![Event {
                kind: "approvalNeeded".to_owned(),
                message: "1 approval is needed".to_owned(),
                ..Event::default()
            }],
            subject: "api 1.2.0 waits for approval in production".to_owned(),
            text: "1 approval is needed".to_owned(),
            link: None,
            workspace: Named {
                id: "w".to_owned(),
                name: "default".to_owned(),
            },
            break_glass: false,
            freeze: None,
            promotion: None,
            deployment: None,
            deployed_version: None,
            environment: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_unknown_type_lists_the_known_ones() {
        let error = check("slcak", &json!({})).unwrap_err();
        assert_eq!(
            (error.code, error.path.as_str()),
            ("unknown_notifier", "type")
        );
        assert_eq!(
            error.to_string(),
            "`type`: there is no notifier type `slcak`; use one of `email`, `slack`, `webhook`"
        );
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(clipped("grün", 4), "grün");
        assert_eq!(clipped("grüner", 4), "grü…");
    }

    #[test]
    fn timeouts_have_a_range() {
        assert_eq!(timeout(None).unwrap(), TIMEOUT_DEFAULT);
        assert_eq!(timeout(Some("2s")).unwrap(), Duration::from_secs(2));
        for wrong in ["0s", "61s", "2"] {
            assert_eq!(timeout(Some(wrong)).unwrap_err().path, "timeout", "{wrong}");
        }
    }
}
