//! Sessions: a random token in a cookie, its hash in the store, acting with a key for as long as that counts.

use super::failure::PageFailure;
use crate::access::Caller;
use crate::answer::{Answer, Failure};
use crate::app::App;
use crate::people::People;
use crate::scope::Scope;
use crate::secret;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Redirect, Response};
use stagegate_model::{KeyId, Timestamp};
use stagegate_store::{Session as Stored, SideWrite};

const COOKIE: &str = "stagegate_session";
/// Twelve hours.
const SECONDS: i64 = 12 * 3600;

/// Someone who signed in.
pub(super) struct Session {
    pub scope: Scope,
    pub user_name: String,
    /// What every form of this session must carry.
    pub form_token: String,
    pub expires: Timestamp,
}

/// Why there is no session to go on with.
pub(super) enum NoSession {
    SignIn { next: String },
    Failed(PageFailure),
}

impl IntoResponse for NoSession {
    fn into_response(self) -> Response {
        match self {
            Self::Failed(failure) => failure.into_response(),
            Self::SignIn { next } if next == "/" => Redirect::to("/login").into_response(),
            Self::SignIn { next } => Redirect::to(&format!("/login?next={next}")).into_response(),
        }
    }
}

impl FromRequestParts<App> for Session {
    type Rejection = NoSession;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, NoSession> {
        let found = find(app, &parts.headers).await;
        match found.map_err(|failure| NoSession::Failed(failure.into()))? {
            Some(session) => Ok(session),
            None => Err(NoSession::SignIn {
                next: match parts.method {
                    Method::GET => page_of(parts.uri.path()),
                    _ => "/".to_owned(),
                },
            }),
        }
    }
}

/// The page a person sees for a path: a fragment belongs to one.
fn page_of(path: &str) -> String {
    match path.strip_prefix("/web") {
        Some("/board" | "/events") => "/".to_owned(),
        Some(page) => page.to_owned(),
        None => path.to_owned(),
    }
}

async fn find(app: &App, headers: &HeaderMap) -> Answer<Option<Session>> {
    let Some(token) = token(headers) else {
        return Ok(None);
    };
    let (hash, now) = (secret::hash(token), app.controller().now());
    let stored = app.store(move |store| store.session(&hash, now)).await?;
    let Some((stored, key)) = stored else {
        return Ok(None);
    };
    let Some(caller) = app.caller_of(key.workspace, key.id).await? else {
        return Ok(None);
    };
    let scope = Scope::of_session(app.clone(), caller);
    let people = People::of(&scope).await?;
    Ok(Some(Session {
        user_name: people.name(caller.user),
        form_token: form_token(token),
        expires: stored.expires,
        scope,
    }))
}

/// Bound to the session, and of no use for anything else.
fn form_token(session: &str) -> String {
    secret::hex(&secret::hash(&format!("form of {session}")))
}

impl Session {
    /// Refuses a form that was not made for this session.
    pub fn check_form(&self, headers: &HeaderMap, token: &str) -> Answer<()> {
        super::same_origin::check(headers)?;
        if token != self.form_token {
            return Err(
                Failure::new("forbidden", "the form is from an earlier session")
                    .hint("reload the page and try again"),
            );
        }
        Ok(())
    }
}

/// Starts a session that acts with the key; gives its cookie.
pub(super) async fn start(app: &App, caller: &Caller) -> Answer<HeaderValue> {
    let token = secret::random()?;
    let now = app.controller().now();
    put(app, secret::hash(&token), caller.key, now).await?;
    cookie(app, &token, SECONDS)
}

async fn put(app: &App, hash: stagegate_store::Hash, key_id: KeyId, now: Timestamp) -> Answer<()> {
    let session = Stored {
        hash,
        key_id,
        expires: now.plus_seconds(SECONDS),
    };
    app.store(move |store| {
        store.purge_sessions(now)?;
        store.write_side(&[SideWrite::PutSession(session)])
    })
    .await
}

/// Ends the session of these headers; gives the cookie that takes it from the browser.
pub(super) async fn end(app: &App, headers: &HeaderMap) -> Answer<HeaderValue> {
    if let Some(token) = token(headers) {
        let hash = secret::hash(token);
        app.store(move |store| store.write_side(&[SideWrite::DeleteSession { hash }]))
            .await?;
    }
    cookie(app, "", 0)
}

fn cookie(app: &App, token: &str, seconds: i64) -> Answer<HeaderValue> {
    let secure = if app.options().secure_cookies {
        "; Secure"
    } else {
        ""
    };
    let text =
        format!("{COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).map_err(|_| Failure::internal())
}

fn token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE && !value.is_empty())
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            HeaderValue::from_static("a=b; stagegate_session=t0ken; c=d"),
        );
        assert_eq!(token(&headers), Some("t0ken"));
        assert_eq!(token(&HeaderMap::new()), None);
    }

    #[test]
    fn a_fragment_leads_back_to_its_page() {
        assert_eq!(page_of("/web/board"), "/");
        assert_eq!(page_of("/web/promotions/7"), "/promotions/7");
        assert_eq!(page_of("/promotions/7"), "/promotions/7");
    }
}
