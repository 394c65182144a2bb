//! The deciding thread: commands and the passing of time become entries, in memory, in order.

use crate::workspace::{Live, Made, Workspace};
use crate::write::{Outcome, Write};
use crate::{Committed, Shared, SubmitError, load, stopping};
use stagegate_model::{Actor, Command, Timestamp};
use stagegate_store::SideWrite;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

pub(crate) type Reply = oneshot::Sender<Result<Committed, SubmitError>>;

/// The longest sleep: a net under the timers, should the clock be set.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// Commands decided before time is looked at again.
const COMMANDS_AT_A_TIME: usize = 256;
/// Entries after which a snapshot is taken.
const ENTRIES_PER_SNAPSHOT: u64 = 2_000;
/// Entries since the last snapshot that make another one worthwhile when stopping.
const ENTRIES_PER_LAST_SNAPSHOT: u64 = 200;

pub(crate) enum Message {
    Command {
        workspace: Arc<Workspace>,
        actor: Actor,
        command: Box<Command>,
        side: Vec<SideWrite>,
        reply: Reply,
    },
    /// An append failed: what was decided after it is void.
    Failed(Arc<Workspace>),
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
                Message::Failed(workspace) => decider.refold(&workspace),
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
        let mut sleep = SLEEP_MAX;
        for workspace in self.all() {
            let live = workspace.live();
            if live.halted.is_some() {
                continue;
            }
            if live.engine.is_dirty() {
                return Duration::ZERO;
            }
            if let Some(at) = live.engine.next_wake() {
                let millis = u64::try_from(at.millis_since(now)).unwrap_or(0);
                sleep = sleep.min(Duration::from_millis(millis));
            }
        }
        sleep
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
        let mut live = workspace.live_mut();
        if let Some(reason) = &live.halted {
            let error = SubmitError::Unavailable {
                code: "log_corrupt",
                message: reason.clone(),
            };
            let _ = reply.send(Err(error));
            return;
        }
        let id = workspace.id;
        let decided = guarded(&mut live, |live| live.decide(id, actor, command, side, now));
        let write = match decided {
            Ok(Ok(Some(made))) => self.write(workspace, &mut live, made, Some(reply)),
            Ok(Ok(None)) => {
                // Nothing changed; what the caller relies on may still be on its way to the disk.
                let committed = Committed {
                    seq: live.seen().seq,
                    time: now,
                    facts: [].into(),
                };
                Write::Answer {
                    workspace: Arc::clone(workspace),
                    seen: live.seen(),
                    committed,
                    reply,
                }
            }
            Ok(Err(rejection)) => {
                let _ = reply.send(Err(rejection.into()));
                return;
            }
            Err(Panicked) => {
                drop(live);
                let _ = reply.send(Err(panicked()));
                self.refold(workspace);
                return;
            }
        };
        drop(live);
        self.send(write);
    }

    /// Goes on with what is dirty or due, one entry for each workspace, so that none starves another.
    fn settle_all(&mut self) {
        let now = self.now();
        for workspace in self.all() {
            let mut live = workspace.live_mut();
            let due = live.engine.is_dirty() || live.engine.next_wake().is_some_and(|at| at <= now);
            if !due || live.halted.is_some() {
                continue;
            }
            let id = workspace.id;
            let settled = guarded(&mut live, |live| live.settle(id, now));
            match settled {
                Ok(Some(made)) => {
                    let write = self.write(&workspace, &mut live, made, None);
                    drop(live);
                    self.send(write);
                }
                Ok(None) => {}
                Err(Panicked) => {
                    let reason = "the workspace is halted: deciding failed inside the server; its log is whole";
                    live.halted = Some(reason.to_owned());
                }
            }
        }
    }

    fn write(
        &self,
        workspace: &Arc<Workspace>,
        live: &mut Live,
        made: Made,
        reply: Option<Reply>,
    ) -> Write {
        let seq = made.append.row.seq;
        let snapshot = (seq - live.snapshot_seq >= ENTRIES_PER_SNAPSHOT).then(|| {
            live.snapshot_seq = seq;
            Box::new(live.engine.state().clone())
        });
        Write::Entry {
            workspace: Arc::clone(workspace),
            made: Box::new(made),
            snapshot,
            reply,
        }
    }

    fn send(&self, write: Write) {
        if let Err(lost) = self.entries.send(write) {
            lost.0.answer(Outcome::Failed(stopping()));
        }
    }

    /// Drops what is in memory and reads it back: it ran ahead of what could be written.
    fn refold(&self, workspace: &Arc<Workspace>) {
        // First everything that is on its way must have been written or have failed, else it would be missed.
        let (passed, barrier) = sync_channel(1);
        if self.entries.send(Write::Barrier(passed)).is_err() || barrier.recv().is_err() {
            return;
        }
        let durable = self.shared.store.head(workspace.id);
        let decided = workspace.live().head.map(|head| head.hash);
        if matches!(&durable, Ok(head) if head.map(|head| head.hash) == decided) {
            return;
        }
        match load::load(&*self.shared.store, workspace.id) {
            Ok(live) => workspace.replace(live),
            Err(error) => {
                let halted = Some(format!("the workspace is halted: {error}"));
                workspace.replace(Live {
                    halted,
                    ..Live::default()
                });
            }
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
            let live = workspace.live();
            let Some(head) = live.head.filter(|_| live.halted.is_none()) else {
                continue;
            };
            if head.seq - live.snapshot_seq >= ENTRIES_PER_LAST_SNAPSHOT {
                let state = Box::new(live.engine.state().clone());
                let write = Write::Snapshot {
                    workspace: Arc::clone(&workspace),
                    hash: head.hash,
                    state,
                };
                drop(live);
                self.send(write);
            }
        }
    }
}

struct Panicked;

/// A panic while deciding must not take the process with it; what it left half-folded is dropped by the caller.
fn guarded<T>(live: &mut Live, decide: impl FnOnce(&mut Live) -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(|| decide(live))).map_err(|_| {
        // Whatever the engine holds now matches no entry: make sure that it is not taken for the head.
        live.head = None;
        Panicked
    })
}

fn panicked() -> SubmitError {
    SubmitError::Unavailable {
        code: "internal",
        message: "deciding this command failed inside the server; nothing was written".to_owned(),
    }
}
