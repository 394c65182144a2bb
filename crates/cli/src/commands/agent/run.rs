//! `stagegate agent run`

use crate::Answer;
use crate::commands::{Asking, lasting_runtime};
use crate::failure::{self, Failure};
use crate::output::{Output, when};
use crate::session::{self, Session};
use crate::stopping;
use anyhow::Result;
use serde_json::json;
use stagegate_api::client::{ClientError, Workspace};
use stagegate_runner::{RunnerError, RunnerEvent, RunnerOptions};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;

/// How long to wait for a server before it is looked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Run the jobs of an agent of type `exec` on this machine, until told to stop.
///
/// What the deployments' configurations say is executed here, as this user: start a runner only where that is meant.
/// A runner that was stopped takes up its jobs again at its next start with the same data folder. The server waits for
/// it as long as the agent's `jobLimits` say; then its jobs fail, or another runner gets them.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  STAGEGATE_API_KEY=$(stagegate key create runner-1 --role agent) \\
    stagegate agent run --name local --data ./runner-data")]
pub struct Args {
    /// The job agent to work for; may be given several times
    #[arg(long, required = true, value_name = "AGENT")]
    name: Vec<String>,
    /// Where the runner keeps its records; its own, and the same at every start
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// What the runner is called; made from the host's name when left out
    #[arg(long, value_name = "NAME")]
    runner: Option<String>,
    /// How many jobs at once
    #[arg(long, value_name = "NUMBER")]
    concurrency: Option<usize>,
    /// End what was started together with the runner: stop services, cancel jobs
    #[arg(long)]
    stop_services_on_exit: bool,
    /// Also stop when standard input closes: for whoever starts it as a child
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

impl Args {
    pub fn run(self, asking: &Asking) -> Result<Answer> {
        let runtime = lasting_runtime()?;
        runtime.block_on(self.serve(asking))
    }

    async fn serve(self, asking: &Asking) -> Result<Answer> {
        let session = Session::new(&asking.global, asking.out.clone())?;
        let key = session::key(&asking.global)?;
        let (stop, mut stopped) = watch::channel(false);
        let signals = stopping::told(self.until_stdin_closes)?;
        tokio::spawn(async move {
            signals.await;
            stop.send_replace(true);
            // Held until the process ends; a sender that is gone says the same.
            stop.closed().await;
        });
        let workspace = tokio::select! {
            workspace = workspace(&session, &asking.out) => workspace?,
            _ = stopped.wait_for(|stop| *stop) => return Ok(Answer::Yes),
        };
        let mut options = RunnerOptions::new(
            session.client.url(),
            key,
            workspace.id(),
            String::new(),
            self.data,
        );
        options.agents = self.name;
        options.name = self.runner;
        options.stop_services_on_exit = self.stop_services_on_exit;
        if let Some(concurrency) = self.concurrency {
            options.concurrency = concurrency;
        }
        let out = asking.out.clone();
        let options = options.on_event(move |event| tell(&out, event));
        stagegate_runner::run(options, stopped)
            .await
            .map_err(failed)?;
        Ok(Answer::Yes)
    }
}

/// The workspace, once there is a server that can be asked: runner and server may be started in any order.
async fn workspace(session: &Session, out: &Output) -> Result<Workspace> {
    let mut told = false;
    loop {
        let error = match session.workspace().await {
            Ok(workspace) => return Ok(workspace),
            Err(error) => error,
        };
        let is_temporary = error
            .downcast_ref::<ClientError>()
            .is_some_and(ClientError::is_temporary);
        if !is_temporary {
            return Err(error);
        }
        if !std::mem::replace(&mut told, true) {
            let reason = error.to_string();
            tell(out, &RunnerEvent::ServerLost { reason });
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// One line per event.
fn tell(out: &Output, event: &RunnerEvent) {
    let time = when::now().to_string();
    // Losing the log must not end the work.
    let _ = if out.is_json() {
        out.json_line(&json!({"time": time, "message": event.to_string()}))
    } else {
        out.text(&crate::output::clean(&format!("{time} {event}")))
    };
}

fn failed(error: RunnerError) -> anyhow::Error {
    match error {
        RunnerError::Refused(
            error @ (ClientError::Problem(_) | ClientError::Unreachable { .. }),
        ) => error.into(),
        RunnerError::NoSuchAgent { .. } => {
            Failure::refused("job_agent_not_found", error.to_string()).into()
        }
        RunnerError::WrongType { .. } => {
            Failure::new("invalid_value", failure::REFUSED, error.to_string()).into()
        }
        RunnerError::Options(message) => Failure::usage("invalid_value", message).into(),
        other => Failure::local("internal", other.to_string()).into(),
    }
}
