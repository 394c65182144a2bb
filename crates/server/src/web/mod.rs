//! The web pages: rendered here, readable without scripts, kept current by one small script.

mod act;
mod assets;
mod board;
mod documentation;
mod failure;
mod inbox;
mod live;
mod promotion;
mod same_origin;
mod session;
mod sign_in;
mod view;
mod vote;

use crate::app::App;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};

/// Nothing but what this server sends itself; no inline scripts or styles, no frames around it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

/// Bytes of a form: the longest text that a person may give, as a browser sends it.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// Every page. All but `/login`, `/assets/…` and `/docs/errors/…` take a [`session::Session`], which sends who
/// has none to `/login`.
#[rustfmt::skip]
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/", get(board::page))
        .route("/web/board", get(board::fragment))
        .route("/inbox", get(inbox::page))
        .route("/web/inbox", get(inbox::fragment))
        .route("/promotions/{promotionId}", get(promotion::page))
        .route("/web/promotions/{promotionId}", get(promotion::fragment))
        .route("/web/promotions/{promotionId}/act", post(act::act))
        .route("/web/events", get(live::events))
        .route("/web/votes", post(vote::cast))
        .route("/login", get(sign_in::page).post(sign_in::sign_in))
        .route("/logout", post(sign_in::sign_out))
        .route("/assets/style.css", get(assets::style))
        .route("/assets/live.js", get(assets::script))
        .route("/docs/errors/{code}", get(documentation::error_code))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(from_fn(protect))
}

async fn protect(request: axum::extract::Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    set(
        headers,
        header::CONTENT_SECURITY_POLICY,
        CONTENT_SECURITY_POLICY,
    );
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::REFERRER_POLICY, "same-origin");
    if !headers.contains_key(header::CACHE_CONTROL) {
        set(headers, header::CACHE_CONTROL, "no-store");
    }
    response
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
