//! The router, and serving it until the process is told to stop.

use crate::answer::Failure;
use crate::app::{App, ServerOptions};
use crate::listening::{self, Bounded};
use crate::{routes, web};
use axum::Router;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use stagegate_controller::Controller;
use std::future::Future;
use tokio::net::TcpListener;

/// Everything the server answers.
pub fn router(controller: Controller, options: ServerOptions) -> Router {
    routes_of(App::new(controller, options))
}

fn routes_of(app: App) -> Router {
    Router::new()
        .nest(stagegate_api::API_PREFIX, routes::router(&app))
        .merge(web::router())
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}

/// Serves until `shutdown` is ready; then streams end, open requests are answered, and it returns.
///
/// # Errors
/// When connections can no longer be accepted.
pub async fn serve(
    listener: TcpListener,
    controller: Controller,
    options: ServerOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let drain = options.drain;
    let connections = options.connections_max;
    let connections = connections.unwrap_or_else(listening::connections_max);
    let listener = Bounded::new(listener, connections);
    let app = App::new(controller, options);
    let mut stopping = app.stopping();
    let told = app.clone();
    let served = axum::serve(listener, routes_of(app)).with_graceful_shutdown(async move {
        shutdown.await;
        told.stop();
    });
    let overdue = async move {
        // An error means that the server is gone, which ends the other branch.
        let _ = stopping.wait_for(|stopping| *stopping).await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        served = served => served,
        () = overdue => Ok(()),
    }
}

async fn ready(axum::extract::State(app): axum::extract::State<App>) -> Response {
    if *app.stopping().borrow() {
        return Failure::new("overloaded", "the server is stopping").into_response();
    }
    "ready\n".into_response()
}

async fn not_found(uri: Uri) -> Failure {
    Failure::new("not_found", format!("there is nothing at `{}`", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Failure {
    let message = format!("`{}` does not know the method {method}", uri.path());
    Failure::new("method_not_allowed", message)
}
