//! What the agent writes down before and after it acts, so that another runner process can go on.
//!
//! ```text
//! STATE/lock                       held by the one agent that works here
//! STATE/jobs/<job>/state.json      how far the job is
//! STATE/jobs/<job>/launched        there once the command was let go
//! STATE/jobs/<job>/exit            the command's exit code, written by its wrapper
//! STATE/jobs/<job>/output.log      what it said
//! STATE/jobs/<job>/output.base     how much it had said before that, once the log was cut
//! STATE/services/<name>.json       what runs under that name
//! ```
//!
//! INVARIANT: a process is let go only after the file that names it is on disk.

use super::outcome::Outcome;
use super::process::Identity;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use stagegate_model::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a finished job's outcome and output are kept.
const FINISHED_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How far a job is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobRecord {
    pub job_id: String,
    pub attempt: u32,
    pub epoch: u64,
    #[serde(flatten)]
    pub phase: Phase,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    tag = "phase",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(super) enum Phase {
    /// A command was started (and let go, if `launched` is there).
    Started {
        process: Identity,
        started_at: Timestamp,
        deadline: Timestamp,
    },
    /// A command is being ended before its time.
    Stopping { process: Identity, why: StopReason },
    /// A service is being replaced; which process, its own record says.
    Replacing { service: String },
    /// Nothing more happens.
    Finished { outcome: Outcome },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum StopReason {
    Timeout,
    Cancelled,
}

/// What runs under a service's name, and how to start it again.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceRecord {
    pub name: String,
    pub job_id: String,
    pub promotion_id: String,
    pub version: String,
    pub argv: Vec<String>,
    pub working_directory: Option<PathBuf>,
    /// Configured variables and the job's facts; what is inherited is taken anew at each start.
    pub env: BTreeMap<String, String>,
    pub process: Identity,
    pub started_at: Timestamp,
    /// Whether it was seen serving. Before that it is not restarted: its job decides.
    pub ready: bool,
    pub restarts: u32,
    pub stop_timeout_seconds: u64,
    pub log: PathBuf,
}

/// The agent's directory.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    root: PathBuf,
}

impl Journal {
    /// Creates the directories, readable by their owner alone: configured variables may be secret.
    pub(super) fn open(root: PathBuf) -> io::Result<Self> {
        let root = std::path::absolute(root)?;
        for directory in [root.clone(), root.join("jobs"), root.join("services")] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory)?;
        }
        Ok(Self { root })
    }

    /// Takes the lock that keeps a second agent out; it is free again when the file is closed, however
    /// the process ends.
    pub(super) fn lock(&self) -> io::Result<File> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.root.join("lock"))?;
        file.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                format!(
                    "another runner works in `{}`; stop it or give this one its own directory",
                    self.root.display()
                ),
            ),
            fs::TryLockError::Error(error) => error,
        })?;
        Ok(file)
    }

    pub(super) fn job_dir(&self, job_id: &str) -> PathBuf {
        self.root.join("jobs").join(file_name(job_id))
    }

    pub(super) fn create_job_dir(&self, job_id: &str) -> io::Result<PathBuf> {
        let directory = self.job_dir(job_id);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)?;
        Ok(directory)
    }

    pub(super) fn job(&self, job_id: &str) -> io::Result<Option<JobRecord>> {
        read_json(&self.job_dir(job_id).join("state.json"))
    }

    pub(super) fn put_job(&self, record: &JobRecord) -> io::Result<()> {
        let directory = self.create_job_dir(&record.job_id)?;
        write_json(&directory.join("state.json"), record)
    }

    /// Jobs that have started and not finished; unreadable ones are left for their own `run` to report.
    pub(super) fn unfinished_jobs(&self) -> io::Result<Vec<JobRecord>> {
        let mut jobs = Vec::new();
        for entry in fs::read_dir(self.root.join("jobs"))? {
            let record = read_json::<JobRecord>(&entry?.path().join("state.json"));
            if let Ok(Some(record)) = record
                && !matches!(record.phase, Phase::Finished { .. })
            {
                jobs.push(record);
            }
        }
        Ok(jobs)
    }

    fn service_path(&self, name: &str) -> PathBuf {
        let file = format!("{}.json", file_name(name));
        self.root.join("services").join(file)
    }

    pub(super) fn service(&self, name: &str) -> io::Result<Option<ServiceRecord>> {
        read_json(&self.service_path(name))
    }

    pub(super) fn put_service(&self, record: &ServiceRecord) -> io::Result<()> {
        write_json(&self.service_path(&record.name), record)
    }

    pub(super) fn remove_service(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.service_path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync_dir(&self.root.join("services")),
        }
    }

    /// Every readable record, and what is wrong with the others: one damaged file must not keep the rest
    /// from being supervised.
    pub(super) fn services(&self) -> io::Result<(Vec<ServiceRecord>, Vec<String>)> {
        let (mut services, mut damaged) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(self.root.join("services"))? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read_json(&path) {
                Ok(record) => services.extend(record),
                Err(error) => damaged.push(error.to_string()),
            }
        }
        Ok((services, damaged))
    }

    /// Removes what finished long ago, except the logs that services still write to.
    pub(super) fn prune(&self, services: &[ServiceRecord]) -> io::Result<()> {
        for entry in fs::read_dir(self.root.join("jobs"))? {
            let directory = entry?.path();
            let state = directory.join("state.json");
            let old = fs::metadata(&state)
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > FINISHED_KEPT));
            if !old || services.iter().any(|s| s.log.starts_with(&directory)) {
                continue;
            }
            if let Ok(Some(record)) = read_json::<JobRecord>(&state)
                && matches!(record.phase, Phase::Finished { .. })
            {
                fs::remove_dir_all(&directory)?;
            }
        }
        Ok(())
    }
}

/// Now, by the machine's clock.
pub(super) fn now() -> Timestamp {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// Writes whole or not at all: a temporary file, synced, renamed over the old one, and the rename synced.
fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let temporary = path.with_extension("json.tmp");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(&serde_json::to_vec_pretty(value)?)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

fn sync_dir(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("`{}` is not readable: {error}", path.display()),
        )
    })
}

/// A name as a file name: distinct names stay distinct, and none can leave its directory.
fn file_name(name: &str) -> String {
    const LENGTH_MAX: usize = 120;
    let mut file = String::new();
    for (index, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'@')
            || (byte == b'.' && index > 0);
        if plain {
            file.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(file, "%{byte:02x}");
        }
    }
    if file.len() > LENGTH_MAX || file.is_empty() {
        file.truncate(LENGTH_MAX - 33);
        file.push('%');
        for byte in &Sha256::digest(name)[..16] {
            let _ = write!(file, "{byte:02x}");
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_safe_and_distinct() {
        assert_eq!(file_name("web@host-1.eu"), "web@host-1.eu");
        for name in ["../../etc/passwd", "..", ".", "", "a/b", "a\0b"] {
            let file = file_name(name);
            assert!(!file.contains(['/', '\0']) && !file.starts_with('.') && !file.is_empty());
        }
        let long = "x".repeat(500);
        assert!(file_name(&long).len() <= 120);
        assert_ne!(file_name(&long), file_name(&"x".repeat(501)));
        assert_ne!(file_name("a/b"), file_name("a%2fb"));
    }

    #[test]
    fn a_second_agent_is_kept_out() {
        let root = tempfile::tempdir().unwrap();
        let journal = Journal::open(root.path().to_owned()).unwrap();
        let held = journal.lock().unwrap();
        assert!(
            journal
                .lock()
                .unwrap_err()
                .to_string()
                .contains("another runner")
        );
        drop(held);
        journal.lock().unwrap();
    }

    #[test]
    fn old_finished_jobs_are_pruned_and_no_others() {
        let root = tempfile::tempdir().unwrap();
        let journal = Journal::open(root.path().to_owned()).unwrap();
        let put = |id: &str, phase: Phase, old: bool| {
            let record = JobRecord {
                job_id: id.to_owned(),
                attempt: 1,
                epoch: 1,
                phase,
            };
            journal.put_job(&record).unwrap();
            if old {
                let file = File::options()
                    .write(true)
                    .open(journal.job_dir(id).join("state.json"))
                    .unwrap();
                file.set_modified(SystemTime::now() - FINISHED_KEPT - Duration::from_secs(60))
                    .unwrap();
            }
        };
        let finished = || Phase::Finished {
            outcome: Outcome::successful("done", None, String::new()),
        };
        put("old", finished(), true);
        put("fresh", finished(), false);
        let open = Phase::Replacing {
            service: "web".to_owned(),
        };
        put("open", open, true);
        journal.prune(&[]).unwrap();
        assert!(journal.job("old").unwrap().is_none());
        assert!(journal.job("fresh").unwrap().is_some());
        assert!(journal.job("open").unwrap().is_some());
        assert_eq!(journal.unfinished_jobs().unwrap().len(), 1);
    }
}
