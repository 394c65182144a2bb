//! `stagegate freeze create`

use super::{places, status, time};
use crate::Answer;
use crate::failure::Failure;
use crate::output::{one_line, when};
use crate::session::Session;
use crate::values::{duration, time_ahead};
use anyhow::Result;
use stagegate_api::UpsertFreeze;

/// Let nothing new start for a time. What runs goes on; rollbacks start unless they are held too.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate freeze create Holidays --selector 'environment.name == \"production\"' \\
    --starts 2026-12-23T17:00:00Z --ends 2027-01-04T08:00:00Z --reason 'few people'
  stagegate freeze create Incident --for 2h --reason 'incident 42'")]
pub struct Args {
    /// How it is called
    name: String,
    /// What it takes: CEL over `environment`, `deployment`, `system`, `resource` and `version`; everything when left out
    #[arg(long, value_name = "CEL")]
    selector: Option<String>,
    /// When it begins, like `2026-12-23T17:00:00Z`, or in how long, like `30m`; now when left out
    #[arg(long, value_name = "TIME")]
    starts: Option<String>,
    /// When it ends; when a person ends it, when left out
    #[arg(long, value_name = "TIME", conflicts_with = "length")]
    ends: Option<String>,
    /// How long it lasts, like `2h`
    #[arg(long = "for", id = "length", value_name = "TIME")]
    length: Option<String>,
    /// Hold rollbacks too
    #[arg(long)]
    no_rollback: bool,
    /// Why
    #[arg(long, short, value_name = "TEXT")]
    reason: String,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let now = when::now();
        let starts = self.starts.as_deref();
        let starts = starts.map(|text| time_ahead("--starts", text, now));
        let starts = starts.transpose()?;
        let ends = match (&self.ends, &self.length) {
            (Some(text), _) => Some(time_ahead("--ends", text, now)?),
            (None, Some(text)) => {
                let length = duration(text)
                    .map_err(|form| Failure::usage("invalid_value", format!("--for: {form}")))?;
                let seconds = i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
                Some(starts.unwrap_or(now).plus_seconds(seconds))
            }
            (None, None) => None,
        };
        let body = UpsertFreeze {
            name: self.name,
            selector: self.selector,
            reason: self.reason,
            starts_at: starts.map(|at| at.to_string()),
            ends_at: ends.map(|at| at.to_string()),
            allow_rollback: Some(!self.no_rollback),
        };
        let freeze = workspace.create_freeze(&body).await?;
        session.out.show(&freeze, |freeze, paint| {
            let rollbacks = if freeze.allow_rollback {
                "rollbacks start all the same"
            } else {
                "rollbacks are held too"
            };
            format!(
                "freeze {} is {} {}\n  it takes: {}\n  {rollbacks}\n",
                paint.strong(&one_line(&freeze.name)),
                status(freeze),
                time(freeze),
                one_line(&places(freeze))
            )
        })?;
        Ok(Answer::Yes)
    }
}
