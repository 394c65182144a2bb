//! The pages behind the error codes, from the same files as the documentation.

use super::failure::{Rendered, render};
use super::view::{self, PathText};
use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

#[derive(rust_embed::Embed)]
#[folder = "../../docs/errors"]
#[include = "*.md"]
struct Pages;

#[derive(Template)]
#[template(path = "documentation.html")]
struct Documentation<'a> {
    title: &'a str,
    text: &'a str,
}

pub(super) async fn error_code(path: PathText) -> Rendered {
    let Path(code) = path.map_err(|_| view::unreadable_path())?;
    let known = code
        .chars()
        .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    let page = known.then(|| Pages::get(&format!("{code}.md"))).flatten();
    let (status, text) = match &page {
        Some(page) => (StatusCode::OK, String::from_utf8_lossy(&page.data)),
        None => (
            StatusCode::NOT_FOUND,
            "There is no page about this code.".into(),
        ),
    };
    let html = render(&Documentation {
        title: &code,
        text: &text,
    })?;
    let response: Response = (status, html).into_response();
    Ok(response)
}
