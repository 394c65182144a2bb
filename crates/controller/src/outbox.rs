//! Between deciding and writing: entries in order, bounded in number and in bytes.

use crate::write::Write;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many entries may wait to be written.
const QUEUED_MAX: usize = 1024;
/// How many bytes of them, those being written included; a single one may be larger.
const QUEUED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The queue. Whoever puts waits for room, so that deciding never runs far ahead of the disk.
#[derive(Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Write>,
    /// Bytes in memory, those being written included.
    bytes: usize,
    closed: bool,
}

impl Outbox {
    /// Puts one in as soon as there is room; gives it back when nobody writes any more.
    pub fn put(&self, write: Write) -> Result<(), Box<Write>> {
        let weight = write.weight();
        let mut queue = self.lock();
        while !queue.closed && !queue.has_room(weight) {
            queue = self.wait(queue);
        }
        if queue.closed {
            return Err(Box::new(write));
        }
        queue.bytes += weight;
        queue.waiting.push_back(write);
        drop(queue);
        self.changed.notify_all();
        Ok(())
    }

    /// Takes all that wait, up to `max`; waits for one. `None` once it is closed and empty.
    pub fn take(&self, max: usize) -> Option<Vec<Write>> {
        let mut queue = self.lock();
        while queue.waiting.is_empty() {
            if queue.closed {
                return None;
            }
            queue = self.wait(queue);
        }
        let count = queue.waiting.len().min(max);
        let taken = queue.waiting.drain(..count).collect();
        drop(queue);
        self.changed.notify_all();
        Some(taken)
    }

    /// So many bytes of what was taken are in memory no longer.
    pub fn freed(&self, bytes: usize) {
        let mut queue = self.lock();
        queue.bytes = queue.bytes.saturating_sub(bytes);
        drop(queue);
        self.changed.notify_all();
    }

    /// Nothing more is put in; what is in it is still taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'q>(&self, queue: MutexGuard<'q, Queue>) -> MutexGuard<'q, Queue> {
        self.changed
            .wait(queue)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn has_room(&self, weight: usize) -> bool {
        let fits = self.bytes == 0 || self.bytes + weight <= QUEUED_BYTES_MAX;
        self.waiting.len() < QUEUED_MAX && (weight == 0 || fits)
    }
}

/// Closes the queue when a thread at one of its ends ends, however that comes about: the other must not wait for ever.
pub(crate) struct Closing<'q>(pub &'q Outbox);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, sync_channel};

    fn one() -> (Write, Receiver<()>) {
        let (passed, barrier) = sync_channel(1);
        (Write::Barrier(passed), barrier)
    }

    #[test]
    fn whoever_puts_waits_for_room_and_nothing_is_lost() {
        let outbox = Arc::new(Outbox::default());
        let putting = Arc::clone(&outbox);
        let putter = std::thread::spawn(move || {
            let _closing = Closing(&putting);
            for _ in 0..3 * QUEUED_MAX {
                assert!(putting.put(one().0).is_ok());
            }
        });
        let mut taken = 0;
        while let Some(batch) = outbox.take(100) {
            assert!(batch.len() <= 100);
            assert!(outbox.lock().waiting.len() <= QUEUED_MAX);
            taken += batch.len();
        }
        putter.join().unwrap();
        assert_eq!(taken, 3 * QUEUED_MAX);
        assert!(outbox.put(one().0).is_err(), "closed");
    }

    #[test]
    fn bytes_are_bounded_but_one_entry_always_fits() {
        let queue = |bytes| Queue {
            bytes,
            ..Queue::default()
        };
        assert!(queue(0).has_room(2 * QUEUED_BYTES_MAX));
        assert!(queue(1).has_room(QUEUED_BYTES_MAX - 1));
        assert!(!queue(1).has_room(QUEUED_BYTES_MAX));
        assert!(
            queue(QUEUED_BYTES_MAX).has_room(0),
            "a barrier weighs nothing"
        );
    }
}
