//! What goes wrong on a page, told on a page.

use crate::answer::Failure;
use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

/// What a page gives.
pub(super) type Rendered<T = Response> = Result<T, PageFailure>;

/// Why a page cannot be shown.
#[derive(Debug)]
pub(super) struct PageFailure(Failure);

impl From<Failure> for PageFailure {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage<'a> {
    title: &'a str,
    detail: &'a str,
    hint: &'a str,
    code: &'a str,
}

impl IntoResponse for PageFailure {
    fn into_response(self) -> Response {
        let problem = &self.0.0;
        let page = FailurePage {
            title: &problem.title,
            detail: &problem.detail,
            hint: problem.hint.as_deref().unwrap_or_default(),
            code: &problem.code,
        };
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match page.render() {
            Ok(html) => (status, Html(html)).into_response(),
            Err(_) => self.0.into_response(),
        }
    }
}

pub(super) fn render(page: &impl Template) -> Rendered<Html<String>> {
    page.render()
        .map(Html)
        .map_err(|_| Failure::internal().into())
}
