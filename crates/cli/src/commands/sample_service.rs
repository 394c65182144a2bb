//! `stagegate sample-service`

use crate::Answer;
use crate::failure::Failure;
use anyhow::{Context as _, Result};
use stagegate_integrations::sample_service::{self, Options};

/// A small service to deploy, check and break: `/`, `/version`, `/health`, `/metrics`.
#[derive(clap::Args, Debug)]
#[command(
    disable_help_flag = true,
    after_help = "\
Options: --host, --port, --version, --name, --unhealthy, --unhealthy-after-seconds, --crash-after-seconds,
--error-rate and --latency-ms.

Example:
  stagegate sample-service --port 18081 --version v1.2.3"
)]
pub struct Args {
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "OPTION"
    )]
    options: Vec<String>,
}

impl Args {
    pub fn run(self) -> Result<Answer> {
        let options = Options::from_args(self.options)
            .map_err(|message| Failure::usage("invalid_value", message))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the runtime cannot be started")?;
        runtime
            .block_on(sample_service::serve(options))
            .map_err(|error| Failure::local("internal", error.to_string()))?;
        Ok(Answer::Yes)
    }
}
