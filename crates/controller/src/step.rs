//! One workspace, step by step: load, decide, append, refold. No threads, no clock, no ids of its own.
//!
//! The deciding and the writing thread drive these steps in production, the simulator drives them in one loop; both
//! run the same code.

use crate::leases::{Lapsed, Leases};
use crate::looking::configures;
use crate::{Abridged, Brief, Committed, Pulse, SubmitError, load, lock, measure, unavailable};
use stagegate_engine::{Engine, SNAPSHOT_SCHEMA, State};
use stagegate_model::{
    Actor, Cause, Command, Entry, EntryId, Fact, JobId, Rejection, SEMANTICS_VERSION, Timestamp,
    WorkspaceId,
};
use stagegate_store::{
    Append, ArchiveRecord, EntityRef, Hash, Head, Rest, Row, SideWrite, Store, StoreError,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

pub use crate::checks::check;
pub use crate::load::verify;
pub use crate::measure::{DueMeasurement, MeasurementKey, open as open_measurements};
pub use crate::snapshot::{ENTRIES_PER_SNAPSHOT, SnapshotPace, Taken, snapshot_from_log};

/// Entries since the last snapshot that make another one worthwhile when stopping.
pub const ENTRIES_PER_LAST_SNAPSHOT: u64 = 200;
/// Entries in one transaction, at most.
pub const ENTRIES_PER_COMMIT_MAX: usize = 512;
/// The longest sleep, in milliseconds: a net under the timers, should the clock be set.
pub const SLEEP_MILLIS_MAX: i64 = 60_000;
/// How long to wait before storage that failed is tried again without anybody asking.
const TRY_AGAIN_MILLIS: i64 = 1_000;

/// How far the log is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// The last durable entry's number.
    pub seq: u64,
    /// Grows whenever decisions that did not become durable were dropped.
    pub generation: u64,
}

impl Durable {
    /// Whether what was `seen` is durable: entries are written in the order in which they were made, so it is
    /// durable or void once the log has come so far.
    #[must_use]
    pub fn holds(self, seen: Self) -> bool {
        self.generation == seen.generation && self.seq >= seen.seq
    }
}

/// A workspace in memory: its engine and the head of its log as decided, which may run ahead of what is durable.
pub struct Shard {
    workspace: WorkspaceId,
    engine: Engine,
    /// The last entry that was made.
    head: Option<Head>,
    generation: u64,
    /// The last entry made here that configured something; none of those that were read.
    configured_seq: u64,
    halted: Option<Halt>,
    /// The number of the entry of the snapshot from which it was read.
    snapshot_seq: u64,
    /// When an append failed: what is due by itself is not tried again at once, which would only turn in circles.
    failed_at: Option<Timestamp>,
    /// Whether it was just read back, and not looked at since.
    just_read: bool,
    /// Who has to be heard of until when.
    leases: Mutex<Leases>,
}

/// Which program says that a workspace is at rest: another one may decide otherwise, or know other calendars.
#[must_use]
pub fn said_by() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("{version}/{SNAPSHOT_SCHEMA}/{SEMANTICS_VERSION}")
}

/// Why nothing is decided or shown.
#[derive(Clone, Debug)]
pub struct Halt {
    /// Stable, for programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// When the storage failed, if only that is the reason: reading is tried again.
    failed_at: Option<Timestamp>,
}

impl Halt {
    /// Whether only storage that failed is the reason.
    pub(crate) fn is_passing(&self) -> bool {
        self.failed_at.is_some()
    }

    /// A halt that only a restart ends.
    #[must_use]
    pub fn corrupt(why: impl std::fmt::Display) -> Self {
        Self {
            code: "log_corrupt",
            message: format!("the workspace is halted: {why}"),
            failed_at: None,
        }
    }

    pub(crate) fn after(error: &load::LoadError, now: Timestamp) -> Self {
        let passing = matches!(
            error,
            load::LoadError::Store(StoreError::Io { .. } | StoreError::Full { .. })
        );
        Self {
            code: if passing { error.code() } else { "log_corrupt" },
            message: format!("the workspace is halted: {error}"),
            failed_at: passing.then_some(now),
        }
    }
}

/// An entry made but not yet written.
pub struct Prepared {
    /// What is to be appended.
    pub append: Append,
    /// The entry's time.
    pub time: Timestamp,
    /// The entry's facts.
    pub facts: Arc<[Fact]>,
}

impl Prepared {
    /// What the caller is told once the entry is durable.
    #[must_use]
    pub fn committed(&self) -> Committed {
        Committed {
            seq: self.append.row.seq,
            time: self.time,
            facts: Arc::clone(&self.facts),
        }
    }
}

/// What came of a command.
pub enum Decided {
    /// To be written; the caller is answered when it is durable.
    Entry(Box<Prepared>),
    /// Nothing is to be written. The answer holds once, and only if, what was `seen` is durable.
    Answer {
        /// What it depends on.
        seen: Durable,
        /// The answer.
        answer: Result<Committed, Rejection>,
    },
    /// Nothing can be decided at present.
    Unavailable(SubmitError),
    /// Deciding failed half-way: once all that is on its way is written, the shard must be refolded.
    Panicked(SubmitError),
}

impl Shard {
    /// A workspace without a log.
    #[must_use]
    pub fn new(workspace: WorkspaceId) -> Self {
        Self {
            workspace,
            engine: Engine::default(),
            head: None,
            generation: 0,
            configured_seq: 0,
            halted: None,
            snapshot_seq: 0,
            failed_at: None,
            just_read: false,
            leases: Mutex::default(),
        }
    }

    pub(crate) fn at(workspace: WorkspaceId, engine: Engine, head: Option<Head>) -> Self {
        let snapshot_seq = head.map_or(0, |head| head.seq);
        Self {
            engine,
            head,
            snapshot_seq,
            ..Self::new(workspace)
        }
    }

    /// Reads a workspace back: its latest usable snapshot, then the log behind it.
    ///
    /// # Errors
    /// When the log cannot be read or does not fold.
    pub fn load(store: &dyn Store, workspace: WorkspaceId) -> Result<Self, load::LoadError> {
        load::load(store, workspace)
    }

    /// The state, and what decides with it.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn replay(&mut self, entry: &Entry, head: Head) {
        self.engine.replay(entry);
        self.head = Some(head);
    }

    pub(crate) fn resume(&mut self) {
        self.engine.resume();
        self.just_read = true;
    }

    /// The last entry of the snapshot it was read from; 0 when it was read from the log alone.
    pub(crate) fn snapshot_seq(&self) -> u64 {
        self.snapshot_seq
    }

    /// The last entry that was made.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.head
    }

    /// Why nothing is decided or shown, if that is so.
    #[must_use]
    pub fn halted(&self) -> Option<&Halt> {
        self.halted.as_ref()
    }

    /// Stops deciding until the process is started again.
    pub fn halt(&mut self, halt: Halt) {
        self.halted = Some(halt);
    }

    /// What a look at the engine now depends on.
    #[must_use]
    pub fn seen(&self) -> Durable {
        Durable {
            seq: self.head.map_or(0, |head| head.seq),
            generation: self.generation,
        }
    }

    /// What a look at the configuration alone depends on: what was read is durable.
    #[must_use]
    pub(crate) fn seen_of_configuration(&self) -> Durable {
        Durable {
            seq: self.configured_seq,
            generation: self.generation,
        }
    }

    /// Carries out a command in memory. `id` is the entry's, should one be made.
    pub fn submit(
        &mut self,
        id: EntryId,
        actor: Actor,
        command: Command,
        side: Vec<SideWrite>,
        now: Timestamp,
    ) -> Decided {
        if let Some(halt) = &self.halted {
            return Decided::Unavailable(SubmitError::Unavailable {
                code: halt.code,
                message: halt.message.clone(),
            });
        }
        let decided = self.guarded(|shard| shard.decide(id, actor, command, side, now));
        match decided {
            Ok(Ok(Some(prepared))) => Decided::Entry(Box::new(prepared)),
            // What the caller relies on may still be on its way to the disk.
            Ok(Ok(None)) => Decided::Answer {
                seen: self.seen(),
                answer: Ok(Committed {
                    seq: self.seen().seq,
                    time: now,
                    facts: [].into(),
                }),
            },
            Ok(Err(rejection)) => Decided::Answer {
                seen: self.seen(),
                answer: Err(rejection),
            },
            Err(Panicked) => Decided::Panicked(SubmitError::Unavailable {
                code: "internal",
                message: "deciding this command failed inside the server; nothing was written"
                    .to_owned(),
            }),
        }
    }

    fn decide(
        &mut self,
        id: EntryId,
        actor: Actor,
        command: Command,
        side: Vec<SideWrite>,
        now: Timestamp,
    ) -> Result<Option<Prepared>, Rejection> {
        let cause = match &command {
            Command::Wake => Cause::Timer,
            command => Cause::Command {
                name: command.name().to_owned(),
            },
        };
        let context = stagegate_engine::Context {
            entry: id,
            now,
            actor,
        };
        let reporter = match &command {
            Command::ReportJob(report) if report.runner.is_some() || report.epoch.is_some() => {
                Some(report.job)
            }
            _ => None,
        };
        let facts = self.engine.execute(command, context)?;
        // Whoever was not refused has the job.
        if let Some(job) = reporter.and_then(|id| self.engine.state().jobs().get(&id)) {
            lock(&self.leases).heard(job, now);
        }
        Ok(self.prepare(id, actor, cause, facts, side, now))
    }

    /// Whether it was read back and not looked at since.
    #[must_use]
    pub fn is_just_read(&self) -> bool {
        self.just_read
    }

    /// What was just read back is looked at before anything is asked of it: what a command brings about does not depend on
    /// whether the workspace was in memory.
    pub fn settle_if_just_read(&mut self, id: EntryId, now: Timestamp) -> Option<Box<Prepared>> {
        match self.just_read {
            true => self.settle(id, now),
            false => None,
        }
    }

    /// Decides what is left over or what time has opened; nothing when neither is the case. A failure inside halts
    /// the workspace: it would only repeat.
    pub fn settle(&mut self, id: EntryId, now: Timestamp) -> Option<Box<Prepared>> {
        {
            let mut leases = lock(&self.leases);
            leases.begin(self.engine.state(), now);
            leases.follow_clock(self.engine.state(), now);
        }
        if !self.is_due(now) {
            return None;
        }
        let lapsed = lock(&self.leases).take_lapsed(now);
        if let Some(Lapsed { job, epoch, since }) = lapsed {
            let command = Command::LoseLease { job, epoch, since };
            return self.settled(|shard| {
                // Never refused: what no longer holds is no loss.
                shard
                    .decide(id, Actor::System, command, Vec::new(), now)
                    .unwrap_or_default()
            });
        }
        self.just_read = false;
        let cause = match (self.engine.is_dirty(), self.head) {
            (true, Some(head)) => Cause::Continued { of: head.id },
            _ => Cause::Timer,
        };
        self.settled(|shard| {
            let actor = Actor::System;
            let facts = shard.engine.settle(stagegate_engine::Context {
                entry: id,
                now,
                actor,
            });
            shard.prepare(id, actor, cause, facts, Vec::new(), now)
        })
    }

    fn settled(
        &mut self,
        settle: impl FnOnce(&mut Self) -> Option<Prepared>,
    ) -> Option<Box<Prepared>> {
        match self.guarded(settle) {
            Ok(prepared) => prepared.map(Box::new),
            Err(Panicked) => {
                self.halted = Some(Halt::corrupt(
                    "deciding failed inside the server; its log is whole",
                ));
                None
            }
        }
    }

    /// Whether there is something to settle.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.halted.is_none()
            && !self.rests(now)
            && (self.engine.is_dirty() || self.next_wake().is_some_and(|at| at <= now))
    }

    /// The earliest moment at which time alone changes something here.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let lapse = self.next_lapse();
        self.engine.next_wake().into_iter().chain(lapse).min()
    }

    /// The earliest moment at which a lease lapses.
    pub(crate) fn next_lapse(&self) -> Option<Timestamp> {
        lock(&self.leases).next()
    }

    /// The holder of a job is heard of: its lease begins anew if `renew`. What is answered holds once what was
    /// [`Self::seen`] is durable.
    ///
    /// # Errors
    /// `job_not_found`, `job_ended`, `lease_lost` when it is not the holder.
    pub fn heard(
        &self,
        job: JobId,
        runner: &str,
        epoch: u64,
        now: Timestamp,
        renew: bool,
    ) -> Result<Pulse, Rejection> {
        let state = self.engine.state();
        let pulse = Pulse::of(state, job, runner, epoch)?;
        if renew && let Some(job) = state.jobs().get(&job) {
            lock(&self.leases).heard(job, now);
        }
        Ok(pulse)
    }

    /// When something is to be done here though nobody asks; `None` for never. What happens here may change it, and so
    /// may a clock that is set back.
    #[must_use]
    pub fn due_at(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.halted {
            Some(Halt {
                failed_at: None, ..
            }) => None,
            Some(_) => Some(now.plus_millis(TRY_AGAIN_MILLIS)),
            None if self.rests(now) => Some(now.plus_millis(TRY_AGAIN_MILLIS)),
            None if self.engine.is_dirty() => Some(now),
            None => self.next_wake(),
        }
    }

    /// For how many milliseconds nothing can change by time alone.
    #[must_use]
    pub fn sleep_millis(&self, now: Timestamp) -> i64 {
        self.due_at(now).map_or(SLEEP_MILLIS_MAX, |at| {
            at.millis_since(now).clamp(0, SLEEP_MILLIS_MAX)
        })
    }

    /// Whether the storage could not be read and should be tried again.
    #[must_use]
    pub fn should_read_again(&self, now: Timestamp) -> bool {
        let failed_at = self.halted.as_ref().and_then(|halt| halt.failed_at);
        failed_at.is_some_and(|at| !is_recent(at, now))
    }

    /// Whether what is due by itself has to wait since an append failed just now.
    fn rests(&self, now: Timestamp) -> bool {
        self.failed_at.is_some_and(|at| is_recent(at, now))
    }

    /// What is to take this shard's place after a failed append: the state as the log has it. `None` when all that
    /// was decided is durable after all. Everything on its way must have been written or have failed before.
    #[must_use]
    pub fn refolded(&self, store: &dyn Store, now: Timestamp) -> Option<Self> {
        let durable = store.head(self.workspace);
        let decided = self.head.map(|head| head.hash);
        let whole = self.halted.is_none()
            && matches!(&durable, Ok(head) if head.map(|head| head.hash) == decided);
        if whole {
            return None;
        }
        let mut fresh = match Self::load(store, self.workspace) {
            Ok(fresh) => fresh,
            Err(error) => Self {
                halted: Some(Halt::after(&error, now)),
                ..Self::new(self.workspace)
            },
        };
        fresh.generation = self.generation + 1;
        fresh.failed_at = Some(now);
        Some(fresh)
    }

    /// What is to be remembered of it when it leaves memory. `None` while there is anything to decide, or anything is
    /// under way: a job, a measurement, a lease.
    #[must_use]
    pub fn at_rest(&self, now: Timestamp) -> Option<Rest> {
        let head = self.head?;
        let state = self.engine.state();
        let is_quiet = self.halted.is_none()
            && !self.rests(now)
            && !self.is_due(now)
            && self.next_lapse().is_none()
            && state.jobs().values().all(|job| job.status.is_terminal())
            && !measure::any(state);
        is_quiet.then(|| Rest {
            workspace: self.workspace,
            seq: head.seq,
            entry_hash: head.hash,
            said_by: said_by(),
            due_at: self.engine.next_wake(),
        })
    }

    /// Reads a workspace back that left memory as `seen`, with an entry of this hash as the last one.
    ///
    /// # Errors
    /// As [`Self::load`]; also when the log is not the one that is remembered.
    pub fn back(
        store: &dyn Store,
        workspace: WorkspaceId,
        seen: Durable,
        entry_hash: Hash,
    ) -> Result<Self, load::LoadError> {
        let mut shard = Self::load(store, workspace)?;
        let found = shard.head.map(|head| (head.seq, head.hash));
        if found != Some((seen.seq, entry_hash)) {
            return Err(load::LoadError::DoesNotFold {
                workspace,
                seq: seen.seq,
                entry: shard
                    .head
                    .map(|head| head.id.to_string())
                    .unwrap_or_default(),
                what: "the log does not end where it ended".to_owned(),
            });
        }
        shard.generation = seen.generation;
        Ok(shard)
    }

    /// The pace of snapshots from here on; what was read must be all that is durable.
    #[must_use]
    pub fn snapshot_pace(&self) -> SnapshotPace {
        SnapshotPace::at(self.snapshot_seq, self.head.map_or(0, |head| head.seq))
    }

    /// The state for a last snapshot, with its entry's hash, if one is worthwhile after `entries` entries.
    #[must_use]
    pub fn snapshot_after(&self, entries: u64) -> Option<(Box<State>, Hash)> {
        let head = self.head.filter(|_| self.halted.is_none())?;
        (head.seq - self.snapshot_seq >= entries)
            .then(|| (Box::new(self.engine.state().clone()), head.hash))
    }

    /// A panic while deciding must not take the process with it; what it left half-folded is dropped by the caller.
    fn guarded<T>(&mut self, decide: impl FnOnce(&mut Self) -> T) -> Result<T, Panicked> {
        catch_unwind(AssertUnwindSafe(|| decide(self))).map_err(|_| {
            // Whatever the engine holds now matches no entry: make sure that it is not taken for the head.
            self.head = None;
            Panicked
        })
    }

    fn prepare(
        &mut self,
        id: EntryId,
        actor: Actor,
        cause: Cause,
        facts: Vec<Fact>,
        side: Vec<SideWrite>,
        now: Timestamp,
    ) -> Option<Prepared> {
        if facts.is_empty() {
            return None;
        }
        let state = self.engine.state();
        lock(&self.leases).follow(state, &facts, now);
        let time = state.head().time;
        let seq = state.head().seq;
        let touched = stagegate_engine::touched(state, &actor, &facts);
        let archive = self.engine.take_archive();
        let entry = Entry {
            workspace: self.workspace,
            seq,
            id,
            time,
            actor,
            cause,
            semantics: SEMANTICS_VERSION,
            facts,
        };
        let body = entry.to_bytes();
        let abridged = Abridged::of(&entry, body.len());
        let row = Row::following(self.head.as_ref(), self.workspace, id, time, body);
        let brief = Brief::record(&entry, &row);
        if entry.facts.iter().any(configures) {
            self.configured_seq = seq;
        }
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
                body: it.body.into_bytes(),
            })
            .collect();
        append
            .archive
            .extend(abridged.and_then(|it| it.record().ok()));
        append.archive.extend(brief);
        append.side = side;
        Some(Prepared {
            append,
            time,
            facts: entry.facts.into(),
        })
    }
}

struct Panicked;

/// Whether a failure is too recent to try again. A clock that was set back meanwhile does not prolong it.
fn is_recent(failed_at: Timestamp, now: Timestamp) -> bool {
    (0..TRY_AGAIN_MILLIS).contains(&now.millis_since(failed_at))
}

/// Appends a batch and says of each entry what became of it. Where the outcome of a commit is unknown, it is looked
/// up; where even that fails, it is reported as unknown.
pub fn commit(store: &dyn Store, batch: &[Append]) -> Vec<Result<(), SubmitError>> {
    let whole = append(store, batch);
    match whole {
        Ok(()) => batch.iter().map(|_| Ok(())).collect(),
        // It may be written: nothing of it may be written again, nor be said not to have been written.
        Err(StoreError::Unknown { .. }) => {
            let failed = failure(&whole);
            batch.iter().map(|_| failed.clone()).collect()
        }
        // One workspace's trouble must not fail the others': each entry on its own.
        Err(_) if batch.len() > 1 => {
            let each = batch.iter().map(std::slice::from_ref);
            each.map(|one| failure(&append(store, one))).collect()
        }
        Err(_) => vec![failure(&whole)],
    }
}

fn failure(outcome: &Result<(), StoreError>) -> Result<(), SubmitError> {
    match outcome {
        Ok(()) => Ok(()),
        // It followed an entry that could not be written.
        Err(StoreError::Conflict { .. }) => Err(void()),
        Err(error) => Err(unavailable(error)),
    }
}

fn append(store: &dyn Store, batch: &[Append]) -> Result<(), StoreError> {
    let Some(first) = batch.first().map(|append| &append.row) else {
        return Ok(());
    };
    let outcome = store.append(batch);
    let Err(StoreError::Unknown { detail }) = outcome else {
        return outcome;
    };
    match store.row(first.workspace, first.seq) {
        Ok(Some(row)) if row.id == first.id => Ok(()),
        _ => Err(StoreError::Unknown { detail }),
    }
}

/// What is told of something that followed an entry that could not be written.
#[must_use]
pub fn void() -> SubmitError {
    SubmitError::Unavailable {
        code: "storage_io",
        message: "an entry before this one could not be written, so this was not written either; try again".to_owned(),
    }
}

/// Writes a snapshot of a state whose last entry, with this hash, is durable.
///
/// # Errors
/// When it cannot be written; that only makes the next start slower.
pub fn save_snapshot(
    store: &dyn Store,
    workspace: WorkspaceId,
    state: &State,
    entry_hash: Hash,
) -> Result<(), StoreError> {
    load::save(store, workspace, state, entry_hash).map(drop)
}
