//! A workspace in memory to measure with: the engine alone, or behind the controller's steps and a store.

use anyhow::{Context as _, Result};
use stagegate_controller::step::{self, Decided, Shard};
use stagegate_engine::{Context, Engine, State};
use stagegate_model::{
    Actor, Change, Command, EntryId, Fact, JobId, JobReport, JobStatus, Timestamp, WorkspaceId,
};
use stagegate_sim::fleet::Fleet;
use stagegate_store::{Append, SqliteStore, Store as _};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// When a fleet is made: 2026-01-05T00:00:00Z.
pub const BEGINNING: Timestamp = Timestamp(1_767_571_200_000);

/// Resources in one command.
const RESOURCES_AT_A_TIME: usize = 10_000;

/// Ids that grow, as the shell's do.
#[derive(Default)]
struct Ids(u128);

impl Ids {
    fn next(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(0x0194_0000_0000_7000_8000_0000_0000_0000 + self.0)
    }
}

/// The engine alone.
pub struct World {
    pub engine: Engine,
    pub now: Timestamp,
    ids: Ids,
}

impl World {
    /// One with a fleet in it, settled.
    pub fn of(fleet: &Fleet) -> Result<Self> {
        let mut world = Self {
            engine: Engine::default(),
            now: BEGINNING,
            ids: Ids::default(),
        };
        for command in creation(fleet) {
            world.run(command)?;
        }
        Ok(world)
    }

    pub fn id(&mut self) -> Uuid {
        self.ids.next()
    }

    /// Carries out a command and everything that follows at once; gives the facts of each entry.
    pub fn run(&mut self, command: Command) -> Result<Vec<Vec<Fact>>> {
        let mut entries = Vec::new();
        self.each_entry(command, |facts| entries.push(facts))?;
        Ok(entries)
    }

    /// [`World::run`], with each entry handed on as soon as it is made.
    pub fn each_entry(&mut self, command: Command, mut take: impl FnMut(Vec<Fact>)) -> Result<()> {
        let context = self.context();
        let executed = self.engine.execute(command, context);
        take(executed.map_err(|refused| anyhow::anyhow!("refused: {}", refused.message))?);
        self.engine.take_archive();
        while self.engine.is_dirty() {
            let context = self.context();
            take(self.engine.settle(context));
            self.engine.take_archive();
        }
        Ok(())
    }

    fn context(&mut self) -> Context {
        Context {
            entry: EntryId(self.ids.next()),
            now: self.now,
            actor: Actor::System,
        }
    }
}

/// The commands that make a fleet.
pub fn creation(fleet: &Fleet) -> Vec<Command> {
    let mut commands = vec![
        Command::CreateWorkspace {
            id: WorkspaceId(Uuid::from_u128(1)),
            name: "fleet".to_owned(),
            slug: "fleet".to_owned(),
        },
        Command::Configure(fleet.configuration.clone()),
    ];
    for chunk in fleet.resources.chunks(RESOURCES_AT_A_TIME) {
        let changes = chunk.iter().cloned().map(Change::PutResource).collect();
        commands.push(Command::Configure(changes));
    }
    commands
}

/// What an agent says at the end of a job.
pub fn report(job: JobId, status: JobStatus) -> Command {
    Command::ReportJob(JobReport {
        job,
        status,
        message: String::new(),
        runner: None,
        epoch: None,
        external_id: None,
        output_tail: None,
        exit: None,
        links: Default::default(),
    })
}

/// Jobs that no agent has ended.
pub fn open_jobs(state: &State) -> Vec<JobId> {
    let jobs = state.jobs().values();
    jobs.filter(|job| !job.status.is_terminal())
        .map(|job| job.id)
        .collect()
}

/// The controller's steps over a store on the disk, one after the other as its two threads take them.
pub struct Durable {
    pub shard: Shard,
    pub store: SqliteStore,
    pub now: Timestamp,
    ids: Ids,
    /// Entries that are not written yet, while a log is only being made.
    held_back: Option<Vec<Append>>,
    _folder: tempfile::TempDir,
}

/// How many entries are written together while a log is only being made.
const HELD_BACK_MAX: usize = 2_000;

/// What a command came to on the disk.
pub struct Written {
    /// From the command to the last commit of what followed from it.
    pub spent: Duration,
    /// The bodies of the entries.
    pub bodies: Vec<Vec<u8>>,
    /// The facts of all entries.
    pub facts: usize,
}

impl Durable {
    pub fn of(fleet: &Fleet) -> Result<Self> {
        let folder = tempfile::tempdir().context("no folder for the database")?;
        let store = SqliteStore::open(folder.path())?;
        let mut durable = Self {
            shard: Shard::new(WorkspaceId(Uuid::from_u128(1))),
            store,
            now: BEGINNING,
            ids: Ids::default(),
            held_back: None,
            _folder: folder,
        };
        for command in creation(fleet) {
            durable.run(command)?;
        }
        Ok(durable)
    }

    pub fn id(&mut self) -> Uuid {
        self.ids.next()
    }

    /// Carries out a command, durably, with everything that follows at once.
    pub fn run(&mut self, command: Command) -> Result<Written> {
        let started = Instant::now();
        let mut written = Written {
            spent: Duration::ZERO,
            bodies: Vec::new(),
            facts: 0,
        };
        let id = EntryId(self.ids.next());
        let decided = self
            .shard
            .submit(id, Actor::System, command, Vec::new(), self.now);
        match decided {
            Decided::Entry(prepared) => self.append(*prepared, &mut written)?,
            Decided::Answer { answer, .. } => {
                answer.map_err(|refused| anyhow::anyhow!("refused: {}", refused.message))?;
            }
            Decided::Unavailable(error) | Decided::Panicked(error) => return Err(error.into()),
        }
        self.settle(&mut written)?;
        written.spent = started.elapsed();
        Ok(written)
    }

    /// Makes a log, of which nothing is measured, in large commits, and without what is found by other keys.
    pub fn make_log(&mut self, make: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.held_back = Some(Vec::new());
        make(self)?;
        let rest = self.held_back.take().unwrap_or_default();
        Ok(self.store.append(&rest)?)
    }

    /// Leaves a snapshot of the state behind, as the controller does.
    pub fn snapshot(&self) -> Result<()> {
        let workspace = WorkspaceId(Uuid::from_u128(1));
        let taken = self.shard.snapshot_after(0);
        let (state, hash) = taken.context("there is no state to keep")?;
        step::save_snapshot(&self.store, workspace, &state, hash)?;
        Ok(())
    }

    /// Lets time pass, with everything that follows, durably.
    pub fn wait_until(&mut self, then: Timestamp) -> Result<Written> {
        let started = Instant::now();
        self.now = then;
        let mut written = Written {
            spent: Duration::ZERO,
            bodies: Vec::new(),
            facts: 0,
        };
        self.settle(&mut written)?;
        written.spent = started.elapsed();
        Ok(written)
    }

    fn settle(&mut self, written: &mut Written) -> Result<()> {
        loop {
            let id = EntryId(self.ids.next());
            let Some(prepared) = self.shard.settle(id, self.now) else {
                return Ok(());
            };
            self.append(*prepared, written)?;
        }
    }

    fn append(
        &mut self,
        prepared: stagegate_controller::step::Prepared,
        written: &mut Written,
    ) -> Result<()> {
        let mut append: Append = prepared.append;
        written.facts += prepared.facts.len();
        if let Some(held_back) = &mut self.held_back {
            (append.touches, append.archive) = Default::default();
            held_back.push(append);
            if held_back.len() >= HELD_BACK_MAX {
                self.store.append(held_back)?;
                held_back.clear();
            }
            return Ok(());
        }
        let appends = [append];
        self.store.append(&appends)?;
        let [append] = appends;
        written.bodies.push(append.row.body);
        Ok(())
    }
}
