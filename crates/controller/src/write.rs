//! The writing thread: whatever queued during the last flush goes into one transaction; then callers are answered.

use crate::decide::{Message, Reply};
use crate::workspace::{Durable, Made, Workspace};
use crate::{Committed, Shared, SubmitError, load, unavailable};
use stagegate_engine::State;
use stagegate_store::{Append, Hash, StoreError};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

/// Entries in one transaction, at most.
const ENTRIES_PER_COMMIT_MAX: usize = 512;

pub(crate) enum Write {
    Entry {
        workspace: Arc<Workspace>,
        made: Box<Made>,
        /// The state after this entry, when a snapshot is due.
        snapshot: Option<Box<State>>,
        reply: Option<Reply>,
    },
    /// An answer that waits for what it saw.
    Answer {
        workspace: Arc<Workspace>,
        seen: Durable,
        committed: Committed,
        reply: Reply,
    },
    Snapshot {
        workspace: Arc<Workspace>,
        hash: Hash,
        state: Box<State>,
    },
    /// Says when everything before it has been written or has failed.
    Barrier(SyncSender<()>),
}

#[derive(Clone)]
pub(crate) enum Outcome {
    Durable,
    Failed(SubmitError),
}

impl Write {
    /// Tells the caller.
    pub fn answer(self, outcome: Outcome) {
        let (committed, reply) = match self {
            Self::Entry {
                made,
                reply: Some(reply),
                ..
            } => {
                let committed = Committed {
                    seq: made.append.row.seq,
                    time: made.time,
                    facts: made.facts,
                };
                (committed, reply)
            }
            Self::Answer {
                committed, reply, ..
            } => (committed, reply),
            _ => return,
        };
        // A caller that has gone away needs no answer.
        let _ = reply.send(match outcome {
            Outcome::Durable => Ok(committed),
            Outcome::Failed(error) => Err(error),
        });
    }
}

pub(crate) fn run(shared: &Arc<Shared>, outbox: &Receiver<Write>) {
    while let Ok(first) = outbox.recv() {
        let mut batch = vec![first];
        batch.extend(outbox.try_iter().take(ENTRIES_PER_COMMIT_MAX - 1));
        commit(shared, batch);
    }
}

fn commit(shared: &Arc<Shared>, batch: Vec<Write>) {
    let appends: Vec<Append> = batch.iter().filter_map(append_of).cloned().collect();
    match append(shared, &appends) {
        Ok(()) => batch.into_iter().for_each(|write| finish(shared, write)),
        // One workspace's trouble must not fail the others': each entry on its own.
        Err(_) if appends.len() > 1 => {
            for write in batch {
                match append_of(&write)
                    .map_or(Ok(()), |it| append(shared, std::slice::from_ref(it)))
                {
                    Ok(()) => finish(shared, write),
                    Err(error) => fail(shared, write, &error),
                }
            }
        }
        Err(error) => {
            for write in batch {
                if append_of(&write).is_some() {
                    fail(shared, write, &error)
                } else {
                    finish(shared, write)
                }
            }
        }
    }
}

fn append_of(write: &Write) -> Option<&Append> {
    match write {
        Write::Entry { made, .. } => Some(&made.append),
        _ => None,
    }
}

/// Appends; where the outcome of the commit is unknown, looks what became of it.
fn append(shared: &Shared, appends: &[Append]) -> Result<(), StoreError> {
    if appends.is_empty() {
        return Ok(());
    }
    match shared.store.append(appends) {
        Err(StoreError::Unknown { detail }) => {
            let first = &appends[0].row;
            match shared.store.row(first.workspace, first.seq)? {
                Some(row) if row.id == first.id => Ok(()),
                _ => Err(StoreError::Unknown { detail }),
            }
        }
        outcome => outcome,
    }
}

fn finish(shared: &Shared, write: Write) {
    match write {
        Write::Entry {
            workspace,
            made,
            snapshot,
            reply,
        } => {
            let (seq, hash) = (made.append.row.seq, made.append.row.hash);
            workspace.became_durable(seq);
            let id = workspace.id;
            Write::Entry {
                workspace,
                made,
                snapshot: None,
                reply,
            }
            .answer(Outcome::Durable);
            if let Some(state) = snapshot {
                // Beside the writer, so that commits go on. A snapshot that cannot be written only makes the next
                // start slower.
                let store = Arc::clone(&shared.store);
                let save = move || drop(load::save(&*store, id, &state, hash));
                let _ = std::thread::Builder::new()
                    .name("snapshot".to_owned())
                    .spawn(save);
            }
        }
        Write::Answer {
            workspace,
            seen,
            committed,
            reply,
        } => {
            let durable = *workspace.durable.borrow();
            let write = Write::Answer {
                workspace,
                seen,
                committed,
                reply,
            };
            // Entries are written in the order in which they were made, so what it saw is durable or void.
            let holds = durable.generation == seen.generation && durable.seq >= seen.seq;
            write.answer(if holds {
                Outcome::Durable
            } else {
                Outcome::Failed(void())
            });
        }
        Write::Barrier(passed) => {
            let _ = passed.send(());
        }
        Write::Snapshot {
            workspace,
            hash,
            state,
        } => {
            if workspace.durable.borrow().seq >= state.head().seq {
                let _ = load::save(&*shared.store, workspace.id, &state, hash);
            }
        }
    }
}

fn fail(shared: &Shared, write: Write, error: &StoreError) {
    let failed = match error {
        // It followed an entry that could not be written.
        StoreError::Conflict { .. } => void(),
        error => unavailable(error),
    };
    if let Write::Entry { workspace, .. } = &write {
        // The decider reads the state back before it decides anything else; if it is gone, so is the process.
        let message = Message::Failed(Arc::clone(workspace));
        let _ = shared.commands.try_send(message);
    }
    write.answer(Outcome::Failed(failed));
}

fn void() -> SubmitError {
    SubmitError::Unavailable {
        code: "storage_io",
        message: "an entry before this one could not be written, so this was not written either; try again".to_owned(),
    }
}
