//! A runner's hold on one job: the claim, its lease, and why it ended.

use stagegate_api::Job;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a process may take to end after it was told to; a lease is given back that much before others may have it.
const STOP_MAX: Duration = Duration::from_secs(5);

/// A lease of servers that say nothing of any.
const LEASE_DEFAULT: Duration = Duration::from_secs(30);

/// How long a runner that was away may ask for its job before it takes silence for an answer.
const RETURN_MAX: Duration = Duration::from_secs(5);

/// Why a job is no longer carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The server gave it to nobody or someone else. Nothing that is said of it counts.
    Lost,
    /// It has ended at the server. What is said of it is kept, and changes nothing.
    Ended,
    /// Nothing was heard of the server for so long that another runner may have it.
    Silence,
}

/// What is agreed about the claim.
#[derive(Clone, Copy, Debug)]
struct Terms {
    lease: Duration,
    grace: Duration,
    /// Whether someone else gets the job when lease and grace have passed.
    requeue: bool,
}

#[derive(Debug)]
struct State {
    /// When the last call was begun that renewed the lease; `None`: too long ago to tell.
    heard: Option<Instant>,
    lease: Duration,
    gone: Option<Gone>,
    cancel_asked: bool,
}

/// A runner's hold on one job.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) job_id: String,
    /// `None` of servers that have none.
    pub(crate) epoch: Option<u64>,
    terms: Option<Terms>,
    /// Until then a runner that was away waits for an answer.
    patient_until: Instant,
    state: Mutex<State>,
    cancel: watch::Sender<bool>,
}

impl Hold {
    /// A hold on the job as it was claimed; `heard` is when the last call was begun that renewed it.
    pub(crate) fn new(job: &Job, heard: Option<Instant>) -> Self {
        let context = job.dispatch_context.as_ref();
        let terms = job.limits.as_ref().map(|limits| Terms {
            lease: Duration::from_secs(limits.lease_seconds),
            grace: Duration::from_secs(limits.grace_seconds),
            requeue: limits.on_lost_lease == "requeue",
        });
        let now = Instant::now();
        let was_away = heard.is_none_or(|heard| now - heard > STOP_MAX);
        Self {
            job_id: job.id.clone(),
            epoch: context.and_then(|context| context.epoch).or(job.epoch),
            terms,
            patient_until: if was_away { now + RETURN_MAX } else { now },
            state: Mutex::new(State {
                heard,
                lease: terms.map_or(LEASE_DEFAULT, |terms| terms.lease),
                gone: None,
                cancel_asked: false,
            }),
            cancel: watch::Sender::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Plain data that is whole at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lease runs anew from when the call was begun.
    pub(crate) fn renewed(&self, begun: Instant) {
        let mut state = self.state();
        state.heard = state.heard.max(Some(begun));
    }

    /// How long a heartbeat may be held by the server, in seconds.
    pub(crate) fn wait_seconds(&self) -> u64 {
        (self.state().lease.as_secs() / 3).max(1)
    }

    /// The server's word on how long a lease lasts.
    pub(crate) fn set_lease(&self, seconds: u64) {
        if seconds > 0 {
            self.state().lease = Duration::from_secs(seconds);
        }
    }

    /// Whether the job is ours for certain, so that something may be started for it.
    pub(crate) fn is_certain(&self) -> bool {
        let state = self.state();
        self.terms.is_none()
            || state
                .heard
                .is_some_and(|heard| heard.elapsed() < state.lease)
    }

    /// Whether someone else may get the job when nothing is heard of this runner.
    pub(crate) fn may_be_requeued(&self) -> bool {
        self.terms.is_some_and(|terms| terms.requeue)
    }

    /// When the job must begin to be stopped unless more is heard of the server: so that it has ended when another
    /// runner may have it.
    pub(crate) fn stop_at(&self) -> Option<Instant> {
        let terms = self.terms.filter(|terms| terms.requeue)?;
        let state = self.state();
        let silence_max = state.lease + terms.grace.saturating_sub(STOP_MAX);
        let at = state
            .heard
            .map_or(self.patient_until, |heard| heard + silence_max);
        Some(at.max(self.patient_until))
    }

    /// The job is no longer to be carried out. Only the first reason counts.
    pub(crate) fn lose(&self, gone: Gone) {
        self.state().gone.get_or_insert(gone);
        self.cancel.send_replace(true);
    }

    pub(crate) fn gone(&self) -> Option<Gone> {
        self.state().gone.clone()
    }

    /// The job is to be stopped and reported. Whether that is news.
    pub(crate) fn ask_cancel(&self) -> bool {
        self.cancel.send_replace(true);
        !std::mem::replace(&mut self.state().cancel_asked, true)
    }

    pub(crate) fn is_cancel_asked(&self) -> bool {
        self.state().cancel_asked
    }

    /// Turns true when the job is to be stopped, for whatever reason.
    pub(crate) fn cancelled(&self) -> watch::Receiver<bool> {
        self.cancel.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_api::JobLimits;

    fn job(lease_seconds: u64, grace_seconds: u64, on_lost_lease: &str) -> Job {
        Job {
            epoch: Some(3),
            limits: Some(JobLimits {
                lease_seconds,
                grace_seconds,
                on_lost_lease: on_lost_lease.to_owned(),
                ..JobLimits::default()
            }),
            ..Job::default()
        }
    }

    fn ago(seconds: u64) -> Option<Instant> {
        Instant::now().checked_sub(Duration::from_secs(seconds))
    }

    #[test]
    fn a_process_has_ended_before_another_runner_may_begin() {
        let heard = Instant::now();
        let hold = Hold::new(&job(30, 60, "requeue"), Some(heard));
        let seconds = |hold: &Hold| (hold.stop_at().unwrap() - heard).as_secs();
        assert_eq!(seconds(&hold), 85);
        // A short grace leaves the lease alone.
        let hold = Hold::new(&job(5, 1, "requeue"), Some(heard));
        assert_eq!(seconds(&hold), 5);
        hold.renewed(heard + Duration::from_secs(2));
        hold.renewed(heard);
        assert_eq!(seconds(&hold), 7);
    }

    #[test]
    fn a_job_that_nobody_else_gets_is_not_stopped_by_silence() {
        assert_eq!(Hold::new(&job(30, 60, "fail"), ago(1000)).stop_at(), None);
        assert_eq!(Hold::new(&Job::default(), None).stop_at(), None);
    }

    #[test]
    fn nothing_is_begun_on_an_old_claim() {
        assert!(Hold::new(&job(30, 60, "fail"), ago(10)).is_certain());
        assert!(!Hold::new(&job(30, 60, "fail"), ago(31)).is_certain());
        assert!(!Hold::new(&job(30, 60, "fail"), None).is_certain());
        assert!(Hold::new(&Job::default(), None).is_certain());
        // Who was away may ask first.
        let hold = Hold::new(&job(30, 60, "requeue"), None);
        assert!(hold.stop_at().unwrap() > Instant::now());
    }

    #[test]
    fn the_first_reason_counts() {
        let hold = Hold::new(&Job::default(), None);
        assert!(hold.ask_cancel() && !hold.ask_cancel());
        hold.lose(Gone::Lost);
        hold.lose(Gone::Silence);
        assert_eq!(hold.gone(), Some(Gone::Lost));
        assert!(*hold.cancelled().borrow());
    }
}
