//! Signing in with a key or a one-time code, and out again.

use super::failure::{Rendered, render};
use super::session::{self, Session};
use super::{same_origin, view};
use crate::app::App;
use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    mistake: &'a str,
    next: &'a str,
}

#[derive(Deserialize)]
pub(super) struct LoginQuery {
    code: Option<String>,
    next: Option<String>,
}

pub(super) async fn page(State(app): State<App>, Query(query): Query<LoginQuery>) -> Rendered {
    let next = own_page(query.next.as_deref());
    let Some(code) = query.code else {
        return login(StatusCode::OK, "", &next);
    };
    let caller = match app.options().login_codes.redeem(&code) {
        Some((workspace, key)) => app.caller_of(workspace, key).await?,
        None => None,
    };
    match caller {
        Some(caller) => {
            let cookie = session::start(&app, &caller).await?;
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&next)).into_response())
        }
        None => login(
            StatusCode::UNAUTHORIZED,
            "This link was used already or is too old. Sign in with an API key.",
            &next,
        ),
    }
}

#[derive(Deserialize)]
pub(super) struct LoginForm {
    key: String,
    #[serde(default)]
    next: String,
}

pub(super) async fn sign_in(
    State(app): State<App>,
    headers: HeaderMap,
    form: Result<Form<LoginForm>, FormRejection>,
) -> Rendered {
    same_origin::check(&headers)?;
    let Form(form) = form.map_err(|_| view::unreadable_form())?;
    let next = own_page(Some(&form.next));
    match app.caller_with(form.key.trim()).await? {
        Some(caller) => {
            let cookie = session::start(&app, &caller).await?;
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&next)).into_response())
        }
        None => login(
            StatusCode::UNAUTHORIZED,
            "This key is unknown or was revoked. Was it copied whole?",
            &next,
        ),
    }
}

#[derive(Deserialize)]
pub(super) struct LogoutForm {
    #[serde(default)]
    token: String,
}

pub(super) async fn sign_out(
    State(app): State<App>,
    session: Session,
    headers: HeaderMap,
    form: Result<Form<LogoutForm>, FormRejection>,
) -> Rendered {
    let Form(form) = form.map_err(|_| view::unreadable_form())?;
    session.check_form(&headers, &form.token)?;
    let cookie = session::end(&app, &headers).await?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response())
}

fn login(status: StatusCode, mistake: &str, next: &str) -> Rendered<Response> {
    let html = render(&LoginPage { mistake, next })?;
    Ok((status, html).into_response())
}

/// Only a page of this server, so that a link cannot lead on to another one after signing in.
fn own_page(next: Option<&str>) -> String {
    let own = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "/-_.".contains(letter))
    };
    next.filter(own).unwrap_or("/").to_owned()
}

#[cfg(test)]
mod tests {
    use super::own_page;

    #[test]
    fn only_own_pages_are_gone_on_to() {
        assert_eq!(own_page(Some("/promotions/7-a")), "/promotions/7-a");
        for foreign in [
            "//evil.example",
            "https://evil.example",
            "/\\evil",
            "/a?b",
            "",
        ] {
            assert_eq!(own_page(Some(foreign)), "/", "{foreign}");
        }
    }
}
