//! What running jobs print, while they run: in memory only, bounded, gone with the process. What is kept for good is
//! the tail that the end of a job brings.

use stagegate_model::{JobId, WorkspaceId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Bytes of a job's output that are kept: the last ones.
const TAIL_BYTES_MAX: usize = 64 * 1024;
/// Jobs whose output is kept; one more pushes out the one that was silent for longest.
const JOBS_MAX: usize = 1024;
/// Bytes given to a reader at a time.
const PIECE_BYTES_MAX: usize = 16 * 1024;

type Key = (WorkspaceId, JobId);

/// The output of all running jobs.
#[derive(Default)]
pub(crate) struct LiveOutputs {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    jobs: HashMap<Key, (u64, Arc<LiveOutput>)>,
    /// Grows with each use; the smallest one is the longest silent.
    clock: u64,
}

/// The end of one job's output.
pub(crate) struct LiveOutput {
    tail: Mutex<Tail>,
    grown: watch::Sender<()>,
}

#[derive(Default)]
struct Tail {
    epoch: u64,
    /// Where the text begins in the whole output, in bytes.
    start: u64,
    text: String,
}

/// A mutex whose holder panicked holds data that is still good: at worst a piece of output is missing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LiveOutputs {
    /// A job's output, if any is there.
    pub fn get(&self, key: Key) -> Option<Arc<LiveOutput>> {
        lock(&self.kept)
            .jobs
            .get(&key)
            .map(|(_, it)| Arc::clone(it))
    }

    /// A job's output, to be written to or waited for.
    pub fn open(&self, key: Key) -> Arc<LiveOutput> {
        let mut kept = lock(&self.kept);
        kept.clock += 1;
        let now = kept.clock;
        if !kept.jobs.contains_key(&key) && kept.jobs.len() >= JOBS_MAX {
            let oldest = kept.jobs.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                kept.jobs.remove(&oldest);
            }
        }
        let (used, output) = kept
            .jobs
            .entry(key)
            .or_insert_with(|| (now, Arc::new(LiveOutput::default())));
        *used = now;
        Arc::clone(output)
    }

    /// Drops what is in the log by now. Whoever reads it still has it.
    pub fn drop_of(&self, key: Key) {
        lock(&self.kept).jobs.remove(&key);
    }
}

impl Default for LiveOutput {
    fn default() -> Self {
        Self {
            tail: Mutex::default(),
            grown: watch::Sender::new(()),
        }
    }
}

impl LiveOutput {
    /// Adds what is new of `text`, which begins at `offset` of the output of the claim `epoch`; gives the end of what
    /// is known. What was known is ignored; what lies beyond a gap replaces what was before.
    pub fn append(&self, epoch: u64, offset: u64, text: &str) -> u64 {
        let mut tail = lock(&self.tail);
        if epoch > tail.epoch {
            // Another run: its output begins anew.
            *tail = Tail {
                epoch,
                ..Tail::default()
            };
        }
        let end = tail.end();
        if epoch < tail.epoch || text.is_empty() {
            return end;
        }
        let known = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        if known >= text.len() {
            return end;
        }
        let mut from = known;
        while !text.is_char_boundary(from) {
            from += 1;
        }
        let begins = offset.saturating_add(from as u64);
        if begins > end {
            tail.start = begins;
            tail.text.clear();
        }
        tail.text.push_str(&text[from..]);
        let mut cut = tail.text.len().saturating_sub(TAIL_BYTES_MAX);
        while !tail.text.is_char_boundary(cut) {
            cut += 1;
        }
        tail.text.drain(..cut);
        tail.start += cut as u64;
        let end = tail.end();
        drop(tail);
        self.grown.send_replace(());
        end
    }

    /// The end of what is known.
    pub fn end(&self) -> u64 {
        lock(&self.tail).end()
    }

    /// Where what is kept from `from` on begins, and the text.
    pub fn read(&self, from: u64) -> (u64, String) {
        lock(&self.tail).from(from, usize::MAX)
    }

    /// The next piece from `from` on, of bounded size; `None` when there is nothing more yet.
    pub fn piece(&self, from: u64) -> Option<(u64, String)> {
        let (offset, text) = lock(&self.tail).from(from, PIECE_BYTES_MAX);
        (!text.is_empty()).then_some((offset, text))
    }

    /// Changes when more is there.
    pub fn grown(&self) -> watch::Receiver<()> {
        self.grown.subscribe()
    }
}

impl Tail {
    fn end(&self) -> u64 {
        self.start + self.text.len() as u64
    }

    fn from(&self, from: u64, max: usize) -> (u64, String) {
        let skip = from.saturating_sub(self.start);
        let mut begin = usize::try_from(skip)
            .unwrap_or(usize::MAX)
            .min(self.text.len());
        while !self.text.is_char_boundary(begin) {
            begin += 1;
        }
        let mut end = begin.saturating_add(max).min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        (self.start + begin as u64, self.text[begin..end].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_is_known_is_ignored_and_what_is_new_is_added() {
        let output = LiveOutput::default();
        assert_eq!(output.append(1, 0, "hello "), 6);
        assert_eq!(output.append(1, 0, "hello "), 6, "sent twice");
        assert_eq!(output.append(1, 3, "lo wörld"), 12, "sent in part");
        assert_eq!(output.read(0), (0, "hello wörld".to_owned()));
        assert_eq!(output.read(6), (6, "wörld".to_owned()));
        assert_eq!(output.append(1, 0, ""), 12, "asks only for the end");
    }

    #[test]
    fn beyond_a_gap_only_the_tail_is_kept() {
        let output = LiveOutput::default();
        output.append(1, 0, "first");
        assert_eq!(output.append(1, 100, "later"), 105);
        assert_eq!(output.read(0), (100, "later".to_owned()));
        assert_eq!(output.piece(105), None);
        assert_eq!(output.append(1, u64::MAX - 2, "x"), u64::MAX - 1);
    }

    #[test]
    fn another_claim_begins_anew_and_an_older_one_says_nothing() {
        let output = LiveOutput::default();
        output.append(1, 0, "old");
        assert_eq!(output.append(3, 0, "new run"), 7);
        assert_eq!(output.append(1, 7, " of old"), 7);
        assert_eq!(output.read(0), (0, "new run".to_owned()));
    }

    #[test]
    fn memory_is_bounded_and_letters_stay_whole() {
        let output = LiveOutput::default();
        let piece = "ä".repeat(10_000);
        for round in 0..10 {
            output.append(1, round * 20_000, &piece);
        }
        let (start, text) = output.read(0);
        assert!(text.len() <= TAIL_BYTES_MAX && text.len() > TAIL_BYTES_MAX - 4);
        assert_eq!(start + text.len() as u64, 200_000);
        let (offset, piece) = output.piece(1).unwrap();
        assert_eq!(offset, start);
        assert!(piece.len() <= PIECE_BYTES_MAX + 4);
    }

    #[test]
    fn the_job_that_was_silent_for_longest_is_pushed_out() {
        let outputs = LiveOutputs::default();
        let key = |job: usize| {
            (
                WorkspaceId(Uuid::nil()),
                JobId(Uuid::from_u128(job as u128)),
            )
        };
        for job in 0..JOBS_MAX {
            outputs.open(key(job));
        }
        outputs.open(key(0));
        outputs.open(key(JOBS_MAX));
        assert!(outputs.get(key(0)).is_some());
        assert!(outputs.get(key(1)).is_none());
        outputs.drop_of(key(0));
        assert!(outputs.get(key(0)).is_none());
    }
}
