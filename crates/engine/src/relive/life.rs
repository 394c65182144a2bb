//! One life of a workspace: an engine that hears what was said at the time at which it was said, and decides by
//! itself. Where its jobs are not those of the record, they go as the record's did, at their own time.

use super::Assumed;
use super::past::{Past, PastJob, PastMetric, Step, Subject};
use super::story::Stories;
use crate::engine::{Context, Engine};
use crate::handle::jobs::trigger_of;
use crate::rules::verification::{MetricOutcome, metric_outcome, next_due};
use crate::settle::start_on_trigger;
use stagegate_model::{
    Actor, Cause, Command, Entry, EntryId, Fact, JobId, JobStatus, MeasurementStatus, PolicyId,
    Timestamp, VerificationId, VerificationStatus, VerificationTrigger, derive_id,
};
use std::collections::{BTreeMap, BTreeSet};

/// How long an agent takes to stop a job that it was asked to stop.
const STOPPING_MILLIS: i64 = 1_000;
/// Ordinals of entries that the record does not have, beyond those of any decision.
const OWN_ENTRIES: u64 = 1 << 23;

/// A job of this life and what it has to do with the record.
#[derive(Clone, Copy)]
pub(super) struct Bond {
    /// The job that it goes like.
    pub past: Option<JobId>,
    /// Whether it was created when that one was: it hears what was said of that one.
    pub follows: bool,
}

/// Something that is going to be said, which the record does not say at that time.
#[derive(Clone, Copy)]
enum Event {
    Job(JobId, Step),
    Measure(VerificationId, usize),
    Decide(VerificationId, VerificationStatus),
}

/// One life.
pub(super) struct Life {
    pub engine: Engine,
    /// Policies whose recorded changes are not heard.
    pub replaced: BTreeSet<PolicyId>,
    pub stories: Stories,
    pub assumed: Assumed,
    pub bonds: BTreeMap<JobId, Bond>,
    /// By the record's job: the one of this life that follows it.
    pub own_job: BTreeMap<JobId, JobId>,
    /// By the record's verification: the one of this life that follows it.
    pub own_verification: BTreeMap<VerificationId, VerificationId>,
    /// How many jobs of a version a target has had.
    counts: BTreeMap<Subject, usize>,
    agenda: BTreeMap<(Timestamp, u64), Event>,
    /// The record's last entry, from whose id those of this life's own entries derive.
    last: EntryId,
    own_entries: u64,
}

impl Life {
    /// A life that begins where the engine stands.
    pub fn new(engine: Engine) -> Self {
        let state = &engine.state;
        let mut life = Self {
            stories: Stories::begin(state),
            replaced: BTreeSet::new(),
            assumed: Assumed::default(),
            bonds: BTreeMap::new(),
            own_job: BTreeMap::new(),
            own_verification: BTreeMap::new(),
            counts: BTreeMap::new(),
            agenda: BTreeMap::new(),
            last: state.head.entry,
            own_entries: 0,
            engine,
        };
        for job in life.engine.state.jobs.values() {
            let bond = Bond {
                past: Some(job.id),
                follows: true,
            };
            life.bonds.insert(job.id, bond);
            life.own_job.insert(job.id, job.id);
            let verifications = job.verifications.iter().map(|id| (*id, *id));
            life.own_verification.extend(verifications);
        }
        life
    }

    /// The earliest moment at which something happens here by itself.
    pub fn next(&self) -> Option<Timestamp> {
        let said = self.agenda.keys().next().map(|(at, _)| *at);
        said.into_iter().chain(self.engine.next_wake()).min()
    }

    /// Lives through an entry of the record. `loaded`: the engine was just loaded and looks at everything again.
    pub fn relive(&mut self, entry: &Entry, loaded: bool, past: &Past) -> Vec<Fact> {
        self.begin_entry(entry.id);
        if loaded {
            self.engine.resume();
        }
        if !matches!(entry.cause, Cause::Command { .. }) {
            return self.wake(entry.id, entry.time, past);
        }
        let said = self.hear(entry, past);
        self.record(said, entry.id, entry.time, past)
    }

    /// Puts in other policies.
    pub fn put(&mut self, policies: Vec<Fact>, now: Timestamp, past: &Past) {
        let entry = self.own_entry();
        self.record(policies, entry, now, past);
        self.go_on(past);
    }

    /// Whether nothing happens here at `at`; what is due is then looked at again later.
    pub fn is_quiet(&mut self, at: Timestamp) -> bool {
        let said = self.agenda.keys().next();
        said.is_none_or(|(said, _)| *said > at) && !self.engine.probe(at)
    }

    /// Does the earliest of what happens by itself.
    pub fn step(&mut self, past: &Past) {
        let woken = self.engine.next_wake();
        let said = self.agenda.first_key_value().map(|(key, _)| *key);
        if let Some(key) = said.filter(|(at, _)| woken.is_none_or(|woken| *at <= woken)) {
            if let Some(event) = self.agenda.remove(&key) {
                self.perform(event, key.0, past);
            }
        } else if let Some(at) = woken {
            let entry = self.own_entry();
            self.wake(entry, at, past);
        }
        // What does not fit into one entry follows at once.
        self.go_on(past);
    }

    fn own_entry(&mut self) -> EntryId {
        self.own_entries += 1;
        EntryId(derive_id(self.last, OWN_ENTRIES + self.own_entries))
    }

    /// Decides what is left over.
    fn go_on(&mut self, past: &Past) {
        while self.engine.is_dirty() {
            let (entry, now) = (self.own_entry(), self.engine.state.head.time);
            if self.wake(entry, now, past).is_empty() {
                return;
            }
        }
    }

    /// Lets it be `now`.
    pub fn wake(&mut self, entry: EntryId, now: Timestamp, past: &Past) -> Vec<Fact> {
        let facts = self.engine.settle(context(entry, now));
        self.notice(&facts, past);
        facts
    }

    /// Records what was said and what follows.
    pub fn record(
        &mut self,
        said: Vec<Fact>,
        entry: EntryId,
        now: Timestamp,
        past: &Past,
    ) -> Vec<Fact> {
        let facts = self.engine.record(said, context(entry, now));
        self.notice(&facts, past);
        facts
    }

    /// What is said from here on has the id of an entry of the record, or derives from it.
    pub fn begin_entry(&mut self, id: EntryId) {
        self.last = id;
        self.own_entries = 0;
    }

    /// Something is said that the record does not say now.
    fn perform(&mut self, event: Event, at: Timestamp, past: &Past) {
        let entry = self.own_entry();
        let now = at.max(self.engine.state.head.time);
        let said = match event {
            Event::Job(id, step) => self.job_step(id, step, entry),
            Event::Measure(id, metric) => self.measurement(id, metric, past),
            Event::Decide(id, status) => self.decision(id, status),
        };
        if !said.is_empty() {
            self.record(said, entry, now, past);
        }
        if let Event::Measure(id, metric) = event {
            self.plan_measurement(id, metric);
        }
    }

    fn job_step(&self, id: JobId, step: Step, entry: EntryId) -> Vec<Fact> {
        let Some(job) = self.engine.state.jobs.get(&id) else {
            return Vec::new();
        };
        if job.status.is_terminal() {
            return Vec::new();
        }
        match step {
            Step::Claimed => {
                if !matches!(job.status, JobStatus::Pending | JobStatus::Queued)
                    || job.cancel.is_some()
                {
                    return Vec::new();
                }
                let claimed = Fact::JobClaimed {
                    id,
                    runner: "simulated".to_owned(),
                    epoch: job.epoch + 1,
                    lease: false,
                };
                self.with_trigger(claimed, id, Some(VerificationTrigger::JobStarted), entry)
            }
            Step::Reported(status) if job.status.may_become(status) => {
                let trigger = trigger_of(job, status);
                let changed = Fact::JobChanged {
                    id,
                    status,
                    message: String::new(),
                    external_id: None,
                    output_tail: None,
                    exit: None,
                    links: BTreeMap::new(),
                };
                self.with_trigger(changed, id, trigger, entry)
            }
            Step::Reported(_) => Vec::new(),
        }
    }

    /// What is said of a job, with the verification that begins with it.
    pub fn with_trigger(
        &self,
        said: Fact,
        id: JobId,
        trigger: Option<VerificationTrigger>,
        entry: EntryId,
    ) -> Vec<Fact> {
        let job = self.engine.state.jobs.get(&id);
        let first = |trigger: &VerificationTrigger| *trigger != VerificationTrigger::JobStarted;
        let started = job.is_some_and(|job| job.started_at.is_some());
        let trigger = trigger.filter(|it| first(it) || !started);
        let verification = derive_id(entry, 0).into();
        let begun = job
            .zip(trigger)
            .and_then(|(job, trigger)| start_on_trigger(&self.engine, job, trigger, verification));
        std::iter::once(said).chain(begun).collect()
    }

    fn measurement(&mut self, id: VerificationId, index: usize, past: &Past) -> Vec<Fact> {
        let state = &self.engine.state;
        let Some(verification) = state.verifications.get(&id) else {
            return Vec::new();
        };
        let Some(run) = verification.metrics.get(index) else {
            return Vec::new();
        };
        if verification.status != VerificationStatus::Running
            || metric_outcome(run) != MetricOutcome::Running
        {
            return Vec::new();
        }
        let ordinal = run.taken;
        let metric = &run.planned.metric;
        let job = self.bonds.get(&verification.job).and_then(|it| it.past);
        let source = job
            .and_then(|id| past.jobs.get(&id))
            .and_then(|job| like(job, verification.trigger, metric));
        let nth = usize::try_from(ordinal).unwrap_or(usize::MAX);
        let known = source.and_then(|source| {
            let all = &source.measured;
            all.get(nth).or_else(|| all.last())
        });
        let judged_alike = source.is_some_and(|source| {
            source.metric.success_condition == metric.success_condition
                && source.metric.failure_condition == metric.failure_condition
        });
        let status = match known {
            // Judged by other conditions, what was measured may come out otherwise.
            Some((_, Some(data))) if !judged_alike => {
                let command = Command::RecordMeasurement {
                    verification: id,
                    metric: index,
                    ordinal,
                    outcome: Ok((**data).clone()),
                };
                let now = self.engine.state.head.time;
                let entry = self.engine.state.head.entry;
                let judged = crate::handle::handle(&mut self.engine, command, context(entry, now));
                return judged.unwrap_or_default();
            }
            Some((status, _)) => *status,
            None => {
                self.assumed.measurements += 1;
                MeasurementStatus::Passed
            }
        };
        vec![Fact::Measured {
            verification: id,
            metric: index,
            ordinal,
            status,
            message: String::new(),
            data: stagegate_model::Json::Null,
        }]
    }

    fn decision(&self, id: VerificationId, status: VerificationStatus) -> Vec<Fact> {
        let known = self.engine.state.verifications.get(&id);
        let paused =
            known.is_some_and(|it| crate::handle::check_paused(&self.engine.state, it).is_ok());
        if !paused {
            return Vec::new();
        }
        let by = self.engine.state.users.keys().next().copied();
        vec![Fact::VerificationEnded {
            id,
            status,
            reason: "as a person decided".to_owned(),
            decided_by: by,
        }]
    }

    fn plan(&mut self, at: Timestamp, event: Event) {
        // Unique, and in the order in which they were planned.
        let number = self.agenda.range((at, 0)..=(at, u64::MAX));
        let number = number.last().map_or(0, |((_, number), _)| number + 1);
        self.agenda.insert((at, number), event);
    }

    fn plan_measurement(&mut self, id: VerificationId, metric: usize) {
        let Some(verification) = self.engine.state.verifications.get(&id) else {
            return;
        };
        let due = verification
            .metrics
            .get(metric)
            .and_then(|run| next_due(verification, run));
        if let Some(at) = due {
            self.plan(at, Event::Measure(id, metric));
        }
    }

    /// Follows what was decided: whose jobs go like which, and what will be said of them.
    fn notice(&mut self, facts: &[Fact], past: &Past) {
        // Kept for the archive, which a life that is only imagined has not.
        self.engine.state.archive.clear();
        let now = self.engine.state.head.time;
        self.stories.follow(facts, now);
        for fact in facts {
            match fact {
                Fact::JobsCreated { jobs, .. } => {
                    for job in jobs {
                        self.bind(job.job, now, past);
                    }
                }
                Fact::JobCancelRequested { id, .. }
                    if self.bonds.get(id).is_some_and(|bond| !bond.follows) =>
                {
                    let at = now.plus_millis(STOPPING_MILLIS);
                    self.plan(at, Event::Job(*id, Step::Reported(JobStatus::Cancelled)));
                }
                Fact::VerificationStarted { id, job, .. } => {
                    self.bind_verification(*id, *job, now, past)
                }
                Fact::VerificationEnded {
                    id,
                    status: VerificationStatus::Inconclusive | VerificationStatus::Error,
                    decided_by: None,
                    ..
                } => self.plan_decision(*id, now, past),
                Fact::RetryScheduled { job, .. } | Fact::ReleaseEnded { job, .. } => {
                    if let Some(bond) = self.bonds.remove(job)
                        && let Some(past) = bond.past.filter(|_| bond.follows)
                    {
                        self.own_job.remove(&past);
                    }
                }
                _ => {}
            }
        }
    }

    fn bind(&mut self, id: JobId, now: Timestamp, past: &Past) {
        let Some(job) = self.engine.state.jobs.get(&id) else {
            return;
        };
        let subject = (job.target, job.version);
        let count = self.counts.entry(subject).or_default();
        let found = past.job(&subject, *count);
        *count += 1;
        let known = found.and_then(|(id, exact)| Some((id, exact, past.jobs.get(&id)?)));
        let follows = known
            .as_ref()
            .is_some_and(|(_, exact, past)| *exact && past.created_at == now);
        let bond = Bond {
            past: found.map(|(id, _)| id),
            follows,
        };
        self.bonds.insert(id, bond);
        if follows {
            if let Some(past) = bond.past {
                self.own_job.insert(past, id);
            }
            return;
        }
        let steps = match known {
            Some((_, exact, job)) => {
                self.assumed.repeated += u64::from(!exact);
                self.assumed.moved += u64::from(exact);
                job.steps.clone()
            }
            None => {
                self.assumed.outcomes += 1;
                past.usual(subject.0.into())
            }
        };
        for (offset, step) in steps {
            self.plan(now.plus_millis(offset), Event::Job(id, step));
        }
    }

    fn bind_verification(&mut self, id: VerificationId, job: JobId, now: Timestamp, past: &Past) {
        let Some(own) = self.engine.state.verifications.get(&id) else {
            return;
        };
        let bond = self.bonds.get(&job).copied();
        let runs = self.engine.state.jobs.get(&job);
        let index = runs.map_or(0, |job| job.verifications.len().saturating_sub(1));
        let followed = bond.filter(|bond| bond.follows).and_then(|bond| {
            let known = past.jobs.get(&bond.past?)?.verifications.get(index)?;
            let alike = known.started_at == now
                && known.trigger == own.trigger
                && known.metrics.len() == own.metrics.len()
                && std::iter::zip(&known.metrics, &own.metrics)
                    .all(|(known, own)| known.metric == own.planned.metric);
            alike.then_some((bond.past?, index))
        });
        match followed.and_then(|(job, index)| past.verification_at(job, index)) {
            Some(known) => {
                self.own_verification.insert(known, id);
            }
            None => {
                for metric in 0..own.metrics.len() {
                    self.plan_measurement(id, metric);
                }
            }
        }
    }

    fn plan_decision(&mut self, id: VerificationId, now: Timestamp, past: &Past) {
        let Some(own) = self.engine.state.verifications.get(&id) else {
            return;
        };
        let Some(bond) = self.bonds.get(&own.job) else {
            return;
        };
        // One that follows the record hears what a person says of it there.
        if self.own_verification.values().any(|it| *it == id) {
            return;
        }
        let known = bond.past.and_then(|id| past.jobs.get(&id));
        let decided = known.and_then(|job| {
            let mut alike = job.verifications.iter();
            alike.find_map(|it| (it.trigger == own.trigger).then_some(it.decided)?)
        });
        if let Some((after, status)) = decided {
            self.plan(now.plus_millis(after), Event::Decide(id, status));
        }
    }
}

/// The metric of a job's verification that measures the same.
fn like<'p>(
    job: &'p PastJob,
    trigger: VerificationTrigger,
    metric: &stagegate_model::Metric,
) -> Option<&'p PastMetric> {
    let same =
        |it: &&PastMetric| it.metric.name == metric.name && it.metric.provider == metric.provider;
    let verifications = || job.verifications.iter().rev();
    let at_trigger = verifications().filter(|it| it.trigger == trigger);
    at_trigger
        .chain(verifications())
        .flat_map(|it| &it.metrics)
        .find(same)
}

fn context(entry: EntryId, now: Timestamp) -> Context {
    Context {
        entry,
        now,
        actor: Actor::System,
    }
}
