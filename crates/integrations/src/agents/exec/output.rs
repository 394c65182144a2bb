//! Following what processes write to their logs.
//!
//! Processes write to files, not to pipes, so that they neither stop nor die with the runner. The agent
//! reads along: lines go out as events, the last 64 KiB stay for the outcome, and files are kept bounded.

use crate::redact::Redactor;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// How much of the output's end an outcome keeps.
pub const TAIL_SIZE_BYTES_MAX: usize = 64 * 1024;
/// A log that grows past this is cut.
pub(super) const LOG_SIZE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// A line longer than this is handed on in pieces.
const LINE_SIZE_BYTES_MAX: usize = 16 * 1024;
/// What is read of one file at a time; when it grew by more, the middle is left out.
const READ_SIZE_BYTES_MAX: u64 = 256 * 1024;
/// How long the last events may wait for a slow receiver.
const LAST_EVENTS_PATIENCE: Duration = Duration::from_secs(1);

/// Where a line came from. A service's two streams are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output (for services: both).
    Stdout,
    /// Standard error.
    Stderr,
}

/// What happens while a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecEvent {
    /// The process wrote something: one or more whole lines as a rule. After a restart of the
    /// runner, up to the last 64 KiB come once more.
    Output {
        /// Where to.
        stream: Stream,
        /// What, without known secrets.
        text: String,
    },
}

/// Reads along with one process's logs.
pub(super) struct Follower {
    files: Vec<Followed>,
    redactor: Redactor,
    tail: String,
    events: mpsc::Sender<ExecEvent>,
    /// Events the receiver had no room for yet.
    waiting: VecDeque<ExecEvent>,
    waiting_bytes: usize,
}

struct Followed {
    stream: Stream,
    path: PathBuf,
    offset: u64,
    /// The beginning of a line whose end was not written yet.
    partial: Vec<u8>,
}

impl Followed {
    /// What was written since the last time.
    fn read(&mut self) -> Option<Vec<u8>> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .open(&self.path)
            .ok()?;
        let size = file.metadata().ok()?.len();
        if size < self.offset {
            self.offset = 0;
        }
        let mut read = std::mem::take(&mut self.partial);
        if size - self.offset > READ_SIZE_BYTES_MAX {
            let skipped = size - self.offset - READ_SIZE_BYTES_MAX;
            self.offset += skipped;
            read.extend_from_slice(format!("\n[{skipped} bytes left out]\n").as_bytes());
        }
        file.seek(SeekFrom::Start(self.offset)).ok()?;
        let count = (&mut file)
            .take(READ_SIZE_BYTES_MAX)
            .read_to_end(&mut read)
            .ok()?;
        self.offset += count as u64;
        if self.offset > LOG_SIZE_BYTES_MAX {
            // It was read; the process goes on at the new end.
            file.set_len(0).ok()?;
            self.offset = 0;
        }
        Some(read)
    }
}

impl Follower {
    /// Follows the logs, each from `offset`.
    pub(super) fn new(
        files: impl IntoIterator<Item = (Stream, PathBuf, u64)>,
        redactor: Redactor,
        events: mpsc::Sender<ExecEvent>,
    ) -> Self {
        Self {
            files: files
                .into_iter()
                .map(|(stream, path, offset)| Followed {
                    stream,
                    path,
                    offset,
                    partial: Vec::new(),
                })
                .collect(),
            redactor,
            tail: String::new(),
            events,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        }
    }

    /// Hands on the whole lines written since. Never waits for the receiver.
    pub(super) fn pump(&mut self) {
        self.read(false);
        self.send();
    }

    /// Hands on the rest and returns the tail. For when the process is gone.
    pub(super) async fn finish(mut self) -> String {
        self.read(true);
        let send = async {
            while let Some(event) = self.waiting.pop_front() {
                if self.events.send(event).await.is_err() {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(LAST_EVENTS_PATIENCE, send).await;
        self.tail
    }

    fn read(&mut self, last: bool) {
        for index in 0..self.files.len() {
            let Some(followed) = self.files.get_mut(index) else {
                continue;
            };
            let Some(mut text) = followed.read() else {
                continue;
            };
            let whole = match text.iter().rposition(|byte| *byte == b'\n') {
                _ if last => text.len(),
                Some(end) => end + 1,
                None if text.len() > LINE_SIZE_BYTES_MAX => text.len(),
                None => 0,
            };
            followed.partial = text.split_off(whole);
            let stream = followed.stream;
            if !text.is_empty() {
                self.hand_on(stream, &String::from_utf8_lossy(&text));
            }
        }
    }

    fn hand_on(&mut self, stream: Stream, text: &str) {
        let text = self.redactor.text(text);
        self.tail.push_str(&text);
        if self.tail.len() > TAIL_SIZE_BYTES_MAX {
            let start = self.tail.len() - TAIL_SIZE_BYTES_MAX;
            self.tail.drain(..self.tail.ceil_char_boundary(start));
        }
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let end = rest.floor_char_boundary(LINE_SIZE_BYTES_MAX);
            let end = match rest[..end].rfind('\n') {
                Some(line_end) => line_end + 1,
                None => end,
            };
            let (piece, after) = rest.split_at(end);
            self.waiting_bytes += piece.len();
            self.waiting.push_back(ExecEvent::Output {
                stream,
                text: piece.to_owned(),
            });
            rest = after;
        }
        while self.waiting_bytes > TAIL_SIZE_BYTES_MAX * 4 {
            let Some(ExecEvent::Output { text, .. }) = self.waiting.pop_front() else {
                break;
            };
            self.waiting_bytes -= text.len();
        }
    }

    fn send(&mut self) {
        while !self.waiting.is_empty() {
            let Ok(permit) = self.events.try_reserve() else {
                return;
            };
            if let Some(event) = self.waiting.pop_front() {
                let ExecEvent::Output { text, .. } = &event;
                self.waiting_bytes -= text.len();
                permit.send(event);
            }
        }
    }
}

/// Where to begin with a log that someone else has read before: at its last 64 KiB.
pub(super) fn tail_offset(path: &Path) -> u64 {
    size(path).saturating_sub(TAIL_SIZE_BYTES_MAX as u64)
}

/// A log's size; 0 when there is none.
pub(super) fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Cuts a log that has grown too large, keeping what it held beside it.
pub(super) fn rotate(path: &Path) {
    if size(path) > LOG_SIZE_BYTES_MAX {
        // Best effort: without room for the copy, cutting is all the more needed.
        let _ = std::fs::copy(path, path.with_extension("log.1"));
        if let Ok(file) = File::options().write(true).open(path) {
            let _ = file.set_len(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn follow(
        path: &Path,
        redactor: Redactor,
        room: usize,
    ) -> (Follower, mpsc::Receiver<ExecEvent>) {
        let (events, receiver) = mpsc::channel(room);
        let files = [(Stream::Stdout, path.to_owned(), 0)];
        (Follower::new(files, redactor, events), receiver)
    }

    fn texts(receiver: &mut mpsc::Receiver<ExecEvent>) -> Vec<String> {
        std::iter::from_fn(|| receiver.try_recv().ok())
            .map(|ExecEvent::Output { text, .. }| text)
            .collect()
    }

    #[tokio::test]
    async fn whole_lines_go_out_and_secrets_do_not() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("log");
        let mut file = File::create(&path).unwrap();
        let mut redactor = Redactor::default();
        redactor.add("hunter22");
        let (mut follower, mut receiver) = follow(&path, redactor, 8);
        write!(file, "one\nhunt").unwrap();
        follower.pump();
        assert_eq!(texts(&mut receiver), ["one\n"]);
        write!(file, "er22 two").unwrap();
        follower.pump();
        assert!(texts(&mut receiver).is_empty());
        assert_eq!(follower.finish().await, "one\n[redacted] two");
        assert_eq!(texts(&mut receiver), ["[redacted] two"]);
    }

    #[tokio::test]
    async fn a_flood_is_bounded_in_memory_and_on_disk() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("log");
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        let (mut follower, _receiver) = follow(&path, Redactor::default(), 1);
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..20 {
            for _ in 0..1024 {
                file.write_all(line.as_bytes()).unwrap();
            }
            follower.pump();
        }
        assert!(size(&path) <= LOG_SIZE_BYTES_MAX);
        assert!(follower.waiting_bytes <= TAIL_SIZE_BYTES_MAX * 4 + LINE_SIZE_BYTES_MAX);
        file.write_all(b"the end\n").unwrap();
        let tail = follower.finish().await;
        assert!(tail.len() <= TAIL_SIZE_BYTES_MAX && tail.ends_with("the end\n"));
    }
}
