//! A workspace in memory: its engine, the head of its log as decided, and how much of it is durable.

use stagegate_engine::Engine;
use stagegate_model::{
    Actor, Cause, Command, Entry, EntryId, Fact, Rejection, SEMANTICS_VERSION, Timestamp,
    WorkspaceId,
};
use stagegate_store::{Append, ArchiveRecord, EntityRef, Head, Row, SideWrite};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

/// One workspace of this process.
pub(crate) struct Workspace {
    pub id: WorkspaceId,
    live: RwLock<Live>,
    pub durable: watch::Sender<Durable>,
}

/// How far the log is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// The last durable entry's number.
    pub seq: u64,
    /// Grows whenever decisions that did not become durable were dropped.
    pub generation: u64,
}

/// What is decided, which may run ahead of what is durable.
#[derive(Default)]
pub(crate) struct Live {
    pub engine: Engine,
    /// The last entry that was made.
    pub head: Option<Head>,
    pub generation: u64,
    /// Set when the log could not be read back: nothing more is decided or shown.
    pub halted: Option<String>,
    /// The number of the entry of the latest snapshot.
    pub snapshot_seq: u64,
}

/// An entry made but not yet written.
pub(crate) struct Made {
    pub append: Append,
    pub time: Timestamp,
    pub facts: Arc<[Fact]>,
}

impl Live {
    /// What a look at the engine now depends on.
    pub fn seen(&self) -> Durable {
        Durable {
            seq: self.head.map_or(0, |head| head.seq),
            generation: self.generation,
        }
    }

    /// Carries out a command in memory. `None`: nothing changed.
    pub fn decide(
        &mut self,
        workspace: WorkspaceId,
        actor: Actor,
        command: Command,
        side: Vec<SideWrite>,
        now: Timestamp,
    ) -> Result<Option<Made>, Rejection> {
        let cause = match &command {
            Command::Wake => Cause::Timer,
            command => Cause::Command {
                name: command.name().to_owned(),
            },
        };
        let id = EntryId(uuid::Uuid::now_v7());
        let facts = self.engine.execute(
            command,
            stagegate_engine::Context {
                entry: id,
                now,
                actor,
            },
        )?;
        Ok(self.make(workspace, id, actor, cause, facts, side))
    }

    /// Decides what is left over or what time has opened.
    pub fn settle(&mut self, workspace: WorkspaceId, now: Timestamp) -> Option<Made> {
        let id = EntryId(uuid::Uuid::now_v7());
        let cause = match (self.engine.is_dirty(), self.head) {
            (true, Some(head)) => Cause::Continued { of: head.id },
            _ => Cause::Timer,
        };
        let actor = Actor::System;
        let facts = self.engine.settle(stagegate_engine::Context {
            entry: id,
            now,
            actor,
        });
        self.make(workspace, id, actor, cause, facts, Vec::new())
    }

    fn make(
        &mut self,
        workspace: WorkspaceId,
        id: EntryId,
        actor: Actor,
        cause: Cause,
        facts: Vec<Fact>,
        side: Vec<SideWrite>,
    ) -> Option<Made> {
        if facts.is_empty() {
            return None;
        }
        let state = self.engine.state();
        let time = state.head().time;
        let seq = state.head().seq;
        let touched = stagegate_engine::touched(state, &actor, &facts);
        let archive = self.engine.take_archive();
        let entry = Entry {
            workspace,
            seq,
            id,
            time,
            actor,
            cause,
            semantics: SEMANTICS_VERSION,
            facts,
        };
        let row = Row::following(self.head.as_ref(), workspace, id, time, entry.to_bytes());
        self.head = Some(row.head());
        let mut append = Append::new(row, 0);
        append.touches = touched
            .into_iter()
            .map(|(kind, id)| EntityRef::new(kind, id))
            .collect();
        append.archive = archive
            .into_iter()
            .map(|it| ArchiveRecord {
                kind: it.kind.to_owned(),
                id: it.id,
                target: it.target.map(|target| target.to_string()),
                number: it.number,
                parent: it.parent,
                seq,
                body: it.body.to_string().into_bytes(),
            })
            .collect();
        append.side = side;
        Some(Made {
            append,
            time,
            facts: entry.facts.into(),
        })
    }
}

impl Workspace {
    pub fn new(id: WorkspaceId, live: Live) -> Self {
        let durable = watch::Sender::new(live.seen());
        Self {
            id,
            live: RwLock::new(live),
            durable,
        }
    }

    pub fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic while deciding leaves half-folded state: the decider drops and refolds it before going on.
    pub fn live_mut(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what was seen is durable; false when it never will be.
    pub async fn wait_durable(&self, seen: Durable) -> bool {
        let mut durable = self.durable.subscribe();
        let reached = durable
            .wait_for(|now| now.generation != seen.generation || now.seq >= seen.seq)
            .await;
        reached.is_ok_and(|now| now.generation == seen.generation)
    }

    /// Says that the log is durable up to `seq`.
    pub fn became_durable(&self, seq: u64) {
        self.durable
            .send_modify(|durable| durable.seq = durable.seq.max(seq));
    }

    /// Puts a freshly loaded state in place of one that ran ahead of what could be written.
    pub fn replace(&self, mut live: Live) {
        let mut current = self.live_mut();
        live.generation = current.generation + 1;
        let seen = live.seen();
        *current = live;
        drop(current);
        self.durable.send_replace(seen);
    }
}
