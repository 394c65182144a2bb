//! `stagegate completions`

use crate::Answer;
use crate::arguments::Cli;
use crate::output::Output;
use anyhow::Result;
use clap::CommandFactory as _;
use clap_complete::Shell;

/// Print the completion script of a shell.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate completions bash > /etc/bash_completion.d/stagegate
  stagegate completions zsh > ~/.zfunc/_stagegate
  stagegate completions fish > ~/.config/fish/completions/stagegate.fish")]
pub struct Args {
    #[arg(value_enum)]
    shell: Shell,
}

impl Args {
    pub fn run(self, out: &Output) -> Result<Answer> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "stagegate", &mut script);
        out.text(&String::from_utf8_lossy(&script))?;
        Ok(Answer::Yes)
    }
}
