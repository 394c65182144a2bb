//! Carrying out a step of the plan.

use crate::dice::Dice;
use crate::plan::{Act, Step};
use crate::store::{Snapshots, Writes};
use crate::workload::command;
use crate::world::{Checked, Event, World};

impl World<'_> {
    /// Carries out a step.
    pub fn step(&mut self, index: usize, step: Step) -> Checked {
        let act = step.act;
        self.trace
            .line(self.time, format_args!("-- step {index}: {act:?}"));
        let mut dice = Dice::new(step.roll ^ 0x5EED);
        match act {
            Act::CrashBeforeAppend | Act::CrashAfterAppend => {
                for _ in 0..dice.below(3) {
                    let act = *dice.pick(&[Act::CreateVersion, Act::Vote, Act::PatchVersion]);
                    let roll = dice.roll();
                    self.act(act, roll);
                }
                if let Some(node) = self.node.as_mut().filter(|_| act == Act::CrashAfterAppend) {
                    let written = node.flush(self.saboteur).written;
                    // Nobody hears of it.
                    node.replies.clear();
                    if written > 0 {
                        self.counts.add("crash: written and nobody told");
                    }
                }
                self.follow()?;
                if self.node.is_some() {
                    self.crash(dice.between(0, 30_000));
                }
            }
            Act::UnknownWritten | Act::UnknownLost => {
                let mut faults = self.store.faults();
                faults.writes = if act == Act::UnknownWritten {
                    Writes::UnknownWritten
                } else {
                    Writes::UnknownLost
                };
                faults.reads_fail = dice.chance(30);
                drop(faults);
                self.at(dice.between(100, 30_000), Event::StorageBack);
            }
            Act::DiskFull | Act::StorageDown => {
                let mut faults = self.store.faults();
                faults.writes = if act == Act::DiskFull {
                    Writes::Full
                } else {
                    Writes::Fail
                };
                faults.reads_fail = act == Act::StorageDown;
                drop(faults);
                self.at(dice.between(100, 120_000), Event::StorageBack);
            }
            Act::ClockForward => {
                self.counts.add("clock: forward");
                self.clock_off += dice.between(1, 7_200_000);
                self.at(dice.between(1, 60_000), Event::Tick);
            }
            Act::ClockBack => {
                self.counts.add("clock: back");
                self.clock_off -= dice.between(1, 7_200_000);
                self.auditor.clock_set_back(self.now());
                self.at(dice.between(1, 60_000), Event::Tick);
            }
            // The steps after it come at their own times; only what time decides happens meanwhile.
            Act::Pause => {
                self.counts.add("time: a long pause");
                self.clock_off += dice.between(3_600_000, 100_000_000);
            }
            Act::TakeSnapshot => {
                let taken = self.node.as_ref().is_some_and(crate::node::Node::snapshot);
                self.trace
                    .line(self.time, format_args!("snapshot: {taken}"));
            }
            Act::DamageSnapshot => {
                self.store.faults().snapshots = *dice.pick(&[
                    Snapshots::Truncated,
                    Snapshots::Foreign,
                    Snapshots::Missing,
                    Snapshots::Whole,
                ]);
                if self.node.is_some() {
                    self.crash(dice.between(0, 1_000));
                }
            }
            Act::LoseMeasurements => {
                if !self.measuring.is_empty() {
                    self.counts.add("crash: measurements under way lost");
                }
                self.process += 1;
                self.measuring.clear();
            }
            Act::SlowWriter => {
                self.writer_slow = true;
                self.at(dice.between(1, 5_000), Event::WriterBack);
            }
            act => self.act(act, step.roll),
        }
        Ok(())
    }

    fn act(&mut self, act: Act, roll: u64) {
        let now = self.now();
        let made = command(
            act,
            roll,
            &self.auditor.ledger,
            &self.people,
            &mut self.ids,
            now,
        );
        match made {
            Some((actor, command)) => {
                if let Some(name) = name(act) {
                    self.counts.add(name);
                }
                self.ask(actor, command);
            }
            None => self.trace.line(self.time, format_args!("nothing to do")),
        }
    }
}

/// What people and programs do, as it is counted.
fn name(act: Act) -> Option<&'static str> {
    Some(match act {
        Act::CreateVersion => "act: a version announced",
        Act::PatchVersion => "act: a version changed",
        Act::Vote => "act: a vote",
        Act::EditResource => "act: a resource edited",
        Act::AddResource => "act: a resource made",
        Act::DeleteResource => "act: a resource deleted",
        Act::AddPolicy => "act: a policy made",
        Act::EditPolicy => "act: a policy edited",
        Act::TogglePolicy => "act: a policy switched",
        Act::DeletePolicy => "act: a policy deleted",
        Act::EditEnvironment => "act: an environment edited",
        Act::EditDeployment => "act: a deployment edited",
        Act::DecideVerification => "act: a verification decided",
        Act::RerunVerification => "act: a verification run again",
        Act::Redeploy => "act: a redeploy",
        Act::Rollback => "act: a rollback",
        Act::ReleaseHold => "act: a hold released",
        Act::ClearQuarantine => "act: a quarantine cleared",
        Act::CancelPromotion => "act: a promotion cancelled",
        Act::ReopenPromotion => "act: a promotion reopened",
        Act::PauseRollout => "act: a rollout paused",
        Act::ResumeRollout => "act: a rollout resumed",
        Act::BreakGlass => "act: break-glass",
        Act::CancelJob => "act: a job cancelled",
        Act::PutFreeze => "act: a freeze",
        Act::DeleteFreeze => "act: a freeze ended",
        Act::CreateSkip => "act: a rule set aside",
        Act::DeleteSkip => "act: a skip taken back",
        Act::EditGroup => "act: a group edited",
        Act::StrayMeasurement => "measured: by nobody's order",
        Act::StrayReport => "agent: a stranger's report",
        _ => return None,
    })
}
