//! How a job ended.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// The signal that an exit code stands for, as shells write it.
pub(super) fn signal_of(code: i32) -> Option<i32> {
    (129..=192).contains(&code).then(|| code - 128)
}

/// How a job ended, with what a person needs to understand it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The verdict.
    pub status: OutcomeStatus,
    /// Why it is not successful; none when it is.
    pub code: Option<OutcomeCode>,
    /// The process's exit code, when it is known.
    pub exit_code: Option<i32>,
    /// The signal that ended it, when it is known. A command's is what the shell makes of it: code 128 and more.
    #[serde(default)]
    pub signal: Option<i32>,
    /// One sentence.
    pub message: String,
    /// The end of its output, at most 64 KiB, without known secrets.
    pub output_tail: String,
}

/// A job's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutcomeStatus {
    /// The command ended with 0, or the service was observed serving.
    Successful,
    /// It did not.
    Failure,
    /// It was told to stop.
    Cancelled,
    /// The configuration cannot be carried out here; trying again does not help.
    InvalidIntegration,
}

/// Why a job was not successful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeCode {
    /// The command ended with another code than 0.
    ExitNonzero,
    /// The command took longer than `timeoutSeconds`.
    Timeout,
    /// The job was cancelled.
    Cancelled,
    /// The process could not be started.
    StartFailed,
    /// The service ended before it was ready.
    ServiceDied,
    /// The service did not answer within `readyTimeoutSeconds`.
    NotReady,
    /// Something else already listens where the service should.
    PortInUse,
    /// A process does not end, not even by SIGKILL.
    StopFailed,
    /// The command ran and nobody knows how it ended.
    OutcomeUnknown,
    /// The configuration is not usable.
    InvalidConfig,
    /// The runner could not keep its own records.
    RunnerStorage,
}

impl OutcomeCode {
    /// The code as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExitNonzero => "exit_nonzero",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::StartFailed => "start_failed",
            Self::ServiceDied => "service_died",
            Self::NotReady => "not_ready",
            Self::PortInUse => "port_in_use",
            Self::StopFailed => "stop_failed",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::InvalidConfig => "invalid_config",
            Self::RunnerStorage => "runner_storage",
        }
    }
}

impl fmt::Display for OutcomeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Outcome {
    pub(super) fn successful(
        message: impl Into<String>,
        exit_code: Option<i32>,
        output_tail: String,
    ) -> Self {
        Self {
            status: OutcomeStatus::Successful,
            code: None,
            exit_code,
            signal: None,
            message: message.into(),
            output_tail,
        }
    }

    /// Not successful, for the reason `code`.
    pub(super) fn failed(code: OutcomeCode, message: impl Into<String>) -> Self {
        Self {
            status: match code {
                OutcomeCode::Cancelled => OutcomeStatus::Cancelled,
                OutcomeCode::InvalidConfig => OutcomeStatus::InvalidIntegration,
                _ => OutcomeStatus::Failure,
            },
            code: Some(code),
            exit_code: None,
            signal: None,
            message: message.into(),
            output_tail: String::new(),
        }
    }

    pub(super) fn with_exit(mut self, exit_code: Option<i32>) -> Self {
        self.exit_code = exit_code;
        self.signal = exit_code.and_then(signal_of);
        self
    }

    pub(super) fn with_status(mut self, status: Option<ExitStatus>) -> Self {
        self.exit_code = status.and_then(|status| status.code());
        self.signal = status.and_then(|status| status.signal());
        self
    }

    pub(super) fn with_tail(mut self, output_tail: String) -> Self {
        self.output_tail = output_tail;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_they_are_stored() {
        for code in [
            OutcomeCode::ExitNonzero,
            OutcomeCode::Timeout,
            OutcomeCode::Cancelled,
            OutcomeCode::StartFailed,
            OutcomeCode::ServiceDied,
            OutcomeCode::NotReady,
            OutcomeCode::PortInUse,
            OutcomeCode::StopFailed,
            OutcomeCode::OutcomeUnknown,
            OutcomeCode::InvalidConfig,
            OutcomeCode::RunnerStorage,
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
