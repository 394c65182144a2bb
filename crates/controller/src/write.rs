//! The writing thread: whatever queued during the last flush goes into one transaction; then callers are answered.

use crate::decide::{Message, Reply};
use crate::outbox::Outbox;
use crate::step::{self, Durable, ENTRIES_PER_COMMIT_MAX, Prepared};
use crate::workspace::Workspace;
use crate::{Committed, Shared, SubmitError, leases, load, snapshot};
use stagegate_engine::State;
use stagegate_model::Rejection;
use stagegate_store::{Append, Hash};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

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

    /// Bytes it keeps in memory, roughly: what an entry's facts take is about what their text takes.
    pub fn weight(&self) -> usize {
        let Self::Entry { prepared, .. } = self else {
            return 0;
        };
        let archived = prepared.append.archive.iter().map(|it| it.body.len());
        2 * prepared.append.row.body.len() + archived.sum::<usize>()
    }
}

/// An entry whose record is being appended: what is left to do for it.
struct Entry {
    workspace: Arc<Workspace>,
    bytes: usize,
    committed: Committed,
    reply: Option<Reply>,
}

/// What is done once the records of a batch are appended, in order.
enum After {
    Entry(Entry),
    Other(Write),
}

pub(crate) fn run(shared: &Arc<Shared>, outbox: &Outbox, snapshots: &SyncSender<Arc<Workspace>>) {
    while let Some(batch) = outbox.take(ENTRIES_PER_COMMIT_MAX) {
        let weight = batch.iter().map(Write::weight).sum();
        commit(shared, batch, snapshots);
        outbox.freed(weight);
    }
}

fn commit(shared: &Arc<Shared>, batch: Vec<Write>, snapshots: &SyncSender<Arc<Workspace>>) {
    let mut appends: Vec<Append> = Vec::new();
    let mut after = Vec::with_capacity(batch.len());
    for write in batch {
        after.push(match write {
            Write::Entry {
                workspace,
                prepared,
                reply,
            } => {
                let entry = Entry {
                    workspace,
                    bytes: prepared.append.row.body.len(),
                    committed: prepared.committed(),
                    reply,
                };
                appends.push(prepared.append);
                After::Entry(entry)
            }
            other => After::Other(other),
        });
    }
    let mut outcomes = step::commit(&*shared.store, &appends).into_iter();
    for after in after {
        match after {
            After::Other(write) => finish(shared, write),
            After::Entry(entry) => match outcomes.next().unwrap_or(Ok(())) {
                Ok(()) => written(entry, snapshots),
                Err(error) => fail(shared, entry, error),
            },
        }
    }
}

fn written(entry: Entry, snapshots: &SyncSender<Arc<Workspace>>) {
    let Entry {
        workspace,
        bytes,
        committed,
        reply,
    } = entry;
    // Before anybody is told of a new key.
    workspace.keys.follow(&committed.facts);
    workspace.became_durable(committed.seq);
    snapshot::written(&workspace, committed.seq, bytes, snapshots);
    workspace.wake_for(&committed.facts);
    workspace.tell_of_jobs(leases::news(&committed.facts));
    if let Some(reply) = reply {
        let _ = reply.send(Ok(committed));
    }
}

fn finish(shared: &Shared, write: Write) {
    match write {
        // Entries are taken out before.
        Write::Entry { .. } => {}
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

fn fail(shared: &Shared, entry: Entry, error: SubmitError) {
    // The decider reads the state back before it decides much else. The mark stays should its queue be full; the
    // message only wakes it.
    entry.workspace.append_failed.store(true, Ordering::Release);
    shared.marks.mark(&entry.workspace);
    let _ = shared.commands.try_send(Message::Marked);
    if let Some(reply) = entry.reply {
        let _ = reply.send(Err(error));
    }
}
