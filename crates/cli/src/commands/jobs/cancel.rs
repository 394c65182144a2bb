//! `stagegate jobs cancel`

use crate::Answer;
use crate::failure::Failure;
use crate::output::status_word;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::JobReport;

/// Cancel a job that has not ended. Its runner stops it when it next looks.
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
        let before = workspace.job(&self.id).await?;
        if before.has_ended() {
            return Err(ended(&before.status).into());
        }
        let report = JobReport {
            status: "cancelled".to_owned(),
            message: self.reason.clone(),
            ..JobReport::default()
        };
        workspace.report_job(&self.id, &report).await?;
        let job = workspace.job(&self.id).await?;
        // It may have ended in between; a late report changes nothing.
        if job.status != "cancelled" {
            return Err(ended(&job.status).into());
        }
        session
            .out
            .show(&job, |job, _| format!("job {} is cancelled", job.id))?;
        Ok(Answer::Yes)
    }
}

fn ended(status: &str) -> Failure {
    let status = status_word(status);
    Failure::refused("job_ended", format!("the job has ended already: {status}"))
}
