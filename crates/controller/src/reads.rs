//! Reads stand in line: a few at a time, away from the threads that serve requests, and a bounded number that wait.

use crate::step::Halt;
use crate::{Controller, ReadError, SubmitError};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Reads under way at once. Few, as each may keep a processor busy; some, as one may wait for the disk.
const UNDER_WAY_MAX: usize = 16;
/// Reads under way or waiting, at most.
pub(crate) const WAITING_MAX: usize = 2048;

/// The same for what this process does by itself; those who wait are as many as its tasks.
const OWN_UNDER_WAY_MAX: usize = 4;

/// Who wants to read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// Somebody who can be told to come again.
    Caller,
    /// A task of this process.
    Task,
}

/// The places of reads.
pub(crate) struct Reads {
    under_way: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    own: Arc<Semaphore>,
}

impl Default for Reads {
    fn default() -> Self {
        Self {
            under_way: Arc::new(Semaphore::new(UNDER_WAY_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            own: Arc::new(Semaphore::new(OWN_UNDER_WAY_MAX)),
        }
    }
}

impl Reads {
    /// A place for somebody who reads, or waits until what was read is durable; a task needs none.
    pub fn place(&self, whom: For) -> Result<Option<OwnedSemaphorePermit>, ReadError> {
        match whom {
            For::Task => Ok(None),
            For::Caller => {
                let place = Arc::clone(&self.waiting).try_acquire_owned();
                place.map(Some).map_err(|_| ReadError::Overloaded)
            }
        }
    }
}

impl From<Halt> for ReadError {
    fn from(halt: Halt) -> Self {
        Self::Unavailable {
            code: halt.code,
            message: halt.message,
        }
    }
}

impl From<ReadError> for SubmitError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoWorkspace => Self::NoWorkspace,
            ReadError::Overloaded => Self::Overloaded,
            ReadError::Unavailable { code, message } => Self::Unavailable { code, message },
        }
    }
}

impl Controller {
    /// Does work that blocks, away from the threads that serve requests and in its turn.
    ///
    /// # Errors
    /// [`ReadError::Overloaded`] when too many wait already; [`ReadError::Unavailable`] when the work panicked.
    pub async fn beside<T, F>(&self, work: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let _place = self.shared.reads.place(For::Caller)?;
        self.in_turn(For::Caller, work).await
    }

    /// Does work that blocks in its turn. Who may be told to come again holds a place meanwhile.
    pub(crate) async fn in_turn<T, F>(&self, whom: For, work: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let reads = &self.shared.reads;
        let line = match whom {
            For::Caller => &reads.under_way,
            For::Task => &reads.own,
        };
        let failed = || ReadError::Unavailable {
            code: "internal",
            message: "the read failed inside the server".to_owned(),
        };
        let turn = Arc::clone(line).acquire_owned().await;
        let turn = turn.map_err(|_| failed())?;
        // What has begun is done to its end, and counts until then, also when nobody wants it any more.
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|_| failed())
    }
}
