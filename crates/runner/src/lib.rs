//! The runner: a process on the machine where deployments happen. It asks the server for jobs of its agents,
//! carries them out and says how they ended.
//!
//! INVARIANT: a job's entry in the [`journal`] is on disk before the job is claimed, and is removed only
//! after its end was acknowledged. So a runner that was killed at any point knows on its next start what it
//! began and what it still has to say; a job is never carried out twice, and no end is ever lost.

mod back_off;
mod event;
mod execution;
mod heartbeat;
mod hold;
mod identity;
mod job;
mod journal;
mod live;
mod options;
mod poll;
mod report;
mod runner;

pub use event::RunnerEvent;
pub use options::{OnEvent, RunnerOptions};
pub use runner::{RunnerError, run};
