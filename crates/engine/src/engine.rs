//! The engine: state and what is compiled from it, and the one way in for commands and for the log.

use crate::expressions::Compiled;
use crate::handle;
use crate::resource_index::{Gathered, ResourceIndex, Seen};
use crate::settle::{self, Turn};
use crate::state::State;
use stagegate_expressions::cel::Program;
use stagegate_model::{Actor, Command, Entry, EntryId, Fact, Rejection, Timestamp};
use std::collections::BTreeMap;

/// How many targets the entry of a command decides at most; further ones follow in entries of their own, so
/// that one large fan-out does not hold up everything else.
pub const SETTLE_TARGETS_MAX: usize = 10_000;

/// A workspace's state with what is compiled from it.
#[derive(Clone, Default)]
pub struct Engine {
    pub(crate) state: State,
    pub(crate) compiled: Compiled,
    pub(crate) resources: ResourceIndex,
    /// Conditions of metrics, by their text; a cache.
    pub(crate) conditions: BTreeMap<String, Program>,
}

/// When and by whom; made by the shell.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The id the entry will have, should one be written.
    pub entry: EntryId,
    /// The shell's clock; an entry's time is the later of this and the previous entry's.
    pub now: Timestamp,
    pub actor: Actor,
}

impl Engine {
    /// An engine over a state that was folded or read from a snapshot; everything is looked at again.
    #[must_use]
    pub fn new(state: State) -> Self {
        let resources = index(&state);
        Self::over(state, resources)
    }

    /// An engine over a state that was read, with the index of its resources.
    pub(crate) fn over(mut state: State, resources: ResourceIndex) -> Self {
        state.reindex();
        state.mark_all();
        Self {
            compiled: Compiled::build(&state),
            resources,
            state,
            conditions: BTreeMap::new(),
        }
    }

    /// An engine that a log is read into from its beginning, before [`Self::resume`]: what is only needed to decide is
    /// made then, once.
    #[must_use]
    pub fn to_be_replayed() -> Self {
        Self {
            resources: ResourceIndex::put_off(),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes what left memory since the last call; to be stored with the entry just made.
    pub fn take_archive(&mut self) -> Vec<crate::Archived> {
        self.state.take_archive()
    }

    /// Folds an entry of the log. Call [`Self::resume`] after the last one.
    pub fn replay(&mut self, entry: &Entry) {
        self.state.begin(entry.seq, entry.id, entry.time);
        for fact in &entry.facts {
            self.fold(fact);
        }
        self.state.retire();
        self.state.archive.clear();
        // What follows from a fact follows once: to order it again after a restart would repeat what has failed since, or
        // was undone by a person.
        if settle::left_nothing(entry) {
            self.state.mark_none();
        }
    }

    /// Folds one fact into the state, and what is made from it.
    pub(crate) fn fold(&mut self, fact: &Fact) {
        let before = |id| {
            let stored = self.state.resources.get(id);
            let stored = stored.filter(|it| !it.deleted);
            stored.map(|it| Seen::from(&*it.resource))
        };
        match fact {
            _ if self.resources.is_put_off() => {}
            Fact::ResourcePut { resource } => {
                let before = before(&resource.id);
                self.resources.put(before.as_ref(), &resource.into());
            }
            Fact::ResourceDeleted { id } => {
                if let Some(resource) = before(id) {
                    self.resources.remove(&resource);
                }
            }
            _ => {}
        }
        self.state.apply(fact);
        self.compiled.follow(fact);
    }

    /// Ends the reading of a log: everything is to be decided again, since time has passed.
    pub fn resume(&mut self) {
        if self.resources.is_put_off() {
            self.resources = index(&self.state);
        }
        self.state.mark_all();
    }

    /// Carries out a command: the facts of it and of what follows, already folded into the state. They are to be
    /// written as one entry; if that fails, this engine must be dropped.
    ///
    /// No facts means nothing changed and nothing is to be written.
    ///
    /// # Errors
    /// A [`Rejection`]; the state is as before.
    pub fn execute(&mut self, command: Command, context: Context) -> Result<Vec<Fact>, Rejection> {
        let now = context.now.max(self.state.head.time);
        if matches!(command, Command::Wake) {
            self.wake(now);
        }
        let facts = handle::handle(self, command, Context { now, ..context })?;
        Ok(self.record(facts, Context { now, ..context }))
    }

    /// Folds what was said and decides what follows from it, as one entry; for those who live a history, recorded or
    /// made up: nothing is checked.
    pub fn record(&mut self, facts: Vec<Fact>, context: Context) -> Vec<Fact> {
        let now = context.now.max(self.state.head.time);
        let head = self.state.head;
        self.state.begin(head.seq + 1, context.entry, now);
        let mut turn = Turn::new(self, context.entry, SETTLE_TARGETS_MAX);
        for fact in facts {
            turn.push(fact);
        }
        turn.settle();
        let facts = turn.finish();
        if facts.is_empty() {
            self.state.head = crate::Head {
                time: head.time,
                ..head
            };
        } else {
            self.state.retire();
        }
        facts
    }

    /// Goes on deciding what an earlier entry left over, or what time has opened.
    pub fn settle(&mut self, context: Context) -> Vec<Fact> {
        // A wake is never refused.
        self.execute(Command::Wake, context).unwrap_or_default()
    }

    /// Whether decisions are left over.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.state.is_dirty()
    }

    /// The earliest moment at which time alone may change a decision.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let lane = self.state.waiting.first();
        let job = self.state.wakes.first().map(|(at, _)| *at);
        lane.into_iter().chain(job).min()
    }

    /// Marks what time may have changed.
    fn wake(&mut self, now: Timestamp) {
        self.state.dirty.lanes.extend(self.state.waiting.due(now));
        let due = self.state.wakes.iter().take_while(|(at, _)| *at <= now);
        self.state.dirty.jobs.extend(due.map(|(_, job)| *job));
    }
}

fn index(state: &State) -> ResourceIndex {
    let mut gathered = Gathered::default();
    state.resources().for_each(|it| gathered.add(it));
    gathered.index()
}
