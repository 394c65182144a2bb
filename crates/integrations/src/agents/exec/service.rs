//! Replacing a service and observing whether the new one serves.

use super::config::{Plan, Readiness};
use super::journal::{ServiceRecord, now};
use super::output::Follower;
use super::process::{Held, gate_service};
use super::supervise::{Slot, describe, still_running};
use super::{ExecEvent, Inner, JobSpec, Outcome, OutcomeCode, Phase, cancelled};
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

const LOOK_PERIOD: Duration = Duration::from_millis(50);
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a port may stay in use after the previous instance is gone.
const PORT_FREE_PATIENCE: Duration = Duration::from_secs(2);

/// What ended the wait for readiness.
enum Seen {
    Ready,
    Died(Option<ExitStatus>),
    NotReady(String),
    Cancelled,
}

/// Brings the service to what the job says, or goes on with that.
pub(super) async fn run(
    inner: &Arc<Inner>,
    job: &JobSpec,
    plan: &Plan,
    events: mpsc::Sender<ExecEvent>,
    cancel: &mut watch::Receiver<bool>,
) -> io::Result<Outcome> {
    let Plan::Service {
        launch,
        name,
        ready,
        ready_timeout,
        stop_timeout,
        min_uptime,
    } = plan
    else {
        return Ok(super::unknown("the job was started as a command"));
    };
    let name = name
        .clone()
        .unwrap_or_else(|| format!("{}@{}", job.deployment, job.resource));
    let slot = Slot::of(inner, &name);
    let _busy = tokio::select! {
        busy = slot.busy.lock() => busy,
        () = cancelled(cancel) => return Ok(Outcome::failed(
            OutcomeCode::Cancelled,
            format!("cancelled while another job worked on service `{name}`"),
        )),
    };
    inner.put_phase(
        job,
        Phase::Replacing {
            service: name.clone(),
        },
    )?;
    slot.end_supervision().await;
    let previous = match slot.record() {
        Some(record) => Some(record),
        None => inner.journal.service(&name)?,
    };
    let resumed = previous
        .as_ref()
        .is_some_and(|record| record.job_id == job.id && record.process.is_alive());

    let (mut record, mut held) = if let (true, Some(record)) = (resumed, &previous) {
        // An earlier runner started it for this very job: go on looking at it.
        slot.set(Some(record.clone()));
        let held = Held::Adopted(record.process.clone());
        (record.clone(), held)
    } else {
        if let Some(previous) = &previous {
            if !previous.end().await {
                return Ok(Outcome::failed(
                    OutcomeCode::StopFailed,
                    still_running(previous),
                ));
            }
            slot.set(None);
            inner.journal.remove_service(&name)?;
        }
        if *cancel.borrow() {
            return Ok(Outcome::failed(
                OutcomeCode::Cancelled,
                format!(
                    "cancelled before service `{name}` was started; what ran before is stopped"
                ),
            ));
        }
        if let Some(taken) = port_in_use(ready).await {
            return Ok(Outcome::failed(
                OutcomeCode::PortInUse,
                format!(
                    "service `{name}` was not started: port {taken} is in use by another process"
                ),
            ));
        }
        let log = inner.journal.create_job_dir(&job.id)?.join("service.log");
        let mut env = launch.env.clone();
        env.extend(job.facts(&inner.binary));
        let gated = match gate_service(launch, &env, &log) {
            Ok(gated) => gated,
            Err(error) => return Ok(not_started(&name, &error)),
        };
        let record = ServiceRecord {
            name: name.clone(),
            job_id: job.id.clone(),
            promotion_id: job.promotion_id.clone(),
            version: job.version.clone(),
            argv: launch.argv.clone(),
            working_directory: launch.working_directory.clone(),
            env,
            process: gated.identity.clone(),
            started_at: now(),
            ready: false,
            restarts: 0,
            stop_timeout_seconds: stop_timeout.as_secs(),
            log,
        };
        inner.journal.put_service(&record)?;
        slot.set(Some(record.clone()));
        match gated.open().await {
            Ok(held) => (record, held),
            Err(error) => {
                slot.set(None);
                inner.journal.remove_service(&name)?;
                return Ok(not_started(&name, &error));
            }
        }
    };

    let mut follower = Follower::open(record.log.clone(), launch.redactor(), events);
    let patience = (*ready_timeout).max(*min_uptime);
    let watched = Watched {
        inner,
        ready,
        started_ms: record.started_at.0,
        min_uptime: *min_uptime,
        patience,
    };
    let seen = watched.look(&mut held, &mut follower, cancel).await;
    if let Seen::Ready = seen {
        record.ready = true;
        inner.journal.put_service(&record)?;
        let pid = record.process.pid;
        slot.set(Some(record));
        slot.supervise(inner, held);
        let tail = follower.finish().await;
        let message = format!("service `{name}` runs (process {pid}){}", proof(ready));
        return Ok(Outcome::successful(message, None, tail));
    }

    if !record.end().await {
        return Ok(Outcome::failed(
            OutcomeCode::StopFailed,
            still_running(&record),
        ));
    }
    slot.set(None);
    inner.journal.remove_service(&name)?;
    let tail = follower.finish().await;
    let outcome = match seen {
        Seen::Died(status) => Outcome::failed(
            OutcomeCode::ServiceDied,
            format!(
                "service `{name}` {} before it was ready; it is stopped",
                describe(status)
            ),
        )
        .with_status(status),
        Seen::NotReady(why) => Outcome::failed(
            OutcomeCode::NotReady,
            format!(
                "service `{name}` was not ready within {:.1} s: {why}; it is stopped",
                patience.as_secs_f32()
            ),
        ),
        Seen::Ready | Seen::Cancelled => Outcome::failed(
            OutcomeCode::Cancelled,
            format!("service `{name}` was stopped because the job was cancelled"),
        ),
    };
    Ok(outcome.with_tail(tail))
}

fn not_started(name: &str, error: &io::Error) -> Outcome {
    Outcome::failed(
        OutcomeCode::StartFailed,
        format!("service `{name}` could not be started: {error}"),
    )
}

fn proof(ready: &Readiness) -> String {
    match ready {
        Readiness::Alive => String::new(),
        Readiness::Port(port) => format!(" and accepts connections on port {port}"),
        Readiness::Url(url) => format!(" and `{}` answers", crate::redact::url(url)),
    }
}

/// A new instance that has to prove itself.
struct Watched<'a> {
    inner: &'a Inner,
    ready: &'a Readiness,
    started_ms: i64,
    min_uptime: Duration,
    patience: Duration,
}

impl Watched<'_> {
    async fn look(
        &self,
        held: &mut Held,
        follower: &mut Follower,
        cancel: &mut watch::Receiver<bool>,
    ) -> Seen {
        let deadline = Instant::now() + self.patience;
        let prove = async {
            let up_ms = u64::try_from(now().0 - self.started_ms).unwrap_or_default();
            sleep(self.min_uptime.saturating_sub(Duration::from_millis(up_ms))).await;
            loop {
                let missing = match self.probe().await {
                    Ok(()) => return Ok(()),
                    Err(missing) => missing,
                };
                if Instant::now() >= deadline {
                    return Err(missing);
                }
                sleep(LOOK_PERIOD).await;
            }
        };
        tokio::pin!(prove);
        loop {
            tokio::select! {
                // Death is looked at first: what answers then is someone else.
                biased;
                status = held.gone() => return Seen::Died(status),
                () = cancelled(cancel) => return Seen::Cancelled,
                proved = &mut prove => return match proved {
                    Ok(()) => Seen::Ready,
                    Err(why) => Seen::NotReady(why),
                },
                () = sleep(LOOK_PERIOD * 2) => follower.pump(),
            }
        }
    }

    /// Whether what was configured answers; if not, what is missing.
    async fn probe(&self) -> Result<(), String> {
        match self.ready {
            Readiness::Alive => Ok(()),
            Readiness::Port(port) => {
                if accepts(*port).await {
                    return Ok(());
                }
                Err(format!("nothing accepts connections on port {port}"))
            }
            Readiness::Url(url) => {
                let request = self.inner.client.get(url).timeout(PROBE_TIMEOUT);
                request.send().await.map(|_| ()).map_err(|error| {
                    let failure = crate::http::failure(&error);
                    format!("`{}`: {}", crate::redact::url(url), failure.message)
                })
            }
        }
    }
}

async fn accepts(port: u16) -> bool {
    for host in ["127.0.0.1", "::1"] {
        let connected = timeout(PROBE_TIMEOUT, TcpStream::connect((host, port))).await;
        if matches!(connected, Ok(Ok(_))) {
            return true;
        }
    }
    false
}

/// The port on this machine that has to be free and is not: with a stranger on it, readiness would
/// prove nothing.
async fn port_in_use(ready: &Readiness) -> Option<u16> {
    let port = match ready {
        Readiness::Alive => return None,
        Readiness::Port(port) => *port,
        Readiness::Url(url) => {
            let url = reqwest::Url::parse(url).ok()?;
            let host = url.host_str()?.trim_matches(['[', ']']);
            let loopback = host == "localhost"
                || host
                    .parse()
                    .is_ok_and(|address: std::net::IpAddr| address.is_loopback());
            if !loopback {
                return None;
            }
            url.port_or_known_default()?
        }
    };
    let deadline = Instant::now() + PORT_FREE_PATIENCE;
    while accepts(port).await {
        if Instant::now() >= deadline {
            return Some(port);
        }
        sleep(LOOK_PERIOD).await;
    }
    None
}
