//! The passing of time: Stagegate's own wake-ups, what agents say, what is measured, each at its moment.

use super::{Coming, Trouble, World, wrong};
use crate::format::{Measured, MetricScript};
use stagegate_engine::{Job, next_due};
use stagegate_model::{
    Actor, Cause, Command, Fact, JobReport, Json, Timestamp, VerificationId, VerificationStatus,
};

/// How many things may happen by themselves before a scenario is given up.
const EVENTS_MAX: usize = 200_000;

/// A measurement that a script takes.
struct Due {
    at: Timestamp,
    verification: VerificationId,
    metric: usize,
    measured: Measured,
}

impl World {
    /// Lets time pass until `to`, with all that happens by itself until then and at that moment.
    pub fn advance(&mut self, to: Timestamp) -> Result<(), Trouble> {
        for _ in 0..EVENTS_MAX {
            let wake = self.engine.next_wake();
            let agent = self.coming.keys().next().copied();
            let due = self.next_measurement();
            let next = [wake, agent.map(|it| it.0), due.as_ref().map(|it| it.at)];
            let Some(next) = next.into_iter().flatten().min().filter(|at| *at <= to) else {
                self.now = self.now.max(to);
                return Ok(());
            };
            self.now = self.now.max(next);
            if wake.is_some_and(|at| at <= next) {
                self.wake()?;
            } else if let Some(key) = agent.filter(|it| it.0 <= next) {
                if let Some(coming) = self.coming.remove(&key) {
                    self.agent_speaks(coming)?;
                }
            } else if let Some(due) = due {
                self.measure(due.verification, due.metric, None, due.measured)?;
            }
        }
        wrong(format!(
            "more than {EVENTS_MAX} things happened by themselves"
        ))
    }

    fn wake(&mut self) -> Result<(), Trouble> {
        let context = self.context(Actor::System);
        let facts = self.engine.settle(context);
        if !facts.is_empty() {
            self.tell("time passes".to_owned());
        }
        self.append(facts, Actor::System, Cause::Timer)?;
        self.settle_rest()?;
        match self.engine.next_wake() {
            Some(at) if at <= self.now => wrong(format!(
                "the engine asks to be woken at {at}, which has come already"
            )),
            _ => Ok(()),
        }
    }

    fn agent_speaks(&mut self, coming: Coming) -> Result<(), Trouble> {
        let Some(job) = self.ledger.job(coming.job) else {
            return Ok(());
        };
        if job.status.is_terminal() {
            return Ok(());
        }
        let agent = self.ledger.name(job.agent.0).to_owned();
        let what = format!("{} on {}", self.ledger.name(job.version.0), self.place(job));
        match coming.outcome {
            None => {
                self.tell(format!("{agent} claims the job of {what}"));
                let (job, runner) = (coming.job, agent);
                self.execute(
                    Command::ClaimJob {
                        lease: false,
                        job,
                        runner,
                    },
                    Actor::System,
                )
            }
            Some((status, message)) => {
                self.tell(format!("{agent} reports the job of {what}: {status}"));
                let report = JobReport {
                    epoch: None,
                    exit: None,
                    links: Default::default(),
                    job: coming.job,
                    status,
                    message,
                    runner: None,
                    external_id: None,
                    output_tail: None,
                };
                self.report_job(report)
            }
        }
    }

    /// Puts what agents will say about jobs that no script has answered yet.
    pub(super) fn script_jobs(&mut self) {
        if self.agents.is_empty() {
            return;
        }
        let mut planned = Vec::new();
        for job in self.engine.state().jobs().values() {
            if job.status.is_terminal() || self.scripted.contains(&job.id) {
                continue;
            }
            let script = self
                .agents
                .iter()
                .find(|script| self.fits(job, &script.filter));
            if let Some(script) = script
                && let Some(outcome) = script.outcome
            {
                let started = script.started_millis.filter(|_| job.runner.is_none());
                let place = self.place(job);
                planned.push((
                    place,
                    job.id,
                    job.created_at,
                    started,
                    script.after_millis,
                    (outcome, script.message.clone()),
                ));
            }
        }
        planned.sort_by(|a, b| (a.2, &a.0, a.1).cmp(&(b.2, &b.0, b.1)));
        for (_, job, created, started, after, outcome) in planned {
            self.scripted.insert(job);
            if let Some(started) = started {
                self.say_at(created.plus_millis(started), job, None);
            }
            self.say_at(created.plus_millis(after), job, Some(outcome));
        }
    }

    fn say_at(
        &mut self,
        at: Timestamp,
        job: stagegate_model::JobId,
        outcome: Option<(stagegate_model::JobStatus, String)>,
    ) {
        self.ids += 1;
        // A script that comes later than the job answers from then on.
        let key = (at.max(self.now), self.ids);
        self.coming.insert(key, Coming { job, outcome });
    }

    /// The measurement that is due first, if a script takes it.
    fn next_measurement(&self) -> Option<Due> {
        if self.metrics.is_empty() {
            return None;
        }
        let mut first: Option<(Timestamp, String, Due)> = None;
        for verification in self.engine.state().verifications().values() {
            if verification.status != VerificationStatus::Running {
                continue;
            }
            let Some(job) = self.engine.state().jobs().get(&verification.job) else {
                continue;
            };
            for (metric, run) in verification.metrics.iter().enumerate() {
                let Some(at) = next_due(verification, run) else {
                    continue;
                };
                let at = at.max(self.now);
                let Some(measured) = self.scripted_result(job, &run.planned.metric.name, run.taken)
                else {
                    continue;
                };
                let place = self.place(job);
                let earlier = first.as_ref().is_none_or(|(first_at, first_place, due)| {
                    (at, &place, metric) < (*first_at, first_place, due.metric)
                });
                if earlier {
                    let due = Due {
                        at,
                        verification: verification.id,
                        metric,
                        measured,
                    };
                    first = Some((at, place, due));
                }
            }
        }
        first.map(|(_, _, due)| due)
    }

    fn scripted_result(&self, job: &Job, metric: &str, taken: u32) -> Option<Measured> {
        let fitting = |script: &&MetricScript| {
            script.metric.as_deref().is_none_or(|name| name == metric)
                && self.fits(job, &script.filter)
        };
        let script = self.metrics.iter().find(fitting)?;
        let index = (taken as usize).min(script.results.len().checked_sub(1)?);
        let measured = script.results.get(index)?;
        (*measured != Measured::Never).then(|| measured.clone())
    }

    /// Records a measurement: the one with that ordinal, or the next one.
    pub(super) fn measure(
        &mut self,
        id: VerificationId,
        metric: usize,
        ordinal: Option<u32>,
        measured: Measured,
    ) -> Result<(), Trouble> {
        let Some(verification) = self.ledger.verification(id) else {
            return Ok(());
        };
        let Some(run) = verification.metrics.get(metric) else {
            return Ok(());
        };
        let name = run.planned.metric.name.clone();
        let ordinal = ordinal.unwrap_or(run.taken);
        let place = self
            .ledger
            .job(verification.job)
            .map(|job| self.place(job))
            .unwrap_or_default();
        let outcome = match measured {
            Measured::Never => return Ok(()),
            Measured::Result(result) => {
                self.tell(format!("`{name}` on {place} yields {result}"));
                Ok(result)
            }
            Measured::Error(error) => {
                self.tell(format!("`{name}` on {place} cannot be measured: {error}"));
                Err(error)
            }
            Measured::Judged(status) => {
                self.tell(format!("`{name}` on {place} is measured: {status}"));
                let live = self.engine.state().verifications().get(&id);
                let fits = live.is_some_and(|it| {
                    it.status == VerificationStatus::Running
                        && it
                            .metrics
                            .get(metric)
                            .is_some_and(|run| run.taken == ordinal)
                });
                if !fits {
                    return Ok(());
                }
                let message = match status {
                    stagegate_model::MeasurementStatus::Passed => String::new(),
                    _ => "the scenario says so".to_owned(),
                };
                let fact = Fact::Measured {
                    verification: id,
                    metric,
                    ordinal,
                    status,
                    message,
                    data: Json::Null,
                };
                return self.fold(fact, "recordMeasurement");
            }
        };
        let command = Command::RecordMeasurement {
            verification: id,
            metric,
            ordinal,
            outcome,
        };
        self.execute(command, Actor::System)
    }
}
