//! The deciding thread: commands and the passing of time become entries, in memory, in order.

use crate::outbox::{Closing, Outbox};
use crate::schedule::Schedule;
use crate::step::{self, Decided};
use crate::workspace::{Pinned, Workspace};
use crate::write::Write;
use crate::{Committed, Shared, SubmitError, loading, lock, stopping};
use stagegate_model::{Actor, Command, EntryId, Timestamp, WorkspaceId};
use stagegate_store::SideWrite;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;
use tokio::sync::oneshot;

pub(crate) type Reply = oneshot::Sender<Result<Committed, SubmitError>>;

/// Commands decided before time is looked at again.
const COMMANDS_AT_A_TIME: usize = 256;

pub(crate) enum Message {
    Command {
        workspace: Pinned,
        actor: Actor,
        command: Box<Command>,
        side: Vec<SideWrite>,
        reply: Reply,
    },
    /// Workspaces were marked: look at them.
    Marked,
    Stop,
}

pub(crate) fn run(shared: &Arc<Shared>, inbox: &Receiver<Message>, outbox: &Outbox) {
    // Once nothing is decided any more, the writer writes what is left and ends.
    let _closing = Closing(outbox);
    let mut decider = Decider {
        shared,
        outbox,
        schedule: Schedule::default(),
        touched: shared.all_ids(),
    };
    // Decisions a crash left over come first.
    decider.settle_due();
    loop {
        decider.look_at_marked();
        let first = match inbox.recv_timeout(decider.sleep()) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let more = first.is_some();
        let messages = first.into_iter().chain(inbox.try_iter().take(if more {
            COMMANDS_AT_A_TIME
        } else {
            0
        }));
        for message in messages {
            match message {
                Message::Command {
                    workspace,
                    actor,
                    command,
                    side,
                    reply,
                } => {
                    decider.command(&workspace, actor, *command, side, reply);
                }
                Message::Marked => decider.look_at_marked(),
                Message::Stop => {
                    decider.stop(inbox);
                    return;
                }
            }
        }
        decider.settle_due();
    }
}

struct Decider<'s> {
    shared: &'s Arc<Shared>,
    outbox: &'s Outbox,
    /// When each workspace is to be looked at though nothing happens there.
    schedule: Schedule,
    /// Where something happened since it was last looked at.
    touched: BTreeSet<WorkspaceId>,
}

impl Decider<'_> {
    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// How long nothing can change by time alone.
    fn sleep(&self) -> Duration {
        if !self.touched.is_empty() {
            return Duration::ZERO;
        }
        let now = self.now();
        let millis = self
            .schedule
            .next()
            .map_or(step::SLEEP_MILLIS_MAX, |at| at.millis_since(now));
        let millis = millis.clamp(0, step::SLEEP_MILLIS_MAX);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    fn command(
        &mut self,
        workspace: &Pinned,
        actor: Actor,
        command: Command,
        side: Vec<SideWrite>,
        reply: Reply,
    ) {
        let now = self.now();
        self.touched.insert(workspace.id);
        let decided = workspace.with_mut(|live| {
            let before = live.settle_if_just_read(entry_id(), now);
            (before, live.submit(entry_id(), actor, command, side, now))
        });
        let Ok((before, decided)) = decided else {
            // Whoever sent it has pinned it.
            let _ = reply.send(Err(loading::has_left().into()));
            return;
        };
        if let Some(prepared) = before {
            self.send(Write::Entry {
                workspace: Arc::clone(workspace),
                prepared,
                reply: None,
            });
        }
        match decided {
            Decided::Entry(prepared) => self.send(Write::Entry {
                workspace: Arc::clone(workspace),
                prepared,
                reply: Some(reply),
            }),
            Decided::Answer { seen, answer } => self.send(Write::Answer {
                workspace: Arc::clone(workspace),
                seen,
                answer,
                reply,
            }),
            Decided::Unavailable(error) => drop(reply.send(Err(error))),
            Decided::Panicked(error) => {
                let _ = reply.send(Err(error));
                self.refold(workspace);
            }
        }
    }

    /// Goes on with what is dirty or due, one entry for each workspace, so that none starves another.
    fn settle_due(&mut self) {
        let now = self.now();
        let mut ids = std::mem::take(&mut self.touched);
        ids.extend(self.schedule.due(now));
        for id in ids {
            let Some(workspace) = self.shared.find(id) else {
                self.schedule.set(id, None);
                continue;
            };
            // From here on it stays where it is.
            let workspace = workspace.pin();
            if workspace.with(|live| live.should_read_again(now)) == Some(true) {
                self.refold(&workspace);
            }
            let settled =
                workspace.with_mut(|live| (live.settle(entry_id(), now), live.due_at(now)));
            let (settled, due_at) = match settled {
                Ok(settled) => settled,
                Err(resting) => {
                    let due_at = self.shared.wake_when_due(&workspace, resting.due_at, now);
                    self.schedule.set(id, due_at);
                    continue;
                }
            };
            self.schedule.set(id, due_at);
            if let Some(prepared) = settled {
                self.send(Write::Entry {
                    workspace: Arc::clone(&workspace),
                    prepared,
                    reply: None,
                });
            } else if due_at.is_none() {
                // Deciding may have failed inside.
                workspace.note_halt();
            }
        }
    }

    fn send(&self, write: Write) {
        if let Err(lost) = self.outbox.put(write) {
            lost.refuse(stopping());
        }
    }

    fn look_at_marked(&mut self) {
        for workspace in self.shared.marks.take() {
            self.touched.insert(workspace.id);
            if workspace.append_failed.load(Ordering::Acquire) {
                self.refold(&workspace);
            }
        }
    }

    /// Drops what is in memory and reads it back: it ran ahead of what could be written.
    fn refold(&self, workspace: &Arc<Workspace>) {
        let workspace = workspace.pin();
        if workspace.resting().is_some() {
            // It is looked at whether it can leave memory; as it cannot, it is put back and marked again.
            return;
        }
        // First everything that is on its way must have been written or have failed, else it would be missed.
        let (passed, barrier) = sync_channel(1);
        if self.outbox.put(Write::Barrier(passed)).is_err() || barrier.recv().is_err() {
            return;
        }
        workspace.append_failed.store(false, Ordering::Release);
        let now = self.now();
        // Only this thread replaces it, so reading it meanwhile holds up readers no more than itself.
        let store = &*self.shared.store;
        let refolded = workspace.with(|live| live.refolded(store, now));
        if let Some(shard) = refolded.flatten() {
            workspace.replace(shard);
        }
    }

    /// Refuses what is still waiting and leaves snapshots behind.
    fn stop(&mut self, inbox: &Receiver<Message>) {
        for message in inbox.try_iter() {
            if let Message::Command { reply, .. } = message {
                let _ = reply.send(Err(stopping()));
            }
        }
        for workspace in self.shared.all() {
            let entries = lock(&workspace.snapshots).entries();
            if entries < step::ENTRIES_PER_LAST_SNAPSHOT {
                continue;
            }
            let worthwhile = workspace.with(|live| live.snapshot_after(0));
            if let Some((state, hash)) = worthwhile.flatten() {
                self.send(Write::Snapshot {
                    workspace,
                    hash,
                    state,
                });
            }
        }
    }
}

fn entry_id() -> EntryId {
    EntryId(uuid::Uuid::now_v7())
}
