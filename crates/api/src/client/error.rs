//! Why a call failed.

use crate::Problem;
use std::error::Error as _;

/// Why a call failed. No message ever holds the key.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refused and said why.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// No server answered.
    #[error("{reason}")]
    Unreachable { url: String, reason: String },
    /// Something answered, but not as a Stagegate server does.
    #[error("`{url}` {what}")]
    Unexpected {
        url: String,
        /// The HTTP status, if one came.
        status: Option<u16>,
        what: String,
    },
    /// The server's URL is none.
    #[error("`{url}` is not the URL of a server; write it like `http://localhost:8080`")]
    InvalidUrl { url: String },
    /// The key has characters that no header can carry.
    #[error("the API key cannot be sent; was a line break or a quote pasted along with it?")]
    UnusableKey,
    /// The HTTP library refused its set-up.
    #[error("cannot set up the HTTP client: {0}")]
    Setup(String),
}

impl ClientError {
    /// The error's code, as in `docs/errors.md`.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => &problem.code,
            Self::Unreachable { .. } => "unreachable",
            Self::Unexpected { .. } | Self::Setup(_) => "internal",
            Self::InvalidUrl { .. } => "invalid_value",
            Self::UnusableKey => "unauthorized",
        }
    }

    /// The HTTP status that was answered, if any was.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Unexpected { status, .. } => *status,
            _ => None,
        }
    }

    /// Whether the same call may succeed later without anyone changing it.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            // An answer that broke off has a status of its own or none at all.
            Self::Problem(_) | Self::Unexpected { .. } => self
                .status()
                .is_none_or(|status| matches!(status, 408 | 425 | 429) || status >= 500),
            _ => false,
        }
    }

    /// What the HTTP library says, in words for a person.
    pub(super) fn from_http(error: &reqwest::Error, url: &str) -> Self {
        let unreachable = |reason| Self::Unreachable {
            url: url.to_owned(),
            reason,
        };
        if error.is_timeout() {
            return unreachable(format!("`{url}` did not answer in time"));
        }
        let mut cause = error.source();
        let mut innermost = String::new();
        while let Some(source) = cause {
            let io = source.downcast_ref::<std::io::Error>();
            if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
                return unreachable(format!(
                    "no server at `{url}`; is `stagegate serve` running?"
                ));
            }
            innermost = source.to_string();
            if innermost.starts_with("dns error") {
                return unreachable(format!(
                    "the host of `{url}` cannot be found; is its name right?"
                ));
            }
            cause = source.source();
        }
        if innermost.is_empty() {
            innermost = "the connection failed".to_owned();
        }
        unreachable(format!("cannot reach `{url}`: {innermost}"))
    }
}

impl From<Problem> for ClientError {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}
