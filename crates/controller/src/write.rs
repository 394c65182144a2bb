//! The writing thread: whatever queued during the last flush goes into one transaction; then callers are answered.

use crate::decide::{Message, Reply};
use crate::step::{self, Durable, ENTRIES_PER_COMMIT_MAX, Prepared};
use crate::workspace::Workspace;
use crate::{Committed, Shared, SubmitError, leases, load};
use stagegate_engine::State;
use stagegate_model::Rejection;
use stagegate_store::{Append, Hash};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};

pub(crate) enum Write {
    Entry {
        workspace: Arc<Workspace>,
        prepared: Box<Prepared>,
        reply: Option<Reply>,
    },
    /// An answer that waits for what it saw.
    Answer {
        workspace: Arc<Workspace>,
        seen: Durable,
        answer: Result<Committed, Rejection>,
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

impl Write {
    /// Tells the caller, if there is one, that it could not be done.
    pub fn refuse(self, error: SubmitError) {
        if let Self::Entry {
            reply: Some(reply), ..
        }
        | Self::Answer { reply, .. } = self
        {
            // A caller that has gone away needs no answer.
            let _ = reply.send(Err(error));
        }
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
    let mut outcomes = step::commit(&*shared.store, &appends).into_iter();
    for write in batch {
        let outcome = match append_of(&write) {
            Some(_) => outcomes.next().unwrap_or(Ok(())),
            None => Ok(()),
        };
        match outcome {
            Ok(()) => finish(shared, write),
            Err(error) => fail(shared, write, error),
        }
    }
}

fn append_of(write: &Write) -> Option<&Append> {
    match write {
        Write::Entry { prepared, .. } => Some(&prepared.append),
        _ => None,
    }
}

fn finish(shared: &Shared, write: Write) {
    match write {
        Write::Entry {
            workspace,
            mut prepared,
            reply,
        } => {
            let (seq, hash) = (prepared.append.row.seq, prepared.append.row.hash);
            workspace.became_durable(seq);
            for job in leases::news(&prepared.facts) {
                // Nobody listening is no failure.
                let _ = workspace.job_news.send(job);
            }
            if let Some(reply) = reply {
                let _ = reply.send(Ok(prepared.committed()));
            }
            if let Some(state) = prepared.snapshot.take() {
                // Beside the writer, so that commits go on. A snapshot that cannot be written only makes the next
                // start slower.
                let (store, id) = (Arc::clone(&shared.store), workspace.id);
                let save = move || drop(load::save(&*store, id, &state, hash));
                let _ = std::thread::Builder::new()
                    .name("snapshot".to_owned())
                    .spawn(save);
            }
        }
        Write::Answer {
            workspace,
            seen,
            answer,
            reply,
        } => {
            let holds = workspace.durable.borrow().holds(seen);
            let _ = reply.send(if holds {
                answer.map_err(SubmitError::from)
            } else {
                Err(step::void())
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

fn fail(shared: &Shared, write: Write, error: SubmitError) {
    if let Write::Entry { workspace, .. } = &write {
        // The decider reads the state back before it decides much else. The mark stays should its queue be full; the
        // message only wakes it.
        workspace.append_failed.store(true, Ordering::Release);
        let _ = shared.commands.try_send(Message::Failed);
    }
    write.refuse(error);
}
