//! Jobs while they run: heartbeats, live output, and stopping them.

use super::jobs;
use crate::access::Caller;
use crate::admission::Place;
use crate::answer::{Accepted, Answer, Failure, Json, accepted};
use crate::app::App;
use crate::body::{Body, MaybeBody, Query};
use crate::live_output::LiveOutput;
use crate::scope::Scope;
use crate::wire;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use stagegate_api as api;
use stagegate_controller::Pulse;
use stagegate_model::{Command, Fact, JobId, WorkspaceId};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use tokio::time::Instant;

/// How often a stream of output looks whether it may go on.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Says that the runner is there, and hears whether it is to stop.
pub(super) async fn heartbeat(
    scope: Scope,
    Body(body): Body<api::JobHeartbeat>,
) -> Answer<Json<api::JobHeartbeatAnswer>> {
    let id: JobId = scope.id("jobId")?;
    // From here on no news is missed.
    let news = scope.app.controller().job_news(scope.workspace());
    let mut pulse = pulse(&scope, id, &body.runner, body.epoch, true).await?;
    let wait = body.wait.unwrap_or(0).min(pulse.lease_seconds / 2);
    let deadline = Instant::now() + Duration::from_secs(wait);
    let mut stopping = scope.app.stopping();
    if let Some(mut news) = news {
        while pulse.cancel.is_none() && Instant::now() < deadline {
            let concerned = tokio::select! {
                told = news.recv() => concerns(&told, id),
                () = tokio::time::sleep_until(deadline) => false,
                _ = stopping.wait_for(|stopping| *stopping) => break,
            };
            if concerned {
                pulse = self::pulse(&scope, id, &body.runner, body.epoch, false).await?;
            }
        }
    }
    Ok(Json(api::JobHeartbeatAnswer {
        status: pulse.status.to_string(),
        lease_seconds: pulse.lease_seconds,
        cancel: pulse.cancel.as_ref().map(wire::job_cancel),
    }))
}

/// Whether news may be of that job. Who lags behind looks.
fn concerns(told: &Result<JobId, RecvError>, id: JobId) -> bool {
    match told {
        Ok(told) => *told == id,
        Err(_) => true,
    }
}

async fn pulse(scope: &Scope, id: JobId, runner: &str, epoch: u64, renew: bool) -> Answer<Pulse> {
    let controller = scope.app.controller();
    let pulse = controller.heartbeat(scope.workspace(), id, runner, epoch, renew);
    match pulse.await.map_err(Failure::from) {
        Err(failure) => Err(or_ended(scope, id, failure).await?),
        Ok(pulse) => Ok(pulse),
    }
}

/// A job that is not known may be one that ended long ago.
async fn or_ended(scope: &Scope, id: JobId, failure: Failure) -> Answer<Failure> {
    if failure.0.code != "job_not_found" {
        return Ok(failure);
    }
    Ok(match jobs::archived(scope, id).await? {
        Some(job) => Failure::new("job_ended", format!("the job has ended: {}", job.status)),
        None => failure,
    })
}

/// Asks for a job to be stopped.
pub(super) async fn cancel(
    scope: Scope,
    MaybeBody(body): MaybeBody<api::CancelJob>,
) -> Answer<Accepted<api::Accepted>> {
    let id: JobId = scope.id("jobId")?;
    let command = Command::CancelJob {
        job: id,
        reason: body.reason.unwrap_or_default(),
    };
    match scope.submit(command, Vec::new()).await {
        Ok(committed) => {
            let is = |wanted: fn(&Fact) -> bool| committed.facts.iter().any(wanted);
            let message = if is(|fact| matches!(fact, Fact::JobCancelRequested { .. })) {
                "the job was asked to stop"
            } else if is(|fact| matches!(fact, Fact::JobChanged { .. })) {
                "the job was cancelled; no runner had it"
            } else {
                "the job was asked to stop before"
            };
            Ok(accepted(id, message))
        }
        Err(failure) => Err(or_ended(&scope, id, failure).await?),
    }
}

/// Takes a piece of live output from whoever has the job.
pub(super) async fn append_output(
    scope: Scope,
    Body(body): Body<api::AppendOutput>,
) -> Answer<Json<api::OutputEnd>> {
    let id: JobId = scope.id("jobId")?;
    pulse(&scope, id, &body.runner, body.epoch, true).await?;
    let outputs = scope.app.outputs();
    let key = (scope.workspace(), id);
    // Asking for the end makes no room for anything.
    let output = match body.text.is_empty() {
        true => outputs.get(key),
        false => Some(outputs.open(key)),
    };
    let end = output.map_or(0, |it| it.append(body.epoch, body.offset, &body.text));
    Ok(Json(api::OutputEnd { end }))
}

/// What is kept of a job's output; with `follow`, what comes too.
pub(super) async fn output(
    scope: Scope,
    Query(query): Query<api::JobOutputQuery>,
) -> Answer<Response> {
    let id: JobId = scope.id("jobId")?;
    let from = query.from.unwrap_or(0);
    let news = scope.app.controller().job_news(scope.workspace());
    let job = jobs::find(&scope, id).await?;
    let key = (scope.workspace(), id);
    if query.follow.unwrap_or(false) {
        let news =
            news.ok_or_else(|| Failure::workspace_not_found(&scope.workspace().to_string()))?;
        let place = scope.app.admission().stream()?;
        return Ok(follow(scope, id, from, news, place));
    }
    let ended = job.status.is_terminal();
    let stored = job.output_tail.as_ref().filter(|_| ended);
    let (start, text) = match (stored, scope.app.outputs().get(key)) {
        (Some(stored), _) => cut(stored, from),
        (None, Some(live)) => live.read(from),
        (None, None) => (0, String::new()),
    };
    let end = start + text.len() as u64;
    let output = api::JobOutput {
        start,
        end,
        text,
        ended,
    };
    Ok(Json(output).into_response())
}

/// A stored tail from the byte `from` on.
fn cut(text: &str, from: u64) -> (u64, String) {
    let mut from = usize::try_from(from).unwrap_or(usize::MAX).min(text.len());
    while !text.is_char_boundary(from) {
        from += 1;
    }
    (from as u64, text[from..].to_owned())
}

fn follow(
    scope: Scope,
    id: JobId,
    from: u64,
    news: broadcast::Receiver<JobId>,
    place: Place,
) -> Response {
    let live = scope.app.outputs().open((scope.workspace(), id));
    let heartbeat = KeepAlive::new().interval(scope.app.options().heartbeat);
    let follower = Follower {
        _place: place,
        app: scope.app.clone(),
        caller: scope.caller,
        stopping: scope.app.stopping(),
        scope,
        id,
        from,
        live,
        news,
        look: true,
        seen: false,
        ended: false,
    };
    let events = stream::unfold(follower, async |mut follower| {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Sse::new(events).keep_alive(heartbeat).into_response()
}

struct Follower {
    _place: Place,
    app: App,
    caller: Caller,
    scope: Scope,
    id: JobId,
    from: u64,
    live: Arc<LiveOutput>,
    news: broadcast::Receiver<JobId>,
    stopping: watch::Receiver<bool>,
    /// Whether how the job stands may have changed.
    look: bool,
    /// Whether any live output was seen.
    seen: bool,
    ended: bool,
}

impl Follower {
    fn key(&self) -> (WorkspaceId, JobId) {
        (self.scope.workspace(), self.id)
    }

    /// The next event; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        loop {
            let mut grown = self.live.grown();
            if let Some(piece) = self.live.piece(self.from) {
                return self.give(piece);
            }
            if std::mem::take(&mut self.look) {
                let (workspace, key) = (self.caller.workspace, self.caller.key);
                self.app.caller_of(workspace, key).await.ok()??;
                let job = jobs::find(&self.scope, self.id).await.ok()?;
                if job.status.is_terminal() {
                    // What came just before the end; else, where nothing came while it ran, what its end brought.
                    if let Some(piece) = self.live.piece(self.from) {
                        self.look = true;
                        return self.give(piece);
                    }
                    if !std::mem::replace(&mut self.seen, true) {
                        let (offset, text) =
                            cut(job.output_tail.as_deref().unwrap_or_default(), self.from);
                        if !text.is_empty() {
                            self.look = true;
                            return self.give((offset, text));
                        }
                    }
                    self.ended = true;
                    // A job that has ended needs no place that was only kept to wait for it.
                    if job.output_tail.is_some() || self.live.end() == 0 {
                        self.app.outputs().drop_of(self.key());
                    }
                    return event(
                        "end",
                        &api::OutputEnded {
                            status: job.status.to_string(),
                            message: job.message,
                        },
                    );
                }
            }
            let again = tokio::select! {
                told = self.news.recv() => {
                    self.look = concerns(&told, self.id);
                    false
                }
                _ = grown.changed() => false,
                () = tokio::time::sleep(LOOK_AGAIN) => true,
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            };
            if again {
                self.look = true;
                // It may have been pushed out by others and begun anew.
                self.live = self.app.outputs().open(self.key());
            }
        }
    }

    fn give(&mut self, (offset, text): (u64, String)) -> Option<Event> {
        self.seen = true;
        self.from = offset + text.len() as u64;
        event("output", &api::OutputPiece { offset, text })
    }
}

fn event(name: &str, data: &impl serde::Serialize) -> Option<Event> {
    let data = serde_json::to_string(data).ok()?;
    Some(Event::default().event(name).data(data))
}
