//! Every command: one file per verb, in the folder of its noun where it has one.

mod agent;
mod apply;
mod audit;
mod completions;
mod confirm;
mod demo;
mod deploy;
mod diff;
mod effects;
mod explain_rule;
mod export;
mod forecast;
mod freeze;
mod get;
mod group;
mod inbox;
mod jobs;
mod key;
mod lint;
mod notifiers;
mod ordering;
mod promotion;
mod promotions;
mod quarantine;
mod redeploy;
mod release_hold;
mod releases;
mod rollback;
mod sample_service;
mod serve;
mod simulate;
mod skip;
mod status;
mod test;
mod user;
mod variables;
mod verification;
mod version;
mod vote;
mod waiting;
mod whoami;
mod why;
mod windows;

use crate::Answer;
use crate::arguments::Global;
use crate::failure::Failure;
use crate::output::{Format, Output};
use crate::session::Session;
use anyhow::{Context as _, Result};
use clap::Subcommand;
use std::future::Future;

// A variant's own words would hide those of its arguments, which say more.
#[derive(Debug, Subcommand)]
pub enum Command {
    Serve(serve::Args),
    /// See a version go to production, and a bad one stopped, on this machine
    Demo(demo::Args),
    Apply(apply::Args),
    Diff(diff::Args),
    Simulate(simulate::Args),
    Export(export::Args),
    Lint(lint::Args),
    Get(get::Args),
    /// Create versions and see them
    #[command(subcommand)]
    Version(version::Command),
    Status(status::Args),
    Why(why::Args),
    Forecast(forecast::Args),
    Variables(variables::Args),
    Approve(vote::Approve),
    Reject(vote::Reject),
    Withdraw(vote::Withdraw),
    Releases(releases::Args),
    Rollback(rollback::Args),
    Redeploy(redeploy::Args),
    ReleaseHold(release_hold::Args),
    /// See what failed where and is kept out, and let it in again
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    Deploy(deploy::Args),
    Inbox(inbox::Args),
    /// Set rules aside for a time, and see which are
    #[command(subcommand)]
    Skip(skip::Command),
    /// Let nothing new start for a time
    #[command(subcommand)]
    Freeze(freeze::Command),
    Windows(windows::Args),
    Jobs(jobs::Args),
    Promotions(promotions::Args),
    /// Look into a promotion; pause, cancel or reopen it
    #[command(subcommand)]
    Promotion(promotion::Command),
    /// Look into verifications, and decide where measurements could not
    #[command(subcommand)]
    Verification(verification::Command),
    Audit(audit::Args),
    /// Create users and see them
    #[command(subcommand)]
    User(user::Command),
    /// Name users together, as approvers
    #[command(subcommand)]
    Group(group::Command),
    /// Create, see and revoke API keys
    #[command(subcommand)]
    Key(key::Command),
    Whoami(whoami::Args),
    /// Run jobs on this machine, and see who can
    #[command(subcommand)]
    Agent(agent::Command),
    /// See who is told what happened, and try whether it arrives
    #[command(subcommand)]
    Notifiers(notifiers::Command),
    ExplainRule(explain_rule::Args),
    Test(test::Args),
    Completions(completions::Args),
    /// A small service to deploy, check and break
    #[command(hide = true)]
    SampleService(sample_service::Args),
}

/// Carries out the command.
pub fn run(command: Command, global: Global, out: Output) -> Result<Answer> {
    if global.output == Format::Junit && !matches!(command, Command::Test(_)) {
        let what = "only `stagegate test` writes JUnit XML";
        return Err(Failure::usage("invalid_value", what)
            .hint("use `--output json`")
            .into());
    }
    let asking = Asking { global, out };
    match command {
        Command::Serve(args) => args.run(&asking.out),
        Command::Demo(args) => args.run(),
        Command::Apply(args) => asking.ask(|session| args.run(session)),
        Command::Diff(args) => asking.ask(|session| args.run(session)),
        Command::Simulate(args) => asking.ask(|session| args.run(session)),
        Command::Export(args) => asking.ask(|session| args.run(session)),
        Command::Lint(args) => args.run(asking),
        Command::Get(args) => asking.ask(|session| args.run(session)),
        Command::Version(command) => asking.ask(|session| command.run(session)),
        Command::Status(args) => asking.ask(|session| args.run(session)),
        Command::Why(args) => asking.ask(|session| args.run(session)),
        Command::Forecast(args) => asking.ask(|session| args.run(session)),
        Command::Variables(args) => asking.ask(|session| args.run(session)),
        Command::Approve(args) => asking.ask(|session| args.run(session)),
        Command::Reject(args) => asking.ask(|session| args.run(session)),
        Command::Withdraw(args) => asking.ask(|session| args.run(session)),
        Command::Releases(args) => asking.ask(|session| args.run(session)),
        Command::Rollback(args) => asking.ask(|session| args.run(session)),
        Command::Redeploy(args) => asking.ask(|session| args.run(session)),
        Command::ReleaseHold(args) => asking.ask(|session| args.run(session)),
        Command::Quarantine(command) => asking.ask(|session| command.run(session)),
        Command::Deploy(args) => asking.ask(|session| args.run(session)),
        Command::Inbox(args) => asking.ask(|session| args.run(session)),
        Command::Skip(command) => asking.ask(|session| command.run(session)),
        Command::Freeze(command) => asking.ask(|session| command.run(session)),
        Command::Windows(args) => asking.ask(|session| args.run(session)),
        Command::Jobs(args) => asking.ask(|session| args.run(session)),
        Command::Promotions(args) => asking.ask(|session| args.run(session)),
        Command::Promotion(command) => asking.ask(|session| command.run(session)),
        Command::Verification(command) => asking.ask(|session| command.run(session)),
        Command::Audit(args) => args.run(asking),
        Command::User(command) => asking.ask(|session| command.run(session)),
        Command::Group(command) => asking.ask(|session| command.run(session)),
        Command::Key(command) => asking.ask(|session| command.run(session)),
        Command::Whoami(args) => asking.ask(|session| args.run(session)),
        Command::Agent(command) => command.run(asking),
        Command::Notifiers(command) => asking.ask(|session| command.run(session)),
        Command::Test(args) => args.run(asking.global.output),
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
