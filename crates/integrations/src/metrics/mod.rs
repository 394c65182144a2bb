//! Metric providers: one measurement of the outside world, as JSON that conditions are judged against.
//!
//! A provider is a type: its fields are its configuration, [`MetricProvider`] its behaviour. Types are
//! erased only in `REGISTRY`. A provider says what it saw; whether that is good or bad is decided
//! elsewhere, so an HTTP 500 is a result and only "could not be measured" is an error.

mod http;
mod sleep;

pub use http::HttpMetric;
pub use sleep::SleepMetric;

use crate::config::{self, ConfigError};
use crate::http::ClientError;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Every provider, one line each.
static REGISTRY: &[Provider] = &[Provider::of::<HttpMetric>(), Provider::of::<SleepMetric>()];

/// A way to measure something. The implementing type is its configuration, without the `type` member.
pub trait MetricProvider: DeserializeOwned + Send + Sync {
    /// The configuration's `type`.
    const KIND: &'static str;

    /// Checks what the types cannot say. Strings may still hold `{{ templates }}`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    fn check(&self) -> Result<(), ConfigError>;

    /// Takes one measurement. `self` is rendered.
    ///
    /// # Errors
    /// When nothing could be measured.
    fn measure(
        &self,
        client: &reqwest::Client,
        context: &MeasureContext,
    ) -> impl Future<Output = Result<Value, MeasureError>> + Send;
}

/// On whose behalf, and for how long at most, a measurement is taken.
#[derive(Debug, Clone)]
pub struct MeasureContext {
    /// The promotion the measurement belongs to.
    pub promotion_id: String,
    /// W3C trace context to hand on; none when empty.
    pub traceparent: String,
    /// W3C baggage to hand on; the promotion is added when it is not in it.
    pub baggage: String,
    /// Upper bound for the whole measurement, whatever its configuration says.
    pub deadline: Duration,
}

impl MeasureContext {
    /// The baggage to send: what was given, with the promotion.
    pub(crate) fn baggage_with_promotion(&self) -> String {
        const KEY: &str = "stagegate.promotion";
        let named = self.baggage.split(',').any(|member| {
            member
                .split_once('=')
                .is_some_and(|(key, _)| key.trim() == KEY)
        });
        match (self.baggage.trim(), named) {
            (given, true) => given.to_owned(),
            ("", false) => format!("{KEY}={}", self.promotion_id),
            (given, false) => format!("{given},{KEY}={}", self.promotion_id),
        }
    }
}

/// Why nothing could be measured. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MeasureError {
    /// Stable name of the kind of error.
    pub code: &'static str,
    /// What happened, and where.
    pub message: String,
}

impl From<ConfigError> for MeasureError {
    fn from(error: ConfigError) -> Self {
        Self {
            code: error.code,
            message: error.to_string(),
        }
    }
}

/// Checks a provider's configuration as it is written, when strings may still hold `{{ templates }}`.
///
/// # Errors
/// The first thing that is wrong; an unknown `type` lists the known ones.
pub fn check(config: &Value) -> Result<(), ConfigError> {
    let (provider, config) = find(config)?;
    (provider.check)(config)
}

/// The `type`s there are.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    REGISTRY.iter().map(|provider| provider.kind)
}

/// Takes measurements with any provider.
#[derive(Debug, Clone)]
pub struct Measurer {
    client: reqwest::Client,
}

impl Measurer {
    /// A measurer with an HTTP client of its own.
    ///
    /// # Errors
    /// As [`crate::http::client`].
    pub fn new() -> Result<Self, ClientError> {
        Ok(Self::with_client(crate::http::client()?))
    }

    /// A measurer that shares `client`.
    #[must_use]
    pub fn with_client(client: reqwest::Client) -> Self {
        Self { client }
    }

    /// Takes one measurement as `config`, already rendered, says; within `context.deadline`.
    ///
    /// # Errors
    /// When the configuration is not usable or nothing could be measured.
    pub async fn measure(
        &self,
        config: &Value,
        context: &MeasureContext,
    ) -> Result<Value, MeasureError> {
        let (provider, config) = find(config)?;
        (provider.check)(config.clone())?;
        let measurement = (provider.measure)(config, self.client.clone(), context.clone());
        match tokio::time::timeout(context.deadline, measurement).await {
            Ok(result) => result,
            Err(_) => Err(MeasureError {
                code: "timeout",
                message: format!(
                    "the measurement took longer than {:?} and was given up",
                    context.deadline
                ),
            }),
        }
    }
}

type Measurement = Pin<Box<dyn Future<Output = Result<Value, MeasureError>> + Send>>;

/// A provider with its type erased.
struct Provider {
    kind: &'static str,
    check: fn(Value) -> Result<(), ConfigError>,
    measure: fn(Value, reqwest::Client, MeasureContext) -> Measurement,
}

impl Provider {
    const fn of<P: MetricProvider + 'static>() -> Self {
        Self {
            kind: P::KIND,
            check: |config| config::read::<P>(config)?.check(),
            measure: |config, client, context| {
                Box::pin(async move {
                    let provider = config::read::<P>(config)?;
                    provider.measure(&client, &context).await
                })
            },
        }
    }
}

/// The provider that `config` names, and its configuration without `type`.
fn find(config: &Value) -> Result<(&'static Provider, Value), ConfigError> {
    let known = || {
        let names: Vec<String> = kinds().map(|kind| format!("`{kind}`")).collect();
        format!("use one of {}", names.join(", "))
    };
    let Value::Object(members) = config else {
        return Err(ConfigError::invalid(
            "",
            "a metric provider is an object",
            "write it like `{\"type\": \"http\", \"url\": \"…\"}`",
        ));
    };
    let kind = match members.get("type") {
        Some(Value::String(kind)) => kind,
        Some(_) => return Err(ConfigError::invalid("type", "not a string", known())),
        None => {
            return Err(ConfigError::invalid("type", "the type is missing", known()));
        }
    };
    let provider = REGISTRY
        .iter()
        .find(|provider| provider.kind == kind)
        .ok_or_else(|| {
            ConfigError::new(
                "unknown_metric_provider",
                "type",
                format!("there is no metric provider `{kind}`"),
                known(),
            )
        })?;
    let mut members = members.clone();
    members.remove("type");
    Ok((provider, Value::Object(members)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_unknown_type_lists_the_known_ones() {
        let error = check(&json!({"type": "htpp", "url": "http://x"})).unwrap_err();
        assert_eq!(
            (error.code, error.path.as_str()),
            ("unknown_metric_provider", "type")
        );
        assert_eq!(
            error.to_string(),
            "`type`: there is no metric provider `htpp`; use one of `http`, `sleep`"
        );
    }

    #[test]
    fn what_is_no_provider_at_all_is_refused() {
        for config in [json!(null), json!("http"), json!({}), json!({"type": 1})] {
            assert_eq!(
                check(&config).unwrap_err().code,
                "invalid_config",
                "{config}"
            );
        }
    }

    #[test]
    fn the_promotion_is_in_the_baggage_once() {
        let sent = |baggage: &str| {
            MeasureContext {
                promotion_id: "p1".into(),
                traceparent: String::new(),
                baggage: baggage.into(),
                deadline: Duration::from_secs(1),
            }
            .baggage_with_promotion()
        };
        assert_eq!(sent(""), "stagegate.promotion=p1");
        assert_eq!(sent("a=b"), "a=b,stagegate.promotion=p1");
        assert_eq!(
            sent("a=b, stagegate.promotion=p1"),
            "a=b, stagegate.promotion=p1"
        );
    }
}
