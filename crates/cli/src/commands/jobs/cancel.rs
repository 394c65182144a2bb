//! `stagegate jobs cancel`

use crate::Answer;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::{CancelJob, Job};

/// Cancel a job that has not ended.
///
/// One that no runner has is cancelled at once. Otherwise its runner is told at once; it stops the process and reports
/// when that is done. `stagegate jobs logs -f` waits for that.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate jobs cancel 0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10 --reason 'wrong host'")]
pub struct Args {
    /// The job's id
    id: String,
    /// Why
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let body = CancelJob {
            reason: self.reason,
        };
        workspace.cancel_job(&self.id, &body).await?;
        let job = workspace.job(&self.id).await?;
        session.out.show(&job, |job, _| told(job))?;
        Ok(Answer::Yes)
    }
}

fn told(job: &Job) -> String {
    if job.has_ended() {
        return format!("job {} is {}", job.id, job.status);
    }
    let runner = job.runner.as_deref().unwrap_or("its runner");
    format!("job {}: {runner} is told to stop it", job.id)
}
