//! The log as a stream: every entry once, in order, resumable.

use crate::access::Caller;
use crate::admission::Place;
use crate::answer::{Answer, Failure};
use crate::app::App;
use crate::body::Query;
use crate::scope::Scope;
use crate::secret::hex;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream;
use serde::Deserialize;
use stagegate_controller::Durable;
use stagegate_store::Row;
use std::collections::VecDeque;
use std::convert::Infallible;
use tokio::sync::watch;

/// How many entries are read at once…
const PAGE: usize = 200;
/// …and how many bytes of them are kept for a listener that is slow; a single entry may be larger.
const PAGE_BYTES: usize = 1024 * 1024;
/// Where a client says how far it came.
const LAST_EVENT_ID: &str = "last-event-id";

#[derive(Deserialize)]
pub(super) struct EventsQuery {
    after: Option<u64>,
}

/// The entries after a sequence number. `Last-Event-ID` beats `after`: it is what a browser or client that lost
/// its connection sends again to the same address.
pub(super) async fn stream(
    scope: Scope,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> Answer<impl IntoResponse> {
    let last = match headers.get(LAST_EVENT_ID) {
        None => None,
        Some(value) => {
            let seq = value
                .to_str()
                .ok()
                .and_then(|text| text.trim().parse().ok());
            Some(seq.ok_or_else(|| {
                Failure::new("invalid_query", "`Last-Event-ID` is not a sequence number")
            })?)
        }
    };
    let after = last.or(query.after).unwrap_or(0);
    let durable = scope.app.controller().durable(scope.workspace());
    let durable =
        durable.ok_or_else(|| Failure::workspace_not_found(&scope.workspace().to_string()))?;
    let reader = Reader {
        _place: scope.app.admission().stream()?,
        stopping: scope.app.stopping(),
        caller: scope.caller,
        app: scope.app.clone(),
        durable,
        after,
        ready: VecDeque::new(),
    };
    let events = stream::unfold(reader, async |mut reader| {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    let heartbeat = KeepAlive::new().interval(scope.app.options().heartbeat);
    Ok(Sse::new(events).keep_alive(heartbeat))
}

struct Reader {
    _place: Place,
    app: App,
    caller: Caller,
    durable: watch::Receiver<Durable>,
    stopping: watch::Receiver<bool>,
    after: u64,
    ready: VecDeque<Event>,
}

impl Reader {
    /// The next entry; `None` ends the stream, and the client comes back with where it was.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let head = self.durable.borrow_and_update().seq;
            if head > self.after {
                // Who may no longer see the workspace sees no further entry of it.
                self.app
                    .caller_of(self.caller.workspace, self.caller.key)
                    .await
                    .ok()??;
                self.read().await?;
                continue;
            }
            tokio::select! {
                changed = self.durable.changed() => changed.ok()?,
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
    }

    async fn read(&mut self) -> Option<()> {
        let (workspace, after) = (self.caller.workspace, self.after);
        let rows = self
            .app
            .store(move |store| store.read(workspace, after, PAGE))
            .await
            .ok()?;
        let mut bytes = 0;
        for row in rows {
            bytes += row.body.len();
            if bytes > PAGE_BYTES && !self.ready.is_empty() {
                break;
            }
            self.after = row.seq;
            let event = Event::default()
                .event("entry")
                .id(row.seq.to_string())
                .data(String::from_utf8(entry_text(row)?).ok()?);
            self.ready.push_back(event);
        }
        (!self.ready.is_empty()).then_some(())
    }
}

/// An entry as it is stored, with its hashes: a store gives only what has the hash that was written, so it is not read
/// again here, however large it is.
pub(super) fn entry_text(row: Row) -> Option<Vec<u8>> {
    let mut text = row.body;
    if text.first() != Some(&b'{') || text.pop() != Some(b'}') {
        return None;
    }
    let hashes = format!(
        ",\"hash\":\"{}\",\"prevHash\":\"{}\"}}",
        hex(&row.hash),
        hex(&row.prev_hash)
    );
    text.extend(hashes.into_bytes());
    Some(text)
}
