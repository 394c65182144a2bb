//! One run: a world with a controller, its storage, people, agents and meters, under one clock that we turn.

use crate::auditor::{Auditor, Violation};
use crate::clients::{AgentPlan, agent_plan};
use crate::counts::Counts;
use crate::dice::Dice;
use crate::node::{Node, Ticket};
use crate::plan::Step;
use crate::sabotage::Saboteur;
use crate::store::{Faults, FaultyStore};
use crate::trace::Trace;
use crate::workload::{Ids, People, setup};
use stagegate_controller::step::MeasurementKey;
use stagegate_controller::{Committed, SubmitError};
use stagegate_model::*;
use stagegate_store::Store as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// 2026-03-02T09:00:00Z, as the clock has it when a run begins.
const START: i64 = 1_772_442_000_000;
/// The stream of ids for entries.
const ENTRY_IDS: u64 = 0;
/// Settles at one moment after which something is turning in circles.
const SETTLES_MAX: usize = 500;
/// From when on an agent's answer is a late one.
const LATE_MILLIS: i64 = 600_000;
/// Events of one run, a net.
const EVENTS_MAX: usize = 60_000;

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Step(usize),
    Claim {
        job: JobId,
        runner: String,
    },
    Report {
        job: JobId,
        runner: Option<String>,
        epoch: Option<u64>,
        status: JobStatus,
    },
    /// A runner with a lease says that it is there.
    Heartbeat(Hold),
    Measured {
        key: MeasurementKey,
        outcome: Result<Json, String>,
        process: u64,
    },
    Restart,
    StorageBack,
    WriterBack,
    /// Only to let time be looked at.
    Tick,
}

/// A claim of a runner, as the runner knows it.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub job: JobId,
    pub runner: String,
    pub epoch: u64,
    /// When it got the job.
    pub since: i64,
    /// Whether it has heard that it is to stop.
    pub stopping: bool,
}

/// Who waits for an answer, and what they do with it.
#[derive(Clone, Debug)]
enum Waiting {
    Person,
    Client(Event),
}

/// A run.
pub(crate) struct World<'s> {
    pub seed: u64,
    pub steps: &'s [Step],
    pub saboteur: &'s mut dyn Saboteur,
    pub store: Arc<FaultyStore>,
    pub workspace: WorkspaceId,
    pub node: Option<Node>,
    pub auditor: Auditor,
    pub people: People,
    pub ids: Ids,
    pub trace: Trace,
    /// Milliseconds since the run began; never goes back.
    pub time: i64,
    /// How far the machine's clock is off.
    pub clock_off: i64,
    events: BTreeMap<(i64, u64), Event>,
    event_count: u64,
    wake_at: Option<i64>,
    measure_at: Option<i64>,
    waiting: BTreeMap<Ticket, Waiting>,
    tickets: Ticket,
    /// Grows with every restart: what an earlier process had under way is gone.
    pub process: u64,
    pub measuring: BTreeSet<MeasurementKey>,
    pub agents: BTreeMap<JobId, AgentPlan>,
    pub writer_slow: bool,
    /// Until when Stagegate may rest after a failed append.
    may_rest_until: i64,
    /// Whether faults are over.
    pub healed: bool,
    /// How often what happened.
    pub counts: Counts,
    /// When each job was handed to its agent.
    dispatched: BTreeMap<JobId, i64>,
    /// What the store had when the log was last read to its end.
    followed: u64,
}

pub(crate) type Checked = Result<(), Violation>;

impl<'s> World<'s> {
    pub fn new(
        seed: u64,
        steps: &'s [Step],
        saboteur: &'s mut dyn Saboteur,
        loud: bool,
    ) -> Result<Self, Violation> {
        let store =
            FaultyStore::in_memory().map_err(|error| Violation::new("store", error.to_string()))?;
        let store = Arc::new(store);
        let mut ids = Ids::default();
        let workspace = WorkspaceId(ids.next(START, 1));
        Ok(Self {
            seed,
            steps,
            saboteur,
            node: Some(Node::new(Arc::clone(&store), workspace)),
            store,
            workspace,
            auditor: Auditor::default(),
            people: People::default(),
            ids,
            trace: Trace::new(loud),
            time: 0,
            clock_off: 0,
            events: BTreeMap::new(),
            event_count: 0,
            wake_at: None,
            measure_at: None,
            waiting: BTreeMap::new(),
            tickets: 0,
            process: 0,
            measuring: BTreeSet::new(),
            agents: BTreeMap::new(),
            writer_slow: false,
            may_rest_until: 0,
            healed: false,
            counts: Counts::default(),
            dispatched: BTreeMap::new(),
            followed: 0,
        })
    }

    /// What the machine's clock shows.
    pub fn now(&self) -> Timestamp {
        Timestamp(START + self.time + self.clock_off)
    }

    pub fn at(&mut self, after_millis: i64, event: Event) {
        self.event_count += 1;
        self.events
            .insert((self.time + after_millis.max(0), self.event_count), event);
    }

    /// Runs the whole plan, then lets everything come to rest, and audits.
    pub fn run(&mut self) -> Checked {
        let now = self.now();
        let (people, commands) = setup(self.seed, self.workspace, &mut self.ids, now);
        self.people = people;
        for (actor, command) in commands {
            self.submit(Waiting::Person, actor, command);
            self.drive()?;
        }
        let mut after = 0;
        for (index, step) in self.steps.iter().enumerate() {
            after += step.after_millis;
            self.at(after, Event::Step(index));
        }
        let steps = after;
        while self.time < steps && self.turn()? {}
        self.come_to_rest()
    }

    /// When the next thing will happen, if anything will.
    pub fn next_at(&self) -> Option<i64> {
        let timers = [self.wake_at, self.measure_at].into_iter().flatten();
        let timer = timers.min().filter(|_| self.node.is_some());
        let event = self.events.first_key_value().map(|(key, _)| key.0);
        timer.into_iter().chain(event).min()
    }

    /// Lets the next thing happen; false when nothing will.
    pub fn turn(&mut self) -> Result<bool, Violation> {
        let first = self.events.first_key_value().map(|(key, _)| *key);
        let timers = [self.wake_at, self.measure_at].into_iter().flatten().min();
        let up = self.node.is_some();
        let timer = timers.filter(|at| up && first.is_none_or(|(event, _)| *at <= event));
        if let Some(at) = timer {
            self.time = self.time.max(at);
            if self.measure_at.is_some_and(|due| due <= self.time) {
                self.measure_at = None;
            }
            let before = self.auditor.ledger.seq;
            self.drive()?;
            if self.auditor.ledger.seq > before {
                self.counts.add("time: a wake-up decided something");
            }
            return Ok(true);
        }
        let Some(key) = first else {
            return Ok(false);
        };
        let Some(event) = self.events.remove(&key) else {
            return Ok(false);
        };
        self.event_count += 1;
        if self.event_count > EVENTS_MAX as u64 {
            return Err(Violation::new("rest", "it does not come to rest"));
        }
        self.time = self.time.max(key.0);
        let before = self.tickets;
        let heartbeat = matches!(event, Event::Heartbeat(_));
        let rested = self.is_resting();
        self.happen(event)?;
        // That somebody was heard of changes nothing but until when.
        if !heartbeat || self.tickets > before || rested && !self.is_resting() {
            self.drive()?;
        }
        Ok(true)
    }

    fn happen(&mut self, event: Event) -> Checked {
        match event {
            Event::Step(index) => {
                let step = self.steps[index];
                self.step(index, step)?;
            }
            Event::Claim { job, runner } => {
                let event = Event::Claim {
                    job,
                    runner: runner.clone(),
                };
                let actor = self.people.runner.unwrap_or(Actor::System);
                let lease = self.agents.get(&job).is_some_and(|plan| plan.lease);
                self.submit(
                    Waiting::Client(event),
                    actor,
                    Command::ClaimJob { lease, job, runner },
                );
            }
            Event::Heartbeat(hold) => self.heartbeat(hold),
            Event::Report {
                job,
                runner,
                epoch,
                status,
            } => {
                let event = Event::Report {
                    job,
                    runner: runner.clone(),
                    epoch,
                    status,
                };
                let report = JobReport {
                    epoch,
                    exit: None,
                    links: Default::default(),
                    job,
                    status,
                    message: String::new(),
                    runner,
                    external_id: None,
                    output_tail: None,
                };
                let since = self.dispatched.get(&job).copied();
                if since.is_some_and(|since| self.time - since >= LATE_MILLIS) {
                    self.counts.add("agent: a late report");
                }
                let actor = self.people.runner.unwrap_or(Actor::System);
                let command = match self.left_memory(job) {
                    None => Command::ReportJob(report),
                    // As the server does, which finds it in the archive.
                    Some(standing) => Command::ReportArchivedJob {
                        job,
                        status,
                        standing,
                    },
                };
                self.submit(Waiting::Client(event), actor, command);
            }
            Event::Measured {
                key,
                outcome,
                process,
            } => {
                // A process that is gone reports nothing.
                if process != self.process {
                    self.counts.add("measured: too late for the process");
                }
                if process == self.process && self.node.is_some() {
                    let (verification, metric, ordinal) = key;
                    let command = Command::RecordMeasurement {
                        verification,
                        metric,
                        ordinal,
                        outcome: outcome.clone(),
                    };
                    let event = Event::Measured {
                        key,
                        outcome,
                        process,
                    };
                    self.submit(Waiting::Client(event), Actor::System, command);
                }
            }
            Event::Restart => self.restart()?,
            Event::StorageBack => {
                *self.store.faults() = Faults::default();
            }
            Event::WriterBack => self.writer_slow = false,
            Event::Tick => {}
        }
        Ok(())
    }

    /// How a job ended that the engine has no more.
    fn left_memory(&self, id: JobId) -> Option<JobStatus> {
        let state = self.node.as_ref()?.shard.engine().state();
        let job = self.auditor.ledger.jobs.get(&id)?;
        (!state.jobs().contains_key(&id) && job.status.is_terminal()).then_some(job.status)
    }

    /// Asks for something as a person.
    pub fn ask(&mut self, actor: Actor, command: Command) {
        self.submit(Waiting::Person, actor, command);
    }

    pub fn submit_for(&mut self, event: Event, actor: Actor, command: Command) {
        self.submit(Waiting::Client(event), actor, command);
    }

    fn submit(&mut self, waiting: Waiting, actor: Actor, mut command: Command) {
        self.tickets += 1;
        let ticket = self.tickets;
        let now = self.now();
        let entry = EntryId(self.ids.next(now.0, ENTRY_IDS));
        let name = command.name();
        if self.node.is_none() {
            self.trace
                .line(self.time, format_args!("{name}: nobody answers"));
            self.try_again(waiting);
            return;
        }
        self.auditor.asked(ticket, entry, &command);
        if let Some(node) = &mut self.node {
            node.wake(now);
            self.saboteur
                .command(node.shard.engine().state(), &mut command);
        }
        self.trace.line(self.time, format_args!("{name} #{ticket}"));
        self.waiting.insert(ticket, waiting);
        if let Some(node) = &mut self.node {
            let before = node.is_to_be_looked_at();
            let before = before.then(|| EntryId(self.ids.next(now.0, ENTRY_IDS)));
            before.into_iter().for_each(|id| self.auditor.own_entry(id));
            node.submit(ticket, before, entry, actor, command, now);
        }
    }

    /// A client that was not heard says it again, unless it is one that does not care.
    fn try_again(&mut self, waiting: Waiting) {
        let Waiting::Client(event) = waiting else {
            return;
        };
        let job = match &event {
            Event::Claim { job, .. } | Event::Report { job, .. } => Some(*job),
            _ => None,
        };
        let persistent =
            job.is_none_or(|job| self.agents.get(&job).is_some_and(|it| it.persistent));
        if persistent {
            self.counts.add("agent: said again what was not heard");
            let after =
                Dice::of(self.seed, &format!("again {}", self.event_count)).between(50, 9_000);
            self.at(after, event);
        }
    }

    /// Lets the controller do all it can do now, as its threads would.
    fn drive(&mut self) -> Checked {
        let now = self.now();
        let mut lost = false;
        for round in 0.. {
            if round > SETTLES_MAX {
                return Err(Violation::new(
                    "spins",
                    "it settles for ever without time passing",
                ));
            }
            let Some(node) = &mut self.node else {
                self.wake_at = None;
                return Ok(());
            };
            let refolded = node.refold(now, self.saboteur);
            let mut settled = false;
            if node.is_due(now) && node.wake(now) {
                lost = !node.shard.engine().is_dirty() && self.saboteur.loses_wake();
                if !lost {
                    let id = EntryId(self.ids.next(now.0, ENTRY_IDS));
                    self.auditor.own_entry(id);
                    settled = node.settle(id, now);
                }
            }
            if self.writer_slow && node.pending() > 1 {
                self.counts.add("writer: entries piled up");
            }
            let failed = !self.writer_slow && node.flush(self.saboteur).failed > 0;
            if failed || refolded {
                self.may_rest_until = self.time + 2_000;
            }
            self.follow()?;
            let answered = self.hear()?;
            let again = self.node.as_ref().is_some_and(|node| node.is_due(now));
            if !(refolded || settled || answered || again && !lost) {
                break;
            }
        }
        self.measure();
        self.watch(now, lost)?;
        if !lost {
            self.rest(now);
        }
        Ok(())
    }

    fn is_resting(&self) -> bool {
        self.node.as_ref().is_some_and(Node::is_resting)
    }

    /// At any moment at which nothing is to be done, the workspace may leave memory; how often differs from run to run.
    fn rest(&mut self, now: Timestamp) {
        let percent = *Dice::of(self.seed, "rest").pick(&[0, 10, 50, 100]);
        let name = format!("rest {}", self.event_count);
        if !Dice::of(self.seed, &name).chance(percent) {
            return;
        }
        let Some(node) = &mut self.node else {
            return;
        };
        if node.rest(now) {
            self.trace.line(self.time, format_args!("left memory"));
            self.counts.add("rest: left memory");
            self.wake_at = node.sleep_millis(now).map(|it| self.time + it.max(1));
        }
    }

    /// Notes when to look again, and audits what must hold between any two events.
    fn watch(&mut self, now: Timestamp, lost: bool) -> Checked {
        let Some(node) = &self.node else {
            return Ok(());
        };
        if let Some(halt) = node.shard.halted()
            && halt.code == "log_corrupt"
        {
            return Err(Violation::new("halted", halt.message.clone()));
        }
        let sleep = node.sleep_millis(now).filter(|_| !lost);
        self.wake_at = sleep.map(|millis| self.time + millis.max(1));
        let quiet = node.is_calm()
            && *self.store.faults() == Faults::default()
            && self.time >= self.may_rest_until;
        if quiet {
            self.auditor.waits(now)?;
        }
        Ok(())
    }

    /// Reads what became durable.
    pub fn follow(&mut self) -> Checked {
        let appends = self.store.appends();
        if appends == self.followed {
            return Ok(());
        }
        loop {
            let after = self.auditor.ledger.seq;
            let rows = self
                .store
                .truth()
                .read(self.workspace, after, 100)
                .map_err(|error| Violation::new("chain", error.to_string()))?;
            if rows.is_empty() {
                self.followed = appends;
                return Ok(());
            }
            for row in rows {
                let start = row.hash[..4].iter().map(|it| format!("{it:02x}"));
                let start: String = start.collect();
                let followed = self.auditor.follow(&row);
                // Read once; what the auditor did not take is read again to be shown.
                let taken = self.auditor.entries().last();
                let taken = taken.filter(|entry| entry.seq == row.seq).cloned();
                let entry = taken.map_or_else(|| Entry::from_bytes(&row.body), Ok);
                if let Ok(entry) = entry {
                    let told = crate::told::entry(&entry, &self.auditor.ledger);
                    self.trace
                        .line(self.time, format_args!("entry {} {start} {told}", row.seq));
                    followed?;
                    self.dispatch(&entry);
                } else {
                    followed?;
                }
            }
        }
    }

    /// Hands new jobs to their agents.
    fn dispatch(&mut self, entry: &Entry) {
        for fact in &entry.facts {
            match fact {
                Fact::ReportIgnored { .. } => {
                    self.counts.add("agent: a report of what had ended");
                }
                Fact::Measured {
                    status: MeasurementStatus::Error,
                    ..
                } => self.counts.add("measured: in error"),
                Fact::JobRequeued { id, epoch } => {
                    let number = (id.0.as_u128() + u128::from(*epoch)) % 3;
                    let runner = format!("runner-{number}");
                    let after = i64::try_from(*epoch).unwrap_or(1) * 3_000;
                    self.at(after, Event::Claim { job: *id, runner });
                }
                _ => {}
            }
            if let Some(name) = crate::counts::name_of(fact) {
                self.counts.add(name);
            }
            let Fact::JobsCreated { jobs, .. } = fact else {
                continue;
            };
            for job in jobs {
                let Some(record) = self.auditor.ledger.jobs.get(&job.job) else {
                    continue;
                };
                let plan = agent_plan(self.seed, &self.auditor.ledger, record);
                let job = job.job;
                match plan.claims_after {
                    Some(after) => {
                        let runner = format!("runner-{}", job.0.as_u128() % 3);
                        self.at(after, Event::Claim { job, runner });
                    }
                    None => self.schedule_reports(job, &plan, None),
                }
                self.dispatched.insert(job, self.time);
                self.agents.insert(job, plan);
            }
        }
    }

    /// What an agent will report; `claim` is what it has of its claim.
    fn schedule_reports(&mut self, job: JobId, plan: &AgentPlan, claim: Option<(&str, u64)>) {
        for (after, status) in &plan.reports {
            let event = Event::Report {
                job,
                runner: claim.map(|(runner, _)| runner.to_owned()),
                epoch: claim.map(|(_, epoch)| epoch),
                status: *status,
            };
            self.at(plan.starts_after + after, event);
        }
    }

    /// A runner has a job: it works, and says that it is there.
    fn claimed(&mut self, id: JobId, runner: &str) {
        let Some(plan) = self.agents.get(&id).cloned() else {
            return;
        };
        let job = self.auditor.ledger.jobs.get(&id);
        let held = job.filter(|job| job.runner.as_deref() == Some(runner));
        let Some(epoch) = held.map(|job| job.epoch) else {
            return;
        };
        self.schedule_reports(id, &plan, Some((runner, epoch)));
        if plan.lease {
            let hold = Hold {
                job: id,
                runner: runner.to_owned(),
                epoch,
                since: self.time,
                stopping: false,
            };
            self.at(1_000, Event::Heartbeat(hold));
        }
    }

    /// Callers hear what came of what they asked; whether there was anything.
    fn hear(&mut self) -> Result<bool, Violation> {
        let Some(node) = &mut self.node else {
            return Ok(false);
        };
        let replies = std::mem::take(&mut node.replies);
        let any = !replies.is_empty();
        for (ticket, answer) in replies {
            self.auditor.told(ticket, &answer)?;
            self.trace_answer(ticket, &answer);
            if let Err(SubmitError::Unavailable { code, message }) = &answer
                && *code == "internal"
            {
                return Err(Violation::new("panic", message.clone()));
            }
            if let Err(SubmitError::Rejected(why)) = &answer {
                match why.code.as_str() {
                    "job_claimed" => self.counts.add("agent: a stranger's claim refused"),
                    "lease_lost" => self.counts.add("agent: a stranger's report refused"),
                    _ => {}
                }
            }
            let Some(waiting) = self.waiting.remove(&ticket) else {
                continue;
            };
            match (&answer, waiting) {
                (Err(SubmitError::Unavailable { .. } | SubmitError::Overloaded), waiting) => {
                    self.try_again(waiting);
                }
                (Ok(_), Waiting::Client(Event::Claim { job, runner })) => {
                    self.claimed(job, &runner);
                }
                (_, Waiting::Client(Event::Measured { key, .. })) => {
                    self.measuring.remove(&key);
                }
                _ => {}
            }
        }
        Ok(any)
    }

    fn trace_answer(&mut self, ticket: Ticket, answer: &Result<Committed, SubmitError>) {
        match answer {
            Ok(it) => self.trace.line(
                self.time,
                format_args!(
                    "  #{ticket} done in entry {} ({} facts)",
                    it.seq,
                    it.facts.len()
                ),
            ),
            Err(error) => self
                .trace
                .line(self.time, format_args!("  #{ticket} not done: {error}")),
        }
    }

    /// Begins the measurements that are due, as the measuring loop does.
    fn measure(&mut self) {
        let now = self.now();
        let Some(node) = self.node.as_ref().filter(|node| !node.is_resting()) else {
            self.measure_at = None;
            return;
        };
        // What is not durable must not be acted on.
        if node.shard.halted().is_some() || !node.durable.holds(node.shard.seen()) {
            self.measure_at = Some(self.time + 1_000);
            return;
        }
        let (due, next) = stagegate_controller::step::open_measurements(node.shard.engine(), now);
        let process = self.process;
        for due in due {
            if !self.measuring.insert(due.key) {
                continue;
            }
            let (latency, outcome) =
                crate::clients::measure(self.seed, &self.auditor.ledger, due.key, self.healed);
            let key = due.key;
            self.at(
                latency,
                Event::Measured {
                    key,
                    outcome,
                    process,
                },
            );
        }
        self.measure_at = next.map(|at| self.time + at.millis_since(now).max(1));
    }

    /// Everything in memory is gone; it comes back after a while.
    pub fn crash(&mut self, down_millis: i64) {
        self.trace.line(self.time, format_args!("crash"));
        if self.node.as_ref().is_some_and(|node| node.pending() > 0) {
            self.counts.add("crash: decided and not written");
        }
        if !self.measuring.is_empty() {
            self.counts.add("crash: measurements under way lost");
        }
        self.node = None;
        self.process += 1;
        self.measuring.clear();
        self.measure_at = None;
        self.writer_slow = false;
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            if !matches!(waiting, Waiting::Client(Event::Measured { .. })) {
                self.try_again(waiting);
            }
        }
        self.at(down_millis, Event::Restart);
    }

    fn restart(&mut self) -> Checked {
        if self.node.is_some() {
            return Ok(());
        }
        match Node::restart(Arc::clone(&self.store), self.workspace) {
            Ok(node) => {
                self.trace.line(self.time, format_args!("start"));
                self.counts.add("start: after a crash");
                if node.is_resting() {
                    self.counts.add("start: left at rest");
                }
                self.node = Some(node);
                self.follow()?;
                self.folds_agree()
            }
            Err(why) => {
                if !self.store.faults().reads_fail {
                    return Err(Violation::new("start", why));
                }
                self.counts.add("start: refused while nothing can be read");
                self.trace
                    .line(self.time, format_args!("cannot start: {why}"));
                self.at(1_000, Event::Restart);
                Ok(())
            }
        }
    }
}
