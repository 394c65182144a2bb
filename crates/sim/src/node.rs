//! One controller, stepped: what its deciding and its writing thread would do, in one loop under our control.
//!
//! Nothing here decides or folds: every step is the controller's own. Several nodes may stand over one store.

use crate::sabotage::{Saboteur, Tampering};
use crate::store::FaultyStore;
use stagegate_controller::step::{
    self, Decided, Durable, Halt, Prepared, Shard, SnapshotPace, Taken,
};
use stagegate_controller::{Committed, SubmitError};
use stagegate_model::{Actor, Command, Entry, EntryId, Rejection, Timestamp, WorkspaceId};
use stagegate_store::{Append, Rest, Row, Store, StoreError};
use std::collections::VecDeque;
use std::sync::Arc;

/// Who waits for an answer.
pub type Ticket = u64;
/// What a caller is told.
pub type Reply = (Ticket, Result<Committed, SubmitError>);

enum Write {
    Entry {
        prepared: Box<Prepared>,
        ticket: Option<Ticket>,
    },
    Answer {
        seen: Durable,
        answer: Result<Committed, Rejection>,
        ticket: Ticket,
    },
}

/// How long after it could not be brought back a workspace is tried again, in milliseconds.
const WAKE_AGAIN_MILLIS: i64 = 1_000;

/// What the store has of a workspace at rest, if that still holds.
fn noted(store: &FaultyStore, workspace: WorkspaceId) -> Result<Option<Rest>, StoreError> {
    let head = store.head(workspace)?.map(|head| (head.seq, head.hash));
    let mut rests = store.rests()?.into_iter();
    Ok(rests.find(|rest| {
        rest.workspace == workspace
            && Some((rest.seq, rest.entry_hash)) == head
            && rest.said_by == step::said_by()
    }))
}

/// A controller with one workspace; all of it but the store is lost in a crash.
pub struct Node {
    store: Arc<FaultyStore>,
    workspace: WorkspaceId,
    pub shard: Shard,
    pub durable: Durable,
    outbox: VecDeque<Write>,
    append_failed: bool,
    snapshots: SnapshotPace,
    /// What is remembered while the workspace is not in memory; the shard is an empty one then.
    resting: Option<Rest>,
    /// When it could not be brought back.
    failed_at: Option<Timestamp>,
    /// Answers that were given and not yet collected.
    pub replies: Vec<Reply>,
}

/// What happened when the outbox was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Entries that became durable.
    pub written: usize,
    /// Entries that did not, as far as is known.
    pub failed: usize,
}

impl Node {
    /// A node for a workspace that is to be created.
    #[must_use]
    pub fn new(store: Arc<FaultyStore>, workspace: WorkspaceId) -> Self {
        Self {
            store,
            workspace,
            shard: Shard::new(workspace),
            durable: Durable::default(),
            outbox: VecDeque::new(),
            append_failed: false,
            snapshots: SnapshotPace::default(),
            resting: None,
            failed_at: None,
            replies: Vec::new(),
        }
    }

    /// Starts again from what the store has, as a new process does.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn restart(store: Arc<FaultyStore>, workspace: WorkspaceId) -> Result<Self, String> {
        step::verify(&*store, workspace).map_err(|error| error.to_string())?;
        if let Some(rest) = noted(&store, workspace).map_err(|error| error.to_string())? {
            let durable = Durable {
                seq: rest.seq,
                generation: 0,
            };
            return Ok(Self {
                resting: Some(rest),
                durable,
                ..Self::new(store, workspace)
            });
        }
        let shard = Shard::load(&*store, workspace).map_err(|error| error.to_string())?;
        let durable = shard.seen();
        Ok(Self {
            snapshots: shard.snapshot_pace(),
            shard,
            durable,
            ..Self::new(store, workspace)
        })
    }

    /// How many entries are decided and not yet written.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.outbox.len()
    }

    /// Whether what is decided is what is durable.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.outbox.is_empty()
            && !self.append_failed
            && self.shard.halted().is_none()
            && (self.is_resting() || self.durable.holds(self.shard.seen()))
    }

    /// Whether the workspace is not in memory.
    #[must_use]
    pub fn is_resting(&self) -> bool {
        self.resting.is_some()
    }

    /// Takes the workspace out of memory if nothing is to be done there, as the resting thread does; whether it did.
    pub fn rest(&mut self, now: Timestamp) -> bool {
        if self.is_resting() || !self.is_calm() {
            return false;
        }
        let Some(rest) = self.shard.at_rest(now) else {
            return false;
        };
        if self.snapshots.entries() >= step::ENTRIES_PER_LAST_SNAPSHOT {
            if !self.snapshot() {
                return false;
            }
            let (seq, bytes) = (rest.seq, 0);
            self.snapshots.ended(Some(Taken { seq, bytes }));
        }
        // What cannot be noted is found out again after a crash.
        let _ = self.store.put_rests(std::slice::from_ref(&rest));
        self.shard = Shard::new(self.workspace);
        self.resting = Some(rest);
        true
    }

    /// Brings the workspace back into memory; false when that cannot be done now.
    pub fn wake(&mut self, now: Timestamp) -> bool {
        let Some(rest) = &self.resting else {
            return true;
        };
        match Shard::back(&*self.store, self.workspace, self.durable, rest.entry_hash) {
            Ok(shard) => {
                if !self.snapshots.is_known() {
                    self.snapshots = shard.snapshot_pace();
                }
                self.shard = shard;
                self.resting = None;
                self.failed_at = None;
                true
            }
            Err(_) if self.store.faults().reads_fail => {
                self.failed_at = Some(now);
                false
            }
            Err(error) => {
                self.shard.halt(Halt::corrupt(error));
                self.resting = None;
                true
            }
        }
    }

    /// Whether there is something to settle.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        match &self.resting {
            Some(rest) => !self.has_just_failed(now) && rest.due_at.is_some_and(|at| at <= now),
            None => self.shard.is_due(now),
        }
    }

    fn has_just_failed(&self, now: Timestamp) -> bool {
        let since = self.failed_at.map(|at| now.millis_since(at));
        since.is_some_and(|millis| (0..WAKE_AGAIN_MILLIS).contains(&millis))
    }

    /// Whether a command finds the workspace as it was read, or has it read.
    #[must_use]
    pub fn is_to_be_looked_at(&self) -> bool {
        self.is_resting() || self.shard.is_just_read()
    }

    /// Decides a command, as the deciding thread does with a message. `before`: the id of what is decided first, where
    /// [`Self::is_to_be_looked_at`].
    pub fn submit(
        &mut self,
        ticket: Ticket,
        before: Option<EntryId>,
        id: EntryId,
        actor: Actor,
        command: Command,
        now: Timestamp,
    ) {
        if let Err(rejection) = step::check(&command) {
            self.replies.push((ticket, Err(rejection.into())));
            return;
        }
        if !self.wake(now) {
            let (code, message) = ("storage_io", "it cannot be read".to_owned());
            let error = SubmitError::Unavailable { code, message };
            self.replies.push((ticket, Err(error)));
            return;
        }
        let first = before.and_then(|before| self.shard.settle_if_just_read(before, now));
        if let Some(prepared) = first {
            self.outbox.push_back(Write::Entry {
                prepared,
                ticket: None,
            });
        }
        match self.shard.submit(id, actor, command, Vec::new(), now) {
            Decided::Entry(prepared) => self.outbox.push_back(Write::Entry {
                prepared,
                ticket: Some(ticket),
            }),
            Decided::Answer { seen, answer } => self.outbox.push_back(Write::Answer {
                seen,
                answer,
                ticket,
            }),
            Decided::Unavailable(error) => self.replies.push((ticket, Err(error))),
            Decided::Panicked(error) => {
                self.replies.push((ticket, Err(error)));
                self.append_failed = true;
            }
        }
    }

    /// Decides what is left over or due; whether there was anything.
    pub fn settle(&mut self, id: EntryId, now: Timestamp) -> bool {
        if !self.wake(now) {
            return false;
        }
        match self.shard.settle(id, now) {
            Some(prepared) => {
                self.outbox.push_back(Write::Entry {
                    prepared,
                    ticket: None,
                });
                true
            }
            None => false,
        }
    }

    /// Writes what is in the outbox in one transaction, as the writing thread does, and answers.
    pub fn flush(&mut self, saboteur: &mut dyn Saboteur) -> Flushed {
        let mut flushed = Flushed::default();
        while !self.outbox.is_empty() {
            let count = self.outbox.len().min(step::ENTRIES_PER_COMMIT_MAX);
            let mut batch: Vec<Write> = self.outbox.drain(..count).collect();
            let tampered = self.tamper(&mut batch, saboteur);
            let appends: Vec<Append> = batch
                .iter()
                .filter_map(|write| match write {
                    Write::Entry { prepared, .. } => Some(prepared.append.clone()),
                    Write::Answer { .. } => None,
                })
                .collect();
            let mut outcomes = step::commit(&*self.store, &appends).into_iter();
            for write in batch {
                match write {
                    Write::Entry { prepared, ticket } => {
                        let outcome = outcomes.next().unwrap_or(Ok(()));
                        self.written(&prepared, &outcome, &mut flushed);
                        if let Some(ticket) = ticket {
                            let reply = outcome.map(|()| prepared.committed());
                            self.replies.push((ticket, reply));
                        }
                    }
                    Write::Answer {
                        seen,
                        answer,
                        ticket,
                    } => {
                        let reply = if self.durable.holds(seen) {
                            answer.map_err(SubmitError::from)
                        } else {
                            Err(step::void())
                        };
                        self.replies.push((ticket, reply));
                    }
                }
            }
            self.append_failed |= tampered;
        }
        flushed
    }

    fn written(
        &mut self,
        prepared: &Prepared,
        outcome: &Result<(), SubmitError>,
        flushed: &mut Flushed,
    ) {
        match outcome {
            Ok(()) => {
                flushed.written += 1;
                self.durable.seq = self.durable.seq.max(prepared.append.row.seq);
                let row = &prepared.append.row;
                if self.snapshots.written(row.seq, row.body.len()) {
                    self.snapshots.begun();
                    let taken = step::snapshot_from_log(&*self.store, self.workspace);
                    self.snapshots.ended(taken.ok().flatten());
                }
            }
            Err(_) => {
                flushed.failed += 1;
                self.append_failed = true;
            }
        }
    }

    /// Lets the saboteur change entries between deciding and writing; whether it did.
    fn tamper(&self, batch: &mut [Write], saboteur: &mut dyn Saboteur) -> bool {
        let mut head = None;
        let mut tampered = false;
        if !saboteur.tampers() {
            return false;
        }
        for write in batch {
            let Write::Entry { prepared, .. } = write else {
                continue;
            };
            let row = &prepared.append.row;
            let Ok(mut entry) = Entry::from_bytes(&row.body) else {
                continue;
            };
            let done = saboteur.tamper(self.shard.engine().state(), &mut entry);
            if done == Tampering::Changed {
                prepared.facts = entry.facts.clone().into();
            }
            if done != Tampering::None || tampered {
                let before = head.or_else(|| {
                    let truth = self.store.truth();
                    truth.head(self.workspace).ok()?
                });
                let (id, time) = (row.id, row.time);
                prepared.append.row =
                    Row::following(before.as_ref(), self.workspace, id, time, entry.to_bytes());
                tampered = true;
            }
            head = Some(prepared.append.row.head());
        }
        tampered
    }

    /// Drops what ran ahead of what could be written, if something could not; whether it did.
    pub fn refold(&mut self, now: Timestamp, saboteur: &mut dyn Saboteur) -> bool {
        if !self.append_failed && !self.shard.should_read_again(now) {
            return false;
        }
        self.flush(saboteur);
        self.append_failed = false;
        if let Some(shard) = self.shard.refolded(&*self.store, now) {
            self.durable = shard.seen();
            self.shard = shard;
        }
        true
    }

    /// Leaves a snapshot behind, if all is written.
    pub fn snapshot(&self) -> bool {
        if !self.is_calm() {
            return false;
        }
        let Some((state, hash)) = self.shard.snapshot_after(1) else {
            return false;
        };
        step::save_snapshot(&*self.store, self.workspace, &state, hash).is_ok()
    }

    /// How long nothing can change by time alone; `None` for ever.
    #[must_use]
    pub fn sleep_millis(&self, now: Timestamp) -> Option<i64> {
        if let Some(rest) = &self.resting {
            let millis = rest.due_at?.millis_since(now);
            return Some(match self.has_just_failed(now) {
                true => millis.max(WAKE_AGAIN_MILLIS),
                false => millis,
            });
        }
        let millis = self.shard.sleep_millis(now);
        if millis < step::SLEEP_MILLIS_MAX {
            return Some(millis);
        }
        // Waking only to find that nothing is due is left out.
        let next = self.shard.next_wake()?;
        Some(next.millis_since(now))
    }
}
