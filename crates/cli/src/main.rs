//! `stagegate`: the one binary. It serves, it runs jobs, and it is what people and pipelines type.
//!
//! Architecture Invariant: a command that talks to a server decides nothing. It asks, and shows the answer.

mod arguments;
mod commands;
mod documents;
mod failure;
mod output;
mod resolve;
mod session;
mod stopping;
mod values;

use arguments::Cli;
use clap::Parser as _;
use failure::Failure;
use output::Output;
use std::process::ExitCode;

/// What a command found out, where that can be "no".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    /// Nothing went wrong, but the answer is no: exit code 1.
    No,
}

#[global_allocator]
static ALLOCATOR: stagegate_allocator::Allocator = stagegate_allocator::Allocator;

fn main() -> ExitCode {
    stagegate_allocator::keep_free_memory();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let out = Output::new(cli.global.output);
    match commands::run(cli.command, cli.global, out.clone()) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(failure::ANSWER_IS_NO),
        // Whoever read our output has seen enough.
        Err(error) if failure::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let failure = Failure::from_error(error);
            out.failure(&failure);
            ExitCode::from(failure.exit)
        }
    }
}
