//! The copy, driven forward: what is expected to happen next happens, and the engine decides what follows.

use super::history::{Assumption, Given, History, Subject, is_approval};
use super::{HORIZON_DAYS, STEPS_MAX};
use crate::engine::{Context, Engine, SETTLE_TARGETS_MAX};
use crate::rules::verification::{MetricOutcome, metric_outcome, next_due};
use crate::settle::Turn;
use crate::state::{LaneKey, Verification};
use stagegate_model::{
    Actor, Command, DeploymentId, Digest, EntryId, EnvironmentId, Fact, GateState, JobId,
    JobReport, JobStatus, Timestamp, UserId, VerificationId, VerificationStatus, VersionId, Vote,
    derive_id,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Persons who are asked in turn whether an approval is theirs to give, at most.
const PERSONS_MAX: usize = 1_000;
/// Who has the jobs that nobody has yet.
const RUNNER: &str = "forecast";

pub(super) struct Drive<'h> {
    pub engine: Engine,
    pub deployment: DeploymentId,
    pub version: VersionId,
    pub now: Timestamp,
    /// It ended since it would have gone on too long, and not since nothing more happens.
    pub is_cut: bool,
    history: &'h History,
    given: Given,
    horizon: Timestamp,
    steps: usize,
    first: EntryId,
    /// When each verification that is under way is expected to pass.
    passes: BTreeMap<VerificationId, Timestamp>,
    /// What cannot be brought to its end here.
    stuck: BTreeSet<JobId>,
    /// Environments in which nobody is there who may approve.
    unapproved: BTreeSet<EnvironmentId>,
    asked: RefCell<BTreeMap<Subject, Assumption>>,
}

/// What is expected to happen.
enum Event {
    Job(JobId),
    Verification(VerificationId),
    Approval(EnvironmentId),
}

impl<'h> Drive<'h> {
    pub fn new(
        engine: Engine,
        deployment: DeploymentId,
        version: VersionId,
        history: &'h History,
        given: Given,
        now: Timestamp,
    ) -> Self {
        Self {
            first: engine.state.head.entry,
            engine,
            deployment,
            version,
            now,
            is_cut: false,
            history,
            given,
            horizon: now.plus_seconds(HORIZON_DAYS * 86_400),
            steps: 0,
            passes: BTreeMap::new(),
            stuck: BTreeSet::new(),
            unapproved: BTreeSet::new(),
            asked: RefCell::default(),
        }
    }

    /// How long something takes, as far as anything is known; that it was asked for is told.
    fn takes(&self, subject: Subject) -> Option<i64> {
        let mut asked = self.asked.borrow_mut();
        let assume = || self.history.assume(subject, self.given);
        asked.entry(subject).or_insert_with(assume).millis
    }

    pub fn assumptions(&self) -> Vec<Assumption> {
        self.asked.borrow().values().copied().collect()
    }

    fn context(&mut self) -> Context {
        self.steps += 1;
        // Far above what an entry decides, so that no id is one that there is.
        let ordinal = u64::MAX - self.steps as u64;
        Context {
            entry: EntryId(derive_id(self.first, ordinal)),
            now: self.now,
            actor: Actor::System,
        }
    }

    /// Decides until nothing is left to decide now, and gives jobs that wait for a runner one.
    pub fn settle(&mut self) {
        loop {
            self.hold_unknown();
            let due = self.engine.next_wake().is_some_and(|at| at <= self.now);
            if (self.engine.is_dirty() || due) && self.steps < STEPS_MAX {
                let context = self.context();
                self.engine.settle(context);
                self.engine.take_archive();
                continue;
            }
            let jobs = self.engine.state.jobs.values();
            let waiting = jobs.filter(|job| {
                job.status == JobStatus::Pending
                    && !self.stuck.contains(&job.id)
                    && self.takes(Subject::Job(job.target.into())).is_some()
            });
            let waiting: Vec<JobId> = waiting.map(|job| job.id).collect();
            if waiting.is_empty() || self.steps >= STEPS_MAX {
                return;
            }
            for job in waiting {
                let claim = Command::ClaimJob {
                    job,
                    runner: RUNNER.to_owned(),
                    lease: false,
                };
                self.execute(job, claim);
            }
        }
    }

    /// A job of which nothing is known how long it takes does not fail for having taken too long.
    fn hold_unknown(&mut self) {
        let wakes = self.engine.state.wakes.iter().copied();
        let held = wakes.filter(|(_, id)| {
            let job = self.engine.state.jobs.get(id);
            job.is_some_and(|job| self.takes(Subject::Job(job.target.into())).is_none())
        });
        for wake in held.collect::<Vec<_>>() {
            self.engine.state.wakes.remove(&wake);
        }
    }

    fn execute(&mut self, job: JobId, command: Command) {
        let context = self.context();
        if self.engine.execute(command, context).is_err() {
            self.stuck.insert(job);
        }
        self.engine.take_archive();
    }

    /// Makes a fact of what is only assumed.
    fn push(&mut self, fact: Fact) {
        let context = self.context();
        let seq = self.engine.state.head.seq + 1;
        self.engine.state.begin(seq, context.entry, self.now);
        let mut turn = Turn::new(&mut self.engine, context.entry, SETTLE_TARGETS_MAX);
        turn.push(fact);
        turn.settle();
        self.engine.take_archive();
    }

    /// Goes on to the next moment at which something happens; false when there is none, or it is too far.
    pub fn step(&mut self) -> bool {
        let events = self.events();
        let next = events.iter().map(|(at, _)| *at).min();
        let Some(at) = next.into_iter().chain(self.engine.next_wake()).min() else {
            return false;
        };
        if at > self.horizon || self.steps >= STEPS_MAX {
            self.is_cut = true;
            return false;
        }
        self.now = self.now.max(at);
        for (at, event) in events {
            if at > self.now {
                continue;
            }
            match event {
                Event::Job(job) => self.end_job(job),
                Event::Verification(id) => self.push(Fact::VerificationEnded {
                    id,
                    status: VerificationStatus::Passed,
                    reason: "assumed".to_owned(),
                    decided_by: None,
                }),
                Event::Approval(environment) => self.approve(environment),
            }
        }
        self.settle();
        true
    }

    /// What is expected, each with its time.
    fn events(&mut self) -> Vec<(Timestamp, Event)> {
        let mut events = Vec::new();
        for job in self.engine.state.jobs.values() {
            // What became of a lost job is unknown, and what was asked to stop does not succeed.
            let goes_on = !job.status.is_terminal() && job.lost.is_none() && job.cancel.is_none();
            if !goes_on || self.stuck.contains(&job.id) {
                continue;
            }
            if let Some(taken) = self.takes(Subject::Job(job.target.into())) {
                let at = job.created_at.plus_millis(taken).max(self.now);
                events.push((at, Event::Job(job.id)));
            }
        }
        let running = self.engine.state.verifications.values();
        let running = running.filter(|it| it.status == VerificationStatus::Running);
        for verification in running {
            let at = self.passes.entry(verification.id);
            let at = *at.or_insert_with(|| passes_at(verification, self.now));
            events.push((at, Event::Verification(verification.id)));
        }
        for (environment, asked_at) in self.asked_for() {
            let subject = Subject::Approval(environment);
            let able = !self.unapproved.contains(&environment);
            if let Some(taken) = self.takes(subject).filter(|_| able) {
                let at = asked_at.plus_millis(taken).max(self.now);
                events.push((at, Event::Approval(environment)));
            }
        }
        events
    }

    /// The environments in which approval of the version is asked for, with since when.
    fn asked_for(&self) -> Vec<(EnvironmentId, Timestamp)> {
        let tracks = &self.engine.state.tracks;
        let version = self.version;
        let here = tracks.iter().filter(|((id, _), _)| *id == version);
        here.filter_map(|((_, environment), track)| {
            let promotion = self.engine.state.promotions.get(&track.promotion?)?;
            let asks = |state, kind: &str| state == GateState::Wait && is_approval(kind);
            let mut gates = track.gates.values();
            let open = promotion.status.is_open();
            (open && gates.any(|gate| asks(gate.state, &gate.kind)))
                .then_some((*environment, promotion.opened_at))
        })
        .collect()
    }

    fn end_job(&mut self, id: JobId) {
        let Some(job) = self.engine.state.jobs.get(&id) else {
            return;
        };
        let report = JobReport {
            job: id,
            status: JobStatus::Successful,
            message: String::new(),
            runner: job.runner.clone(),
            epoch: Some(job.epoch),
            external_id: None,
            output_tail: None,
            exit: None,
            links: BTreeMap::new(),
        };
        self.execute(id, Command::ReportJob(report));
    }

    /// Those who are asked approve, one after another, until nobody is asked.
    fn approve(&mut self, environment: EnvironmentId) {
        let lane = LaneKey {
            deployment: self.deployment,
            environment,
        };
        let users: Vec<UserId> = self.engine.state.users.keys().copied().collect();
        let mut voted = false;
        for user in users.into_iter().take(PERSONS_MAX) {
            let waits = self.asked_for().iter().any(|(id, _)| *id == environment);
            if !waits {
                return;
            }
            let asks = self.engine.asks_of(lane, self.version, user, self.now);
            let Some(version) = self.engine.state.versions.get(&self.version) else {
                return;
            };
            if asks.is_empty() {
                continue;
            }
            voted = true;
            let vote = Fact::VoteCast {
                version: self.version,
                environment,
                user,
                vote: Vote::Approved,
                reason: String::new(),
                digest: version.digest,
                metadata: Some(Digest::of_metadata(&version.metadata)),
                groups: self.engine.state.groups_of(user),
            };
            self.push(vote);
        }
        // A later stage may ask those who were not asked before.
        if !voted {
            self.unapproved.insert(environment);
        }
    }

    /// The lanes of the deployment that have targets.
    pub fn lanes(&self) -> Vec<LaneKey> {
        let lanes = self.engine.state.lanes.iter();
        let own = lanes
            .filter(|(key, lane)| key.deployment == self.deployment && !lane.targets.is_empty());
        own.map(|(key, _)| *key).collect()
    }

    /// How many of a lane's targets have the version, of how many.
    pub fn reached(&self, lane: LaneKey) -> (usize, usize) {
        let state = &self.engine.state;
        let targets = state
            .lane(lane)
            .into_iter()
            .flat_map(|it| it.targets.values());
        let targets = targets.filter(|target| !target.leaving());
        let has = |target| {
            let current = state.current(target);
            current.is_some_and(|it| it.version == self.version)
        };
        targets.fold((0, 0), |(reached, all), target| {
            let stands = target.active().is_none() && target.latest() == target.current();
            let there = stands && has(target);
            (reached + usize::from(there), all + 1)
        })
    }

    /// What is under way, or asked for, of which nothing is known how long it takes.
    pub fn open(&self) -> BTreeSet<Subject> {
        let jobs = self.engine.state.jobs.values();
        let jobs = jobs
            .filter(|job| !job.status.is_terminal() && job.target.deployment == self.deployment);
        let jobs = jobs.map(|job| Subject::Job(job.target.into()));
        let approvals = self.asked_for().into_iter();
        let approvals = approvals.map(|(environment, _)| Subject::Approval(environment));
        let all = jobs.chain(approvals);
        all.filter(|subject| self.takes(*subject).is_none())
            .collect()
    }

    /// That nobody is there who may approve, where that is so.
    pub fn unapproved(&self, among: &BTreeSet<EnvironmentId>) -> String {
        let nobody = among
            .intersection(&self.unapproved)
            .map(|id| self.name(*id));
        match nobody.collect::<Vec<_>>().join(" and ") {
            names if names.is_empty() => names,
            names => format!("; there is nobody who may give the approval for {names}"),
        }
    }

    /// What is not known.
    pub fn unknown(&self, subject: &Subject) -> String {
        match subject {
            Subject::Approval(environment) => format!(
                "how long an approval for {} takes is not known: no person has approved anything yet",
                self.name(*environment)
            ),
            Subject::Job(lane) => format!(
                "how long a job in {} takes is not known: none has succeeded yet",
                self.name(lane.environment)
            ),
        }
    }

    fn name(&self, environment: EnvironmentId) -> &str {
        let known = self.engine.state.environments.get(&environment);
        known.map_or("", |it| it.name.as_str())
    }
}

/// When a verification passes, if every measurement passes and takes no time.
fn passes_at(verification: &Verification, now: Timestamp) -> Timestamp {
    let deciding = verification.metrics.iter();
    let ends = deciding.filter_map(|run| {
        let metric = &run.planned.metric;
        if metric.dry_run || metric_outcome(run) != MetricOutcome::Running {
            return None;
        }
        let counted = run.passed + run.failed + run.inconclusive;
        let left = metric.count.saturating_sub(counted);
        let needed = metric.success_threshold.map_or(left, |threshold| {
            threshold.saturating_sub(run.consecutive_passes).min(left)
        });
        let more = i64::from(needed.saturating_sub(1)) * i64::from(metric.interval_seconds);
        let next = next_due(verification, run)?.max(now);
        Some(next.plus_seconds(more))
    });
    ends.max().unwrap_or(now)
}
