//! The end of a job's output, on its way to the server.

use crate::back_off::BackOff;
use crate::hold::Hold;
use crate::runner::Runner;
use stagegate_api::AppendOutput;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How much of the output's end is kept for sending.
const KEPT_SIZE_BYTES_MAX: usize = 64 * 1024;

/// The longest piece that is sent at once.
const PIECE_SIZE_BYTES_MAX: usize = 16 * 1024;

/// The least time between two pieces of a job that runs.
const PIECE_PERIOD_MIN: Duration = Duration::from_millis(500);

/// How long the server may take over a piece.
const PIECE_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Kept {
    text: String,
    /// Where `text` begins in the whole output, in bytes.
    start: u64,
    /// Up to where the server has it; `None` when that must be asked first.
    known: Option<u64>,
}

impl Kept {
    fn end(&self) -> u64 {
        self.start + self.text.len() as u64
    }
}

/// The end of a job's output, and how far the server has it. Bounded: a slow server leaves a gap.
#[derive(Debug, Default)]
pub(crate) struct Live {
    kept: Mutex<Kept>,
    more: Notify,
}

impl Live {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Plain data that is whole at every step.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a piece that begins at `offset`. What is known already is left out.
    pub(crate) fn push(&self, offset: u64, text: &str) {
        let mut kept = self.kept();
        if offset > kept.end() {
            kept.text.clear();
            kept.start = offset;
        }
        let known = usize::try_from(kept.end() - offset.min(kept.end())).unwrap_or(usize::MAX);
        if known >= text.len() {
            return;
        }
        kept.text.push_str(&text[text.ceil_char_boundary(known)..]);
        if kept.text.len() > KEPT_SIZE_BYTES_MAX {
            let cut = kept.text.len() - KEPT_SIZE_BYTES_MAX;
            let cut = kept.text.ceil_char_boundary(cut);
            kept.text.drain(..cut);
            kept.start += cut as u64;
        }
        drop(kept);
        self.more.notify_one();
    }

    /// Nobody knows any more how far the server has it: it may have been started anew.
    pub(crate) fn doubt(&self) {
        self.kept().known = None;
        self.more.notify_one();
    }

    /// What to send next: an empty piece when the server must be asked how far it has it; `None` when it has all.
    fn next(&self) -> Option<(u64, String)> {
        let kept = self.kept();
        let Some(known) = kept.known else {
            return (!kept.text.is_empty()).then(|| (kept.start, String::new()));
        };
        let from = usize::try_from(known.saturating_sub(kept.start)).unwrap_or(usize::MAX);
        if from >= kept.text.len() {
            return None;
        }
        let from = kept.text.ceil_char_boundary(from);
        let to = kept.text.floor_char_boundary(from + PIECE_SIZE_BYTES_MAX);
        Some((kept.start + from as u64, kept.text[from..to].to_owned()))
    }

    /// The server has it up to `end`.
    fn sent(&self, end: u64) {
        self.kept().known = Some(end);
    }
}

impl Runner {
    /// Sends output as it comes, for as long as the job is ours. Ends when there is none left, if `all_there`.
    pub(crate) async fn send_output(&self, hold: &Hold, live: &Live, all_there: bool) {
        let Some(epoch) = hold.epoch else {
            return;
        };
        let mut back_off = BackOff::new();
        loop {
            let Some((offset, text)) = live.next() else {
                if all_there {
                    return;
                }
                live.more.notified().await;
                continue;
            };
            let begun = Instant::now();
            let is_question = text.is_empty();
            let piece_end = offset + text.len() as u64;
            let body = AppendOutput {
                runner: self.name.clone(),
                epoch,
                offset,
                text,
            };
            let call = self.workspace.append_job_output(&hold.job_id, &body);
            match tokio::time::timeout(PIECE_MAX, call).await {
                Ok(Ok(answer)) => {
                    hold.renewed(begun);
                    // A server that does not take it is not asked for ever.
                    let end = if is_question {
                        answer.end
                    } else {
                        answer.end.max(piece_end)
                    };
                    live.sent(end);
                    back_off.reset();
                    if !all_there && !is_question {
                        tokio::time::sleep_until(begun + PIECE_PERIOD_MIN).await;
                    }
                }
                Ok(Err(error)) if !error.is_temporary() => {
                    // The heartbeats find out what that means for the job.
                    return;
                }
                Ok(Err(_)) | Err(_) => {
                    live.doubt();
                    self.link.pause(&mut back_off).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_bounded_and_follow_each_other() {
        let live = Live::default();
        assert_eq!(live.next(), None);
        live.push(0, &"ä".repeat(KEPT_SIZE_BYTES_MAX));
        // First it is asked how far the server has it.
        let (start, text) = live.next().unwrap();
        assert_eq!((start, text.as_str()), (KEPT_SIZE_BYTES_MAX as u64, ""));
        live.sent(0);
        let mut end = start;
        while let Some((offset, text)) = live.next() {
            assert_eq!(offset, end);
            assert!(!text.is_empty() && text.len() <= PIECE_SIZE_BYTES_MAX);
            end = offset + text.len() as u64;
            live.sent(end);
        }
        assert_eq!(end, 2 * KEPT_SIZE_BYTES_MAX as u64);
    }

    #[test]
    fn what_is_known_is_not_taken_again_and_a_gap_is_one() {
        let live = Live::default();
        live.push(0, "one\n");
        live.push(0, "one\ntwo\n");
        live.sent(2);
        assert_eq!(live.next(), Some((2, "e\ntwo\n".to_owned())));
        live.sent(8);
        assert_eq!(live.next(), None);
        live.push(100, "far\n");
        assert_eq!(live.next(), Some((100, "far\n".to_owned())));
        // A server that was started anew gets what is kept.
        live.sent(104);
        live.doubt();
        assert_eq!(live.next(), Some((100, String::new())));
        live.sent(0);
        assert_eq!(live.next(), Some((100, "far\n".to_owned())));
    }
}
