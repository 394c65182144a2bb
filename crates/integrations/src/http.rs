//! The one HTTP client, for everything that calls out.
//!
//! TLS is rustls with ring and the system's certificates. Redirects are followed at most five times
//! and never to another origin, because headers may carry credentials of the first. Proxies come from
//! the environment (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`) and never apply to loopback.

use crate::redact;
use reqwest::{Client, NoProxy, Proxy, Url, redirect};
use std::error::Error as _;
use std::time::Duration;

/// Redirects followed for one request.
pub const REDIRECTS_MAX: usize = 5;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A proxy variable holds no URL. Its value may hold a password and is not shown.
    #[error(
        "environment variable `{variable}` is not a proxy URL; write it like `http://proxy.example.org:3128`"
    )]
    Proxy {
        /// The variable's name.
        variable: &'static str,
    },
    /// The TLS library refused its set-up.
    #[error("cannot set up the HTTP client: {0}")]
    Setup(String),
}

/// Makes the client. It pools connections: make one, clone it (cheap), and keep it within one runtime.
///
/// # Errors
/// When a proxy variable of the environment is malformed or TLS cannot be set up.
pub fn client() -> Result<Client, ClientError> {
    client_with(|name| std::env::var(name).ok())
}

/// [`client`] with the environment as a function.
///
/// # Errors
/// As [`client`].
pub fn client_with(env: impl Fn(&str) -> Option<String>) -> Result<Client, ClientError> {
    build(env, || redirect::Policy::custom(follow))
}

/// A client that gives a redirect as the answer and follows none.
///
/// # Errors
/// As [`client`].
pub fn client_without_redirects() -> Result<Client, ClientError> {
    build(|name| std::env::var(name).ok(), redirect::Policy::none)
}

fn build(
    env: impl Fn(&str) -> Option<String>,
    redirects: impl Fn() -> redirect::Policy,
) -> Result<Client, ClientError> {
    // Taken already means that someone in this process chose one before; either serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let proxies = proxies(env)?;
    let builder = || {
        let mut builder = Client::builder()
            .no_proxy()
            .user_agent(concat!("stagegate/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirects());
        for proxy in &proxies {
            builder = builder.proxy(proxy.clone());
        }
        builder
    };
    builder()
        .build()
        // A bare container may have no certificates. Plain HTTP must work there all the same; HTTPS
        // then fails for want of a trusted issuer, which the error says.
        .or_else(|_| {
            let none: [reqwest::Certificate; 0] = [];
            builder().tls_certs_only(none).build()
        })
        .map_err(|error| ClientError::Setup(reason(&error)))
}

fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    if attempt.previous().len() > REDIRECTS_MAX {
        return attempt.error(TooManyRedirects);
    }
    let stays = attempt
        .previous()
        .first()
        .is_some_and(|first| same_party(first, attempt.url()));
    if stays {
        attempt.follow()
    } else {
        // The redirect itself becomes the answer.
        attempt.stop()
    }
}

/// Whether credentials meant for `from` may go to `to`: the same origin, or its upgrade to HTTPS.
fn same_party(from: &Url, to: &Url) -> bool {
    let upgraded = from.scheme() == "http"
        && to.scheme() == "https"
        && from.port().is_none()
        && to.port().is_none();
    from.host() == to.host() && (upgraded || from.origin() == to.origin())
}

#[derive(Debug, thiserror::Error)]
#[error("more than {REDIRECTS_MAX} redirects")]
struct TooManyRedirects;

fn proxies(env: impl Fn(&str) -> Option<String>) -> Result<Vec<Proxy>, ClientError> {
    let first = |names: [&'static str; 4]| {
        names.into_iter().find_map(|name| {
            env(name)
                .filter(|value| !value.trim().is_empty())
                .map(|value| (name, value))
        })
    };
    let no_proxy = match env("NO_PROXY").or_else(|| env("no_proxy")) {
        Some(list) => format!("{LOOPBACK},{list}"),
        None => LOOPBACK.to_owned(),
    };
    let mut proxies = Vec::new();
    // `HTTP_PROXY` in capitals can be set by a request's `Proxy` header under CGI, where nothing of
    // ours runs; so it is honoured.
    if let Some((variable, url)) = first(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]) {
        proxies.push(Proxy::http(&url).map_err(|_| ClientError::Proxy { variable })?);
    }
    if let Some((variable, url)) = first(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]) {
        proxies.push(Proxy::https(&url).map_err(|_| ClientError::Proxy { variable })?);
    }
    Ok(proxies
        .into_iter()
        .map(|proxy| proxy.no_proxy(NoProxy::from_string(&no_proxy)))
        .collect())
}

/// Why a request failed, coded and fit for showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable name of the kind of failure.
    pub code: &'static str,
    /// What happened, without the URL and without any header.
    pub message: String,
}

/// Sorts a client's error into the failures a person can act upon.
#[must_use]
pub fn failure(error: &reqwest::Error) -> Failure {
    let known = |code, message: &str| Failure {
        code,
        message: message.to_owned(),
    };
    if error.is_timeout() {
        return known("timeout", "no answer in time");
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<TooManyRedirects>() {
            return known("too_many_redirects", &cause.to_string());
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            if io.kind() == std::io::ErrorKind::ConnectionRefused {
                return known(
                    "connection_refused",
                    "connection refused: nothing listens there",
                );
            }
            if let Some(tls) = tls_error(io) {
                return known("tls_failed", &format!("TLS failed: {tls}"));
            }
        }
        if cause.to_string().starts_with("dns error") {
            return known("dns_failed", "the host's name cannot be resolved");
        }
        source = cause.source();
    }
    if error.is_builder() {
        return known("invalid_request", "the request cannot be built");
    }
    Failure {
        code: if error.is_connect() {
            "connection_failed"
        } else {
            "http_failed"
        },
        message: reason(error),
    }
}

/// The TLS library's error within: an `io::Error` skips what it wraps when asked for its source.
fn tls_error(io: &std::io::Error) -> Option<&rustls::Error> {
    let inner = io.get_ref()?;
    inner
        .downcast_ref::<rustls::Error>()
        .or_else(|| tls_error(inner.downcast_ref::<std::io::Error>()?))
}

/// The innermost cause: the outer ones may quote the URL.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if cause.is::<reqwest::Error>() {
        // Nothing inside: reqwest's own words, with its URL made harmless.
        let text = error.to_string();
        return match error.url() {
            Some(url) => text.replace(url.as_str(), &redact::url(url.as_str())),
            None => text,
        };
    }
    cause.to_string()
}

/// A body read up to a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// What was read.
    pub bytes: Vec<u8>,
    /// Whether there was more.
    pub truncated: bool,
}

impl Body {
    /// As text; a character cut in two at the end is dropped, other invalid bytes become `�`.
    #[must_use]
    pub fn text(&self) -> String {
        let end = match std::str::from_utf8(&self.bytes) {
            Err(error) if self.truncated && error.error_len().is_none() => error.valid_up_to(),
            _ => self.bytes.len(),
        };
        String::from_utf8_lossy(&self.bytes[..end]).into_owned()
    }
}

/// Reads at most `size_bytes_max` of a response's body and leaves the rest unread.
///
/// # Errors
/// When the connection fails before that.
pub async fn read_body(
    mut response: reqwest::Response,
    size_bytes_max: usize,
) -> Result<Body, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = size_bytes_max - bytes.len();
        if chunk.len() > room {
            bytes.extend_from_slice(&chunk[..room]);
            return Ok(Body {
                bytes,
                truncated: true,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body {
        bytes,
        truncated: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_with_their_party() {
        let url = |text: &str| Url::parse(text).unwrap();
        let from = url("http://example.org/a");
        assert!(same_party(&from, &url("http://example.org/b")));
        assert!(same_party(&from, &url("https://example.org/b")));
        assert!(!same_party(&from, &url("http://www.example.org/b")));
        assert!(!same_party(&from, &url("http://example.org:8080/b")));
        assert!(!same_party(&url("https://example.org/"), &from));
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let body = Body {
            bytes: "aé".as_bytes()[..2].to_vec(),
            truncated: true,
        };
        assert_eq!(body.text(), "a");
    }

    #[test]
    fn a_malformed_proxy_is_named_without_its_value() {
        let error = client_with(|name| {
            (name == "HTTPS_PROXY").then(|| "http://joe:hunter2@[broken".to_owned())
        })
        .unwrap_err();
        assert!(error.to_string().contains("`HTTPS_PROXY`"), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
