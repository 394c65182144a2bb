//! The deciding thread: commands and the passing of time become entries, in memory, in order.

use crate::step::{self, Decided};
use crate::workspace::Workspace;
use crate::write::Write;
use crate::{Committed, Shared, SubmitError, stopping};
use stagegate_model::{Actor, Command, EntryId, Timestamp};
use stagegate_store::SideWrite;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

pub(crate) type Reply = oneshot::Sender<Result<Committed, SubmitError>>;

/// Commands decided before time is looked at again.
const COMMANDS_AT_A_TIME: usize = 256;

pub(crate) enum Message {
    Command {
        workspace: Arc<Workspace>,
        actor: Actor,
        command: Box<Command>,
        side: Vec<SideWrite>,
        reply: Reply,
    },
    /// An append failed: look which workspaces are to be refolded.
    Failed,
    Stop,
}

pub(crate) fn run(shared: &Arc<Shared>, inbox: &Receiver<Message>, entries: SyncSender<Write>) {
    let mut decider = Decider {
        shared,
        entries: &entries,
    };
    // Decisions a crash left over come first.
    decider.settle_all();
    loop {
        decider.refold_failed();
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
                Message::Failed => decider.refold_failed(),
                Message::Stop => {
                    decider.stop(inbox);
                    return;
                }
            }
        }
        decider.settle_all();
    }
}

struct Decider<'s> {
    shared: &'s Arc<Shared>,
    entries: &'s SyncSender<Write>,
}

impl Decider<'_> {
    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn all(&self) -> Vec<Arc<Workspace>> {
        let all = self
            .shared
            .workspaces
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        all.values().cloned().collect()
    }

    /// How long nothing can change by time alone.
    fn sleep(&self) -> Duration {
        let now = self.now();
        let all = self.all();
        let sleeps = all.iter().map(|it| it.live().sleep_millis(now));
        let millis = sleeps.min().unwrap_or(step::SLEEP_MILLIS_MAX);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    fn command(
        &mut self,
        workspace: &Arc<Workspace>,
        actor: Actor,
        command: Command,
        side: Vec<SideWrite>,
        reply: Reply,
    ) {
        let now = self.now();
        let decided = workspace
            .live_mut()
            .submit(entry_id(), actor, command, side, now);
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
    fn settle_all(&mut self) {
        let now = self.now();
        for workspace in self.all() {
            if workspace.live().should_read_again(now) {
                self.refold(&workspace);
            }
            let settled = workspace.live_mut().settle(entry_id(), now);
            if let Some(prepared) = settled {
                self.send(Write::Entry {
                    workspace,
                    prepared,
                    reply: None,
                });
            }
        }
    }

    fn send(&self, write: Write) {
        if let Err(lost) = self.entries.send(write) {
            lost.0.refuse(stopping());
        }
    }

    fn refold_failed(&self) {
        for workspace in self.all() {
            if workspace.append_failed.load(Ordering::Acquire) {
                self.refold(&workspace);
            }
        }
    }

    /// Drops what is in memory and reads it back: it ran ahead of what could be written.
    fn refold(&self, workspace: &Arc<Workspace>) {
        // First everything that is on its way must have been written or have failed, else it would be missed.
        let (passed, barrier) = sync_channel(1);
        if self.entries.send(Write::Barrier(passed)).is_err() || barrier.recv().is_err() {
            return;
        }
        workspace.append_failed.store(false, Ordering::Release);
        let now = self.now();
        // Only this thread replaces it, so reading it meanwhile holds up readers no more than itself.
        let refolded = workspace.live().refolded(&*self.shared.store, now);
        if let Some(shard) = refolded {
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
        for workspace in self.all() {
            let worthwhile = workspace
                .live()
                .snapshot_after(step::ENTRIES_PER_LAST_SNAPSHOT);
            if let Some((state, hash)) = worthwhile {
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
