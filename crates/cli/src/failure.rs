//! What went wrong, told to a person or to a program, and the exit code that goes with it.

use crate::output::{Format, Output};
use stagegate_api::Problem;
use stagegate_api::client::ClientError;
use std::fmt;
use std::process::ExitCode;

/// Asked and answered: no.
pub const ANSWER_IS_NO: u8 = 1;
/// What was typed cannot be.
pub const USAGE: u8 = 2;
/// The server said no to the request.
pub const REFUSED: u8 = 3;
/// There is no server, or it cannot do it at the moment.
pub const UNAVAILABLE: u8 = 4;

/// An error with its code, its hint and its exit code.
#[derive(Debug)]
pub struct Failure {
    pub problem: Box<Problem>,
    pub exit: u8,
}

impl Failure {
    /// An error of that code with that exit code.
    pub fn new(code: &str, exit: u8, detail: impl Into<String>) -> Self {
        Self {
            problem: Box::new(Problem::new(code, detail)),
            exit,
        }
    }

    /// What was typed cannot be; `code` says in which way.
    pub fn usage(code: &str, detail: impl Into<String>) -> Self {
        let mut failure = Self::new(code, USAGE, detail);
        failure.problem.status = 400;
        failure
    }

    /// Something that was named does not exist, or is not what is needed.
    pub fn refused(code: &str, detail: impl Into<String>) -> Self {
        Self::new(code, REFUSED, detail)
    }

    /// Something on this machine failed.
    pub fn local(code: &str, detail: impl Into<String>) -> Self {
        Self::new(code, ANSWER_IS_NO, detail)
    }

    /// Says how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        *self.problem = (*self.problem).hint(hint);
        self
    }

    /// Finds what is known of an error that came up through a command.
    pub fn from_error(error: anyhow::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(failure) => return failure,
            Err(error) => error,
        };
        match error.downcast::<ClientError>() {
            Ok(error) => Self::from_client(error),
            Err(error) => Self::local("internal", format!("{error:#}")),
        }
    }

    fn from_client(error: ClientError) -> Self {
        match error {
            ClientError::Problem(problem) => {
                let exit = if problem.status < 500 {
                    REFUSED
                } else {
                    UNAVAILABLE
                };
                Self { problem, exit }
            }
            ClientError::InvalidUrl { .. } => {
                Self::usage("invalid_value", format!("--server: {error}"))
            }
            ClientError::UnusableKey => Self::usage("unauthorized", error.to_string()),
            ClientError::Unreachable { .. } => {
                Self::new("unreachable", UNAVAILABLE, error.to_string())
                    .hint("the server's URL is given with `--server` or in STAGEGATE_URL")
            }
            ClientError::Unexpected { .. } => Self::new("internal", UNAVAILABLE, error.to_string())
                .hint("is that the URL of a Stagegate server?"),
            ClientError::Setup(_) => Self::local("internal", error.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.problem, f)
    }
}

impl std::error::Error for Failure {}

/// Whether nobody reads our output any more.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Help, the version, or what is wrong with the arguments.
pub fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    if !error.use_stderr() {
        // `--help` into a pager that was closed is no failure.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if !asks_for_json() {
        let _ = error.print();
        return ExitCode::from(USAGE);
    }
    let code = match error.kind() {
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand => "unknown_field",
        ErrorKind::MissingRequiredArgument
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "missing_field",
        ErrorKind::ArgumentConflict => "conflicting_fields",
        _ => "invalid_value",
    };
    let text = error.render().to_string();
    let (what, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let failure = Failure::usage(code, what.trim_start_matches("error: ").trim())
        .hint(rest.split_whitespace().collect::<Vec<_>>().join(" "));
    Output::new(Format::Json).failure(&failure);
    ExitCode::from(USAGE)
}

/// Whether the arguments, which cannot be read, ask for JSON.
fn asks_for_json() -> bool {
    let args: Vec<String> = std::env::args().collect();
    let joined = |arg: &String| matches!(arg.as_str(), "--output=json" | "-ojson" | "-o=json");
    args.iter().any(joined)
        || args
            .windows(2)
            .any(|pair| matches!(pair[0].as_str(), "--output" | "-o") && pair[1] == "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit_of(error: ClientError) -> u8 {
        Failure::from_error(error.into()).exit
    }

    #[test]
    fn exit_codes_tell_refusal_from_absence() {
        assert_eq!(exit_of(Problem::new("name_taken", "").into()), REFUSED);
        assert_eq!(exit_of(Problem::new("unauthorized", "").into()), REFUSED);
        assert_eq!(
            exit_of(Problem::new("storage_full", "").into()),
            UNAVAILABLE
        );
        let (url, reason) = (String::new(), String::new());
        assert_eq!(
            exit_of(ClientError::Unreachable { url, reason }),
            UNAVAILABLE
        );
        assert_eq!(exit_of(ClientError::UnusableKey), USAGE);
        assert_eq!(Failure::from_error(anyhow::anyhow!("x")).exit, ANSWER_IS_NO);
    }

    #[test]
    fn context_does_not_hide_the_code() {
        let error =
            anyhow::Error::from(Failure::refused("version_not_found", "x")).context("while");
        assert_eq!(Failure::from_error(error).problem.code, "version_not_found");
    }
}
