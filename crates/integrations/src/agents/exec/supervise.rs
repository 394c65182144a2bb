//! Keeping services running, and ending them.

use super::config::Launch;
use super::journal::{ServiceRecord, now};
use super::output::rotate;
use super::process::{Held, gate_service};
use super::{Inner, ServiceStatus, locked};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A service that ran this long has recovered: its next end is a first one.
const STEADY_AFTER_MS: i64 = 60_000;
const LOG_CHECK_PERIOD: Duration = Duration::from_secs(2);

/// A service's name and what is known under it.
pub(super) struct Slot {
    /// Held by whoever changes what runs here, one at a time.
    pub busy: tokio::sync::Mutex<()>,
    record: Mutex<Option<ServiceRecord>>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

impl Slot {
    /// The slot of that name.
    pub(super) fn of(inner: &Inner, name: &str) -> Arc<Self> {
        let mut slots = locked(&inner.slots);
        let slot = slots.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(Self {
                busy: tokio::sync::Mutex::default(),
                record: Mutex::default(),
                supervisor: Mutex::default(),
            })
        });
        Arc::clone(slot)
    }

    pub(super) fn record(&self) -> Option<ServiceRecord> {
        locked(&self.record).clone()
    }

    pub(super) fn set(&self, record: Option<ServiceRecord>) {
        *locked(&self.record) = record;
    }

    pub(super) fn status(&self) -> Option<ServiceStatus> {
        let record = self.record()?;
        Some(ServiceStatus {
            alive: record.process.is_alive(),
            pid: record.process.pid,
            name: record.name,
            version: record.version,
            promotion_id: record.promotion_id,
            restarts: record.restarts,
        })
    }

    /// Lets the supervisor go without waiting for it.
    pub(super) fn abandon(&self) {
        if let Some(supervisor) = locked(&self.supervisor).take() {
            supervisor.abort();
        }
    }

    /// Ends supervision: when this returns, nobody restarts the service any more.
    pub(super) async fn end_supervision(&self) {
        let supervisor = locked(&self.supervisor).take();
        if let Some(supervisor) = supervisor {
            supervisor.abort();
            // Aborted or done: either way it no longer acts.
            let _ = supervisor.await;
        }
    }

    /// Begins supervision of the process in `held`.
    pub(super) fn supervise(self: &Arc<Self>, inner: &Arc<Inner>, held: Held) {
        let task = keep_running(Arc::clone(inner), Arc::clone(self), held);
        let earlier = locked(&self.supervisor).replace(tokio::spawn(task));
        if let Some(earlier) = earlier {
            earlier.abort();
        }
    }
}

impl ServiceRecord {
    /// Ends its process and what it left behind, and says whether all of it is gone.
    pub(super) async fn end(&self) -> bool {
        let grace = Duration::from_secs(self.stop_timeout_seconds);
        self.process.end_group(&self.job_id, grace).await
    }

    fn launch(&self) -> Launch {
        Launch {
            secrets: Vec::new(),
            argv: self.argv.clone(),
            working_directory: self.working_directory.clone(),
            env: self.env.clone(),
        }
    }

    /// Writes a line of ours into the service's log, among its own.
    fn note(&self, text: &str) {
        let line = format!("stagegate: {text}\n");
        // The log is for people; the service comes first.
        let _ = std::fs::File::options()
            .append(true)
            .open(&self.log)
            .and_then(|mut log| log.write_all(line.as_bytes()));
    }
}

/// Takes up a service that an earlier agent recorded.
pub(super) async fn adopt(inner: &Arc<Inner>, record: ServiceRecord) {
    let slot = Slot::of(inner, &record.name);
    let _busy = slot.busy.lock().await;
    if slot.record().is_some() {
        // A job of this agent was quicker.
        return;
    }
    let held = Held::Adopted(record.process.clone());
    slot.set(Some(record));
    slot.supervise(inner, held);
}

/// Stops a service and forgets it.
pub(super) async fn stop(inner: &Arc<Inner>, name: &str) -> io::Result<()> {
    let slot = Slot::of(inner, name);
    let _busy = slot.busy.lock().await;
    slot.end_supervision().await;
    let record = match slot.record() {
        Some(record) => Some(record),
        None => inner.journal.service(name)?,
    };
    if let Some(record) = record
        && !record.end().await
    {
        return Err(io::Error::other(still_running(&record)));
    }
    slot.set(None);
    inner.journal.remove_service(name)
}

pub(super) fn still_running(record: &ServiceRecord) -> String {
    format!(
        "service `{}` (process group {}) does not end, not even by SIGKILL",
        record.name, record.process.pid
    )
}

async fn keep_running(inner: Arc<Inner>, slot: Arc<Slot>, mut held: Held) {
    let mut backoff = BACKOFF_MIN;
    loop {
        let Some(record) = slot.record() else {
            return;
        };
        let status = watch(&mut held, &record.log).await;
        if !record.ready {
            // Its job has not judged it yet, and will find it gone.
            return;
        }
        if now().millis_since(record.started_at) >= STEADY_AFTER_MS {
            backoff = BACKOFF_MIN;
        }
        rotate(&record.log);
        record.note(&format!(
            "{}; restarting in {:.1} s",
            describe(status),
            backoff.as_secs_f32()
        ));
        // What it left behind would hold its ports.
        record.end().await;
        sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
        match restart(&inner, &slot, &record).await {
            Ok(restarted) => held = restarted,
            Err(error) => record.note(&format!("cannot be started: {error}")),
        }
    }
}

/// Waits until the process is gone and keeps its log bounded meanwhile.
async fn watch(held: &mut Held, log: &Path) -> Option<ExitStatus> {
    loop {
        tokio::select! {
            status = held.gone() => return status,
            () = sleep(LOG_CHECK_PERIOD) => rotate(log),
        }
    }
}

async fn restart(inner: &Arc<Inner>, slot: &Slot, record: &ServiceRecord) -> io::Result<Held> {
    let gated = gate_service(&record.launch(), &Default::default(), &record.log)?;
    let record = ServiceRecord {
        process: gated.identity.clone(),
        started_at: now(),
        restarts: record.restarts.saturating_add(1),
        ..record.clone()
    };
    inner.journal.put_service(&record)?;
    slot.set(Some(record));
    gated.open().await
}

/// How a process ended, in words.
pub(super) fn describe(status: Option<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match status.map(|status| (status.code(), status.signal())) {
        Some((Some(127), _)) => "ended with exit code 127 (command not found)".to_owned(),
        Some((Some(code), _)) => format!("ended with exit code {code}"),
        Some((None, Some(signal))) => format!("was ended by signal {signal}"),
        _ => "ended".to_owned(),
    }
}
