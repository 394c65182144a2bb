//! Every command: one file per verb, in the folder of its noun where it has one.

mod agent;
mod apply;
mod audit;
mod completions;
mod demo;
mod diff;
mod explain_rule;
mod export;
mod get;
mod jobs;
mod key;
mod promotion;
mod promotions;
mod sample_service;
mod serve;
mod status;
mod user;
mod verification;
mod version;
mod vote;
mod waiting;
mod whoami;
mod why;

use crate::Answer;
use crate::arguments::Global;
use crate::output::Output;
use crate::session::Session;
use anyhow::{Context as _, Result};
use clap::Subcommand;
use std::future::Future;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server
    Serve(serve::Args),
    /// See a version go to production, and a bad one stopped, on this machine
    Demo(demo::Args),
    /// Create or change what the documents describe
    Apply(apply::Args),
    /// Show what applying documents would change
    Diff(diff::Args),
    /// Print the workspace as documents
    Export(export::Args),
    /// List what there is
    Get(get::Args),
    /// Create versions and see them
    #[command(subcommand)]
    Version(version::Command),
    /// Show what runs where, and what is on its way
    Status(status::Args),
    /// Say why a version is, or is not, in an environment, and when it will be
    Why(why::Args),
    /// Vote for a version in environments
    Approve(vote::Approve),
    /// Vote against a version in environments
    Reject(vote::Reject),
    /// Take your vote back
    Withdraw(vote::Withdraw),
    /// List jobs, look into one, or cancel one
    Jobs(jobs::Args),
    /// List promotions: versions on their way into environments
    Promotions(promotions::Args),
    /// Look into a promotion
    #[command(subcommand)]
    Promotion(promotion::Command),
    /// Look into verifications, and decide where measurements could not
    #[command(subcommand)]
    Verification(verification::Command),
    /// Read the log, or verify that it is what was written
    Audit(audit::Args),
    /// Create users and see them
    #[command(subcommand)]
    User(user::Command),
    /// Create, see and revoke API keys
    #[command(subcommand)]
    Key(key::Command),
    /// Say who the key acts as
    Whoami(whoami::Args),
    /// Run jobs on this machine, and see who can
    #[command(subcommand)]
    Agent(agent::Command),
    /// Explain a kind of rule
    ExplainRule(explain_rule::Args),
    /// Print the completion script of a shell
    Completions(completions::Args),
    /// A small service to deploy, check and break
    #[command(hide = true)]
    SampleService(sample_service::Args),
}

/// Carries out the command.
pub fn run(command: Command, global: Global, out: Output) -> Result<Answer> {
    let asking = Asking { global, out };
    match command {
        Command::Serve(args) => args.run(&asking.out),
        Command::Demo(args) => args.run(),
        Command::Apply(args) => asking.ask(|session| args.run(session)),
        Command::Diff(args) => asking.ask(|session| args.run(session)),
        Command::Export(args) => asking.ask(|session| args.run(session)),
        Command::Get(args) => asking.ask(|session| args.run(session)),
        Command::Version(command) => asking.ask(|session| command.run(session)),
        Command::Status(args) => asking.ask(|session| args.run(session)),
        Command::Why(args) => asking.ask(|session| args.run(session)),
        Command::Approve(args) => asking.ask(|session| args.run(session)),
        Command::Reject(args) => asking.ask(|session| args.run(session)),
        Command::Withdraw(args) => asking.ask(|session| args.run(session)),
        Command::Jobs(args) => asking.ask(|session| args.run(session)),
        Command::Promotions(args) => asking.ask(|session| args.run(session)),
        Command::Promotion(command) => asking.ask(|session| command.run(session)),
        Command::Verification(command) => asking.ask(|session| command.run(session)),
        Command::Audit(args) => args.run(asking),
        Command::User(command) => asking.ask(|session| command.run(session)),
        Command::Key(command) => asking.ask(|session| command.run(session)),
        Command::Whoami(args) => asking.ask(|session| args.run(session)),
        Command::Agent(command) => command.run(asking),
        Command::ExplainRule(args) => args.run(&asking.out),
        Command::Completions(args) => args.run(&asking.out),
        Command::SampleService(args) => args.run(),
    }
}

/// What a command needs to ask a server, before it is known whether it will.
pub struct Asking {
    pub global: Global,
    pub out: Output,
}

impl Asking {
    /// Runs a command that asks a server.
    pub fn ask<F, R>(self, command: F) -> Result<Answer>
    where
        F: FnOnce(Session) -> R,
        R: Future<Output = Result<Answer>>,
    {
        let session = Session::new(&self.global, self.out)?;
        // One thread is enough to ask and quicker to start.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the runtime cannot be started")?;
        runtime.block_on(command(session))
    }
}

/// A runtime for what goes on for long: two threads, so that one busy task does not hold up the others.
pub fn lasting_runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime cannot be started")
}
