//! Carrying the write-ahead log over into the database, beside the thread that writes.
//!
//! A thread of its own does so whenever enough has come together, without holding up who writes or reads. But as long as
//! something is written meanwhile, it never comes to the log's end, and only a log that was carried over to its end begins
//! anew. So once the log is long, the writer carries over the little that the thread has left between two transactions.
//! Nothing of this decides what is durable: a COMMIT is when the log is on the disk.

use rusqlite::Connection;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// What is carried over at a time, in pages of 4 KiB (16 MiB).
const AT_A_TIME: u32 = 4096;
/// How long the log becomes before the writer makes it begin anew (48 MiB)…
const LONG: u32 = 12 * 1024;
/// …if no more than this is left (8 MiB)…
const REST: u32 = 2048;
/// …or, whatever is left, once it is that long (192 MiB).
const TOO_LONG: u32 = 4 * LONG;
/// While readers keep the log from beginning anew, it is tried every so many pages.
const AGAIN: u32 = 512;

/// The thread, and what it and the writer know of the log.
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Pages in the log.
    written: AtomicU32,
    /// Those of them that are in the database.
    carried: AtomicU32,
    /// How many were there when the writer last tried.
    tried: AtomicU32,
    /// Held by whoever carries over: SQLite refuses a second one at once.
    under_way: Mutex<()>,
    asked: Mutex<Asked>,
    changed: Condvar,
}

#[derive(Default)]
struct Asked {
    due: bool,
    stop: bool,
}

impl Checkpointer {
    /// Starts the thread with a connection of its own, and has the writer's connection leave it the work. `None` where
    /// that is not possible: then the writer does it, as SQLite does by itself.
    pub(super) fn start(writer: &mut Connection, own: Connection) -> Option<Self> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || seen.run(&own))
            .ok()?;
        let checkpointer = Self {
            shared: Arc::clone(&shared),
            thread: Some(thread),
        };
        // Replaces what the pragma for automatic checkpoints had set up.
        let hooked = writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            shared.committed(u32::try_from(pages).unwrap_or(0));
            Ok(())
        }));
        hooked.is_ok().then_some(checkpointer)
    }

    /// To be held while the log is emptied.
    pub(super) fn pause(&self) -> MutexGuard<'_, ()> {
        lock(&self.shared.under_way)
    }

    /// After a COMMIT, by the writer: makes a long log begin anew.
    pub(super) fn keep_short(&self, writer: &Connection) {
        let shared = &self.shared;
        let written = shared.written.load(Ordering::Acquire);
        let left = written.saturating_sub(shared.carried.load(Ordering::Acquire));
        let tried = shared.tried.load(Ordering::Acquire);
        let is_new = written < tried || written - tried >= AGAIN;
        if written < LONG || !is_new || (left > REST && written < TOO_LONG) {
            return;
        }
        let under_way = match written < TOO_LONG {
            true => shared.under_way.try_lock().ok(),
            false => Some(lock(&shared.under_way)),
        };
        if let Some(_under_way) = under_way {
            shared.tried.store(written, Ordering::Release);
            shared.carry_over(writer);
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        lock(&self.shared.asked).stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // Whatever became of it, the log is whole.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn committed(&self, pages: u32) {
        self.written.store(pages, Ordering::Release);
        if pages < self.carried.load(Ordering::Acquire) {
            // The log began anew.
            self.carried.store(0, Ordering::Release);
        }
        if pages < self.tried.load(Ordering::Acquire) {
            self.tried.store(0, Ordering::Release);
        }
        if pages - self.carried.load(Ordering::Acquire).min(pages) >= AT_A_TIME {
            lock(&self.asked).due = true;
            self.changed.notify_all();
        }
    }

    fn run(&self, connection: &Connection) {
        loop {
            let mut asked = lock(&self.asked);
            while !asked.due && !asked.stop {
                asked = self
                    .changed
                    .wait(asked)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if asked.stop {
                return;
            }
            asked.due = false;
            drop(asked);
            let _under_way = lock(&self.under_way);
            self.carry_over(connection);
        }
    }

    /// As much as can be carried over without waiting for anybody. A failure is no harm: the next one does more.
    fn carry_over(&self, connection: &Connection) {
        let carried = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            row.get::<_, i64>(2)
        });
        if let Ok(Ok(carried)) = carried.map(u32::try_from) {
            self.carried.store(carried, Ordering::Release);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::{Duration, Instant};

    fn open(path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = wal; PRAGMA synchronous = off; PRAGMA wal_autocheckpoint = 0;
                 CREATE TABLE IF NOT EXISTS page (number INTEGER PRIMARY KEY, body BLOB)",
            )
            .unwrap();
        connection
    }

    fn write(connection: &Connection, pages: u32) {
        connection
            .execute(
                "WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < ?1)
                 INSERT OR REPLACE INTO page SELECT n, randomblob(4000) FROM count",
                [pages],
            )
            .unwrap();
    }

    #[test]
    fn a_log_that_is_always_written_to_stays_short() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut writer = open(&path);
        let checkpointer = Checkpointer::start(&mut writer, open(&path)).unwrap();
        let wal = || {
            std::fs::metadata(dir.path().join("a.db-wal"))
                .unwrap()
                .len()
        };
        for _ in 0..4 * LONG / 256 {
            write(&writer, 256);
            checkpointer.keep_short(&writer);
        }
        // Not even where the thread is slow.
        let bound = u64::from(TOO_LONG + 1024) * 4200;
        assert!(wal() <= bound, "{} <= {bound}", wal());
        let written = checkpointer.shared.written.load(Ordering::Acquire);
        assert!(written < 4 * LONG, "it began anew: {written}");
        drop(checkpointer);
        let count = "SELECT count(*) FROM page";
        let count: u32 = writer.query_row(count, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 256);
    }

    #[test]
    fn what_has_come_together_is_carried_over_by_the_thread() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut writer = open(&path);
        let checkpointer = Checkpointer::start(&mut writer, open(&path)).unwrap();
        write(&writer, AT_A_TIME + 1);
        let deadline = Instant::now() + Duration::from_secs(60);
        while checkpointer.shared.carried.load(Ordering::Acquire) < AT_A_TIME {
            assert!(Instant::now() < deadline, "nothing is carried over");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
