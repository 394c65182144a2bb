//! How every request that fails is answered: a problem document with a code from the list.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use stagegate_api::{PROBLEM_MEDIA_TYPE, Problem, codes};
use stagegate_controller::{ReadError, SubmitError};
use stagegate_model::{Rejection, RejectionKind};
use stagegate_store::StoreError;

/// Seconds after which a caller who was turned away may try again.
pub(crate) const RETRY_AFTER_SECONDS: &str = "1";

/// What a handler gives.
pub(crate) type Answer<T> = Result<T, Failure>;

/// Why a request was not carried out.
#[derive(Debug)]
pub(crate) struct Failure(pub Box<Problem>);

impl Failure {
    /// A failure with a code of the list.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        debug_assert!(codes::find(code).is_some(), "`{code}` is not listed");
        Self(Box::new(Problem::new(code, detail)))
    }

    pub fn at(mut self, field: impl Into<String>) -> Self {
        *self.0 = std::mem::take(&mut *self.0).at(field);
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        *self.0 = std::mem::take(&mut *self.0).hint(hint);
        self
    }

    pub fn internal() -> Self {
        Self::new("internal", "the request failed inside the server")
    }

    pub fn workspace_not_found(workspace: &str) -> Self {
        Self::new(
            "workspace_not_found",
            format!("there is no workspace `{workspace}` that this key belongs to"),
        )
    }

    /// There is no such thing: `job`, `7f3c…`.
    pub fn no_such(noun: &str, id: impl std::fmt::Display) -> Self {
        let code = format!("{}_not_found", noun.replace(' ', "_"));
        Self::new(&code, format!("there is no {noun} `{id}`"))
    }

    /// What storage or a stopping process reports; its own code where that is listed.
    fn unavailable(code: &str, message: impl Into<String>) -> Self {
        // Stopping is no fault of anything: the caller comes back, as when there is too much to do.
        let code = if code == "stopping" {
            "overloaded"
        } else {
            code
        };
        let mut problem = Problem::new(code, message).with_status(503);
        if codes::find(code).is_none() {
            problem.title = "The server cannot do this at the moment".to_owned();
        }
        Self(Box::new(problem))
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        let mut problem = Problem::new(&rejection.code, rejection.message)
            .at(rejection.field)
            .hint(rejection.hint);
        if codes::find(&rejection.code).is_none() {
            let (status, title) = match rejection.kind {
                RejectionKind::Invalid => (400, "The request is not valid"),
                RejectionKind::NotFound => (404, "There is no such thing"),
                RejectionKind::Conflict => (409, "The request does not fit the present state"),
                RejectionKind::Forbidden => (403, "This may not be done"),
            };
            problem.status = status;
            problem.title = title.to_owned();
        }
        Self(Box::new(problem))
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Rejected(rejection) => rejection.into(),
            SubmitError::Overloaded => Self::new("overloaded", error.to_string()),
            SubmitError::NoWorkspace => Self::new("workspace_not_found", error.to_string()),
            SubmitError::Unavailable { code, message } => Self::unavailable(code, message),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoWorkspace => Self::new("workspace_not_found", error.to_string()),
            ReadError::Overloaded => Self::new("overloaded", error.to_string()),
            ReadError::Unavailable { code, message } => Self::unavailable(code, message),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::unavailable(error.code(), error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let problem = *self.0;
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(PROBLEM_MEDIA_TYPE),
        );
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from_static(RETRY_AFTER_SECONDS),
            );
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A JSON answer.
#[derive(Debug)]
pub(crate) struct Json<T>(pub T);

impl<T: serde::Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => JsonText(body).into_response(),
            Err(_) => Failure::internal().into_response(),
        }
    }
}

/// A JSON answer that is text already.
#[derive(Debug)]
pub(crate) struct JsonText(pub Vec<u8>);

impl IntoResponse for JsonText {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], self.0).into_response()
    }
}

/// 202 with a body: how v1 answers most writes.
pub(crate) type Accepted<T> = (StatusCode, Json<T>);

/// A 202 that names the entity.
pub(crate) fn accepted(
    id: impl std::fmt::Display,
    message: &str,
) -> Accepted<stagegate_api::Accepted> {
    (
        StatusCode::ACCEPTED,
        Json(stagegate_api::Accepted::new(id.to_string(), message)),
    )
}
