//! What is worth a line of log.

use std::fmt;

/// Something that happened. Its text is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunnerEvent {
    /// It found its agents and asks for jobs.
    Ready { runner: String, agents: Vec<String> },
    /// The server does not answer; jobs go on, and it keeps trying.
    ServerLost { reason: String },
    /// The server answers again.
    ServerBack,
    /// A job is its own now; `what` names deployment, version and resource.
    Claimed { job: String, what: String },
    /// Another runner was quicker, or the job is no longer to be done.
    NotClaimed { job: String, reason: String },
    /// A job from before the last stop goes on.
    Resumed { job: String },
    /// A line, or a few, of a job's output.
    Output { job: String, text: String },
    /// The job is no longer wanted, or no longer ours; it is being stopped.
    Cancelling { job: String, why: String },
    /// The job was stopped and nothing is said of it: it is no longer ours, or may not be.
    Dropped { job: String },
    /// A job's end is known and on disk.
    Finished {
        job: String,
        status: String,
        message: String,
    },
    /// The server has taken note of the end.
    Reported { job: String, status: String },
    /// The server does not want the report, and repeating would not help.
    ReportRefused { job: String, reason: String },
    /// The runner's own records cannot be written; the job goes on without them.
    RecordsFailed { job: String, reason: String },
    /// Services could not be taken up again or stopped.
    ServicesFailed { reason: String },
    /// It asks for no more jobs.
    Stopping { running: usize },
}

impl fmt::Display for RunnerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { runner, agents } => {
                write!(
                    f,
                    "runner {runner} is ready for jobs of {}",
                    agents.join(", ")
                )
            }
            Self::ServerLost { reason } => write!(f, "{reason} (trying again)"),
            Self::ServerBack => write!(f, "the server answers again"),
            Self::Claimed { job, what } => write!(f, "job {job}: claimed, {what}"),
            Self::NotClaimed { job, reason } => write!(f, "job {job}: not ours, {reason}"),
            Self::Resumed { job } => write!(f, "job {job}: resumed"),
            Self::Output { job, text } => write!(f, "job {job}: | {}", text.trim_end()),
            Self::Cancelling { job, why } => write!(f, "job {job}: stopping it, {why}"),
            Self::Dropped { job } => write!(f, "job {job}: dropped without a report"),
            Self::Finished {
                job,
                status,
                message,
            } if message.is_empty() => write!(f, "job {job}: {status}"),
            Self::Finished {
                job,
                status,
                message,
            } => write!(f, "job {job}: {status}, {message}"),
            Self::Reported { job, status } => write!(f, "job {job}: reported {status}"),
            Self::ReportRefused { job, reason } => write!(f, "job {job}: report refused, {reason}"),
            Self::RecordsFailed { job, reason } => {
                write!(
                    f,
                    "job {job}: the runner's records cannot be kept, {reason}"
                )
            }
            Self::ServicesFailed { reason } => write!(f, "services: {reason}"),
            Self::Stopping { running: 0 } => write!(f, "stopping"),
            Self::Stopping { running } => write!(f, "stopping; {running} jobs are under way"),
        }
    }
}
