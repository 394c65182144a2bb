//! The jobs whose end the server does not know yet, one file each.
//!
//! ```text
//! DATA/unreported/<job>.json    from just before the claim until the end was acknowledged
//! ```

use serde::{Deserialize, Serialize};
use stagegate_api::{Job, JobReport};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What is known of a job whose end the server does not know yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    pub(crate) job_id: String,
    pub(crate) agent_id: String,
    /// The job as it was claimed; absent until the claim was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<Job>,
    /// How it ended; absent until it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) report: Option<JobReport>,
    /// It was stopped because another runner may have it; nothing will be said of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) given_up: bool,
}

/// The directory of entries.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    directory: PathBuf,
}

impl Journal {
    /// Creates what is missing, readable by its owner alone: configurations may hold secrets.
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        let directory = data_dir.join("unreported");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)?;
        Ok(Self { directory })
    }

    pub(crate) fn get(&self, job_id: &str) -> io::Result<Option<Entry>> {
        read(&self.path(job_id)?)
    }

    pub(crate) fn put(&self, entry: &Entry) -> io::Result<()> {
        write_whole(&self.path(&entry.job_id)?, &serde_json::to_vec(entry)?)
    }

    pub(crate) fn remove(&self, job_id: &str) -> io::Result<()> {
        match fs::remove_file(self.path(job_id)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // An entry that comes back after a crash only repeats its report, so no sync is needed.
            other => other,
        }
    }

    /// Notes that the server was heard of the job just now. Outlives the runner, not the machine.
    pub(crate) fn touch(&self, job_id: &str) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path(job_id)?)?;
        file.set_modified(SystemTime::now())
    }

    /// How long ago the server was last heard of the job; `None` when that cannot be told.
    pub(crate) fn silent_for(&self, job_id: &str) -> Option<Duration> {
        let path = self.path(job_id).ok()?;
        fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()
    }

    /// All entries, in order of their jobs' ids.
    pub(crate) fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.directory)? {
            let path = file?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                entries.extend(read(&path)?);
            }
        }
        entries.sort_by(|a, b| a.job_id.cmp(&b.job_id));
        Ok(entries)
    }

    /// Ids come from the server; one that could leave the directory is refused.
    fn path(&self, job_id: &str) -> io::Result<PathBuf> {
        let plain = job_id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if job_id.is_empty() || job_id.len() > 100 || !plain {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{job_id}` is no id of a job"),
            ));
        }
        Ok(self.directory.join(format!("{job_id}.json")))
    }
}

fn read(path: &Path) -> io::Result<Option<Entry>> {
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

/// Writes whole or not at all, and durably: a temporary file, synced, renamed, the rename synced.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str) -> Entry {
        Entry {
            job_id: id.to_owned(),
            agent_id: "agent".to_owned(),
            job: None,
            report: None,
            given_up: false,
        }
    }

    #[test]
    fn entries_survive_until_removed() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.put(&entry("b")).unwrap();
        let ended = Entry {
            job: Some(Job::default()),
            report: Some(JobReport {
                status: "successful".to_owned(),
                ..JobReport::default()
            }),
            ..entry("a")
        };
        journal.put(&entry("a")).unwrap();
        journal.put(&ended).unwrap();
        let again = Journal::open(dir.path()).unwrap();
        assert_eq!(again.entries().unwrap(), [ended.clone(), entry("b")]);
        assert_eq!(again.get("a").unwrap(), Some(ended));
        let file = File::options()
            .write(true)
            .open(dir.path().join("unreported/a.json"));
        let long_ago = SystemTime::now() - Duration::from_secs(1000);
        file.unwrap().set_modified(long_ago).unwrap();
        assert!(again.silent_for("a").unwrap() >= Duration::from_secs(1000));
        again.touch("a").unwrap();
        assert!(again.silent_for("a").unwrap() < Duration::from_secs(1000));
        again.remove("a").unwrap();
        again.remove("a").unwrap();
        assert_eq!(again.get("a").unwrap(), None);
    }

    #[test]
    fn ids_cannot_leave_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        for id in ["../x", "", "a/b", "a.b"] {
            assert!(journal.put(&entry(id)).is_err(), "{id}");
        }
    }
}
