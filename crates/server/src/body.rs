//! Reading what was sent: bodies and query strings, with every mistake named and placed.

use crate::answer::{Answer, Failure};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;

/// Bytes of a request's body.
pub(crate) const BODY_BYTES_MAX: usize = 2 << 20;
/// Bytes of the body of `apply`: documents, and what JSON adds to them.
pub(crate) const APPLY_BYTES_MAX: usize = 4 << 20;

/// Members that clients send back as they once read them. They say nothing that the path does not say.
const ECHOED: [&str; 3] = ["id", "workspaceId", "deploymentId"];

/// A JSON body without members that nobody reads.
pub(crate) struct Body<T>(pub T);

/// A JSON body that may be left out.
pub(crate) struct MaybeBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        let bytes = read(request, state).await?;
        if bytes.is_empty() {
            return Err(
                Failure::new("invalid_body", "the request has no body").hint("send a JSON object")
            );
        }
        parse(&bytes).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        let bytes = read(request, state).await?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(T::default()));
        }
        parse(&bytes).map(Self)
    }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Answer<Bytes> {
    let media_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or_default().to_ascii_lowercase());
    let bytes = Bytes::from_request(request, state).await.map_err(|error| {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Failure::new("payload_too_large", "the request's body is too large").hint(format!(
                "a body has at most {} MiB, that of `apply` {} MiB",
                BODY_BYTES_MAX >> 20,
                APPLY_BYTES_MAX >> 20
            ))
        } else {
            Failure::new("invalid_body", "the request's body broke off")
        }
    })?;
    if let Some(media_type) = media_type
        && !media_type.contains("json")
        && !bytes.is_empty()
    {
        let message = format!("the body is declared as `{media_type}`");
        return Err(Failure::new("unsupported_media_type", message)
            .hint("send JSON with `Content-Type: application/json`"));
    }
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    let mut unknown = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let parsed = serde_ignored::deserialize(tracked, |path| {
        let path = path.to_string().replace(".?", "").replace("?.", "");
        if !ECHOED.contains(&path.as_str()) {
            unknown.push(path);
        }
    });
    let parsed = parsed.map_err(|error| unreadable(&error, &track.path().to_string()))?;
    json.end().map_err(|error| unreadable(&error, ""))?;
    let Some(first) = unknown.first() else {
        return Ok(parsed);
    };
    let named: Vec<String> = unknown.iter().map(|path| format!("`{path}`")).collect();
    let message = format!("not known here: {}", named.join(", "));
    Err(Failure::new("unknown_field", message)
        .at(first)
        .hint("check the spelling, or leave it out"))
}

fn unreadable(error: &serde_json::Error, path: &str) -> Failure {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let what = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(what, _)| what);
    if !error.is_data() {
        let message = format!("the JSON is broken at line {line}, column {column}: {what}");
        return Failure::new("invalid_body", message);
    }
    let code = if what.starts_with("missing field") {
        "missing_field"
    } else {
        "wrong_type"
    };
    let message = format!("{} (line {line}, column {column})", in_plain_words(what));
    let field = if path == "." { "" } else { path };
    Failure::new(code, message).at(field)
}

/// What is expected, in words of JSON.
fn in_plain_words(what: &str) -> String {
    let (found, expected) = what.split_once(", expected ").unwrap_or((what, ""));
    let expected = match expected {
        "" => return found.to_owned(),
        "a string" | "a borrowed string" => "text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        other => other,
    };
    let found = found
        .replace("invalid type: ", "")
        .replace("sequence", "a list")
        .replace("map", "an object");
    format!("found {found} where {expected} is expected")
}

/// A query string. Parameters that nobody reads are passed over, as browsers and proxies add some.
pub(crate) struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|error| {
            let text = error.body_text();
            let what = text
                .split_once(": ")
                .map_or(text.as_str(), |(_, what)| what);
            Failure::new("invalid_query", what)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_api::{CastVotes, UpsertPolicy};

    fn refused<T: DeserializeOwned>(text: &str) -> stagegate_api::Problem {
        match parse::<T>(text.as_bytes()) {
            Ok(_) => panic!("accepted {text}"),
            Err(failure) => *failure.0,
        }
    }

    #[test]
    fn mistakes_are_named_and_placed() {
        let broken = refused::<CastVotes>("{\n  \"status\": }");
        assert_eq!(broken.code, "invalid_body");
        assert!(
            broken.detail.contains("line 2, column 13"),
            "{}",
            broken.detail
        );

        let wrong = refused::<CastVotes>(r#"{"status": "approved", "environmentIds": [7]}"#);
        assert_eq!(wrong.code, "wrong_type");
        assert_eq!(wrong.field.as_deref(), Some("environmentIds[0]"));
        assert!(
            wrong.detail.contains("where text is expected"),
            "{}",
            wrong.detail
        );

        let missing = refused::<CastVotes>(r#"{"status": "approved"}"#);
        assert_eq!(missing.code, "missing_field");

        let trailing = refused::<CastVotes>(r#"{"status": "a", "environmentIds": []} x"#);
        assert_eq!(trailing.code, "invalid_body");
    }

    #[test]
    fn members_that_nobody_reads_are_refused() {
        let unknown = refused::<CastVotes>(
            r#"{"status": "approved", "environmentIds": [], "comment": "x", "why": 1}"#,
        );
        assert_eq!(unknown.code, "unknown_field");
        assert!(
            unknown.detail.contains("`comment`, `why`"),
            "{}",
            unknown.detail
        );
        let echoed = r#"{"id": "x", "name": "p", "rules": [{"retry": {"maxRetries": 1}}]}"#;
        assert!(parse::<UpsertPolicy>(echoed.as_bytes()).is_ok());
    }
}
