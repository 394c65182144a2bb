//! What came of a delivery, and whether to try again.

use crate::config::ConfigError;
use crate::redact::Redactor;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::Duration;

/// How much of a refusal's body is shown, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Why a message is not known to have arrived. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DeliveryError {
    /// Stable name of the kind of error.
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// Whether the same message can never arrive there, so that trying again is useless.
    pub is_final: bool,
    /// How long the receiver asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl DeliveryError {
    /// Worth trying again: the receiver or its configuration may be mended meanwhile.
    pub fn again(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            is_final: false,
            retry_after: None,
        }
    }

    /// Not worth trying again.
    pub fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            is_final: true,
            ..Self::again(code, message)
        }
    }

    /// The same error without any of the known secrets.
    #[must_use]
    pub(super) fn redacted(mut self, redactor: &Redactor) -> Self {
        self.message = redactor.text(&self.message);
        self
    }
}

/// A configuration that was checked when it was written and no longer fits was mended or will be.
impl From<ConfigError> for DeliveryError {
    fn from(error: ConfigError) -> Self {
        Self::again(error.code, error.to_string())
    }
}

/// Judges an HTTP answer that `said` so much in its body.
///
/// Refused for good is only what says that this very message is not wanted: a redirect (none is followed: it
/// would carry the message and its credentials elsewhere), 400, 405, 410, 413, 414, 415, 422 and 431. All else
/// may be mended, a missing route or a rejected credential included.
pub(super) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    said: &str,
) -> Result<(), DeliveryError> {
    if status.is_success() {
        return Ok(());
    }
    if status.is_redirection() {
        let message = format!(
            "it answered {} and pointed elsewhere; give the address it points to",
            status.as_u16()
        );
        return Err(DeliveryError::refused("redirected", message));
    }
    let said = shown(said);
    let message = match said.is_empty() {
        true => format!("it answered {status}"),
        false => format!("it answered {status}: {said}"),
    };
    if matches!(
        status.as_u16(),
        400 | 405 | 410 | 413 | 414 | 415 | 422 | 431
    ) {
        return Err(DeliveryError::refused("refused", message));
    }
    Err(DeliveryError {
        retry_after: retry_after(headers),
        ..DeliveryError::again("answered_with_error", message)
    })
}

/// `Retry-After` in seconds. Its other form, a date, is rare and read as absent: the usual pause serves.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok();
    seconds.map(Duration::from_secs)
}

/// The beginning of a foreign text on one line.
fn shown(text: &str) -> String {
    let words: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    super::clipped(words.trim(), SHOWN_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16) -> Result<(), DeliveryError> {
        judge(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), "")
    }

    #[test]
    fn only_what_no_retry_can_mend_is_final() {
        for status in [200, 201, 202, 204] {
            assert_eq!(judged(status), Ok(()), "{status}");
        }
        for status in [301, 302, 307, 400, 410, 413, 422] {
            assert!(judged(status).unwrap_err().is_final, "{status}");
        }
        for status in [401, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504] {
            assert!(!judged(status).unwrap_err().is_final, "{status}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_time() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, " 120 ".parse().unwrap());
        let error = judge(StatusCode::TOO_MANY_REQUESTS, &headers, "slow\ndown\n").unwrap_err();
        assert_eq!(error.retry_after, Some(Duration::from_secs(120)));
        assert_eq!(
            error.message,
            "it answered 429 Too Many Requests: slow down"
        );
        headers.insert(
            RETRY_AFTER,
            "Fri, 31 Dec 1999 23:59:59 GMT".parse().unwrap(),
        );
        let error = judge(StatusCode::SERVICE_UNAVAILABLE, &headers, "").unwrap_err();
        assert_eq!(error.retry_after, None);
    }
}
