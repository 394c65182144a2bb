//! A typed client of the API.
//!
//! [`Client`] knows a server and a key; [`Workspace`] is what it may do in one workspace, one method per
//! route. Writes are never repeated by themselves, unless the server said that it did not carry them out.

mod agents;
mod configuration;
mod delivery;
mod error;
mod events;
mod list;
mod log;
mod orders;
mod output;
mod people;
mod send;
mod sse;

pub use error::ClientError;
pub use events::{Event, Events};
pub use list::List;
pub use output::{FollowedOutput, OutputEvent};

use crate::{CreateWorkspace, KEY_HEADER, Me, UpdateWorkspace, WorkspaceList};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use send::Request;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server and the key to use there. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// One workspace of a server.
#[derive(Clone, Debug)]
pub struct Workspace {
    client: Client,
    id: String,
}

impl Client {
    /// A client for the server at `url` (such as `http://localhost:8080`), acting with `key`.
    ///
    /// Nothing is sent yet. Proxies come from the environment and never apply to loopback.
    ///
    /// # Errors
    /// When the URL is none, or the key cannot be sent in a header.
    pub fn new(url: &str, key: &str) -> Result<Self, ClientError> {
        let base = base(url)?;
        let mut value = HeaderValue::from_str(key.trim()).map_err(|_| ClientError::UnusableKey)?;
        value.set_sensitive(true);
        let name = HeaderName::from_bytes(KEY_HEADER.as_bytes())
            .map_err(|error| ClientError::Setup(error.to_string()))?;
        let headers = HeaderMap::from_iter([(name, value)]);
        // Taken already means that this process chose a provider before; either serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let loopback = base.host_str().is_some_and(is_loopback);
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("stagegate/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .default_headers(headers.clone())
                // A redirect could carry the key to another host.
                .redirect(reqwest::redirect::Policy::none());
            if loopback {
                builder.no_proxy()
            } else {
                builder
            }
        };
        let http = builder()
            .build()
            // A bare container may have no certificates; plain HTTP must work there all the same.
            .or_else(|_| {
                let none: [reqwest::Certificate; 0] = [];
                builder().tls_certs_only(none).build()
            })
            .map_err(|error| ClientError::Setup(error.to_string()))?;
        Ok(Self { http, base })
    }

    /// The server's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// `GET /v1/me`: who the key acts as.
    ///
    /// # Errors
    /// As every call: the server's refusal, or that it could not be reached.
    pub async fn me(&self) -> Result<Me, ClientError> {
        self.send(Request::get(["me"])).await
    }

    /// `GET /v1/workspaces`.
    ///
    /// # Errors
    /// As every call.
    pub async fn workspaces(&self) -> Result<WorkspaceList, ClientError> {
        self.send(Request::get(["workspaces"])).await
    }

    /// `POST /v1/workspaces`.
    ///
    /// # Errors
    /// As every call.
    pub async fn create_workspace(
        &self,
        body: &CreateWorkspace,
    ) -> Result<crate::Workspace, ClientError> {
        self.send(Request::post(["workspaces"]).json(body)?).await
    }

    /// `GET /v1/workspaces/slug/{slug}`.
    ///
    /// # Errors
    /// As every call.
    pub async fn workspace_by_slug(&self, slug: &str) -> Result<crate::Workspace, ClientError> {
        self.send(Request::get(["workspaces", "slug", slug])).await
    }

    /// The workspace with that id. Nothing is sent.
    #[must_use]
    pub fn workspace(&self, id: impl Into<String>) -> Workspace {
        Workspace {
            client: self.clone(),
            id: id.into(),
        }
    }
}

impl Workspace {
    /// The workspace's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The server it is on.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `GET /v1/workspaces/{id}`.
    ///
    /// # Errors
    /// As every call.
    pub async fn get(&self) -> Result<crate::Workspace, ClientError> {
        self.client.send(self.to_get([])).await
    }

    /// `PATCH /v1/workspaces/{id}`.
    ///
    /// # Errors
    /// As every call.
    pub async fn update(&self, body: &UpdateWorkspace) -> Result<crate::Workspace, ClientError> {
        let request = Request::new(reqwest::Method::PATCH, ["workspaces", &self.id]);
        self.client.send(request.json(body)?).await
    }

    fn to<const N: usize>(&self, method: reqwest::Method, path: [&str; N]) -> Request {
        Request::new(method, ["workspaces", &self.id].into_iter().chain(path))
    }

    fn to_get<const N: usize>(&self, path: [&str; N]) -> Request {
        self.to(reqwest::Method::GET, path)
    }

    fn to_post<const N: usize>(&self, path: [&str; N]) -> Request {
        self.to(reqwest::Method::POST, path)
    }

    fn to_put<const N: usize>(&self, path: [&str; N]) -> Request {
        self.to(reqwest::Method::PUT, path)
    }

    fn to_delete<const N: usize>(&self, path: [&str; N]) -> Request {
        self.to(reqwest::Method::DELETE, path)
    }

    fn list<T, const N: usize>(&self, path: [&str; N]) -> List<T> {
        List::new(self.client.clone(), self.to_get(path))
    }
}

fn base(url: &str) -> Result<Url, ClientError> {
    let invalid = || ClientError::InvalidUrl {
        url: url.to_owned(),
    };
    let base = Url::parse(url.trim()).map_err(|_| invalid())?;
    let usable = matches!(base.scheme(), "http" | "https") && base.host_str().is_some();
    if usable { Ok(base) } else { Err(invalid()) }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked() {
        assert!(Client::new("http://localhost:8080/", "k").is_ok());
        assert!(Client::new("https://gate.example.org/stagegate", "k").is_ok());
        for url in ["localhost:8080", "", "ftp://localhost", "http://"] {
            let error = Client::new(url, "k").unwrap_err().to_string();
            assert!(error.contains("http://localhost:8080"), "{url}: {error}");
        }
    }

    #[test]
    fn keys_are_never_shown() {
        assert!(Client::new("http://localhost", "sg_secret\n").is_ok());
        let error = Client::new("http://localhost", "sg_\nsecret").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        let client = Client::new("http://localhost", "sg_secret").unwrap();
        assert!(!format!("{client:?}").contains("sg_secret"));
    }

    #[test]
    fn loopback_is_recognised() {
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example.org", "10.0.0.1", "[::2]"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
