//! The pages behind the error codes, from the same files as the documentation.

use super::failure::{Rendered, render};
use super::view::{self, PathText};
use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use pulldown_cmark::{CowStr, Event, Parser, Tag, html};

#[derive(rust_embed::Embed)]
#[folder = "../../docs/errors"]
#[include = "*.md"]
struct Pages;

#[derive(Template)]
#[template(path = "documentation.html")]
struct Documentation<'a> {
    title: &'a str,
    /// As HTML, made from our own files alone.
    html: &'a str,
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
        html: &html_of(&text),
    })?;
    let response: Response = (status, html).into_response();
    Ok(response)
}

/// The files link to each other as files; the pages have no ending.
fn html_of(markdown: &str) -> String {
    let events = Parser::new(markdown).map(|mut event| {
        if let Event::Start(Tag::Link { dest_url, .. }) = &mut event
            && let Some(page) = dest_url.strip_suffix(".md")
        {
            *dest_url = CowStr::from(page.to_owned());
        }
        event
    });
    let mut html = String::new();
    html::push_html(&mut html, events);
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_set_and_their_links_lead_to_pages() {
        assert_eq!(
            html_of("# a\n\n*b:* `<c>` [d](other_code.md)\n\n- e"),
            "<h1>a</h1>\n<p><em>b:</em> <code>&lt;c&gt;</code> <a href=\"other_code\">d</a></p>\n\
             <ul>\n<li>e</li>\n</ul>\n"
        );
        for name in Pages::iter() {
            let page = Pages::get(&name).unwrap();
            let html = html_of(&String::from_utf8_lossy(&page.data));
            assert!(html.starts_with("<h1>"), "{name}");
            assert!(!html.contains(".md\""), "{name}: {html}");
        }
    }
}
