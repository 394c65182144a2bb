//! One request and its answer.

use super::{Client, ClientError};
use crate::{API_PREFIX, Json, Problem};
use reqwest::{Method, Response, StatusCode, Url, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long an answer may take, unless the request says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How often a request is repeated that the server did not carry out for want of capacity.
const OVERLOADED_RETRIES: u32 = 3;

/// The longest wait between such repetitions.
const OVERLOADED_WAIT_MAX: Duration = Duration::from_secs(5);

/// How much of a strange answer an error quotes, in characters.
const QUOTED_MAX: usize = 200;

/// A request about to be sent.
#[derive(Clone, Debug)]
pub(super) struct Request {
    method: Method,
    path: Vec<String>,
    query: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    timeout: Option<Duration>,
    last_event_id: Option<u64>,
    stream: bool,
}

impl Request {
    pub(super) fn new<'a>(method: Method, path: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            method,
            path: path.into_iter().map(str::to_owned).collect(),
            query: Vec::new(),
            body: None,
            timeout: Some(TIMEOUT),
            last_event_id: None,
            stream: false,
        }
    }

    pub(super) fn get<'a>(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post<'a>(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(Method::POST, path)
    }

    /// With that body.
    pub(super) fn json(mut self, body: &impl Serialize) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body)
            .map_err(|error| ClientError::Setup(format!("cannot write the body: {error}")))?;
        self.body = Some(body);
        Ok(self)
    }

    /// With that query parameter; a later one of the same name replaces it.
    pub(super) fn param(mut self, name: &str, value: impl ToString) -> Self {
        self.query.retain(|(known, _)| known != name);
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// With the members of `query` that are set as parameters.
    pub(super) fn params(mut self, query: &impl Serialize) -> Self {
        if let Ok(Json::Object(members)) = serde_json::to_value(query) {
            for (name, value) in members {
                self = match value {
                    Json::Null => self,
                    Json::String(text) => self.param(&name, text),
                    other => self.param(&name, other),
                };
            }
        }
        self
    }

    /// With another limit on the whole answer; without any when `None`.
    pub(super) fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// As an event stream that goes on after that entry.
    pub(super) fn events_after(mut self, seq: u64) -> Self {
        self.last_event_id = Some(seq);
        self.param("after", seq).timeout(None)
    }

    /// As an event stream whose events have no ids.
    pub(super) fn stream(mut self) -> Self {
        self.stream = true;
        self.timeout(None)
    }

    fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments
                .pop_if_empty()
                .extend(API_PREFIX.split('/').filter(|part| !part.is_empty()))
                .extend(&self.path);
        }
        url.set_fragment(None);
        url.set_query(None);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }
}

impl Client {
    /// Sends and reads the answer's JSON.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<T, ClientError> {
        let url = request.url(&self.base);
        let (status, bytes) = self.send_for_bytes(request).await?;
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Unexpected {
            url: url.to_string(),
            status: Some(status),
            what: format!(
                "answered something that cannot be read ({error}): {}; is it a Stagegate server, and not an older one?",
                quoted(&bytes)
            ),
        })
    }

    /// Sends and reads the answer as text.
    pub(super) async fn send_for_text(&self, request: Request) -> Result<String, ClientError> {
        let (_, bytes) = self.send_for_bytes(request).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Sends and drops the answer.
    pub(super) async fn send_only(&self, request: Request) -> Result<(), ClientError> {
        self.send_for_bytes(request).await.map(|_| ())
    }

    async fn send_for_bytes(&self, request: Request) -> Result<(u16, Vec<u8>), ClientError> {
        let response = self.open(request).await?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.map_err(|error| self.lost(&error))?;
        Ok((status, bytes.to_vec()))
    }

    /// Sends and gives the answer once its head is there and says success.
    pub(super) async fn open(&self, request: Request) -> Result<Response, ClientError> {
        let mut repeated = 0;
        loop {
            let response = self.open_once(&request).await?;
            if response.status().is_success() {
                return Ok(response);
            }
            let wait = retry_after(&response);
            let error = self.refusal(response).await;
            if error.code() != "overloaded" || repeated == OVERLOADED_RETRIES {
                return Err(error);
            }
            repeated += 1;
            tokio::time::sleep(wait).await;
        }
    }

    async fn open_once(&self, request: &Request) -> Result<Response, ClientError> {
        let mut builder = self
            .http
            .request(request.method.clone(), request.url(&self.base));
        if let Some(timeout) = request.timeout {
            builder = builder.timeout(timeout);
        }
        if request.stream || request.last_event_id.is_some() {
            builder = builder.header(header::ACCEPT, "text/event-stream");
        }
        if let Some(seq) = request.last_event_id {
            builder = builder.header("Last-Event-ID", seq);
        }
        if let Some(body) = &request.body {
            builder = builder
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        builder.send().await.map_err(|error| self.lost(&error))
    }

    /// What an answer that is no success means.
    async fn refusal(&self, response: Response) -> ClientError {
        let status = response.status();
        let url = response.url().to_string();
        let location = response
            .headers()
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let bytes = match response.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return self.lost(&error),
        };
        if let Ok(mut problem) = serde_json::from_slice::<Problem>(&bytes) {
            problem.status = status.as_u16();
            return problem.into();
        }
        let what = match location {
            Some(location) if status.is_redirection() => {
                format!("redirects to `{location}`; use the URL of the server itself")
            }
            _ => format!("answered {status}: {}", quoted(&bytes)),
        };
        ClientError::Unexpected {
            url,
            status: Some(status.as_u16()),
            what,
        }
    }

    pub(super) fn lost(&self, error: &reqwest::Error) -> ClientError {
        ClientError::from_http(error, self.url())
    }
}

fn retry_after(response: &Response) -> Duration {
    let seconds = response
        .headers()
        .get(header::RETRY_AFTER)
        .filter(|_| response.status() == StatusCode::SERVICE_UNAVAILABLE)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or(1)).min(OVERLOADED_WAIT_MAX)
}

fn quoted(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    if text.is_empty() {
        return "an empty body".to_owned();
    }
    match text.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PromotionsQuery;

    #[test]
    fn segments_and_parameters_are_encoded() {
        let base = Url::parse("http://localhost:8080/gate/").unwrap();
        let query = PromotionsQuery {
            version: Some("v1+2&3".to_owned()),
            open: Some(true),
            limit: Some(5),
            ..PromotionsQuery::default()
        };
        let url = Request::get(["workspaces", "w", "resources", "identifier", "a/b ?c"])
            .params(&query)
            .param("limit", 7)
            .url(&base);
        assert_eq!(
            url.as_str(),
            "http://localhost:8080/gate/api/v1/workspaces/w/resources/identifier/a%2Fb%20%3Fc?open=true&version=v1%2B2%263&limit=7"
        );
    }

    #[test]
    fn strange_answers_are_quoted_in_bounds() {
        assert_eq!(quoted(b"  "), "an empty body");
        assert_eq!(quoted("ä".repeat(500).as_bytes()).chars().count(), 203);
    }
}
