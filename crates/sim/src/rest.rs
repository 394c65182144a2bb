//! The end of a run: faults stop, everybody answers, everything comes to rest and is judged.

use crate::auditor::Violation;
use crate::dice::Dice;
use crate::store::{Faults, Snapshots};
use crate::world::{Checked, Event, World};
use stagegate_controller::step::Shard;
use stagegate_engine::LaneKey;
use stagegate_engine::{Engine, State};
use stagegate_model::*;

/// Rounds of answering what is open, a net.
const ROUNDS_MAX: usize = 400;

/// How long nobody answers before what is still to come does not matter: longer than any deadline of a job.
const REST_MILLIS: i64 = 2 * 86_400_000;

impl World<'_> {
    /// Faults stop; agents, meters and people answer until nothing is open; then everything is judged.
    pub fn come_to_rest(&mut self) -> Checked {
        self.trace.line(self.time, format_args!("faults stop"));
        *self.store.faults() = Faults::default();
        self.writer_slow = false;
        self.healed = true;
        if self.node.is_none() {
            self.at(0, Event::Restart);
        }
        self.at(0, Event::Tick);
        self.settle_down()?;
        if Dice::of(self.seed, "approve all").chance(60) {
            self.trace.line(self.time, format_args!("all is approved"));
            self.approve_all();
            self.at(0, Event::Tick);
            self.settle_down()?;
        }
        self.folds_agree()?;
        self.auditor.answers()?;
        stagegate_controller::step::verify(&*self.store, self.workspace)
            .map_err(|error| Violation::new("chain", error.to_string()))?;
        Ok(())
    }

    fn settle_down(&mut self) -> Checked {
        for _ in 0..ROUNDS_MAX {
            // Windows open and shut for ever: what is still to come after so long is the same again.
            let until = self.time + REST_MILLIS;
            while self.next_at().is_some_and(|at| at <= until) && self.turn()? {}
            if !self.answer_what_is_open() {
                let now = self.now();
                return self
                    .auditor
                    .at_rest(now)
                    .map_err(|it| self.with_reasons(it));
            }
            self.at(0, Event::Tick);
        }
        Err(Violation::new("rest", "it does not come to rest"))
    }

    /// Adds why Stagegate itself says that nothing moves.
    fn with_reasons(&self, mut violation: Violation) -> Violation {
        let Some((version, target)) = violation.about else {
            return violation;
        };
        let awake = self.node.as_ref().filter(|node| !node.is_resting());
        let engine = awake.map(|node| node.shard.engine());
        let (deployment, environment) = (target.deployment, target.environment);
        let lane = LaneKey {
            deployment,
            environment,
        };
        if let Some(told) = engine.and_then(|it| it.explain(lane, version, self.now())) {
            let standings = told.targets.iter();
            let own = standings.filter(|it| it.resource == target.resource);
            let own: Vec<String> = own
                .map(|it| format!("{} ({})", it.state.as_str(), it.reason))
                .collect();
            let own = own.join(", ");
            violation.what = format!("{}; told: {}; {own}", violation.what, told.summary);
        }
        violation
    }

    /// Somebody answers for every job and every verification that waits for a person; whether there was any.
    fn answer_what_is_open(&mut self) -> bool {
        let ledger = &self.auditor.ledger;
        let mut commands: Vec<(Actor, Command)> = Vec::new();
        let runner = self.people.runner.unwrap_or(Actor::System);
        let voter = self.people.voters.first().copied().unwrap_or(Actor::System);
        let open = ledger.jobs.iter();
        for (id, job) in open.filter(|(_, job)| job.ended.is_none() && !job.retried) {
            let name = format!("{} {}", ledger.name(job.target), job.number);
            let mut dice = Dice::of(self.seed, &format!("rest {name}"));
            if !job.status.is_terminal() {
                let status = if dice.chance(85) {
                    JobStatus::Successful
                } else {
                    JobStatus::Failure
                };
                // One that was taken from a lost runner has to be claimed before anything is said of it.
                if job.runner.is_none() && job.epoch > 0 {
                    let claim = Command::ClaimJob {
                        job: *id,
                        runner: "the last".to_owned(),
                        lease: false,
                    };
                    commands.push((runner, claim));
                    continue;
                }
                let report = JobReport {
                    epoch: job.runner.as_ref().map(|_| job.epoch),
                    exit: None,
                    links: Default::default(),
                    job: *id,
                    status,
                    message: String::new(),
                    runner: job.runner.clone(),
                    external_id: None,
                    output_tail: None,
                };
                commands.push((runner, Command::ReportJob(report)));
                continue;
            }
            for (verification, run) in ledger.latest_runs(job) {
                let waits = matches!(
                    run.status,
                    VerificationStatus::Inconclusive
                        | VerificationStatus::Error
                        | VerificationStatus::Cancelled
                );
                if waits {
                    let pass = dice.chance(75);
                    let reason = "it has to end".to_owned();
                    commands.push((
                        voter,
                        Command::DecideVerification {
                            verification,
                            pass,
                            reason,
                        },
                    ));
                }
            }
        }
        let any = !commands.is_empty();
        for (actor, command) in commands {
            self.ask(actor, command);
        }
        any
    }

    fn approve_all(&mut self) {
        let ledger = &self.auditor.ledger;
        let open = ledger.promotions.values().filter(|it| it.status.is_open());
        let open: Vec<_> = open.map(|it| (it.version, it.environment)).collect();
        for (version, environment) in open {
            for voter in self.people.voters.clone() {
                let command = Command::CastVote {
                    version,
                    environments: vec![environment],
                    vote: Vote::Approved,
                    reason: String::new(),
                };
                self.ask(voter, command);
            }
        }
    }

    /// The state in memory, the log folded from its start, and the log behind a snapshot are the same.
    pub fn folds_agree(&mut self) -> Checked {
        let Some(node) = self.node.as_ref().filter(|node| node.is_calm()) else {
            return Ok(());
        };
        let in_memory = match node.is_resting() {
            true => None,
            false => Some(form(node.shard.engine().state())?),
        };
        let mut folded = Engine::default();
        for entry in self.auditor.entries() {
            folded.replay(entry);
        }
        let folded = form(folded.state())?;
        if in_memory.is_some_and(|it| it != folded) {
            let what = "the log folded from its start is not what is in memory";
            return Err(Violation::new("fold", what));
        }
        if self.store.faults().reads_fail {
            return Ok(());
        }
        let damage = std::mem::replace(&mut self.store.faults().snapshots, Snapshots::Whole);
        let loaded = Shard::load(&*self.store, self.workspace)
            .map_err(|error| Violation::new("fold", error.to_string()));
        self.store.faults().snapshots = damage;
        if form(loaded?.engine().state())? != folded {
            let what = "the log behind the latest snapshot is not the log folded from its start";
            return Err(Violation::new("fold", what));
        }
        Ok(())
    }
}

fn form(state: &State) -> Result<Vec<u8>, Violation> {
    rmp_serde::to_vec(&state.settled_form())
        .map_err(|error| Violation::new("fold", error.to_string()))
}
