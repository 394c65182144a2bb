//! The small service that ships with Stagegate: something real to deploy, check, break and roll back.
//!
//! | route | answer |
//! |---|---|
//! | `GET /` | name, version, instance and the promotion that put it there |
//! | `GET /version` | the version alone |
//! | `GET /health` | 200 `{"status":"ok"}`, or 500 when unhealthy |
//! | `POST /admin/health` | `{"healthy": false}` switches it |
//! | `GET /metrics` | requests, errors and latency as Prometheus text |

mod options;
mod state;

pub use options::Options;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use state::State;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const REQUEST_BODY_SIZE_BYTES_MAX: usize = 4 * 1024;

/// Serves until the process is told to stop (SIGTERM or SIGINT), or until `crash_after_seconds`.
///
/// # Errors
/// When the port cannot be bound, with the reason in words; and for a crash on purpose.
pub async fn serve(options: Options) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind((options.host.as_str(), options.port))
        .await
        .map_err(|error| cannot_listen(&options, &error))?;
    let crash_after = options.crash_after_seconds.map(Duration::from_secs);
    let state = Arc::new(State::new(options, &listener)?);
    state.log(
        "listening",
        &json!({"address": listener.local_addr()?.to_string()}),
    );
    let crash = async {
        match crash_after {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = accept(listener, Arc::clone(&state)) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = crash => {
            state.log("crashing on purpose", &json!({}));
            return Err(io::Error::other("crashed on purpose (`--crash-after-seconds`)"));
        }
    }
    state.log("stopping", &json!({}));
    Ok(())
}

fn cannot_listen(options: &Options, error: &io::Error) -> io::Error {
    let Options { host, port, .. } = options;
    let message = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} on `{host}` is taken by another process; stop it or choose another `--port`"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("port {port} on `{host}` is not permitted; choose a `--port` above 1023")
        }
        _ => format!("cannot listen on `{host}` port {port}: {error}"),
    };
    io::Error::new(error.kind(), message)
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                // Out of file descriptors, mostly: give the open connections time to end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(answer(&state, request).await) }
            });
            // A client that goes away mid-request is its own business.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30))
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(state: &State, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let started = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // What operates or observes the service does not count as its traffic.
    if path == "/metrics" && method == Method::GET {
        return text(StatusCode::OK, state.prometheus());
    }
    if path == "/admin/health" {
        return admin_health(state, request).await;
    }
    tokio::time::sleep(state.latency()).await;
    let (status, body) = if state.fails_now() && path != "/health" {
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            json!({"error": "injected by `--error-rate`", "version": state.version()}),
        )
    } else {
        route(state, &method, &path)
    };
    state.count(status.is_server_error(), started.elapsed());
    if status.is_server_error() {
        let traceparent = request
            .headers()
            .get("traceparent")
            .and_then(|value| value.to_str().ok());
        state.log(
            "request failed",
            &json!({"path": path, "statusCode": status.as_u16(), "traceparent": traceparent}),
        );
    }
    respond(status, &body)
}

fn route(state: &State, method: &Method, path: &str) -> (StatusCode, Value) {
    if method != Method::GET && method != Method::HEAD {
        let body = json!({"error": format!("`{method}` is not supported here")});
        return (StatusCode::METHOD_NOT_ALLOWED, body);
    }
    match path {
        "/" => (StatusCode::OK, state.about()),
        "/version" => (StatusCode::OK, json!({"version": state.version()})),
        "/health" => state.health(),
        _ => (
            StatusCode::NOT_FOUND,
            json!({"error": format!("there is no `{path}`")}),
        ),
    }
}

async fn admin_health(state: &State, request: Request<Incoming>) -> Response<Full<Bytes>> {
    const WANTED: &str = "send `{\"healthy\": true}` or `{\"healthy\": false}` with POST";
    if request.method() != Method::POST {
        return respond(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": WANTED}));
    }
    let body = Limited::new(request.into_body(), REQUEST_BODY_SIZE_BYTES_MAX);
    let healthy = body
        .collect()
        .await
        .ok()
        .and_then(|body| serde_json::from_slice::<Value>(&body.to_bytes()).ok())
        .and_then(|body| body.get("healthy")?.as_bool());
    let Some(healthy) = healthy else {
        return respond(StatusCode::BAD_REQUEST, &json!({"error": WANTED}));
    };
    state.set_healthy(healthy);
    state.log("health switched", &json!({"healthy": healthy}));
    respond(StatusCode::OK, &json!({"healthy": healthy}))
}

fn respond(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    with_type(status, "application/json", body.to_string())
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    with_type(status, "text/plain; version=0.0.4; charset=utf-8", body)
}

fn with_type(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
