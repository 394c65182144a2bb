//! What is typed before and around every command.

use crate::commands::Command;
use crate::output::Format;
use clap::{Args, Parser};

/// Where `serve` listens, and the others look, when nobody says otherwise.
pub const SERVER_DEFAULT: &str = "http://127.0.0.1:8780";

#[derive(Debug, Parser)]
#[command(
    name = "stagegate",
    version,
    about = "Moves versions from environment to environment, and can say why",
    long_about = "Moves versions from environment to environment, and can say why.\n\n\
        CI creates a version. Stagegate decides when each environment may receive it, has the deployment done, \
        verifies it and promotes it onward; every step is on record.",
    after_help = "\
Examples:
  stagegate serve --data ./data          start a server
  stagegate apply -f stagegate.yaml      tell it what there is
  stagegate version create --deployment api --tag v1.2.3
  stagegate status                       what runs where
  stagegate why production               why it is not there yet

Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 3 the server refused, 4 no server answers.",
    propagate_version = false,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// For people, or for programs
    #[arg(long, short, global = true, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub output: Format,

    /// The server's URL
    #[arg(long, global = true, env = "STAGEGATE_URL", default_value = SERVER_DEFAULT, value_name = "URL")]
    pub server: String,

    /// The key to act with; better set in the environment than typed
    #[arg(
        long,
        global = true,
        env = "STAGEGATE_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub api_key: Option<String>,

    /// The workspace's slug or id; may be left out when the key sees only one
    #[arg(
        long,
        global = true,
        env = "STAGEGATE_WORKSPACE",
        value_name = "WORKSPACE"
    )]
    pub workspace: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
