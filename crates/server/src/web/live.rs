//! Tells open pages that something changed; they then ask for what they show.

use super::session::Session;
use crate::access::Caller;
use crate::admission::Place;
use crate::answer::Failure;
use crate::app::App;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use stagegate_controller::Durable;
use stagegate_model::Timestamp;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;

/// However much happens, a page is told at most this often.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) async fn events(session: Session) -> Response {
    let app = session.scope.app.clone();
    let Some(durable) = app.controller().durable(session.scope.workspace()) else {
        return Failure::workspace_not_found(&session.scope.workspace().to_string())
            .into_response();
    };
    let place = match app.admission().stream() {
        Ok(place) => place,
        Err(failure) => return failure.into_response(),
    };
    let heartbeat = KeepAlive::new().interval(app.options().heartbeat);
    let watcher = Watcher {
        _place: place,
        stopping: app.stopping(),
        caller: session.scope.caller,
        expires: session.expires,
        told: false,
        app,
        durable,
    };
    let events = stream::unfold(watcher, async |mut watcher| {
        let event = watcher.next().await?;
        Some((Ok::<_, Infallible>(event), watcher))
    });
    Sse::new(events).keep_alive(heartbeat).into_response()
}

struct Watcher {
    _place: Place,
    app: App,
    caller: Caller,
    expires: Timestamp,
    durable: watch::Receiver<Durable>,
    stopping: watch::Receiver<bool>,
    told: bool,
}

impl Watcher {
    /// At once the first time, so that nothing is missed between the page and this stream; then at each change.
    async fn next(&mut self) -> Option<Event> {
        if self.told {
            let changed = async {
                tokio::time::sleep(PAUSE).await;
                self.durable.changed().await.ok()
            };
            tokio::select! {
                changed = changed => changed?,
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
        self.told = true;
        if self.app.controller().now() >= self.expires {
            return None;
        }
        self.app
            .caller_of(self.caller.workspace, self.caller.key)
            .await
            .ok()??;
        let seq = self.durable.borrow_and_update().seq;
        Some(Event::default().event("changed").data(seq.to_string()))
    }
}
