//! Who is heard of: the leases of claimed jobs. They live in memory only; what follows from one that lapses is a
//! fact. After a load every lease begins anew, so that a server that was away fails no job.

use crate::decide::Message;
use crate::reads::For;
use crate::step::Shard;
use crate::{Controller, ReadError, SubmitError, loading};
use stagegate_engine::{Job, State};
use stagegate_model::{Actor, Command, Fact, JobId, JobStatus, Rejection, Timestamp, WorkspaceId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::broadcast;

/// The longest lease there is, in milliseconds: what lies further ahead comes from a clock that was set back.
const LEASE_MILLIS_MAX: i64 = 3_600_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lease {
    epoch: u64,
    heard_at: Timestamp,
    lapses_at: Timestamp,
}

/// A lease that has lapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lapsed {
    pub job: JobId,
    pub epoch: u64,
    pub since: Timestamp,
}

/// The leases of one workspace.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    /// Whether those of the jobs that were there at the beginning are in it.
    begun: bool,
    leases: BTreeMap<JobId, Lease>,
    by_time: BTreeSet<(Timestamp, JobId)>,
}

/// Whether a job's runner has to be heard of now.
fn is_watched(job: &Job) -> bool {
    job.lease && job.lost.is_none() && !job.status.is_terminal()
}

impl Leases {
    /// Gives every lease its full length from `now`, once.
    pub fn begin(&mut self, state: &State, now: Timestamp) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        for job in state.jobs().values() {
            self.heard(job, now);
        }
    }

    /// The runner was heard of at `now`, or has just got the job.
    pub fn heard(&mut self, job: &Job, now: Timestamp) {
        self.forget(job.id);
        if !is_watched(job) {
            return;
        }
        let millis = job.limits.lease_seconds.saturating_mul(1000);
        let lease = Lease {
            epoch: job.epoch,
            heard_at: now,
            lapses_at: now.plus_millis(i64::try_from(millis).unwrap_or(LEASE_MILLIS_MAX)),
        };
        self.leases.insert(job.id, lease);
        self.by_time.insert((lease.lapses_at, job.id));
    }

    fn forget(&mut self, job: JobId) {
        if let Some(lease) = self.leases.remove(&job) {
            self.by_time.remove(&(lease.lapses_at, job));
        }
    }

    /// Follows what happened to jobs.
    pub fn follow(&mut self, state: &State, facts: &[Fact], now: Timestamp) {
        for fact in facts {
            let (Fact::JobClaimed { id, .. }
            | Fact::JobChanged { id, .. }
            | Fact::JobLost { id, .. }
            | Fact::JobFound { id, .. }
            | Fact::JobRequeued { id, .. }) = fact
            else {
                continue;
            };
            match state.jobs().get(id) {
                Some(job) => self.heard(job, now),
                None => self.forget(*id),
            }
        }
    }

    /// The earliest moment at which one lapses.
    pub fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes one that has lapsed.
    pub fn take_lapsed(&mut self, now: Timestamp) -> Option<Lapsed> {
        let (at, job) = *self.by_time.first().filter(|(at, _)| *at <= now)?;
        self.by_time.remove(&(at, job));
        let lease = self.leases.remove(&job)?;
        Some(Lapsed {
            job,
            epoch: lease.epoch,
            since: lease.heard_at,
        })
    }

    /// Begins again when the clock was set back so far that nothing would lapse for long.
    pub fn follow_clock(&mut self, state: &State, now: Timestamp) {
        let ahead = self.by_time.last();
        if ahead.is_some_and(|(at, _)| at.millis_since(now) > LEASE_MILLIS_MAX) {
            *self = Self::default();
            self.begin(state, now);
        }
    }
}

/// How a job stands towards the runner that has it.
#[derive(Clone, Debug)]
pub struct Pulse {
    pub status: JobStatus,
    pub lease_seconds: u64,
    /// Set when it is to be stopped.
    pub cancel: Option<stagegate_engine::Cancel>,
    lost: bool,
}

impl Controller {
    /// The holder of a job is heard of: its lease begins anew, unless `renew` is false. Returns once what is answered
    /// is durable.
    ///
    /// # Errors
    /// `job_not_found`, `job_ended`, `lease_lost` when it is not the holder; or why nothing could be read.
    pub async fn heartbeat(
        &self,
        workspace: WorkspaceId,
        job: JobId,
        runner: &str,
        epoch: u64,
        renew: bool,
    ) -> Result<Pulse, SubmitError> {
        loop {
            let pulse = self.pulse(workspace, job, runner, epoch, renew).await?;
            if !(pulse.is_lost() && renew) {
                return Ok(pulse);
            }
            let found = Command::RenewLease {
                job,
                runner: runner.to_owned(),
                epoch,
            };
            self.submit(workspace, Actor::System, found, Vec::new())
                .await?;
        }
    }

    async fn pulse(
        &self,
        id: WorkspaceId,
        job: JobId,
        runner: &str,
        epoch: u64,
        renew: bool,
    ) -> Result<Pulse, SubmitError> {
        let workspace = self.loaded(id).await?;
        let _place = self.shared.reads.place(For::Caller)?;
        let runner: Arc<str> = runner.into();
        loop {
            let (held, its, now) = (workspace.clone(), Arc::clone(&runner), self.now());
            let look = move |live: &Shard| {
                if let Some(halt) = live.halted() {
                    return Err(ReadError::from(halt.clone()));
                }
                let before = live.next_lapse();
                let pulse = live.heard(job, &its, epoch, now, renew);
                let is_sooner = match (live.next_lapse(), before) {
                    (Some(after), Some(before)) => after < before,
                    (after, None) => after.is_some(),
                    (None, _) => false,
                };
                Ok((pulse, live.seen(), is_sooner))
            };
            let looked = self.in_turn(For::Caller, move || held.with(look));
            let looked = looked.await?.ok_or_else(loading::has_left)?;
            let (pulse, seen, is_sooner) = looked?;
            if is_sooner {
                // The clock was set back: the lease lapses before the deciding thread would look.
                self.shared.marks.mark(&workspace);
                let _ = self.shared.commands.try_send(Message::Marked);
            }
            if workspace.wait_durable(seen).await {
                return Ok(pulse?);
            }
        }
    }

    /// The jobs of a workspace that ended, were given to another runner or are to be stopped, as that becomes
    /// durable. A receiver that lags behind should look anew.
    #[must_use]
    pub fn job_news(&self, workspace: WorkspaceId) -> Option<broadcast::Receiver<JobId>> {
        self.find(workspace).map(|it| it.hear_of_jobs())
    }
}

/// The jobs of which these facts are news to whoever runs or watches them.
pub(crate) fn news(facts: &[Fact]) -> impl Iterator<Item = JobId> {
    facts.iter().filter_map(|fact| match fact {
        Fact::JobChanged { id, .. }
        | Fact::JobRequeued { id, .. }
        | Fact::JobCancelRequested { id, .. } => Some(*id),
        _ => None,
    })
}

impl Pulse {
    /// Whether the runner was given up: it is to be found again before it goes on.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    pub(crate) fn of(
        state: &State,
        job: JobId,
        runner: &str,
        epoch: u64,
    ) -> Result<Self, Rejection> {
        let job = state.jobs().get(&job).ok_or_else(|| {
            Rejection::not_found("job_not_found", format!("there is no job `{job}`"))
        })?;
        job.check_holder(Some(runner), Some(epoch))?;
        Ok(Self {
            status: job.status,
            lease_seconds: job.limits.lease_seconds,
            cancel: job.cancel.as_deref().cloned(),
            lost: job.lost.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lapsed_lease_is_taken_once() {
        let id = JobId(uuid::Uuid::from_u128(1));
        let lease = Lease {
            epoch: 3,
            heard_at: Timestamp(5),
            lapses_at: Timestamp(10),
        };
        let mut leases = Leases {
            begun: true,
            leases: [(id, lease)].into(),
            by_time: [(lease.lapses_at, id)].into(),
        };
        assert_eq!(leases.next(), Some(Timestamp(10)));
        assert_eq!(leases.take_lapsed(Timestamp(9)), None);
        let expected = Lapsed {
            job: id,
            epoch: 3,
            since: Timestamp(5),
        };
        assert_eq!(leases.take_lapsed(Timestamp(10)), Some(expected));
        assert_eq!(leases.take_lapsed(Timestamp(10)), None);
        assert_eq!(leases.next(), None);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_a_lease_for_ever() {
        let id = JobId(uuid::Uuid::from_u128(1));
        let lease = Lease {
            epoch: 3,
            heard_at: Timestamp(0),
            lapses_at: Timestamp(2 * LEASE_MILLIS_MAX),
        };
        let mut leases = Leases {
            begun: true,
            leases: [(id, lease)].into(),
            by_time: [(lease.lapses_at, id)].into(),
        };
        leases.follow_clock(&State::default(), Timestamp(LEASE_MILLIS_MAX));
        assert!(leases.next().is_some(), "within what a lease may last");
        leases.follow_clock(&State::default(), Timestamp(0));
        assert_eq!(leases.next(), None);
    }
}
