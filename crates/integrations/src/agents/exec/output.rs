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

/// What happens while a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecEvent {
    /// The process wrote something: one or more whole lines as a rule. After a restart of the
    /// runner, up to the last 64 KiB come once more, at the same place.
    Output {
        /// How many bytes of the job's output come before this, in UTF-8 and without known secrets.
        /// Pieces that nobody took in time are missing.
        offset: u64,
        /// What, without known secrets.
        text: String,
    },
}

/// Reads along with one process's log.
pub(super) struct Follower {
    path: PathBuf,
    /// How far the file was read.
    read_to: u64,
    /// The beginning of a line whose end was not written yet.
    partial: Vec<u8>,
    redactor: Redactor,
    /// How many bytes were handed on, over all runners: the offset of what comes next.
    end: u64,
    tail: String,
    events: mpsc::Sender<ExecEvent>,
    /// Events the receiver had no room for yet.
    waiting: VecDeque<ExecEvent>,
    waiting_bytes: usize,
}

/// How a log is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// All of it, piece by piece.
    All,
    /// What is new, without the middle when that is much.
    New,
    /// The same, to the end, line or not.
    Rest,
}

impl Follower {
    /// Follows the log. What it holds already is read first, so that offsets go on where an earlier runner
    /// left off; its last 64 KiB are handed on.
    pub(super) fn open(path: PathBuf, redactor: Redactor, events: mpsc::Sender<ExecEvent>) -> Self {
        let base = std::fs::read_to_string(base_path(&path));
        let mut follower = Self {
            path,
            read_to: 0,
            partial: Vec::new(),
            redactor,
            end: base
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(0),
            tail: String::new(),
            events,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        };
        let size = size(&follower.path);
        // Nobody cut it while no runner was there.
        let left_out = size.saturating_sub(LOG_SIZE_BYTES_MAX);
        follower.read_to = left_out;
        follower.end += left_out;
        while follower.read_to < size {
            let before = follower.read_to;
            follower.read(Reading::All);
            follower.forget_waiting(TAIL_SIZE_BYTES_MAX);
            if follower.read_to <= before {
                // Cut, or not readable: there is nothing to go on from.
                break;
            }
        }
        follower
    }

    /// Hands on the whole lines written since. Never waits for the receiver.
    pub(super) fn pump(&mut self) {
        self.read(Reading::New);
        self.send();
    }

    /// Hands on the rest and returns the tail. For when the process is gone.
    pub(super) async fn finish(mut self) -> String {
        self.read(Reading::Rest);
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

    fn read(&mut self, reading: Reading) {
        let Some(mut text) = self.read_bytes(reading) else {
            return;
        };
        let whole = match text.iter().rposition(|byte| *byte == b'\n') {
            _ if reading == Reading::Rest => text.len(),
            Some(end) => end + 1,
            None if text.len() > LINE_SIZE_BYTES_MAX => text.len(),
            None => 0,
        };
        self.partial = text.split_off(whole);
        if !text.is_empty() {
            self.hand_on(&String::from_utf8_lossy(&text));
        }
        if self.read_to > LOG_SIZE_BYTES_MAX && self.read_to >= size(&self.path) {
            self.cut();
        }
    }

    /// What was written since the last time.
    fn read_bytes(&mut self, reading: Reading) -> Option<Vec<u8>> {
        let mut file = File::open(&self.path).ok()?;
        let size = file.metadata().ok()?.len();
        if size < self.read_to {
            self.read_to = 0;
        }
        let mut read = std::mem::take(&mut self.partial);
        let behind = size - self.read_to;
        if reading != Reading::All && behind > READ_SIZE_BYTES_MAX {
            let skipped = behind - READ_SIZE_BYTES_MAX;
            self.read_to += skipped;
            read.extend_from_slice(format!("\n[{skipped} bytes left out]\n").as_bytes());
        }
        file.seek(SeekFrom::Start(self.read_to)).ok()?;
        let count = (&mut file)
            .take(READ_SIZE_BYTES_MAX)
            .read_to_end(&mut read)
            .ok()?;
        self.read_to += count as u64;
        Some(read)
    }

    /// Keeps the file bounded. It was read; the process goes on at the new end.
    fn cut(&mut self) {
        // Written first: a runner that is killed in between counts too much, which leaves a gap, and never too little.
        let noted = std::fs::write(base_path(&self.path), self.end.to_string());
        if noted.is_ok()
            && let Ok(file) = File::options().write(true).open(&self.path)
            && file.set_len(0).is_ok()
        {
            self.read_to = 0;
        }
    }

    fn hand_on(&mut self, text: &str) {
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
                offset: self.end,
                text: piece.to_owned(),
            });
            self.end += piece.len() as u64;
            rest = after;
        }
        self.forget_waiting(TAIL_SIZE_BYTES_MAX * 4);
    }

    /// Forgets the oldest events that wait, until the others fit.
    fn forget_waiting(&mut self, bytes_max: usize) {
        while self.waiting_bytes > bytes_max {
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

/// Where it is noted how much output came before what a log holds.
pub(super) fn base_path(log: &Path) -> PathBuf {
    log.with_extension("base")
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
        (Follower::open(path.to_owned(), redactor, events), receiver)
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
        let end = follower.end;
        let tail = follower.finish().await;
        assert!(tail.len() <= TAIL_SIZE_BYTES_MAX && tail.ends_with("the end\n"));
        // What was cut off still counts; so does what the first one left out.
        let (next, _receiver) = follow(&path, Redactor::default(), 1);
        assert!(next.end >= end + 8, "{} after {end}", next.end);
    }

    #[tokio::test]
    async fn the_next_runner_hands_on_the_end_once_more_at_the_same_place() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("log");
        let mut file = File::create(&path).unwrap();
        let mut redactor = Redactor::default();
        redactor.add("hunter22");
        let (mut first, mut received) = follow(&path, redactor.clone(), 64);
        write!(file, "hunter22\nünd\n").unwrap();
        first.pump();
        drop(first);
        writeln!(file, "{}", "x".repeat(TAIL_SIZE_BYTES_MAX)).unwrap();
        let mut whole = String::new();
        while let Ok(ExecEvent::Output { offset, text }) = received.try_recv() {
            assert_eq!(offset, whole.len() as u64);
            whole += &text;
        }
        assert_eq!(whole, "[redacted]\nünd\n");
        whole += &"x".repeat(TAIL_SIZE_BYTES_MAX);
        whole += "\n";
        let (mut next, mut received) = follow(&path, redactor, 64);
        next.pump();
        let mut bytes = 0;
        while let Ok(ExecEvent::Output { offset, text }) = received.try_recv() {
            let from = usize::try_from(offset).unwrap();
            assert_eq!(whole[from..from + text.len()], text);
            bytes += text.len();
        }
        assert!(bytes > TAIL_SIZE_BYTES_MAX / 2 && bytes <= TAIL_SIZE_BYTES_MAX);
        assert_eq!(next.end, whole.len() as u64);
    }
}
