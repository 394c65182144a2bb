//! Runners with a lease: they say that they are there, fall silent, come back too late, and stop when told to.

use crate::world::{Event, Hold, World};
use stagegate_model::{Actor, Command, JobStatus};

/// Until a runner has stopped what it was doing.
const STOPPING_MILLIS: i64 = 4_000;

impl World<'_> {
    /// A runner says that it is there, and hears what it is to do.
    pub fn heartbeat(&mut self, mut hold: Hold) {
        let Some(plan) = self.agents.get(&hold.job).cloned() else {
            return;
        };
        let job = self.auditor.ledger.jobs.get(&hold.job);
        let lease = job.map_or(30, |job| job.limits.lease_seconds);
        let pause = i64::try_from(lease * 1000 / 2).unwrap_or(1_000);
        let elapsed = self.time - hold.since;
        // Only the first runner of a job falls silent: the next one would do no better.
        let silence = plan.silence.filter(|_| hold.epoch == 1);
        let silence = silence.filter(|(from, length)| (*from..from + length).contains(&elapsed));
        if let Some((from, length)) = silence {
            self.counts.add("agent: fell silent");
            self.at(from + length - elapsed, Event::Heartbeat(hold));
            return;
        }
        let now = self.now();
        let is_awake = self.node.as_mut().is_some_and(|node| node.wake(now));
        let node = self.node.as_ref().filter(|_| is_awake);
        let Some(node) = node.filter(|it| it.shard.halted().is_none()) else {
            self.at(pause, Event::Heartbeat(hold));
            return;
        };
        let heard = node
            .shard
            .heard(hold.job, &hold.runner, hold.epoch, now, true);
        let durable = node.durable.holds(node.shard.seen());
        let pulse = match heard {
            Ok(pulse) => pulse,
            // It is not told before that is durable.
            Err(_) if !durable => {
                self.at(pause, Event::Heartbeat(hold));
                return;
            }
            Err(why) => {
                if why.code == "lease_lost" {
                    self.counts.add("agent: told that it has lost the job");
                }
                return;
            }
        };
        if durable && !pulse.is_lost() {
            self.auditor.heard(hold.job, hold.epoch, now);
        }
        if durable && pulse.cancel.is_some() && !hold.stopping {
            hold.stopping = true;
            if plan.stops {
                self.counts.add("agent: stopped when told to");
                let event = Event::Report {
                    job: hold.job,
                    runner: Some(hold.runner.clone()),
                    epoch: Some(hold.epoch),
                    status: JobStatus::Cancelled,
                };
                self.at(STOPPING_MILLIS, event);
            } else {
                self.counts.add("agent: did not stop");
            }
        }
        let again = Event::Heartbeat(hold.clone());
        self.at(pause, again);
        if pulse.is_lost() {
            let found = Command::RenewLease {
                job: hold.job,
                runner: hold.runner,
                epoch: hold.epoch,
            };
            self.submit_for(Event::Tick, Actor::System, found);
        }
    }
}
